"""Ranks with ties averaged against SciPy, on every backend, and the kernel on the host and on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from gputwas.backends.choose import Backend, choose_backend
from gputwas.kernels import launch
from gputwas.stats import ranks
from gputwas.stats.ranks import rank_columns
from tests.kernels.on_host import HostDevice


def columns(rows: int, dtype: str) -> np.ndarray:
    """Columns without ties, with many, all equal, all missing, with infinities and with both zeros."""
    rng = np.random.default_rng(rows)
    values = rng.normal(size=(rows, 8))
    values[:, 1] = rng.integers(0, 3, rows)
    values[:, 2] = 7.0
    values[:, 3] = np.nan
    values[:, 4] = np.where(rng.random(rows) < 0.3, np.inf, values[:, 4])
    values[:, 5] = np.where(rng.random(rows) < 0.5, 0.0, -0.0)
    values[:, 6] = np.where(rng.random(rows) < 0.4, np.nan, rng.integers(-2, 2, rows))
    values[:, 7] = np.where(rng.random(rows) < 0.4, np.nan, -np.inf)
    return values.astype(dtype)


def scipy_ranks(values: np.ndarray) -> np.ndarray:
    return rankdata(values, axis=0, nan_policy="omit") if values.size else values.astype(float)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [0, 1, 60])
def test_ranks_equal_scipys(backend: Backend, rows: int, dtype: str) -> None:
    values = columns(rows, dtype)
    got = rank_columns(backend.asarray(values))
    assert str(got.dtype).endswith(dtype)
    np.testing.assert_array_equal(backend.to_numpy(got), scipy_ranks(values))


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, np.nan]), min_size=1, max_size=40))
def test_any_column_is_ranked_as_by_scipy(column: list[float]) -> None:
    values = np.array(column)[:, None]
    values.flags.writeable = False
    np.testing.assert_array_equal(rank_columns(values), scipy_ranks(values))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 700])
def test_kernel_on_the_host_equals_scipy(host_device: HostDevice, rows: int, dtype: str) -> None:
    """Runs of equal values end in, at and beyond the tiles of 256."""
    values = np.ascontiguousarray(columns(rows, dtype).T)
    got = launch.tie_averaged_ranks(values, np.argsort(values, axis=1))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.T, scipy_ranks(values.T))


def test_grid_and_turns_of_threads_change_nothing(
    host_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.ascontiguousarray(columns(300, "float32").T)
    order = np.argsort(values, axis=1)
    want = launch.tie_averaged_ranks(values, order)
    monkeypatch.setattr(launch, "MOST_GRID_Y", 3)
    host_device.seed = 5
    np.testing.assert_array_equal(launch.tie_averaged_ranks(values, order), want)


def test_cuda_arrays_are_ranked_by_the_kernel(
    host_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "is_cupy_namespace", lambda xp: True)
    values = columns(40, "float32")
    np.testing.assert_array_equal(rank_columns(values), scipy_ranks(values))
    assert host_device.launched == ["tie_averaged_ranks_float32"]


def test_what_cannot_be_ranked_is_refused(host_device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    for values in (np.zeros(3), np.zeros((2, 2), dtype=np.int64)):
        with pytest.raises(ValueError, match="matrix of floats"):
            rank_columns(values)
    values, order = np.zeros((2, 3)), np.zeros((2, 3), dtype=np.int64)
    launch.tie_averaged_ranks(values, order)
    for wrong, message in (
        ((values, order[:, :2].copy()), "equal shapes"),
        ((values, order.astype(np.int32)), "order"),
        ((values.astype(np.int64), order), "float32 or float64"),
        ((values.T, order.T), "contiguous"),
    ):
        with pytest.raises(ValueError, match=message):
            launch.tie_averaged_ranks(*wrong)


def test_float32_refuses_more_rows_than_it_can_number() -> None:
    many = np.broadcast_to(np.float32(0), ((1 << 23) + 1, 1))  # takes no memory
    with pytest.raises(ValueError, match="need float64"):
        rank_columns(many)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gpu_kernel_equals_scipy(dtype: str) -> None:
    cuda = choose_backend("cupy")
    values = columns(10_000, dtype)
    np.testing.assert_array_equal(cuda.to_numpy(rank_columns(cuda.asarray(values))), scipy_ranks(values))
