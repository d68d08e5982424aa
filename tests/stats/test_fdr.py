"""Adjusted p-values against R's p.adjust, scipy, and a formula written out; streams against one call."""

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
    StreamingFdr,
    SurvivorBound,
    adjust,
    bh_adjust,
    bonferroni_adjust,
    is_significant,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def by_definition(nlog10_p: np.ndarray, m: int) -> np.ndarray:
    """min(1, min over j >= i of m p_(j) / j), one test at a time."""
    out = np.full(nlog10_p.shape, np.nan)
    p = np.sort(10.0 ** -nlog10_p[~np.isnan(nlog10_p)])
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


def test_streams_real_data_by_family(r_padjust: dict[str, np.ndarray]) -> None:
    p = r_padjust["neglog10p_from_z"]
    names, family = np.unique(r_padjust["column"], return_inverse=True)
    stream = StreamingFdr(0.05, names.size)
    for first in range(0, p.size, 1000):
        stream.update(p[first : first + 1000], family[first : first + 1000])
    found = stream.result()
    expected = r_padjust["bh_within_column"]
    assert found.key.tolist() == np.flatnonzero(expected <= 0.05).tolist()
    assert found.n_tests.tolist() == np.bincount(family).tolist()
    positive = expected[found.key] > 0
    assert np.allclose(10.0 ** -found.nlog10_q[positive], expected[found.key][positive], rtol=1e-6, atol=0)


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
def streams(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[int], float, int]:
    """Tests with ties, missing values and hits, their families, a partition into blocks, and a level."""
    n = draw(st.integers(1, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    p = rng.uniform(size=n) ** draw(st.sampled_from([1.0, 2.0, 8.0, 60.0]))
    values = -np.log10(np.maximum(p, 1e-300))
    values[rng.uniform(size=n) < 0.1] = np.nan
    values[rng.uniform(size=n) < 0.3] = draw(st.floats(0.0, 5.0))  # ties
    n_families = draw(st.integers(1, 4))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=8)))
    return (
        values,
        rng.integers(n_families, size=n),
        cuts,
        draw(st.sampled_from([0.01, 0.05, 0.2, 1.0])),
        n_families,
    )


@given(streams(), st.sampled_from(["bh", "bonferroni"]), st.booleans())
def test_stream_equals_one_call(
    data: tuple[np.ndarray, np.ndarray, list[int], float, int], method: str, twice: bool
) -> None:
    values, family, cuts, alpha, n_families = data
    blocks = [(v, f) for v, f in zip(np.split(values, cuts), np.split(family, cuts), strict=True)]
    cutoffs = None
    if twice:
        bound = SurvivorBound(alpha, n_families)
        for block, of in blocks:
            bound.update(block, of)
        cutoffs = bound.cutoffs()
    stream = StreamingFdr(alpha, n_families, method=method, cutoffs=cutoffs)
    for block, of in blocks:
        stream.update(block, of)
    found = stream.result()
    whole = np.full(values.size, np.nan)
    for number in range(n_families):
        whole[family == number] = adjust(values[family == number], method)
    expected = np.flatnonzero(is_significant(whole, alpha))
    assert found.key.tolist() == expected.tolist()
    assert np.array_equal(found.nlog10_q, whole[expected])
    assert np.array_equal(found.nlog10_p, values[expected])
    assert found.family.tolist() == family[expected].tolist()
    made = ~np.isnan(values)
    assert found.n_tests.tolist() == np.bincount(family[made], minlength=n_families).tolist()
    assert found.n_significant.tolist() == np.bincount(family[expected], minlength=n_families).tolist()


def test_two_passes_keep_little_more_than_what_is_found() -> None:
    rng = np.random.default_rng(5)
    values = -np.log10(rng.uniform(size=200_000))
    values[:50] += 8.0
    bound = SurvivorBound(0.05)
    bound.update(values)
    stream = StreamingFdr(0.05, cutoffs=bound.cutoffs())
    stream.update(values)
    found = stream.result().key.size
    assert found >= 50
    assert stream.n_kept <= found + 5  # one pass keeps 10,000


@pytest.mark.parametrize("alpha", [0.05, 1e-70])
def test_coarse_bins_of_many_families_lose_nothing(alpha: float) -> None:
    n_families = 3_000
    rng = np.random.default_rng(8)
    family = rng.integers(n_families, size=30_000)
    values = -np.log10(rng.uniform(size=family.size)) * np.where(rng.uniform(size=family.size) < 0.01, 90, 1)
    bound, whole = SurvivorBound(alpha, n_families), StreamingFdr(alpha, n_families)
    bound.update(values, family)
    whole.update(values, family)
    part = StreamingFdr(alpha, n_families, cutoffs=bound.cutoffs())
    part.update(values, family)
    assert whole.result().key.size > 20
    assert np.array_equal(part.result().key, whole.result().key)
    assert np.array_equal(part.result().nlog10_q, whole.result().nlog10_q)
    assert part.n_kept <= whole.n_kept


def test_cutoff_is_infinite_where_nothing_can_be_significant() -> None:
    bound = SurvivorBound(0.05, 2)
    bound.update(np.array([0.1, 0.3, 9.0]), np.array([0, 0, 1]))
    assert bound.cutoffs()[0] == np.inf
    assert bound.cutoffs()[1] <= 9.0


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
    found = StreamingFdr(0.05, 3).result()
    assert found.key.size == 0 and found.n_tests.tolist() == [0, 0, 0]


def test_counts_given_with_hopeless_tests_left_out() -> None:
    values = np.array([4.0, 0.2, 3.0, 0.1, np.nan])
    whole, filtered = StreamingFdr(0.05), StreamingFdr(0.05)
    whole.update(values)
    filtered.update(values[[0, 2]], key=np.array([0, 2]), n_tests=np.array([4]))
    assert np.array_equal(whole.result().nlog10_q, filtered.result().nlog10_q)
    assert whole.result().key.tolist() == filtered.result().key.tolist() == [0, 2]


def test_input_is_left_alone() -> None:
    values = np.array([1.0, np.nan, 3.0])
    values.setflags(write=False)
    bh_adjust(values)
    StreamingFdr(0.5).update(values)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bh_adjust(np.array([-0.1])), "negative"),
        (lambda: bh_adjust(np.ones(3), 2), "n_tests is 2"),
        (lambda: StreamingFdr(0.0), "alpha"),
        (lambda: StreamingFdr(1.5), "alpha"),
        (lambda: StreamingFdr(0.05, method="holm"), "holm"),
        (lambda: adjust(np.ones(1), "by"), "bonferroni"),
        (lambda: StreamingFdr(0.05, 2).update(np.ones(2), 2), "family 2"),
        (lambda: StreamingFdr(0.05).update(np.ones(2), n_tests=np.array([1])), "n_tests"),
        (lambda: StreamingFdr(0.05, 2, cutoffs=np.ones(3)), "2 families"),
    ],
)
def test_refuses(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]


def test_public_names_are_those_listed() -> None:
    assert all(hasattr(fdr, name) for name in fdr.__all__)
