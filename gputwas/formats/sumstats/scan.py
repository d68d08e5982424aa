"""The fast way of reading a plain text file: only the rows that are wanted are ever taken apart.

In: blocks of a file whose shape is plain, and either a table of wanted identifiers or what an earlier file
with the same variants in the same order taught. Out: `RawBlock`s of the wanted rows, and a `FileTrail`, by
which a later file is known again and read with no look at its identifiers. Where what is wanted cannot be
told from the bytes of one cell (a place in the genome), a file is read the ordinary way and only watched, so
that it leaves a trail all the same.

The ordinary way is `blocks.text_blocks`. Both give the same wanted rows, counts, and errors about them. Rows
that are not wanted are counted and their cells are not looked at, so that bytes in them that are no UTF-8 are
an error of the ordinary way only. A block that is not plain (runs of blanks, bare carriage returns, text
beyond ASCII in a wanted row) is left to the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.formats.sumstats.blocks import RawBlock, Seen
from gputwas.formats.sumstats.inflate import Block
from gputwas.formats.sumstats.scan_cells import number_column, text_column
from gputwas.formats.sumstats.scan_plan import IDENTITY, NUMBERS, ScanPlan
from gputwas.kernels.scan import LineScan, WantedRows
from gputwas.kernels.texts import TextTable

__all__ = ["FileTrail", "ScanKeep", "Scanner"]

Bytes = npt.NDArray[np.uint8]


class ScanKeep(Protocol):
    """A filter of rows (`Keep`) that can be asked before rows become columns.

    One that cannot, but whose files are to be watched, has an attribute `watches` that is true instead.
    """

    def id_table(self) -> TextTable | None:
        """The wanted identifiers, or None to be asked the ordinary way."""

    def sampled(self, rows: int) -> npt.NDArray[np.int64] | None:
        """Of a block of so many rows, those whose identifiers it wants to see; None = no more."""

    def remember(self, ids: pa.Array) -> None:
        """Take the identifiers of the rows it asked for."""


@dataclass(frozen=True, eq=False)
class FileTrail:
    """What reading one file taught about all files with the same variants in the same order.

    Attributes
    ----------
    checks : uint64 (checkpoints, 2), the running fingerprint after every so many lines.
    mark : the fingerprint at the end, and the number of lines.
    picks : int32 (rows,), lines of the rows that were kept, from 0.
    rows, malformed : as in `Counts`. chromosomes : those that the file has rows on, as written.
    """

    checks: npt.NDArray[np.uint64]
    mark: tuple[int, int, int]
    picks: npt.NDArray[np.int32]
    rows: int
    malformed: int
    chromosomes: tuple[str, ...]


class Scanner:
    """Goes through the blocks of one file.

    Parameters
    ----------
    keep : says which rows are wanted, where there is no `known`.
    first_line : line of the file at which the first block begins.
    ordinary : reads a block the ordinary way: one that is not plain, and one with a cell that is to be quoted
        in an error as it is written.
    known : the trail of an earlier file: its rows are taken, and only their numbers.

    With neither `keep` nor `known` blocks are read the ordinary way and watched.
    """

    def __init__(
        self,
        plan: ScanPlan,
        keep: ScanKeep | None,
        first_line: int,
        ordinary: Callable[[Block], RawBlock],
        known: FileTrail | None = None,
    ) -> None:
        self._separator, self._keep, self._known = plan.separator, keep, known
        self._roles = [r for r in plan.wanted if known is None or r not in IDENTITY]
        wanted = known.picks if known is not None else None if keep is None else keep.id_table()
        self._scan = LineScan(plan.columns(self._roles, named=known is None), wanted)
        self._rows = self._malformed = 0
        self._lines: list[npt.NDArray[np.int32]] = []
        self._first_line, self._ordinary, self._plain = first_line, ordinary, True

    def read(self, data: Bytes) -> RawBlock:
        """Return the wanted rows of the next block, uint8 (bytes,); of one that is not plain all rows."""
        if self._keep is None and self._known is None:
            return self._watch(data)
        block, before = Block(data, self._first_line), self._scan.lines
        found = self._block(data, ids=self._keep is not None and self._keep.sampled(1) is not None)
        names = None if found is None else _texts(found.names)
        columns = None if found is None else self._columns(data, found)
        if found is None or names is None or columns is None or not self._show(data, found):
            self._plain = False
            self._first_line += int(np.count_nonzero(data == 10))
            if found is not None:
                self._scan.forget(found.names)
            return self._ordinary(block)
        self._add(found)
        self._lines.append(found.lines)
        self._first_line += self._scan.lines - before
        lines, first = found.lines, block.first_line - before
        seen = Seen(found.count, pa.array(names, pa.string()))
        return RawBlock(
            columns, lambda row: int(lines[row]) + first, found.malformed, seen, lambda: self._ordinary(block)
        )

    def _watch(self, data: Bytes) -> RawBlock:
        """All rows of a block, of which those that are kept go into the trail."""
        raw, before = self._ordinary(Block(data, self._first_line)), self._scan.lines
        self._first_line += int(np.count_nonzero(data == 10))
        found = self._block(data, ids=True) if self._plain else None
        told = len(next(iter(raw.columns.values()))), raw.malformed
        if found is None or (found.count, found.malformed) != told or _texts(found.names) is None:
            self._plain = False
            return raw
        self._add(found)
        if found.count == self._scan.lines - before:
            lines = np.arange(found.count)
        else:  # the lines that are blank or malformed are no rows
            lines = np.searchsorted(np.flatnonzero(data == 10), found.ids[:, 0])

        def took(kept: npt.NDArray[np.int64]) -> None:
            self._lines.append((lines[kept] + before).astype(np.int32))

        return replace(raw, took=took)

    def _block(self, data: Bytes, *, ids: bool) -> WantedRows | None:
        separator = self._separator or _first_blank(data)
        return self._scan.block(data, ord(separator), ids=ids) if separator else None

    def _add(self, found: WantedRows) -> None:
        self._rows += found.count
        self._malformed += found.malformed

    def _show(self, data: Bytes, found: WantedRows) -> bool:
        """Show the filter the identifiers that it wants to see; false if they are not plain ASCII."""
        if self._keep is None or not len(found.ids):
            return True
        sample = text_column(data, found.ids[self._keep.sampled(len(found.ids))], 0)
        if sample is not None:
            self._keep.remember(sample)
        return sample is not None

    def _columns(self, data: Bytes, found: WantedRows) -> dict[str, pa.Array] | None:
        """Arrow columns of the wanted rows; None if one is not plain ASCII."""
        columns: dict[str, pa.Array] = {}
        for place, role in enumerate(self._roles):
            column = (
                number_column(data, found.cells, place, found.numbers[place]) if role in NUMBERS else None
            )
            column = text_column(data, found.cells, place) if column is None else column
            if column is None:
                return None
            columns[role] = column
        return columns

    def agrees(self) -> bool:
        """Whether the file is so far, as far as checkpoints tell, the one that is `known`."""
        if self._known is None or not self._plain:
            return False
        done = self._all_checks()
        return len(done) <= len(self._known.checks) and np.array_equal(done, self._known.checks[: len(done)])

    def ended_alike(self) -> bool:
        """Whether the file, read to its end, had the variants of the one that is `known`, in that order."""
        return self._known is not None and self.agrees() and self._mark() == self._known.mark

    def trail(self) -> FileTrail | None:
        """What the file, read to its end, has taught; None if a block of it was not plain."""
        if not self._plain:
            return None
        names = _texts(self._scan.names)
        picks = np.concatenate([np.zeros(0, np.int32), *self._lines])
        return FileTrail(
            self._all_checks(), self._mark(), picks, self._rows, self._malformed, tuple(names or ())
        )

    def _all_checks(self) -> npt.NDArray[np.uint64]:
        return np.concatenate([np.zeros((0, 2), np.uint64), *self._scan.checks])

    def _mark(self) -> tuple[int, int, int]:
        return int(self._scan.mark[0]), int(self._scan.mark[1]), self._scan.lines


def _texts(words: npt.NDArray[np.uint64]) -> list[str] | None:
    """Names of up to eight bytes each as text; None if one is none."""
    try:
        return [int(name).to_bytes(8, "little").rstrip(b"\0").decode() for name in words]
    except UnicodeDecodeError:
        return None


def _first_blank(data: Bytes) -> str:
    """Which of blank and tab separates, by the first lines; "" if neither is there."""
    start = data[:4096]
    return "\t" if (start == 9).any() else " " if (start == 32).any() else ""
