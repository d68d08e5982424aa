"""One trait of an import: what it is, and the job that reads and stores it, in whatever process.

In: a trait's name, its files and how to read them, and the folder of a store. Out: the trait in the store,
and what the process that waits has to say about it, or the error that its files cause.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gputwas.errors import GputwasError, InputError, ResourceError, UsageError
from gputwas.executors.jobs import kept_in_process, shared_folder, this_process
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.reader import SumstatsReader, open_sumstats
from gputwas.ingest.choose_key import MatchOptions, choose_key
from gputwas.ingest.matching import roles_for
from gputwas.ingest.panel import PanelIndex, filter_for
from gputwas.ingest.sources import InputFiles
from gputwas.ingest.trait import TraitStatistics, read_trait
from gputwas.ingest.zscores import PVALUE_FIX
from gputwas.stores.gwas import GwasStore
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import Manifest
from gputwas.variants.align import Mode, Palindromes

__all__ = [
    "GwasOptions",
    "Imported",
    "TraitInput",
    "TraitJob",
    "how_kept",
    "how_read",
    "import_one",
    "open_trait",
    "panel_key",
]


@dataclass(frozen=True)
class TraitInput:
    """One trait to import.

    Attributes
    ----------
    trait : its name, unique in the store.
    paths : its file or URL, or several that are read one after the other (one per chromosome).
    n, h2, h2_se : sample size, heritability and its standard error, if known.
    build : genome build of the positions, if known.
    dialect : name of the file's dialect; None = told from the header.
    columns : role -> header name; None = as the dialect has it.
    separator, skip_until_header, handle_empty_columns : how to read an unusual file.
    effect : "beta" or "log_odds": what the effect sizes are to be called; None = told from the file.
    annotation : anything else that is to be kept with the trait (modality, atlas ...).
    checksums : by path, what the bytes of a file must add up to.
    """

    trait: str
    paths: tuple[str, ...]
    n: float | None = None
    h2: float | None = None
    h2_se: float | None = None
    build: str | None = None
    dialect: str | None = None
    columns: Mapping[str, str] | None = None
    separator: str | None = None
    skip_until_header: str | None = None
    handle_empty_columns: bool = False
    effect: str | None = None
    annotation: Mapping[str, Any] = field(default_factory=dict)
    checksums: Mapping[str, tuple[Checksum, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class GwasOptions:
    """How rows become statistics; the same for all traits of a store, see `read_trait`."""

    mode: Mode = "strict"
    keep_non_rsid: bool | None = None
    pvalue_fix: float = PVALUE_FIX
    palindromes: Palindromes = "infer"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mode", self.mode, ("strict", "parity")),
            ("palindromes", self.palindromes, ("infer", "forward", "drop")),
        ):
            if value not in known:
                raise UsageError(f"{name} is {' or '.join(known)}, not {value!r}")
        if not 0 <= self.pvalue_fix <= 1:
            raise UsageError(f"the stand-in for p = 0 must be between 0 and 1, not {self.pvalue_fix}")


def how_read(trait: TraitInput) -> dict[str, Any]:
    """The part of a trait's entry that decides how its files are read."""
    return {
        "dialect": trait.dialect,
        "columns": dict(trait.columns) if trait.columns is not None else None,
        "separator": trait.separator,
        "skip_until_header": trait.skip_until_header,
        "handle_empty_columns": bool(trait.handle_empty_columns),
    }


def how_kept(trait: TraitInput, matching: MatchOptions) -> dict[str, Any]:
    """All that decides how a trait's files become rows of the panel, as it is kept with the trait."""
    return how_read(trait) | matching.kept(trait.build)


