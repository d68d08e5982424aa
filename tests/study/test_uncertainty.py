"""Standard errors of effects: against the matrix formula, and against effects drawn from the GWAS model."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.stores.models import ModelSet
from gputwas.twas.spredixcan import prepare_scorer, spredixcan
from gputwas.twas.uncertainty import effect_standard_error, gwas_standard_errors
from tests.model_sets import random_model_set

NUMPY = choose_backend("numpy")
LENGTHS = (1, 2, 5, 12)


def case(missing: float = 0.0) -> tuple[ModelSet, np.ndarray, np.ndarray, np.ndarray]:
    """Models, and one trait's z, β and standard errors."""
    rng = np.random.default_rng(21)
    models = random_model_set(rng, lengths=LENGTHS, tissues=1)
    se = rng.uniform(0.01, 0.05, 40)
    beta = rng.normal(size=40) * se
    beta[rng.random(40) < missing] = np.nan
    return models, beta / se, beta, se


def used_snps(models: ModelSet, model: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Panel rows, weights and Γ of the SNPs that a model uses in a trait."""
    start, n = int(models.offsets[model]), int(models.n_in_ld[model])
    rows = models.variants[start : start + n]
    used = ~np.isnan(z[rows])
    gamma = models.ld_matrix(model)[np.ix_(used, used)]
    return rows[used], models.weights[start : start + n][used], gamma


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_equals_the_matrix_formula(backend: Backend, missing: float) -> None:
    models, z, beta, se = case(missing)
    var_g = spredixcan(models, z[None]).var_g[:, 0]
    chosen = np.array([0, 1, 2, 3])
    got = effect_standard_error(prepare_scorer(models, backend), z, beta, var_g, chosen)
    for model in range(4):
        rows, w, gamma = used_snps(models, model, z)
        if rows.size == 0:
            assert np.isnan(got[model])
            continue
        sd = np.sqrt(np.diag(gamma))
        correlation = gamma / np.outer(sd, sd)
        a = w * sd**2 * se[rows]
        want = np.sqrt(a @ correlation @ a) / (w @ gamma @ w)
        assert got[model] == pytest.approx(want, rel=1e-12)


def test_some_models_in_any_order() -> None:
    models, z, beta, _ = case()
    scorer = prepare_scorer(models, NUMPY)
    var_g = spredixcan(models, z[None]).var_g[:, 0]
    every = effect_standard_error(scorer, z, beta, var_g, np.arange(4))
    np.testing.assert_array_equal(
        effect_standard_error(scorer, z, beta, var_g, np.array([1, 3])), every[[1, 3]]
    )


def test_equals_the_spread_of_simulated_effects() -> None:
    """β drawn with cov(β_l, β_m) = se_l se_m R_lm: the sd of the effect is its standard error."""
    models, z, beta, se = case()
    var_g = spredixcan(models, z[None]).var_g[:, 0]
    got = effect_standard_error(prepare_scorer(models, NUMPY), z, beta, var_g, np.arange(4))
    rng = np.random.default_rng(22)
    for model in range(4):
        rows, w, gamma = used_snps(models, model, z)
        sd = np.sqrt(np.diag(gamma))
        root = np.linalg.cholesky(gamma / np.outer(sd, sd))
        draws = se[rows] * (rng.normal(size=(20_000, rows.size)) @ root.T)
        effects = draws @ (w * sd**2) / var_g[model]
        # the sd of a normal sample has a relative error of 1 / sqrt(2 n) = 0.5 %
        assert got[model] == pytest.approx(effects.std(), rel=0.02)


def test_effect_over_its_error_is_z_where_se_follows_from_n() -> None:
    """With se_l = 1 / (σ_l sqrt(N)), as in a GWAS of a weak trait, effect / se is the model's z."""
    rng = np.random.default_rng(23)
    models = random_model_set(rng, lengths=LENGTHS, tissues=1)
    models.variants[:] = np.arange(models.variants.size)  # each model has SNPs of its own
    sigma = np.ones(40)
    for model in range(4):
        start, n = models.offsets[model], models.n_in_ld[model]
        sigma[models.variants[start : start + n]] = np.sqrt(np.diag(models.ld_matrix(model)))
    z = rng.normal(size=40)
    beta = z / (sigma * np.sqrt(10_000))
    got = spredixcan(models, z[None], beta[None])
    se = effect_standard_error(prepare_scorer(models, NUMPY), z, beta, got.var_g[:, 0], np.arange(4))
    np.testing.assert_allclose(got.effect_size[:, 0] / se, got.z[:, 0], rtol=1e-11)


def test_gwas_standard_errors() -> None:
    z = np.array([2.0, -4.0, 0.0, np.nan, 1.0, 3.0, 0.0], dtype=np.float32)
    beta = np.array([0.1, 0.2, 0.0, 0.1, np.nan, 0.0, 0.1], dtype=np.float32)
    got = gwas_standard_errors(z, beta)
    np.testing.assert_allclose(got, [0.05, 0.05, *[np.nan] * 5], rtol=1e-7)
    assert got.dtype == np.float64


def test_a_snp_with_z_zero_takes_the_typical_error_of_its_model() -> None:
    """se sd(SNP) is the same for all SNPs of a trait when all are measured in one sample."""
    rng = np.random.default_rng(24)
    models = random_model_set(rng, lengths=(5,), tissues=1, extra_without_ld=0)
    rows, _, gamma = used_snps(models, 0, np.ones(40))
    se = np.full(40, 0.02)
    se[rows] = 0.02 / np.sqrt(np.diag(gamma))
    z = rng.normal(size=40)
    var_g = spredixcan(models, z[None]).var_g[:, 0]
    scorer = prepare_scorer(models, NUMPY)
    want = effect_standard_error(scorer, z, z * se, var_g, np.array([0]))
    z[rows[2]] = 0.0
    got = effect_standard_error(scorer, z, z * se, var_g, np.array([0]))
    np.testing.assert_allclose(got, want, rtol=1e-12)
    z[rows] = 0.0
    assert np.isnan(effect_standard_error(scorer, z, z * se, var_g, np.array([0]))).all()


def test_an_unknown_effect_leaves_the_error_unknown() -> None:
    """As the effect itself, which has no value when a SNP with z has no β."""
    models, z, beta, _ = case()
    scorer = prepare_scorer(models, NUMPY)
    beta = beta.copy()
    beta[models.variants[models.offsets[3]]] = np.nan
    effects = spredixcan(models, z[None], beta[None])
    assert np.isnan(effects.effect_size[3, 0])
    got = effect_standard_error(scorer, z, beta, effects.var_g[:, 0], np.arange(4))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(effects.effect_size[:, 0]))
