"""z from whatever a file has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gputwas.errors import InputError, UsageError
from gputwas.ingest.zscores import z_scores

NAN = math.nan


def z_of(mode="strict", fix=1e-50, **columns):
    return z_scores({k: np.array(v, float) for k, v in columns.items()}, mode=mode, pvalue_fix=fix)


def single(values):
    return np.array(values).astype(np.float32)


def test_parity_prefers_z_then_p_then_se():
    everything = {"z": [1.0], "beta": [-0.2], "se": [0.1], "p": [0.3]}
    assert z_of("parity", **everything).z == single([1.0])
    del everything["z"]
    np.testing.assert_array_equal(z_of("parity", **everything).z, single(-stats.norm.isf([0.15])))
    del everything["p"]
    np.testing.assert_array_equal(z_of("parity", **everything).z, single([-0.2 / 0.1]))


def test_strict_prefers_z_then_se_then_log_p_then_p():
    everything = {"z": [1.0], "beta": [-0.2], "se": [0.1], "nlog10_p": [2.0], "p": [0.3]}
    for source, value in (
        ("z", 1.0),
        ("se", -2.0),
        ("nlog10_p", -stats.norm.isf(0.005)),
        ("p", -stats.norm.isf(0.15)),
    ):
        found = z_of(**everything)
        np.testing.assert_allclose(found.z, [value], rtol=1e-6)
        del everything[source]
    assert list(found.sources) == ["p"]


def test_strict_falls_back_row_by_row():
    found = z_of(z=[1, NAN, NAN, NAN], beta=[9, 0.3, 0.3, NAN], se=[1, 0.1, 0.0, 0.1], p=[1, 1, 0.05, 0.05])
    np.testing.assert_allclose(found.z, [1.0, 3.0, stats.norm.isf(0.025), NAN], rtol=1e-6)
    assert found.sources == {"z": 1, "beta/se": 1, "p": 1}


def test_p_is_inverted_as_scipy_does_it():
    p = np.concatenate([np.logspace(-300, -1, 500), np.linspace(0.1, 1.0, 500)])
    sign = np.where(np.arange(1000) % 2, 1.0, -1.0)
    expected = single(-stats.norm.ppf(p / 2) * sign)
    np.testing.assert_array_equal(z_of("parity", p=p, beta=sign).z, expected)
    np.testing.assert_allclose(z_of("strict", p=p, beta=sign).z, expected, rtol=3e-7, atol=1e-7)


def test_log_p_never_underflows():
    found = z_of(nlog10_p=[0.0, 2.0, 400.0, 1e5, -1.0], beta=[1, -1, 1, -1, 1])
    assert found.z[0] == 0 and found.z[1] == pytest.approx(-2.5758293)
    # Tail bound: -log10(2 phi(z)/z) for a z this large is -log10 p to four digits.
    for z, nlog10_p in ((found.z[2], 400.0), (-found.z[3], 1e5)):
        z = float(z)
        assert (z * z / 2 + math.log(z * math.sqrt(math.pi / 2))) / math.log(10) == pytest.approx(
            nlog10_p, rel=1e-4
        )
    assert np.isnan(found.z[4]) and "-log10 p below 0" in found.warnings[0]


def test_parity_p_of_zero():
    columns = {"p": [0.0, 0.5, 0.0, 1e-310], "beta": [1, 1, -1, 1]}
    smallest = -stats.norm.ppf(1e-310 / 2)
    found = z_of("parity", **columns)
    np.testing.assert_allclose(found.z[[0, 2, 3]], [smallest, -smallest, smallest], rtol=1e-6)
    assert "2 rows print p = 0" in found.warnings[0]
    columns["p"][3] = 1e-20
    fixed = -stats.norm.ppf(0.5e-50)
    np.testing.assert_allclose(z_of("parity", **columns).z[:3:2], [fixed, -fixed], rtol=1e-6)
    np.testing.assert_allclose(z_of("parity", fix=1, **columns).z[0], -stats.norm.ppf(0.5e-20), rtol=1e-6)
    unfixed = z_of("parity", fix=0, **columns)
    assert np.isinf(unfixed.z[[0, 2]]).all() and unfixed.sources == {"p": 2} and not unfixed.warnings
    np.testing.assert_allclose(z_of("parity", p=[0.0], beta=[1]).z, [fixed], rtol=1e-6)


def test_parity_p_out_of_range_is_what_the_reference_makes_of_it():
    found = z_of("parity", p=[1.5, 2.0, 2.5, -0.1], beta=[1, 1, 1, 1]).z
    assert found[0] == single(stats.norm.ppf(0.25)) and found[1] == single(-stats.norm.ppf(0.5e-50))
    assert np.isnan(found[2:]).all()


def test_strict_p_of_zero_is_missing_and_said_loudly():
    found = z_of(p=[0.0, 0.5, 0.0], beta=[1, 1, 1], se=[NAN, NAN, 0.1])
    assert np.isfinite(found.z).tolist() == [False, True, True]
    (warning,) = found.warnings
    assert warning.startswith("1 rows") and "--column se=NAME" in warning


def test_strict_impossible_values_are_missing_and_said():
    found = z_of(beta=[1, 1, 1, 1], se=[-1, 0, NAN, 1], p=[2, -1, NAN, 0.5])
    assert np.isfinite(found.z).tolist() == [False, False, False, True]
    assert any("standard error below 0" in w for w in found.warnings)
    assert any("2 rows have a p outside" in w for w in found.warnings)


def test_sign_column_serves_where_there_is_no_effect():
    found = z_of(p=[0.05, 0.05, 0.05], sign=[-1, 1, NAN])
    np.testing.assert_allclose(found.z, [-1.959964, 1.959964, NAN], rtol=1e-6)
    found = z_of(p=[0.05, 0.05], sign=[-1, -1], beta=[0.3, NAN])
    np.testing.assert_allclose(found.z, [1.959964, -1.959964], rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "remedy"),
    [
        ({"p": [0.1]}, "beta=NAME"),
        ({"nlog10_p": [0.1]}, "no direction"),
        ({"beta": [0.1]}, "se=NAME"),
        ({"se": [0.1]}, "z=NAME"),
        ({}, "z=NAME"),
    ],
)
@pytest.mark.parametrize("mode", ["parity", "strict"])
def test_no_statistic(columns, remedy, mode):
    with pytest.raises(InputError, match="no z-score can be had") as caught:
        z_of(mode, **columns)
    assert remedy in str(caught.value)


def test_stand_in_must_be_a_probability():
    for fix in (-1, 2, NAN):
        with pytest.raises(UsageError):
            z_of("parity", fix=fix, z=[1])


def test_z_too_large_for_single_precision_is_no_z():
    assert not np.isfinite(z_of(z=[1e300]).z).any()
