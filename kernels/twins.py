"""Array-API twins of the CUDA kernels: the same function of the same arrays, on any array library.

Each twin is the definition that its kernel is tested against, and what runs where there is no CUDA device.
The twin of masked_var_g.cu is the array-API way of `gputwas.twas.variance`.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from gputwas.kernels.bits import count_bits

__all__ = ["bitset_counts", "padded_gather", "padded_scores", "tie_averaged_ranks", "variants_first"]

Array = Any


def variants_first(values: Array, multiple: int = 32) -> Array:
    """Columns of a GWAS turned into rows of traits (twin of variants_first.cu).

    Parameters
    ----------
    values : (traits, variants) floating. multiple : rows are filled up with NaN to a multiple of it.

    Returns
    -------
    (variants, padded traits) of the dtype of `values`.
    """
    xp = array_namespace(values)
    traits, variants = values.shape
    padding = xp.full((-traits % multiple, variants), xp.nan, dtype=values.dtype)
    return xp.permute_dims(xp.concat([values, padding], axis=0), (1, 0))


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


def padded_scores(
    lengths: Array,
    variants: Array,
    z_weights: Array,
    effect_weights: Array,
    z: Array,
    beta: Array | None,
    var_g: Array,
    pattern_of: Array,
) -> tuple[Array, Array | None]:
    """z-scores and effect sizes of models of one padded length (twin of score_gather.cu).

    Parameters
    ----------
    lengths, variants, z_weights, effect_weights, z, beta : as in `padded_gather`.
    var_g : (models, patterns) float64. pattern_of : (traits,) integer, column of `var_g` of each trait.

    Returns
    -------
    z, effect : (traits, models) float64, NaN where var_g is not positive; None without beta.
    """
    xp = array_namespace(z_weights)
    z_sums, effect_sums = padded_gather(lengths, variants, z_weights, effect_weights, z, beta)
    unknown = xp.asarray(xp.nan, dtype=var_g.dtype)
    usable = xp.where(var_g > 0, var_g, unknown)
    of_traits = xp.take(usable, pattern_of, axis=1)
    scores = xp.permute_dims(z_sums * (1 / xp.sqrt(of_traits)), (1, 0))
    if effect_sums is None:
        return scores, None
    return scores, xp.permute_dims(effect_sums * (1 / of_traits), (1, 0))


def tie_averaged_ranks(values: Array, order: Array) -> Array:
    """Ranks from sorted order, ties averaged (twin of tie_averaged_ranks.cu).

    Parameters
    ----------
    values : (sequences, n) floating. order : (sequences, n) int64, `argsort` of each row with NaN last.

    Returns
    -------
    (sequences, n) of the dtype of `values`: mean of the positions, from 1, of all values equal to this one;
        NaN where the value is NaN.
    """
    xp = array_namespace(values)
    rows, size = values.shape
    if rows == 0 or size == 0:
        return xp.zeros_like(values)
    starts_of_rows = xp.arange(rows, dtype=xp.int64)[:, None] * size
    flat_order = xp.reshape(order + starts_of_rows, (-1,))
    ordered = xp.reshape(xp.take(xp.reshape(values, (-1,)), flat_order), (rows, size))
    begins = xp.concat([xp.ones((rows, 1), dtype=xp.bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    run = xp.cumulative_sum(xp.astype(xp.reshape(begins, (-1,)), xp.int64)) - 1
    (first,) = xp.nonzero(xp.reshape(begins, (-1,)))
    after = xp.concat([first[1:], xp.asarray([rows * size], dtype=first.dtype)])
    twice = xp.reshape(xp.take(first + after - 1, run), (rows, size)) - 2 * starts_of_rows
    ranks = xp.astype(twice, values.dtype) / 2 + 1
    ranks = xp.where(xp.isnan(ordered), ordered, ranks)
    back = xp.argsort(flat_order, stable=False)  # a permutation has no ties
    return xp.reshape(xp.take(xp.reshape(ranks, (-1,)), back), (rows, size))


def bitset_counts(sets: Array, lists: Array) -> Array:
    """Common members of every set and every list (twin of bitset_counts.cu).

    Parameters
    ----------
    sets : (sets, words) uint32; lists : (lists, words) uint32. Holds sets x lists x words words at once.

    Returns
    -------
    (sets, lists) int32.
    """
    xp = array_namespace(sets)
    common = count_bits(sets[:, None, :] & lists[None, :, :])
    return xp.astype(xp.sum(common, axis=2, dtype=xp.uint32), xp.int32)
