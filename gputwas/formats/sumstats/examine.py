"""Before a row is read: which files a trait has, what each of them is, and whether they agree.

In: paths and globs, and what the caller knows of the format. Out: one `Source` per file (compression, head,
layout), or the InputError that says why a file cannot be used.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gputwas.errors import InputError
from gputwas.formats.sumstats.detect import choose_layout, dialect_named
from gputwas.formats.sumstats.head import Head, read_head
from gputwas.formats.sumstats.inflate import compression_of, read_start
from gputwas.formats.sumstats.layout import Layout, normal_name
from gputwas.formats.sumstats.parquet import parquet_head
from gputwas.formats.sumstats.sources import SourceFile, as_source, base_name, is_url
from gputwas.formats.sumstats.vcf import is_vcf, vcf_layout

__all__ = ["Paths", "Source", "agree", "examine", "misnamed", "natural_key", "resolve_paths"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_HEAD_BYTES = 1 << 18
_LONG_HEAD_BYTES = 64 << 20
_MARKS = (
    ("\t", "tabs"),
    (",", "commas"),
    (";", "semicolons"),
    ("|", "bars"),
    (" ", "blanks"),
    (":", "colons"),
)


@dataclass(frozen=True)
class Source:
    """One file: how it is compressed, its head (None for Parquet), its own layout, and its first rows."""

    file: SourceFile
    compression: str
    head: Head | None
    layout: Layout
    sample: list[list[str]]

    @property
    def path(self) -> str:
        """Its path or URL."""
        return self.file.path


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts chr2 before chr10."""
    return tuple((0, int(t)) if t.isdigit() else (1, t) for t in re.split(r"(\d+)", text) if t)


