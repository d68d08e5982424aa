"""The byte loop over a table of text, see scan.c.

In: blocks of whole lines as bytes, where their columns are, and either a table of wanted identifiers or the
numbers of the wanted lines. Out: where the cells of wanted rows begin and end, the numbers in them, counts,
and a running fingerprint of the columns that identify a row. Separators are found 64 bytes at a time: a
vector comparison gives one bit per byte (as Langdale and Lemire do, VLDB Journal 28:941 (2019),
doi:10.1007/s00778-019-00578-5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gputwas.kernels.library import INTEGER, array, filled, of_library
from gputwas.kernels.texts import NO_TEXTS, TextTable

__all__ = ["CHECKED_LINES", "Columns", "LineScan", "WantedRows", "copy_cells", "read_numbers"]

CHECKED_LINES = 65_536
"""Lines between two checkpoints of the fingerprint, as in scan.c."""

LAST_BYTE = (1 << 31) - 1
"""Bytes of a block, and lines of a file, that places of 32 bits reach."""

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

_i4, _i8, _f8, _u1, _u8 = np.int32, np.int64, np.float64, np.uint8, np.uint64
_WINDOW = 64 * 128  # as in masks.h: bytes that are gone through at a time
_SPARE = 64  # places behind the last one that may be written over
_MOST_CHROMOSOMES = 256
_LINES, _PICKED, _NAMES, _ROWS, _MALFORMED, _KEPT, _CHECKS = range(7)  # as in scan.c: state_t

_scan_lines = of_library(
    "scan_lines", array(_i8), array(_u1), INTEGER, array(_i8, 2), array(_i8, 2), array(_u8), array(_u8),
    array(_u1), array(_i8), array(_i4), filled(_i8), filled(_u8), filled(_u8), filled(_i4), filled(_i4, 2),
    filled(_i4), filled(_i4, 2), filled(_f8, 2), filled(_u8, 2), returns=INTEGER,
)  # fmt: skip
_copy_cells = of_library(
    "copy_cells", array(_u1), INTEGER, INTEGER, INTEGER, INTEGER, array(_i4, 2), filled(_i4), INTEGER,
    filled(_u1), returns=INTEGER,
)  # fmt: skip
_read_numbers = of_library("read_numbers", array(_u1), INTEGER, INTEGER, array(_i4, 2), filled(_f8))


@dataclass(frozen=True)
class Columns:
    """How the rows of a file are cut, and which of their cells matter.

    Attributes
    ----------
    width : cells of a row. blanks : every byte up to a blank counts as white space.
    identifier : column that is looked up. chromosome : column whose values are noted, -1 = none.
    take : columns whose places are given back, and whether they hold numbers.
    spans : first and last column of each run of columns in the fingerprint.
    """

    width: int
    blanks: bool
    identifier: int
    chromosome: int
    take: tuple[tuple[int, bool], ...]
    spans: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        used = [self.identifier, max(self.chromosome, 0), *(c for c, _ in self.take), *sum(self.spans, ())]
        if self.width < 1 or not 0 <= min(used) <= max(used) < self.width:
            raise ValueError(f"columns {sorted(set(used))} of rows with {self.width} cells")
        if any(first > last for first, last in self.spans):
            raise ValueError(f"runs of columns {self.spans} must ascend")


@dataclass(frozen=True, eq=False)
class WantedRows:
    """What the scan of a block found.

    Attributes
    ----------
    lines : int32 (rows,), line of each wanted row, from 0 through the file.
    cells : int32 (rows, 2 columns), begin and end of the cells taken.
    numbers : float64 (columns, rows), the numbers in them, NaN where the text has to be looked at.
    ids : int32 (well-formed rows, 2), begin and end of every identifier; empty if it was not asked for.
    count, malformed : well-formed rows, and rows with another number of cells.
    names : uint64, values of the chromosome column that no block before had, of up to eight bytes each.

    The last four arrays are used again by the next block.
    """

    lines: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int32]
    count: int
    malformed: int
    names: npt.NDArray[np.uint64]


@dataclass(eq=False)
class LineScan:
    """Goes through the blocks of one file.

    Parameters
    ----------
    columns : how rows are cut.
    wanted : identifiers of the rows that are wanted, or int32 (rows,), their lines from 0, each above the
        one before; None = no row is.

    Attributes
    ----------
    mark : uint64 (2,), the fingerprint so far. checks : the same at each checkpoint, arrays (checkpoints, 2).
    """

    columns: Columns
    wanted: TextTable | npt.NDArray[np.int32] | None = None
    mark: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(2, np.uint64))
    checks: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._picking = isinstance(self.wanted, np.ndarray)
        self._table = self.wanted if isinstance(self.wanted, TextTable) else NO_TEXTS
        self._picks = self.wanted if isinstance(self.wanted, np.ndarray) else np.zeros(0, np.int32)
        if self._picks.min(initial=0) < 0 or (self._picks[1:] <= self._picks[:-1]).any():
            raise ValueError(f"{len(self._picks)} wanted lines must ascend from 0, none of them twice")
        self._take = np.array(self.columns.take, np.int64).reshape(-1, 2)
        self._spans = np.array(self.columns.spans, np.int64).reshape(-1, 2)
        self._state = np.zeros(7, np.int64)
        self._names = np.zeros(_MOST_CHROMOSOMES, np.uint64)
        self._places = np.empty(_WINDOW + self.columns.width + 1 + _SPARE, np.int32)
        self._room: tuple[Array, ...] = ()

    @property
    def lines(self) -> int:
        """Lines so far, of blocks that are plain."""
        return int(self._state[_LINES])

    @property
    def names(self) -> npt.NDArray[np.uint64]:
        """Values of the chromosome column so far."""
        return self._names[: self._state[_NAMES]]

    def forget(self, names: npt.NDArray[np.uint64]) -> None:
        """Take the names that the last block brought as not seen yet."""
        self._state[_NAMES] -= len(names)

    def block(self, data: Bytes, separator: int, *, ids: bool = False) -> WantedRows | None:
        """Scan the next block.

        Parameters
        ----------
        data : uint8 (bytes,), whole lines. separator : the byte between cells.
        ids : the places of all identifiers are asked for; not if wanted lines are given.

        Returns
        -------
        The wanted rows; None if the block is not of the plain kind (runs of blanks, carriage returns that end
        no line, long names of chromosomes), and then it counts for nothing.
        """
        if self.lines + len(data) > LAST_BYTE or separator in b"\r\n" or not 0 < separator < 256:
            return None
        lines, cells, numbers, found, checks = self._rooms(len(data))
        ids = ids and not self._picking
        known, c, table = int(self._state[_NAMES]), self.columns, self._table
        sizes = (
            separator, c.blanks, c.width, c.identifier, c.chromosome, self._picking, len(self._take),
            len(self._spans), len(table.present), len(table.slots), len(self._picks), len(self._names), ids,
            len(lines),
        )  # fmt: skip
        plain = _scan_lines(
            np.array(sizes, np.int64), data, len(data), self._take, self._spans, table.present, table.slots,
            table.text, table.ends, self._picks, self._state, self.mark, self._names, self._places, found,
            lines, cells, numbers, checks,
        )  # fmt: skip
        if not plain:
            return None
        rows, malformed, kept, passed = (int(self._state[k]) for k in (_ROWS, _MALFORMED, _KEPT, _CHECKS))
        self.checks.append(checks[:passed].copy())
        return WantedRows(
            lines[:kept].copy(), cells[:kept], numbers[:, :kept], found[: rows if ids else 0], rows,
            malformed, self.names[known:],
        )  # fmt: skip

    def _rooms(self, size: int) -> tuple[Array, ...]:
        """Arrays for what a block of so many bytes can give; the same ones for every block."""
        rows, count = size // self.columns.width + 1, len(self._take)  # a cell has a byte or more
        if not self._room or len(self._room[0]) < rows:
            self._room = (
                np.empty(rows, np.int32),
                np.empty((rows, 2 * count), np.int32),
                np.empty((count, rows)),
                np.empty((rows, 2), np.int32),
            )
        return *self._room, np.empty((size // CHECKED_LINES + 2, 2), np.uint64)


def copy_cells(data: Bytes, cells: npt.NDArray[np.int32], column: int) -> tuple[Bytes, Array, bool]:
    """Copy the cells of one column one after the other.

    Parameters
    ----------
    cells : int32 (rows, 2 columns), begin and end of each cell in `data`.

    Returns
    -------
    The bytes; int32 (rows + 1,), where each cell begins among them, and the end; whether all are ASCII.
    """
    begin, end = cells[:, 2 * column], cells[:, 2 * column + 1]
    _check_cells(begin, end, len(data))
    out, offsets = np.empty(int((end - begin).sum()), np.uint8), np.empty(len(cells) + 1, np.int32)
    columns = cells.shape[1] // 2
    ascii = _copy_cells(data, len(data), len(cells), columns, column, cells, offsets, len(out), out)
    return out, offsets, bool(ascii)


def read_numbers(data: Bytes, cells: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Read cells as numbers, float64 (cells,), NaN where the text has to be looked at.

    Parameters
    ----------
    cells : int32 (cells, 2), begin and end of each in `data`; the byte at its end is no digit.
    """
    _check_cells(cells[:, 0], cells[:, 1], len(data))
    out = np.empty(len(cells))
    _read_numbers(data, len(data), len(cells), cells, out)
    return out


def _check_cells(begin: Array, end: Array, size: int) -> None:
    if begin.min(initial=0) < 0 or end.max(initial=0) > size or (begin > end).any():
        raise ValueError(f"cells lie outside {size} bytes")
