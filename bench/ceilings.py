"""In: a CUDA device, through CuPy. Out: what it can do at best: bytes, products and bit counts a second.

Every time is the shortest of several between CUDA events, after a warm-up. CuPy is imported when a function
is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Ceilings", "Work", "bound", "measure_ceilings", "reckoned_conversions", "seconds_of"]

REPEATS = 10
POPC = r"""
extern "C" __global__ void popc(unsigned* out, unsigned rounds) {
    unsigned a = threadIdx.x, b = a + 1, c = a + 2, d = a + 3, sum = 0;
    for (unsigned i = 0; i < rounds; ++i) {
        sum += __popc(a & i) + __popc(b & i) + __popc(c & i) + __popc(d & i);
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""
# From float32 to float64, per multiprocessor and clock, by compute capability: CUDA C++ Programming Guide,
# throughput of native arithmetic instructions, "type conversions from and to 64-bit types".
CONVERSIONS = {"70": 16, "75": 2, "80": 16, "86": 2, "89": 2, "90": 16}
POPC_BLOCKS, POPC_THREADS, POPC_ROUNDS, POPC_PER_ROUND = 4_096, 256, 2_048, 4


@dataclass(frozen=True)
class Ceilings:
    """What the device does in a second.

    Attributes
    ----------
    copy : bytes read plus written by a copy on the device.
    float32 : operations of one large product, TF32 off.
    host_to_device, device_to_host : bytes, host memory pinned. popc : bit counts of a 32-bit word.
    float64 : operations of one large product, 0 if not measured.
    conversions : from float32 to float64, reckoned by `reckoned_conversions`; 0 if unknown.
    """

    copy: float
    float32: float
    host_to_device: float
    device_to_host: float
    popc: float
    float64: float = 0.0
    conversions: float = 0.0


@dataclass(frozen=True)
class Work:
    """What a kernel must do at least: bytes moved once each, operations, bit counts, conversions."""

    bytes: float = 0.0
    operations: float = 0.0
    counts: float = 0.0
    float64: float = 0.0
    conversions: float = 0.0
    to_host: float = 0.0


def bound(work: Work, ceilings: Ceilings) -> tuple[float, str]:
    """Shortest time in which the device can do the work, seconds, and what binds it; unknown rates do not."""
    times = {
        "bandwidth": work.bytes / ceilings.copy,
        "float32": work.operations / ceilings.float32,
        "bit counts": work.counts / ceilings.popc,
        "device to host": work.to_host / ceilings.device_to_host,
        "float64": work.float64 / (ceilings.float64 or math.inf),
        "conversions to float64": work.conversions / (ceilings.conversions or math.inf),
    }
    name = max(times, key=times.__getitem__)
    return times[name], name


def seconds_of(function: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Shortest time of a call on the device, after one that warms up."""
    import cupy

    function()
    cupy.cuda.Device().synchronize()
    times = []
    for _ in range(repeats):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        function()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
    return min(times)


def reckoned_conversions(capability: str, multiprocessors: int, kilohertz: int) -> float:
    """Conversions from float32 to float64 a second, by arithmetic; 0 for a device that the table lacks."""
    return CONVERSIONS.get(capability, 0) * multiprocessors * kilohertz * 1e3


def measure_ceilings(*, quick: bool = False) -> Ceilings:
    """Measure the current device; `quick` with small sizes."""
    import cupy
    import cupyx

    size = 1 << (26 if quick else 30)
    source = cupy.zeros(size // 4, cupy.float32)
    target = cupy.empty_like(source)
    copied = seconds_of(lambda: cupy.copyto(target, source))
    host = cupyx.zeros_pinned(size // 4, dtype=cupy.float32)
    to_device = seconds_of(lambda: target.set(host))
    to_host = seconds_of(lambda: target.get(out=host, blocking=False))
    side = 2_048 if quick else 12_288
    left, right = (cupy.random.rand(side, side, dtype=cupy.float32) for _ in range(2))
    product = cupy.empty_like(left)
    multiplied = seconds_of(lambda: cupy.matmul(left, right, out=product))
    doubles = cupy.random.rand(side // 2, side // 2)
    product = cupy.empty_like(doubles)
    in_double = seconds_of(lambda: cupy.matmul(doubles, doubles, out=product))
    device = cupy.cuda.Device()
    about = device.attributes
    out = cupy.empty(POPC_BLOCKS * POPC_THREADS, cupy.uint32)
    kernel = cupy.RawKernel(POPC, "popc")
    arguments = (out, cupy.uint32(POPC_ROUNDS))
    counted = seconds_of(lambda: kernel((POPC_BLOCKS,), (POPC_THREADS,), arguments))
    return Ceilings(
        copy=2 * size / copied,
        float32=2 * side**3 / multiplied,
        host_to_device=host.nbytes / to_device,
        device_to_host=host.nbytes / to_host,
        popc=float(out.size) * POPC_ROUNDS * POPC_PER_ROUND / counted,
        float64=2 * (side // 2) ** 3 / in_double,
        conversions=reckoned_conversions(
            device.compute_capability, about.get("MultiProcessorCount", 0), about.get("ClockRate", 0)
        ),
    )
