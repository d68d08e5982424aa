"""The chi-square tail in log space against exact sums of decimals, and far beyond the double range."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend
from gputwas.stats.chi2 import chi2_nlog10_sf
from gputwas.stats.normal import nlog10_p_from_z


def _pi() -> Decimal:
    """Machin's formula in the precision of the context."""

    def arctan_of_inverse(n: int) -> Decimal:
        total, power, k = Decimal(0), Decimal(1) / n, 0
        while abs(power) > Decimal(10) ** -(DIGITS + 5):
            total += power / (2 * k + 1)
            power, k = -power / (n * n), k + 1
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))


DIGITS = 700


def exact(statistic: str, df: int) -> float:
    """-log10 of the tail from the power series of the lower tail, P(a, y) = y^a e^-y Σ y^n / Γ(a + n + 1)."""
    with localcontext() as context:
        context.prec = DIGITS
        y, a = Decimal(statistic) / 2, Decimal(df) / 2
        gamma = Decimal(1) if df % 2 == 0 else _pi().sqrt()
        k = Decimal(1) if df % 2 == 0 else Decimal("0.5")
        while k < a + 1:
            gamma *= k
            k += 1
        term, total, n = 1 / gamma, Decimal(0), 0
        while n < 2 * y or abs(term) > Decimal(10) ** -(DIGITS - 50):
            total += term
            n += 1
            term *= y / (a + n)
        upper = 1 - (y**a if df % 2 == 0 else y.sqrt() ** df) * (-y).exp() * total
        return float(-upper.log10())


@pytest.mark.parametrize(
    ("statistic", "df"),
    [
        *[("0.5", 1), ("3.84", 1), ("12.5", 2), ("7", 3), ("30.1", 8), ("31", 31), ("150", 22), ("1400", 3)],
        *[("2000", 2), ("2000", 7), ("2000", 49), ("1600.25", 44)],
    ],
)
def test_equals_an_exact_sum(backend: Backend, statistic: str, df: int) -> None:
    got = chi2_nlog10_sf(backend.asarray(np.array([float(statistic)])), backend.asarray(np.array([df])))
    np.testing.assert_allclose(backend.to_numpy(got), [exact(statistic, df)], rtol=1e-12)


def test_one_degree_is_a_squared_normal() -> None:
    z = np.array([0.0, 0.3, 1.0, 5.0, 37.0, 60.0, 1e4])
    np.testing.assert_allclose(chi2_nlog10_sf(z**2, np.array(1)), nlog10_p_from_z(z), rtol=1e-13)


@pytest.mark.parametrize("df", [1, 2, 3, 10, 17, 18, 300, 1001])
def test_equals_scipy_where_that_does_not_underflow(df: int) -> None:
    from scipy.stats import chi2

    x = np.concatenate([np.linspace(0, 3 * df + 20, 400), np.linspace(df / 2, 1200, 50)])
    p = chi2.sf(x, df)
    usable = p > 1e-290
    assert usable.sum() > 300
    # scipy's tail is itself right to about 1e-13 relative of p
    np.testing.assert_allclose(
        chi2_nlog10_sf(x, np.array(df))[usable], -np.log10(p[usable]), rtol=1e-12, atol=1e-13
    )


def test_shapes_broadcast(backend: Backend) -> None:
    statistic = np.array([[1.0, 20.0, 300.0], [4.0, 5000.0, 0.0]])
    df = np.array([[3], [12]])
    got = backend.to_numpy(chi2_nlog10_sf(backend.asarray(statistic), backend.asarray(df)))
    one_by_one = [
        [chi2_nlog10_sf(np.array(x), np.array(int(d[0]))) for x in row]
        for row, d in zip(statistic, df, strict=True)
    ]
    np.testing.assert_allclose(got, one_by_one, rtol=1e-12)


def test_ends(backend: Backend) -> None:
    x = backend.asarray(np.array([-3.0, 0.0, 1e10, np.inf, -np.inf, np.nan]))
    for df in (1, 2, 3, 6):
        got = backend.to_numpy(chi2_nlog10_sf(x, backend.asarray(np.full(6, df))))
        np.testing.assert_allclose(got, [0, 0, got[2], np.inf, 0, np.nan])
        assert 2.1714e9 < got[2] < 2.1715e9  # 1e10 / (2 ln 10), less a few logarithms


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.integers(1, 60))
def test_falls_with_the_statistic_and_rises_with_the_degrees(x: float, more: float, df: int) -> None:
    values = chi2_nlog10_sf(np.array([x, x + more]), np.array(df))
    assert values[1] >= values[0] * (1 - 1e-12) - 1e-15
    assert chi2_nlog10_sf(np.array(x), np.array(df + 1)) <= values[0] * (1 + 1e-12) + 1e-15


def test_no_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        chi2_nlog10_sf(np.array([1.0, 2.0]), np.array([1, 0]))
    assert chi2_nlog10_sf(np.zeros((0, 3)), np.zeros((0, 1), dtype=np.int64)).shape == (0, 3)