def resolve_paths(paths: Paths, *, parity: bool = False) -> list[str]:
    """Expand globs (never in URLs) and sort; InputError for a glob without a match or a file named twice."""
    given = [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    found: list[str] = []
    for item in given:
        if not is_url(item) and glob.has_magic(item) and not os.path.exists(item):
            matches = glob.glob(item)
            if not matches:
                raise InputError(
                    "no file matches this pattern", path=item, remedy="Check folder and pattern."
                )
            found += matches
        else:
            found.append(item)
    if not found:
        raise InputError("no file given", expected="at least one")
    twice = {p for p in found if found.count(p) > 1}
    if twice:
        raise InputError("is given twice", path=min(twice), remedy="Name each file of a trait once.")
    return sorted(found) if parity else sorted(found, key=natural_key)


def examine(
    path: str | SourceFile,
    dialect: str | None,
    columns: Mapping[str, str] | None,
    separator: str | None,
    skip_until_header: str | None,
    parity: bool,
) -> Source:
    """Find out what one file is, from its first bytes and its header; parameters as in `open_sumstats`.

    Raises
    ------
    InputError : the file is missing, empty, no table, or its header does not say enough.
    UsageError : the dialect is unknown.
    """
    if dialect not in (None, "gwas_vcf", "generic", "custom"):
        dialect_named(str(dialect))  # a misspelt name is told before any file is opened
    file = as_source(path)
    path = file.path
    compression = compression_of(file)
    if compression == "parquet":
        if file.remote:
            raise InputError(
                "is a Parquet file, which cannot be read from its first byte to its last",
                path=path,
                remedy="Download it first, then give the file; or give the table as text.",
            )
        names, sample = parquet_head(path)
        layout = choose_layout(names, sample, path, "", dialect=dialect, columns=columns, parity=parity)
        return Source(file, compression, None, layout, sample)
    try:
        return _examine_text(file, compression, dialect, columns, separator, skip_until_header, parity)
    except InputError as error:
        if not misnamed(path, compression):
            raise
        raise InputError(
            f"is not a gzip file in spite of its name, and as plain text it {error.problem}",
            path=path,
            line=error.line,
            column=error.column,
            found=error.found,
            expected=error.expected,
            remedy="Download or copy it again." if error.remedy is None else error.remedy,
        ) from error


def misnamed(path: str, compression: str) -> bool:
    """Whether a file that is not compressed has the name of one that is."""
    return compression == "plain" and base_name(path).lower().endswith((".gz", ".bgz"))


def _examine_text(
    file: SourceFile,
    compression: str,
    dialect: str | None,
    columns: Mapping[str, str] | None,
    separator: str | None,
    skip_until_header: str | None,
    parity: bool,
) -> Source:
    path = file.path
    head = _head(file, compression, separator, skip_until_header, parity)
    if is_vcf(head) and not parity:
        return Source(file, compression, head, vcf_layout(head, path, columns), head.sample)
    if len(head.names) == 1:
        raise _one_cell(head, path)
    layout = choose_layout(
        head.names,
        head.sample,
        path,
        head.delimiter,
        dialect=dialect,
        columns=columns,
        parity=parity,
        line=head.body_line - 1,
    )
    if not head.sample:
        raise _no_rows(head, file, compression)
    return Source(file, compression, head, layout, head.sample)


def _head(
    file: SourceFile, compression: str, separator: str | None, skip_until_header: str | None, parity: bool
) -> Head:
    path = file.path
    start = read_start(file, compression, _HEAD_BYTES)
    try:
        return read_head(
            _whole_lines(start), path, separator=separator, skip_until_header=skip_until_header, parity=parity
        )
    except InputError:
        longer = read_start(file, compression, _LONG_HEAD_BYTES) if len(start) >= _HEAD_BYTES else start
        if len(longer) == len(start):
            raise
        return read_head(
            _whole_lines(longer),
            path,
            separator=separator,
            skip_until_header=skip_until_header,
            parity=parity,
        )


def _whole_lines(start: bytes) -> bytes:
    """Leave out a last line that goes on behind what was read."""
    return start[: start.rfind(b"\n") + 1] if len(start) in (_HEAD_BYTES, _LONG_HEAD_BYTES) else start


def _one_cell(head: Head, path: str) -> InputError:
    """The header is one cell when split: say what else could separate its names."""
    text = head.names[0]
    seen = [shown for mark, shown in _MARKS if mark in text]
    given = head.delimiter != "whitespace"
    mark = next((mark for mark, _ in _MARKS if mark in text), "")
    mend = "leave --separator out or give that" if given else f"give --separator '{mark}'"
    return InputError(
        "the header is a single cell, so the separator is not the file's",
        path=path,
        line=head.body_line - 1,
        found=repr(text[:200]),
        expected=f"{head.delimiter!r} between names" if given else "several columns",
        remedy=f"It holds {', '.join(seen)}: {mend}." if seen else "Check that the file is a table.",
    )


def _no_rows(head: Head, file: SourceFile, compression: str) -> InputError:
    """No row has as many cells as the header: there is none, or the separator is not the file's."""
    below = read_start(file, compression, head.body + 65536)[head.body :].decode("utf-8", "replace")
    first = next((line for line in below.splitlines() if line.strip()), None)
    if first is None:
        return InputError(
            "has a header only, no data rows",
            path=file.path,
            line=head.body_line - 1,
            found=" ".join(head.names)[:200],
            expected="one row per variant",
            remedy="Download or copy it again, it may have been cut off.",
        )
    cells = first.split(None if head.delimiter == "whitespace" else head.delimiter)
    named = "white space" if head.delimiter == "whitespace" else repr(head.delimiter)
    return InputError(
        "no row has as many cells as the header",
        path=file.path,
        line=head.body_line,
        found=f"{len(head.names)} names and {len(cells)} cells when split at {named}",
        remedy="Give the separator, e.g. --separator $'\\t' or --separator ,.",
    )


def agree(first: Source, other: Source, parity: bool) -> None:
    """Files of one trait have one header; in parity mode the columns that are used suffice."""
    if parity:
        return
    one, two = first.layout.header, other.layout.header
    if [_without_counts(n) for n in one] != [_without_counts(n) for n in two]:
        raise InputError(
            "its header differs from that of the trait's first file",
            path=other.path,
            found=" ".join(two)[:300],
            expected=f"{' '.join(one)[:300]} (as in {first.path})",
            remedy="Files of one trait must have the same columns; is one of another trait?",
        )


def _without_counts(name: str) -> str:
    """PGC daner headers hold sample sizes, which differ between chromosomes."""
    return re.sub(r"^(frq_[au]_)\d+$", r"\1n", normal_name(name))
