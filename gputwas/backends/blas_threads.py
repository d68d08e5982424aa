"""One thread for NumPy's matrix products while many small ones are done.

In: nothing. Out: nothing but OpenBLAS at one thread for a while. It splits products from some 20 x 20 x 500
on over all cores and waits for them spinning: on a machine with other work that takes ten times the time of
one thread. Other BLAS libraries (MKL, Accelerate) and other systems than Linux are left as they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator

__all__ = ["one_blas_thread"]

# NumPy's and SciPy's wheels, builds with 64-bit integers, plain OpenBLAS
_NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every OpenBLAS of the process use one thread inside the block, and as many as before behind it."""
    before = [(set_threads, get_threads()) for get_threads, set_threads in _libraries()]
    try:
        for set_threads, _ in before:
            set_threads(1)
        yield
    finally:
        for set_threads, count in before:
            set_threads(count)


@functools.cache
def _libraries() -> tuple[tuple[Callable[[], int], Callable[[int], object]], ...]:
    """How to ask each loaded OpenBLAS for its number of threads, and how to set it."""
    try:
        with open("/proc/self/maps") as lines:
            paths = sorted({line.split()[-1] for line in lines if "openblas" in line and ".so" in line})
    except OSError:
        return ()
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(path)
            for name in _NAMES:
                get_threads = getattr(library, name.format("get_num_threads"), None)
                set_threads = getattr(library, name.format("set_num_threads"), None)
                if get_threads is not None and set_threads is not None:
                    found.append((get_threads, set_threads))
                    break
    return tuple(found)
