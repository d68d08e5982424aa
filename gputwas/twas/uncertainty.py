"""Standard error of a model's effect size, and calibration of its z for inflation.

In: arrays of one trait. Out: (models,) arrays.
"""

from __future__ import annotations

import numpy as np

from gputwas.twas.spredixcan import Scorer
from gputwas.twas.variance import quadratic_forms

__all__ = ["calibrate", "effect_standard_error", "gwas_standard_errors"]


def gwas_standard_errors(z: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Standard errors se = |β / z| of the GWAS effects.

    Parameters
    ----------
    z, beta : (variants,) floating, NaN where missing.

    Returns
    -------
    (variants,) float64; NaN where z or β is missing or 0 (a β rounded to 0 says nothing of its error).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.abs(np.asarray(beta, dtype=np.float64) / np.asarray(z, dtype=np.float64))
    return np.where(np.isfinite(se) & (se > 0), se, np.nan)


def effect_standard_error(
    scorer: Scorer, z: np.ndarray, beta: np.ndarray, var_g: np.ndarray, models: np.ndarray
) -> np.ndarray:
    """Standard error of the effect sizes of one trait.

    effect = Σ w_l Γ_ll β_l / var_g, and GWAS estimates of SNPs in LD covary as
    cov(β_l, β_m) = se_l se_m R_lm, so se(effect) = sqrt(aᵀ R a) / var_g with a_l = w_l Γ_ll se_l and R the LD
    correlation. Because R_lm = Γ_lm / (σ_l σ_m), aᵀ R a = uᵀ Γ u with u_l = w_l σ_l se_l.

    Parameters
    ----------
    z, beta : (variants,) of one trait, NaN where missing. var_g : (models,) float64 of that trait.
    models : (n,) int64, which models.

    Returns
    -------
    (n,) float64. A SNP whose own se is unknown (z or β exactly 0) takes the model's median of se σ, which is
    constant for a trait and sample (se_l = sd(trait) / (σ_l sqrt(N))). NaN where none is known, and where a
    SNP with z has no β, for then the model has no effect size either.
    """
    operator = scorer.operator
    present, measured = (~np.isnan(values)[operator.variants] for values in (z, beta))
    se = gwas_standard_errors(z, beta)[operator.variants]
    scaled = np.where(present, se * operator.sigma, 0.0)
    unknown = np.flatnonzero(np.isnan(scaled) & measured)
    owners = np.searchsorted(operator.offsets, unknown, side="right") - 1
    for model in np.unique(owners):
        inside = slice(operator.offsets[model], operator.offsets[model + 1])
        known = scaled[inside][present[inside] & ~np.isnan(scaled[inside])]
        scaled[unknown[owners == model]] = np.median(known) if known.size else np.nan
    forms = quadratic_forms(operator, operator.weights * scaled, models, scorer.backend)
    with np.errstate(invalid="ignore"):
        return np.sqrt(forms) / var_g[models]


def calibrate(z: np.ndarray, phi: np.ndarray, n: float, h2: float) -> np.ndarray:
    """z corrected for the inflation by polygenicity: z / sqrt(1 + φ N h²), φ below 0 taken as 0.

    Liang et al., doi:10.1101/2023.10.17.562831. NaN where φ is missing (NaN).

    Parameters
    ----------
    z, phi : (models,) float64. n : GWAS sample size. h2 : heritability of the trait.
    """
    return z / np.sqrt(1.0 + np.where(phi < 0, 0.0, phi) * n * h2)
