"""The manifest of a study's traits: which files are which trait, and what is known of it.

In: a tab-separated table with the columns trait and path (a local file, a glob, a URL, or several of these
separated by ";") and, as known, n, dialect, build, h2, h2_se, effect, md5, sha256, checksum; any further
column is annotation. Or a folder with one trait per file. Out: a list of `TraitEntry`.
"""

from __future__ import annotations

import csv
import glob
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats.checksums import Checksum, parse_checksum
from gputwas.formats.sumstats.detect import dialect_named
from gputwas.formats.sumstats.examine import natural_key
from gputwas.formats.sumstats.sources import base_name, check_address, is_url

__all__ = ["TraitEntry", "read_manifest", "trait_name", "traits_from_folder"]

log = logging.getLogger(__name__)

_OTHER_SPELLINGS = {
    "name": "trait",
    "phenotype": "trait",
    "file": "path",
    "files": "path",
    "paths": "path",
    "sample_size": "n",
    "format": "dialect",
    "genome_build": "build",
}
_CHECKSUMS = ("md5", "sha256", "checksum")  # the last one as Zenodo writes it, with its kind
_KNOWN = ("trait", "path", "n", "dialect", "build", "h2", "h2_se", "effect", *_CHECKSUMS)
_EFFECTS = ("beta", "log_odds", "none")
_MISSING = ("", "na", "nan", ".", "none", "null")
_EXTENSION = re.compile(
    r"\.(gz|bgz|zst|bz2|xz|txt|tsv|csv|tbl|assoc|linear|logistic|hybrid|firth|glm|sumstats|ma|fastgwa|regenie|vcf|parquet|stats)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TraitEntry:
    """One trait of a study.

    Attributes
    ----------
    trait : its name, unique in the study.
    paths : its files or URLs in natural order (chr2 before chr10).
    n : sample size. h2, h2_se : heritability and its standard error. None where not given.
    dialect : name of the summary-statistics dialect; None to have it told from the header.
    build : genome build of its positions. effect : "beta", "log_odds" or "none".
    annotation : further columns of the manifest, by name; empty cells are left out.
    checksums : by path, what the bytes of a file must add up to.
    """

    trait: str
    paths: tuple[str, ...]
    n: float | None = None
    dialect: str | None = None
    build: str | None = None
    h2: float | None = None
    h2_se: float | None = None
    effect: str | None = None
    annotation: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, tuple[Checksum, ...]] = field(default_factory=dict)


def read_manifest(path: str | os.PathLike[str]) -> list[TraitEntry]:
    """Read a manifest; paths in it are relative to its own folder.

    Raises
    ------
    InputError : no column path, two traits with one name, a file or glob that is not there, a bad number or
        checksum; with the line.
    """
    name = os.fspath(path)
    header, rows = _rows(name)
    entries: list[TraitEntry] = []
    lines: dict[str, int] = {}
    users: dict[str, str] = {}
    for line, cells in rows:
        entry = _entry(header, cells, name, line)
        if entry.trait in lines:
            raise InputError(
                "two traits have one name",
                path=name,
                line=line,
                column="trait",
                found=f"{entry.trait!r}, as in line {lines[entry.trait]}",
                remedy="Give each trait a name of its own; the files of one trait make one row, as a glob.",
            )
        lines[entry.trait] = line
        for file in entry.paths:
            if users.setdefault(file, entry.trait) != entry.trait:
                log.warning("%s, line %d: %s is also the file of trait %s", name, line, file, users[file])
        entries.append(entry)
    if not entries:
        raise InputError("lists no trait", path=name, expected="one row per trait below the header")
    return entries


def traits_from_folder(folder: str | os.PathLike[str], pattern: str = "*") -> list[TraitEntry]:
    """Take each file of a folder that fits the glob `pattern` as one trait, named by its file name.

    Raises
    ------
    InputError : no such folder, no file fits, or two files give one name.
    """
    root = os.fspath(folder)
    if not os.path.isdir(root):
        raise InputError("is not a folder", path=root, remedy="Check the path.")
    found = glob.glob(os.path.join(glob.escape(root), pattern))
    files = sorted((f for f in found if os.path.isfile(f)), key=natural_key)
    if not files:
        raise InputError(
            "no file fits the pattern",
            path=root,
            found=f"{len(os.listdir(root))} other entries",
            expected=pattern,
            remedy="The pattern is a wildcard such as *.txt.gz.",
        )
    traits: dict[str, str] = {}
    for file in files:
        trait = trait_name(file)
        if trait in traits:
            raise InputError(
                f"two files give the trait name {trait!r}",
                path=file,
                found=f"also {traits[trait]}",
                remedy="Write a manifest (columns trait and path) to name them.",
            )
        traits[trait] = file
    return [TraitEntry(trait, (file,)) for trait, file in traits.items()]


