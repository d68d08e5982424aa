"""Which traits to import, and how each is to be read, from what the user named.

In: files, a folder, a manifest, options. Out: a list of `TraitInput`.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gputwas.errors import UsageError
from gputwas.formats.big40 import read_phenotypes
from gputwas.formats.manifest import TraitEntry, read_manifest, trait_name, traits_from_folder
from gputwas.formats.sumstats.checksums import Checksum, parse_checksum
from gputwas.formats.sumstats.sources import is_url
from gputwas.ingest.gwas import TraitInput

__all__ = ["collect_traits"]

log = logging.getLogger(__name__)

Path = str | os.PathLike[str]


def collect_traits(
    files: Sequence[Path],
    *,
    manifest: Path | None = None,
    folder: Path | None = None,
    pattern: str | None = None,
    trait: str | None = None,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    build: str | None = None,
    phenotypes: Path | None = None,
    checksum: str | None = None,
) -> list[TraitInput]:
    """Traits named by files, a folder or a manifest (one of them).

    Parameters
    ----------
    files : one trait each, or, with `trait`, the files of that one trait.
    pattern : which files of `folder`, a wildcard; all by default.
    dialect, columns, separator, build : for traits whose manifest row does not say otherwise.
    phenotypes : BIG40's table; gives n, h2 and annotation to traits named by its four-digit numbers or its
        short names.
    checksum : of the one file that is named, as "md5:..." or "sha256:...".

    Raises
    ------
    UsageError : none of the three, or more than one, was given; or an option that belongs to another one.
    InputError : the manifest, folder or table is unusable.
    """
    given = [
        name for name, value in (("files", files), ("--manifest", manifest), ("--folder", folder)) if value
    ]
    if len(given) != 1:
        what = " and ".join(given) if given else "nothing"
        verb = "were" if len(given) > 1 else "was"
        raise UsageError(
            f"name GWAS files, or a --manifest, or a --folder (one of them); {what} {verb} given"
        )
    if trait is not None and not files:
        raise UsageError(f"--trait names the trait of the files on the command line, not of {given[0]}")
    if pattern is not None and folder is None:
        raise UsageError("--pattern needs --folder")
    checksums = {} if checksum is None else _checksum_of_one(files, checksum)
    if manifest is not None:
        inputs = [_input(entry) for entry in read_manifest(manifest)]
    elif folder is not None:
        inputs = [_input(entry) for entry in traits_from_folder(folder, pattern or "*")]
    elif trait is not None:
        inputs = [TraitInput(trait, tuple(os.fspath(path) for path in files))]
    else:
        inputs = [TraitInput(trait_name(path), (os.fspath(path),)) for path in files]
    inputs = [
        replace(
            entry, dialect=entry.dialect or dialect, columns=columns, separator=separator,
            build=entry.build or build, checksums=entry.checksums or checksums,
        )
        for entry in inputs
    ]  # fmt: skip
    return inputs if phenotypes is None else _with_phenotypes(inputs, phenotypes)


def _checksum_of_one(files: Sequence[Path], checksum: str) -> dict[str, tuple[Checksum, ...]]:
    if len(files) != 1 or (glob.has_magic(os.fspath(files[0])) and not is_url(os.fspath(files[0]))):
        raise UsageError("--checksum is of one file; for more, write a manifest with a column md5 or sha256")
    try:
        return {os.fspath(files[0]): (parse_checksum(checksum),)}
    except ValueError as error:
        raise UsageError(f"--checksum takes {error}, not {checksum!r}") from None


def _input(entry: TraitEntry) -> TraitInput:
    return TraitInput(
        entry.trait, entry.paths, n=entry.n, h2=entry.h2, h2_se=entry.h2_se, build=entry.build,
        dialect=entry.dialect, effect=entry.effect, annotation=entry.annotation,
        checksums=entry.checksums,
    )  # fmt: skip


def _with_phenotypes(inputs: list[TraitInput], path: Path) -> list[TraitInput]:
    """Fill n, h2, h2_se and annotation from BIG40's table; what a manifest says itself stands."""
    table = read_phenotypes(path).to_pylist()
    known = {row["short_name"]: row for row in table} | {row["pheno"]: row for row in table}
    absent = [entry.trait for entry in inputs if entry.trait not in known]
    if absent:
        log.warning(
            "%d of %d traits are not in %s (%s ...)", len(absent), len(inputs), os.fspath(path), absent[0]
        )
    return [_filled(entry, known.get(entry.trait)) for entry in inputs]


def _filled(entry: TraitInput, row: Mapping[str, Any] | None) -> TraitInput:
    if row is None:
        return entry
    numbers: dict[str, Any] = {"n": row["n"] if entry.n is None else entry.n}
    if entry.h2 is None:  # an h2 of one source and the error of another would say nothing
        numbers |= {"h2": row["h2"], "h2_se": row["h2_se"]}
    words = {name: row[name] for name in ("short_name", "category_name", "description") if row[name]}
    return replace(entry, annotation={**words, **entry.annotation}, **numbers)
