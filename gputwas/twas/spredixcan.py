"""S-PrediXcan of many models in many traits by batched products (arrays in, arrays out).

    var_g = wᵀ Γ w,   z = Σ w_l σ_l z_l / sqrt(var_g),   effect = Σ w_l σ_l² β_l / var_g,   σ_l² = Γ_ll

over the SNPs l that are in the model, in the GWAS (finite z) and in the LD covariance Γ; Barbeira et al.,
Nat Commun 9:1825 (2018), doi:10.1038/s41467-018-03621-1, equations 4 and 5. A SNP missing in a trait leaves
both the sums and var_g, so traits are grouped by their pattern of missing SNPs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.backends.choose import Backend, choose_backend
from gputwas.stores.associations import Status
from gputwas.stores.models import ModelSet
from gputwas.twas.operator import ScoreOperator, build_operator
from gputwas.twas.products import GwasBatch, Numerators, prepare_products
from gputwas.twas.variance import PatternVariance, pattern_variance, quadratic_forms

__all__ = ["Associations", "Scorer", "distinct_patterns", "prepare_scorer", "score_traits", "spredixcan"]


@dataclass(frozen=True)
class Associations:
    """Results of models in traits, all (models, traits).

    Attributes
    ----------
    z, effect_size : float64, NaN where there is none; var_g : float64, NaN where no SNP is used.
    n_snps_used : int32; status : uint8 of `gputwas.stores.associations.Status`.
    """

    z: np.ndarray
    effect_size: np.ndarray
    var_g: np.ndarray
    n_snps_used: np.ndarray
    status: np.ndarray


@dataclass(frozen=True)
class Scorer:
    """Models made ready for one backend: multiplied-out weights, full var_g, the way of multiplying.

    Attributes
    ----------
    method : of the products, "auto" settled. compiled : var_g by the processor's own kernel, see
        `gputwas.twas.variance.quadratic_forms`.
    """

    operator: ScoreOperator
    products: Numerators
    full_var_g: np.ndarray
    in_ld: np.ndarray
    backend: Backend
    method: str = "auto"
    compiled: bool = False

    def variance(self, present: np.ndarray) -> PatternVariance:
        """SNPs used, var_g and status of every model when only `present` (variants,) have a z-score."""
        return pattern_variance(
            self.operator, present, self.full_var_g, self.in_ld, self.backend, compiled=self.compiled
        )

    def score(
        self, batch: GwasBatch, models: slice, patterns: Sequence[PatternVariance], pattern_of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """z and effect size of a range of models in the traits of a batch.

        Parameters
        ----------
        batch : loaded by `products.load`. models : contiguous range of models.
        patterns : distinct patterns of missing SNPs; pattern_of : (traits,) int, which one each trait has.

        Returns
        -------
        z, effect size : (models, traits) float64, NaN where `Status` is not OK or no effect is known.
        """
        z_sums, effect_sums = self.products.sums(batch, models)
        var_g = np.stack([pattern.var_g[models] for pattern in patterns], axis=1)
        ok = np.stack([pattern.status[models] == Status.OK for pattern in patterns], axis=1)
        var_g = np.where(ok, var_g, np.nan)
        z = z_sums / np.sqrt(var_g)[:, pattern_of]
        if effect_sums is None:
            return z, np.full(z.shape, np.nan)
        return z, effect_sums / var_g[:, pattern_of]


def prepare_scorer(
    model_set: ModelSet, backend: Backend, method: str = "auto", *, compiled: bool = False
) -> Scorer:
    """Ready the models for a backend; costs one pass over weights and LD.

    Parameters
    ----------
    method : "auto", "csr" or "padded", see `gputwas.twas.products`. compiled : see `Scorer`.
    """
    operator = build_operator(
        model_set.offsets, model_set.variants, model_set.weights,
        model_set.n_in_ld, model_set.ld_offsets, model_set.ld, n_variants=model_set.panel.num_rows,
    )  # fmt: skip
    full = np.full(operator.n_models, np.nan)
    filled = np.flatnonzero(operator.lengths > 0)
    full[filled] = quadratic_forms(operator, operator.weights, filled, backend, compiled=compiled)
    in_ld = ~np.isnan(model_set.models.column("n_snps_in_cov").to_numpy().astype(np.float64))  # null is NaN
    return Scorer(
        operator, prepare_products(operator, backend, method), full, in_ld, backend, method, compiled
    )


def spredixcan(
    model_set: ModelSet,
    z: np.ndarray,
    beta: np.ndarray | None = None,
    *,
    backend: Backend | None = None,
    method: str = "auto",
) -> Associations:
    """Score all models against all traits held in memory.

    Parameters
    ----------
    model_set : models over a panel of variants.
    z : (traits, variants) float32 or float64, aligned to the panel's effect alleles, NaN where missing.
    beta : the same shape, effect sizes; NaN where missing; None when no trait has them.
    backend : where to compute; NumPy by default.

    Returns
    -------
    Associations, computed in float64.

    Raises
    ------
    ValueError : the arrays do not fit the panel.
    """
    if z.ndim != 2 or z.shape[1] != model_set.panel.num_rows or (beta is not None and beta.shape != z.shape):
        raise ValueError(f"z and beta must be (traits, {model_set.panel.num_rows}), not {z.shape}")
    return score_traits(prepare_scorer(model_set, backend or choose_backend("numpy"), method), z, beta)


def score_traits(scorer: Scorer, z: np.ndarray, beta: np.ndarray | None = None) -> Associations:
    """Score all models of a scorer against traits held in memory; parameters as in `spredixcan`."""
    present, pattern_of = distinct_patterns(~np.isnan(z))
    patterns = [scorer.variance(mask) for mask in present]
    batch = scorer.products.load(z, beta)
    scores, effects = scorer.score(batch, slice(0, scorer.operator.n_models), patterns, pattern_of)
    return Associations(
        z=scores,
        effect_size=effects,
        var_g=np.stack([patterns[k].var_g for k in pattern_of], axis=1),
        n_snps_used=np.stack([patterns[k].n_snps_used for k in pattern_of], axis=1),
        status=np.stack([patterns[k].status for k in pattern_of], axis=1),
    )


def distinct_patterns(present: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct rows of a (traits, variants) boolean array in order of appearance, and each trait's number."""
    seen: dict[bytes, int] = {}
    rows: list[np.ndarray] = []
    pattern_of = np.empty(len(present), dtype=np.int64)
    for trait, row in enumerate(present):
        key = np.packbits(row).tobytes()
        if key not in seen:
            seen[key] = len(rows)
            rows.append(row)
        pattern_of[trait] = seen[key]
    return rows, pattern_of
