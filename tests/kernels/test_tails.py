"""The C loops over tails against their NumPy twins: whatever the values, the levels and the layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gputwas.kernels import tails

SWITCH = "GPUTWAS_COMPILED"
LEVELS = [0.0, 0.5, 1.0, 1.5, 1.75, 2.5, np.inf, np.inf]


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """z of either type, with ties at levels, NaN of either sign, infinities, and columns at odd addresses."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = draw(st.sampled_from([0, 1, 3, 31, 32, 33, 64, 70])), draw(st.integers(1, 4))
    some = st.sampled_from(
        [0.0, -0.0, 0.25, 0.5, -0.5, -1.0, 1.5, 2.0, -2.5, np.nan, -np.nan, np.inf, -np.inf]
    )
    values = draw(arrays(dtype, shape, elements=some | st.floats(-4, 4, width=32), fill=st.just(dtype(0.25))))
    gap = draw(st.integers(0, 9))  # bytes between columns, so some lie at odd addresses
    step = values.shape[0] * values.itemsize + gap
    memory = np.zeros(step * shape[1] + 1, dtype=np.uint8)
    z = np.ndarray(shape, dtype, memory, strides=(values.itemsize, step))
    z[...] = values
    z.setflags(write=False)
    return z[:, ::-1] if draw(st.booleans()) else z


def counted(z: np.ndarray, columns: np.ndarray, wanted: np.ndarray, room: int) -> tuple[np.ndarray, ...]:
    """All counts and places, part after part."""
    counts = np.zeros((columns.size, len(LEVELS) + 1), dtype=np.int64)
    row, column, value = np.full(room, -7, np.int32), np.full(room, -7, np.int32), np.full(room, 7, z.dtype)
    levels, begin, parts = np.array(LEVELS, z.dtype), 0, []
    while begin < columns.size:
        begin, found = tails.count_tails(z, columns, begin, levels, wanted, counts, row, column, value)
        parts.append([part[:found].copy() for part in (row, column, value)])
    return counts, *(np.concatenate(part) for part in zip(*parts, strict=True))


@pytest.mark.library
@given(matrices(), st.data())
def test_counts_as_the_twin_does(z: np.ndarray, data: st.DataObject) -> None:
    columns = np.array(data.draw(st.lists(st.integers(0, z.shape[1] - 1), min_size=1, max_size=6)))
    wanted = np.array(data.draw(st.lists(st.integers(0, 9), min_size=columns.size, max_size=columns.size)))
    room = z.shape[0] * data.draw(st.integers(1, 4))
    compiled = counted(z, columns, wanted, room)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        plain = counted(z, columns, wanted, room)
    for one, two in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(one, two)


@given(matrices(), st.integers(0, 2**32 - 1), st.sampled_from(["0", "1"]))
def test_gathers_what_is_there(z: np.ndarray, seed: int, compiled: str) -> None:
    rng = np.random.default_rng(seed)
    count = 9 if z.size else 0
    row, column = (rng.integers(max(size, 1), size=count) for size in z.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, compiled)
        np.testing.assert_array_equal(tails.gather(z, row, column), z[row, column])
        for wrong in ((z.shape[0], 0), (-1, 0), (0, z.shape[1]), (0, -1)):
            with pytest.raises(IndexError, match=f"the {z.shape[0]} rows and {z.shape[1]} columns"):
                tails.gather(
                    z, *(np.append(places, w) for places, w in zip((row, column), wrong, strict=True))
                )


def test_more_values_than_are_counted_in_one_go() -> None:
    z = np.asfortranarray(np.random.default_rng(1).normal(size=(5000, 2)).astype(np.float32))
    counts, row, column, value = counted(z, np.arange(2), np.array([5, 5]), 5000)
    size = np.abs(z)
    np.testing.assert_array_equal(
        counts[:, :-1], [[(size[:, k] >= level).sum() for level in LEVELS] for k in (0, 1)]
    )
    expected = np.argwhere(size.T >= 2.5)
    np.testing.assert_array_equal(np.stack([column, row]), expected.T)
    np.testing.assert_array_equal(value, z[row, column])


def test_refuses_what_would_lead_outside() -> None:
    z = np.zeros((4, 3), np.float32, order="F")
    good = {
        "columns": np.arange(3), "begin": 0, "levels": np.ones(4, np.float32),
        "wanted": np.zeros(3, np.int64), "counts": np.zeros((3, 5), np.int64),
        "row": np.zeros(8, np.int32), "column": np.zeros(8, np.int32),
        "value": np.zeros(8, np.float32),
    }  # fmt: skip
    assert tails.count_tails(z, **good) == (3, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 levels, not a multiple of 4"):
        none = {"levels": np.ones(0, np.float32), "counts": np.zeros((3, 1), np.int64)}
        tails.count_tails(z, **good | none)  # type: ignore[arg-type]
    for name, value in {
        "columns": np.array([0, 1, 3]), "begin": -1, "levels": np.ones(3, np.float32),
        "wanted": np.full(3, -1), "counts": np.zeros((2, 5), np.int64), "column": np.zeros(7, np.int32),
        "value": np.zeros(7, np.float32),
    }.items():  # fmt: skip
        with pytest.raises((ValueError, IndexError)):
            tails.count_tails(z, **good | {name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not columns"):
        tails.gather(np.ascontiguousarray(z), np.zeros(1), np.zeros(1))
