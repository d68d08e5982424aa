"""Runs independent jobs in this process or through any executor, giving results as they come.

In: a function, its jobs, and an executor of `concurrent.futures`. Out: pairs (position of the job, result) in
the order in which they are done; only a few jobs wait at any time, however many there are.

Jobs and results are small descriptions (paths, numbers, counts): what is computed is written where it is
computed, on a file system that all workers see.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from threading import Event
from typing import Any, TypeVar

import gputwas
from gputwas.errors import ResourceError

__all__ = ["WorkerLost", "kept_in_process", "run_jobs", "shared_folder", "this_process"]

Job = TypeVar("Job")
Result = TypeVar("Result")
_WAITING_PER_WORKER = 2
_FEWEST_WAITING = 4
_ONE_MORE_FOR = 4  # workers
_WATCHED = 2.0  # seconds between two calls of an executor's `watch`

log = logging.getLogger(__name__)


class WorkerLost(ResourceError):
    """The process that ran a job was killed every time the job was tried."""


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    executor: Executor | None = None,
    *,
    stop: Event | None = None,
) -> Iterator[tuple[int, Result]]:
    """Run `function` on every job.

    Parameters
    ----------
    function : module-level function; an exception in it ends the run.
    jobs : picklable arguments, one per call; `str` of a job names it in an error.
    executor : where they run; None runs everything in this process, in order.
    stop : once it is set no further job is handed out; results of those that run already still come.

    Raises
    ------
    ResourceError
        If processes are killed, as the kernel does when memory runs out, whenever they try a job; or if a
        worker has another version of this program.
    """
    stop = stop or Event()
    if executor is None:
        for position, job in enumerate(jobs):
            if stop.is_set():
                return
            yield position, function(job)
        return
    waiting: dict[Future[Result], int] = {}
    try:
        yield from _as_they_come(executor, function, jobs, stop, waiting)
    finally:  # nobody writes any more when the caller gives up the lock of a store
        left = [future for future in waiting if not (future.cancel() or future.done())]
        if left:
            log.warning("waiting for %d jobs under way, which are not broken off half-way", len(left))
        wait(waiting)


def _as_they_come(
    executor: Executor,
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    stop: Event,
    waiting: dict[Future[Result], int],
) -> Iterator[tuple[int, Result]]:
    following = 0
    while True:
        if stop.is_set():
            for future in [future for future in waiting if future.cancel()]:
                del waiting[future]
        most = _most_waiting(executor)
        while following < len(jobs) and len(waiting) < most and not stop.is_set():
            future = executor.submit(_call, function, jobs[following], gputwas.__version__)
            waiting[future] = following
            following += 1
        if not waiting:
            return
        for done in _first_done(executor, waiting):
            position = waiting.pop(done)
            yield position, _result(done, jobs[position])


def _first_done(executor: Executor, waiting: dict[Future[Result], int]) -> set[Future[Result]]:
    """Wait until a job is done; an executor that has a method `watch` is asked to look after itself."""
    watch = getattr(executor, "watch", None)
    while not (done := wait(waiting, None if watch is None else _WATCHED, FIRST_COMPLETED).done):
        assert watch is not None
        watch()
    return done


def _most_waiting(executor: Executor) -> int:
    """Jobs handed out at a time: enough that no worker is idle, few enough to stop soon.

    Asked again and again, because a cluster grows and shrinks. Where what is handed out cannot be taken back,
    all of it has to be waited for in the end: there it is less. An executor of the caller's does not say how
    many workers it has; jobs that wait in it cost next to nothing.
    """
    workers = int(getattr(executor, "n_workers", 32))
    if not getattr(executor, "takes_back", True):
        return workers + max(1, workers // _ONE_MORE_FOR)
    return max(_FEWEST_WAITING, _WAITING_PER_WORKER * workers)


def _call(function: Callable[[Job], Result], job: Job, version: str) -> Result:
    if version != gputwas.__version__:
        raise ResourceError(
            f"a worker has gputwas {gputwas.__version__} and the run was started by {version}; install the "
            "same version where the workers run"
        )
    return function(job)


def _result(done: Future[Result], job: object) -> Result:
    try:
        return done.result()
    except WorkerLost as error:
        raise WorkerLost(f"{job}: {error}") from error
    except BrokenExecutor as error:  # an executor of the caller's that does not mend itself
        raise ResourceError(
            "A worker process was killed, most likely because memory ran out. Run again with fewer workers; "
            "what is done so far is kept."
        ) from error


_kept: dict[str, tuple[Hashable, Any]] = {}
_kept_lock = threading.RLock()


def kept_in_process(kind: str, key: Hashable, make: Callable[[], Result]) -> Result:
    """What `make` returns, made once per process and kept for the jobs that follow.

    So any executor will do, without telling it how to prepare its workers. A worker of a cluster lives on
    from run to run, therefore only the last one of each kind is kept.

    Parameters
    ----------
    kind : what it is. key : from which contents (their digest): under another key it is made anew.
    """
    with _kept_lock:
        if kind not in _kept or _kept[kind][0] != key:
            _kept.pop(kind, None)  # its memory goes before the next one is made
            _kept[kind] = key, make()
        return _kept[kind][1]


def shared_folder(path: str) -> str:
    """The path itself, for a job that finds there what the process that started the run has there.

    Raises
    ------
    ResourceError
        If this machine has no such folder.
    """
    if not os.path.isdir(path):
        raise ResourceError(
            f"{path}: there is no such folder on the worker {socket.gethostname()}. All workers must see the "
            "stores under the same paths as the process that starts the run: use a shared file system"
        )
    return path


def this_process() -> str:
    """A name for this process that no other has, on any machine of a cluster."""
    return f"{socket.gethostname()} {os.getpid()}"
