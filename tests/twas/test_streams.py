"""Scoring by groups on a device, on a stand-in that does the copies late and the sums with NumPy."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.errors import ResourceError
from gputwas.stores.associations import AssociationStore
from gputwas.twas import scoring, settings
from gputwas.twas.associate import AssociateSettings, associate
from gputwas.twas.blocks import BlockRun
from gputwas.twas.selection import select
from gputwas.twas.settings import plan_selection
from gputwas.twas.streams import CudaDevice, StreamScorer
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
        self._pinned: list[np.ndarray] = []
        self.streams: list[list[Callable[[], None]]] = []

    def pinned(self, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray:
        self._pinned.append(np.full(shape, 99, dtype))
        return self._pinned[-1]

    def stream(self) -> list[Callable[[], None]]:
        self.streams.append([])
        return self.streams[-1]

    def on(self, stream: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def put(self, host: np.ndarray, stream: list[Callable[[], None]]) -> np.ndarray:
        if host.ndim == 2 and host.dtype == np.float32 and len(host) > self._most:
            raise MemoryError("the device is full")
        if not any(np.shares_memory(host, array) for array in self._pinned):
            assert not stream, "the host would wait here for all that is queued"
            return host.copy()
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


class FailsOnce(LateDevice):
    """Its third group finds it broken, while the one before is under way."""

    made: list[FailsOnce]
    groups: int

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.made.append(self)

    def score(self, *arguments: Any) -> tuple[Any, Any]:
        type(self).groups += 1
        if self.groups == 3:
            raise RuntimeError("broken")
        return super().score(*arguments)


def test_after_an_error_nothing_is_under_way_and_the_next_block_begins_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FailsOnce.made, FailsOnce.groups = [], 0
    on_device(monkeypatch, 1)
    monkeypatch.setattr(scoring, "StreamScorer", partial(StreamScorer, device=FailsOnce))
    with pytest.raises(RuntimeError, match="broken"):
        run(folder, "streamed")
    [device] = FailsOnce.made
    assert device.streams == [[], []], "the device still writes to memory that is about to be freed"

    FailsOnce.groups = 0
    chosen, backend = select(folder / "models", folder / "gwas"), choose_backend("numpy")
    options = AssociateSettings(backend="numpy", block_size=4)
    plan = plan_selection(chosen, options, backend, "csr")
    scorer = scoring.ready_models(chosen, backend, "csr")
    store = AssociationStore.open(folder / "streamed", as_worker=True)
    blocks = BlockRun(chosen, store, scorer, plan, "float32")
    with pytest.raises(RuntimeError, match="broken"):
        blocks.one_block(0)
    assert blocks.one_block(0)
    assert len(FailsOnce.made) == 3
    want = AssociationStore.open(folder / "processor")
    for tissue in want.tissues:
        np.testing.assert_array_equal(store.read_block(tissue, 0, "z"), want.read_block(tissue, 0, "z"))


class CudaError(Exception):
    """As CuPy's, with the number of the error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"error {status}")
        self.status = status


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """As much of CuPy as page-locked memory needs; `locked` are the sizes asked for, `status` an error."""
    fake = SimpleNamespace(asarray=np.asarray, locked=[], status=0, freed=[])

    def locked(size: int, flags: int) -> bytearray:
        if fake.status:
            raise CudaError(fake.status)
        fake.locked.append((size, flags))
        return bytearray(size)

    def pool(name: str) -> Callable[[], SimpleNamespace]:
        return lambda: SimpleNamespace(free_all_blocks=lambda: fake.freed.append(name))

    fake.cuda = SimpleNamespace(
        Device=lambda: SimpleNamespace(synchronize=lambda: None), PinnedMemory=locked,
        PinnedMemoryPointer=lambda memory, offset: memoryview(memory)[offset:],
        runtime=SimpleNamespace(CUDARuntimeError=CudaError, hostAllocPortable=1),
    )  # fmt: skip
    fake.get_default_memory_pool, fake.get_default_pinned_memory_pool = pool("device"), pool("pinned")
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def test_page_locked_memory_is_as_large_as_planned(cupy: SimpleNamespace) -> None:
    device = CudaDevice(*(np.zeros(1),) * 4)
    array = device.pinned((3, 1000), np.float32)
    assert (array.shape, array.dtype) == ((3, 1000), np.float32)
    array[:] = 1  # it can be written
    assert cupy.locked == [(12_000, 1)]
    assert device.pinned((3, 0), np.float64).shape == (3, 0)


def test_too_much_page_locked_memory_is_a_lack_of_memory(cupy: SimpleNamespace) -> None:
    device = CudaDevice(*(np.zeros(1),) * 4)
    cupy.status = 2
    with pytest.raises(MemoryError, match="12,000 bytes of page-locked memory"):
        device.pinned((3, 1000), np.float32)
    cupy.status = 46  # another error is no reason to try again
    with pytest.raises(CudaError):
        device.pinned((3, 1000), np.float32)


def test_both_pools_give_memory_back(cupy: SimpleNamespace) -> None:
    Backend("cupy", np, "", "").release_memory()
    assert sorted(cupy.freed) == ["device", "pinned"]


def test_what_failed_is_gone_before_the_smaller_groups_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page-locked memory of the groups that did not fit must be free when memory is given back."""
    import weakref

    slots: list[weakref.ref[np.ndarray]] = []

    class Watched(LateDevice):
        def pinned(self, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray:
            array = super().pinned(shape, dtype)
            slots.append(weakref.ref(array))
            return array

    left: list[int] = []
    on_device(monkeypatch, 64)
    monkeypatch.setattr(scoring, "StreamScorer", partial(StreamScorer, device=partial(Watched, most=2)))
    monkeypatch.setattr(
        Backend, "release_memory", lambda self: left.append(sum(s() is not None for s in slots))
    )
    run(folder, "streamed")
    assert left == [0]