@dataclass(frozen=True)
class TraitJob:
    """What a worker, perhaps on another machine, has to know to import a trait."""

    trait: TraitInput
    options: GwasOptions
    min_found: float
    store: str  # absolute
    manifest: Manifest
    start: str  # the folder that relative paths start from
    threads: int  # that may inflate one file
    panel_key: str  # digest of all of the panel that an index is made of
    matching: MatchOptions = field(default_factory=MatchOptions)

    def __str__(self) -> str:
        return f"trait {self.trait.trait!r}"

    def open_store(self) -> GwasStore:
        """The store, to add to it; refused if it is not, or not any more, the one of this run."""
        store = GwasStore.open(shared_folder(self.store), as_worker=True)
        if store.manifest != self.manifest:
            raise InputError("another process began the store anew", path=self.store)
        return store

    def paths(self) -> list[str]:
        """The trait's files, wherever the worker was started."""
        if os.getcwd() == self.start:
            return list(self.trait.paths)
        return [path if "://" in path else os.path.join(self.start, path) for path in self.trait.paths]


@dataclass(frozen=True)
class Imported:
    """What the process that waits has to say about a trait that a worker stored."""

    layout: str  # and by what it was matched
    warnings: tuple[str, ...]
    process: str


def panel_key(store: GwasStore) -> str:
    """Digest under which an index of the panel is kept; places count, which in `panel_digest` they do not."""
    key = ContentHash().add_text(store.panel_digest)
    for name in ("chromosome", "position"):
        if name in store.panel.column_names:
            key.add_table(name, store.panel.select([name]))
    return key.hexdigest()


def import_one(job: TraitJob) -> Imported | GputwasError:
    """Read one trait and store it; an error that its file causes is a result, so that other traits go on."""
    store = job.open_store()
    panel = kept_in_process("panel of GWAS", job.panel_key, lambda: PanelIndex(store.panel))
    try:
        statistics, metadata = _read_one(job, panel)
    except GputwasError as error:
        return error
    except MemoryError:
        return ResourceError(f"memory ran out while reading {job.trait.paths[0]}; use fewer workers")
    beta = None if statistics.beta is None else statistics.beta.astype(np.float32)
    job.open_store().add(job.trait.trait, statistics.z, beta, metadata)
    said = f"{statistics.layout}; matched by {statistics.matched_how}"
    return Imported(said, statistics.warnings, this_process())


def _read_one(job: TraitJob, panel: PanelIndex) -> tuple[TraitStatistics, dict[str, Any]]:
    trait, options, paths = job.trait, job.options, job.paths()
    how = how_kept(trait, job.matching)
    with InputFiles(paths, trait.checksums, trait.paths) as files:
        reader = open_trait(trait, paths, options, threads=job.threads, opener=files.opener)
        parity = options.mode == "parity"
        key = panel.key if parity else choose_key(panel, reader, job.matching, trait.build)
        wanted = filter_for(panel, key)
        statistics = read_trait(
            reader.keeping(wanted, roles_for(key)), panel, **asdict(options), min_found=job.min_found,
            build=trait.build, seen=wanted, key=None if parity else key,
        )  # fmt: skip
        digest = files.hash(how)
        return statistics, _metadata(trait, statistics, files.states(), digest, how)


def open_trait(trait: TraitInput, paths: Sequence[str], options: GwasOptions, **more: Any) -> SumstatsReader:
    """A reader of a trait's files as its entry says; `more` is for `open_sumstats`."""
    return open_sumstats(list(paths), parity=options.mode == "parity", **how_read(trait), **more)


def _metadata(
    trait: TraitInput,
    found: TraitStatistics,
    files: list[dict[str, Any]],
    input_hash: str,
    how: dict[str, Any],
) -> dict[str, Any]:
    lifted = {"lifted": dict(found.lifted)} if found.lifted else {}
    return lifted | {
        "trait": trait.trait,
        "source": list(trait.paths),
        "n": trait.n if trait.n is not None else found.n,
        "build": trait.build,
        "dialect": found.dialect,
        "effect": found.effect if found.effect == "none" else trait.effect or found.effect,
        "h2": trait.h2,
        "h2_se": trait.h2_se,
        "rows_read": found.rows_read,
        "rows_malformed": found.rows_malformed,
        "counts": found.counts,
        "found_share": found.found_share,
        "input_hash": input_hash,
        "annotation": dict(trait.annotation),
        "layout": found.layout,
        "z_from": found.sources,
        "strand": found.strand,
        "warnings": list(found.warnings),
        "files": files,
        "how": how,
        "matched_by": found.matched_by,
        "matched_how": found.matched_how,
    }
