"""GWAS summary statistics as labs have them: any dialect in, canonical Arrow record batches out.

The names below are looked up on first use, so that importing the package loads neither Arrow nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dialects import DIALECTS, Dialect
    from .layout import ROLES, Layout
    from .reader import SumstatsReader, open_sumstats, sniff

__all__ = ["DIALECTS", "ROLES", "Dialect", "Layout", "SumstatsReader", "open_sumstats", "sniff"]

_HOME = {
    "DIALECTS": "dialects",
    "Dialect": "dialects",
    "ROLES": "layout",
    "Layout": "layout",
    "SumstatsReader": "reader",
    "open_sumstats": "reader",
    "sniff": "reader",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
