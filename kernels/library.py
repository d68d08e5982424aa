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
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
import numpy.ctypeslib

from gputwas.errors import ResourceError

__all__ = [
    "ADDRESS",
    "INTEGER",
    "OFF",
    "REAL",
    "REMEDY",
    "addresses",
    "array",
    "filled",
    "is_there",
    "of_library",
    "problem",
]

OFF = "GPUTWAS_COMPILED"
"""A variable of the environment: "0" is as if the library were missing."""

VERSION = 1  # as in cpu.h
REMEDY = "install a C compiler (Debian and Ubuntu: apt install gcc libc6-dev) and then gputwas again"
INTEGER, REAL, ADDRESS = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def array(dtype: Any, ndim: int = 1) -> Any:
    """An array that is read, C-contiguous and of exactly this type."""
    return np.ctypeslib.ndpointer(dtype, ndim=ndim, flags=["C", "A"])


def filled(dtype: Any, ndim: int = 1) -> Any:
    """An array that is written, C-contiguous and of exactly this type."""
    return np.ctypeslib.ndpointer(dtype, ndim=ndim, flags=["C", "A", "W"])


def addresses(columns: Sequence[np.ndarray | None], dtype: Any, *, written: bool = False) -> np.ndarray:
    """Addresses of arrays, each contiguous and of this type; uint64 (columns,), 0 for None.

    The caller keeps the arrays alive and knows how long they must be. `written` : they will be.
    """
    for column in columns:
        if column is None:
            continue
        flags = column.flags
        if column.dtype != dtype or not (flags.c_contiguous and flags.aligned):
            raise ValueError(
                f"a column must be contiguous {np.dtype(dtype)}, not {column.dtype} {column.strides}"
            )
        if written and not flags.writeable:
            raise ValueError("a column that is to be filled is read-only")
    return np.array([0 if column is None else column.ctypes.data for column in columns], dtype=np.uint64)


def is_there() -> bool:
    """Whether the library can be used and is not switched off."""
    return os.environ.get(OFF) != "0" and problem() is None


def problem() -> str | None:
    """Why the library cannot be used, in words that follow "it"; None if it can."""
    found = _opened()
    return found if isinstance(found, str) else None


def of_library(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
    """A function of the library, which is loaded at the first call.

    Parameters
    ----------
    name : as in the C source. arguments : `array`, `filled`, `INTEGER`, `REAL` or `ADDRESS` for each.
    returns : its type; None for a function without an answer.

    Raises
    ------
    ResourceError : at the call, where the library is missing or not of this version.
    """

    @functools.cache
    def function() -> Callable[..., Any]:
        found = _loaded()[name]
        found.argtypes, found.restype = arguments, returns
        return found

    def call(*values: Any) -> Any:
        return function()(*values)

    return call


@functools.cache
def _opened() -> ctypes.CDLL | str:
    """The library, or why it cannot be used."""
    path = Path(__file__).resolve().parent / f"_cpu{EXTENSION_SUFFIXES[0]}"
    if not path.exists():
        return "was not compiled when gputwas was installed"
    try:
        library = ctypes.CDLL(str(path))
        found = library.library_version()
    except (OSError, AttributeError) as error:
        return f"cannot be loaded ({error})"
    return library if found == VERSION else f"is of another version of gputwas ({found}, not {VERSION})"


def _loaded() -> ctypes.CDLL:
    found = _opened()
    if isinstance(found, str):
        raise ResourceError(f"the compiled part of gputwas {found}; {REMEDY}")
    return found
