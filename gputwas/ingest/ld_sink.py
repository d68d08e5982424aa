"""Keeps the covariances of groups as they are computed, and gives them as those of a tissue or of all genes.

In: pieces from `group_covariances`. Out: packed triangles of chosen groups with the entries they stand for.
What is kept lies in a file without a name: covariances of genes across tissues may be more than the memory.
"""

from __future__ import annotations

import tempfile
import weakref
from dataclasses import dataclass

import numpy as np

from gputwas.files import disk_errors
from gputwas.formats.covariance_text import triangle_pairs
from gputwas.ingest.ld_units import Piece, ranges

__all__ = ["GroupTriangles", "Spool", "TriangleSink", "split_piece"]

_ALIGNMENT = 64  # bytes; `write_arrays` takes an array as it is, if it is followed by zeros up to there


@dataclass(frozen=True, eq=False)
class GroupTriangles:
    """Covariances of groups.

    Attributes
    ----------
    sizes : int64 (groups,), entries of each that have covariances.
    entries : int64 (sum of sizes,): which these are.
    values : float64 (sum of k (k + 1) / 2,): packed upper triangles.
    """

    sizes: np.ndarray
    entries: np.ndarray
    values: np.ndarray

    def turned(self, signs: np.ndarray) -> np.ndarray:
        """The triangles with SNPs turned: cov(2 - x, y) = -cov(x, y).

        Parameters
        ----------
        signs : 1 or -1, one for each of `entries`.

        Returns
        -------
        float64, as `values`; these very values where no sign is negative.
        """
        if np.all(signs > 0):
            return self.values
        first, second = triangle_pairs(self.sizes)
        negative = signs < 0
        return np.where(negative[first] ^ negative[second], -self.values, self.values)

    def only(self, keep: np.ndarray) -> GroupTriangles:
        """The covariances of some entries; `keep` is bool, one for each of `entries`."""
        first, second = triangle_pairs(self.sizes)
        owner = np.repeat(np.arange(len(self.sizes)), self.sizes)
        sizes = np.bincount(owner[keep], minlength=len(self.sizes))
        return GroupTriangles(sizes, self.entries[keep], self.values[keep[first] & keep[second]])


class Spool:
    """Numbers that are written one after the other and then read as one array.

    Parameters
    ----------
    folder : where their file is; it has no name, so nothing stays of it, whatever ends the process. None for
        the system's folder of temporary files.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder or tempfile.gettempdir()
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - lives as long as the spool
        weakref.finalize(self, self._file.close)  # a map of it stays
        self._size = 0

    def add(self, values: np.ndarray) -> None:
        """Append float64 values.

        Raises
        ------
        ResourceError
            If the disk is full.
        """
        with disk_errors(self._folder):
            self._file.write(np.ascontiguousarray(values, dtype=np.float64).data)
        self._size += len(values)

    def array(self) -> np.ndarray:
        """All values, float64 (values,), mapped into memory; add nothing more afterwards."""
        if not self._size:
            return np.empty(0)
        with disk_errors(self._folder):
            self._file.write(bytes(-8 * self._size % _ALIGNMENT))
            self._file.flush()
        return np.memmap(self._file, np.float64, "r")[: self._size]


class TriangleSink:
    """Collects the pieces of a number of groups, in any order.

    Parameters
    ----------
    n_groups : number of groups, of which each must come once.
    folder : see `Spool`.

    Attributes
    ----------
    sizes : int64 (groups,): entries of each that have covariances, as far as its piece has come.
    """

    def __init__(self, n_groups: int, folder: str | None = None) -> None:
        self.sizes = np.zeros(n_groups, dtype=np.int64)
        self._entry_starts = np.zeros(n_groups, dtype=np.int64)
        self._cell_starts = np.zeros(n_groups, dtype=np.int64)
        self._entries: list[np.ndarray] = []
        self._spool = Spool(folder)
        self._values: np.ndarray | None = None
        self._n_entries = self._n_cells = 0

    def add(self, piece: Piece) -> None:
        """Keep a piece."""
        sizes = piece.sizes
        cells = sizes * (sizes + 1) // 2
        self.sizes[piece.groups] = sizes
        self._entry_starts[piece.groups] = self._n_entries + np.cumsum(sizes) - sizes
        self._cell_starts[piece.groups] = self._n_cells + np.cumsum(cells) - cells
        self._entries.append(piece.entries)
        self._spool.add(piece.triangles)
        self._n_entries += len(piece.entries)
        self._n_cells += len(piece.triangles)

    def of(self, groups: np.ndarray) -> GroupTriangles:
        """Covariances of some groups, in the order asked for; when all pieces have been added."""
        if self._values is None:
            self._entries = [np.concatenate([np.empty(0, np.int64), *self._entries])]
            self._values = self._spool.array()
        sizes = self.sizes[groups]
        cells = sizes * (sizes + 1) // 2
        return GroupTriangles(
            sizes,
            self._entries[0][ranges(self._entry_starts[groups], sizes)],
            self._values[ranges(self._cell_starts[groups], cells)],
        )


def split_piece(piece: Piece, n_first: int, n_entries: int) -> tuple[Piece, Piece]:
    """The first `n_first` groups, which have `n_entries` entries, and the others, numbered from 0 anew."""
    cells = piece.sizes * (piece.sizes + 1) // 2
    entry_starts, cell_starts = np.cumsum(piece.sizes) - piece.sizes, np.cumsum(cells) - cells

    def part(which: np.ndarray, less: int, fewer: int) -> Piece:
        return Piece(
            piece.groups[which] - less,
            piece.sizes[which],
            piece.entries[ranges(entry_starts[which], piece.sizes[which])] - fewer,
            piece.triangles[ranges(cell_starts[which], cells[which])],
        )

    first = piece.groups < n_first
    return (piece if first.all() else part(first, 0, 0)), part(~first, n_first, n_entries)
