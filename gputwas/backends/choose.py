"""Which array library computes, on which device, and why.

In: a wish ("auto", "numpy", "jax", "cupy", "array_api_strict"). Out: a `Backend`, which holds the array-API
namespace and the few things the standard leaves open (moving arrays, free memory, names for the log).
Nothing here is imported before it is asked for, so the program runs without any GPU package.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from gputwas.errors import ResourceError, UsageError

__all__ = ["BACKENDS", "Backend", "choose_backend", "device_count"]

log = logging.getLogger(__name__)

BACKENDS = ("auto", "numpy", "jax", "cupy", "array_api_strict")
INSTALL = {
    "jax": "pip install 'gputwas[jax]'",
    "cupy": "pip install 'gputwas[cuda13]' (or cuda12, after the driver's CUDA version: see nvidia-smi)",
    "array_api_strict": "pip install array-api-strict",
}


@dataclass(frozen=True)
class Backend:
    """An array library on a device.

    Attributes
    ----------
    name : "numpy", "jax", "cupy" or "array_api_strict".
    xp : its array-API namespace.
    device : the device in words, for people and for provenance.
    reason : why it was picked.
    """

    name: str
    xp: ModuleType
    device: str
    reason: str

    def asarray(self, values: np.ndarray) -> Any:
        """Copy a host array to the device; the dtype is kept, and a library that changes it is refused."""
        array = self.xp.asarray(values)
        if str(array.dtype).split(".")[-1] != str(values.dtype):
            raise ResourceError(
                f"{self.name} turned {values.dtype} into {array.dtype}; 64-bit floats are needed"
            )
        return array

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function compiled for this library, once per shape of its arrays, or the function itself."""
        if self.name != "jax":
            return function
        import jax

        return jax.jit(function)

    def to_numpy(self, array: Any) -> np.ndarray:
        """Copy a device array to the host."""
        return array.get() if self.name == "cupy" else np.asarray(array)

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]:
        """What the library raises when an array does not fit; smaller batches may."""
        if self.name != "cupy":
            return (MemoryError,)
        import cupy

        return (MemoryError, cupy.cuda.memory.OutOfMemoryError)

    def release_memory(self) -> None:
        """Give back what the library keeps of freed arrays, so that another shape finds room."""
        if self.name == "cupy":
            import cupy

            cupy.get_default_memory_pool().free_all_blocks()
            cupy.get_default_pinned_memory_pool().free_all_blocks()

    def free_memory(self) -> int | None:
        """Bytes free on the device, or None when it shares the host's memory."""
        if self.name != "cupy":
            return None
        import cupy

        free, _ = cupy.cuda.runtime.memGetInfo()
        return int(free)

    def total_memory(self) -> int | None:
        """Bytes of memory of the device, or None when it shares the host's."""
        if self.name != "cupy":
            return None
        import cupy

        _, total = cupy.cuda.runtime.memGetInfo()
        return int(total)


def choose_backend(name: str = "auto") -> Backend:
    """Load the backend asked for; "auto" takes CUDA where a working device is, NumPy otherwise.

    Raises
    ------
    UsageError : the name is unknown.
    ResourceError : the library is not installed, or no CUDA device works (exit code 4).
    """
    if name not in BACKENDS:
        raise UsageError(f"there is no backend {name!r}; choose one of {', '.join(BACKENDS)}")
    backend = _automatic() if name == "auto" else _LOADERS[name](f"--backend {name}")
    log.info("backend %s on %s (%s)", backend.name, backend.device, backend.reason)
    return backend


def device_count() -> int:
    """CUDA devices that this process may use; 0 where there is none or CuPy is not installed."""
    try:
        return int(_load("cupy", "cupy").cuda.runtime.getDeviceCount())
    except Exception:  # CuPy raises a class of its own per CUDA layer; what is wrong, `choose_backend` says
        return 0


def _automatic() -> Backend:
    try:
        return _cupy("a working CUDA device was found")
    except ResourceError as error:
        return _numpy(f"no CUDA: {str(error).splitlines()[0]}")


def _numpy(reason: str) -> Backend:
    from gputwas.backends.namespace import numpy_namespace as xp

    return Backend("numpy", xp, f"CPU, {os.cpu_count()} cores", reason)


def _strict(reason: str) -> Backend:
    return Backend("array_api_strict", _load("array_api_strict", "array_api_strict"), "CPU", reason)


def _jax(reason: str) -> Backend:
    jax = _load("jax", "jax")
    jax.config.update("jax_enable_x64", True)
    device = jax.devices()[0]
    return Backend("jax", _load("jax.numpy", "jax"), f"{device.platform} {device.device_kind}", reason)


def _cupy(reason: str) -> Backend:
    cupy = _load("cupy", "cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        cupy.zeros(1).sum().item()
    except Exception as error:  # CuPy raises a class of its own per CUDA layer
        raise ResourceError(
            f"CuPy is installed but no CUDA device works ({error}); check nvidia-smi, or use --backend numpy"
        ) from error
    import array_api_compat.cupy as xp

    device = f"{properties['name'].decode()} (1 of {count}), CUDA {cupy.cuda.runtime.runtimeGetVersion()}"
    return Backend("cupy", xp, device, reason)


def _load(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ResourceError(f"{extra} is not installed; get it with: {INSTALL[extra]}") from error


_LOADERS = {"numpy": _numpy, "jax": _jax, "cupy": _cupy, "array_api_strict": _strict}
