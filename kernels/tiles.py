"""The scoring kernels for the processor, see tiles.c.

In: GWAS columns, models in CSR form. Out: z and effect sizes of a *tile*, a few traits side by side, written to where
the results belong. Sums are float64 in the stored order of a model's SNPs, so a trait's result does not depend on its
neighbours in the tile, nor on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.kernels.library import INTEGER, REAL, addresses, array, filled, of_library

__all__ = ["LANES", "TileModels", "quadratic_forms", "score_tile", "window_rows"]

LANES = 8  # as in tiles.c: traits are summed in groups of so many
STRIP = 16  # as in tiles.c: variants enter the window in strips

_i4, _i8, _f4, _f8, _u8 = np.int32, np.int64, np.float32, np.float64, np.uint64
_SCORE = [
    array(_i8), array(_i8), array(_i4), array(_f8), array(_f8), array(_i8), array(_i8), array(_i4), array(_i8),
    array(_u8), array(_u8), array(_f8, 2), array(_i8), filled(_f4), array(_u8), array(_u8),
]  # fmt: skip
_score = {
    np.dtype(np.float32): of_library("score_tile_float", *_SCORE),
    np.dtype(np.float64): of_library("score_tile_double", *_SCORE),
}
_quadratic_forms = of_library(
    "quadratic_forms", INTEGER, array(_i8), array(_f8), array(_i8), array(_f8), array(_i8), REAL, filled(_f8)
)  # fmt: skip


@dataclass(frozen=True)
class TileModels:
    """Models in the order of their first SNP.

    Attributes
    ----------
    offsets : (models + 1,) int64; variants : (entries,) int32; z_weights, effect_weights : (entries,) float64.
    first, last : (models,) int64, least and largest of each model's variants; past all variants and -1 for a model
        without any, and those come last.
    tissue : (models,) int32, which of the outputs a model goes to, -1 for one that is not asked for;
        row : (models,) int64, and where in it.
    n_variants : length of the GWAS columns.
    """

    offsets: np.ndarray
    variants: np.ndarray
    z_weights: np.ndarray
    effect_weights: np.ndarray
    first: np.ndarray
    last: np.ndarray
    tissue: np.ndarray
    row: np.ndarray
    n_variants: int


def window_rows(first: np.ndarray, last: np.ndarray) -> int:
    """Variants that a window must hold: a power of two that every model fits into, wherever a strip begins."""
    span = int((last - first).max(initial=0)) + 1
    return 1 << (span + 2 * STRIP - 1).bit_length()


def score_tile(
    models: TileModels,
    z: Sequence[np.ndarray],
    beta: Sequence[np.ndarray | None],
    variance: np.ndarray,
    pattern_of: np.ndarray,
    window: np.ndarray,
    z_out: Sequence[Sequence[np.ndarray]],
    effect_out: Sequence[Sequence[np.ndarray]],
) -> None:
    """z = sum of w σ z / sqrt(var_g), effect = sum of w σ² β / var_g, of all models in a few traits.

    Parameters
    ----------
    z, beta : per trait float32 (variants,), contiguous, NaN where missing; beta None without effects.
    variance : (patterns, models) float64 var_g in the order of `models`, NaN where there is no result.
    pattern_of : (traits,) int64, row of `variance` of each trait.
    window : float32, at least rows x 2 x (traits in whole groups of `LANES`) long, rows a power of two from
        `window_rows`; what is in it means nothing before or after.
    z_out, effect_out : per tissue and trait float32 or float64 (models of the tissue,), contiguous, filled.
    """
    lanes = -(-len(z) // LANES) * LANES
    rows = 1 << ((window.size // (2 * lanes)).bit_length() - 1)
    if rows < window_rows(models.first, models.last):
        raise ValueError(f"a window of {rows} variants does not hold every model")
    if any(len(column) != models.n_variants for column in (*z, *(b for b in beta if b is not None))):
        raise ValueError(f"z and beta must have {models.n_variants} variants")
    if variance.shape[1] != models.tissue.size or not 0 <= pattern_of.min() <= pattern_of.max() < len(
        variance
    ):
        raise ValueError("var_g is not that of these models and traits")
    dtype = z_out[0][0].dtype
    sizes = (models.tissue.size, models.variants.size, len(variance), len(z), lanes, models.n_variants, rows)
    _score[dtype](
        np.array(sizes, dtype=np.int64), models.offsets, models.variants, models.z_weights, models.effect_weights,
        models.first, models.last, models.tissue, models.row, addresses(z, np.float32), addresses(beta, np.float32),
        variance, pattern_of, window,
        addresses([column for tissue in z_out for column in tissue], dtype),
        addresses([column for tissue in effect_out for column in tissue], dtype),
    )  # fmt: skip


def quadratic_forms(
    offsets: np.ndarray,
    values: np.ndarray,
    ld_offsets: np.ndarray,
    ld: np.ndarray,
    models: np.ndarray,
    rounding: float,
) -> np.ndarray:
    """uᵀ Γ u of chosen models, one streaming pass over their LD; what is 0 in u costs nothing.

    Parameters
    ----------
    offsets : (models + 1,) int64; values : (entries,) float64 u. ld_offsets : (models + 1,) int64; ld : float64
        packed row-major upper triangles. models : (n,) int64 chosen.
    rounding : a sum that is at most this share of the sum of its absolute terms has cancelled and is 0.

    Returns
    -------
    (n,) float64.
    """
    out = np.empty(models.size)
    _quadratic_forms(models.size, offsets, values, ld_offsets, ld, models, rounding, out)
    return out
