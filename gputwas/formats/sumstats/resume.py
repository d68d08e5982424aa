"""A remote object read as one stream that survives broken connections.

In: something that can connect to an object at any of its bytes (`RemoteObject`). Out: a raw binary stream. A
failure that may pass (`Passing`) is waited out and the object is connected to again where the stream stands;
one that will not is an InputError at once.
"""

from __future__ import annotations

import io
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gputwas.errors import InputError

__all__ = [
    "Connection",
    "NoAnswerError",
    "Passing",
    "RemoteObject",
    "RemoteState",
    "ResumingStream",
    "Retry",
    "patiently",
]

log = logging.getLogger(__name__)

KEPT_BYTES = 4 << 20  # of the start of an object: what it takes to know a file, then to read on from there
_PROGRESS = 1 << 20  # a connection that brought this much has worked: the count of failures begins anew

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retry:
    """How often and after which pauses a failed request is made again.

    Attributes
    ----------
    tries : requests in a row that may fail. unreached : the same for a host that cannot be reached, as
        long as nothing ever came from it.
    first, longest : seconds; the pause doubles from `first` up to `longest`, and each is drawn between half
        of that and all of it, so that many processes do not come back at once.
    timeout : seconds without a byte after which a connection has failed.
    obeyed : the longest pause that a server may ask for; it is not cut to `longest`, for who comes back too
        early is sent away for longer.
    """

    tries: int = 8
    unreached: int = 3
    first: float = 1.0
    longest: float = 60.0
    timeout: float = 60.0
    obeyed: float = 300.0

    def pause(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; `asked` is what the server asked for."""
        drawn = min(self.longest, self.first * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
        return drawn if asked is None else max(drawn, min(self.obeyed, asked))


RETRY = Retry()


class Passing(Exception):
    """A failure that may pass. `asked`: seconds that the server wants us to wait; `unreached`: no server."""

    def __init__(self, why: str, *, asked: float | None = None, unreached: bool = False) -> None:
        super().__init__(why)
        self.asked, self.unreached = asked, unreached


class NoAnswerError(InputError):
    """A server gives no usable answer, however often it is asked: that says nothing about the object."""


@dataclass(frozen=True)
class RemoteState:
    """What tells one version of an object from another; None where the server does not say.

    Attributes
    ----------
    size : bytes. etag : the server's own mark. modified : its time of change, as the server writes it.
    """

    size: int | None
    etag: str | None = None
    modified: str | None = None

    @property
    def version(self) -> str | None:
        """The better of the two marks."""
        return self.etag or self.modified

    def differs(self, other: RemoteState) -> str | None:
        """Say what is known of both and is not the same."""
        marks = [("size", self.size, other.size), ("ETag", self.etag, other.etag)]
        if not (self.etag and other.etag):
            marks.append(("time of change", self.modified, other.modified))
        for name, here, there in marks:
            if here is not None and there is not None and here != there:
                return f"{name} {there} instead of {here}"
        return None


class Connection(Protocol):
    """An open answer. `state`: that of the object; `readinto` raises `Passing` when the connection breaks."""

    state: RemoteState

    def readinto(self, buffer: memoryview, /) -> int: ...

    def close(self) -> None: ...


class RemoteObject(Protocol):
    """Both methods make one attempt and raise `Passing` or InputError."""

    url: str

    def state(self) -> RemoteState: ...

    def connect(self, start: int, known: RemoteState | None) -> Connection:
        """Open the object at byte `start`; `known` is what the first connection said of it."""
        ...


class _Patience:
    """Counts failures in a row, waits after each, and gives up."""

    def __init__(self, url: str, stop: threading.Event | None = None) -> None:
        self._url, self._stop = url, stop or threading.Event()
        self.reset()

    def reset(self) -> None:
        self._failures = self._unreached = 0

    def failed(self, failure: Passing, found: str | None = None) -> None:
        """Wait, or raise NoAnswerError once there were too many failures; `found`: what came, if anything."""
        self._failures += 1
        self._unreached = self._unreached + 1 if failure.unreached else 0
        retry = RETRY
        if self._failures >= retry.tries or (found is None and self._unreached >= retry.unreached):
            remedy = "Check the address and the connection to the network"
            raise NoAnswerError(
                f"cannot be downloaded: {failure} ({self._failures} tries in a row)",
                path=self._url,
                found=found,
                remedy=f"{remedy}, then run again; what is imported already is kept.",
            ) from failure
        pause = retry.pause(self._failures, failure.asked)
        log.info("%s: %s; trying again in %.1f s", self._url, failure, pause)
        if self._stop.wait(pause):
            raise InputError("the download was broken off", path=self._url)


def patiently(url: str, request: Callable[[], Result]) -> Result:
    """Make a request until it succeeds, a failure will not pass, or patience is at its end (InputError)."""
    patience = _Patience(url)
    while True:
        try:
            return request()
        except Passing as failure:
            patience.failed(failure)


class ResumingStream(io.RawIOBase):
    """The bytes of a remote object, from the first to the last.

    The first `KEPT_BYTES` stay in memory until more than that has been read: `rewind` then costs nothing.

    Raises
    ------
    InputError : the object is not there or not to be had, has changed in between, or too many requests in a
        row failed; the message says how far the stream came.
    """

    def __init__(self, remote: RemoteObject) -> None:
        self._remote = remote
        self._connection: Connection | None = None
        self._known: RemoteState | None = None
        self._stop = threading.Event()
        self._patience = _Patience(remote.url, self._stop)
        self._start: bytearray | None = bytearray()  # what was received, as long as it is not too much
        self._received = 0  # bytes behind which the connection stands
        self._ended = False  # the end was met behind them, which the size alone need not tell
        self._good = 0  # where it stood when patience was last reset
        self._position = 0

    @property
    def state(self) -> RemoteState | None:
        """What the server said of the object; None before the first connection."""
        return self._known

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read up to a buffer's length, 0 at the end; waits and connects again as need be."""
        view = memoryview(buffer).cast("B")
        if self._position < self._received:
            assert self._start is not None
            part = self._start[self._position : self._position + len(view)]
            view[: len(part)] = part
            self._position += len(part)
            return len(part)
        count = self._receive(view)
        self._received += count
        self._position += count
        if self._start is not None:
            self._start += view[:count]
            if len(self._start) > KEPT_BYTES:
                self._start = None
        return count

    def rewind(self) -> None:
        """Begin at the first byte again, on the same connection if the bytes received are still held."""
        if self._start is None:
            self.park()
            self._start, self._received, self._good = bytearray(), 0, 0
            self._ended = False
        self._position = 0

    def park(self) -> None:
        """Hang up; what was received is not forgotten, and reading goes on with a new connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def pause(self) -> None:
        """Hang up unless `rewind` could go on with this connection."""
        if self._start is None or self._stop.is_set():
            self.park()

    def cancel(self) -> ResumingStream:
        """End a pause between two tries, from another thread: what waits there gives up, for good.

        Returns
        -------
        Another stream of the same version of the object, at its first byte; it has what was received so far,
        and nothing in common with this one, which the other thread may still be reading.
        """
        self._stop.set()
        successor = ResumingStream(self._remote)
        successor._known, successor._ended = self._known, self._ended
        start = self._start
        if start is None:
            successor._ended = False
        else:  # after `_ended` was looked at: if the end was met, this is all of it
            successor._start = bytearray(start[:])
            successor._received = successor._good = len(successor._start)
        return successor

    def close(self) -> None:
        if not self.closed:
            self._stop.set()
            self.park()
        super().close()

    def _receive(self, view: memoryview) -> int:
        while True:
            try:
                size = None if self._known is None else self._known.size
                if self._ended or (size is not None and self._received >= size):
                    self.park()
                    return 0
                if self._connection is None:
                    self._connect()
                    continue  # the size may be known now
                count = self._connection.readinto(view)
                if not count and size is not None:
                    raise Passing("the connection ended early")
            except Passing as failure:
                self.park()
                if self._received - self._good >= _PROGRESS:
                    self._patience.reset()
                    self._good = self._received
                self._patience.failed(failure, self._how_far())
            else:
                self._ended = not count
                if self._ended:
                    self.park()
                return count

    def _connect(self) -> None:
        connection = self._remote.connect(self._received, self._known)
        change = None if self._known is None else self._known.differs(connection.state)
        if change is not None:
            connection.close()
            raise InputError(
                "changed on the server while it was read",
                path=self._remote.url,
                found=change,
                remedy="Run again; what is imported already is kept.",
            )
        self._connection = connection
        self._known = self._known or connection.state

    def _how_far(self) -> str | None:
        if not self._received:
            return None
        size = None if self._known is None else self._known.size
        return f"{self._received:,} bytes" + ("" if size is None else f" of {size:,}")
