"""Counts and places of large |z| against NumPy, for every layout a store can have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputwas.stats import tail_counts
from gputwas.stats.tail_counts import count_tails, gather

LEVELS = np.array([0.5, 1.0, 1.5, 2.5, 3.0], dtype=np.float32).astype(np.float64)


def values(rows: int, columns: int, dtype: type, seed: int = 1) -> np.ndarray:
    """z rounded so that some equal a level, with NaN of either sign and infinities."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal((rows, columns)) * 4) / 4
    z[rng.uniform(size=z.shape) < 0.1] = np.nan
    z[rng.uniform(size=z.shape) < 0.1] = -np.nan
    z[rng.uniform(size=z.shape) < 0.02] = -np.inf
    return z.astype(dtype)


def laid_out(z: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another place, read-only."""
    rows, columns = z.shape
    item = z.dtype.itemsize
    if layout == "padded":
        wide = np.full((columns, rows + 7), 99.0, dtype=z.dtype)
        wide[:, :rows] = z.T
        out = wide[:, :rows].T
    elif layout == "odd distance":  # columns apart by no multiple of the item
        raw = np.zeros(columns * (rows * item + 1) + item, dtype=np.uint8)
        out = np.ndarray(z.shape, dtype=z.dtype, buffer=raw, strides=(item, rows * item + 1))
        out[...] = z
    elif layout == "backwards":
        out = np.asfortranarray(z[:, ::-1])[:, ::-1]
    else:
        out = np.array(z, order="C" if layout == "rows" else "F")
    out.setflags(write=False)
    return out


def assert_counted(z: np.ndarray, levels: np.ndarray, collected: np.ndarray, columns: np.ndarray) -> None:
    counts = count_tails(z, levels, collected, columns=columns)
    size = np.abs(np.asarray(z)[:, columns])
    with np.errstate(invalid="ignore"):
        reached = size[:, :, None] >= levels
    assert np.array_equal(counts.made, np.count_nonzero(~np.isnan(size), axis=0))
    assert np.array_equal(counts.reached, np.count_nonzero(reached, axis=0))
    least = np.append(levels, np.inf)[collected]
    wanted = (size >= least) & (collected < levels.size)
    expected = np.argwhere(wanted.T)
    assert np.array_equal(counts.column, expected[:, 0])
    assert np.array_equal(counts.row, expected[:, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["columns", "padded", "odd distance", "backwards", "rows"])
def test_counts_any_layout(layout: str, dtype: type) -> None:
    z = laid_out(values(300, 11, dtype), layout)
    collected = np.arange(11) % (LEVELS.size + 1)
    assert_counted(z, LEVELS, collected, np.arange(11))
    assert_counted(z, LEVELS, collected[:3], np.array([1, 4, 10]))


@settings(deadline=None)  # the first call compiles
@given(
    st.integers(0, 300), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**31),
    st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_counts_any_shape(rows: int, columns: int, n_levels: int, seed: int, dtype: type) -> None:
    z = np.asfortranarray(values(rows, columns, dtype, seed))
    rng = np.random.default_rng(seed)
    assert_counted(z, LEVELS[:n_levels], rng.integers(n_levels + 1, size=columns), np.arange(columns))


def test_gives_places_in_parts_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_counts, "_FEWEST_PLACES", 1)
    z = values(200, 9, np.float32)
    assert_counted(z, LEVELS, np.zeros(9, dtype=np.int64), np.arange(9))


def test_gives_no_place_where_there_are_too_many() -> None:
    z = np.asfortranarray(values(200, 9, np.float32))
    lowest = np.zeros(9, dtype=np.int64)
    whole = count_tails(z, LEVELS, lowest)
    same = count_tails(z, LEVELS, lowest, most=whole.row.size)
    fewer = count_tails(z, LEVELS, lowest, most=whole.row.size - 1)
    assert np.array_equal(same.row, whole.row)
    assert fewer.row.size == fewer.column.size == 0
    assert np.array_equal(fewer.reached, whole.reached) and np.array_equal(fewer.made, whole.made)


@pytest.mark.parametrize("layout", ["columns", "padded", "odd distance", "backwards", "rows"])
def test_gathers_places_of_any_layout(layout: str) -> None:
    z = laid_out(values(50, 6, np.float32), layout)
    rng = np.random.default_rng(2)
    row, column = rng.integers(50, size=99).astype(np.int32), rng.integers(6, size=99)
    assert np.array_equal(gather(z, row, column), np.asarray(z)[row, column], equal_nan=True)
    assert gather(z, row[:0], column[:0]).size == 0
    for wrong in ((row + 50, column), (row - 50, column), (row, column + 6), (row, column - 6)):
        with pytest.raises(IndexError, match="50 rows and 6 columns"):
            gather(z, *wrong)
