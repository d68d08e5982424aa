"""Blocks of text -> columns of strings, at the speed of Arrow's CSV parser.

In: newline-aligned byte blocks and which columns are wanted. Out: `RawBlock`s: the wanted cells as Arrow
strings, the number of rows whose cell count is not the header's, and a way to find the line of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from gputwas.errors import InputError
from gputwas.formats.sumstats.head import Head, cells_of
from gputwas.formats.sumstats.inflate import Block

__all__ = ["RawBlock", "Seen", "TextRules", "text_blocks"]

_BLANK, _NEWLINE, _TAB = 32, 10, 9
_STAND_IN = "\x1f"  # takes the place of a separator of several characters, which Arrow does not know


@dataclass(frozen=True)
class Seen:
    """Of a block that holds only the rows that are wanted: what all of its rows were.

    Attributes
    ----------
    rows : well-formed rows. chromosomes : string array, those that no block before had, as written.
    """

    rows: int
    chromosomes: pa.Array


@dataclass(frozen=True)
class RawBlock:
    """Some rows of a file, not yet interpreted.

    Attributes
    ----------
    columns : role -> array (rows,) of strings (text formats) or of the file's own type (Parquet).
    line_of : row in the block -> 1-based line in the file.
    malformed : rows left out because their number of cells differs from the header's.
    seen : None if these are all rows; else they are the wanted ones, and this is about all.
    as_text : reads all rows of the block again, every cell as text; None if that is what this holds.
    took : wants to be told which rows of the block are kept, int64 ascending; None = does not.
    """

    columns: dict[str, pa.Array]
    line_of: Callable[[int], int]
    malformed: int
    seen: Seen | None = None
    as_text: Callable[[], RawBlock] | None = None
    took: Callable[[np.ndarray], None] | None = None


@dataclass(frozen=True)
class TextRules:
    """How lines are cut into cells.

    Attributes
    ----------
    strip : lines lose leading and trailing white space before they are cut (so an empty last cell costs the
        row), as MetaXcan has it.
    every_blank : each single white-space character separates (MetaXcan's --handle_empty_columns).
    """

    strip: bool = False
    every_blank: bool = False


def text_blocks(
    source: Iterator[Block], head: Head, wanted: Mapping[str, int], rules: TextRules, path: str
) -> Iterator[RawBlock]:
    """Parse blocks into the columns `wanted` (role -> position in the header)."""
    for block in source:
        data, delimiter = _prepare(block.data, head.delimiter, rules)
        yield _parse(data, delimiter, block.first_line, head, wanted, path)


def _prepare(data: np.ndarray, delimiter: str, rules: TextRules) -> tuple[np.ndarray, str]:
    """Bring a block to a form with one separator character; untouched where it has that form already."""
    if delimiter == "whitespace":
        if rules.every_blank:
            return _translate(data, {_BLANK: _TAB, 11: _TAB, 12: _TAB}), "\t"
        return _single_blanks(data)
    if len(delimiter) > 1:
        text = data.tobytes().replace(delimiter.encode(), _STAND_IN.encode())
        data, delimiter = np.frombuffer(text, dtype=np.uint8), _STAND_IN
    if rules.strip and not rules.every_blank:
        data = _strip_lines(data)
    return data, delimiter


def _single_blanks(data: np.ndarray) -> tuple[np.ndarray, str]:
    """Make runs of white space one separator and take them off the ends of lines.

    Most files need nothing: one separator character, never twice in a row nor beside a newline. Control
    characters and blanks are all bytes <= 32, so one comparison of neighbours decides.
    """
    small = data <= _BLANK
    uses_tab, uses_blank = bool((data == _TAB).any()), bool((data == _BLANK).any())
    touching = bool((small[1:] & small[:-1]).any()) or bool(small[0])
    if not touching and not (uses_tab and uses_blank):
        return data, "\t" if uses_tab else " "
    data = _translate(data, {_TAB: _BLANK, 11: _BLANK, 12: _BLANK, 13: _BLANK})
    blank = data == _BLANK
    next_ends = np.empty(len(data), dtype=bool)
    next_ends[:-1] = blank[1:] | (data[1:] == _NEWLINE)
    next_ends[-1] = True
    data = data[~(blank & next_ends)]  # the last blank of a run stays, unless the line ends there
    after_newline = np.empty(len(data), dtype=bool)
    after_newline[0] = True
    after_newline[1:] = data[:-1] == _NEWLINE
    return data[~(after_newline & (data == _BLANK))], " "


def _strip_lines(data: np.ndarray) -> np.ndarray:
    small = (data <= _BLANK) & (data != _NEWLINE)
    newline = data == _NEWLINE
    if not (small[0] or (small[1:] & newline[:-1]).any() or (small[:-1] & newline[1:]).any()):
        return data
    text = b"\n".join(line.strip() for line in data.tobytes().split(b"\n"))
    return np.frombuffer(text, dtype=np.uint8)


def _translate(data: np.ndarray, changes: Mapping[int, int]) -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    for old, new in changes.items():
        table[old] = new
    return table[data]


def _parse(
    data: np.ndarray, delimiter: str, first_line: int, head: Head, wanted: Mapping[str, int], path: str
) -> RawBlock:
    malformed = 0

    def count(_row: object) -> str:
        nonlocal malformed
        malformed += 1
        return "skip"

    keys = [f"c{i}" for i in range(len(head.names))]  # positions, as a header may repeat a name
    used = sorted({keys[i] for i in wanted.values()})
    if not len(data):
        return RawBlock({role: pa.array([], pa.string()) for role in wanted}, lambda row: first_line, 0)
    quote = '"' if head.quoted else False
    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=pacsv.ReadOptions(column_names=keys, block_size=len(data) + 1, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, quote_char=quote, invalid_row_handler=count
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=used, column_types=dict.fromkeys(used, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(error, path, first_line) from error
    arrays = {key: table.column(key).combine_chunks() for key in used}
    plain = {
        key: array.chunk(0) if isinstance(array, pa.ChunkedArray) else array for key, array in arrays.items()
    }

    def line_of(row: int) -> int:
        return _line_of(data, delimiter, first_line, len(keys), head.quoted, row)

    return RawBlock({role: plain[keys[i]] for role, i in wanted.items()}, line_of, malformed)


def _unreadable(error: Exception, path: str, line: int) -> InputError:
    if "utf8" not in str(error).lower():
        return InputError(f"cannot be parsed ({error})", path=path, line=line)
    return InputError(
        "has cells that are not UTF-8 text",
        path=path,
        line=line,
        expected="UTF-8 or ASCII in the columns used",
        remedy=f"Convert it: iconv -f LATIN1 -t UTF-8 {path} > converted.txt.",
    )


def _line_of(data: np.ndarray, delimiter: str, first_line: int, width: int, quoted: bool, row: int) -> int:
    """Walk the lines again to find the one a parsed row came from; only called when an error is reported."""
    seen = -1
    lines = re.split(r"\r\n|\n|\r", data.tobytes().decode("utf-8", "replace"))
    for number, line in enumerate(lines, start=first_line):
        if line and len(cells_of(line, delimiter, quoted)) == width:
            seen += 1
            if seen == row:
                return number
    return first_line
