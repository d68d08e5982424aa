"""What of the device's rows can be tried without one: the reckoning, comparing slices, and saying so."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import main
from bench.agree import Disagreement
from bench.ceilings import Ceilings, Work, bound, reckoned_conversions
from bench.gpu import _ratios, roofline
from bench.kernels import Row, _agree, _in_order, _padded, _var_g
from gputwas.backends.choose import choose_backend
from gputwas.kernels.twins import padded_gather
from gputwas.twas.operator import build_operator
from gputwas.twas.variance import quadratic_forms
from tests.bench.canned import spent
from tests.model_sets import random_model_set

CEILINGS = Ceilings(copy=4e12, float32=5e13, host_to_device=5e10, device_to_host=5e10, popc=1e13)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_a_device_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main(["gpu", "--quick", "--results", str(tmp_path)]) == 1
    assert "no CUDA device: No module named 'cupy'" in capsys.readouterr().err
    assert main(["gpu", "--quick", "--results", str(tmp_path), "--allow-missing"]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("work", "seconds", "name"),
    [
        (Work(bytes=4e9, operations=1e9), 1e-3, "bandwidth"),
        (Work(bytes=4e9, operations=1e12), 2e-2, "float32"),
        (Work(bytes=4e9, counts=1e11), 1e-2, "bit counts"),
    ],
)
def test_the_slowest_resource_binds(work: Work, seconds: float, name: str) -> None:
    assert bound(work, CEILINGS) == (pytest.approx(seconds), name)


def test_roofline_gives_shares() -> None:
    rows = [Row("score_gather", "some work", 2e-3, Work(bytes=4e9))]
    line = roofline(rows, CEILINGS).splitlines()[-1]
    assert line == "| score_gather | some work | 2 | 1 | bandwidth | 50% |"
    (ratio,) = _ratios(rows, CEILINGS, [], 10)
    assert (ratio.value, ratio.met) == (pytest.approx(2.0), True)


@pytest.mark.parametrize(("traits", "met"), [(3_935, True), (492, None)])
def test_the_whole_command_is_judged_at_full_scale_only(traits: int, met: bool | None) -> None:
    found = [*spent("paper", "gputwas", "associate", 12.0), *spent("paper", "floor", "plain copy", 6.0)]
    seconds, relative = _ratios([], CEILINGS, found, traits)
    assert (seconds.value, seconds.met, relative.value) == (12.0, met, 2.0)


def test_conversions_bind_where_their_rate_is_known() -> None:
    rate = reckoned_conversions("90", 132, 1_750_000)
    assert rate == pytest.approx(16 * 132 * 1.75e9)
    work = Work(bytes=4e9, conversions=rate / 100)
    assert bound(work, replace(CEILINGS, conversions=rate)) == (pytest.approx(1e-2), "conversions to float64")
    assert bound(work, CEILINGS) == (pytest.approx(1e-3), "bandwidth")
    assert reckoned_conversions("12", 132, 1_750_000) == 0


def test_disagreement_with_a_twin_ends_the_run() -> None:
    right = np.array([1.0, np.nan, -4.0])
    _agree("x", [right + 1e-13], [right], 1e-12)
    with pytest.raises(Disagreement, match="x differs from its twin"):
        _agree("x", [right + 1e-11], [right], 1e-12)
    with pytest.raises(Disagreement, match="NaN in other places"):
        _agree("x", [np.nan_to_num(right)], [right], 1e-12)
    with pytest.raises(Disagreement, match="shape"):
        _agree("x", [right[:2]], [right], 1e-12)
    with pytest.raises(Disagreement, match="no value"):
        _agree("x", [right[1:2]], [right[1:2]], 1e-12)


def test_slices_are_those_of_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", np)  # the same names, on the host
    models = random_model_set(np.random.default_rng(3), lengths=(3, 0, 5, 2), n_variants=40)
    operator = build_operator(
        models.offsets, models.variants, models.weights, models.n_in_ld, models.ld_offsets, models.ld,
        n_variants=40,
    )  # fmt: skip
    z = np.random.default_rng(4).normal(size=(40, 6))
    some, padded = _padded(operator.offsets, operator.variants, operator.z_weights, operator.effect_weights)
    sums = np.array([
        operator.z_weights[part] @ z[operator.variants[part]]
        for part in (slice(*operator.offsets[m : m + 2]) for m in some)
    ])  # fmt: skip
    _agree("gather", padded_gather(*padded, z, None)[:1], [sums], 1e-12)
    present = np.random.default_rng(5).random(40) < 0.7
    masked = operator.weights * present[operator.variants]
    every = np.arange(operator.n_models)
    wanted = quadratic_forms(operator, masked, every, choose_backend("numpy"))
    some_present = [masked[slice(*operator.offsets[m : m + 2])].any() for m in every]
    wanted[~np.array(some_present)] = np.nan
    got = np.array([_var_g(operator, m, present) for m in every])
    _agree("var_g", [got], [wanted], 1e-12)


def test_models_in_another_order_keep_their_entries() -> None:
    offsets, entries = _in_order(np.array([0, 2, 2, 5]), np.array([2, 0, 1]))
    assert offsets.tolist() == [0, 3, 5, 5]
    assert entries.tolist() == [2, 3, 4, 0, 1]
