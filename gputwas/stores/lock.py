"""The lock of a store: one process at a time writes to it.

In: the folder. Out: a `StoreLock` held until released or until the process ends, however it ends. The lock is
advisory (``flock`` on ``<store>/.lock``); readers never take it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from types import TracebackType

from gputwas.errors import InputError

__all__ = ["LOCK_NAME", "StoreLock"]

LOCK_NAME = ".lock"


class StoreLock:
    """Exclusive right to write to a store; a context manager.

    A forked child inherits the open file, so the lock lasts until the parent and all its forked workers have
    ended or the parent has released it; a child cannot release it.

    Raises
    ------
    InputError
        If another process holds it: named by the number that it left in the lock file.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = os.path.join(folder, LOCK_NAME)
        self._owner = os.getpid()
        self._descriptor: int | None = self._acquire()
        # The note only serves a message: on a full disk, what is written next says so.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{self._owner} {socket.gethostname()}\n".encode(), 0)

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_file(descriptor, self.path):
                    return descriptor
            except BlockingIOError as error:
                holder = _holder(descriptor)
                os.close(descriptor)
                raise _held(os.path.dirname(self.path), holder) from error
            except BaseException:
                os.close(descriptor)
                raise
            # Its last holder removed the file between our open and our lock: take the new one.
            os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up; `remove` deletes the lock file as well. Does nothing the second time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.getpid() == self._owner:
            if remove:
                os.unlink(self.path)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether this process holds the lock."""
        return self._descriptor is not None and os.getpid() == self._owner

    def __enter__(self) -> StoreLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    words = os.pread(descriptor, 1024, 0).decode(errors="replace").split()
    if not words:
        return "another process"
    host = f" on {words[1]}" if len(words) > 1 else ""
    return f"process {words[0]}{host}"


def _held(folder: str, holder: str) -> InputError:
    return InputError(
        f"the store is being written by {holder}",
        path=folder,
        remedy="Wait until it has finished, or stop it; the lock goes with the process.",
    )
