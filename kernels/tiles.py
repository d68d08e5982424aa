"""The scoring kernels for the processor, see tiles.c.

In: GWAS columns, models in CSR form. Out: z and effect sizes of a *tile*, a few traits side by side, written
to where the results belong. Sums are float64 in the stored order of a model's SNPs, so a trait's result does
not depend on its neighbours in the tile, on the order of the models, or on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gputwas.kernels.library import INTEGER, REAL, addresses, array, filled, of_library

__all__ = ["TileModels", "WindowPlan", "plan_window", "quadratic_forms", "score_tile", "window_size"]

LANES = 8  # as in tiles.c: traits are summed in groups of so many
LINE = 16  # as in tiles.c: variants that enter the window together
FEWEST_LINES = 256  # of a window: 1 MiB for 32 traits, half of a second-level cache

_i4, _i8, _f4, _f8, _u8 = np.int32, np.int64, np.float32, np.float64, np.uint64
_plan = of_library(
    "plan_window",
    INTEGER, array(_i8), array(_i4), INTEGER, INTEGER, filled(_i8), filled(_i4), filled(_i8), filled(_i4),
    returns=INTEGER,
)  # fmt: skip
_most = of_library("most_lines", INTEGER, array(_i8), array(_i4), filled(_i8), returns=INTEGER)
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

    def __post_init__(self) -> None:
        models, entries = self.tissue.size, self.window.places.size
        _check_csr(self.offsets, entries)
        if (self.offsets.size, self.row.size, self.window.until.size) != (models + 1, models, models):
            raise ValueError(f"offsets, rows or window are not those of {models} models")
        if (self.z_weights.size, self.effect_weights.size) != (entries, entries):
            raise ValueError(f"the weights are not those of {entries} SNPs")

    @cached_property
    def output_rows(self) -> np.ndarray:
        """Rows that each output must have at least, int64 (outputs,)."""
        asked = self.tissue >= 0
        if asked.any() and self.row[asked].min() < 0:
            raise ValueError("a model belongs before the first row of its output")
        rows = np.zeros(int(self.tissue.max(initial=-1)) + 1, np.int64)
        np.maximum.at(rows, self.tissue[asked], self.row[asked] + 1)
        return rows


def _check_csr(offsets: np.ndarray, entries: int) -> None:
    if not offsets.size or offsets[0] or offsets[-1] != entries or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError(f"the models' offsets do not divide {entries} entries")


def plan_window(offsets: np.ndarray, variants: np.ndarray, n_variants: int) -> WindowPlan:
    """Plan the window for models in the order in which they stand here.

    Parameters
    ----------
    offsets : (models + 1,) int64; variants : (entries,) int32. n_variants : length of the GWAS columns.
    """
    _check_csr(offsets, variants.size)
    if variants.size and not 0 <= variants.min() <= variants.max() < n_variants:
        raise ValueError(f"a model has a SNP that is none of the {n_variants:,} of the panel")
    entered = np.full(-(-n_variants // LINE), -1)
    most = _most(offsets.size - 1, offsets, variants, entered)
    lines = max(FEWEST_LINES, 1 << (2 * most - 1).bit_length() if most else 1)
    entered[:] = np.iinfo(np.int64).min
    fills, until = np.empty(variants.size, np.int32), np.empty(offsets.size - 1, np.int64)
    places = np.empty(variants.size, np.int32)
    count = _plan(until.size, offsets, variants, most, lines, entered, fills, until, places)
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
    _check_tile(models, z, beta, variance, pattern_of)
    _check_outputs(models, z_out, effect_out, width)
    if window.size < window_size(plan.lines, width):
        raise ValueError(f"a window of {window.size} values is too small")
    dtype = z_out[0][0].dtype
    lanes = -(-width // LANES) * LANES
    sizes = (models.tissue.size, len(variance), width, lanes, models.n_variants, plan.lines, plan.fills.size)
    _score[dtype](
        np.array(sizes, dtype=np.int64), models.offsets, plan.places,
        models.z_weights, models.effect_weights, plan.fills, plan.until, models.tissue, models.row,
        addresses(z, np.float32), addresses(beta, np.float32),
        variance, np.sqrt(variance), pattern_of, window,
        addresses([column for output in z_out for column in output], dtype, written=True),
        addresses([column for output in effect_out for column in output], dtype, written=True),
    )  # fmt: skip


def _check_tile(
    models: TileModels,
    z: Sequence[np.ndarray],
    beta: Sequence[np.ndarray | None],
    variance: np.ndarray,
    pattern_of: np.ndarray,
) -> None:
    """Refuse what would be read beyond its end."""
    if any(len(column) != models.n_variants for column in (*z, *(b for b in beta if b is not None))):
        raise ValueError(f"z and beta must have {models.n_variants} variants")
    patterned = 0 <= pattern_of.min() <= pattern_of.max() < len(variance)
    if variance.shape[1] != models.tissue.size or not patterned:
        raise ValueError("var_g is not that of these models and traits")
    if not len(z) == len(beta) == pattern_of.size:
        raise ValueError(f"{len(z)} traits with {len(beta)} effects and {pattern_of.size} patterns")


def _check_outputs(
    models: TileModels,
    z_out: Sequence[Sequence[np.ndarray]],
    effect_out: Sequence[Sequence[np.ndarray]],
    width: int,
) -> None:
    """Refuse what would be written beyond its end."""
    for outputs in (z_out, effect_out):
        if len(outputs) < models.output_rows.size or any(len(columns) != width for columns in outputs):
            raise ValueError(f"there must be {models.output_rows.size} outputs of {width} traits")
        for columns, rows in zip(outputs, models.output_rows, strict=False):
            if any(len(column) < rows for column in columns):
                raise ValueError(f"an output is shorter than the {rows} rows that belong there")


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
    _check_csr(offsets, values.size)
    lengths = np.diff(offsets)
    if (
        ld_offsets.size != offsets.size
        or ld_offsets.min() < 0
        or np.any(ld_offsets[:-1] + lengths * (lengths + 1) // 2 > ld.size)
    ):
        raise ValueError(f"the triangles do not lie within {ld.size} values")
    if models.size and not 0 <= models.min() <= models.max() < lengths.size:
        raise ValueError(f"a model is none of {lengths.size}")
    out = np.empty(models.size)
    _quadratic_forms(models.size, offsets, values, ld_offsets, ld, models, rounding, out)
    return out
