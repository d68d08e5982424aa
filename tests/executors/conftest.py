"""A dask cluster of two worker processes, started by its own commands as a person would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def scheduler_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scheduler's JSON file, of one cluster at a time; workers run in another folder than the tests."""
    with cluster(tmp_path_factory.mktemp("cluster")) as (file, _):
        yield file


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Start a cluster in a folder; gives the scheduler's file and its process."""
    pytest.importorskip("distributed")
    file = folder / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    commands = (
        ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)],
        ["worker", "--scheduler-file", str(file), "--nworkers", str(workers), "--nthreads", "1",
         "--no-dashboard", "--memory-limit", "0"],
    )  # fmt: skip
    processes = []
    try:
        with open(folder / "log", "w") as log:
            for words in commands:
                begun = subprocess.Popen(
                    [sys.executable, "-m", "dask", *words], cwd=folder, env=environment, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
                processes.append(begun)
                deadline = time.monotonic() + 60
                while not file.exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
        _await_workers(file, workers)
        yield file, processes[0]
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_workers(file: Path, workers: int) -> None:
    """Until all workers answer, and a little longer.

    A worker that dies the moment it is registered takes its nanny with it: to dask it has failed to start.
    """
    from distributed import Client

    with Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(workers, timeout=60)
        client.run(os.getpid)
    time.sleep(1)
