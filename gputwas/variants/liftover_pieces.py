"""Overlapping blocks of chains -> pieces of the source that do not overlap.

In: blocks as arrays. Out: `Pieces`: where on the source the list of targets changes, and for each piece the
blocks that cover it, in the order in which pyliftover lists them.

All chromosomes lie one behind another on one line. Chromosome c takes ``size + 2`` places from ``base[c]``;
the base with the 1-based position p has place ``base[c] + p``, and the places before the first and behind the
last base belong to no block: what lies outside its chromosome is put there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gputwas.errors import ResourceError

__all__ = ["Blocks", "Pieces", "cut_to_pieces"]

MOST_HITS = 100_000_000
"""Pairs of piece and block; more would take several gigabytes."""

_Int = npt.NDArray[np.int64]


class Blocks(Protocol):
    """What is needed of the blocks of a chain file; see `gputwas.formats.chain.Chain`."""

    @property
    def path(self) -> str: ...
    @property
    def source_names(self) -> tuple[str, ...]: ...
    @property
    def source_sizes(self) -> _Int: ...
    @property
    def target_names(self) -> tuple[str, ...]: ...
    @property
    def target_sizes(self) -> _Int: ...
    @property
    def source(self) -> npt.NDArray[np.int32]: ...
    @property
    def start(self) -> _Int: ...
    @property
    def end(self) -> _Int: ...
    @property
    def target(self) -> npt.NDArray[np.int32]: ...
    @property
    def target_start(self) -> _Int: ...
    @property
    def target_strand(self) -> npt.NDArray[np.int8]: ...
    @property
    def score(self) -> _Int: ...
    @property
    def order(self) -> _Int: ...


@dataclass(frozen=True)
class Pieces:
    """Stretches of the source within which the targets are the same.

    Attributes
    ----------
    base : int64 (source chromosomes + 1,), place of each chromosome's position 0; the last is for unknown
        chromosomes.
    start : int64 (pieces,), place where each begins, ascending from 0.
    offsets : int64 (pieces + 1,), where the blocks of each piece are in `blocks`.
    blocks : int64 (hits,), rows of the blocks, the best of each piece first.
    """

    base: _Int
    start: _Int
    offsets: _Int
    blocks: _Int


def cut_to_pieces(blocks: Blocks) -> Pieces:
    """Cut the source wherever the list of targets changes.

    Raises
    ------
    ResourceError : chains overlap so much that the lists do not fit in memory.
    """
    base = np.concatenate([[0], np.cumsum(np.asarray(blocks.source_sizes) + 2)])
    first = base[blocks.source] + blocks.start + 1
    last = base[blocks.source] + blocks.end + 1
    start = np.unique(np.concatenate([[0], first, last]))
    offsets, rows = _covering(start, first, last, blocks.path)
    shared = np.repeat(np.diff(offsets) > 1, np.diff(offsets))
    if not shared.any():
        return Pieces(base, start, offsets, rows)
    overlapping = np.unique(rows[shared])
    depth, centre = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
    depth[overlapping], at = _tree_place(
        blocks.start[overlapping],
        blocks.end[overlapping],
        np.asarray(blocks.source_sizes)[blocks.source[overlapping]],
    )
    # pyliftover lists blocks of equal score in another order on either side of the centre of a tree node
    centre[overlapping] = base[blocks.source[overlapping]] + at + 1
    start = np.unique(np.concatenate([start, centre[overlapping]]))
    offsets, rows = _covering(start, first, last, blocks.path)
    piece = np.repeat(np.arange(len(start)), np.diff(offsets))
    behind = start[piece] < centre[rows]
    order = np.lexsort(
        (
            blocks.order[rows],
            np.where(behind, blocks.start[rows], -blocks.end[rows]),
            np.where(behind, -depth[rows], depth[rows]),
            behind,
            -blocks.score[rows],
            piece,
        )
    )
    return Pieces(base, start, offsets, rows[order])


def _covering(start: _Int, first: _Int, last: _Int, path: str) -> tuple[_Int, _Int]:
    """The blocks that cover each piece, in the order of their rows: offsets and rows."""
    low, high = np.searchsorted(start, first), np.searchsorted(start, last)
    count = high - low
    total = int(count.sum())
    if total > MOST_HITS:
        raise ResourceError(
            f"{path}: the chains overlap so much that {total:,} pairs of place and target would be kept. "
            "Use a liftOver chain file (.over.chain), in which the best chains are chosen already."
        )
    rows = np.repeat(np.arange(len(first)), count)
    piece = np.repeat(low, count) + np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    order = np.argsort(piece, kind="stable")
    return np.searchsorted(piece[order], np.arange(len(start) + 1)), rows[order]


def _tree_place(start: _Int, end: _Int, size: _Int) -> tuple[_Int, _Int]:
    """Where pyliftover's interval tree keeps blocks: depth of the node, and the first base behind its centre.

    A node halves its range (with the rounding of intervaltree.py, class IntervalTree) and keeps the blocks
    that hold its centre. A query left of the centre lists what is below the node before the node's own
    blocks, by start; a query from the centre on lists the node's own first, by falling end. So at one place
    come first the nodes whose centre is not behind it, from the top down, then the others from below.
    """
    depth, centre = np.zeros(len(start), np.int64), np.zeros(len(start))
    low, high = np.zeros(len(start)), size.astype(np.float64)
    left_over = np.arange(len(start))
    level = 0
    while len(left_over):
        middle = (low + high) / 2
        to_left, to_right = end[left_over] <= middle, start[left_over] > middle
        home = ~(to_left | to_right)
        depth[left_over[home]], centre[left_over[home]] = level, middle[home]
        low = np.where(to_right, middle, np.floor(low))[~home]
        high = np.where(to_left, middle, np.floor(high))[~home]
        left_over, level = left_over[~home], level + 1
    return depth, np.ceil(centre).astype(np.int64)
