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

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.formats.sumstats.blocks import RawBlock, Seen, TextRules
from gputwas.formats.sumstats.head import Head
from gputwas.formats.sumstats.inflate import Block

__all__ = ["IDENTITY", "FileTrail", "ScanKeep", "ScanPlan", "Scanner", "plan_scan"]

log = logging.getLogger(__name__)

NUMBERS = frozenset(
    ["beta", "odds_ratio", "se", "z", "p", "nlog10_p", "n", "effect_allele_frequency", "info"]
)
"""Roles whose cells are read as numbers without becoming text first."""

IDENTITY = (
    "variant_id",
    "chromosome",
    "position",
    "effect_allele",
    "other_allele",
    "ref_allele",
    "alt_allele",
)
"""Roles that say which variant a row is about: two files in which these columns are equal match alike."""

_ORDINARY = frozenset(["test", "variant_key", "sample"])  # roles that decide about rows in ways of their own
_DELIMITERS = frozenset("\t,;| ")
_MOST_CHROMOSOMES = 256
_LAST_LINE = (1 << 31) - 1


class ScanKeep(Protocol):
    """A filter of rows (`Keep`) that can be asked before rows become columns.

    One that cannot, but whose files are to be watched, has an attribute `watches` that is true instead.
    """

    def id_table(self) -> Any:
        """The wanted identifiers as an `IdTable`, or None to be asked the ordinary way."""

    def sampled(self, rows: int) -> npt.NDArray[np.int64] | None:
        """Of a block of so many rows, those whose identifiers it wants to see; None = no more."""

    def remember(self, ids: pa.Array) -> None:
        """Take the identifiers of the rows it asked for."""


@dataclass(frozen=True)
class ScanPlan:
    """How the bytes of one file are cut.

    Attributes
    ----------
    separator : one character, or "" for runs of white space. width : cells of a row.
    wanted : role -> column. spans : first and last column of each run of columns that identify the row.
    kind : equal for files of the same shape that begin with the same variants.
    """

    separator: str
    width: int
    wanted: Mapping[str, int]
    spans: tuple[tuple[int, int], ...]
    kind: tuple[Any, ...]


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


def plan_scan(
    head: Head,
    columns: Mapping[str, str],
    needed: Mapping[str, str],
    rules: TextRules,
    *,
    watched: bool = False,
) -> ScanPlan | None:
    """Return how to scan a file with this head, or None if only the ordinary way will do.

    Parameters
    ----------
    columns : role -> name, of all columns that the file's layout knows. needed : those of them that are read.
    watched : the file is to be watched, which also does for one without identifiers.
    """
    separator = "" if head.delimiter == "whitespace" else head.delimiter
    named = "variant_id" in needed or (watched and {"chromosome", "position"} <= set(needed))
    plain = not (head.quoted or head.padded or rules.every_blank) and named
    if separator:
        plain = plain and separator in _DELIMITERS and not rules.strip
    if not plain or _ORDINARY & set(needed):
        return None
    identity = sorted({head.names.index(columns[role]) for role in IDENTITY if role in columns})
    first_rows = hash(tuple(tuple(row[i] for i in identity) for row in head.sample[:100]))
    wanted = {role: head.names.index(name) for role, name in needed.items()}
    kind = (separator, head.names, tuple(wanted.items()), tuple(identity), first_rows)
    return ScanPlan(separator, len(head.names), wanted, _runs(identity), kind)


