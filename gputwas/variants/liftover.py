"""Moves positions from one genome build to another.

In: the blocks of a chain file once, then chromosomes and 1-based positions as arrays. Out: for each the
chromosome, position and strand that pyliftover's ``convert_coordinate`` gives first, and what became of it.

Where chains overlap, a position has several targets. They are ordered as pyliftover orders them: by the score
of their chain, highest first, and chains of one score as its interval tree happens to return them. When the
blocks are taken in, the source is cut wherever the list of targets changes; each piece knows its targets in
that order, so that a position is looked up once, and no Python runs per position.

Policy. `Liftover.lift` gives the first target of a position that has several different ones and marks it
SPLIT, as the others are just as much where the base went; whoever imports variants drops those unless told
otherwise. A position whose target is on another chromosome is MOVED: it is kept, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.variants.liftover_names import chromosome_codes, code_table, common_name, spelled_like
from gputwas.variants.liftover_pieces import Blocks, cut_to_pieces

__all__ = ["Chromosomes", "Hits", "Lifted", "Liftover", "Status", "complement"]

Chromosomes: TypeAlias = Sequence[str | None] | pa.Array | pa.ChunkedArray | npt.NDArray[np.integer]
"""Names, or codes from `Liftover.codes` as an integer array."""

Positions: TypeAlias = Sequence[int] | pa.Array | pa.ChunkedArray | npt.NDArray[np.integer]

_ROWS_AT_A_TIME = 1 << 16  # so that what is computed for them stays in the processor's cache
_BUCKETS_PER_PIECE, _MOST_BUCKET_BITS = 8, 24
_BEST = np.dtype([("shift", "i8"), ("code", "i4"), ("strand", "i1"), ("status", "u1"), ("unused", "u2")])
_SIXTEEN_BYTES = np.complex128  # what NumPy moves as one; structured elements it copies field by field
_MOST_STEPS = 8


class Status(IntEnum):
    """What became of a position."""

    MAPPED = 0
    """One target, on the same chromosome."""
    UNMAPPED = 1
    """No target: in no chain, on no chromosome of the chain file, or outside its chromosome."""
    SPLIT = 2
    """Several different targets (on whichever chromosome); the first of them is given."""
    MOVED = 3
    """One target, on another chromosome."""


@dataclass(frozen=True)
class Lifted:
    """Positions in the target build.

    Attributes
    ----------
    code : int32 (rows,), target chromosome as a place in `target_names`; -1 unmapped.
    position : int64 (rows,), from 1; -1 unmapped.
    strand : int8 (rows,), +1; -1 where the target is read in the other direction; 0 unmapped.
    status : uint8 (rows,), values of `Status`.
    target_names : as the chain file has them.
    """

    code: npt.NDArray[np.int32]
    position: npt.NDArray[np.int64]
    strand: npt.NDArray[np.int8]
    status: npt.NDArray[np.uint8]
    target_names: tuple[str, ...]
    _given: pa.DictionaryArray | None = None

    @cached_property
    def chromosome(self) -> pa.Array:
        """String array (rows,), null where unmapped.

        Written as the row's own chromosome was (with or without chr, 01, 23, M or MT), or as in the chain
        file if codes were given.
        """
        code = self.code.astype(np.int64)
        if self._given is None:
            return pa.array(self.target_names, pa.string()).take(pa.array(code, mask=code < 0))
        examples, rows = _entries(self._given)
        n = len(self.target_names)
        pair = rows * n
        pair += code
        pair[code < 0] = len(examples) * n
        place = np.zeros(len(examples) * n + 1, np.int32)
        place[pair] = 1
        present = np.flatnonzero(place)
        place[present] = np.arange(len(present))
        names = [self._name(pair, examples) for pair in present.tolist()]
        return pa.array(names, pa.string()).take(pa.array(place.take(pair)))

    def _name(self, pair: int, examples: list[str | None]) -> str | None:
        """Name of a target for rows with one of the names given."""
        row, code = divmod(pair, len(self.target_names))
        if row == len(examples):
            return None
        target, example = self.target_names[code], examples[row] or ""
        same = chromosome_codes([example], {common_name(target): 0}) == [0]
        return spelled_like(target, example, same=same)

    @property
    def counts(self) -> dict[str, int]:
        """Rows that are mapped, moved, split and unmapped, which add up to all; and reversed, of any kind."""
        found = np.bincount(self.status, minlength=len(Status))
        order = (Status.MAPPED, Status.MOVED, Status.SPLIT, Status.UNMAPPED)
        return {s.name.lower(): int(found[s]) for s in order} | {"reversed": int((self.strand < 0).sum())}


@dataclass(frozen=True)
class Hits:
    """All targets of some positions, in pyliftover's order.

    Attributes
    ----------
    count : int64 (rows,), targets of each row; they follow one another in the other arrays.
    code, position, strand, score : (targets,), as in `Lifted`, and the score of the chain.
    """

    count: npt.NDArray[np.int64]
    code: npt.NDArray[np.int32]
    position: npt.NDArray[np.int64]
    strand: npt.NDArray[np.int8]
    score: npt.NDArray[np.int64]


class Liftover:
    """A chain file made ready for look-ups.

    Parameters
    ----------
    chain : from `gputwas.formats.chain.read_chain`.
    """

    def __init__(self, chain: Blocks) -> None:
        self.chain = chain
        self._codes = code_table(chain.source_names)
        self._pieces = cut_to_pieces(chain)
        self._sizes = np.append(chain.source_sizes, 0)  # of the unknown chromosome, which is the last: 0
        self._set_lines()
        self._set_best()
        self._set_table()

    def codes(self, chromosomes: Chromosomes) -> npt.NDArray[np.int64]:
        """Code of each chromosome in the source build (rows,); -1 where the chain file has none such."""
        return self._coded(chromosomes)[0]

    def lift(self, chromosomes: Chromosomes, positions: Positions) -> Lifted:
        """Move positions to the target build.

        Parameters
        ----------
        chromosomes : (rows,) names in any spelling, or codes. positions : (rows,), from 1; what is below 1 or
            missing is unmapped.
        """
        codes, given = self._coded(chromosomes)
        places = _as_positions(positions)
        _check_lengths(codes, places)
        n = len(places)
        code, position = np.empty(n, np.int32), np.empty(n, np.int64)
        strand, status = np.empty(n, np.int8), np.empty(n, np.uint8)
        for begin in range(0, n, _ROWS_AT_A_TIME):
            rows = slice(begin, begin + _ROWS_AT_A_TIME)
            line = self._line(codes[rows], places[rows])
            best = self._best.view(_SIXTEEN_BYTES).take(self._piece(line), mode="clip").view(_BEST)
            code[rows], strand[rows], status[rows] = best["code"], best["strand"], best["status"]
            np.multiply(line, strand[rows], out=line)
            np.add(line, best["shift"], out=position[rows])
        return Lifted(code, position, strand, status, tuple(self.chain.target_names), given)

    def hits(self, chromosomes: Chromosomes, positions: Positions) -> Hits:
        """All targets of each position, as pyliftover's ``convert_coordinate`` lists them."""
        codes, places = self._coded(chromosomes)[0], _as_positions(positions)
        _check_lengths(codes, places)
        line = self._line(codes, places)
        piece = self._piece(line)
        low = self._pieces.offsets[piece]
        count = self._pieces.offsets[piece + 1] - low
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        blocks = self._pieces.blocks[np.repeat(low, count) + within]
        strand = self.chain.target_strand[blocks]
        position = self._shift[blocks] + np.repeat(line, count) * strand
        return Hits(count, self.chain.target[blocks], position, strand, self.chain.score[blocks])

    def in_target(self, chromosomes: Chromosomes, positions: Positions) -> npt.NDArray[np.bool_]:
        """Whether positions lie in the chain file's blocks of the *target* build, bool (rows,).

        Where more do than in those of the source, the chain file is the one for the other direction.
        """
        if isinstance(chromosomes, np.ndarray) and chromosomes.dtype.kind in "iu":
            raise TypeError("codes are of the source build; give names")
        names, rows = _entries(_encoded(chromosomes))
        table = code_table(self.chain.target_names)
        codes = np.append(np.array(chromosome_codes(names, table), np.int64), -1)[rows]
        places = _as_positions(positions)
        _check_lengths(codes, places)
        base, first, furthest = self._target_blocks
        sizes = np.append(self.chain.target_sizes, 0)
        line = base[codes] + np.clip(places, 0, sizes[codes] + 1)
        before = np.searchsorted(first, line, side="right") - 1
        return (before >= 0) & (line < furthest[before])

    @cached_property
    def _target_blocks(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Base of each target chromosome, start of each block, and the furthest end up to it, on one line."""
        chain = self.chain
        base = np.concatenate([[0], np.cumsum(np.asarray(chain.target_sizes) + 2)])
        size = chain.end - chain.start
        backward = np.asarray(chain.target_sizes)[chain.target] - chain.target_start - size
        start = np.where(chain.target_strand > 0, chain.target_start, backward) + base[chain.target] + 1
        order = np.argsort(start)
        return base, start[order], np.maximum.accumulate((start + size)[order])

    def _set_lines(self) -> None:
        """For each block the shift that makes target positions of places on the line: sign * place + shift.

        A base with x (from 0) in the source has place base + x + 1. On the reverse strand pyliftover
        (liftover.py, convert_coordinate) counts from the end: size - 1 - (target start + x - start).
        """
        chain, base = self.chain, self._pieces.base[self.chain.source]
        forward = chain.target_start - chain.start - base
        reverse = np.asarray(chain.target_sizes)[chain.target] - chain.target_start + chain.start + base + 1
        self._shift = np.where(chain.target_strand > 0, forward, reverse)

    def _set_best(self) -> None:
        """What a piece's first target is, and whether there are others."""
        chain, pieces = self.chain, self._pieces
        count = np.diff(pieces.offsets)
        there = count > 0
        best = pieces.blocks[pieces.offsets[:-1][there]]
        self._best = np.zeros(len(count), _BEST)  # together, as they are looked up together
        self._best[:] = (-1, -1, 0, Status.UNMAPPED, 0)
        self._best["code"][there] = chain.target[best]
        self._best["strand"][there] = chain.target_strand[best]
        self._best["shift"][there] = self._shift[best]
        source = [common_name(name) for name in chain.source_names]
        target = [common_name(name) for name in chain.target_names]
        same = np.array([[a == b for b in target] for a in source])[chain.source[best], chain.target[best]]
        self._best["status"][there] = np.where(same, Status.MAPPED, Status.MOVED)
        first = self._best[np.repeat(np.arange(len(count)), count)]
        other = (
            (chain.target[pieces.blocks] != first["code"])
            | (chain.target_strand[pieces.blocks] != first["strand"])
            | (self._shift[pieces.blocks] != first["shift"])
        )
        self._best["status"][np.repeat(np.arange(len(count)), count)[other]] = Status.SPLIT

    def _set_table(self) -> None:
        """The piece at the beginning of each of many equal stretches of the line.

        A binary search per position would cost more than all the rest. Most stretches lie within one piece;
        those that do not have the complement of the number, and positions in them are taken a few steps on.
        """
        start = self._pieces.start
        span = int(self._pieces.base[-1]) + 2
        bits = min(_MOST_BUCKET_BITS, (_BUCKETS_PER_PIECE * len(start)).bit_length())
        self._bits = np.int64(max(0, span.bit_length() - bits))
        edges = np.arange((span >> int(self._bits)) + 2, dtype=np.int64) << self._bits
        piece = np.searchsorted(start, edges, side="right") - 1
        last = np.searchsorted(start, edges[1:] - 1, side="right") - 1
        self._table = np.where(piece[:-1] == last, piece[:-1], ~piece[:-1]).astype(np.int32)

    def _line(self, codes: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Place of each position on the line; a new array."""
        outside = self._sizes.take(codes, mode="wrap")
        outside += 1
        np.minimum(outside, positions, out=outside)
        np.maximum(outside, 0, out=outside)
        outside += self._pieces.base.take(codes, mode="wrap")
        return outside

    def _piece(self, line: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Piece of each place on the line."""
        piece = self._table.take(line >> self._bits)
        unsure = np.flatnonzero(piece < 0)
        if len(unsure):
            piece[unsure] = self._among_several(line[unsure], ~piece[unsure])
        return piece

    def _among_several(
        self, line: npt.NDArray[np.int64], piece: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int32]:
        """Piece of each place, given the piece in which its stretch of the table begins."""
        start = self._pieces.start
        for _ in range(_MOST_STEPS):
            behind = start.take(piece + 1, mode="clip") <= line
            behind &= piece < len(start) - 1
            if not behind.any():
                return piece
            piece += behind
        return (np.searchsorted(start, line, side="right") - 1).astype(np.int32)

    def _coded(self, chromosomes: Chromosomes) -> tuple[npt.NDArray[np.int64], pa.DictionaryArray | None]:
        if isinstance(chromosomes, np.ndarray) and chromosomes.dtype.kind in "iu":
            codes = chromosomes.astype(np.int64, copy=False)
            if len(codes) and not -1 <= codes.min() <= codes.max() < len(self.chain.source_names):
                raise ValueError(f"codes of chromosomes go from -1 to {len(self.chain.source_names) - 1}")
            return codes, None
        given = _encoded(chromosomes)
        names, rows = _entries(given)
        return np.array([*chromosome_codes(names, self._codes), -1], np.int64)[rows], given


def complement(alleles: pa.Array) -> pa.Array:
    """The bases on the other strand, case kept; null for whatever is not one base.

    Longer alleles have no plain complement: reversing an insertion or a deletion shifts the base it is
    anchored at, which only the sequence of the genome tells.

    Parameters
    ----------
    alleles : string array (rows,).
    """
    bases = pa.array(list("ACGTacgt"), alleles.type)
    return pa.array(list("TGCAtgca"), alleles.type).take(pc.index_in(alleles, value_set=bases))


def _encoded(chromosomes: Chromosomes) -> pa.DictionaryArray:
    if isinstance(chromosomes, pa.ChunkedArray):
        chromosomes = chromosomes.combine_chunks()
    if not isinstance(chromosomes, pa.Array):
        chromosomes = pa.array(chromosomes, pa.string())
    if pa.types.is_dictionary(chromosomes.type):
        return chromosomes
    return chromosomes.cast(pa.string()).dictionary_encode()


def _entries(given: pa.DictionaryArray) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """The different names, and for each row which of them it has; one past the last where it has none."""
    names = given.dictionary.cast(pa.string()).to_pylist()
    rows = pc.fill_null(given.indices.cast(pa.int64()), len(names))
    return [*names, None], np.asarray(rows)


def _as_positions(positions: Positions) -> npt.NDArray[np.int64]:
    if isinstance(positions, (pa.Array, pa.ChunkedArray)):
        return np.asarray(pc.fill_null(positions.cast(pa.int64()), -1))
    return np.asarray(positions if len(positions) else np.empty(0, np.int64)).astype(
        np.int64, casting="safe", copy=False
    )


def _check_lengths(codes: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> None:
    if codes.shape != positions.shape or codes.ndim != 1:
        raise ValueError(f"chromosomes and positions differ in shape: {codes.shape} and {positions.shape}")
