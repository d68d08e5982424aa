"""Quantiles and inflation of a study's p-values against all values sorted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gputwas.analyses.quantiles import BIN, EXACT, QuantileCounter, Quantiles, study_quantiles
from gputwas.errors import InputError
from gputwas.stats.normal import genomic_inflation, nlog10_p_from_z, z_from_nlog10_p
from gputwas.stores.associations import AssociationStore
from gputwas.twas.associate import AssociateSettings, associate
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import write_gwas, write_models

N = 100_000


def counted(*blocks: np.ndarray) -> Quantiles:
    """Quantiles of blocks counted one after the other."""
    counter = QuantileCounter()
    for block in blocks:
        counter.update(block)
    return counter.result()


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    """100,000 z-scores with signals, an excess of small ones, and a few missing."""
    rng = np.random.default_rng(41)
    z = rng.normal(size=N) * 1.05
    z[:300] += 8
    z[:5] = (50.0, -45.0, 39.0, 12.0, -11.0)
    z[-100:] = np.nan
    return rng.permutation(z)


def ranks(table_expected: np.ndarray, total: int) -> np.ndarray:
    """Rank of each point, from its expected p = rank / (total + 1)."""
    rank = 10.0**-table_expected * (total + 1)
    assert np.allclose(rank, np.rint(rank), rtol=0, atol=1e-5)
    return np.rint(rank).astype(int)


def test_every_point_is_a_quantile(z: np.ndarray) -> None:
    got = counted(z)
    largest_first = np.sort(np.abs(z[~np.isnan(z)]))[::-1]
    assert got.n_tests == N - 100 == largest_first.size
    rank = ranks(got.table["expected"].to_numpy(), got.n_tests)
    assert (rank[0], rank[-1]) == (1, got.n_tests), "from the smallest p to the largest"
    assert np.all(np.diff(rank) > 0)
    observed = got.table["observed"].to_numpy()
    np.testing.assert_allclose(observed[:EXACT], nlog10_p_from_z(largest_first[:EXACT]), rtol=1e-12)
    assert np.all(np.diff(observed) <= 0)
    want = largest_first[rank - 1]
    assert np.all(np.abs(z_from_nlog10_p(observed) - want) <= BIN / 2 + 1e-9)
    assert EXACT < got.table.num_rows < EXACT + 1000, "thinned"


def test_inflation_is_that_of_all_values(z: np.ndarray) -> None:
    assert counted(z).lambda_gc == pytest.approx(genomic_inflation(z), abs=2e-4)
    assert counted(z).lambda_gc == pytest.approx(1.05**2, abs=0.02)


def test_partition_and_order_of_blocks_do_not_matter(z: np.ndarray) -> None:
    whole = counted(z)
    rng = np.random.default_rng(42)
    cuts = np.sort(rng.integers(0, N, 17))
    blocks = np.split(z, cuts)
    shuffled = [blocks[i] for i in rng.permutation(len(blocks))]
    for got in (
        counted(*blocks),
        counted(*shuffled),
        counted(-z.reshape(250, 400)),
        counted(rng.permutation(z)),
    ):
        assert got.table.equals(whole.table)
        assert (got.lambda_gc, got.n_tests) == (whole.lambda_gc, whole.n_tests)


def test_many_strong_signals_are_not_cut_off() -> None:
    """More of them than exact values are kept: the curve must go on falling behind the exact part."""
    rng = np.random.default_rng(43)
    z = np.concatenate([rng.uniform(10, 40, 3 * EXACT), rng.normal(size=10_000)])
    got = counted(z)
    rank = ranks(got.table["expected"].to_numpy(), z.size)
    want = np.sort(np.abs(z))[::-1][rank - 1]
    assert np.all(np.abs(z_from_nlog10_p(got.table["observed"].to_numpy()) - want) <= BIN / 2 + 1e-9)


def test_few_values_are_exact() -> None:
    got = counted(np.array([1.0, -3.0, 2.0, np.nan]))
    np.testing.assert_allclose(got.table["expected"], -np.log10([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(got.table["observed"], nlog10_p_from_z(np.array([3.0, 2.0, 1.0])))
    assert got.lambda_gc == pytest.approx(genomic_inflation(np.array([1.0, 2.0, 3.0])), abs=2e-4 * 4)


def test_single_precision_and_infinite_values() -> None:
    got = counted(np.array([0.0, np.inf, 70.0], dtype=np.float32))
    assert got.n_tests == 3
    assert got.table["observed"].to_pylist()[0] == np.inf


def test_no_test_at_all() -> None:
    for got in (counted(), counted(np.array([np.nan])), counted(np.empty((0, 4)))):
        assert got.n_tests == 0 and got.table.num_rows == 0
        assert np.isnan(got.lambda_gc)


def test_quantiles_of_a_store(tmp_path: Path) -> None:
    rng = np.random.default_rng(44)
    models = write_models(tmp_path / "models", random_model_set(rng))
    z, beta = random_gwas(rng, 5, 40, 0.2)
    write_gwas(tmp_path / "gwas", models.panel, z, beta)
    settings = AssociateSettings(backend="numpy", block_size=2)
    associate(tmp_path / "models", tmp_path / "gwas", tmp_path / "out", settings=settings)
    store = AssociationStore.open(tmp_path / "out")

    def of(traits: list[str], tissues: list[str]) -> Quantiles:
        return counted(*(store.read_trait(tissue, trait) for tissue in tissues for trait in traits))

    names = store.trait_names
    for traits, tissues in (
        (None, None),
        (names[1:4], None),
        (None, ["Tissue_1"]),
        (names[4:], ["Tissue_0"]),
    ):
        got = study_quantiles(store, traits=traits, tissues=tissues)
        want = of(traits or names, tissues or store.tissues)
        assert got.table.equals(want.table) and got.n_tests == want.n_tests > 0
        assert got.lambda_gc == want.lambda_gc
    with pytest.raises(InputError, match="nobody"):
        study_quantiles(store, traits=["nobody"])
    with pytest.raises(InputError, match="Nowhere"):
        study_quantiles(store, tissues=["Nowhere"])
