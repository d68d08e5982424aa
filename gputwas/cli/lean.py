"""Keeps a short command small: it neither loads what it never uses nor keeps memory it has given back.

In: nothing. Out: nothing but a process in which pyarrow, NumPy and SciPy behave so.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

__all__ = ["with_one_blas_thread", "with_plain_memory", "with_ufuncs_alone", "without_pandas"]

BLAS_THREADS = "OPENBLAS_NUM_THREADS"


class _Hidden:
    """Finds a module to be absent while it is on `sys.meta_path`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is hidden", name=fullname)
        return None

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)  # any object will do that has `find_spec`

    def __exit__(self, *exception: object) -> None:
        sys.meta_path.remove(self)


def without_pandas() -> None:
    """Let pyarrow look for pandas once, in vain.

    The first time any Python value becomes an Arrow one, pyarrow imports pandas to see whether the value is
    of a pandas type: 0.2 s and 30 MiB, for nothing where no data frame occurs. Its Python side and its C++
    side look only once each; pandas can be imported afterwards as ever, and `to_pandas` then loads it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    with _Hidden("pandas"):
        pa.array((), pa.null())  # the look of the Python side
        pa.scalar(0)  # and that of the C++ side


def with_one_blas_thread() -> None:
    """Let OpenBLAS start without threads, for a command that multiplies no matrices.

    They begin with NumPy and wait for work spinning, which costs 0.1 s of processor time. What a person has
    chosen stays. Processes begun later are not told: they may have matrices to multiply.
    """
    if "numpy" in sys.modules or BLAS_THREADS in os.environ:
        return
    os.environ[BLAS_THREADS] = "1"
    try:
        import_module("numpy")  # OpenBLAS looks when it is loaded
    finally:
        del os.environ[BLAS_THREADS]


def with_ufuncs_alone() -> None:
    """Load the compiled functions of scipy.special, and nothing else of that package.

    The package brings numpy.f2py, numpy.testing, numpy.ma and more along: a fifth of a second, for two
    functions. It can be imported afterwards as ever, with the same functions. `gputwas.stats.normal` takes
    those that are here; where SciPy is made otherwise there are none, and it imports the package.
    """
    name = "scipy.special"
    if name in sys.modules:
        return
    place = find_spec(name)
    if place is None or place.submodule_search_locations is None:
        return
    stand_in = ModuleType(name)
    stand_in.__path__ = place.submodule_search_locations
    sys.modules[name] = stand_in
    try:
        with contextlib.suppress(ImportError):
            import_module(f"{name}._ufuncs")
    finally:
        del sys.modules[name]


def with_plain_memory() -> None:
    """Let Arrow take its memory from the C library, as NumPy does.

    Its own allocator keeps freed memory for later, apart from NumPy's: 50 MiB in a run of seconds. What a
    person has chosen by ARROW_DEFAULT_MEMORY_POOL stays.
    """
    import pyarrow as pa

    if not os.environ.get("ARROW_DEFAULT_MEMORY_POOL"):
        pa.set_memory_pool(pa.system_memory_pool())
