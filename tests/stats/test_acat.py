"""The Cauchy combination against its plain formula, and where p has left the double range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend
from gputwas.stats.acat import acat_nlog10_p


def plain(p: np.ndarray, weights: np.ndarray | None = None) -> float:
    """-log10 of the combined p as the paper writes it, for p of ordinary size."""
    t = np.average(np.tan((0.5 - p) * np.pi), weights=weights)
    return float(-np.log10(0.5 - np.arctan(t) / np.pi))


def test_the_authors_example(backend: Backend) -> None:
    p = np.array([2e-02, 4e-04, 0.2, 0.1, 0.8])
    got = backend.to_numpy(acat_nlog10_p(backend.asarray(-np.log10(p))))
    # printed by the manual of the authors' R package
    assert 10.0**-got == pytest.approx(0.001953404, rel=1e-6)


@given(st.lists(st.tuples(st.floats(1e-4, 1 - 1e-4), st.floats(0.1, 10)), min_size=2, max_size=20))
def test_equals_the_plain_formula(tests: list[tuple[float, float]]) -> None:
    p, weights = np.array(tests).T
    assert acat_nlog10_p(-np.log10(p)) == pytest.approx(plain(p), rel=1e-9, abs=1e-12)
    assert acat_nlog10_p(-np.log10(p), weights) == pytest.approx(plain(p, weights), rel=1e-9, abs=1e-12)


def test_beyond_the_double_range(backend: Backend) -> None:
    rows = np.array([[400.0, 401.0, 2.0], [150.0, 150.0, 150.0], [250.0, 20.0, np.nan], [1e6, 0.5, 0.3]])
    got = backend.to_numpy(acat_nlog10_p(backend.asarray(rows)))
    # 1/p adds up: 3 / (10^400 + 10^401), 10^-150, 2 / 10^250 and 3 / 10^1e6
    want = [401 + math.log10(1.1 / 3), 150.0, 250 - math.log10(2), 1e6 - math.log10(3)]
    np.testing.assert_allclose(got, want, rtol=1e-14)


@given(st.floats(1, 600), st.integers(2, 30))
def test_equal_tests_give_their_own_p(nlog10_p: float, n: int) -> None:
    assert acat_nlog10_p(np.full(n, nlog10_p)) == pytest.approx(nlog10_p, rel=1e-12)


@pytest.mark.parametrize("edge", [15.0, 30.0, 300.0])
def test_is_continuous_where_the_formula_changes(edge: float) -> None:
    around = acat_nlog10_p(np.array([[edge * (1 - 1e-13), 3.0, 0.1], [edge * (1 + 1e-13), 3.0, 0.1]]))
    assert around[1] == pytest.approx(around[0], rel=1e-11)


def test_absent_tests_and_weights(backend: Backend) -> None:
    rows = np.array([[np.nan, 3.0, 1.0], [np.nan, np.nan, 0.7], [np.nan, np.nan, np.nan], [9.0, 3.0, 1.0]])
    got = backend.to_numpy(acat_nlog10_p(backend.asarray(rows)))
    np.testing.assert_allclose(got[:3], [plain(np.array([1e-3, 0.1])), 0.7, np.nan], rtol=1e-12)
    weights = backend.asarray(np.array([0.0, 1.0, 1.0]))
    got = backend.to_numpy(acat_nlog10_p(backend.asarray(rows), weights))
    np.testing.assert_allclose(got[3], plain(np.array([1e-3, 0.1])), rtol=1e-12)


def test_along_another_axis() -> None:
    values = np.random.default_rng(1).uniform(0, 20, (4, 5, 3))
    want = acat_nlog10_p(np.moveaxis(values, 1, -1))
    np.testing.assert_allclose(acat_nlog10_p(values, axis=1), want, rtol=1e-14)


def test_p_of_1_and_of_0(backend: Backend) -> None:
    rows = np.array([[0.0, 5.0, 1.0], [0.0, 0.0, np.nan], [0.0, np.nan, np.nan], [np.inf, 0.0, 2.0]])
    got = backend.to_numpy(acat_nlog10_p(backend.asarray(rows)))
    # 1 counts as 1 - 1/d: 2/3 beside two others, 1/2 of two; alone it stays 1
    np.testing.assert_allclose(got[0], plain(np.array([2 / 3, 1e-5, 0.1])), rtol=1e-12)
    np.testing.assert_allclose(got[1:], [math.log10(2), 0.0, np.inf], atol=1e-15)


def test_single_precision_keeps_its_digits_and_range() -> None:
    rows = np.array([[0.3, 5.0, 1.0], [35.0, 37.0, 0.1], [100.0, 99.5, 3.0]])
    got = acat_nlog10_p(rows.astype(np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, acat_nlog10_p(rows), rtol=1e-6)


def test_p_near_1_is_not_capped() -> None:
    p = 1 - 1e-9
    got = acat_nlog10_p(np.array([-math.log10(p), 6.0]))
    # T = (cot(π 1e-6) - cot(π 1e-9)) / 2 < 0, so p = 1 + 1/(π T), 1/(π T) = -2e-9
    assert got == pytest.approx(2e-9 / (1 - 1e-3) / math.log(10), rel=1e-5)


@pytest.mark.parametrize(("values", "weights"), [([1.0, -0.1], None), ([1.0, 2.0], [1.0, -1.0])])
def test_negative_numbers_are_refused(values: list[float], weights: list[float] | None) -> None:
    with pytest.raises(ValueError, match=r"negative|or above"):
        acat_nlog10_p(np.array(values), None if weights is None else np.array(weights))
