"""How many |z| reach each of a few levels, and where those are that reach one of them, in a single reading.

In: a matrix (models, traits) of z, usually a view of a file. Out: counts per trait, and the places of the
rare large values. Compiled by Numba when first called; the loops hold no interpreter lock, so blocks can be
read side by side in threads.

Bytes moved: each z once. A strip of 128 values is compared with four levels in vector registers, and looked
through one by one only if something in it reaches the level of its column, so the work per value is a few
comparisons and no branch that depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

__all__ = ["TailCounts", "count_tails", "gather"]

_STRIP = 128  # values counted before those that reach the level are looked for
_AT_ONCE = 4  # levels compared in one go; they and their counts fit the vector registers
_FEWEST_PLACES = 1 << 14


@dataclass(frozen=True)
class TailCounts:
    """Counts of one matrix, per column asked for.

    Attributes
    ----------
    made : int64 (columns,), values that are not NaN.
    reached : int64 (columns, levels), values with |z| >= level.
    row : int32 (places,), column : int32 (places,), where |z| reaches the level of its column: the row of the
        matrix and the number among the columns asked for, column after column.
    """

    made: np.ndarray
    reached: np.ndarray
    row: np.ndarray
    column: np.ndarray


def count_tails(
    z: np.ndarray,
    levels: np.ndarray,
    collected: np.ndarray,
    *,
    columns: np.ndarray | None = None,
    most: int | None = None,
) -> TailCounts:
    """Count the values of a matrix that reach each level.

    Parameters
    ----------
    z : float32 or float64 (rows, all columns), NaN where there is none. Read in place if its columns are
        contiguous, at whatever distance from each other; else copied.
    levels : float (levels,) of |z|, ascending, exact in the type of `z`.
    collected : int (columns,), from which level on a column's places are given; (number of levels) for none.
    columns : int (columns,), of `z`; by default all.
    most : if more places than this would be given, none is; then `row` is shorter than `reached` says.
    """
    rows, count = z.shape
    chosen = np.arange(count) if columns is None else np.asarray(columns, dtype=np.int64)
    flat, step = _in_a_row(z)
    padded = np.full(-(-max(levels.size, 1) // _AT_ONCE) * _AT_ONCE, np.inf, dtype=z.dtype)
    padded[: levels.size] = levels
    wanted = np.where(np.asarray(collected) < levels.size, collected, padded.size).astype(np.int64)
    counts = np.zeros((chosen.size, padded.size + 1), dtype=np.int64)
    row = np.empty(max(rows, _FEWEST_PLACES), dtype=np.int32)
    column = np.empty_like(row)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    done = found = 0
    while done < chosen.size:
        done, here = _count(flat, rows, step, chosen, done, padded, wanted, counts, row, column)
        found += here
        if most is not None and found > most:
            wanted[:] = padded.size
            parts.clear()
        else:
            parts.append((row[:here].copy(), column[:here].copy()))
    none = np.empty(0, dtype=np.int32)
    return TailCounts(
        made=rows - counts[:, -1],
        reached=counts[:, : levels.size],
        row=np.concatenate([none, *(part[0] for part in parts)]),
        column=np.concatenate([none, *(part[1] for part in parts)]),
    )


def gather(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """`values[row, column]` (places,), without holding the interpreter's lock while pages are read.

    Parameters
    ----------
    values : float32 or float64 (rows, columns), laid out as `z` of `count_tails`.
    row, column : int (places,), from 0.
    """
    if row.size and not (
        0 <= row.min() <= row.max() < values.shape[0] and 0 <= column.min() <= column.max() < values.shape[1]
    ):
        raise IndexError(f"places beyond the {values.shape[0]} rows and {values.shape[1]} columns")
    flat, step = _in_a_row(values)
    out = np.empty(row.size, dtype=values.dtype)
    _gather(flat, column.astype(np.int64) * step + row, out)
    return out


def _in_a_row(z: np.ndarray) -> tuple[np.ndarray, int]:
    """All memory from the first to the last column as one read-only array, and from column to column."""
    rows, count = z.shape
    item = z.dtype.itemsize
    if z.size == 0:
        return np.empty(0, dtype=z.dtype), 0
    along = z.strides[0] == item or rows == 1
    step = z.strides[1] if count > 1 else rows * item
    if not (along and step >= rows * item and step % item == 0):
        z, step = np.asfortranarray(z), rows * item
    size = step // item * (count - 1) + rows
    flat = np.lib.stride_tricks.as_strided(z, shape=(size,), strides=(item,), writeable=False)
    return flat, step // item


@numba.njit(cache=True, nogil=True)
def _gather(flat, places, out):  # type: ignore[no-untyped-def]
    for number in range(places.size):
        out[number] = flat[places[number]]


@numba.njit(cache=True, nogil=True)
def _count(flat, rows, step, columns, first, levels, wanted, counts, row, column):  # type: ignore[no-untyped-def]
    """Count column after column from `first` on, as long as the places of one more column find room.

    `counts` (columns, levels + 1) takes the values per level and those that are NaN. Returns the first column
    that is left, and how many places were given.
    """
    found = 0
    for number in range(first, columns.size):
        if found + rows > row.size:
            return number, found
        begin = columns[number] * step
        values = flat[begin : begin + rows]
        before = found
        for group in range(0, levels.size, _AT_ONCE):
            a, b, c, d, missing, found = _count_four(values, levels, group, wanted[number], row, found)
            counts[number, group] = a
            counts[number, group + 1] = b
            counts[number, group + 2] = c
            counts[number, group + 3] = d
            counts[number, levels.size] = missing
        column[before:found] = number
    return columns.size, found


@numba.njit(cache=True, nogil=True)
def _count_four(values, levels, group, wanted, row, found):  # type: ignore[no-untyped-def]
    """How many values reach each of four levels, how many are NaN, and the places that reach one of the four.

    The counters of a strip are 32 bits wide, as wide as the values: Numba would make them 64, which halves
    the number that a register holds.
    """
    low, second, third, high = levels[group], levels[group + 1], levels[group + 2], levels[group + 3]
    here = group <= wanted < group + _AT_ONCE
    level = levels[wanted] if here else levels[group]
    all_a = all_b = all_c = all_d = all_missing = np.int64(0)
    for start in range(0, values.size, _STRIP):
        strip = values[start : start + _STRIP]
        a = b = c = d = missing = np.int32(0)
        for place in range(strip.size):
            value = abs(strip[place])
            a = np.int32(a + np.int32(value >= low))
            b = np.int32(b + np.int32(value >= second))
            c = np.int32(c + np.int32(value >= third))
            d = np.int32(d + np.int32(value >= high))
            missing = np.int32(missing + np.int32(value != value))
        all_a += a
        all_b += b
        all_c += c
        all_d += d
        all_missing += missing
        if here and (d > 0 or (level < high and a > 0)):
            for place in range(strip.size):
                if abs(strip[place]) >= level:
                    row[found] = start + place
                    found += 1
    return all_a, all_b, all_c, all_d, all_missing, found
