"""Array-API twins of the CUDA kernels: the same function of the same arrays, on any array library.

Each twin is the definition that its kernel is tested against, and what runs where there is no CUDA device.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

__all__ = ["padded_gather"]

Array = Any


def padded_gather(
    lengths: Array, variants: Array, z_weights: Array, effect_weights: Array, z: Array, beta: Array | None
) -> tuple[Array, Array | None]:
    """Weighted sums over the SNPs of models of one padded length (twin of csr_gather.cu).

    Parameters
    ----------
    lengths : (models,) integer, SNPs that each model really has; what follows is padding.
    variants : (models, padded length) integer rows of `z`; padding may point at any row.
    z_weights, effect_weights : (models, padded length) float64, 0 where padded.
    z, beta : (variants, traits) floating, NaN where missing; `beta` may be None.

    Returns
    -------
    z_sums, effect_sums : (models, traits) float64. A SNP whose z is missing enters neither sum; a SNP with
        z but without beta makes the effect NaN. effect_sums is None without beta.
    """
    xp = array_namespace(z_weights)
    models, padded = variants.shape
    rows = xp.reshape(variants, (-1,))
    shape = (models, padded, z.shape[1])
    zero = xp.zeros((), dtype=z_weights.dtype)
    gathered = xp.reshape(xp.take(z, rows, axis=0), shape)
    within = xp.arange(padded, dtype=lengths.dtype)[None, :] < lengths[:, None]
    known = ~xp.isnan(gathered) & within[:, :, None]

    def weighted_sum(weights: Array, values: Array) -> Array:
        terms = xp.where(known, xp.astype(values, weights.dtype), zero)
        return xp.sum(weights[:, :, None] * terms, axis=1)

    z_sums = weighted_sum(z_weights, gathered)
    if beta is None:
        return z_sums, None
    return z_sums, weighted_sum(effect_weights, xp.reshape(xp.take(beta, rows, axis=0), shape))
