"""All CUDA sources compile: by nvcc for every architecture, and by NVRTC as CuPy does, where these are."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gputwas.kernels import launch
from gputwas.kernels.launch import OPTIONS, headers_digest, source_files
from tests.kernels.on_host import entry_points

ARCHITECTURES = ("75", "80", "90")
SOURCES = source_files()


def source_id(path: Path) -> str:
    """Name of a source in test reports."""
    return path.stem


@pytest.mark.parametrize("source", SOURCES, ids=source_id)
def test_source_compiles_for_every_architecture(source: Path, tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on this machine")
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    out = tmp_path / f"{source.stem}.fatbin"
    command = [nvcc, "--fatbin", "-std=c++17", "-Werror=all-warnings", "--ptxas-options=-v", *targets, source]
    done = subprocess.run([*command, "-o", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 0
    for name in entry_points(source):
        assert done.stderr.count(f"function '{name}'") == len(ARCHITECTURES)
    spilled = [line for line in done.stderr.splitlines() if "spill" in line]
    assert spilled
    assert all(line.strip().startswith("0 bytes stack frame, 0 bytes spill") for line in spilled), spilled


@pytest.mark.parametrize("source", SOURCES, ids=source_id)
def test_source_compiles_by_the_run_time_compiler(source: Path) -> None:
    name = os.environ.get("GPUTWAS_NVRTC") or ctypes.util.find_library("nvrtc")
    if name is None:
        pytest.skip("no NVRTC on this machine; GPUTWAS_NVRTC names libnvrtc.so where the system does not")
    nvrtc = ctypes.CDLL(name)
    program = ctypes.c_void_p()
    text = source.read_text().encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, source.name.encode(), 0, None, None) == 0
    options = [
        option.encode()
        for option in (*OPTIONS, f"-DGPUTWAS_HEADERS=0x{headers_digest()}", "--gpu-architecture=sm_90")
    ]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    said = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, said)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert not failed, said.value.decode()


@pytest.mark.parametrize("header", ["host_device.h", "gather_four.cuh"])
def test_a_changed_header_is_another_module_for_the_compiler(
    header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CuPy finds a kernel on disk again by what it is given here; it does not read included files."""
    folder = tmp_path / "kernels"
    shutil.copytree(launch.SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    given: list[tuple[str, tuple[str, ...]]] = []

    def module(*, code: str, options: tuple[str, ...]) -> SimpleNamespace:
        given.append((code, options))
        return SimpleNamespace(get_function=lambda entry: entry)

    compiler = SimpleNamespace(CompileException=RuntimeError)
    cupy = SimpleNamespace(RawModule=module, cuda=SimpleNamespace(compiler=compiler))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(launch, "SOURCES", folder)
    build = launch._kernel.__wrapped__  # without the cache of this process
    for _ in range(2):
        assert build("csr_gather", "csr_gather") == "csr_gather"
    assert given[0] == given[1]
    with (folder / header).open("a") as file:
        file.write("// one more line\n")
    build("csr_gather", "csr_gather")
    assert given[2] != given[1]
    assert given[2][0] == given[1][0], "the source is the same"
