"""Two-sided p-values of z-scores, in plain and in log space.

In: arrays of z-scores of any array-API library. Out: arrays of the same library, shape and floating dtype.
A float64 p underflows near |z| = 38 while z itself goes on, so everything that sorts, corrects or filters
works on -log10 p (`nlog10_p_from_z`); the plain p is for people to read.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gputwas.backends.namespace import array_namespace, numpy_namespace
from gputwas.stats.tails import lower_tail

__all__ = ["chi2_median", "genomic_inflation", "nlog10_p_from_z", "p_from_z", "z_from_nlog10_p"]

Array = Any
LN10 = math.log(10.0)
LN2 = math.log(2.0)


def p_from_z(z: Array) -> Array:
    """Two-sided p-value 2 Φ(-|z|) of standard normal z; 0 where it underflows, NaN where z is NaN."""
    xp = array_namespace(z)
    if xp is numpy_namespace and z.dtype == np.float64:
        return 2.0 * lower_tail(-np.abs(z))
    return 2.0 * _special(xp, "ndtr")(-xp.abs(z))


def nlog10_p_from_z(z: Array) -> Array:
    """-log10 of the two-sided p-value, -(ln 2 + ln Φ(-|z|)) / ln 10, finite for every finite z.

    Parameters
    ----------
    z : floating array of any shape.

    Returns
    -------
    Array of the shape and dtype of `z`, non-negative; NaN where z is NaN.
    """
    xp = array_namespace(z)
    return -(LN2 + _special(xp, "log_ndtr")(-xp.abs(z))) / LN10 + 0.0


def z_from_nlog10_p(nlog10_p: Array) -> Array:
    """|z| of a two-sided -log10 p, inverted in log space, so 10^-400 is as good as any other p.

    Inverse of `nlog10_p_from_z`: |z| = -Φ^-1(exp(-nlog10_p ln 10 - ln 2)). Computed on the host with
    `scipy.special.ndtri_exp`.
    """
    xp = array_namespace(nlog10_p)
    host = np.asarray(nlog10_p, dtype=np.float64)
    return xp.asarray(-_of_scipy("ndtri_exp")(-host * LN10 - LN2))


def chi2_median() -> float:
    """Median of the chi-square distribution with one degree of freedom (0.4549...)."""
    from scipy.special import ndtri

    return float(ndtri(0.75) ** 2)


def genomic_inflation(z: Array) -> float:
    """Genomic inflation λ_GC: median of z² over the median of chi-square(1).

    Devlin & Roeder, Biometrics 55:997 (1999), doi:10.1111/j.0006-341X.1999.00997.x. Missing z (NaN) are left
    out; NaN when nothing is left.
    """
    host = np.asarray(z, dtype=np.float64).ravel()
    host = host[~np.isnan(host)]
    return float(np.median(host**2) / chi2_median()) if host.size else math.nan


def _special(xp: Any, name: str) -> Callable[[Array], Array]:
    """A special function of the array library at hand; on the host where the library has none."""
    if xp is numpy_namespace:
        return _of_scipy(name)
    from array_api_compat import is_cupy_namespace, is_jax_namespace

    if is_jax_namespace(xp):
        import jax.scipy.special

        return getattr(jax.scipy.special, name)
    if is_cupy_namespace(xp):
        import cupyx.scipy.special

        return getattr(cupyx.scipy.special, name)
    on_host = _of_scipy(name)
    return lambda values: xp.asarray(on_host(np.asarray(values)))


def _of_scipy(name: str) -> Callable[[Array], Array]:
    """A function of scipy.special; of its compiled part alone where a command has loaded only that."""
    alone = sys.modules.get("scipy.special._ufuncs")
    if "scipy.special" in sys.modules or not hasattr(alone, name):
        import scipy.special as alone  # type: ignore[no-redef]
    return getattr(alone, name)
