"""Counts and places of large |z|, and z of places, see tails.c.

In: a matrix (rows, columns) of z whose columns are contiguous, at whatever distance from each other; usually
a view of a file, which is read in place and without the interpreter's lock. Out: counts per column and the
rare large values. Without the compiled library NumPy does the same, column after column.
"""

from __future__ import annotations

import numpy as np

from gputwas.kernels.library import ADDRESS, INTEGER, array, filled, is_there, of_library

__all__ = ["AT_ONCE", "count_tails", "gather", "is_in_columns"]

AT_ONCE = 4  # as in tails.c: levels are compared in groups of so many

_i4, _i8 = np.int32, np.int64
_REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
_count = {
    dtype: of_library(
        f"count_tails_{name}", ADDRESS, INTEGER, array(_i8), INTEGER, INTEGER, array(dtype), array(_i8),
        filled(_i8, 2), INTEGER, filled(_i4), filled(_i4), filled(dtype), filled(_i8), returns=INTEGER,
    )
    for dtype, name in _REALS.items()
}  # fmt: skip
_gather = {
    dtype: of_library(
        f"gather_{name}", ADDRESS, INTEGER, array(_i8), array(_i8), filled(dtype), returns=INTEGER
    )
    for dtype, name in _REALS.items()
}


def is_in_columns(z: np.ndarray) -> bool:
    """Whether the kernels take this matrix as it is."""
    return z.ndim == 2 and z.dtype in _REALS and (z.shape[0] < 2 or z.strides[0] == z.dtype.itemsize)


def count_tails(
    z: np.ndarray,
    columns: np.ndarray,
    begin: int,
    levels: np.ndarray,
    wanted: np.ndarray,
    counts: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
) -> tuple[int, int]:
    """Count column after column from `begin` on, as long as the places of one more column find room.

    Parameters
    ----------
    z : float32 or float64 (rows, all columns), see `is_in_columns`. columns : int64 (columns,), of `z`.
    levels : (levels,) of the type of `z`, their number a multiple of `AT_ONCE`, not 0.
    wanted : int64 (columns,), the level from which on a column's places are given; (levels) or more for none.
    counts : int64 (columns, levels + 1), zeros at first; takes values with |z| >= level, and in the end those
        that are NaN.
    row, column : int32 (room,); value : (room,) of the type of `z`: take the places and z there, column after
        column. `column` is the number among `columns`.

    Returns
    -------
    The first column that is left, and how many places were given.
    """
    _check(z)
    if columns.size and not 0 <= columns.min() <= columns.max() < z.shape[1]:
        raise IndexError(f"columns {columns.min()} to {columns.max()} of {z.shape[1]}")
    if not levels.size or levels.size % AT_ONCE:
        raise ValueError(f"{levels.size} levels, not a multiple of {AT_ONCE} above 0")
    if wanted.shape != columns.shape or min(begin, wanted.min(initial=0)) < 0:
        raise ValueError(f"{wanted.size} wanted levels of {columns.size} columns from {begin}")
    if counts.shape != (columns.size, levels.size + 1) or {column.shape, value.shape} != {row.shape}:
        raise ValueError(f"{counts.shape} counts, places {row.shape} {column.shape} {value.shape}")
    if not is_there():
        return _count_plainly(z, columns, begin, levels, wanted, counts, row, column, value)
    found = np.zeros(1, dtype=np.int64)
    matrix = _matrix(z)
    left = _count[z.dtype](
        matrix.ctypes.data, columns.size, columns, begin, levels.size, levels, wanted, counts, row.size,
        row, column, value, found,
    )  # fmt: skip
    return left, int(found[0])


def gather(z: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """`z[row, column]` (places,).

    Parameters
    ----------
    z : see `count_tails`. row, column : int (places,), from 0.

    Raises
    ------
    IndexError
        If a place is outside the matrix.
    """
    _check(z)
    row, column = (np.ascontiguousarray(places, dtype=np.int64) for places in (row, column))
    if row.shape != column.shape:
        raise ValueError(f"{row.size} rows and {column.size} columns")
    if not is_there():
        return _gather_plainly(z, row, column)
    out, matrix = np.empty(row.size, dtype=z.dtype), _matrix(z)
    if _gather[z.dtype](matrix.ctypes.data, row.size, row, column, out) < row.size:
        raise _outside(z)
    return out


def _check(z: np.ndarray) -> None:
    if not is_in_columns(z) or z.shape[0] >= 2**31:
        raise ValueError(f"z is {z.dtype} {z.shape} {z.strides}, not columns of less than 2^31 floats")


def _matrix(z: np.ndarray) -> np.ndarray:
    """`matrix_t` of tails.c, int64 (4,)."""
    return np.array([z.ctypes.data, *z.shape, z.strides[1]], dtype=np.int64)


def _outside(z: np.ndarray) -> IndexError:
    return IndexError(f"places beyond the {z.shape[0]} rows and {z.shape[1]} columns")


def _gather_plainly(z: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """What tails.c does, in NumPy."""
    for places, count in zip((row, column), z.shape, strict=True):
        if places.min(initial=0) < 0 or places.max(initial=-1) >= count:
            raise _outside(z)
    return z[row, column]


def _count_plainly(
    z: np.ndarray, columns: np.ndarray, begin: int, levels: np.ndarray, wanted: np.ndarray,
    counts: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """What tails.c does, in NumPy."""
    found = 0
    for number in range(begin, columns.size):
        if found + z.shape[0] > row.size:
            return number, found
        here = z[:, columns[number]]
        size = np.abs(here)
        counts[number, :-1] = [np.count_nonzero(size >= level) for level in levels]
        counts[number, -1] = np.count_nonzero(np.isnan(here))
        if wanted[number] < levels.size:
            places = np.flatnonzero(size >= levels[wanted[number]])
            part = slice(found, found + places.size)
            row[part], column[part], value[part] = places, number, here[places]
            found += places.size
    return columns.size, found
