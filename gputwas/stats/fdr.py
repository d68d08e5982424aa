"""Multiple testing: Benjamini-Hochberg and Bonferroni adjusted p-values, and which tests they can depend on.

In: -log10 p in host arrays, NaN for tests that were not made. Out: -log10 of the adjusted p. Everything stays
in log space, so a p of 1e-400 is ranked and adjusted like any other. Of very many tests it is enough to know
how many there are and the few that `SurvivorBound` leaves; the values are then those of one call on all.

Adjusted p of the i-th smallest of m p-values (Benjamini & Hochberg 1995,
doi:10.1111/j.2517-6161.1995.tb02031.x; as in R's ``p.adjust``): ``q_(i) = min(1, min_{j >= i} m p_(j) / j)``;
Bonferroni: ``min(1, m p)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gputwas.stats.normal import nlog10_p_from_z, z_from_nlog10_p

__all__ = [
    "METHODS",
    "SignificantTests",
    "SurvivorBound",
    "adjust",
    "bh_adjust",
    "bonferroni_adjust",
    "is_significant",
    "significant_tests",
    "survivor_levels",
]

TIE = 1e-12  # an adjusted p this near alpha, in -log10, equals alpha; less is rounding error


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
        order = np.argsort(-given)  # equal ones get one result, in whatever order they are ranked
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
class SignificantTests:
    """Which of the tests given are significant.

    Attributes
    ----------
    place : int64 (found,), ascending: numbers of the tests in what was given.
    nlog10_q : float64 (found,), -log10 of adjusted p.
    n_significant : int64 (families,), tests found in each family.
    """

    place: np.ndarray
    nlog10_q: np.ndarray
    n_significant: np.ndarray


def significant_tests(
    nlog10_p: np.ndarray, family: np.ndarray, n_tests: np.ndarray, alpha: float, *, method: str = "bh"
) -> SignificantTests:
    """Correct each family by itself and give the tests with adjusted p <= alpha.

    Parameters
    ----------
    nlog10_p : float (tests,), without NaN. Tests that `SurvivorBound` excludes may be absent.
    family : int (tests,), 0 .. families - 1.
    n_tests : int64 (families,), tests made, absent ones included.

    Raises
    ------
    ValueError
        If a family, `alpha` or `method` makes no sense, or more tests are given than were made.
    """
    _check_alpha(alpha)
    correct = _method(method)
    n_families = len(n_tests)
    if family.size and not 0 <= family.min() <= family.max() < n_families:
        raise ValueError(f"families {family.min()} to {family.max()} are given, there are {n_families}")
    order = np.arange(family.size) if n_families == 1 else np.argsort(family, kind="stable")
    bounds = np.searchsorted(family[order], np.arange(n_families + 1))
    q = np.full(family.size, np.nan)
    for number, (first, last) in enumerate(pairwise(bounds.tolist())):
        if last > first:
            places = _ranked(nlog10_p, order[first:last], int(n_tests[number]), alpha)
            q[places] = correct(nlog10_p[places], int(n_tests[number]))
    found = np.flatnonzero(is_significant(q, alpha))
    return SignificantTests(found, q[found], np.bincount(family[found], minlength=n_families))


def _ranked(nlog10_p: np.ndarray, places: np.ndarray, n_tests: int, alpha: float) -> np.ndarray:
    """Those of the places that are worth sorting: the argument of `SurvivorBound`, until nothing falls away.

    With C tests left, one can be significant only if its p <= alpha C / m.
    """
    values = nlog10_p[places]
    while places.size and places.size <= n_tests:
        able = values >= -np.log10(alpha) + np.log10(n_tests / places.size) - 2 * TIE
        if able.all():
            break
        places, values = places[able], values[able]
    return places


def survivor_levels(alpha: float, rarest: float = 1.0) -> np.ndarray:
    """Levels of |z| for a `SurvivorBound`: the lowest is below that of p = alpha, by rounding only.

    Each p is a quarter of the one before, or sqrt(alpha) of it where that is more: then tests without any
    effect, of which a share p lies below p, are fewer by sqrt(alpha) than would hold the bound at a level.
    The last p is at most alpha / 64 and `rarest`.

    Returns
    -------
    float64 (levels,), ascending, each exact in float32, so that they mean the same in stores of either type.
    """
    _check_alpha(alpha)
    ratio = np.log10(min(max(alpha**-0.5, 1.05), 4.0))  # near alpha = 1 everything is significant anyway
    first = -np.log10(alpha)
    deepest = max(first + np.log10(64.0), -np.log10(rarest))
    wanted = first + ratio * np.arange(1 + int(np.ceil((deepest - first) / ratio)))
    wanted[0] = max(first - 2 * TIE, 0.0)
    z = z_from_nlog10_p(wanted).astype(np.float32)
    z[0] = np.nextafter(z[0] * np.float32(1.0 - 1e-6), np.float32(0.0)) if z[0] > 0 else 0.0
    return z.astype(np.float64)


class SurvivorBound:
    """Where the significant tests of each family can lie, from numbers of tests alone.

    What is counted is how many tests of a family were made, and how many reach each of a few levels of |z|,
    of which p is a falling function; so memory does not depend on the number of tests, and hardly on that of
    families. With m tests made, a test is significant only if p_(i) <= p_(k), k the largest j with
    p_(j) <= alpha j / m. Of the tests between one level and the next, those with a <= |z| < b, one can be
    such a p_(j) only if p(b) < alpha C / m, C the number of tests with |z| >= a: p_(j) > p(b) and j <= C. The
    lowest level whose tests can be is the bound; every test below it has p_(j) > alpha j / m, that is
    m p_(j) / j > alpha, so leaving it out changes no adjusted p that is <= alpha, and no rank above it. The
    same tests are enough for Bonferroni's correction, which finds a part of them.

    The bound is near: C at the level below it is less than m p / alpha, p at the bound, so fewer tests
    than p m / alpha lie above it, the number that would be found were p at the bound significant.

    Parameters
    ----------
    alpha : level of significance. levels : float64 (levels,), see `survivor_levels`.
    """

    def __init__(self, alpha: float, levels: np.ndarray, n_families: int = 1) -> None:
        _check_alpha(alpha)
        self.alpha = alpha
        self.n_tests = np.zeros(n_families, dtype=np.int64)
        self._reached = np.zeros((n_families, levels.size), dtype=np.int64)
        self._upper = np.append(nlog10_p_from_z(levels[1:]), np.inf)

    def update(self, family: np.ndarray, made: np.ndarray, reached: np.ndarray) -> None:
        """Add counts of groups of tests.

        Parameters
        ----------
        family : int (groups,). made : int (groups,), tests. reached : int (groups, levels), those of them
            with |z| at or above each level.
        """
        if np.any(family[1:] < family[:-1]):
            order = np.argsort(family, kind="stable")
            family, made, reached = family[order], made[order], reached[order]
        first = np.flatnonzero(np.diff(family, prepend=-1))
        if first.size:
            self.n_tests[family[first]] += np.add.reduceat(made, first)
            self._reached[family[first]] += np.add.reduceat(reached, first)

    def lowest(self, *, of: np.ndarray | None = None, looser: float = 1.0) -> np.ndarray:
        """Number of the lowest level a significant test can have reached, int64 (families,).

        As many as there are levels where no test can be significant.

        Parameters
        ----------
        of : int, these families only, in this order. looser : pretends that so many times more tests reached
            each level: a guess from part of the tests that the others will hardly belie.
        """
        n_tests, reached = self.n_tests, self._reached
        if of is not None:
            n_tests, reached = n_tests[of], reached[of]
        occupied = reached.copy()
        occupied[:, :-1] -= reached[:, 1:]
        # A family or bin without tests has no candidate; the 1 only keeps its logarithm finite.
        per_rank = np.log10(np.maximum(n_tests, 1))[:, None] - np.log10(np.maximum(reached, 1))
        needed = -np.log10(self.alpha) + per_rank - np.log10(looser)
        possible = (occupied > 0) & (self._upper >= needed - 2 * TIE)
        return np.where(possible.any(axis=1), possible.argmax(axis=1), self._upper.size)

    def n_survivors(self) -> int:
        """Number of tests at or above the bounds, all families together."""
        lowest = self.lowest()
        some = np.flatnonzero(lowest < self._upper.size)
        return int(self._reached[some, lowest[some]].sum())


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


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha is {alpha!r}; it must lie above 0 and be at most 1")


def _method(name: str) -> Callable[[np.ndarray, int | None], np.ndarray]:
    if name not in METHODS:
        raise ValueError(f"no correction is called {name!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[name]
