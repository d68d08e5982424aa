"""The top of a text file: where its header is, how its cells are separated, and whether it is text at all.

In: the first bytes of the decompressed file. Out: a `Head`. Everything that is certainly not a table
(UTF-16, binary, a web page saved by a failed download) is refused here with the remedy.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np

from gputwas.errors import InputError

__all__ = ["Head", "cells_of", "line_ends", "read_head"]

_SAMPLE_ROWS = 1000
_SEPARATORS = ("\t", ",", ";", "|")


@dataclass(frozen=True)
class Head:
    """Header and shape of a text file.

    Attributes
    ----------
    names : the header's cells as written (a leading # kept).
    delimiter : one character or "whitespace" (runs of blanks and tabs).
    quoted : cells may be wrapped in double quotes.
    body : position of the first data row in the decompressed bytes.
    body_line : its 1-based line number.
    sample : cells of up to 1,000 first data rows that have as many cells as the header.
    comments : the comment lines above the header.
    padded : some cells of the sample have blanks around them, which are no part of the value.
    """

    names: tuple[str, ...]
    delimiter: str
    quoted: bool
    body: int
    body_line: int
    sample: list[list[str]]
    comments: tuple[str, ...]
    padded: bool


def cells_of(line: str, delimiter: str, quoted: bool = False) -> list[str]:
    """Split one line (without its end) into cells."""
    if delimiter == "whitespace":
        return [c.strip('"') for c in line.split()] if quoted else line.split()
    if quoted:
        return next(csv.reader([line], delimiter=delimiter), [])
    return line.split(delimiter)


def line_ends(data: bytes) -> list[int]:
    """Return the positions behind each newline of `data`, and its length if it does not end with one."""
    ends = (np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1).tolist()
    return ends if ends and ends[-1] == len(data) else [*ends, len(data)]


def _refuse_non_text(start: bytes, path: str) -> None:
    """Raise InputError if the bytes cannot be a table of text."""
    if not start.strip():
        raise InputError(
            "is empty",
            path=path,
            expected="a table with a header line",
            remedy="Download or copy it again.",
        )
    if (encoding := _utf16(start)) is not None:
        text = f"gzip -dc {path} | iconv" if path.endswith((".gz", ".bgz")) else f"iconv {path}"
        raise InputError(
            "is UTF-16 text",
            path=path,
            line=1,
            expected="UTF-8 or ASCII",
            remedy=f"Convert it: {text} -f {encoding} -t UTF-8 > converted.txt.",
        )
    if b"\x00" in start[:65536]:
        position = start.index(b"\x00")
        raise InputError(
            "is a binary file",
            path=path,
            line=start.count(b"\n", 0, position) + 1,
            found="a NUL byte",
            expected="text (plain, gzip, bgzip, zstd, bzip2 or xz) or Parquet",
            remedy="A .bcf is read after `bcftools view`.",
        )
    if re.match(rb"\s*<(!doctype|html|\?xml)", start[:200], re.IGNORECASE):
        raise InputError(
            "is a web page, not a table",
            path=path,
            line=1,
            found=repr(start.strip()[:40].decode("latin-1").split("\n")[0]),
            remedy="The download gave an error page: look at it in a browser, and fetch the file again.",
        )
    if b"\n" not in start and start.count(b"\r") > 1:
        raise InputError(
            "has lines that end in a bare carriage return",
            path=path,
            line=1,
            remedy=f"Convert it: tr '\\r' '\\n' < {path} > converted.txt.",
        )


def _utf16(start: bytes) -> str | None:
    """Name of the UTF-16 encoding for iconv, told by the mark or by every other byte being 0; else None."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    if start[1:200:2].count(0) > 50:
        return "UTF-16LE"
    return "UTF-16BE" if start[0:200:2].count(0) > 50 else None


