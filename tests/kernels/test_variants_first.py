"""Turning (traits, variants) into padded rows of traits: twin, kernel on the host, and a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.kernels import launch, twins
from tests.kernels.on_host import HostDevice

SHAPES = [(1, 1), (5, 70), (32, 64), (33, 31), (64, 100)]


def statistics(traits: int, variants: int) -> np.ndarray:
    values = np.random.default_rng(traits).normal(size=(traits, variants)).astype(np.float32)
    values[0, ::3] = np.nan
    return values


def check(turned: np.ndarray, values: np.ndarray) -> None:
    traits, variants = values.shape
    assert turned.shape == (variants, -(-traits // 32) * 32)
    np.testing.assert_array_equal(turned[:, :traits], values.T)
    assert np.isnan(turned[:, traits:]).all()


@pytest.mark.parametrize(("traits", "variants"), SHAPES)
def test_twin_turns_and_pads(backend: Backend, traits: int, variants: int) -> None:
    values = statistics(traits, variants)
    check(backend.to_numpy(twins.variants_first(backend.asarray(values))), values)


@pytest.mark.parametrize(("traits", "variants"), SHAPES)
def test_kernel_on_the_host_turns_and_pads(
    host_device: HostDevice, traits: int, variants: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = statistics(traits, variants)
    check(launch.variants_first(values), values)
    monkeypatch.setattr(launch, "MOST_GRID_Y", 1)
    host_device.seed = 4
    check(launch.variants_first(values), values)


def test_padding_turns_what_is_a_transpose_and_keeps_what_is_ready(host_device: HostDevice) -> None:
    values = statistics(40, 50)
    turned = launch.pad_traits(values.T)
    check(turned, values)
    assert host_device.launched == ["variants_first"]
    assert launch.pad_traits(turned) is turned
    check(launch.pad_traits(values[:, ::2].T), values[:, ::2])
    assert launch.pad_traits(values.astype(np.float64).T).dtype == np.float64
    assert host_device.launched == ["variants_first"]
    assert launch.variants_first(np.zeros((0, 3), dtype=np.float32)).shape == (3, 0)
    with pytest.raises(ValueError, match="float32"):
        launch.variants_first(values.astype(np.float64))
    with pytest.raises(ValueError, match="contiguous"):
        launch.variants_first(values.T)


@pytest.mark.gpu
@pytest.mark.parametrize(("traits", "variants"), [*SHAPES, (100, 5000)])
def test_gpu_kernel_turns_and_pads(traits: int, variants: int) -> None:
    cuda = choose_backend("cupy")
    values = statistics(traits, variants)
    check(cuda.to_numpy(launch.variants_first(cuda.asarray(values))), values)
