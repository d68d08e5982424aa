"""Scoring by groups on a device, on a stand-in that does the copies late and the sums with NumPy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gputwas.errors import ResourceError
from gputwas.stores.associations import AssociationStore
from gputwas.twas import scoring, settings
from gputwas.twas.associate import AssociateSettings, associate
from gputwas.twas.streams import StreamScorer
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import write_gwas, write_models


class LateDevice:
    """Does nothing before it is waited for, as a busy device would."""

    def __init__(
        self, offsets: np.ndarray, variants: np.ndarray, z_weights: np.ndarray, effect_weights: np.ndarray,
        *, most: int = 10**9,
    ) -> None:  # fmt: skip
        self._csr = offsets, variants, z_weights, effect_weights
        self._most = most

    def pinned(self, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray:
        return np.full(shape, 99, dtype)

    def stream(self) -> list[Callable[[], None]]:
        return []

    def on(self, stream: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def put(self, host: np.ndarray, stream: list[Callable[[], None]]) -> np.ndarray:
        if host.ndim == 2 and host.dtype == np.float32 and len(host) > self._most:
            raise MemoryError("the device is full")
        there = np.full_like(host, 77)
        stream.append(lambda: np.copyto(there, host))
        return there

    def fetch(self, array: Any, host: np.ndarray, stream: list[Callable[[], None]]) -> None:
        stream.append(lambda: np.copyto(host, array.computed()))

    def wait(self, stream: list[Callable[[], None]]) -> None:
        for work in stream:
            work()
        stream.clear()

    def score(self, z: Any, beta: Any, var_g: Any, pattern_of: Any, dtype: str) -> tuple[Any, Any]:
        arguments = (self._csr, z, beta, var_g, pattern_of, dtype)
        return _Later(*arguments, 0), _Later(*arguments, 1)


class _Later:
    """A result that is computed when it is fetched, after the copies before it in its stream."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def computed(self) -> np.ndarray:
        (offsets, variants, z_weights, effect_weights), z, beta, var_g, pattern_of, dtype, which = (
            self._arguments
        )
        known = ~np.isnan(z)
        values, weights = ((z, z_weights), (beta, effect_weights))[which]
        terms = np.where(known, values, 0).astype(np.float64)[:, variants] * weights
        sums = np.zeros((len(z), len(offsets) - 1))
        for model in range(len(offsets) - 1):
            for entry in range(offsets[model], offsets[model + 1]):
                sums[:, model] += terms[:, entry]
        scale = var_g[:, pattern_of].T
        return (sums / (np.sqrt(scale), scale)[which]).astype(dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stores of nine traits with three patterns, one without effects, and a run on the processor."""
    rng = np.random.default_rng(41)
    models = write_models(tmp_path / "models", random_model_set(rng, tissues=3))
    z, beta = random_gwas(rng, 9, 40)
    z[2, 3:9] = z[5, 20:] = np.nan
    beta[np.isnan(z)] = np.nan
    write_gwas(tmp_path / "gwas", models.panel, z, beta, without_effect=["trait_04"])
    run(tmp_path, "processor")
    return tmp_path


def run(folder: Path, out: str) -> AssociationStore:
    options = AssociateSettings(backend="numpy", block_size=4)
    associate(folder / "models", folder / "gwas", folder / out, settings=options)
    return AssociationStore.open(folder / out)


def on_device(monkeypatch: pytest.MonkeyPatch, width: int, most: int = 10**9) -> None:
    """Let runs score on the stand-in, so many traits to a group."""
    monkeypatch.setattr(settings, "way_of_scoring", lambda backend, method: "streamed")
    monkeypatch.setattr("gputwas.twas.streams.WIDTH", width)
    monkeypatch.setattr(scoring, "StreamScorer", partial(StreamScorer, device=partial(LateDevice, most=most)))


@pytest.mark.parametrize("width", [1, 2, 3, 64])
def test_streams_score_as_the_processor_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    on_device(monkeypatch, width)
    store = run(folder, "streamed")
    assert store.is_complete
    want = AssociationStore.open(folder / "processor")
    for tissue in want.tissues:
        for block in range(want.n_blocks):
            for kind in ("z", "effect"):
                np.testing.assert_array_equal(
                    store.read_block(tissue, block, kind), want.read_block(tissue, block, kind)
                )


def test_a_full_device_gets_smaller_groups(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on_device(monkeypatch, 64, most=1)
    with caplog.at_level("WARNING"):
        store = run(folder, "streamed")
    said = [record.message.split("; ")[1] for record in caplog.records if "memory ran out" in record.message]
    assert said == ["going on with 2 traits at a time", "going on with 1 traits at a time"]
    want = AssociationStore.open(folder / "processor")
    for tissue in want.tissues:
        np.testing.assert_array_equal(store.read_block(tissue, 1, "z"), want.read_block(tissue, 1, "z"))


def test_a_device_without_room_for_one_trait_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_device(monkeypatch, 64, most=0)
    with pytest.raises(ResourceError, match="with a single trait"):
        run(folder, "streamed")
