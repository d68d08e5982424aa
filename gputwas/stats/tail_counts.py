"""How many |z| reach each of a few levels, and where those are that reach one of them, in a single reading.

In: a matrix (models, traits) of z, usually a view of a file. Out: counts per trait, and the rare large values
with their places. The loops hold no interpreter lock, so blocks can be read side by side in threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gputwas.kernels import tails

__all__ = ["TailCounts", "count_tails", "gather"]

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
    value : z there, (places,) of the type of the matrix.
    """

    made: np.ndarray
    reached: np.ndarray
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray


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
    z = z if tails.is_in_columns(z) else np.asfortranarray(z)
    rows, count = z.shape
    chosen = np.arange(count) if columns is None else np.ascontiguousarray(columns, dtype=np.int64)
    padded = np.full(-(-max(levels.size, 1) // tails.AT_ONCE) * tails.AT_ONCE, np.inf, dtype=z.dtype)
    padded[: levels.size] = levels
    wanted = np.where(np.asarray(collected) < levels.size, collected, padded.size).astype(np.int64)
    counts = np.zeros((chosen.size, padded.size + 1), dtype=np.int64)
    row = np.empty(max(rows, _FEWEST_PLACES), dtype=np.int32)
    room = row, np.empty_like(row), np.empty(row.size, dtype=z.dtype)
    parts = [tuple(column[:0] for column in room)]
    done = found = 0
    while done < chosen.size:
        done, here = tails.count_tails(z, chosen, done, padded, wanted, counts, *room)
        found += here
        if most is not None and found > most:
            wanted[:] = padded.size
            del parts[1:]
        else:
            parts.append(tuple(column[:here].copy() for column in room))
    return TailCounts(
        rows - counts[:, -1], counts[:, : levels.size], *map(np.concatenate, zip(*parts, strict=True))
    )


def gather(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """`values[row, column]` (places,), without holding the interpreter's lock while pages are read.

    Parameters
    ----------
    values : float32 or float64 (rows, columns), laid out as `z` of `count_tails`.
    row, column : int (places,), from 0.

    Raises
    ------
    IndexError
        If a place is outside the matrix.
    """
    return tails.gather(values if tails.is_in_columns(values) else np.asfortranarray(values), row, column)
