"""Scoring on a device with memory of its own: two groups of traits under way at any time.

In: a `ScoreOperator`, columns of z and beta. Out: z and effect sizes in the caller's arrays. While the device
scores one group, the processor copies the next one's columns from the page cache into page-locked memory and
the results of the one before out of it; copies and kernels of a group follow each other on a stream of their
own, so nothing waits for anything else. Only z and beta go to the device, and only results come back.

`Device` is what this needs of CUDA; a stand-in on NumPy runs the same steps where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gputwas.twas.operator import ScoreOperator
from gputwas.twas.tiles import genome_order, rows_in_order

__all__ = ["SLOTS", "WIDTH", "CudaDevice", "Device", "StreamScorer"]

WIDTH = 64  # traits of a group: copies of hundreds of megabytes, well past what starting them costs
CUDA_ERROR_MEMORY_ALLOCATION = 2  # of the CUDA runtime; CuPy has no name for it in Python
SLOTS = 2  # groups under way: one on the device, one on the host


class Device(Protocol):
    """Asynchronous copies and the scoring kernel."""

    def pinned(self, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray:
        """A host array that the device can copy from and to by itself."""

    def stream(self) -> Any:
        """A queue of work."""

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """Within the block, work goes to this stream."""

    def put(self, host: np.ndarray, stream: Any) -> Any:
        """Begin to copy to the device; returns the array there. Only page-locked memory is not waited for."""

    def fetch(self, array: Any, host: np.ndarray, stream: Any) -> None:
        """Begin to copy from the device into `host`."""

    def wait(self, stream: Any) -> None:
        """Until all that was queued on the stream is done."""

    def score(self, z: Any, beta: Any, var_g: Any, pattern_of: Any, dtype: str) -> tuple[Any, Any]:
        """z and effect (traits, models in genome order) of z, beta (traits, variants); see `score_gather`."""


class CudaDevice:
    """CuPy's device, with the models on it.

    Parameters
    ----------
    offsets, variants, z_weights, effect_weights : CSR of the models, host arrays.
    """

    def __init__(
        self, offsets: np.ndarray, variants: np.ndarray, z_weights: np.ndarray, effect_weights: np.ndarray
    ) -> None:
        import cupy

        self._cupy = cupy
        self._csr = tuple(cupy.asarray(a) for a in (offsets, variants, z_weights, effect_weights))
        cupy.cuda.Device().synchronize()  # our streams do not wait for the one that copied these

    def pinned(self, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray:
        """Page-locked memory, freed with the array.

        Not from CuPy's pool, which rounds sizes up and keeps what is freed: these arrays are as large as the
        plan says.

        Raises
        ------
        MemoryError : the host cannot lock so much.
        """
        cuda = self._cupy.cuda
        count = int(np.prod(shape))
        size = count * np.dtype(dtype).itemsize
        try:
            memory = cuda.PinnedMemory(max(size, 1), cuda.runtime.hostAllocPortable)
        except cuda.runtime.CUDARuntimeError as error:
            if error.status != CUDA_ERROR_MEMORY_ALLOCATION:
                raise
            memory = None
        if memory is None:  # raised here, free of the other error, whose frames would keep this device
            raise MemoryError(f"{size:,} bytes of page-locked memory")
        return np.frombuffer(cuda.PinnedMemoryPointer(memory, 0), dtype, count).reshape(shape)

    def stream(self) -> Any:
        """A stream that does not wait for the default one."""
        return self._cupy.cuda.Stream(non_blocking=True)

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """CuPy's streams are context managers."""
        return stream

    def put(self, host: np.ndarray, stream: Any) -> Any:
        """Copy without waiting, if the memory is page-locked."""
        array = self._cupy.empty(host.shape, host.dtype)
        array.set(host, stream=stream)
        return array

    def fetch(self, array: Any, host: np.ndarray, stream: Any) -> None:
        """Copy into page-locked memory without waiting."""
        array.get(stream=stream, out=host, blocking=False)

    def wait(self, stream: Any) -> None:
        """Wait on the host."""
        stream.synchronize()

    def score(self, z: Any, beta: Any, var_g: Any, pattern_of: Any, dtype: str) -> tuple[Any, Any]:
        """Transpose to (variants, traits), gather and scale."""
        from gputwas.kernels.launch import pad_traits, score_gather

        offsets, variants, z_weights, effect_weights = self._csr
        return score_gather(
            offsets, variants, z_weights, effect_weights, pad_traits(z.T), pad_traits(beta.T),
            var_g, pattern_of, dtype=dtype,
        )  # fmt: skip


