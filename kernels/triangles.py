"""The byte loop over a covariance file that lists upper triangles, see triangles.c.

In: blocks of whole lines ``GENE RSID1 RSID2 VALUE`` as bytes. Out: the text of the genes, that of each gene's
SNPs in the order of its matrix, and the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gputwas.kernels.library import INTEGER, array, filled, of_library
from gputwas.kernels.texts import Names

__all__ = ["TriangleRows"]

_i8, _u1 = np.int64, np.uint8
_SHORTEST_ROW = 8  # bytes of "g a b 1\n"
_ROOM = 1 << 22  # elements that arrays have room for at first
_ROWS, _GENES, _SNPS, _FIRST, _RUN, _PLACE, _ODD = range(7)  # as in triangles.c: state_t

_read_rows = of_library(
    "read_rows", array(_u1), INTEGER, INTEGER, filled(_i8), filled(_u1), filled(_i8), filled(_i8),
    filled(_u1), filled(_i8), filled(np.float64), filled(_i8, 2), returns=INTEGER,
)  # fmt: skip


class TriangleRows:
    """The rows read so far, in arrays that grow.

    Parameters
    ----------
    separator : the byte between cells.

    Attributes
    ----------
    odd : int64 (cells, 3), of the last block, cells whose value takes more than two machine operations to
        read exactly, if it is any: row, begin and end. Their values are NaN.
    """

    def __init__(self, separator: int) -> None:
        self._separator = separator
        self._state = np.zeros(7, np.int64)
        self._state[_RUN] = -1
        self._genes = Names(np.empty(0, np.uint8), np.zeros(1, np.int64))
        self._snps = Names(np.empty(0, np.uint8), np.zeros(1, np.int64))
        self._first = np.empty(0, np.int64)
        self._values = np.empty(0)
        self._odd = np.empty((0, 3), np.int64)

    @property
    def odd(self) -> npt.NDArray[np.int64]:
        return self._odd[: self._state[_ODD]]

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """float64 (rows,), a view."""
        return self._values[: self._state[_ROWS]]

    @property
    def genes(self) -> Names:
        return _cut(self._genes, int(self._state[_GENES]))

    @property
    def snps(self) -> Names:
        return _cut(self._snps, int(self._state[_SNPS]))

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """int64 (genes,), SNPs of each."""
        return np.diff(self._first[: self._state[_GENES]], append=self._state[_SNPS])

    def add(self, data: npt.NDArray[np.uint8]) -> bool:
        """Read a block of whole lines, uint8 (bytes,); whether all of them are as expected."""
        most = len(data) // _SHORTEST_ROW + 1
        genes, snps, rows = (int(self._state[k]) for k in (_GENES, _SNPS, _ROWS))
        self._genes = _with_names(self._genes, genes, most, len(data))
        self._snps = _with_names(self._snps, snps, most, len(data))
        self._first = _with_room(self._first, genes + most + 1)
        self._values = _with_room(self._values, rows + most)
        if len(self._odd) < most:
            self._odd = np.empty((most, 3), np.int64)
        fits = _read_rows(
            data, len(data), self._separator, self._state, self._genes.text, self._genes.ends, self._first,
            self._snps.text, self._snps.ends, self._values, self._odd,
        )  # fmt: skip
        return bool(fits)


def _cut(names: Names, count: int) -> Names:
    ends = names.ends[: count + 1]
    return Names(names.text[: ends[-1]], ends)


def _with_names(names: Names, count: int, more: int, size: int) -> Names:
    """Room for so many more names that are so many bytes."""
    used = int(names.ends[count])
    return Names(_with_room(names.text, used + size), _with_room(names.ends, count + more + 2))


def _with_room(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The array, or a copy that is much longer, so that `length` elements fit.

    Memory that is never written to costs nothing, copying and touching it anew does: so room is ample.
    """
    if len(values) >= length:
        return values
    larger: npt.NDArray[Any] = np.empty(max(length, 4 * len(values), _ROOM), values.dtype)
    larger[: len(values)] = values
    return larger
