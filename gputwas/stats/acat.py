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
FAR = 200.0  # -log10 of the smallest p beyond which the sum is scaled, or 1/p would leave the double range


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
    back again; below 1e-200 the sum is taken relative to the smallest p, so there is no smallest p.

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
    share, values = xp.where(present, share, zero), xp.where(present, nlog10_p, zero)
    total = xp.sum(share, axis=axis, keepdims=True)
    count = xp.sum(xp.astype(present, nlog10_p.dtype), axis=axis, keepdims=True)
    best = xp.max(values, axis=axis, keepdims=True)
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
    finite = xp.where(xp.isfinite(values), values, xp.zeros_like(values))
    power = xp.where(small, finite - scale - LOG10_PI, xp.zeros_like(values))
    # both p and 1 - p from the logarithm, each exact near 0
    p = xp.exp(-LN10 * xp.where(small, xp.ones_like(values), finite))
    rest = -xp.expm1(-LN10 * xp.where(small, xp.ones_like(values), finite))
    rest = xp.where((finite == 0) & xp.isfinite(values), 1.0 / xp.where(count > 0, count, 1.0), rest)
    p = xp.where(finite == 0, 1.0 - rest, p)
    low = p <= 0.5
    sine = xp.tan(math.pi * xp.where(low, p, rest))
    one = xp.ones_like(sine)
    ordinary = xp.where(low, one, -one) / xp.where(sine > 0, sine, one)
    return xp.where(small, 10.0**power, ordinary * 10.0 ** (-scale))
