"""The dense way of multiplying against the sparse one, on every backend."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend, choose_backend
from gputwas.twas import dense_blocks
from gputwas.twas.dense_blocks import DenseBlocks, dense_matrices, padded_shape, plan_windows
from gputwas.twas.operator import ScoreOperator
from gputwas.twas.products import prepare_products
from gputwas.twas.spredixcan import prepare_scorer, spredixcan
from tests.model_sets import random_gwas, random_model_set

NUMPY = choose_backend("numpy")
VARIANTS = 3000


def genome_models(seed: int, models: int = 90, wide: bool = True) -> ScoreOperator:
    """Models of neighbouring SNPs, some without SNPs, one with SNPs all over the genome."""
    rng = np.random.default_rng(seed)
    lengths = tuple(int(n) for n in rng.integers(0, 20, models))
    made = random_model_set(rng, lengths=lengths, n_variants=VARIANTS, extra_without_ld=0, tissues=1)
    for m in range(models):
        inside = slice(made.offsets[m], made.offsets[m + 1])
        around = rng.integers(0, VARIANTS - 60)
        made.variants[inside] = around + rng.choice(60, inside.stop - inside.start, replace=False)
    if wide:
        longest = int(np.argmax(lengths))
        inside = slice(made.offsets[longest], made.offsets[longest + 1])
        made.variants[inside] = np.linspace(0, VARIANTS - 1, inside.stop - inside.start).astype(np.int32)
    return prepare_scorer(made, NUMPY).operator


def whole(operator: ScoreOperator) -> slice:
    return slice(0, operator.n_models)


@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
def test_dense_sums_equal_sparse_ones(backend: Backend, missing: float) -> None:
    operator = genome_models(1)
    z, beta = random_gwas(np.random.default_rng(2), 40, VARIANTS, missing)
    sparse, dense = prepare_products(operator, NUMPY), DenseBlocks(operator, backend)
    want = sparse.sums(sparse.load(z, beta), whole(operator))
    got = dense.sums(dense.load(z, beta), whole(operator))
    for mine, theirs in zip(got, want, strict=True):
        assert mine.dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12 * np.abs(want[0]).max())


def test_beta_unknown_at_a_snp_spoils_the_models_that_use_it_and_no_others(backend: Backend) -> None:
    operator = genome_models(3)
    z, beta = random_gwas(np.random.default_rng(3), 3, VARIANTS, 0.1)
    lost = operator.variants[operator.offsets[:-1][operator.lengths > 0][:4]]
    beta[0, lost] = np.nan  # some of these have no z either and then spoil nothing
    beta[2] = np.nan
    sparse, dense = prepare_products(operator, NUMPY), DenseBlocks(operator, backend)
    want = sparse.sums(sparse.load(z, beta), whole(operator))
    got = dense.sums(dense.load(z, beta), whole(operator))
    assert 0 < np.isnan(want[1][:, 0]).sum() < operator.n_models
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12, atol=1e-12)
    z_only, nothing = dense.sums(dense.load(z, None), whole(operator))
    np.testing.assert_array_equal(z_only, got[0])
    assert nothing is None


def test_batch_of_a_trait_does_not_matter_bitwise(backend: Backend) -> None:
    operator = genome_models(4, models=40)
    z, beta = random_gwas(np.random.default_rng(5), 70, VARIANTS, 0.2)
    dense = DenseBlocks(operator, backend)
    want = dense.sums(dense.load(z, beta), whole(operator))
    for size in (1, 7, 31, 33):
        for start in range(0, 70, size)[:4]:
            part = slice(start, start + size)
            got = dense.sums(dense.load(z[part], beta[part]), whole(operator))
            np.testing.assert_array_equal(got[0], want[0][:, part])
            np.testing.assert_array_equal(got[1], want[1][:, part])


def test_range_of_models_and_kept_matrices_do_not_matter_bitwise(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = genome_models(6)
    z, beta = random_gwas(np.random.default_rng(6), 5, VARIANTS, 0.2)
    kept = DenseBlocks(operator, NUMPY)
    monkeypatch.setattr(dense_blocks, "MOST_RESIDENT", 0)
    made_anew = DenseBlocks(operator, NUMPY)
    want = kept.sums(kept.load(z, beta), whole(operator))
    again = kept.sums(kept.load(z, beta), slice(20, 50))
    anew = made_anew.sums(made_anew.load(z, beta), slice(20, 50))
    for k in range(2):
        np.testing.assert_array_equal(again[k], want[k][20:50])
        np.testing.assert_array_equal(anew[k], want[k][20:50])


def test_snp_listed_twice_counts_twice() -> None:
    operator = genome_models(7, models=6, wide=False)
    model = int(np.argmax(operator.lengths))
    operator.variants[operator.offsets[model] + 1] = operator.variants[operator.offsets[model]]
    z, beta = random_gwas(np.random.default_rng(7), 2, VARIANTS)
    sparse, dense = prepare_products(operator, NUMPY), DenseBlocks(operator, NUMPY)
    for got, want in zip(
        dense.sums(dense.load(z, beta), whole(operator)),
        sparse.sums(sparse.load(z, beta), whole(operator)),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 12))
def test_every_model_lies_wholly_in_one_window(seed: int, most_width: int, most_models: int) -> None:
    operator = genome_models(seed % 1000, models=40)
    windows = plan_windows(
        operator.offsets, operator.variants, most_width=most_width, most_models=most_models
    )
    placed = np.concatenate([window.models for window in windows])
    np.testing.assert_array_equal(np.sort(placed), np.flatnonzero(operator.lengths > 0))
    for window in windows:
        used = [operator.variants[operator.offsets[m] : operator.offsets[m + 1]] for m in window.models]
        np.testing.assert_array_equal(window.variants, np.unique(np.concatenate(used)))
        assert len(window.models) <= most_models
        span_of_each = [of_model.max() + 1 - of_model.min() for of_model in used]
        if max(span_of_each) <= most_width:
            assert window.variants[-1] + 1 - window.variants[0] <= most_width
        else:  # wide models keep to themselves
            assert min(span_of_each) > most_width


def test_windows_share_variants_and_a_wide_model_is_narrow_in_memory() -> None:
    operator = genome_models(8, models=300)
    windows = plan_windows(operator.offsets, operator.variants, most_width=100)
    pairs = pairwise(windows)
    assert any(np.intersect1d(a.variants, b.variants).size for a, b in pairs)
    wide = windows[-1]
    assert wide.variants[-1] - wide.variants[0] == VARIANTS - 1
    assert padded_shape(wide, "numpy") == (32, 64)
    shape = padded_shape(windows[1], "jax")
    assert all(size & (size - 1) == 0 for size in shape)
    matrices = dense_matrices(operator, windows[1], shape)
    assert all(matrix.shape == shape for matrix in matrices)
    assert matrices[2].sum() == operator.lengths[windows[1].models].sum()


def test_models_without_snps_and_no_models_at_all() -> None:
    for lengths in ((0, 0), ()):
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        assert plan_windows(offsets, np.zeros(0, dtype=np.int32)) == []
    models = random_model_set(np.random.default_rng(0), lengths=(0, 0), tissues=1)
    operator = prepare_scorer(models, NUMPY).operator
    z, beta = random_gwas(np.random.default_rng(0), 2, 40)
    dense = DenseBlocks(operator, NUMPY)
    for sums in dense.sums(dense.load(z, beta), whole(operator)):
        np.testing.assert_array_equal(sums, np.zeros((2, 2)))


def test_infinite_statistics_are_refused() -> None:
    operator = genome_models(9, models=5)
    z, beta = random_gwas(np.random.default_rng(0), 1, VARIANTS)
    dense = DenseBlocks(operator, NUMPY)
    with pytest.raises(ValueError, match="z must be finite"):
        dense.load(np.full_like(z, np.inf), beta)
    with pytest.raises(ValueError, match="beta must be finite"):
        dense.load(z, np.full_like(beta, -np.inf))


def test_float64_is_needed_for_the_bound_on_z() -> None:
    """Large z-scores that cancel: float64 products keep the bound, float32 ones break it."""
    operator = genome_models(10)
    z, _ = random_gwas(np.random.default_rng(1), 4, VARIANTS, dtype=np.float64)
    z = np.float32(1000 + z).astype(np.float64)
    signs = np.concatenate([np.where(np.arange(n) < n // 2, 1.0, -1.0) for n in operator.lengths])
    even = np.repeat(operator.lengths % 2 == 0, operator.lengths)
    operator = replace(operator, z_weights=np.where(even, signs, 0.0) * 0.1)
    dense = DenseBlocks(operator, NUMPY)
    exact = np.array([
        [np.dot(operator.z_weights[a:b].astype(np.longdouble), row[operator.variants[a:b]]) for row in z]
        for a, b in zip(operator.offsets[:-1], operator.offsets[1:], strict=True)
    ], dtype=np.float64)  # fmt: skip
    bound = 1e-5 * np.maximum(1, np.abs(exact))
    got, _ = dense.sums(dense.load(z.astype(np.float32), None), whole(operator))
    assert np.all(np.abs(got - exact) <= bound)
    (window,) = plan_windows(operator.offsets, operator.variants, most_width=VARIANTS, most_models=999)
    weights, _, _ = dense_matrices(operator, window, padded_shape(window, "numpy"))
    single = weights[: window.models.size, : window.variants.size].astype(np.float32) @ z.T[
        window.variants
    ].astype(np.float32)
    assert np.any(np.abs(single - exact[window.models]) > bound[window.models])


def test_engine_scores_alike_by_every_method(backend: Backend) -> None:
    models = random_model_set(np.random.default_rng(12), n_variants=60)
    z, beta = random_gwas(np.random.default_rng(12), 5, 60, 0.2)
    want, got = spredixcan(models, z, beta), spredixcan(models, z, beta, backend=backend, method="dense")
    np.testing.assert_allclose(got.z, want.z, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.effect_size, want.effect_size, rtol=1e-10, atol=1e-12)
    assert isinstance(prepare_scorer(models, backend, "dense").products, DenseBlocks)
