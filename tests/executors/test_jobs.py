"""Jobs in this process, in threads, in processes that are killed, and on a cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from threading import Event
from types import SimpleNamespace

import pytest

import gputwas
from gputwas.errors import ResourceError
from gputwas.executors import cluster as cluster_module
from gputwas.executors import jobs as module
from gputwas.executors.choose import open_executor
from gputwas.executors.cluster import ClusterExecutor
from gputwas.executors.jobs import WorkerLost, kept_in_process, run_jobs, shared_folder, this_process
from gputwas.executors.local import TRIES, LocalExecutor
from tests.conftest import REPOSITORY
from tests.executors import work
from tests.executors.conftest import cluster


@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(3)])
def test_every_job_once_with_its_position(make):
    executor = make()
    found = list(run_jobs(work.square, list(range(50)), executor))
    assert dict(found) == {i: i * i for i in range(50)} and len(found) == 50
    if executor is None:
        assert [position for position, _ in found] == list(range(50)), "in order in this process"
    else:
        executor.shutdown()


def test_an_error_in_a_job_ends_the_run():
    with ThreadPoolExecutor(2) as executor, pytest.raises(ValueError, match="three"):
        list(run_jobs(work.fail_on_three, list(range(100)), executor))


def test_few_jobs_wait_at_a_time():
    handed_out = []

    class Counting(ThreadPoolExecutor):
        n_workers = 3

        def submit(self, fn, /, *args):
            handed_out.append(args)
            return super().submit(fn, *args)

    with Counting(3) as executor:
        for done, _ in enumerate(run_jobs(work.square, list(range(100)), executor)):
            assert len(handed_out) <= done + 2 * 3 + 3
    assert len(handed_out) == 100


def test_fewer_wait_where_nothing_is_taken_back():
    for workers, most in ((1, 2), (4, 5), (40, 50)):
        kind = SimpleNamespace(n_workers=workers, takes_back=False)
        assert module._most_waiting(kind) == most
    assert module._most_waiting(SimpleNamespace(n_workers=40)) == 80
    assert not ClusterExecutor.takes_back


def test_an_executor_looks_after_itself_while_it_is_waited_for(monkeypatch):
    monkeypatch.setattr(module, "_WATCHED", 0.01)
    seen = Event()

    class Watching(ThreadPoolExecutor):
        def watch(self) -> None:
            seen.set()

    with Watching(1) as executor:
        assert list(run_jobs(Event.wait, [seen], executor)) == [(0, True)]


def test_a_cluster_without_workers_is_warned_of_now_and_then(monkeypatch, caplog):
    clock, workers = [0.0], {}
    monkeypatch.setattr(cluster_module.time, "monotonic", lambda: clock[0])
    client = SimpleNamespace(nthreads=lambda: dict(workers), get_executor=lambda pure: None)
    executor = ClusterExecutor(client)
    said = []
    for second in range(0, 140, 2):
        clock[0] = 1000.0 + second
        if second == 136:
            workers["w"] = 3
        executor.watch()
        if caplog.records:
            said.append((second, caplog.records[0].getMessage()[:54]))
            caplog.clear()
    assert [second for second, _ in said] == [10, 70, 130]
    assert said[0][1].startswith("the dask scheduler has had no workers for 10 s")
    assert executor.n_workers == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [(SystemExit(1), ResourceError), (KeyboardInterrupt(), ResourceError),
     (asyncio.CancelledError(), ResourceError), (ValueError("x"), ValueError)]
)  # fmt: skip
def test_whatever_ends_a_job_of_a_cluster_is_told(error, kind):
    pytest.importorskip("distributed")
    inner, outer = Future(), Future()
    inner.set_exception(error)
    cluster_module._pass_on(inner, outer)
    with pytest.raises(kind):
        outer.result(timeout=0)


def test_stop_hands_out_nothing_more_and_keeps_what_runs(tmp_path):
    stop, found = Event(), []
    with ThreadPoolExecutor(2) as executor:
        jobs = [(str(tmp_path), i) for i in range(40)]
        for _, number in run_jobs(work.note_and_sleep, jobs, executor, stop=stop):
            found.append(number)
            stop.set()
    begun = {int(name) for name in os.listdir(tmp_path)}
    assert set(found) == begun and len(begun) <= 5
    assert list(run_jobs(work.square, [1, 2], stop=stop)) == []


def test_leaving_early_waits_for_what_runs(tmp_path, caplog):
    """Whoever holds the lock of a store must know that nobody writes to it when it is given up."""
    with ThreadPoolExecutor(2) as executor, caplog.at_level(logging.WARNING):
        running = run_jobs(work.note_and_sleep, [(str(tmp_path), i) for i in range(9)], executor)
        next(running)
        running.close()
        assert re.search("waiting for [12] jobs under way", caplog.text)
        before = len(os.listdir(tmp_path))
        time.sleep(0.5)
        assert len(os.listdir(tmp_path)) == before < 9


def test_another_version_on_a_worker_is_refused(monkeypatch):
    with ThreadPoolExecutor(1) as executor:
        call = module._call
        monkeypatch.setattr(module, "_call", lambda function, job, version: call(function, job, "0.0.0"))
        with pytest.raises(ResourceError, match=rf"{gputwas.__version__}.*started by 0\.0\.0"):
            list(run_jobs(work.square, [1], executor))


def test_a_pool_of_the_callers_that_breaks():
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
        pytest.raises(ResourceError, match="killed, most likely because memory ran out"),
    ):
        list(run_jobs(work.die, [9], pool))


def test_one_of_each_kind_is_kept():
    made = []
    keys = [1, 1, 2, 2, 1]
    for key in keys:
        assert kept_in_process("kind", key, lambda key=key: made.append(key) or key) == key
        assert kept_in_process("other kind", 7, lambda: made.append("other") or 7) == 7
    assert made == [1, "other", 2, 1]


def test_a_folder_that_a_worker_does_not_see(tmp_path):
    assert shared_folder(str(tmp_path)) == str(tmp_path)
    with pytest.raises(ResourceError, match=r"gone: there is no such folder on the worker .*shared file sys"):
        shared_folder(str(tmp_path / "gone"))


# Processes of this machine


def test_a_death_costs_only_the_job_that_ran(tmp_path, caplog):
    jobs = [(str(tmp_path), i) for i in range(8)]
    with caplog.at_level(logging.WARNING), LocalExecutor(2) as executor:
        assert dict(run_jobs(work.die_once, jobs, executor)) == {i: i for i in range(8)}
    assert len(os.listdir(tmp_path)) == 3
    assert caplog.text.count("a worker process was killed") == 3


def test_a_job_that_kills_its_worker_every_time_is_named(caplog):
    found = []
    with LocalExecutor(1) as executor, pytest.raises(WorkerLost, match=r"^3: .*killed 3 times.*fewer") as e:
        for _, number in run_jobs(work.die_on_three, list(range(20)), executor):
            found.append(number)
    assert e.value.exit_code == 4 and TRIES == 3
    assert {0, 1, 2} <= set(found), "what was done before is kept"
    assert caplog.text.count("begun anew in another") == TRIES - 1


def test_processes_are_prepared_once_and_end(tmp_path):
    with LocalExecutor(2) as executor:
        results = [result for _, result in run_jobs(work.prepared, list(range(12)), executor)]
    pids = {pid for pid, _ in results}
    assert len(pids) <= 2 and os.getpid() not in pids
    assert {times for _, times in results} == {1}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_killed_while_it_waits_harms_nothing(caplog):
    with LocalExecutor(1) as executor:
        pid = executor.submit(work.pid_after, 0.0).result()
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        assert executor.submit(work.pid_after, 0.0).result() != pid
    assert "killed" not in caplog.text


def test_local_workers_get_a_gpu_each(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    with LocalExecutor(2, devices=8) as executor:
        seen = {r for _, r in run_jobs(work.environment_of, ["CUDA_VISIBLE_DEVICES"] * 4, executor)}
    assert {device for _, device in seen} == {"5", "7"} and len(seen) == 2, "each keeps its own"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_workers_end_with_a_run_that_is_killed(tmp_path):
    program = (
        "import sys\nfrom gputwas.executors.local import LocalExecutor\nfrom tests.executors import work\n"
        "executor = LocalExecutor(1)\n"
        "print(executor.submit(work.pid_after, 0.0).result(), flush=True)\n"
        "executor.submit(work.pid_after, 60.0).result()\n"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _is_alive(worker):
        time.sleep(0.05)
    assert not _is_alive(worker)


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# A cluster


def test_jobs_on_a_cluster(scheduler_file):
    with open_executor(f"dask:{scheduler_file}") as executor:
        assert dict(run_jobs(work.square, list(range(50)), executor)) == {i: i * i for i in range(50)}
        with pytest.raises(ValueError, match="three"):
            list(run_jobs(work.fail_on_three, list(range(9)), executor))
        results = [result for _, result in run_jobs(work.prepared, list(range(9)), executor)]
    assert os.getpid() not in {pid for pid, _ in results} and {times for _, times in results} == {1}
    assert this_process().endswith(f" {os.getpid()}")


@pytest.mark.slow
def test_workers_of_a_cluster_that_are_killed(scheduler_file, tmp_path):
    jobs = [(str(tmp_path), i) for i in range(6)]
    with open_executor(f"dask:{scheduler_file}") as executor:
        assert dict(run_jobs(work.die_once, jobs, executor)) == {i: i for i in range(6)}
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.slow
def test_a_job_that_kills_every_worker_of_a_cluster(scheduler_file):
    with (
        open_executor(f"dask:{scheduler_file}") as executor,
        pytest.raises(WorkerLost, match=r"3: dask workers were killed 4 times.*most likely because memory"),
    ):
        list(run_jobs(work.die_on_three, [3], executor))


@pytest.mark.slow
def test_a_scheduler_that_is_killed(tmp_path):
    with cluster(tmp_path, workers=1) as (file, scheduler), open_executor(f"dask:{file}") as executor:
        running = run_jobs(work.pid_after, [0.0, 600.0], executor)
        next(running)
        scheduler.kill()
        with pytest.raises(ResourceError, match="the dask scheduler was lost"):
            next(running)
