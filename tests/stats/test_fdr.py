"""Adjusted p-values against R's p.adjust, scipy, and a formula written out; survivors against all tests."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from gputwas.stats import fdr
from gputwas.stats.fdr import (
    SurvivorBound,
    adjust,
    bh_adjust,
    bonferroni_adjust,
    is_significant,
    significant_tests,
    survivor_levels,
)
from gputwas.stats.normal import nlog10_p_from_z, z_from_nlog10_p

ONE_FAMILY = np.zeros(1, dtype=np.int64)
REPOSITORY = Path(__file__).resolve().parents[2]


def by_definition(nlog10_p: np.ndarray, m: int) -> np.ndarray:
    """min(1, min over j >= i of m p_(j) / j), one test at a time."""
    out = np.full(nlog10_p.shape, np.nan)
    # value by value, as below: NumPy's power of a whole array may differ in the last digit
    p = np.sort([10.0**-value for value in nlog10_p[~np.isnan(nlog10_p)]])
    for place, value in enumerate(nlog10_p):
        if not np.isnan(value):
            later = [m * p[j - 1] / j for j in range(1, p.size + 1) if p[j - 1] >= 10.0**-value]
            out[place] = -np.log10(min(1.0, *later, 1.0))
    return out


@pytest.fixture(scope="session")
def r_padjust() -> dict[str, np.ndarray]:
    """A real matrix of -log10 p with the results of R's p.adjust; skips where it is absent."""
    data = Path(os.environ.get("GPUTWAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    file = data / "real_twas" / "expected" / "padjust.csv.gz"
    if not file.is_file():
        pytest.skip(f"no reference data at {file}; set GPUTWAS_TEST_DATA to the folder that holds real_twas")
    with gzip.open(file, "rt", newline="") as text:
        rows = list(csv.DictReader(text))
    numbers = ("neglog10p_from_z", "bh_all", "bonferroni_all", "bh_within_column")
    out = {name: np.array([float(row[name]) for row in rows]) for name in numbers}
    return out | {"column": np.array([row["column"] for row in rows])}


def assert_adjusted(nlog10_q: np.ndarray, r: np.ndarray) -> None:
    """Equal to R to 1e-9 of -log10 q, the ten digits in which -log10 p is given."""
    known = r > 0
    assert known.sum() == r.size - 6
    expected = -np.log10(r[known])
    assert np.all(np.abs(nlog10_q[known] - expected) <= 1e-9 * np.maximum(expected, 1.0))
    assert np.all((nlog10_q[~known] > 290) & np.isfinite(nlog10_q[~known]))  # R's p had underflowed here


def test_equals_r_over_all_tests(r_padjust: dict[str, np.ndarray]) -> None:
    p = r_padjust["neglog10p_from_z"]
    assert_adjusted(bh_adjust(p), r_padjust["bh_all"])
    assert_adjusted(bonferroni_adjust(p), r_padjust["bonferroni_all"])


def test_equals_r_within_columns(r_padjust: dict[str, np.ndarray]) -> None:
    p, columns = r_padjust["neglog10p_from_z"], r_padjust["column"]
    ours = np.empty(p.size)
    for column in np.unique(columns):
        ours[columns == column] = bh_adjust(p[columns == column])
    assert_adjusted(ours, r_padjust["bh_within_column"])


def test_real_data_by_family(r_padjust: dict[str, np.ndarray]) -> None:
    p = r_padjust["neglog10p_from_z"]
    names, family = np.unique(r_padjust["column"], return_inverse=True)
    found = significant_tests(p, family, np.bincount(family, minlength=names.size), 0.05)
    expected = r_padjust["bh_within_column"]
    assert found.place.tolist() == np.flatnonzero(expected <= 0.05).tolist()
    assert found.n_significant.tolist() == np.bincount(family, weights=expected <= 0.05).tolist()
    positive = expected[found.place] > 0
    assert np.allclose(10.0 ** -found.nlog10_q[positive], expected[found.place][positive], rtol=1e-6, atol=0)


p_values = st.lists(
    st.floats(1e-12, 1.0) | st.sampled_from([0.05, 0.01, 1.0, 0.025]), min_size=1, max_size=60
)


@given(p_values)
def test_equals_scipy(p: list[float]) -> None:
    values = np.array(p)
    ours = 10.0 ** -bh_adjust(-np.log10(values))
    assert np.allclose(ours, false_discovery_control(values), rtol=1e-12)


@given(p_values, st.integers(0, 500))
def test_equals_the_definition_with_a_larger_family(p: list[float], more: int) -> None:
    values = -np.log10(np.array(p))
    assert np.allclose(
        bh_adjust(values, values.size + more), by_definition(values, values.size + more), atol=1e-9
    )


@given(p_values, st.floats(0.01, 0.5))
def test_leaving_out_large_p_changes_no_significant_result(p: list[float], alpha: float) -> None:
    values = -np.log10(np.array(p))
    whole = bh_adjust(values)
    kept = values >= -np.log10(alpha)
    part = bh_adjust(values[kept], values.size)
    significant = is_significant(whole[kept], alpha)
    assert np.array_equal(significant, is_significant(part, alpha))
    assert np.array_equal(part[significant], whole[kept][significant])
    assert not is_significant(whole[~kept], alpha).any()


@st.composite
def studies(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float, int]:
    """z with ties and hits, their families, a level, and the number of families."""
    n_families = draw(st.integers(1, 4))
    n = draw(st.integers(0, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    z = rng.standard_normal(n)
    z[rng.uniform(size=n) < draw(st.sampled_from([0.0, 0.05, 0.6]))] *= 4
    z = np.round(z, draw(st.integers(1, 6))).astype(np.float32).astype(np.float64)
    return (
        z,
        rng.integers(n_families, size=n),
        draw(st.sampled_from([1e-4, 0.01, 0.05, 0.2, 1.0])),
        n_families,
    )


def bound_of(
    z: np.ndarray, family: np.ndarray, alpha: float, n_families: int
) -> tuple[np.ndarray, np.ndarray]:
    """The bound of each family as a number of level, and as |z|; counted in two parts."""
    levels = survivor_levels(alpha)
    bound = SurvivorBound(alpha, levels, n_families)
    for part in (slice(None, z.size // 3), slice(z.size // 3, None)):
        reached = (np.abs(z[part])[:, None] >= levels).astype(np.int64)
        bound.update(family[part], np.ones(reached.shape[0], dtype=np.int64), reached)
    lowest = bound.lowest()
    assert bound.lowest(of=np.array([n_families - 1, 0])).tolist() == [lowest[-1], lowest[0]]
    least = np.append(levels, np.inf)[lowest]
    assert bound.n_survivors() == np.count_nonzero(np.abs(z) >= least[family])
    assert bound.n_tests.tolist() == np.bincount(family, minlength=n_families).tolist()
    return lowest, least


@given(studies(), st.sampled_from(["bh", "bonferroni"]))
def test_survivors_give_what_all_tests_give(
    data: tuple[np.ndarray, np.ndarray, float, int], method: str
) -> None:
    z, family, alpha, n_families = data
    p = nlog10_p_from_z(z)
    n_tests = np.bincount(family, minlength=n_families)
    whole = np.full(z.size, np.nan)
    for number in range(n_families):
        whole[family == number] = adjust(p[family == number], method)
    expected = np.flatnonzero(is_significant(whole, alpha))
    _, least = bound_of(z, family, alpha, n_families)
    kept = np.flatnonzero(np.abs(z) >= least[family])
    for places in (np.arange(z.size), kept):
        found = significant_tests(p[places], family[places], n_tests, alpha, method=method)
        assert places[found.place].tolist() == expected.tolist()
        assert np.array_equal(found.nlog10_q, whole[expected])
        assert found.n_significant.tolist() == np.bincount(family[expected], minlength=n_families).tolist()


def test_few_more_survive_than_are_found() -> None:
    rng = np.random.default_rng(5)
    z = rng.standard_normal(200_000)
    z[:2000] += 5.0
    _, least = bound_of(z, np.zeros(z.size, dtype=np.int64), 0.05, 1)
    found = np.count_nonzero(is_significant(bh_adjust(nlog10_p_from_z(z)), 0.05))
    assert found >= 1500
    assert np.count_nonzero(np.abs(z) >= least[0]) <= 1.25 * found  # p <= 0.05 keeps 12,000


@given(st.floats(1e-300, 1.0), st.floats(1e-12, 1.0))
def test_levels_begin_at_alpha_and_go_down_far_enough(alpha: float, rarest: float) -> None:
    levels = survivor_levels(alpha, rarest)
    p = nlog10_p_from_z(levels)
    assert np.all(np.diff(levels) > 0) and levels[0] >= 0
    assert np.array_equal(levels, levels.astype(np.float32))
    assert p[0] <= -np.log10(alpha) <= p[0] + 1e-5 * max(1.0, p[0])
    assert 10.0 ** (-np.log10(alpha) - p[-1]) <= 1 / 64 * (1 + 1e-5 * max(1.0, p[-1]))
    assert p[-1] >= -np.log10(rarest) * (1 - 1e-5)


@pytest.mark.parametrize("alpha", [1e-9, 0.05, 0.3, 1.0])
def test_a_test_at_alpha_reaches_the_lowest_level(alpha: float) -> None:
    z = z_from_nlog10_p(np.array([max(-np.log10(alpha), 0.0)]))
    for value in (z, z.astype(np.float32), np.nextafter(z.astype(np.float32), np.float32(0))):
        if is_significant(nlog10_p_from_z(value.astype(np.float64)), alpha):
            assert abs(value[0]) >= survivor_levels(alpha)[0]


def test_no_level_where_nothing_can_be_significant() -> None:
    z = np.array([0.1, -0.3, -9.0])
    lowest, least = bound_of(z, np.array([0, 0, 1]), 0.05, 3)
    n_levels = survivor_levels(0.05).size
    assert lowest.tolist() == [n_levels, n_levels - 1, n_levels]
    assert least[0] == least[2] == np.inf and least[1] <= 9.0


def test_a_looser_bound_is_lower() -> None:
    levels = survivor_levels(0.05)
    bound = SurvivorBound(0.05, levels)
    bound.update(np.array([0]), np.array([1000]), np.array([[100, 25, 10, 8]]))
    assert bound.lowest() == levels.size - 1
    assert bound.lowest(looser=2.0) == levels.size - 2  # 20 of 1000 are more than 1/64, 10 are not


def test_works_where_p_underflows() -> None:
    values = np.array([5000.0, 400.0, 399.0, 0.2])
    expected = values + np.log10([1, 2, 3, 4]) - np.log10(4)
    assert np.allclose(bh_adjust(values), expected, rtol=1e-15)
    assert np.allclose(bonferroni_adjust(values)[:3], values[:3] - np.log10(4), rtol=1e-15)


def test_ties_get_one_value() -> None:
    values = -np.log10(np.array([0.01, 0.02, 0.02, 0.02, 0.5]))
    q = 10.0 ** -bh_adjust(values)
    assert np.allclose(q, [0.025, 0.025, 0.025, 0.025, 0.5])


def test_missing_tests_do_not_count() -> None:
    values = np.array([[3.0, np.nan], [1.0, np.nan]])
    assert np.array_equal(bh_adjust(values)[:, 0], bh_adjust(values[:, 0]))
    assert np.isnan(bh_adjust(values)[:, 1]).all()


def test_nothing_gives_nothing() -> None:
    assert bh_adjust(np.empty(0)).size == 0
    assert np.isnan(bonferroni_adjust(np.array([np.nan]))).all()
    none = np.empty(0, dtype=np.int64)
    found = significant_tests(np.empty(0), none, np.zeros(3, dtype=np.int64), 0.05)
    assert found.place.size == 0 and found.n_significant.tolist() == [0, 0, 0]


def test_input_is_left_alone() -> None:
    values = np.array([1.0, np.nan, 3.0])
    values.setflags(write=False)
    bh_adjust(values)
    given = values[[0, 2]]
    given.setflags(write=False)
    significant_tests(given, np.zeros(2, dtype=np.int64), np.array([2]), 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bh_adjust(np.array([-0.1])), "negative"),
        (lambda: bh_adjust(np.ones(3), 2), "n_tests is 2"),
        (lambda: survivor_levels(0.0), "alpha"),
        (lambda: SurvivorBound(1.5, np.ones(4)), "alpha"),
        (lambda: significant_tests(np.ones(1), ONE_FAMILY, np.ones(1), 2.0), "alpha"),
        (lambda: significant_tests(np.ones(1), ONE_FAMILY, np.ones(1), 0.5, method="holm"), "holm"),
        (lambda: adjust(np.ones(1), "by"), "bonferroni"),
        (lambda: significant_tests(np.ones(1), ONE_FAMILY + 2, np.ones(2), 0.05), "families 2 to 2"),
        (lambda: significant_tests(np.ones(2), np.repeat(ONE_FAMILY, 2), np.ones(1), 0.05), "n_tests is 1"),
    ],
)
def test_refuses(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]


def test_public_names_are_those_listed() -> None:
    assert all(hasattr(fdr, name) for name in fdr.__all__)
