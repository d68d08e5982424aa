"""The CUDA kernels without a CUDA device: NumPy stands in for CuPy, `host_cuda.h` for the device.

In: nothing. Out: a fixture under which `gputwas.kernels.launch` works on NumPy arrays: grids, arguments and
kernels are those of a GPU, and with them the arithmetic to the last bit.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gputwas.kernels import launch

HERE = Path(__file__).resolve().parent
FLAGS = (
    "-std=c++20",
    "-O1",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    "-Wno-clobbered",
)


def entry_points(source: Path) -> list[str]:
    """Names of the kernels of a source."""
    text = source.read_text()
    plain = re.findall(r"__launch_bounds__\([^)]*\)\s+([a-z]\w*)\(", text)
    return sorted(plain + re.findall(r"^[A-Z_]+\(([a-z]\w*), ", text, re.MULTILINE))


class HostDevice:
    """Compiles sources for the host, once each, and launches their kernels on NumPy arrays.

    Attributes
    ----------
    seed : of the order in which threads take turns; results must not depend on it.
    launched : names of the kernels launched so far.
    """

    def __init__(self, folder: Path, compiler: str) -> None:
        self.seed = 0
        self.launched: list[str] = []
        self._folder = folder
        self._compiler = compiler
        self._libraries: dict[str, ctypes.CDLL] = {}

    def kernel(self, source: str, entry: str) -> Callable[..., None]:
        """Stands in for `launch._kernel`: a callable (grid, block, arguments)."""
        function = getattr(self._library(source), f"run_{entry}")

        def run(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            held = [_by_value(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(value) for value in held))
            shapes = [(ctypes.c_uint * 3)(*shape, *(1,) * (3 - len(shape))) for shape in (grid, block)]
            self.launched.append(entry)
            wrong = function(*shapes, pointers, len(held), self.seed)
            assert wrong == 0, f"{entry} takes another number of arguments than {len(held)}"

        return run

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let `gputwas.kernels.launch` use this device and NumPy."""
        monkeypatch.setattr(launch, "_kernel", self.kernel)
        monkeypatch.setitem(sys.modules, "cupy", np)

    def _library(self, source: str) -> ctypes.CDLL:
        if source not in self._libraries:
            path = launch.SOURCES / f"{source}.cu"
            library = self._folder / f"{source}.so"
            names = "".join(f"X({name})" for name in entry_points(path))
            command = [
                self._compiler, *FLAGS, "-Werror", "-shared", "-fPIC", f"-I{launch.SOURCES}",
                f'-DSOURCE="{path.name}"', f"-DKERNELS={names}",
                str(HERE / "host_kernels.cpp"), "-o", str(library),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            self._libraries[source] = ctypes.CDLL(str(library))
        return self._libraries[source]


def _by_value(argument: Any) -> Any:
    """What a kernel parameter holds: the address of an array, or the number itself."""
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    kinds = {"int64": ctypes.c_longlong, "int32": ctypes.c_int, "float64": ctypes.c_double}
    return kinds[str(argument.dtype)](argument.item())


@pytest.fixture(scope="session")
def compiled_on_host(tmp_path_factory: pytest.TempPathFactory) -> HostDevice:
    """One host device per session; skips without a C++ compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    return HostDevice(tmp_path_factory.mktemp("kernels"), compiler)


@pytest.fixture
def host_device(compiled_on_host: HostDevice, monkeypatch: pytest.MonkeyPatch) -> HostDevice:
    """`gputwas.kernels.launch` on NumPy arrays for the length of a test."""
    compiled_on_host.stand_in(monkeypatch)
    compiled_on_host.launched.clear()
    compiled_on_host.seed = 0
    return compiled_on_host
