"""Runs independent jobs in this process or in several, giving results as they come.

In: a function, its jobs, and what every process prepares once. Out: pairs (position of the job, result) in
the order in which they are done; only a few results wait at any time, however many jobs there are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Event
from typing import Any, TypeVar

from gputwas.errors import ResourceError

__all__ = ["run_jobs"]

Job = TypeVar("Job")
Result = TypeVar("Result")
_WAITING_PER_WORKER = 2


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    prepare: Callable[..., None],
    prepare_arguments: tuple[Any, ...],
    workers: int,
    stop: Event | None = None,
) -> Iterator[tuple[int, Result]]:
    """Run `function` on every job.

    Parameters
    ----------
    function : module-level function; an exception in it ends the run.
    jobs : picklable arguments, one per call.
    prepare, prepare_arguments : called once in every process before its first job.
    workers : number of processes; 1 runs everything in this process, in order.
    stop : once it is set no further job begins; results of those that run already still come.

    Notes
    -----
    Processes are spawned, not forked: the readers have threads, and a fork copies locks that a thread holds.

    Raises
    ------
    ResourceError
        If a process is killed, as the kernel does when memory runs out.
    """
    stop = stop or Event()
    if workers == 1:
        prepare(*prepare_arguments)
        for position, job in enumerate(jobs):
            if stop.is_set():
                return
            yield position, function(job)
        return
    executor = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_begin, initargs=(prepare, prepare_arguments)
    )
    try:
        yield from _in_processes(executor, function, jobs, workers * _WAITING_PER_WORKER, stop)
    except BrokenProcessPool as error:
        raise ResourceError(
            "A worker process was killed, most likely because memory ran out. Run again with fewer workers; "
            "what is done so far is kept."
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _in_processes(
    executor: ProcessPoolExecutor,
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    most: int,
    stop: Event,
) -> Iterator[tuple[int, Result]]:
    waiting: dict[Future[Result], int] = {}
    following = 0
    while True:
        if stop.is_set():
            waiting = {future: position for future, position in waiting.items() if not future.cancel()}
        while following < len(jobs) and len(waiting) < most and not stop.is_set():
            waiting[executor.submit(function, jobs[following])] = following
            following += 1
        if not waiting:
            return
        for done in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(done), done.result()


def _begin(prepare: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # The process that writes repeats the warnings; without a handler here they would be printed twice.
    logging.getLogger("gputwas").addHandler(logging.NullHandler())
    logging.getLogger("gputwas").propagate = False
    prepare(*arguments)
