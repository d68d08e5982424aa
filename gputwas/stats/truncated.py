"""Truncated inverses of many small correlation matrices at once, and the quadratic forms z' R+ z.

In: correlations (genes, tissues, tissues) of any array-API library, genes with equally many tissues batched
together, and a cut-off. Out: per gene the components that are kept, with what S-MultiXcan reports of them.

The meaning of each cut-off is that of MetaXcan's SMulTiXcan.py (Barbeira et al., PLOS Genetics 15:e1007889
(2019), doi:10.1371/journal.pgen.1007889; software/metax/cross_model/Utilities.py, `_cutoff`, and
software/metax/misc/Math.py, `capinv`). The reference takes singular values; of a symmetric matrix they are
the eigenvalues without their sign, so one eigen-decomposition serves for the cut-off and for the inverse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gputwas.backends.namespace import array_namespace

__all__ = ["Cutoff", "CutoffKind", "Truncated", "joint_statistic", "truncate"]

Array = Any
CutoffKind = Literal["condition_number", "eigen_ratio", "trace_ratio", "threshold"]
ROUNDING = 4096  # units in the last place of the largest eigenvalue: what lies nearer than this is equal


@dataclass(frozen=True)
class Cutoff:
    """How small an eigenvalue may be to be kept.

    Attributes
    ----------
    kind : of the eigenvalues l1 >= l2 >= ... of R before any regularization, a component is kept if its value
        is at least

        - "condition_number" c: l1 / c,
        - "eigen_ratio" r: r l1,
        - "trace_ratio" r: r (l1 + l2 + ...),
        - "threshold" t: the last eigenvalue whose cumulative sum l1 + ... + lk is at most (1 - t) times the
          trace, or l1 where l1 itself is more than that. t = 0 keeps everything.
    value : condition_number above 0, the ratios 0 or above, threshold 0 to 1.

    Raises
    ------
    ValueError : the kind is unknown, or the value is out of range.
    """

    kind: CutoffKind
    value: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(CutoffKind):
            raise ValueError(
                f"no cut-off is called {self.kind!r}; there are {', '.join(get_args(CutoffKind))}"
            )
        if not math.isfinite(self.value) or self.value < 0:
            raise ValueError(f"the cut-off {self.kind} must be a number of 0 or above, not {self.value}")
        if self.kind == "condition_number" and self.value == 0:
            raise ValueError("the cut-off condition_number must be above 0")
        if self.kind == "threshold" and self.value > 1:
            raise ValueError(f"the cut-off threshold must be between 0 and 1, not {self.value}")


@dataclass(frozen=True)
class Truncated:
    """Truncated inverses R+ = sum over k of sign_k c_k c_k', and what is reported of them.

    Attributes
    ----------
    components : (genes, tissues, tissues); row k is c_k, the eigenvector of the k-th largest value divided by
        the root of that value; zero where it is cut off.
    signs : (genes, tissues); 1, or -1 where a component that is kept belongs to a negative eigenvalue (R is
        then no correlation); 0 where it is cut off.
    n_indep : (genes,) int64, components kept.
    eigenvalues : (genes, tissues), singular values of R with its regularization, descending.
    eigen_max, eigen_min, eigen_min_kept : (genes,), the first and last of them, and the last that is kept.
    tmi : (genes,), trace(R R+) with R before regularization: n_indep exactly if there is none.
    """

    components: Array
    signs: Array
    n_indep: Array
    eigenvalues: Array
    eigen_max: Array
    eigen_min: Array
    eigen_min_kept: Array
    tmi: Array


def truncate(correlation: Array, cutoff: Cutoff, regularization: float = 0.0) -> Truncated:
    """Eigen-decompose every gene's tissue correlation and keep the components that reach the cut-off.

    Parameters
    ----------
    correlation : (genes, tissues, tissues) floating, symmetric and finite; at least one tissue.
    regularization : added to the diagonal before the inverse, not before the cut-off is taken; 0 or above.

    Raises
    ------
    ValueError : not a batch of square matrices, or a regularization that is negative or no number.

    Notes
    -----
    The rule at a boundary, the same on every backend: two numbers that differ by less than 4096 units in the
    last place of the largest eigenvalue (1e-12 of it in float64) count as equal. So

    - a component *at* the cut-off is kept. With "threshold" there always is one, since the cut-off is an
      eigenvalue itself; the reference compares that value from one algorithm (eigh) with the same value from
      another (svd), and whether it keeps the component is chance;
    - a cumulative sum *at* (1 - t) times the trace does not exceed it;
    - a component whose value cannot be told from 0 is never kept, even at a cut-off of 0, unless it is the
      only one: its direction is rounding noise. The reference divides by it.

    The first component is kept in any case.
    """
    xp = array_namespace(correlation)
    if correlation.ndim != 3 or correlation.shape[1] != correlation.shape[2] or correlation.shape[1] == 0:
        raise ValueError(f"correlations must be (genes, tissues, tissues), not {correlation.shape}")
    if not 0 <= regularization < math.inf:
        raise ValueError(f"regularization must be a number of 0 or above, not {regularization}")
    ascending, vectors = xp.linalg.eigh(correlation)  # vectors in columns
    raw = xp.flip(ascending, axis=1)
    shifted = raw + regularization
    order = xp.argsort(-xp.abs(shifted), axis=1, stable=True)
    raw_sorted = xp.take_along_axis(raw, order, axis=1)
    shifted = xp.take_along_axis(shifted, order, axis=1)
    values = xp.abs(shifted)
    kept = _kept(xp, values, _limit(xp, raw, cutoff))
    zero, one = xp.zeros_like(values), xp.ones_like(values)
    divisor = xp.where(kept & (values > 0), values, one)
    rows = xp.take_along_axis(
        xp.flip(xp.matrix_transpose(vectors), axis=1),
        xp.broadcast_to(order[:, :, None], correlation.shape),
        axis=1,
    )
    signs = xp.where(kept, xp.where(shifted < 0, -one, one), zero)
    n_indep = xp.sum(xp.astype(kept, xp.int64), axis=1)
    last = xp.take_along_axis(values, n_indep[:, None] - 1, axis=1)
    return Truncated(
        components=xp.where(kept[:, :, None], rows / xp.sqrt(divisor)[:, :, None], xp.zeros_like(rows)),
        signs=signs,
        n_indep=n_indep,
        eigenvalues=values,
        eigen_max=values[:, 0],
        eigen_min=values[:, -1],
        eigen_min_kept=last[:, 0],
        tmi=xp.sum(signs * raw_sorted / divisor, axis=1),
    )


def joint_statistic(truncated: Truncated, z: Array) -> Array:
    """S-MultiXcan's statistic z' R+ z, chi-square with n_indep degrees of freedom under the null.

    Parameters
    ----------
    z : (genes, tissues, traits), z-scores in the tissues' order of R; NaN makes the gene's statistic NaN.

    Returns
    -------
    (genes, traits) of the library and dtype of `z`, summed in that dtype.
    """
    xp = array_namespace(z, truncated.components)
    along = xp.matmul(truncated.components, z)
    return xp.sum(truncated.signs[:, :, None] * along * along, axis=1)


def _rounding(xp: Any, largest: Array) -> Array:
    """Differences below which values count as equal, (genes, 1)."""
    return ROUNDING * float(xp.finfo(largest.dtype).eps) * largest


def _kept(xp: Any, values: Array, limit: Array) -> Array:
    """Which of the descending singular values (genes, tissues) are kept, given the limit (genes, 1)."""
    tolerance = _rounding(xp, values[:, :1])
    reach = (values >= limit - tolerance) & (values > tolerance)
    first = xp.arange(values.shape[1]) == 0
    return reach | xp.broadcast_to(first[None, :], reach.shape)


def _limit(xp: Any, raw: Array, cutoff: Cutoff) -> Array:
    """The smallest value to keep, (genes, 1), from signed eigenvalues (genes, tissues) that descend."""
    largest = raw[:, :1]
    if cutoff.kind == "condition_number":
        return (1.0 / cutoff.value) * largest
    if cutoff.kind == "eigen_ratio":
        return cutoff.value * largest
    trace = xp.sum(raw, axis=1, keepdims=True)
    if cutoff.kind == "trace_ratio":
        return cutoff.value * trace
    if cutoff.value == 0:
        return xp.zeros_like(largest)
    within = xp.cumulative_sum(raw, axis=1) <= trace * (1.0 - cutoff.value) + _rounding(xp, xp.abs(largest))
    # a small negative eigenvalue may bring the sum back below: what comes after the first excess is out
    within = xp.cumulative_prod(xp.astype(within, xp.int64), axis=1)
    place = xp.sum(within, axis=1, keepdims=True) - 1
    return xp.take_along_axis(raw, xp.where(place < 0, xp.zeros_like(place), place), axis=1)
