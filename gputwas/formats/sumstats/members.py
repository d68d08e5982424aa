"""Gzip files of many members, inflated by several threads: those of bgzip, and files put one behind another.

In: a raw stream of gzip members. Out: the same bytes, and for damaged files the same errors, as from reading
the members one after the other.

Where a member ends is known for sure only once it is inflated. So the stream is cut where one seems to start,
and each run between two cuts is inflated as if it were whole members. That it was proves the cut behind it,
as the run before proved the cut before it. A run that was not, because its cut was wrong or the file is
damaged, is read once more by the plain reader, with all that follows.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["Chain", "MemberReader", "gzip_reader"]

_EMPTY = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # a member of no text

_GZIP_READ = 1 << 19
_READ_BYTES = 1 << 20
_RUN_BYTES = 1 << 19  # of members in one job: jobs are many for the threads and few for the interpreter
_AHEAD_BYTES = 64 << 20  # of members read ahead; one that is longer is read plainly, with all that follows
_CHUNK_BYTES = 1 << 20
_AHEAD_CHUNKS = 8  # of text inflated ahead, for each thread
_MOST_THREADS = 16

Finder = Callable[[bytearray, int, int], tuple[int, bool]]


def gzip_reader(raw: io.RawIOBase | bytearray) -> Any:
    """Read gzip members, one after the other, straight into the caller's memory.

    This is what `isal.igzip` reads with; its file object would add a copy of everything.
    """
    from isal import isal_zlib

    reader: Any = isal_zlib._GzipReader
    return reader(raw, _GZIP_READ)


class MemberReader:
    """Read-only stream over a raw stream of gzip members.

    Parameters
    ----------
    threads : that inflate at once.
    find : says where members start: `stated_start` for BGZF, `likely_start` for any other.

    Notes
    -----
    Held at once are `_AHEAD_BYTES` of members and `_AHEAD_CHUNKS` of text for each thread, at most. A member
    with more text than there is room for is inflated to the end when its turn comes.
    """

    def __init__(self, raw: io.RawIOBase, threads: int, find: Finder) -> None:
        self._raw, self._find = raw, find
        threads = min(threads, _MOST_THREADS)
        self._pool = ThreadPoolExecutor(threads, "inflate")
        self._most_runs = 2 * threads
        self._memory = _Memory(threads * _AHEAD_CHUNKS)
        self._runs: deque[tuple[_Run, Future[None]]] = deque()
        self._read = bytearray()  # compressed bytes that are in no run yet
        self._part = memoryview(bytearray(_READ_BYTES))
        self._place = 0  # in them up to which a cut was looked for
        self._ended = self._failed = False  # the raw stream
        self._plain: Any = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a buffer; less only at the end, where the plain reader stands."""
        filled = 0
        while self._plain is None and filled < len(buffer):
            self._look_ahead()
            filled += self._next_into(buffer[filled:])
        if self._plain is not None:
            filled += int(self._plain.readinto(buffer[filled:]))
        return filled

    def close(self) -> None:
        """Stop the threads."""
        self._memory.refuse()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _look_ahead(self) -> None:
        """Keep the threads busy."""
        while len(self._runs) < self._most_runs and (end := self._run_end()):
            run = _Run(self._read[:end], self._memory)
            del self._read[:end]
            self._place = 0
            self._runs.append((run, self._pool.submit(run.inflate)))

    def _run_end(self) -> int:
        """Read until it is known where the next run ends; 0 if there is none, or no room for it now."""
        room = _AHEAD_BYTES - sum(len(run.members) for run, _ in self._runs)
        while True:
            self._place, found = self._find(self._read, self._place, _RUN_BYTES)
            if found:
                return self._place
            if self._failed or len(self._read) >= room:
                return 0
            if self._ended:
                return len(self._read)
            self._receive()

    def _receive(self) -> None:
        try:
            count = self._raw.readinto(self._part) or 0
        except Exception:  # the plain reader will meet it again, once what comes before is given out
            self._failed = True
            return
        self._ended = not count
        self._read += self._part[:count]

    def _next_into(self, buffer: memoryview) -> int:
        """Give out more of the first run; 0 if that was all of it, or if the plain reader has to go on."""
        if not self._runs:
            self._read_plainly(0)
            return 0
        run, job = self._runs[0]
        job.result()
        try:
            count = run.readinto(buffer)
        except Exception:  # whatever it is, the plain reader will say it
            self._read_plainly(run.given)
            return 0
        if not count:
            self._runs.popleft()
        return count

    def _read_plainly(self, given: int) -> None:
        """Hand everything from the first run on to the plain reader, past the text that was given out."""
        self._memory.refuse()
        # Behind a member zeros are padding: an empty one tells the reader that it stands there.
        rest = b"".join([_EMPTY, *(run.members for run, _ in self._runs), self._read])
        self._runs.clear()
        self._plain = gzip_reader(Chain(rest, self._raw))
        scratch = memoryview(bytearray(min(given, _CHUNK_BYTES)))
        while given and (count := self._plain.readinto(scratch[:given])):
            given -= count


class _Run:
    """What should be whole members, and their text: so much of it as memory was free, then the rest."""

    def __init__(self, members: bytearray, memory: _Memory) -> None:
        self.members = members
        self.given = 0  # bytes of text
        self._memory = memory
        self._reader = gzip_reader(members)
        self._ready: deque[tuple[np.ndarray, int]] = deque()  # chunks, and how much of each is text
        self._used = 0  # bytes of the first
        self._error: Exception | None = None

    def inflate(self) -> None:
        """Inflate ahead, in whatever thread."""
        try:
            while (chunk := self._memory.take()) is not None:
                count = self._reader.readinto(chunk)
                self._ready.append((chunk, count))
                if not count:
                    break
        except Exception as error:
            self._error = error

    def readinto(self, buffer: memoryview) -> int:
        """Read up to a buffer's length, 0 at the end; raises where these are not whole members."""
        while self._ready and self._used == self._ready[0][1]:
            self._memory.give(self._ready.popleft()[0])
            self._used = 0
        if self._ready:
            chunk, size = self._ready[0]
            count = min(len(buffer), size - self._used)
            buffer[:count] = chunk.data[self._used : self._used + count]
            self._used += count
        elif self._error is not None:
            raise self._error
        else:
            count = self._reader.readinto(buffer)
        self.given += count
        return count


class _Memory:
    """Chunks of memory for text, so many and no more; used again, because fresh pages cost time."""

    def __init__(self, chunks: int) -> None:
        self._lock = threading.Lock()
        self._free: list[np.ndarray] = []
        self._left = chunks

    def take(self) -> np.ndarray | None:
        """A chunk; None if all are in use."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if not self._left:
                return None
            self._left -= 1
        return np.empty(_CHUNK_BYTES, dtype=np.uint8)

    def give(self, chunk: np.ndarray) -> None:
        with self._lock:
            self._free.append(chunk)

    def refuse(self) -> None:
        """Let threads that take chunks end soon."""
        with self._lock:
            self._free, self._left = [], 0


class Chain(io.RawIOBase):
    """Some bytes, then a stream."""

    def __init__(self, start: bytes, raw: io.RawIOBase) -> None:
        self._start, self._raw = memoryview(start), raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not len(self._start):
            return self._raw.readinto(buffer) or 0
        count = min(len(buffer), len(self._start))
        memoryview(buffer)[:count] = self._start[:count]
        self._start = self._start[count:] if count < len(self._start) else memoryview(b"")
        return count
