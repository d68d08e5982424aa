"""BGZF (bgzip) files inflated by several threads.

In: a raw stream of gzip members that say their own length (SAM/BAM specification, section 4.1). Out: the same
bytes, and for damaged files the same errors, as from reading the members one after the other.
"""

from __future__ import annotations

import io
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["BgzfReader", "Chain", "gzip_reader", "is_bgzf"]

_HEADER = 18  # bytes up to and with BSIZE, where the extra field holds nothing else
_FIELDS = struct.Struct("<4s6xH2sHH")  # magic and flags, size of the extra field, BC, its size, BSIZE
_MARKS = [b"\x1f\x8b\x08\x04", 6, b"BC", 2]
_TEXT_SIZE = struct.Struct("<I")
_LARGEST = 1 << 16  # bytes of text in one member
_READ_BYTES = 1 << 20
_GZIP_READ = 1 << 19
_RUN_BYTES = 1 << 20  # of inflated text in one job: jobs are many for the threads and few for the interpreter
_MOST_THREADS = 16
_EMPTY = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # a member of no text


def gzip_reader(raw: io.RawIOBase | memoryview) -> Any:
    """Read gzip members, one after the other, straight into the caller's memory.

    This is what `isal.igzip` reads with; its file object would add a copy of everything.
    """
    from isal import isal_zlib

    reader: Any = isal_zlib._GzipReader
    return reader(raw, _GZIP_READ)


def is_bgzf(start: bytes) -> bool:
    """Whether a file that begins so is in BGZF: gzip whose extra field is BC, 2 bytes, and nothing more."""
    return len(start) >= _HEADER and list(_FIELDS.unpack_from(start))[:4] == _MARKS


class BgzfReader:
    """Read-only stream over a raw BGZF stream.

    Members are cut out by the lengths that they state and inflated in runs, each run by one call that checks
    CRC and length of every member and writes straight into the caller's memory: ask for megabytes at a time.
    At the first thing that is not as stated, everything from the start of that run on is read again by the
    plain gzip reader, whose bytes and errors are then the result.
    """

    def __init__(self, raw: io.RawIOBase, threads: int) -> None:
        self._raw = raw
        self._pool = ThreadPoolExecutor(min(threads, _MOST_THREADS), "inflate")
        self._read = memoryview(b"")  # compressed bytes that are in no run yet
        self._ended = False  # the raw stream
        self._text = memoryview(b"")  # of a member that found no room
        self._plain: Any = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Read up to a buffer's length, 0 at the end."""
        if not len(self._text) and self._plain is None:
            done = self._inflate_into(buffer)
            if done:
                return done
        if len(self._text):
            count = min(len(buffer), len(self._text))
            buffer[:count] = self._text[:count]
            self._text = self._text[count:]
            return count
        return 0 if self._plain is None else int(self._plain.readinto(buffer))

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _inflate_into(self, buffer: memoryview) -> int:
        """Inflate as many runs as find room; where none does, set `_text` or `_plain`, or it is the end."""
        jobs: list[tuple[memoryview, int, Future[bool]]] = []
        filled = 0
        while filled < len(buffer) and (run := self._cut(min(len(buffer) - filled, _RUN_BYTES))) is not None:
            members, size = run
            job = self._pool.submit(_inflate, members, buffer[filled : filled + size])
            jobs.append((members, filled, job))
            filled += size
        good = [job.result() for _, _, job in jobs]  # all of them: none may write when this returns
        if not all(good):
            first = good.index(False)
            self._read_plainly([members for members, _, _ in jobs[first:]])
            return jobs[first][1]
        if not filled and (run := self._cut(_LARGEST)) is not None:
            text = bytearray(run[1])
            if _inflate(run[0], memoryview(text)):
                self._text = memoryview(text)
            else:
                self._read_plainly([run[0]])
        elif not filled and len(self._read):
            self._read_plainly([])
        return filled

    def _read_plainly(self, runs: list[memoryview]) -> None:
        """Hand everything from some runs on to the plain reader."""
        # Behind a member zeros are padding: an empty one tells the reader that it stands there.
        rest = b"".join([_EMPTY, *runs, self._read])
        self._read = memoryview(b"")
        self._plain = gzip_reader(Chain(rest, self._raw))

    def _cut(self, most: int) -> tuple[memoryview, int] | None:
        """Take the next run of whole members with at most so many bytes of text, and the number of these.

        None where no member comes, or one with more text.
        """
        while True:
            end, size = _run_end(self._read, most, self._ended)
            if end >= 0:
                break
            part = self._raw.read(_READ_BYTES)
            self._ended = not part
            self._read = memoryview(b"".join([self._read, part or b""]))
        if end == 0:
            return None
        run, self._read = self._read[:end], self._read[end:]
        return run, size


def _run_end(data: memoryview, most: int, last: bool) -> tuple[int, int]:
    """Where a run of members that starts at byte 0 ends, and the size of their text, which is `most` at most.

    (0, 0): what comes there is no member, or has more text. (-1, 0): more bytes are needed to tell, and there
    are (not `last`).
    """
    place = size = 0
    while size < most:
        if place + _HEADER > len(data):
            return (place, size) if last else (-1, 0)
        *marks, length = _FIELDS.unpack_from(data, place)
        end = place + length + 1
        if marks != _MARKS or length < _HEADER + 8:
            break
        if end > len(data):
            return (place, size) if last else (-1, 0)
        (text,) = _TEXT_SIZE.unpack_from(data, end - 4)
        if text > min(_LARGEST, most - size):
            break
        place, size = end, size + text
    return place, size


def _inflate(members: memoryview, target: memoryview) -> bool:
    """Inflate whole members into memory of the size they state; false if anything is not as stated."""
    try:
        reader = gzip_reader(members)
        done = 0
        while done < len(target):
            count = reader.readinto(target[done:])
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
