"""Tails of the normal distribution, far out as well."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend
from gputwas.stats.normal import chi2_median, genomic_inflation, nlog10_p_from_z, p_from_z, z_from_nlog10_p


def test_known_values(backend: Backend) -> None:
    z = backend.asarray(np.array([0.0, 1.959963984540054, -5.0, 40.0, 1000.0, np.nan]))
    got = backend.to_numpy(nlog10_p_from_z(z))
    # 40 and 1000: -log10(2 Φ(-z)) from the asymptotic series at 50 digits
    want = [0.0, -math.log10(0.05), 6.241616, 349.13599, 217150.4406, np.nan]
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(backend.to_numpy(p_from_z(z))[:3], [1.0, 0.05, 5.733031e-7], rtol=1e-6)


@given(st.floats(-1e6, 1e6))
def test_inverse_in_log_space(z: float) -> None:
    back = z_from_nlog10_p(nlog10_p_from_z(np.array([z])))[0]
    assert back == pytest.approx(abs(z), rel=1e-7, abs=1e-7)


def test_inflation_of_exact_quantiles_is_one() -> None:
    from scipy.special import ndtri

    z = ndtri((np.arange(100_000) + 0.5) / 100_000)
    assert genomic_inflation(z) == pytest.approx(1.0, abs=1e-4)
    assert genomic_inflation(2 * z) == pytest.approx(4.0, abs=1e-3)
    assert genomic_inflation(np.append(z, np.nan)) == pytest.approx(1.0, abs=1e-4)
    assert math.isnan(genomic_inflation(np.array([np.nan])))
    assert chi2_median() == pytest.approx(0.454936423119572, rel=1e-12)
