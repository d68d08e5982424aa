"""The C library for the processor: finds it, loads it, and checks what is passed to it.

In: names and argument types of its functions. Out: functions that refuse arrays of another type, shape or
layout and let go of the interpreter's lock while they run, so that threads work side by side.

The library is compiled when gputwas is installed. Where there was no C compiler it is missing; whoever uses
it asks `is_there` first and has an ordinary way to go (`gputwas doctor` says which it is).
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.ctypeslib

from gputwas.errors import ResourceError

__all__ = ["ADDRESS", "INTEGER", "OFF", "REAL", "addresses", "array", "filled", "is_there", "of_library"]

OFF = "GPUTWAS_COMPILED"
"""A variable of the environment: "0" is as if the library were missing."""

INTEGER, REAL, ADDRESS = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def array(dtype: Any, ndim: int = 1) -> Any:
    """An array that is read, C-contiguous and of exactly this type."""
    return np.ctypeslib.ndpointer(dtype, ndim=ndim, flags="C")


def filled(dtype: Any, ndim: int = 1) -> Any:
    """An array that is written, C-contiguous and of exactly this type."""
    return np.ctypeslib.ndpointer(dtype, ndim=ndim, flags=["C", "W"])


def addresses(columns: Sequence[np.ndarray | None], dtype: Any) -> np.ndarray:
    """Addresses of arrays, each contiguous and of this type; uint64 (columns,), 0 for None.

    The caller keeps the arrays alive and knows how long they must be.
    """
    for column in columns:
        if column is not None and (column.dtype != dtype or not column.flags.c_contiguous):
            raise ValueError(
                f"a column must be contiguous {np.dtype(dtype)}, not {column.dtype} {column.strides}"
            )
    return np.array([0 if column is None else column.ctypes.data for column in columns], dtype=np.uint64)


def is_there() -> bool:
    """Whether the library was compiled and is not switched off."""
    return os.environ.get(OFF) != "0" and _path() is not None


def of_library(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
    """A function of the library, which is loaded at the first call.

    Parameters
    ----------
    name : as in the C source. arguments : `array`, `filled`, `INTEGER`, `REAL` or `ADDRESS` for each.
    returns : its type; None for a function without an answer.

    Raises
    ------
    ResourceError : at the call, where the library is missing or is not of this version.
    """

    @functools.cache
    def function() -> Callable[..., Any]:
        try:
            found = _loaded()[name]
        except AttributeError:
            problem = (
                f"the compiled part of gputwas is of another version, it has no {name}; install gputwas again"
            )
            raise ResourceError(problem) from None
        found.argtypes, found.restype = arguments, returns
        return found

    def call(*values: Any) -> Any:
        return function()(*values)

    return call


@functools.cache
def _path() -> Path | None:
    return next(Path(__file__).resolve().parent.glob("_cpu.*so"), None)


@functools.cache
def _loaded() -> ctypes.CDLL:
    path = _path()
    if path is None:
        raise ResourceError(
            "the compiled part of gputwas is missing: there was no C compiler when it was installed; "
            "install one (Debian and Ubuntu: apt install gcc libc6-dev) and then gputwas again"
        )
    return ctypes.CDLL(str(path))