def trait_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a file or URL without the endings that tell its format: 0001.txt.gz -> 0001."""
    name = base_name(os.fspath(path))
    while (shorter := _EXTENSION.sub("", name)) != name and shorter:
        name = shorter
    return name


def _rows(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header's names and the rows with their lines."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = [
                (i, cells) for i, cells in enumerate(csv.reader(file, delimiter="\t"), 1) if _speaks(cells)
            ]
    except FileNotFoundError:
        raise InputError("does not exist", path=path, remedy="Check the path.") from None
    except IsADirectoryError:
        raise InputError("is a folder, not a manifest", path=path, remedy="Give it as a folder.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"is not a text table ({error})", path=path, expected="tab-separated UTF-8"
        ) from None
    if not table:
        raise InputError("is empty", path=path, expected="a header with the columns trait and path")
    line, first = table[0]
    header = [cell.strip().lstrip("#").strip() for cell in first]
    header = [_OTHER_SPELLINGS.get(c.lower(), c.lower() if c.lower() in _KNOWN else c) for c in header]
    for column in ("path", "trait"):
        if column not in header:
            comma = len(first) == 1 and "," in first[0]
            raise InputError(
                f"has no column {column}",
                path=path,
                line=line,
                found=" ".join(first)[:200],
                remedy="Separate its cells by tabs."
                if comma
                else "Add it: one row per trait, with path and trait.",
            )
    for column in header:
        if column and header.count(column) > 1:
            raise InputError("two columns have one name", path=path, line=line, column=column)
    return header, table[1:]


def _speaks(cells: list[str]) -> bool:
    """Tell whether a line is neither blank nor a comment (a first # with one cell, or ##)."""
    if not any(cell.strip() for cell in cells):
        return False
    return not cells[0].startswith("##") and not (cells[0].startswith("#") and len(cells) == 1)


def _entry(header: list[str], cells: list[str], path: str, line: int) -> TraitEntry:
    if len(cells) > len(header):
        raise InputError(
            "has more cells than the header",
            path=path,
            line=line,
            found=str(len(cells)),
            expected=str(len(header)),
        )
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
    given = {name: cell for name, cell in row.items() if cell.lower() not in _MISSING}
    trait, written = row.get("trait", ""), row.get("path", "")
    if not trait or not written:
        lacking = "trait" if not trait else "path"
        raise InputError("is empty", path=path, line=line, column=lacking, expected="a value in every row")
    dialect = given.get("dialect")
    if dialect is not None and dialect not in ("gwas_vcf", "generic"):
        try:
            dialect = dialect_named(dialect).name
        except UsageError as error:
            raise InputError(str(error), path=path, line=line, column="dialect") from None
    effect = given.get("effect")
    if effect is not None and effect not in _EFFECTS:
        raise InputError(
            "is no kind of effect",
            path=path,
            line=line,
            column="effect",
            found=effect,
            expected=" or ".join(_EFFECTS),
        )
    files = _files(written, path, line)
    return TraitEntry(
        trait,
        tuple(file for part in files for file in part),
        _number(given, "n", path, line, above=0),
        dialect,
        given.get("build"),
        _number(given, "h2", path, line),
        _number(given, "h2_se", path, line, above=-math.ulp(0.0)),
        effect,
        {name: cell for name, cell in given.items() if name and name not in _KNOWN},
        _checksums(given, files, path, line),
    )


def _checksums(
    given: Mapping[str, str], files: list[tuple[str, ...]], path: str, line: int
) -> dict[str, tuple[Checksum, ...]]:
    """Checksums by file: the cell has one for each part of the cell "path", separated by ";" as they are.

    Parts without anything in them do not count, as in `_files`.
    """
    found: dict[str, tuple[Checksum, ...]] = {}
    for column in _CHECKSUMS:
        if column not in given:
            continue
        cells = [cell for cell in map(str.strip, given[column].split(";")) if cell]
        if len(cells) != len(files) or any(len(part) > 1 for part in files):
            names = sum(map(len, files))
            raise InputError(
                "is not one checksum for each file",
                path=path,
                line=line,
                column=column,
                found=f"{len(cells)} for {names} files",
                remedy='Separate them by ";" as the files are, which must be named one by one for that.',
            )
        for cell, part in zip(cells, files, strict=True):
            try:
                checksum = parse_checksum(cell, None if column == "checksum" else column)
            except ValueError as error:
                raise InputError(
                    "is no checksum", path=path, line=line, column=column, found=repr(cell), expected=error
                ) from None
            found[part[0]] = (*found.get(part[0], ()), checksum)
    return found


def _number(
    given: Mapping[str, str], column: str, path: str, line: int, above: float = -math.inf
) -> float | None:
    text = given.get(column)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= above:
        expected = "a number" if above == -math.inf else "a number > 0" if above == 0 else "a number >= 0"
        raise InputError(
            "is not usable", path=path, line=line, column=column, found=repr(text), expected=expected
        )
    return number


def _address(url: str, path: str, line: int) -> str:
    try:
        check_address(url)
    except InputError as error:
        raise InputError(
            error.problem, path=path, line=line, column="path", found=repr(url), remedy=error.remedy
        ) from None
    return url


def _files(written: str, path: str, line: int) -> list[tuple[str, ...]]:
    """Expand the cell "path": for each part between ";", a URL, a local file or a glob, the files it is."""
    folder = os.path.dirname(os.path.abspath(path))
    files: list[tuple[str, ...]] = []
    for part in (p.strip() for p in written.split(";")):
        if not part:
            continue
        if is_url(part):
            files.append((_address(part, path, line),))
            continue
        full = os.path.join(folder, os.path.expanduser(part))
        if glob.has_magic(part) and not os.path.exists(full):
            matches = sorted(glob.glob(full), key=natural_key)
            if not matches:
                raise InputError("no file matches", path=path, line=line, column="path", found=repr(part))
            files.append(tuple(matches))
        elif os.path.isfile(full):
            files.append((full,))
        else:
            raise InputError(
                "there is no such file",
                path=path,
                line=line,
                column="path",
                found=repr(part),
                remedy=f"Paths are relative to the manifest's folder, {folder}.",
            )
    return files
