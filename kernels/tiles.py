"""The scoring kernels for the processor, see tiles.c.

In: GWAS columns, models in CSR form. Out: z and effect sizes of a *tile*, a few traits side by side, written
to where the results belong. Sums are float64 in the stored order of a model's SNPs, so a trait's result does
not depend on its neighbours in the tile, on the order of the models, or on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.kernels.library import INTEGER, REAL, addresses, array, filled, of_library

__all__ = ["TileModels", "WindowPlan", "plan_window", "quadratic_forms", "score_tile", "window_size"]

LANES = 8  # as in tiles.c: traits are summed in groups of so many
LINE = 16  # as in tiles.c: variants that enter the window together
FEWEST_LINES = 256  # of a window: 1 MiB for 32 traits, half of a second-level cache

_i4, _i8, _f4, _f8, _u8 = np.int32, np.int64, np.float32, np.float64, np.uint64
_plan = of_library(
    "plan_window",
    INTEGER, array(_i8), array(_i4), INTEGER, filled(_i8), filled(_i4), filled(_i8), filled(_i4),
    returns=INTEGER,
)  # fmt: skip
_SCORE = [
    array(_i8), array(_i8), array(_i4), array(_f8), array(_f8), array(_i4), array(_i8), array(_i4),
    array(_i8), array(_u8), array(_u8), array(_f8, 2), array(_f8, 2), array(_i8), filled(_f4),
    array(_u8), array(_u8),
]  # fmt: skip
_score = {
    np.dtype(np.float32): of_library("score_tile_float", *_SCORE),
    np.dtype(np.float64): of_library("score_tile_double", *_SCORE),
}
_quadratic_forms = of_library(
    "quadratic_forms", INTEGER, array(_i8), array(_f8), array(_i8), array(_f8), array(_i8), REAL, filled(_f8)
)  # fmt: skip


@dataclass(frozen=True)
class WindowPlan:
    """How the window of the GWAS columns moves along while models are scored in a given order.

    Attributes
    ----------
    lines : of `LINE` variants that the window holds, a power of two.
    fills : int32 (fills,), line of the panel that enters next; the oldest one in the window leaves.
    until : int64 (models,), how many have entered before a model is scored.
    places : int32 (entries,), row of the window in which the model finds each of its SNPs.
    """

    lines: int
    fills: np.ndarray
    until: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class TileModels:
    """Models in the order in which they are scored.

    Attributes
    ----------
    offsets : (models + 1,) int64; z_weights, effect_weights : (entries,) float64.
    window : the way of the window in this order.
    tissue : (models,) int32, which of the outputs a model goes to, -1 for one that is not asked for;
        row : (models,) int64, and where in it.
    n_variants : length of the GWAS columns.
    """

    offsets: np.ndarray
    z_weights: np.ndarray
    effect_weights: np.ndarray
    window: WindowPlan
    tissue: np.ndarray
    row: np.ndarray
    n_variants: int


def plan_window(offsets: np.ndarray, variants: np.ndarray, n_variants: int) -> WindowPlan:
    """Plan the window for models in the order in which they stand here.

    Parameters
    ----------
    offsets : (models + 1,) int64; variants : (entries,) int32. n_variants : length of the GWAS columns.
    """
    if variants.size and not 0 <= variants.min() <= variants.max() < n_variants:
        raise ValueError(f"a model has a SNP that is none of the {n_variants:,} of the panel")
    longest = int(np.diff(offsets).max(initial=0))
    lines = max(FEWEST_LINES, 1 << (longest - 1).bit_length() if longest else 1)
    entered = np.full(-(-n_variants // LINE), np.iinfo(np.int64).min)
    fills, until = np.empty(variants.size, np.int32), np.empty(offsets.size - 1, np.int64)
    places = np.empty(variants.size, np.int32)
    count = _plan(until.size, offsets, variants, lines, entered, fills, until, places)
    return WindowPlan(lines, fills[:count], until, places)


def window_size(lines: int, traits: int) -> int:
    """Values of a window for so many traits."""
    return lines * LINE * 2 * -(-traits // LANES) * LANES


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
    window : float32 (`window_size`,); what is in it means nothing before or after.
    z_out, effect_out : per output and trait float32 or float64 (models of the output,), contiguous, filled.
    """
    plan, width = models.window, len(z)
    if window.size < window_size(plan.lines, width):
        raise ValueError(f"a window of {window.size} values is too small")
    if any(len(column) != models.n_variants for column in (*z, *(b for b in beta if b is not None))):
        raise ValueError(f"z and beta must have {models.n_variants} variants")
    if variance.shape[1] != models.tissue.size or not 0 <= pattern_of.min() <= pattern_of.max() < len(
        variance
    ):
        raise ValueError("var_g is not that of these models and traits")
    dtype = z_out[0][0].dtype
    lanes = -(-width // LANES) * LANES
    sizes = (models.tissue.size, len(variance), width, lanes, models.n_variants, plan.lines, plan.fills.size)
    _score[dtype](
        np.array(sizes, dtype=np.int64), models.offsets, plan.places,
        models.z_weights, models.effect_weights, plan.fills, plan.until, models.tissue, models.row,
        addresses(z, np.float32), addresses(beta, np.float32),
        variance, np.sqrt(variance), pattern_of, window,
        addresses([column for output in z_out for column in output], dtype),
        addresses([column for output in effect_out for column in output], dtype),
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
    offsets : (models + 1,) int64; values : (entries,) float64 u. ld_offsets : (models + 1,) int64; ld :
        float64 packed row-major upper triangles. models : (n,) int64 chosen.
    rounding : a sum that is at most this share of the sum of its absolute terms has cancelled and is 0.

    Returns
    -------
    (n,) float64.
    """
    out = np.empty(models.size)
    _quadratic_forms(models.size, offsets, values, ld_offsets, ld, models, rounding, out)
    return out
