"""`gputwas doctor`: what is installed, which devices work, what is missing and how to get it.

In: nothing. Out: rows of name, version and remark.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass

from gputwas import __version__
from gputwas.backends.choose import BACKENDS, choose_backend
from gputwas.backends.memory import available_memory
from gputwas.errors import ResourceError
from gputwas.kernels import library

__all__ = ["Finding", "examine"]

CORE = (
    "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "pyliftover", "typer", "rich",
    "array-api-compat", "array-api-extra", "duckdb", "isal", "xxhash",
)  # fmt: skip
EXTRAS = {  # package -> the extra that brings it, and what for
    "bed-reader": ("genotypes", "PLINK 1 genotypes"), "pgenlib": ("genotypes", "PLINK 2 genotypes"),
    "cyvcf2": ("genotypes", "VCF and BCF"), "bgen": ("genotypes", "BGEN"),
    "rdata": ("fusion", "FUSION's weights"), "distributed": ("cluster", "--executor dask:..."),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One line of the report; `ok` is None for what is optional and absent."""

    name: str
    state: str
    remark: str
    ok: bool | None = True


def examine() -> list[Finding]:
    """Look at the interpreter, the packages, the backends and the machine."""
    findings = [
        Finding("gputwas", __version__, ""),
        Finding("Python", platform.python_version(), platform.platform()),
        Finding("processors", str(os.cpu_count()), platform.machine()),
        Finding("memory", f"{available_memory() / 1e9:.1f} GB free", ""),
        Finding("disk", f"{shutil.disk_usage('.').free / 1e9:.1f} GB free", "in this folder"),
    ]
    findings.append(_library())
    findings += [_package(name) for name in CORE]
    findings += [_optional(name, *needed) for name, needed in EXTRAS.items()]
    findings += [_backend(name) for name in BACKENDS if name not in ("auto", "array_api_strict")]
    chosen = choose_backend("auto")
    findings.append(Finding("--backend auto", chosen.name, chosen.reason))
    return findings


def _library() -> Finding:
    if library.is_there():
        return Finding("compiled loops", "there", "reading and scoring on the processor")
    if os.environ.get(library.OFF) == "0":
        return Finding("compiled loops", "switched off", f"by {library.OFF}=0; several times slower", ok=None)
    remark = f"it {library.problem()}: several times slower; {library.REMEDY}"
    return Finding("compiled loops", "missing", remark, ok=None)


def _package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name), "")
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"pip install {name}", ok=False)


def _optional(name: str, extra: str, purpose: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name), purpose)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", f"{purpose}: pip install 'gputwas[{extra}]'", ok=None)


def _backend(name: str) -> Finding:
    try:
        backend = choose_backend(name)
    except ResourceError as error:
        return Finding(f"backend {name}", "not available", str(error), ok=None)
    return Finding(f"backend {name}", "works", backend.device)
