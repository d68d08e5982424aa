"""Processes of this machine that outlive the death of one of them.

In: how many, and the GPUs they share. Out: an executor. A pool of the standard library is lost as a whole
when one of its processes is killed, and with it all jobs that were running; here every process is a pool of
its own, so a death costs one job, it is known which one, and that one is tried again in a new process.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from queue import LifoQueue
from typing import Any, ParamSpec, TypeVar

from gputwas.executors.jobs import WorkerLost

__all__ = ["TRIES", "LocalExecutor", "device_of_worker"]

log = logging.getLogger(__name__)

TRIES = 3
"""How often a job is begun whose process is killed."""

P = ParamSpec("P")
T = TypeVar("T")


class LocalExecutor(Executor):
    """N spawned processes, each started when it is first needed.

    Attributes
    ----------
    n_workers : their number, and so of jobs at a time. n_here : of them, those that share this machine.
    n_devices : GPUs that they were given, 0 for none.

    Processes are spawned, not forked: readers have threads, and a fork copies locks that a thread holds.

    Parameters
    ----------
    workers : number of processes.
    devices : number of GPUs they share; 0 sets nothing, see `device_of_worker`.
    """

    def __init__(self, workers: int, *, devices: int = 0) -> None:
        self.n_workers = workers
        self.n_here = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="gputwas-worker")
        self._idle: LifoQueue[_Process] = LifoQueue()  # the last one used is warm
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        given: set[str] = set()
        for worker in reversed(range(workers)):
            device = device_of_worker(worker, devices, visible) if devices else None
            given.update([] if device is None else [device])
            self._idle.put(_Process({} if device is None else {"CUDA_VISIBLE_DEVICES": device}))
        self.n_devices = len(given)
        self._given_up = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in one of the processes; one that is killed every time raises `WorkerLost`."""
        return self._threads.submit(self._try, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, after what was handed in or (`cancel_futures`) after what runs already."""
        self._given_up = cancel_futures
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            while not self._idle.empty():
                self._idle.get().end()

    def _try(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        process = self._idle.get()
        try:
            for tried in range(1, TRIES + 1):
                try:
                    return process.call(fn, args, kwargs)
                except BrokenProcessPool as error:
                    process.end()
                    if tried == TRIES or self._given_up:
                        raise WorkerLost(_lost(tried)) from error
                    log.warning(
                        "a worker process was killed, most likely because memory ran out; what it was doing "
                        "is begun anew in another (try %d of %d)", tried + 1, TRIES,
                    )  # fmt: skip
            raise AssertionError("the last try returns or raises")
        finally:
            self._idle.put(process)


def _lost(tries: int) -> str:
    return (
        f"the worker process was killed {tries} times while it did this, most likely because memory ran out. "
        "Run again with fewer workers; what is done so far is kept"
    )


class _Process:
    """A pool of one process, started when there is a call and started anew after its death."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._pool: ProcessPoolExecutor | None = None

    def call(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        try:
            future = self._ready().submit(_interruptible, fn, args, kwargs)
        except BrokenProcessPool:  # killed between two calls: no fault of this one
            self.end()
            future = self._ready().submit(_interruptible, fn, args, kwargs)
        return future.result()

    def _ready(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=_begin, initargs=(self._environment,)
            )
        return self._pool

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None


def device_of_worker(worker: int, devices: int, visible: str | None) -> str | None:
    """CUDA_VISIBLE_DEVICES of a worker: one GPU for each, in turn.

    Parameters
    ----------
    worker : its number, from 0.
    devices : how many GPUs there are, if `visible` does not say.
    visible : CUDA_VISIBLE_DEVICES of the process that starts the workers: numbers or names (of GPUs or parts
        of them), of which CUDA takes those before the first that is -1; None if it is not set.

    Returns
    -------
    One entry of the list, or None where there is no GPU to give.
    """
    listed = [str(number) for number in range(devices)]
    if visible is not None:
        listed = [entry.strip() for entry in visible.split(",") if entry.strip()]
        listed = listed[: listed.index("-1")] if "-1" in listed else listed
    return listed[worker % len(listed)] if listed else None


def _begin(environment: Mapping[str, str]) -> None:
    """What a new process does before its first call."""
    os.environ.update(environment)  # before anything asks CUDA for its devices
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an idle worker has nothing to say when Ctrl-C ends the run
    # The process that started the run repeats the warnings; without a handler here they come twice.
    logging.getLogger("gputwas").addHandler(logging.NullHandler())
    logging.getLogger("gputwas").propagate = False
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose run was killed must not go on writing to a store that is no longer locked."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _interruptible(fn: Callable[..., T], args: Any, kwargs: Any) -> T:
    """Call with Ctrl-C as Python has it, so that half-written files are removed."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return fn(*args, **kwargs)
    finally:
        signal.signal(signal.SIGINT, before)
