"""Ranks of the values in each column of a matrix, ties averaged, on any array library.

In: (rows, columns) floating, NaN where missing. Out: ranks of the same shape and dtype. On CUDA a kernel
turns sorted order into ranks; elsewhere array operations do.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import is_cupy_namespace

from gputwas.backends.namespace import array_namespace
from gputwas.kernels import twins

__all__ = ["rank_columns"]

Array = Any
EXACT_FLOAT32 = 1 << 23  # halves are exact in float32 up to here


def rank_columns(values: Array) -> Array:
    """Rank the values of each column among each other, from 1, equal values sharing the mean of their ranks.

    Parameters
    ----------
    values : (rows, columns) float32 or float64. NaN is no value: it gets the rank NaN and takes none from
        others. That columns compare only rows which all of them have is the caller's business.

    Returns
    -------
    (rows, columns) of the dtype and library of `values`. Exact: ranks are multiples of one half.

    Raises
    ------
    ValueError : not a matrix of floats, or more than 2^23 rows of float32, which cannot hold their ranks.

    Notes
    -----
    The average ("fractional") ranks of Kendall, Biometrika 33:239 (1945), doi:10.1093/biomet/33.3.239, on
    which Spearman's coefficient with ties is Pearson's.
    """
    xp = array_namespace(values)
    if values.ndim != 2 or values.dtype not in (xp.float32, xp.float64):
        raise ValueError(f"values to rank must be a matrix of floats, not {values.ndim}-d {values.dtype}")
    if values.dtype == xp.float32 and values.shape[0] > EXACT_FLOAT32:
        raise ValueError(f"ranks of {values.shape[0]} values need float64")
    by_column = xp.asarray(xp.permute_dims(values, (1, 0)), copy=True)
    return xp.permute_dims(_rank_rows(by_column, xp), (1, 0))


def _rank_rows(values: Array, xp: Any) -> Array:
    """Ranks within each row of a contiguous (sequences, n) array of this library."""
    order = xp.astype(xp.argsort(values, axis=1, stable=False), xp.int64, copy=False)
    if is_cupy_namespace(xp):
        from gputwas.kernels import launch

        return launch.tie_averaged_ranks(xp.ascontiguousarray(values), xp.ascontiguousarray(order))
    return twins.tie_averaged_ranks(values, order)
