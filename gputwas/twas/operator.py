"""The prediction models as one sparse linear operator on GWAS statistics.

In: the arrays of a ModelSet (CSR weights over panel variants, packed LD). Out: a `ScoreOperator`, which keeps
only the SNPs that have LD (the others never enter a score) with their weights multiplied out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ScoreOperator", "build_operator", "diagonal_positions"]


@dataclass(frozen=True)
class ScoreOperator:
    """Weighted sums that turn (variants,) z and beta into (models,) numerators, in CSR form on the host.

    Attributes
    ----------
    offsets : (models + 1,) int64, entries of each model.
    variants : (entries,) int32, rows of the GWAS arrays.
    weights : (entries,) float64, w. sigma : (entries,) float64, σ = sqrt(Γ_ll).
    z_weights : (entries,) float64, w σ.
    effect_weights : (entries,) float64, w σ².
    ld_offsets : (models + 1,) int64; ld : float64, packed row-major upper triangles of Γ.
    all_offsets, all_variants : CSR of every SNP of the models, with LD or without; a model is "in the GWAS"
        when any of these has a z.
    """

    offsets: np.ndarray
    variants: np.ndarray
    weights: np.ndarray
    sigma: np.ndarray
    z_weights: np.ndarray
    effect_weights: np.ndarray
    ld_offsets: np.ndarray
    ld: np.ndarray
    all_offsets: np.ndarray
    all_variants: np.ndarray

    @property
    def n_models(self) -> int:
        """Number of models."""
        return self.offsets.size - 1

    @property
    def lengths(self) -> np.ndarray:
        """(models,) int64 number of SNPs with LD in each model."""
        return np.diff(self.offsets)


def diagonal_positions(lengths: np.ndarray, ld_offsets: np.ndarray) -> np.ndarray:
    """Positions of the diagonal entries of packed upper triangles, model after model.

    In row-major packing of an n x n upper triangle, entry (i, i) is number i n - i (i - 1) / 2.

    Parameters
    ----------
    lengths : (models,) int64 n; ld_offsets : (models + 1,) int64 start of each triangle.

    Returns
    -------
    (sum of lengths,) int64.
    """
    starts = np.cumsum(lengths) - lengths
    i = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts, lengths)
    return np.repeat(ld_offsets[:-1], lengths) + i * np.repeat(lengths, lengths) - i * (i - 1) // 2


def build_operator(
    offsets: np.ndarray,
    variants: np.ndarray,
    weights: np.ndarray,
    n_in_ld: np.ndarray,
    ld_offsets: np.ndarray,
    ld: np.ndarray,
    *,
    n_variants: int,
) -> ScoreOperator:
    """Multiply weights by the LD standard deviations and drop the SNPs without LD.

    Parameters are the arrays of `ModelSet` under the same names; see there for shapes. `n_variants` is the
    length of the panel. What is made of an operator trusts its rows: no way of multiplying looks again.

    Raises
    ------
    ValueError : a model has a SNP that is not in the panel.
    """
    if len(variants) and not 0 <= np.min(variants) <= np.max(variants) < n_variants:
        raise ValueError(f"a model has a SNP that is none of the {n_variants:,} of the panel")
    lengths = n_in_ld.astype(np.int64)
    kept_offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    sizes = np.diff(offsets)
    local = np.arange(variants.size, dtype=np.int64) - np.repeat(offsets[:-1], sizes)
    kept = local < np.repeat(lengths, sizes)
    w = np.asarray(weights, dtype=np.float64)[kept]
    variance = np.asarray(ld)[diagonal_positions(lengths, np.asarray(ld_offsets))]
    sigma = np.sqrt(variance)
    return ScoreOperator(
        offsets=kept_offsets,
        variants=np.ascontiguousarray(np.asarray(variants)[kept]),
        weights=w,
        sigma=sigma,
        z_weights=w * sigma,
        effect_weights=w * variance,
        ld_offsets=np.asarray(ld_offsets),
        ld=ld,
        all_offsets=np.asarray(offsets),
        all_variants=np.asarray(variants),
    )
