"""In: files, or numbers of bytes. Out: the cost of what no program can avoid, measured on this machine.

Each floor runs as a small process of its own and reports its own clocks, so starting Python is not in it; its
memory is not reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import measure
from bench.measure import Usage

__all__ = ["copy_bytes", "forget", "gzip_to_null", "inflate", "read_bytes", "sizes_below"]

_CLOCK = """
import json, os, resource, sys, time
task = json.load(sys.stdin)
def done(wall, cpu):
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime - cpu.ru_utime, used.ru_stime - cpu.ru_stime
    print(json.dumps([time.perf_counter() - wall, *spent]))
"""
_INFLATE = """
from isal import igzip
wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
for name in task["read"]:
    with igzip.open(name) as handle:
        while handle.read(1 << 20):
            pass
done(wall, cpu)
"""
_COPY = """
buffer = bytearray(8 << 20)
view = memoryview(buffer)
wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
for name in task["read"]:
    with open(name, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
for name, size in task["write"]:
    with open(name, "wb", buffering=0) as file:
        while size:
            size -= file.write(view[:min(size, len(buffer))])
        os.fsync(file.fileno())
done(wall, cpu)
"""


def gzip_to_null(path: Path) -> Usage:
    """Cost of ``gzip -dc FILE > /dev/null``, the whole process."""
    return measure.run(["sh", "-c", 'exec gzip -dc "$0" > /dev/null', str(path)])[0]


def inflate(paths: Sequence[Path]) -> Usage:
    """Cost of decompressing files with ISA-L, one thread."""
    return _clocked(_INFLATE, {"read": [str(path) for path in paths]})


def copy_bytes(reads: Iterable[Path], sizes: Sequence[int], folder: Path) -> Usage:
    """Cost of reading files and writing as many bytes as `sizes` say, one file each, forced to disk.

    One thread, 8 MiB at a time; what was written is removed.
    """
    names = [str(folder / f"{number:06d}") for number in range(len(sizes))]
    task = {"read": [str(path) for path in reads], "write": list(zip(names, sizes, strict=True))}
    try:
        return _clocked(_COPY, task)
    finally:
        for name in names:
            Path(name).unlink(missing_ok=True)


def read_bytes(paths: Iterable[Path]) -> Usage:
    """Cost of one streaming read of files."""
    return _clocked(_COPY, {"read": [str(path) for path in paths], "write": []})


def sizes_below(folder: Path, pattern: str = "**/*") -> list[int]:
    """Bytes of each file below a folder."""
    return [path.stat().st_size for path in sorted(folder.glob(pattern)) if path.is_file()]


def forget(paths: Iterable[Path]) -> None:
    """Ask the system to drop files from the page cache (``POSIX_FADV_DONTNEED``)."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # pages that are not on disk yet cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _clocked(body: str, task: dict[str, object]) -> Usage:
    command = [sys.executable, "-I", "-c", _CLOCK + body]
    answer = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if answer.returncode:
        raise measure.CommandFailed(f"a floor could not be measured:\n{answer.stderr[-3000:]}")
    wall, user, system = json.loads(answer.stdout)
    return Usage(wall, user, system, 0)
