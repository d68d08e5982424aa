"""Jobs for the tests of executors, and an executor whose workers are killed at a chosen moment.

Everything here is at module level, because worker processes import it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

from gputwas.executors.jobs import kept_in_process

T = TypeVar("T")


def square(number: int) -> int:
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def environment_of(name: str) -> tuple[int, str | None]:
    time.sleep(0.5)  # long enough that the other worker gets the next job
    return os.getpid(), os.environ.get(name)


def prepared(number: int) -> tuple[int, int]:
    """Process, and how often it prepared itself."""
    time.sleep(0.05)
    return os.getpid(), len(kept_in_process("once", 1, lambda: [made.append(1), made][1]))


made: list[int] = []


def note_and_sleep(folder_and_number: tuple[str, int]) -> int:
    folder, number = folder_and_number
    (Path(folder) / f"{number}").touch()
    time.sleep(0.3)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_on_three(number: int) -> int:
    return die(number) if number == 3 else number


def die_once(folder_and_number: tuple[str, int]) -> int:
    """Kill the process at the first try of every third number."""
    folder, number = folder_and_number
    mark = Path(folder) / f"{number}"
    if number % 3 == 0 and not mark.exists():
        mark.touch()
        die(number)
    return number


class Disturbed(Executor):
    """Hands all calls on; the worker with the chosen one is killed as it puts its first file in place.

    Parameters
    ----------
    inner : the executor that runs the calls.
    victim : number of the call, from 0.
    folder : an empty folder that the workers see, to remember in it how often they died.
    times : how often the call's worker is killed before the call may succeed.
    """

    def __init__(self, inner: Executor, victim: int, folder: Path, times: int = 1) -> None:
        self._inner, self._victim, self._folder, self._times = inner, victim, str(folder), times
        self._calls = 0

    @property
    def deaths(self) -> int:
        return len(os.listdir(self._folder))

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        times = self._times if self._calls == self._victim else 0
        self._calls += 1
        return self._inner.submit(_run_or_die, self._folder, times, fn, args, kwargs)


def _run_or_die(folder: str, times: int, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
    died = len(os.listdir(folder))
    if died < times:
        (Path(folder) / f"{died}").touch()
        os.replace = lambda *_: die(0)  # type: ignore[assignment]
        threading.excepthook = lambda *_: die(0)
    return fn(*args, **kwargs)
