"""Understands ``--executor`` and opens what it names.

In: ``local``, ``local:N``, ``dask:tcp://HOST:PORT``, ``dask:SCHEDULER_FILE.json``, or an executor that the
caller has already. Out: an executor of `concurrent.futures`, or None for this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gputwas.errors import UsageError

__all__ = ["ExecutorChoice", "Share", "available_cores", "open_executor", "parse_executor", "share_of_worker"]

FORMS = "local, local:N (N processes here), dask:tcp://HOST:PORT or dask:SCHEDULER_FILE.json"


@dataclass(frozen=True)
class ExecutorChoice:
    """Where jobs run.

    Attributes
    ----------
    kind : "local" or "dask".
    workers : local: number of processes, where 1 means this process itself; dask: 0, the cluster decides.
    address : dask: address of the scheduler, or the file in which the scheduler wrote it.
    """

    kind: Literal["local", "dask"]
    workers: int = 0
    address: str = ""


def parse_executor(text: str) -> ExecutorChoice:
    """Understand the text of ``--executor``.

    Raises
    ------
    UsageError
        If it is no executor; the message names the forms there are.
    """
    kind, colon, rest = text.strip().partition(":")
    if kind == "local" and not colon:
        return ExecutorChoice("local", available_cores())
    if kind == "local" and rest.isascii() and rest.isdigit() and int(rest) >= 1:
        return ExecutorChoice("local", int(rest))
    if kind == "dask" and (rest.endswith(".json") or ("://" in rest and rest.rpartition(":")[2].isdigit())):
        return ExecutorChoice("dask", address=rest)
    raise UsageError(f"there is no executor {text!r}; it is {FORMS}")


def available_cores() -> int:
    """Cores that this process may use; on a shared node these are fewer than the node has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Share:
    """What a job may use of its machine.

    Attributes
    ----------
    threads : so many. parts, device_parts : one of so many parts of the memory, of that of its GPU.
    """

    threads: int
    parts: int
    device_parts: int = 1


def share_of_worker(executor: Executor | None, jobs: int) -> Share:
    """How workers share their machines, if there are so many jobs in all."""
    here = getattr(executor, "n_here", 1)
    together = max(1, min(here, jobs))
    if executor is None or here > 1:
        devices = max(1, getattr(executor, "n_devices", 1))
        return Share(max(1, available_cores() // together), together, -(-together // devices))
    return Share(getattr(executor, "threads_each", 1), 1)


@contextmanager
def open_executor(wanted: Executor | str | None, *, devices: int = 0) -> Iterator[Executor | None]:
    """Give the executor that `run_jobs` is to use inside the ``with`` block.

    Parameters
    ----------
    wanted : text, see `parse_executor`; or an executor, which is handed on and left open; or None.
    devices : GPUs that local processes are to share, one for each process in turn; 0 where none is used.

    Yields
    ------
    An executor, or None where the jobs are to run in this process.

    Raises
    ------
    UsageError
        If the text is no executor.
    ResourceError
        If dask is not installed or no scheduler answers.
    """
    if not isinstance(wanted, str):
        yield wanted
        return
    choice = parse_executor(wanted)
    if choice.kind == "dask":
        from gputwas.executors.cluster import connect

        with connect(choice.address) as cluster:
            yield cluster
    elif choice.workers == 1:
        yield None
    else:
        from gputwas.executors.local import LocalExecutor

        with LocalExecutor(choice.workers, devices=devices) as local:
            yield local
