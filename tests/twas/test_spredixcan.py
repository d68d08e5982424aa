"""The engine against the paper's formula, on every backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputwas.backends.choose import Backend, choose_backend
from gputwas.errors import UsageError
from gputwas.stores.associations import Status
from gputwas.twas.products import prepare_products
from gputwas.twas.spredixcan import distinct_patterns, prepare_scorer, spredixcan
from tests.model_sets import plain_spredixcan, random_gwas, random_model_set

SEEDS = st.integers(0, 2**32 - 1)
NUMPY = choose_backend("numpy")


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.95, 1.0])
def test_every_model_and_trait_equals_the_formula(backend: Backend, missing: float) -> None:
    rng = np.random.default_rng(7)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 5, 40, missing)
    got = spredixcan(models, z, beta, backend=backend)
    for model in range(models.models.num_rows):
        for trait in range(5):
            want = plain_spredixcan(models, model, z[trait], beta[trait])
            found = (
                got.z[model, trait],
                got.effect_size[model, trait],
                got.var_g[model, trait],
                got.n_snps_used[model, trait],
            )
            np.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("method", ["csr", "padded"])
def test_both_ways_of_multiplying_agree(method: str) -> None:
    rng = np.random.default_rng(3)
    models = random_model_set(rng, lengths=(0, 1, 5, 31, 33, 64), n_variants=200)
    z, beta = random_gwas(rng, 4, 200, 0.2)
    auto, other = spredixcan(models, z, beta), spredixcan(models, z, beta, method=method)
    np.testing.assert_allclose(other.z, auto.z, rtol=1e-12)
    np.testing.assert_allclose(other.effect_size, auto.effect_size, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_turning_alleles_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 2, 40, 0.2)
    turn = np.where(rng.random(40) < 0.5, -1.0, 1.0)
    ld = models.ld.copy()
    for m, n in enumerate(models.n_in_ld):
        signs = turn[models.variants[models.offsets[m] : models.offsets[m] + n]]
        i, j = np.triu_indices(n)
        ld[models.ld_offsets[m] : models.ld_offsets[m + 1]] *= signs[i] * signs[j]
    turned = replace(models, weights=models.weights * turn[models.variants], ld=ld)
    before = spredixcan(models, z, beta)
    after = spredixcan(turned, (z * turn).astype(np.float32), (beta * turn).astype(np.float32))
    np.testing.assert_array_equal(before.z, after.z)
    np.testing.assert_array_equal(before.effect_size, after.effect_size)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(1e-3, 1e3))
def test_scaling_the_weights_of_a_model_leaves_z(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 2, 40, 0.1)
    scaled = spredixcan(replace(models, weights=models.weights * factor), z, beta)
    plain = spredixcan(models, z, beta)
    np.testing.assert_allclose(scaled.z, plain.z, rtol=1e-9)
    np.testing.assert_allclose(scaled.effect_size * factor, plain.effect_size, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_missing_snps_equal_snps_cut_from_the_model(seed: int) -> None:
    """The same models with the SNPs removed by hand, LD and all, give the same numbers."""
    rng = np.random.default_rng(seed)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 1, 40)
    z[0, rng.random(40) < 0.4] = np.nan
    gone = np.isnan(z[0])
    masked = spredixcan(models, z, beta)
    kept_n, kept_variants, kept_weights, kept_ld = [], [], [], []
    for m, n in enumerate(models.n_in_ld):
        start = models.offsets[m]
        keep = ~gone[models.variants[start : start + n]]
        full = np.zeros((n, n))
        full[np.triu_indices(n)] = models.ld[models.ld_offsets[m] : models.ld_offsets[m + 1]]
        cut = full[np.ix_(keep, keep)]
        kept_n.append(int(keep.sum()))
        kept_variants.append(models.variants[start : start + n][keep])
        kept_weights.append(models.weights[start : start + n][keep])
        kept_ld.append(cut[np.triu_indices(kept_n[-1])])
    sizes = np.array(kept_n)
    by_hand = replace(
        models,
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        variants=np.concatenate(kept_variants),
        weights=np.concatenate(kept_weights),
        n_in_ld=sizes.astype(np.int32),
        ld_offsets=np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)]).astype(np.int64),
        ld=np.concatenate(kept_ld),
    )
    cut_result = spredixcan(by_hand, z, beta)
    np.testing.assert_allclose(masked.z, cut_result.z, rtol=1e-10)
    np.testing.assert_allclose(masked.var_g, cut_result.var_g, rtol=1e-10)
    np.testing.assert_array_equal(masked.n_snps_used, cut_result.n_snps_used)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 6))
def test_batch_of_a_trait_does_not_matter_bitwise(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 6, 40, 0.2)
    together = spredixcan(models, z, beta)
    for start in range(0, 6, size):
        part = spredixcan(models, z[start : start + size], beta[start : start + size])
        np.testing.assert_array_equal(part.z, together.z[:, start : start + size])
        np.testing.assert_array_equal(part.var_g, together.var_g[:, start : start + size])
        np.testing.assert_array_equal(part.effect_size, together.effect_size[:, start : start + size])


def test_range_of_models_does_not_matter_bitwise() -> None:
    rng = np.random.default_rng(5)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 3, 40, 0.2)
    scorer = prepare_scorer(models, NUMPY)
    rows, pattern_of = distinct_patterns(~np.isnan(z))
    patterns = [scorer.variance(row) for row in rows]
    batch = scorer.products.load(z, beta)
    whole, _ = scorer.score(batch, slice(0, 14), patterns, pattern_of)
    part, _ = scorer.score(batch, slice(5, 9), patterns, pattern_of)
    np.testing.assert_array_equal(part, whole[5:9])


def test_status_says_why_a_score_is_missing() -> None:
    rng = np.random.default_rng(1)
    models = random_model_set(rng, lengths=(2, 2, 2, 2, 2), tissues=1, extra_without_ld=1)
    models.variants[:] = np.arange(15)
    models.ld[3:6] = 0.0  # model 1: no variance
    models.ld[6:9] = (1.0, -5.0, 1.0)  # model 2: not positive definite, weights below
    models.weights[6:8] = 1.0
    z = np.zeros((1, 40), dtype=np.float32)
    z[0, [9, 10]] = np.nan  # model 3: only its SNP without LD is left
    z[0, [12, 13, 14]] = np.nan  # model 4: nothing is left
    got = spredixcan(models, z)
    assert got.status[1, 0] == Status.ZERO_VARIANCE
    assert got.status[2, 0] == Status.NEGATIVE_VARIANCE
    assert got.status[3, 0] == Status.NO_SNP_IN_LD
    assert got.status[4, 0] == Status.NO_SNP_IN_GWAS
    assert got.status[0, 0] == Status.OK
    assert np.isnan(got.z[1:, 0]).all()
    assert np.isnan(got.var_g[3, 0])
    assert got.var_g[1, 0] == 0.0


def test_effects_are_nan_without_beta_and_where_one_is_unknown() -> None:
    rng = np.random.default_rng(2)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 1, 40)
    assert np.isnan(spredixcan(models, z).effect_size).all()
    beta[0, models.variants[models.offsets[4]]] = np.nan
    got = spredixcan(models, z, beta)
    assert np.isnan(got.effect_size[4, 0])
    assert np.isfinite(got.z[4, 0])


def test_inputs_may_be_read_only_and_stay_as_they_are() -> None:
    rng = np.random.default_rng(2)
    models = random_model_set(rng)
    z, beta = random_gwas(rng, 2, 40, 0.2)
    kept = z.copy()
    for array in (z, beta, models.ld, models.weights, models.variants):
        array.flags.writeable = False
    spredixcan(models, z, beta)
    np.testing.assert_array_equal(z, kept)


def test_float32_statistics_are_scored_within_the_stated_bound() -> None:
    """|z32 - z64| <= 1e-5 max(1, |z|), even where large z-scores cancel."""
    rng = np.random.default_rng(4)
    models = random_model_set(rng, lengths=(50, 100, 150), n_variants=400)
    z, beta = random_gwas(rng, 3, 400, dtype=np.float64)
    z *= 40
    z32 = z.astype(np.float32)
    single, double = spredixcan(models, z32, beta), spredixcan(models, z32.astype(np.float64), beta)
    assert np.all(np.abs(single.z.astype(np.float32) - double.z) <= 1e-5 * np.maximum(1, np.abs(double.z)))


def test_arrays_that_do_not_fit_are_refused() -> None:
    models = random_model_set(np.random.default_rng(0))
    with pytest.raises(ValueError, match="40"):
        spredixcan(models, np.zeros((1, 39), dtype=np.float32))
    with pytest.raises(UsageError, match="padded"):
        prepare_products(prepare_scorer(models, NUMPY).operator, choose_backend("array_api_strict"), "csr")


@pytest.mark.parametrize("stranger", [-1, 40])
def test_models_of_snps_outside_the_panel_are_refused(stranger: int) -> None:
    """Also where only a SNP without LD is: kernels read what rows they are given."""
    models = random_model_set(np.random.default_rng(0))
    models.variants[models.n_in_ld[0]] = stranger
    with pytest.raises(ValueError, match="none of the 40 of the panel"):
        prepare_scorer(models, NUMPY)


def test_variance_that_cancels_up_to_rounding_is_zero(backend: Backend) -> None:
    """SNPs in perfect LD whose weights sum to 0: the formula's 0 / 0 must not become a huge z."""
    models = random_model_set(np.random.default_rng(0), lengths=(3,), tissues=1, n_variants=5)
    models.ld[:] = 0.42
    models.weights[:3] = (0.1, 0.2, -0.3)
    z = np.zeros((1, 5), dtype=np.float32)
    z[0, models.variants[:3]] = (1.0, 1.01, 0.99)
    got = spredixcan(models, z, backend=backend)
    assert got.var_g[0, 0] == 0.0
    assert got.status[0, 0] == Status.ZERO_VARIANCE
    assert np.isnan(got.z[0, 0])


def test_compiled_variances_are_those_of_the_array_library() -> None:
    rng = np.random.default_rng(31)
    models = random_model_set(rng, tissues=2)
    present = rng.random(models.panel.num_rows) < 0.7
    plain = prepare_scorer(models, NUMPY).variance(present)
    compiled = prepare_scorer(models, NUMPY, compiled=True).variance(present)
    np.testing.assert_allclose(compiled.var_g, plain.var_g, rtol=1e-12)
    np.testing.assert_array_equal(compiled.status, plain.status)
    np.testing.assert_array_equal(compiled.n_snps_used, plain.n_snps_used)
