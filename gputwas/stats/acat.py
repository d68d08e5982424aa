"""Cauchy combination of p-values (ACAT), in log space.

In: -log10 p of any array-API library, NaN where a test is absent. Out: -log10 p of the combined test.
"""

from __future__ import annotations

import math
from typing import Any

from gputwas.backends.namespace import array_namespace
from gputwas.stats.normal import LN10

__all__ = ["acat_nlog10_p"]

Array = Any
LOG10_PI = math.log10(math.pi)
TINY = 15.0  # -log10 p beyond which cot(πp) is 1/(πp) to double precision
NEAR_ONE = 1e-6  # -log10 p below which 1 - p is taken from its series: 1e-12 of it is left out
FAR = 30.0  # -log10 of the smallest p beyond which the sum is scaled: 1/p is still a number, of float32 too


def acat_nlog10_p(nlog10_p: Array, weights: Array | None = None, axis: int = -1) -> Array:
    """Combine tests along an axis, whatever their correlation.

    Parameters
    ----------
    nlog10_p : floating array; NaN = absent; infinity (p = 0) makes the result infinite.
    weights : non-negative, of a shape that broadcasts with `nlog10_p`; equal ones by default. A test of
        weight 0 counts as absent.

    Returns
    -------
    Array without that axis, of the dtype of `nlog10_p`; NaN where no test is present. One test alone gives
    its own p.

    Raises
    ------
    ValueError : a -log10 p or a weight is negative.

    Notes
    -----
    T = Σ w cot(π p) / Σ w is standard Cauchy in the tail, p = arctan2(1, T) / π (Liu et al., American Journal
    of Human Genetics 104:410 (2019), doi:10.1016/j.ajhg.2019.01.002). For small p, cot(π p) = 1 / (π p) and
    back again; below 1e-30 the sum is taken relative to the smallest p, so there is no smallest p.

    A p of exactly 1 has an infinite cotangent and would make the result 1 whatever the others are (so does
    the authors' R package). It is taken as 1 - 1/d, d the number of tests present, as the authors advise
    (README of github.com/yaowuliu/ACAT); nothing else is capped.
    """
    xp = array_namespace(nlog10_p)
    present = ~xp.isnan(nlog10_p)
    share = xp.ones_like(nlog10_p)
    if weights is not None:
        share = xp.broadcast_to(xp.asarray(weights, dtype=nlog10_p.dtype), nlog10_p.shape)
        present = present & (share != 0)
        if bool(xp.any(share < 0)):
            raise ValueError("weights of p-values must be 0 or above")
    if bool(xp.any(nlog10_p < 0)):
        raise ValueError("-log10 p is negative; p-values lie in 0..1")
    zero = xp.zeros_like(nlog10_p)
    share, given = xp.where(present, share, zero), xp.where(present, nlog10_p, zero)
    values = xp.where(xp.isinf(given), zero, given)  # what is infinite decides at the end
    total = xp.sum(share, axis=axis, keepdims=True)
    count = xp.sum(xp.astype(present, nlog10_p.dtype), axis=axis, keepdims=True)
    best = xp.max(given, axis=axis, keepdims=True)
    scale = xp.where((best > FAR) & xp.isfinite(best), best, xp.zeros_like(best))
    cotangent = _scaled_cotangent(xp, values, count, scale)
    average = xp.sum(share * cotangent, axis=axis, keepdims=True) / xp.where(total > 0, total, 1.0)
    near = xp.where(scale > 0, xp.ones_like(average), average)
    far = xp.where(average > 0, average, xp.ones_like(average))
    combined = xp.where(
        scale > 0,
        LOG10_PI + scale + xp.log10(far),
        -xp.log10(xp.atan2(xp.ones_like(near), near) / math.pi),
    )
    combined = xp.where(combined > 0, combined, xp.zeros_like(combined))
    combined = xp.where(xp.isinf(best), math.inf, combined)
    combined = xp.where(count == 1, best, combined)
    return xp.squeeze(xp.where(count > 0, combined, math.nan), axis=axis)


def _scaled_cotangent(xp: Any, values: Array, count: Array, scale: Array) -> Array:
    """cot(π p) / 10^scale of -log10 p; p = 1 is taken as 1 - 1 / count."""
    small = values > TINY
    # one exponential for both: 10^-scale / (π p) where p is small, p itself elsewhere
    power = xp.exp(LN10 * xp.where(small, values - scale - LOG10_PI, -values))
    rest = xp.where(values < NEAR_ONE, LN10 * values * (1.0 - 0.5 * LN10 * values), 1.0 - power)  # 1 - p
    rest = xp.where(values == 0, 1.0 / xp.where(count > 2.0, count, 2.0), rest)
    low = rest > 0.5
    # cot(π p) = -cot(π (1 - p)), each from the smaller of the two, which has all its digits
    ordinary = 10.0 ** (-scale) / xp.tan(math.pi * xp.where(small, 0.25, xp.where(low, power, rest)))
    return xp.where(small, power, xp.where(low, ordinary, -ordinary))