def read_head(
    start: bytes, path: str, *, separator: str | None, skip_until_header: str | None, parity: bool
) -> Head:
    """Find the header in the first bytes of a file.

    Parameters
    ----------
    separator : the character the caller says separates cells; None or "ANY_WHITESPACE" for the file's own.
    skip_until_header : text that begins the header; everything before it is passed over.
    parity : the header is the first line whatever it holds, and cells are split as MetaXcan splits them.
    """
    if skip_until_header is None:
        _refuse_non_text(start, path)
    separator = _WORDS.get(separator, separator) if separator is not None else None
    begin = 3 if start.startswith(b"\xef\xbb\xbf") else 0
    if skip_until_header is not None:
        begin = start.find(skip_until_header.encode())
        if begin < 0:
            raise InputError(
                "has no line with the given header",
                path=path,
                expected=f"{skip_until_header!r}",
                remedy="Check the text given as --skip_until_header.",
            )
    ends = [end for end in line_ends(start) if end > begin][: _SAMPLE_ROWS + 200_000]
    lines = _lines(start, begin, ends)
    at = 0 if parity or skip_until_header is not None else _header_line(lines, path)
    header = lines[at].strip() if parity else lines[at].strip(" ")
    rows = [line for line in lines[at + 1 : at + 1 + _SAMPLE_ROWS] if line.strip()]
    delimiter = (
        ("whitespace" if separator is None else separator) if parity else _delimiter(header, rows, separator)
    )
    quoted = not parity and any(_is_quoted(line, delimiter) for line in [header, *rows[:5]])
    names = cells_of(header, delimiter, quoted)
    if not parity:
        names = _completed(names, [cells_of(row, delimiter, quoted) for row in rows[:20]])
    sample = [cells for row in rows if len(cells := cells_of(row, delimiter, quoted)) == len(names)]
    return Head(
        names=tuple(name.strip() for name in names),
        delimiter=delimiter,
        quoted=quoted,
        body=ends[at],
        body_line=start.count(b"\n", 0, begin) + at + 2,
        sample=sample,
        comments=tuple(lines[:at]),
        padded=any(cell != cell.strip() for row in sample[:100] for cell in row),
    )


_WORDS = {
    "ANY_WHITESPACE": None,
    "whitespace": None,
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "space": " ",
}


def _is_quoted(line: str, delimiter: str) -> bool:
    cells = [cell.strip() for cell in cells_of(line, delimiter)]
    return any(len(cell) >= 2 and cell[0] == cell[-1] == '"' for cell in cells)


def _completed(names: list[str], rows: list[list[str]]) -> list[str]:
    """Name what some programs leave without a name: R's row names, and the cell after a last separator."""
    if not rows or any(len(row) != len(names) + 1 for row in rows):
        return names
    if all(not row[-1] for row in rows):
        return [*names, ""]
    if all(row[0] == str(i) for i, row in enumerate(rows, start=1)):
        return ["", *names]
    return names


def _lines(start: bytes, begin: int, ends: list[int]) -> list[str]:
    text = start[begin : ends[-1] if ends else begin].decode("utf-8", "replace")
    lines = text.split("\n")[: len(ends)]
    return [line.rstrip("\r\n") for line in lines] if "\r" in text else lines


def _header_line(lines: list[str], path: str) -> int:
    """Return the index of the header: the first line that is not blank and not a comment.

    A line with one # is a header (#CHROM ...) if the first line after the #-lines has as many cells.
    """
    below = next((line for line in lines if line.strip() and not line.startswith("#")), None)
    last_hash = None
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        if line.startswith("#"):
            last_hash = i
            continue
        break
    if last_hash is not None and not lines[last_hash].startswith("##"):
        for separator in (*_SEPARATORS, None):
            width = len(lines[last_hash].split(separator))
            if width >= 3 and (below is None or len(below.split(separator)) == width):
                return last_hash
    if below is None:
        raise InputError("has comment lines only", path=path, expected="a header line and data rows")
    return lines.index(below)


def _delimiter(header: str, rows: list[str], separator: str | None) -> str:
    """Choose the separator: the caller's, else one that gives the first rows as many cells as the header."""
    if separator is not None:
        return separator
    candidates = [c for c in _SEPARATORS if c in header]
    candidates.sort(key=lambda c: -header.count(c))
    candidates.append("whitespace")
    for candidate in candidates:
        width = len(cells_of(header, candidate))
        shapes = {len(cells_of(row, candidate)) - width for row in rows[:20]}
        if width > 1 and shapes & {0, 1}:  # 1: row names, or a separator behind the last cell
            return candidate
    return candidates[0]
