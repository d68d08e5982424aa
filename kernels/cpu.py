"""The scoring kernels for the processor, compiled by Numba when they are first called.

In: GWAS columns, models in CSR form. Out: z and effect sizes of a *tile*, a few traits side by side. A tile
is (variants, width) with the traits of one variant next to each other: what one SNP of a model needs is then
one cache line, and the inner loops run over the traits in vector registers. Sums are float64 in the stored
order of a model's SNPs, so a trait's result does not depend on its neighbours in the tile.

Bytes moved per trait: 4 read and 4 written per variant and statistic to make the tile; the tile once more for
the sums (models come in genome order, so neighbours find their lines in the cache); 2 x 4 or 2 x 8 per model
for the results, written and read once more by `spread`.

Numba compiles once per machine and keeps the code beside this file, or in the user's cache folder where that
cannot be written. No loop checks its bounds: `build_operator` has looked at the models' rows, `TileScorer` at
the lengths of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = ["addresses", "gather", "interleave", "quadratic_forms", "spread"]

_STRIP = 256  # variants interleaved at a time: the strip stays in the nearest caches
_BAND = 256  # models spread at a time: their rows stay in the first-level cache


def _pointer_to_floats(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.uintp), generate


_floats_at: Any = intrinsic(_pointer_to_floats)  # pointer to float32 of an address, for `numba.carray`


def addresses(columns: Sequence[np.ndarray | None]) -> np.ndarray:
    """Addresses of contiguous float32 arrays, (columns,), 0 for None; the caller keeps the arrays alive."""
    for column in columns:
        if column is not None and (column.dtype != np.float32 or not column.flags.c_contiguous):
            raise ValueError(f"a column must be contiguous float32, not {column.dtype} {column.strides}")
    return np.array([0 if column is None else column.ctypes.data for column in columns], dtype=np.uintp)


@numba.njit(cache=True, nogil=True)
def interleave(z_at: np.ndarray, beta_at: np.ndarray, z: np.ndarray, beta: np.ndarray) -> None:
    """Lay the columns of some traits side by side.

    Parameters
    ----------
    z_at, beta_at : (width,) from `addresses`, each of an array (variants,); a trait without effects has 0.
    z, beta : (variants, width) float32, filled: 0 where z is missing; beta NaN where only it is missing.
    """
    variants, width = z.shape
    zero, unknown = np.float32(0), np.float32(np.nan)
    strip = np.empty((2, width, _STRIP), np.float32)
    for first in range(0, variants, _STRIP):
        rows = min(_STRIP, variants - first)
        for lane in range(width):
            from_z = numba.carray(_floats_at(z_at[lane]), (variants,))
            with_beta = beta_at[lane] != 0
            from_beta = numba.carray(_floats_at(beta_at[lane] if with_beta else z_at[lane]), (variants,))
            for row in range(rows):
                value = from_z[first + row]
                effect = from_beta[first + row] if with_beta else unknown
                known = value == value  # false for NaN only
                strip[0, lane, row] = value if known else zero
                strip[1, lane, row] = effect if known else zero
        for row in range(rows):
            for lane in range(width):
                z[first + row, lane] = strip[0, lane, row]
        for row in range(rows):
            for lane in range(width):
                beta[first + row, lane] = strip[1, lane, row]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gather(
    offsets: np.ndarray,
    variants: np.ndarray,
    z_weights: np.ndarray,
    effect_weights: np.ndarray,
    z: np.ndarray,
    beta: np.ndarray,
    variance: np.ndarray,
    pattern_of: np.ndarray,
    z_rows: np.ndarray,
    effect_rows: np.ndarray,
) -> None:
    """Score models in a tile: z = sum of w σ z / sqrt(var_g), effect = sum of w σ² β / var_g.

    Parameters
    ----------
    offsets : (models + 1,) int64; variants : (entries,) int32; z_weights, effect_weights : (entries,)
        float64.
    z, beta : the tile, from `interleave`.
    variance : (patterns, models) float64 var_g, NaN where there is no result.
    pattern_of : (width,) int64, row of `variance` of each trait.
    z_rows, effect_rows : (models, width) float32 or float64, filled.
    """
    width = z.shape[1]
    z_sums, effect_sums = np.empty(width), np.empty(width)
    alone = True
    for lane in range(width):
        alone &= pattern_of[lane] == pattern_of[0]
    for model in range(len(offsets) - 1):
        z_sums[:] = 0.0
        effect_sums[:] = 0.0
        for entry in range(offsets[model], offsets[model + 1]):
            variant, z_weight, effect_weight = variants[entry], z_weights[entry], effect_weights[entry]
            for lane in range(width):
                z_sums[lane] += z_weight * z[variant, lane]
            for lane in range(width):
                effect_sums[lane] += effect_weight * beta[variant, lane]
        if alone:
            var_g = variance[pattern_of[0], model]
            deviation = np.sqrt(var_g)
            for lane in range(width):
                z_rows[model, lane] = z_sums[lane] / deviation
                effect_rows[model, lane] = effect_sums[lane] / var_g
        else:
            for lane in range(width):
                var_g = variance[pattern_of[lane], model]
                z_rows[model, lane] = z_sums[lane] / np.sqrt(var_g)
                effect_rows[model, lane] = effect_sums[lane] / var_g


@numba.njit(cache=True, nogil=True)
def spread(rows: np.ndarray, order: np.ndarray, out: np.ndarray) -> None:
    """Turn rows of models into columns of traits: ``out[lane, i] = rows[order[i], lane]``.

    Parameters
    ----------
    rows : (models of the tile, width); order : (models,) int64; out : (width, models or more), filled.
    """
    width = rows.shape[1]
    for first in range(0, len(order), _BAND):
        last = min(first + _BAND, len(order))
        for lane in range(width):
            for i in range(first, last):
                out[lane, i] = rows[order[i], lane]


@numba.njit(cache=True, nogil=True)
def quadratic_forms(
    offsets: np.ndarray,
    values: np.ndarray,
    ld_offsets: np.ndarray,
    ld: np.ndarray,
    models: np.ndarray,
    rounding: float,
    out: np.ndarray,
) -> None:
    """uᵀ Γ u of chosen models, one streaming pass over their LD; what is 0 in u costs nothing.

    Parameters
    ----------
    offsets : (models + 1,) int64; values : (entries,) float64 u. ld_offsets : (models + 1,) int64; ld :
        float64 packed row-major upper triangles. models : (n,) int64 chosen.
    rounding : a sum that is at most this share of the sum of its absolute terms has cancelled and is 0.
    out : (n,) float64, filled.
    """
    for place in range(len(models)):
        model = models[place]
        u = values[offsets[model] : offsets[model + 1]]
        total, absolute = 0.0, 0.0
        at = ld_offsets[model]
        for i in range(len(u)):
            rest = len(u) - i
            if u[i] != 0.0:
                term = ld[at] * u[i] * u[i]
                row, absolute_row = 0.0, 0.0
                for k in range(1, rest):
                    product = ld[at + k] * u[i + k]
                    row += product
                    absolute_row += abs(product)
                total += term + 2.0 * u[i] * row
                absolute += abs(term) + 2.0 * abs(u[i]) * absolute_row
            at += rest
        out[place] = 0.0 if abs(total) <= rounding * absolute else total
