"""BGZF (bgzip) files inflated by several threads.

In: a raw stream of gzip members that say their own length (SAM/BAM specification, section 4.1). Out: the same
bytes, and for damaged files the same errors, as from reading the members one after the other.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["BgzfReader", "Chain", "gzip_reader", "is_bgzf"]

_HEADER = 18  # bytes up to and with BSIZE, where the extra field holds nothing else
_LARGEST = 1 << 16  # bytes of text in one member
_READ_BYTES = 1 << 20
_GZIP_READ = 1 << 19
_RUN_BYTES = 1 << 20  # of inflated text in one job: jobs are many for the threads and few for the interpreter
_MOST_THREADS = 16
_EMPTY = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # a member of no text


def gzip_reader(raw: io.RawIOBase | bytes) -> Any:
    """Read gzip members, one after the other, straight into the caller's memory.

    This is what `isal.igzip` reads with; its file object would add a copy of everything.
    """
    from isal import isal_zlib

    reader: Any = isal_zlib._GzipReader
    return reader(raw, _GZIP_READ)


def is_bgzf(start: bytes) -> bool:
    """Whether a file that begins so is in BGZF: gzip whose extra field is BC, 2 bytes, and nothing more."""
    return (
        start[:4] == b"\x1f\x8b\x08\x04" and start[10:16] == b"\x06\x00BC\x02\x00" and len(start) >= _HEADER
    )


class BgzfReader:
    """Read-only stream over a raw BGZF stream.

    Members are cut out by the lengths that they state and inflated in runs, each run by one call that checks
    CRC and length of every member. At the first thing that is not as stated, everything from the start of
    that run on is read again by the plain gzip reader, whose bytes and errors are then the result.
    """

    def __init__(self, raw: io.RawIOBase, threads: int) -> None:
        self._raw = raw
        threads = min(threads, _MOST_THREADS)
        self._pool = ThreadPoolExecutor(threads, "inflate")
        self._ahead = threads + 2
        self._left = b""  # compressed bytes that are in no run yet
        self._ended = False  # the raw stream
        self._runs = self._cut()
        self._waiting: deque[tuple[bytes, np.ndarray, Future[bool]]] = deque()
        self._spare: list[np.ndarray] = []
        self._text = memoryview(b"")
        self._held: np.ndarray | None = None  # whose memory `_text` is
        self._plain: Any = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Read up to a buffer's length, 0 at the end."""
        while not len(self._text):
            if self._plain is not None:
                return int(self._plain.readinto(buffer))
            if not self._next():
                return 0
        count = min(len(buffer), len(self._text))
        buffer[:count] = self._text[:count]
        self._text = self._text[count:]
        return count

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _next(self) -> bool:
        """Make the next run's text the current one; false at the end of the file."""
        if self._held is not None:
            self._spare.append(self._held)
            self._held = None
        while len(self._waiting) < self._ahead and (run := next(self._runs, None)) is not None:
            members, size = run
            target = self._target(size)
            job = self._pool.submit(_inflate, members, target[:size])
            self._waiting.append((members, target[:size], job))
        if not self._waiting:
            if self._left or not self._ended:
                self._read_plainly(b"")
            return bool(self._plain)
        members, text, job = self._waiting.popleft()
        if job.result():
            self._text, self._held = text.data, text.base if text.base is not None else text
        else:
            self._read_plainly(members)
        return True

    def _target(self, size: int) -> np.ndarray:
        """Memory for a run: runs are of about one size, so it is used again and again."""
        for place, spare in enumerate(self._spare):
            if len(spare) >= size:
                return self._spare.pop(place)
        return np.empty(max(size, _RUN_BYTES + (1 << 16)), dtype=np.uint8)

    def _read_plainly(self, members: bytes) -> None:
        """Hand everything from `members` on to the plain reader."""
        # Behind a member zeros are padding: the first one tells the reader that it stands there.
        rest = [_EMPTY, members, *(run for run, _, _ in self._waiting), self._left]
        self._waiting.clear()
        self._runs, self._left = iter(()), b""
        self._ended = True
        self._plain = gzip_reader(Chain(b"".join(rest), self._raw))

    def _cut(self) -> Iterator[tuple[bytes, int]]:
        """Yield runs of whole members with the size of their text; what begins no member stays in `_left`."""
        while True:
            end, size = _run_end(self._left, self._ended)
            if end < 0:
                part = self._raw.read(_READ_BYTES)
                self._ended = not part
                self._left += part or b""
            elif end == 0:
                return
            else:
                run, self._left = self._left[:end], self._left[end:]
                yield run, size


def _run_end(data: bytes, last: bool) -> tuple[int, int]:
    """Where a run of members that starts at byte 0 ends, and the size of their text.

    (0, 0): what comes there is no member. (-1, 0): more bytes are needed to tell, and there are (not `last`).
    """
    place = size = 0
    while size < _RUN_BYTES:
        head = data[place : place + _HEADER]
        end = place + int.from_bytes(head[16:], "little") + 1
        if len(head) < _HEADER or (is_bgzf(head) and end > len(data)):
            return (place, size) if last else (-1, 0)
        if not is_bgzf(head) or end < place + _HEADER + 8:
            break
        text = int.from_bytes(data[end - 4 : end], "little")
        if text > _LARGEST:
            break
        place, size = end, size + text
    return place, size


def _inflate(members: bytes, target: np.ndarray) -> bool:
    """Inflate whole members into an array of the size they state; false if anything is not as stated."""
    try:
        reader = gzip_reader(members)
        view, done = target.data, 0
        while done < len(view):
            count = reader.readinto(view[done:])
            if not count:
                return False
            done += count
        return not reader.readinto(bytearray(1))  # reads the last member's CRC, too
    except Exception:  # whatever it is, the plain reader will say it
        return False


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
        self._start = self._start[count:]
        return count
