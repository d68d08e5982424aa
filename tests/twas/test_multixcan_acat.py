"""The Cauchy combination from z-scores: the short way, the way through logarithms and SciPy agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gputwas.backends.choose import choose_backend
from gputwas.stats.acat import acat_nlog10_p
from gputwas.stats.normal import nlog10_p_from_z
from gputwas.twas.multixcan_acat import LARGEST, SMALLEST, combine_tissues


def scores(seed: int, scale: float) -> np.ndarray:
    """(traits, tissues, genes) with a third absent; one gene has no tissue, one has a single one."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=scale, size=(5, 6, 40))
    z[rng.random(z.shape) < 1 / 3] = np.nan
    z[:, :, 0] = np.nan
    z[:, :, 1] = np.nan
    z[:, 2, 1] = 1.5
    return z


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_equals_scipy(scale: float, backend: Any) -> None:
    z = scores(1, scale)
    found = combine_tissues(z, backend)
    assert found.shape == (5, 40) and found.dtype == np.float64
    for trait, gene in np.ndindex(found.shape):
        of_gene = z[trait, :, gene][~np.isnan(z[trait, :, gene])]
        if not len(of_gene):
            assert np.isnan(found[trait, gene])
            continue
        t = np.mean(1 / np.tan(np.pi * 2 * stats.norm.sf(np.abs(of_gene))))
        np.testing.assert_allclose(
            found[trait, gene], -stats.cauchy.logsf(t) / np.log(10), rtol=1e-8, atol=1e-12
        )


@pytest.mark.parametrize("scale", [1e-7, 1.0, 6.0, 60.0])
def test_short_way_equals_the_way_through_logarithms(scale: float) -> None:
    z = scores(2, scale)
    found = combine_tissues(z, choose_backend("numpy"))
    wanted = acat_nlog10_p(nlog10_p_from_z(z), axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-11)


def test_borders_zero_and_what_has_no_p() -> None:
    values = [0.0, SMALLEST, 1.1 * SMALLEST, LARGEST, np.nextafter(LARGEST, 0), 40.0, -3.0, -1e-300]
    z = np.array(values)[None, None, :] * np.ones((2, 3, 1))
    z[1, 0] = 0.5
    found = combine_tissues(z, choose_backend("numpy"))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, acat_nlog10_p(nlog10_p_from_z(z), axis=1), rtol=1e-8, atol=1e-11)
    assert found[0, 5] > 340


def test_signs_do_not_count_and_the_argument_stays() -> None:
    z = scores(3, 2.0)
    before = z.copy()
    host = choose_backend("numpy")
    np.testing.assert_array_equal(combine_tissues(z, host), combine_tissues(-z, host))
    np.testing.assert_array_equal(z, before)