@dataclass
class _Slot:
    """A group of traits on its way; `deliver` is None while the slot is free."""

    stream: Any
    z: np.ndarray  # (width, variants) float32, page-locked
    beta: np.ndarray
    scores: np.ndarray  # (width, models) of the results' type, page-locked
    effects: np.ndarray
    deliver: Callable[[ThreadPoolExecutor], None] | None = None
    alive: tuple[Any, ...] = ()  # arrays that queued work still reads


class StreamScorer:
    """Models on a device, and two slots for groups of traits.

    Parameters
    ----------
    operator : the models. n_variants : length of the GWAS columns.
    width : most traits of a group. dtype : of the results, float32 or float64.
    device : made of the models' CSR arrays in genome order; CUDA's by default.

    Attributes
    ----------
    order : (models,) int64, the models in the order of their first SNP.
    """

    def __init__(
        self,
        operator: ScoreOperator,
        n_variants: int,
        *,
        width: int,
        dtype: type[np.floating],
        device: Callable[..., Device] = CudaDevice,
    ) -> None:
        self.order = genome_order(operator)
        self._place = np.empty_like(self.order)
        self._place[self.order] = np.arange(self.order.size)
        offsets, entries = rows_in_order(operator.offsets, self.order)
        self._device = device(
            offsets, operator.variants[entries], operator.z_weights[entries], operator.effect_weights[entries]
        )
        self._dtype = dtype
        pinned, models = self._device.pinned, self.order.size
        self._slots = [
            _Slot(
                self._device.stream(),
                pinned((width, n_variants), np.float32), pinned((width, n_variants), np.float32),
                pinned((width, models), dtype), pinned((width, models), dtype),
            )
            for _ in range(SLOTS)
        ]  # fmt: skip
        self._next = 0

    def submit(
        self,
        z: Sequence[np.ndarray],
        beta: Sequence[np.ndarray | None],
        variance: np.ndarray,
        pattern_of: np.ndarray,
        out: Sequence[tuple[slice, np.ndarray, np.ndarray]],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Begin to score a group, arguments as in `TileScorer.score`; `out` is filled after `finish`.

        Parameters
        ----------
        pool : threads that copy.
        """
        slot = self._slots[self._next]
        self._complete(slot, pool)
        traits = len(z)

        def fill(lane: int) -> None:
            slot.z[lane] = z[lane]
            effects = beta[lane]
            slot.beta[lane] = np.nan if effects is None else effects

        list(pool.map(fill, range(traits)))
        device, stream = self._device, slot.stream
        small = np.ascontiguousarray(variance.T), pattern_of.astype(np.int32)
        with device.on(stream):
            # The small ones are pageable, so the host waits until the stream has come to them: they go first.
            on_device = tuple(
                device.put(host, stream) for host in (*small, slot.z[:traits], slot.beta[:traits])
            )
            var_g, patterns, z_there, beta_there = on_device
            results = device.score(z_there, beta_there, var_g, patterns, np.dtype(self._dtype).name)
            for array, host in zip(results, (slot.scores, slot.effects), strict=True):
                device.fetch(array, host[:traits], stream)
        slot.alive = (*small, *on_device, *results)
        slot.deliver = lambda copiers: self._copy_out(slot, traits, out, copiers)
        self._next = (self._next + 1) % SLOTS

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Wait for all that was submitted."""
        for slot in self._slots[self._next :] + self._slots[: self._next]:
            self._complete(slot, pool)

    def abandon(self) -> None:
        """Wait until the device touches no memory of the slots any more; what was under way is lost."""
        for slot in self._slots:
            self._device.wait(slot.stream)
            slot.deliver, slot.alive = None, ()

    def _complete(self, slot: _Slot, pool: ThreadPoolExecutor) -> None:
        if slot.deliver is None:
            return
        self._device.wait(slot.stream)
        slot.deliver(pool)
        slot.deliver, slot.alive = None, ()

    def _copy_out(
        self,
        slot: _Slot,
        traits: int,
        out: Sequence[tuple[slice, np.ndarray, np.ndarray]],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Bring results from genome order into the order of the models, tissue by tissue."""

        def one(part: tuple[slice, np.ndarray, np.ndarray]) -> None:
            models, z_out, effect_out = part
            place = self._place[models]
            np.take(slot.scores[:traits], place, axis=1, out=z_out.T, mode="clip")
            np.take(slot.effects[:traits], place, axis=1, out=effect_out.T, mode="clip")

        list(pool.map(one, out))
