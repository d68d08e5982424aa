"""Workers of a dask cluster: any number of machines with one file system.

In: the address of a scheduler, which Slurm, Kubernetes or a person started. Out: an executor. dask itself
gives the jobs of a lost worker to another; here its futures and errors become those of any other executor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from typing import Any, ParamSpec, TypeVar

from gputwas.errors import ResourceError
from gputwas.executors.jobs import WorkerLost

__all__ = ["ClusterExecutor", "connect"]

INSTALL = "pip install 'gputwas[cluster]'"
SECONDS_TO_ANSWER = 20
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_ALONE = 10.0
SECONDS_BETWEEN_WARNINGS = 60.0

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def connect(address: str) -> Iterator[Executor]:
    """Connect to a running cluster for the length of a ``with`` block.

    Parameters
    ----------
    address : such as ``tcp://host:8786``, or the path of the scheduler's JSON file.

    Raises
    ------
    ResourceError
        If dask is not installed, or no scheduler answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ResourceError(f"dask is not installed; get it with: {INSTALL}") from error
    is_file = address.endswith(".json")
    if is_file and not os.path.isfile(address):
        raise ResourceError(
            f"{address}: there is no such file, so no dask scheduler that wrote it. Start one with: "
            f"dask scheduler --scheduler-file {address}"
        )
    where = {"scheduler_file": address} if is_file else {"address": address}
    try:
        client = Client(**where, set_as_default=False, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError, RuntimeError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ResourceError(
            f"no dask scheduler answers at {address} ({why}). Start one with `dask scheduler` "
            "and workers with `dask worker`, or use --executor local"
        ) from error
    with client:
        executor = ClusterExecutor(client)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False)
            raise


class ClusterExecutor(Executor):
    """The executor of a dask client, with the futures and the errors that `run_jobs` expects.

    Parameters
    ----------
    client : `distributed.Client`.

    Attributes
    ----------
    takes_back : False, as no job that was handed out can be cancelled, see `submit`.
    """

    takes_back = False

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._asked = float("-inf")
        self._threads = [1]
        self._alone = False  # without workers
        self._since = self._warned = 0.0

    @property
    def n_workers(self) -> int:
        """Jobs that the cluster can run at a time, all machines together, as it was a moment ago."""
        return sum(self._look())

    @property
    def threads_each(self) -> int:
        """Threads that a job may use: those of the smallest worker process, as it was a moment ago."""
        return min(self._look())

    def _look(self) -> list[int]:
        """Threads of every worker process."""
        if time.monotonic() - self._asked > SECONDS_BETWEEN_LOOKS:
            with contextlib.suppress(
                OSError, TimeoutError, ValueError, RuntimeError
            ):  # a lost scheduler is told by the jobs
                there = list(self._client.nthreads().values())
                self._threads, alone = there or [1], not there
                if alone and not self._alone:
                    self._since, self._warned = time.monotonic(), float("-inf")
                self._alone = alone
            self._asked = time.monotonic()
        return self._threads

    def watch(self) -> None:
        """Warn if there have been no workers for a while; called again and again while jobs wait."""
        self._look()
        now = time.monotonic()
        if (
            not self._alone
            or now - self._since < SECONDS_ALONE
            or now - self._warned < SECONDS_BETWEEN_WARNINGS
        ):
            return
        self._warned = now
        log.warning(
            "the dask scheduler has had no workers for %.0f s, so nothing is being done. Start some with "
            "`dask worker`; the run goes on as soon as one is there",
            now - self._since,
        )

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a call to the cluster.

        Whether a call has begun is not known here, and dask forgets a call that is cancelled while it runs:
        so none can be cancelled, and what was handed out is waited for.
        """
        outer: Future[T] = Future()
        outer.set_running_or_notify_cancel()
        inner = self._executor.submit(fn, *args, **kwargs)
        inner.add_done_callback(lambda done: _pass_on(done, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; without `wait` forget those that are under way."""
        self._executor.shutdown(wait=wait and not cancel_futures)


def _pass_on(inner: Future[T], outer: Future[T]) -> None:
    try:
        outer.set_result(inner.result())
    except (CancelledError, asyncio.CancelledError):
        outer.set_exception(ResourceError("the dask scheduler was lost; run the same command again to go on"))
    except ImportError as error:
        outer.set_exception(
            ResourceError(f"a dask worker cannot load gputwas ({error}); install it where the workers run")
        )
    except Exception as error:
        outer.set_exception(_own_words(error))
    except BaseException as error:  # else the job would be waited for for ever
        why = str(error) or type(error).__name__
        outer.set_exception(ResourceError(f"a dask worker was ended ({why}); run the same command to go on"))


def _own_words(error: Exception) -> Exception:
    from distributed import KilledWorker

    if not isinstance(error, KilledWorker):
        return error
    return WorkerLost(
        f"dask workers were killed {error.allowed_failures + 1} times while they did this, most likely "
        "because memory ran out. Run again with more memory or fewer threads per worker; what is done so far "
        "is kept"
    )
