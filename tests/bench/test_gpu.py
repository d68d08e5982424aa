"""What of the device's rows can be tried without one: the reckoning, dense matrices, and saying so."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import dense
from bench.__main__ import main
from bench.ceilings import Ceilings, Work, bound
from bench.gpu import _ratios, roofline
from bench.kernels import Row, _in_order
from tests.bench.canned import spent

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


def test_blocks_hold_every_model_with_snps_once() -> None:
    offsets = np.array([0, 2, 2, 5, 6])
    variants = np.array([1_030, 1_500, 3, 9, 1_023, 1_024], np.int32)
    blocks = dense.cut(offsets, variants)
    assert sorted(np.concatenate([block.models for block in blocks]).tolist()) == [0, 2, 3]
    assert [(block.models.tolist(), block.begin, block.end) for block in blocks] == [
        ([2], 3, 1_024),
        ([0, 3], 1_024, 1_501),
    ]
    assert dense.operations(blocks, traits=10) == 2 * 10 * (1_021 + 2 * 477)
    assert dense.stored_bytes(blocks) == 4 * (1_021 + 2 * 477)


def test_dense_matrices_give_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    lengths = np.array([3, 0, 5, 2])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    variants = np.concatenate([np.sort(rng.choice(2_500, n, replace=False)) for n in lengths]).astype(
        np.int32
    )
    weights = rng.normal(size=variants.size)
    monkeypatch.setitem(sys.modules, "cupy", np)  # the same names, on the host
    blocks = dense.cut(offsets, variants)
    z = rng.normal(size=(2_500, 4)).astype(np.float32)
    sums = np.empty((3, 4), np.float32)
    dense.multiplier(blocks, offsets, variants, weights)(z, sums)
    for row, model in enumerate(np.concatenate([block.models for block in blocks])):
        part = slice(offsets[model], offsets[model + 1])
        np.testing.assert_allclose(sums[row], weights[part] @ z[variants[part]], rtol=1e-5)


def test_models_in_another_order_keep_their_entries() -> None:
    offsets, entries = _in_order(np.array([0, 2, 2, 5]), np.array([2, 0, 1]))
    assert offsets.tolist() == [0, 3, 5, 5]
    assert entries.tolist() == [2, 3, 4, 0, 1]
