"""Multiple testing: Benjamini-Hochberg and Bonferroni adjusted p-values, at once or over a stream of blocks.

In: -log10 p in host arrays, NaN for tests that were not made. Out: -log10 of the adjusted p. Everything stays
in log space, so a p of 1e-400 is ranked and adjusted like any other. The stream keeps only tests that can
still be significant and gives the same values as one call on all of them.

Adjusted p of the i-th smallest of m p-values (Benjamini & Hochberg 1995,
doi:10.1111/j.2517-6161.1995.tb02031.x; as in R's ``p.adjust``): ``q_(i) = min(1, min_{j >= i} m p_(j) / j)``;
Bonferroni: ``min(1, m p)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = [
    "METHODS",
    "AdjustedTests",
    "StreamingFdr",
    "SurvivorBound",
    "adjust",
    "bh_adjust",
    "bonferroni_adjust",
    "is_significant",
]

TIE = 1e-12  # an adjusted p this near alpha, in -log10, equals alpha; less is rounding error
FINEST, COARSEST = 512, 8  # bins per decade of p in `SurvivorBound`
MOST_BINS = 1 << 22  # of all families together, where COARSEST allows
LAST_DECADE = 64  # -log10 p from here on share one bin


def bh_adjust(nlog10_p: np.ndarray, n_tests: int | None = None) -> np.ndarray:
    """-log10 of the Benjamini-Hochberg adjusted p.

    Parameters
    ----------
    nlog10_p : float array of any shape, -log10 p; NaN where no test was made.
    n_tests : number m of tests of the family; by default those that are not NaN. It may be larger when tests
        with a large p have been left out: if all those with p <= alpha are here, every result that is
        significant at alpha is exact. A test j that was left out has p_(j) > alpha, and j <= m, so
        m p_(j) / j >= p_(j) > alpha: it cannot lower an adjusted p that is <= alpha. Results above alpha may
        be too large.

    Returns
    -------
    float64 array of the same shape, non-negative; NaN where the input is.

    Raises
    ------
    ValueError
        If a -log10 p is negative, or `n_tests` is smaller than the number of tests given.
    """
    values, made, total = _checked(nlog10_p, n_tests)
    out = np.full(values.shape, np.nan)
    given = values[made]
    if given.size:
        order = np.argsort(-given, kind="stable")
        ranks = np.arange(1, given.size + 1, dtype=np.float64)
        scaled = given[order] - np.log10(total / ranks)
        adjusted = np.empty(given.size)
        adjusted[order] = np.maximum(np.maximum.accumulate(scaled[::-1])[::-1], 0.0)
        out[made] = adjusted
    return out


def bonferroni_adjust(nlog10_p: np.ndarray, n_tests: int | None = None) -> np.ndarray:
    """-log10 of the Bonferroni adjusted p, min(1, m p); arguments and result as in `bh_adjust`."""
    values, made, total = _checked(nlog10_p, n_tests)
    out = np.full(values.shape, np.nan)
    if total:
        out[made] = np.maximum(values[made] - np.log10(total), 0.0)
    return out


METHODS: dict[str, Callable[[np.ndarray, int | None], np.ndarray]] = {
    "bh": bh_adjust,
    "bonferroni": bonferroni_adjust,
}


def adjust(nlog10_p: np.ndarray, method: str = "bh", n_tests: int | None = None) -> np.ndarray:
    """-log10 adjusted p by the method named "bh" or "bonferroni"."""
    return _method(method)(nlog10_p, n_tests)


def is_significant(nlog10_q: np.ndarray, alpha: float) -> np.ndarray:
    """Whether adjusted p <= alpha, equality up to rounding (1e-12 in -log10); False for NaN."""
    return np.asarray(nlog10_q) >= -np.log10(alpha) - TIE


@dataclass(frozen=True)
class AdjustedTests:
    """The significant tests of a stream, in the order of their keys.

    Attributes
    ----------
    key : int64 (tests,), as given, or the test's number in the stream.
    family : int64 (tests,).
    nlog10_p, nlog10_q : float64 (tests,), -log10 of p and of adjusted p.
    n_tests, n_significant : int64 (families,), tests made and tests found.
    """

    key: np.ndarray
    family: np.ndarray
    nlog10_p: np.ndarray
    nlog10_q: np.ndarray
    n_tests: np.ndarray
    n_significant: np.ndarray


class StreamingFdr:
    """Exact adjustment of any number of tests in families, given block by block in any partition.

    Parameters
    ----------
    alpha : tests with adjusted p <= alpha are the result.
    n_families : families are numbered 0 .. n_families - 1 and corrected separately.
    method : "bh" or "bonferroni".
    cutoffs : float64 (families,), lowest -log10 p that is kept; by default -log10 alpha, which keeps
        alpha x (number of tests) under the null. `SurvivorBound.cutoffs` from an earlier pass over the same
        tests keeps hardly more than the significant ones.
    """

    def __init__(
        self, alpha: float, n_families: int = 1, *, method: str = "bh", cutoffs: np.ndarray | None = None
    ) -> None:
        _check_alpha(alpha)
        self.alpha = alpha
        self._adjust = _method(method)
        lowest = -np.log10(alpha) - TIE
        given = np.full(n_families, lowest) if cutoffs is None else np.asarray(cutoffs, dtype=np.float64)
        if given.shape != (n_families,):
            raise ValueError(f"cutoffs has shape {given.shape}, there are {n_families} families")
        self._cutoffs = np.maximum(given, lowest)
        self._n_tests = np.zeros(n_families, dtype=np.int64)
        self._seen = 0
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    @property
    def n_kept(self) -> int:
        """Number of tests held in memory."""
        return sum(part[0].size for part in self._kept)

    def update(
        self,
        nlog10_p: np.ndarray,
        family: np.ndarray | int = 0,
        *,
        key: np.ndarray | None = None,
        n_tests: np.ndarray | None = None,
    ) -> None:
        """Take in a block of tests.

        Parameters
        ----------
        nlog10_p : float array, -log10 p, NaN where no test was made.
        family : family of each test (broadcast to the block) or of all.
        key : int64, what to call each test in the result; by default its number in the stream.
        n_tests : int64 (families,), how many tests the block stands for, when the caller has left out some
            with p > alpha; by default those given that are not NaN.
        """
        values, made, _ = _checked(nlog10_p, None)
        families = np.broadcast_to(np.asarray(family, dtype=np.int64), values.shape)
        keys = np.arange(self._seen, self._seen + values.size).reshape(values.shape) if key is None else key
        self._seen += values.size
        self._n_tests += _block_counts(families[made], n_tests, self._n_tests.size)
        with np.errstate(invalid="ignore"):
            keep = values >= self._cutoffs[families]
        if keep.any():
            self._kept.append((values[keep], families[keep].copy(), np.asarray(keys, dtype=np.int64)[keep]))

    def result(self) -> AdjustedTests:
        """Adjust what was kept against the number of tests made, and give what is significant."""
        empty = (np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        p, family, key = (np.concatenate(parts) for parts in zip(empty, *self._kept, strict=True))
        order = np.lexsort((key, family))
        p, family, key = p[order], family[order], key[order]
        q = np.full(p.size, np.nan)
        bounds = np.searchsorted(family, np.arange(self._n_tests.size + 1))
        for number, (first, last) in enumerate(pairwise(bounds.tolist())):
            if last > first:
                q[first:last] = self._adjust(p[first:last], int(self._n_tests[number]))
        found = np.flatnonzero(is_significant(q, self.alpha))
        found = found[np.argsort(key[found], kind="stable")]
        return AdjustedTests(
            key=key[found], family=family[found], nlog10_p=p[found], nlog10_q=q[found],
            n_tests=self._n_tests.copy(),
            n_significant=np.bincount(family[found], minlength=self._n_tests.size),
        )  # fmt: skip


class SurvivorBound:
    """First of two passes: where the significant tests of each family can lie, from counts alone.

    Holds a histogram of -log10 p per family, so memory does not depend on the number of tests. A test is
    significant only if p_(i) <= p_(k), k the largest j with p_(j) <= alpha j / m. A bin [a, b) of -log10 p
    can hold such a p_(j) only if 10^-b <= alpha C / m, C the number of tests with -log10 p >= a. The lowest
    bin that can gives the cutoff; every test below it has p_(j) > alpha j / m, that is m p_(j) / j > alpha,
    so leaving it out changes no adjusted p that is <= alpha.
    """

    def __init__(self, alpha: float, n_families: int = 1) -> None:
        _check_alpha(alpha)
        self.alpha = alpha
        first = -np.log10(alpha) - TIE
        decades = max(LAST_DECADE - first, 1.0)
        per_decade = min(FINEST, max(COARSEST, int(MOST_BINS / (decades * max(n_families, 1)))))
        self._edges = first + np.arange(int(np.ceil(decades * per_decade))) / per_decade
        n_bins = self._edges.size
        self._counts = np.zeros((n_families, n_bins), dtype=np.int64)
        self._n_tests = np.zeros(n_families, dtype=np.int64)

    def update(
        self, nlog10_p: np.ndarray, family: np.ndarray | int = 0, *, n_tests: np.ndarray | None = None
    ) -> None:
        """Count a block of tests; arguments as in `StreamingFdr.update`."""
        values, made, _ = _checked(nlog10_p, None)
        families = np.broadcast_to(np.asarray(family, dtype=np.int64), values.shape)
        self._n_tests += _block_counts(families[made], n_tests, self._n_tests.size)
        with np.errstate(invalid="ignore"):
            keep = values >= self._edges[0]
        place = np.searchsorted(self._edges, values[keep], side="right") - 1
        np.add.at(self._counts, (families[keep], place), 1)

    def cutoffs(self) -> np.ndarray:
        """Lowest -log10 p a significant test can have, float64 (families,); infinite where none can be."""
        at_least = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]  # tests at or above a bin's lower edge
        upper = np.append(self._edges[1:], np.inf)
        # An empty family or bin has no candidate; the 1 only keeps its logarithm finite.
        per_rank = np.log10(np.maximum(self._n_tests, 1))[:, None] - np.log10(np.maximum(at_least, 1))
        needed = -np.log10(self.alpha) + per_rank
        possible = (self._counts > 0) & (upper >= needed - TIE)
        lowest = possible.argmax(axis=1)
        return np.where(possible.any(axis=1), self._edges[lowest], np.inf)


def _checked(nlog10_p: np.ndarray, n_tests: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Values as float64, which of them are tests, and how many tests the family has."""
    values = np.asarray(nlog10_p, dtype=np.float64)
    made = ~np.isnan(values)
    if values.size and (values[made] < 0).any():
        raise ValueError(f"-log10 p is negative ({values[made].min():g}); p-values lie in 0..1")
    count = int(made.sum())
    if n_tests is not None and n_tests < count:
        raise ValueError(f"n_tests is {n_tests}, but {count} tests are given")
    return values, made, count if n_tests is None else n_tests


def _block_counts(family: np.ndarray, n_tests: np.ndarray | None, n_families: int) -> np.ndarray:
    counted = np.bincount(family, minlength=n_families)
    if counted.size > n_families:
        raise ValueError(f"family {counted.size - 1} is given, there are {n_families}")
    if n_tests is None:
        return counted
    given = np.asarray(n_tests, dtype=np.int64)
    if given.shape != counted.shape or (given < counted).any():
        raise ValueError(
            f"n_tests is {given.tolist()}, but {counted.tolist()} tests of the families are given"
        )
    return given


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha is {alpha!r}; it must lie above 0 and be at most 1")


def _method(name: str) -> Callable[[np.ndarray, int | None], np.ndarray]:
    if name not in METHODS:
        raise ValueError(f"no correction is called {name!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[name]