def _runs(columns: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """First and last of each run of consecutive numbers."""
    firsts = [c for c in columns if c - 1 not in columns]
    lasts = [c for c in columns if c + 1 not in columns]
    return tuple(zip(firsts, lasts, strict=True))


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
        from gputwas.formats.sumstats import scan_kernels

        self._kernels = scan_kernels
        self._plan, self._keep, self._known = plan, keep, known
        self._roles = [r for r in plan.wanted if known is None or r not in IDENTITY]
        take = [(plan.wanted[role], role in NUMBERS) for role in self._roles]
        self._take = np.array(take, np.int64).reshape(-1, 2)
        self._spans = np.array(plan.spans, np.int64).reshape(-1, 2)
        if keep is not None:
            self._table, self._picks = keep.id_table().arrays, np.zeros(0, np.int32)
        else:
            self._table = _empty_table()
            self._picks = np.zeros(0, np.int32) if known is None else known.picks
        self._picks = _read_only(self._picks)
        self._state = np.zeros(7, np.int64)
        self._marks = np.zeros(2, np.uint64)
        self._names = np.zeros(_MOST_CHROMOSOMES, np.uint64)
        self._rows = self._malformed = 0
        self._scratch: tuple[npt.NDArray[Any], ...] | None = None
        self._checks: list[npt.NDArray[np.uint64]] = []
        self._lines: list[npt.NDArray[np.int32]] = []
        self._first_line, self._ordinary, self._plain = first_line, ordinary, True

    def read(self, data: npt.NDArray[np.uint8]) -> RawBlock:
        """Return the wanted rows of the next block, uint8 (bytes,); of one that is not plain all rows."""
        if self._keep is None and self._known is None:
            return self._watch(data)
        kernels, block = self._kernels, Block(data, self._first_line)
        names_before, lines_before = (int(self._state[i]) for i in (kernels.CHROMOSOMES, kernels.LINES))
        found = self._found(_read_only(np.ascontiguousarray(data)), names_before)
        if found is None:
            self._state[kernels.CHROMOSOMES] = names_before
            self._plain = False
            self._first_line += int(np.count_nonzero(data == 10))
            return self._ordinary(block)
        columns, lines, seen = found
        self._lines.append(lines)
        rows, malformed = (int(self._state[i]) for i in (kernels.ROWS, kernels.MALFORMED))
        self._rows += rows
        self._malformed += malformed
        self._first_line += int(self._state[kernels.LINES]) - lines_before
        first = block.first_line - lines_before
        return RawBlock(
            columns, lambda row: int(lines[row]) + first, malformed, seen, lambda: self._ordinary(block)
        )

    def _watch(self, data: npt.NDArray[np.uint8]) -> RawBlock:
        """All rows of a block, of which those that are kept go into the trail."""
        kernels, raw = self._kernels, self._ordinary(Block(data, self._first_line))
        self._first_line += int(np.count_nonzero(data == 10))
        names_before, lines_before = (int(self._state[i]) for i in (kernels.CHROMOSOMES, kernels.LINES))
        scanned = self._scan(_read_only(np.ascontiguousarray(data))) if self._plain else None
        rows, malformed = (int(self._state[i]) for i in (kernels.ROWS, kernels.MALFORMED))
        counted = rows == len(next(iter(raw.columns.values()))) and malformed == raw.malformed
        if scanned is None or not counted or self._names_from(names_before) is None:
            self._plain = False
            return raw
        self._rows += rows
        self._malformed += malformed
        if rows == int(self._state[kernels.LINES]) - lines_before:
            lines = np.arange(rows)
        else:  # the lines that are blank or malformed are no rows
            lines = np.searchsorted(np.flatnonzero(data == 10), scanned[3][:, 0])

        def took(kept: npt.NDArray[Any]) -> None:
            self._lines.append((lines[kept] + lines_before).astype(np.int32))

        return replace(raw, took=took)

    def _found(
        self, data: npt.NDArray[np.uint8], names_before: int
    ) -> tuple[dict[str, pa.Array], npt.NDArray[np.int32], Seen] | None:
        """Columns and lines of the wanted rows, and what is told of all rows; None if it is not plain."""
        scanned = self._scan(data)
        if scanned is None:
            return None
        lines, cells, numbers, ids = scanned
        columns, names = self._columns(data, cells, numbers), self._names_from(names_before)
        if columns is None or names is None:
            return None
        if self._keep is not None and len(ids):
            from gputwas.formats.sumstats.scan_cells import text_column

            sample = text_column(data, np.ascontiguousarray(ids[self._keep.sampled(len(ids))]), 0)
            if sample is None:
                return None
            self._keep.remember(sample)
        return columns, lines, Seen(int(self._state[self._kernels.ROWS]), pa.array(names, pa.string()))

    def _scan(self, data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], ...] | None:
        """Return what the rows are that are wanted, or None if the block is not plain.

        Lines (rows,), places of cells (rows, 2 columns), numbers (columns, rows), places of all identifiers.
        """
        plan, kernels = self._plan, self._kernels
        separator = plan.separator or _first_blank(data)
        if not separator or int(self._state[kernels.LINES]) + len(data) > _LAST_LINE:
            return None
        tail = np.zeros(64, np.uint8)
        rest = len(data) % 64
        tail[:rest] = data[len(data) - rest :]
        most = len(data) // plan.width + 1  # a row has a byte or more for each of its cells
        chromosome = plan.wanted.get("chromosome", -1) if self._known is None else -1
        picking = self._known is not None
        rules = (
            ord(separator),
            not plan.separator,
            plan.width,
            plan.wanted.get("variant_id", plan.wanted.get("position", 0)),
            chromosome,
            picking,
        )
        lines, cells, numbers, ids = self._room(most)
        if picking or (self._keep is not None and self._keep.sampled(1) is None):
            ids = ids[:0]
        checks = np.empty((len(data) // kernels.CHECKED_LINES + 2, 2), np.uint64)
        started, variants = time.perf_counter(), len(kernels.scan_lines.signatures)
        plain = kernels.scan_lines(
            data, _read_only(tail), np.array(rules, np.int64), self._take, self._spans, self._table,
            self._picks, self._state, self._marks, self._names, ids, lines, cells, numbers, checks,
        )  # fmt: skip
        if len(kernels.scan_lines.signatures) > variants:
            _say_if_compiled(time.perf_counter() - started)
        if not plain:
            return None
        kept = int(self._state[kernels.KEPT])
        self._checks.append(checks[: int(self._state[kernels.CHECKS])].copy())
        return lines[:kept].copy(), cells[:kept], numbers[:, :kept], ids[: int(self._state[kernels.ROWS])]

    def _room(self, rows: int) -> tuple[npt.NDArray[Any], ...]:
        """Arrays for what a scan of so many rows gives; the same ones for every block."""
        if self._scratch is None or len(self._scratch[0]) < rows:
            count = len(self._take)
            self._scratch = (
                np.empty(rows, np.int32),
                np.empty((rows, 2 * count), np.int32),
                np.empty((count, rows)),
                np.empty((rows, 2), np.int32),
            )
        return self._scratch

    def _columns(
        self, data: npt.NDArray[np.uint8], cells: npt.NDArray[np.int32], numbers: npt.NDArray[np.float64]
    ) -> dict[str, pa.Array] | None:
        """Arrow columns of the wanted rows; None if one is not plain ASCII."""
        from gputwas.formats.sumstats.scan_cells import number_column, text_column

        columns: dict[str, pa.Array] = {}
        for place, role in enumerate(self._roles):
            column = number_column(data, cells, place, numbers[place]) if role in NUMBERS else None
            column = text_column(data, cells, place) if column is None else column
            if column is None:
                return None
            columns[role] = column
        return columns

    def _names_from(self, before: int) -> list[str] | None:
        """Chromosomes that this block is the first to name; None if one is no text."""
        names = self._names[before : int(self._state[self._kernels.CHROMOSOMES])]
        try:
            return [int(name).to_bytes(8, "little").rstrip(b"\0").decode() for name in names]
        except UnicodeDecodeError:
            return None

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
        names = self._names_from(0)
        picks = np.concatenate([np.zeros(0, np.int32), *self._lines])
        return FileTrail(
            self._all_checks(), self._mark(), picks, self._rows, self._malformed, tuple(names or ())
        )

    def _all_checks(self) -> npt.NDArray[np.uint64]:
        return np.concatenate([np.zeros((0, 2), np.uint64), *self._checks])

    def _mark(self) -> tuple[int, int, int]:
        return int(self._marks[0]), int(self._marks[1]), int(self._state[self._kernels.LINES])


def _first_blank(data: npt.NDArray[np.uint8]) -> str:
    """Which of blank and tab separates, by the first lines; "" if neither is there."""
    start = data[:4096]
    return "\t" if (start == 9).any() else " " if (start == 32).any() else ""


def _empty_table() -> tuple[npt.NDArray[Any], ...]:
    kinds = (np.uint64, np.uint64, np.uint8, np.int64)
    return tuple(_read_only(np.zeros(1, kind)) for kind in kinds)


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written: compiled code is compiled anew for arrays of another kind."""
    view = array.view()
    view.flags.writeable = False
    return view


def _say_if_compiled(seconds: float) -> None:
    if seconds > 1:  # loading what was compiled before takes a fifth of that
        log.info("compiled the reader's inner loop in %.1f s; where it can be kept, only once", seconds)
