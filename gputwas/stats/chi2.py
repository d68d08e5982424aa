"""Upper tail of the chi-square distribution in log space, for whole numbers of degrees of freedom.

In: statistics and degrees of freedom of any array-API library. Out: -log10 p of the same library, finite for
every finite statistic: where scipy.stats.chi2.sf underflows to 0 (statistics of about 1,400) it goes on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gputwas.backends.namespace import array_namespace
from gputwas.stats.normal import LN10, nlog10_p_from_z

__all__ = ["chi2_nlog10_sf"]

Array = Any


def chi2_nlog10_sf(statistic: Array, df: Array) -> Array:
    """-log10 of P(X >= statistic) for chi-square X with `df` degrees of freedom.

    Parameters
    ----------
    statistic : floating array; below 0 it counts as 0 (p = 1), NaN stays NaN.
    df : integer array, each 1 or more, of a shape that broadcasts with that of `statistic`.

    Returns
    -------
    Array of the common shape and the dtype of `statistic`, non-negative. Right to about 1e-14 relative, or
    1e-16 absolute where p is near 1.

    Raises
    ------
    ValueError : degrees of freedom below 1.

    Notes
    -----
    With y = statistic / 2 and a = df / 2 the tail is Q(a, y), a finite sum of positive terms for whole df
    (Abramowitz & Stegun 26.4.4 and 26.4.5; from Q(a + 1, y) = Q(a, y) + y^a e^-y / Γ(a + 1), DLMF 8.8.6):
    for even df e^-y Σ y^k / k!, k = 0 .. a - 1; for odd df that of one degree, 2 Φ(-√(2y)), and
    e^-y Σ y^(k + 1/2) / Γ(k + 3/2), k = 0 .. a - 3/2. Only the logarithm of the largest term is large, so
    nothing under- or overflows; nothing is subtracted, so no digits are lost. The sum is taken from its
    largest end: from the last term where y > a, else from the first.
    """
    xp = array_namespace(statistic)
    degrees = xp.asarray(df, dtype=xp.int64)
    most, least = _extremes(xp, degrees)
    if least < 1:
        raise ValueError(f"chi-square needs 1 degree of freedom or more, not {least}")
    shape = np.broadcast_shapes(statistic.shape, degrees.shape)
    statistic, degrees = xp.broadcast_to(statistic, shape), xp.broadcast_to(degrees, shape)
    finite = xp.isfinite(statistic)
    y = xp.where(finite & (statistic > 0), statistic, xp.zeros_like(statistic)) / 2.0
    odd = degrees % 2 == 1
    log_sum = _log_of_terms(xp, y, degrees // 2, odd, most)
    log_first = xp.where(odd, -LN10 * nlog10_p_from_z(xp.sqrt(2.0 * y)), -math.inf)
    result = -xp.logaddexp(log_first, log_sum) / LN10
    result = xp.where(result > 0, result, xp.zeros_like(result))
    return xp.where(finite, result, xp.where(statistic < 0, xp.zeros_like(result), statistic))


def _extremes(xp: Any, degrees: Array) -> tuple[int, int]:
    if math.prod(degrees.shape) == 0:
        return 1, 1
    return int(xp.max(degrees)), int(xp.min(degrees))


def _log_of_terms(xp: Any, y: Array, terms: Array, odd: Array, most: int) -> Array:
    """Logarithm of the sum's terms beyond that of one degree of freedom; -inf where there are none."""
    start = xp.where(odd, xp.full_like(y, 0.5), xp.zeros_like(y))  # exponent of y in the first term
    top = start + xp.astype(terms, y.dtype) - 1.0  # and in the last one
    from_last = y > top + 1.0
    far = xp.where(from_last, y, xp.ones_like(y))
    series = xp.ones_like(y)
    for k in range(most // 2 - 1, 0, -1):  # k terms beyond the one that has been factored out: Horner
        ratio = xp.where(from_last, (top - (k - 1)) / far, y / (start + k))
        series = xp.where(k < terms, 1.0 + series * ratio, series)
    exponent = xp.where(from_last, top, start)
    places = xp.astype(2.0 * exponent + 2.0, xp.int64)  # twice the argument of Γ(exponent + 1)
    gamma = xp.asarray([0.0] + [math.lgamma(n / 2) for n in range(1, most + 2)], dtype=y.dtype)
    places = xp.where(terms > 0, places, xp.ones_like(places))
    log_gamma = xp.reshape(xp.take(gamma, xp.reshape(places, (-1,)), axis=0), y.shape)
    log_power = exponent * xp.log(xp.where((exponent > 0) & (y > 0), y, xp.ones_like(y)))
    whole = -y + log_power - log_gamma + xp.log(series)
    vanishes = (terms == 0) | ((y == 0) & (start > 0))
    return xp.where(vanishes, -math.inf, whole)
