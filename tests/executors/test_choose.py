"""What `--executor` understands, and what it refuses."""

from __future__ import annotations

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gputwas.errors import ResourceError, UsageError
from gputwas.executors.choose import (
    ExecutorChoice,
    Share,
    available_cores,
    open_executor,
    parse_executor,
    share_of_worker,
)
from gputwas.executors.local import LocalExecutor, device_of_worker


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local:3", ExecutorChoice("local", 3)),
        (" local:1 ", ExecutorChoice("local", 1)),
        ("local", ExecutorChoice("local", available_cores())),
        ("dask:tcp://host:8786", ExecutorChoice("dask", address="tcp://host:8786")),
        ("dask:tls://10.0.0.1:1", ExecutorChoice("dask", address="tls://10.0.0.1:1")),
        ("dask:/shared/scheduler.json", ExecutorChoice("dask", address="/shared/scheduler.json")),
    ],
)
def test_forms(text, expected):
    assert parse_executor(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "local:", "local:0", "local:-1", "local:two", "local:1.5", "local:²", "dask", "dask:", "dask:host",
     "dask:tcp://host", "dask:host:8786", "slurm:4", "4", "LOCAL:4"],
)  # fmt: skip
def test_other_text_is_refused_with_the_forms_there_are(text):
    with pytest.raises(UsageError, match=r"local:N .*dask:tcp://HOST:PORT or dask:SCHEDULER_FILE\.json"):
        parse_executor(text)


def test_what_is_opened():
    with open_executor(None) as executor:
        assert executor is None
    with open_executor("local:1") as executor:
        assert executor is None, "one worker is this process"
    with open_executor("local:3") as executor:
        assert isinstance(executor, LocalExecutor) and executor.n_workers == 3
    with ThreadPoolExecutor(1) as mine:
        with open_executor(mine) as executor:
            assert executor is mine
        assert mine.submit(abs, -1).result() == 1, "an executor of the caller's stays open"


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_dask_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ResourceError, match=r"pip install 'gputwas\[cluster\]'"),
        open_executor("dask:tcp://localhost:1"),
    ):
        raise AssertionError("nothing to run on")


def test_no_scheduler(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("gputwas.executors.cluster.SECONDS_TO_ANSWER", 0.3)
    with socket.socket() as taken:  # nobody listens on a port that is bound only
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ResourceError, match=f"no dask scheduler answers at {address}") as caught,
            open_executor(f"dask:{address}"),
        ):
            raise AssertionError("nothing to run on")
    assert caught.value.exit_code == 4
    with (
        pytest.raises(ResourceError, match=r"none\.json: there is no such file.*dask scheduler"),
        open_executor(f"dask:{tmp_path}/none.json"),
    ):
        raise AssertionError("nothing to run on")


@pytest.mark.parametrize(
    ("devices", "visible", "expected"),
    [
        (2, None, ["0", "1", "0", "1", "0"]),
        (1, None, ["0"] * 5),
        (8, "4,6", ["4", "6", "4", "6", "4"]),
        (8, " 3 ,GPU-1f, MIG-2 ", ["3", "GPU-1f", "MIG-2", "3", "GPU-1f"]),
        (8, "5,-1,6", ["5"] * 5),
        (8, "", [None] * 5),
        (8, "-1", [None] * 5),
        (0, None, [None] * 5),
    ],
)
def test_one_gpu_for_each_worker_in_turn(devices, visible, expected):
    assert [device_of_worker(worker, devices, visible) for worker in range(5)] == expected


def test_workers_share_the_cores_and_the_memory_of_their_machine(monkeypatch):
    monkeypatch.setattr("gputwas.executors.choose.available_cores", lambda: 16)

    class Cluster:
        threads_each = 3

    assert share_of_worker(None, 9) == Share(16, 1), "this process has everything"
    with LocalExecutor(4) as local:
        assert share_of_worker(local, 100) == Share(4, 4, 4), "were there a GPU, all would use it"
        assert share_of_worker(local, 3) == Share(5, 3, 3), "there is work for three only"
    with LocalExecutor(64) as many:
        assert share_of_worker(many, 100) == Share(1, 64, 64)
    assert share_of_worker(Cluster(), 100) == Share(3, 1), "its workers have memory of their own"
    with ThreadPoolExecutor(4) as foreign:
        assert share_of_worker(foreign, 100) == Share(1, 1)


def test_workers_share_the_memory_of_their_gpu(monkeypatch):
    monkeypatch.setattr("gputwas.executors.choose.available_cores", lambda: 16)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    for workers, jobs, parts in ((2, 100, 1), (4, 100, 2), (5, 100, 3), (5, 2, 1)):
        with LocalExecutor(workers, devices=2) as local:
            assert local.n_devices == 2
            assert share_of_worker(local, jobs).device_parts == parts
