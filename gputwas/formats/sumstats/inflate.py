"""Bytes of a file, decompressed: newline-aligned blocks of bounded size.

In: a path; what it is is told by its first bytes, never by its name (gzip and bgzip with any number of
members, zstd, bzip2, xz, plain). Out: `Block`s that end with a newline, decompressed in a second thread so
that parsing and inflating overlap (ISA-L, zstd and the standard library all let go of the interpreter lock).
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from gputwas.errors import InputError
from gputwas.formats.sumstats.gzip_starts import has_many_members, is_bgzf, likely_start, stated_start
from gputwas.formats.sumstats.members import Chain, MemberReader, gzip_reader
from gputwas.formats.sumstats.sources import SourceError, SourceFile, SourceStream, as_source

__all__ = ["BLOCK_BYTES", "Block", "blocks", "compression_of", "read_start"]

BLOCK_BYTES = 8 << 20
LONGEST_LINE = 64 << 20
_QUEUED = 2  # blocks waiting; one more is being filled and one parsed (`members` says what it holds besides)
_PIECE = 1 << 20  # bytes asked for at a time: they are counted through while they are in the cache
_ROUND = 1 << 16  # sizes differ by what is left of a last line: rounded up, one is as good as the other
_QUICK = 0.2  # seconds in which it has seen that nobody wants more, unless it waits
_PATIENCE = 10.0  # seconds that the end of a reading waits for its thread, which may wait for a server

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PAR1", "parquet"),
)
_REFUSED = (
    (b"PK\x03\x04", "a ZIP archive", "Unpack it first (unzip), then give the file inside."),
    (b"\x37\x7a\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first, then give the file inside."),
    (b"ARROW1", "an Arrow IPC file", "Write it as Parquet or as text."),
    (b"\x89HDF", "an HDF5 file", "Write it as Parquet or as text."),
    (b"SQLite format 3", "an SQLite database", "Give it as a model database; a GWAS must be a table."),
)


@dataclass(frozen=True)
class Block:
    """A run of whole lines.

    Attributes
    ----------
    data : uint8 array; the last byte is a newline (added where the file lacks it).
    first_line : 1-based number of its first line in the decompressed file.
    """

    data: np.ndarray
    first_line: int


def compression_of(path: str | SourceFile) -> str:
    """Return "gzip", "zstd", "bzip2", "xz", "parquet" or "plain", by the first bytes of the file."""
    file = as_source(path)
    start = _first_bytes(file, 16)
    if not start:
        raise InputError(
            "is empty",
            path=file.path,
            expected="a table with a header line",
            remedy="Download or copy it again.",
        )
    for magic, what, remedy in _REFUSED:
        if start.startswith(magic):
            raise InputError(f"is {what}, not a table", path=file.path, remedy=remedy)
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "plain")


def _first_bytes(file: SourceFile, size: int) -> bytes:
    start = b""
    with file.open() as stream:
        while len(start) < size and (part := stream.read(size - len(start))):
            start += part
    return start


def _decompressor(stream: SourceStream, compression: str, threads: int) -> Any:
    """Something with `readinto`, `close`; for plain files the stream itself."""
    if compression == "gzip":
        return _gzip(stream, threads)
    if compression == "zstd":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
    if compression == "bzip2":
        import bz2

        return bz2.open(stream, "rb")
    if compression == "xz":
        import lzma

        return lzma.LZMAFile(cast(Any, stream), "rb")
    return stream


def _gzip(stream: SourceStream, threads: int) -> Any:
    """Read gzip; by several threads if there may be, and are members for them."""
    if threads < 2:
        return gzip_reader(stream)
    start = stream.read(64)
    raw = Chain(start, stream)
    if is_bgzf(start):
        return MemberReader(raw, threads, stated_start)
    if has_many_members(stream):
        return MemberReader(raw, threads, likely_start)
    return gzip_reader(raw)


def _broken(path: str, compression: str, error: BaseException, done: int) -> InputError:
    """Say what is wrong with a compressed stream in the words a downloader needs."""
    text = str(error).lower()
    cut = (
        isinstance(error, EOFError)
        or "end-of-stream" in text
        or "truncated" in text
        or "unexpected end" in text
    )
    problem = (
        f"the {compression} stream is cut short" if cut else f"the {compression} stream is damaged ({error})"
    )
    remedy = f"Download or copy it again; `{compression} -t` checks it."
    found = f"{done:,} readable bytes before it" if done else None
    return SourceError(problem, path=path, found=found, remedy=remedy)


def read_start(path: str | SourceFile, compression: str, size: int = BLOCK_BYTES) -> bytes:
    """Return the first bytes of the decompressed file, up to `size`."""
    start = bytearray(size)
    with _Text(as_source(path), compression, 1) as text:
        done = text.fill(memoryview(start))
    return bytes(memoryview(start)[:done])


def blocks(
    path: str | SourceFile,
    compression: str,
    *,
    skip: int = 0,
    first_line: int = 1,
    size: int = BLOCK_BYTES,
    threads: int = 1,
    numbered: bool = True,
) -> Iterator[Block]:
    """Yield the decompressed file from byte `skip` (which starts line `first_line`) to its end.

    Parameters
    ----------
    threads : that may inflate at once, where the compression allows it (gzip of many members, as bgzip's).
        Beside about four blocks, the text each of them has inflated ahead is then held, see `MemberReader`.
    numbered : count lines; otherwise every block has the `first_line` that was given.

    Notes
    -----
    The memory of a block is used again once nothing refers to its `data` any more; hold on to it as long as
    need be.
    """
    file = as_source(path)
    counter = _Lines(first_line, numbered)
    yield from _ahead(lambda: _blocks(file, compression, skip, counter, size, threads), file)


class _Text:
    """The decompressed bytes of a file, with errors that say what is wrong with it."""

    def __init__(self, file: SourceFile, compression: str, threads: int) -> None:
        self._path, self._compression = file.path, compression
        self._raw = file.open()
        self._done = 0
        self._stream: Any = None
        try:
            self._stream = _decompressor(self._raw, compression, threads)
        except BaseException as error:
            self._raw.close()
            raise self._explained(error) from error

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._raw.close()

    def fill(self, buffer: memoryview, seen: Callable[[int, int], None] | None = None) -> int:
        """Fill a buffer as far as the file goes; `seen` is told of every part (start, end) at once."""
        filled = 0
        while filled < len(buffer):
            try:
                count = int(self._stream.readinto(buffer[filled : filled + _PIECE]) or 0)
            except Exception as error:  # isal and lzma raise errors of their own kinds
                raise self._explained(error) from error
            if not count:
                break
            if seen is not None:
                seen(filled, filled + count)
            filled += count
            self._done += count
        return filled

    def finish(self) -> None:
        """Read what follows the compressed text, if anything, and compare checksums."""
        self._raw.finish()

    def _explained(self, error: BaseException) -> BaseException:
        if self._raw.failure is not None:
            return self._raw.failure
        return _broken(self._path, self._compression, error, self._done)


class _Lines:
    """Counts the newlines of parts of a buffer."""

    def __init__(self, first_line: int, wanted: bool) -> None:
        self.line = first_line
        self._wanted = wanted
        self._found = np.empty(_PIECE if wanted else 0, dtype=bool)

    def count(self, part: np.ndarray) -> None:
        if not self._wanted:
            return
        for place in range(0, len(part), _PIECE):
            piece = part[place : place + _PIECE]
            found = self._found[: len(piece)]
            np.equal(piece, 10, out=found)
            self.line += int(np.count_nonzero(found))


class _Buffers:
    """Memory for blocks, used again once no block of it is in use: fresh pages cost a tenth of inflating."""

    def __init__(self) -> None:
        self._held: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        for place in range(len(self._held)):
            # Views refer to the array that owns the memory: without any, the list alone does, and the call.
            if len(self._held[place]) >= size and sys.getrefcount(self._held[place]) <= _UNUSED:
                return self._held[place]
        self._held = [held for held in self._held if len(held) >= size]
        if len(self._held) > _QUEUED + 3:
            self._held.pop(0)
        self._held.append(np.empty(-(-size // _ROUND) * _ROUND, dtype=np.uint8))
        return self._held[-1]


_ALONE = [object()]
_UNUSED = sys.getrefcount(_ALONE[0])  # of what only a list refers to


def _blocks(
    file: SourceFile, compression: str, skip: int, lines: _Lines, size: int, threads: int
) -> Iterator[Block]:
    buffers = _Buffers()
    rest = np.empty(0, dtype=np.uint8)
    with _Text(file, compression, threads) as text:
        _pass_over(text, skip)
        ended = False
        while not ended:
            held = len(rest)
            buffer = buffers.take(held + size + 1)  # one byte spare for a missing last newline
            buffer[:held] = rest
            new, first_line = buffer[held : held + size], lines.line
            count = text.fill(new.data, lambda start, end, new=new: lines.count(new[start:end]))  # type: ignore[misc]
            filled = held + count
            ended = count < size
            if ended:
                text.finish()
                if filled and buffer[filled - 1] != 10:
                    buffer[filled] = 10
                    filled += 1
            end = _after_last_newline(buffer[:filled])
            rest = buffer[end:filled]
            if len(rest) > LONGEST_LINE:
                raise InputError(
                    "has a line longer than 64 MiB",
                    path=file.path,
                    line=first_line,
                    expected="a table of text",
                )
            if end:
                yield Block(buffer[:end], first_line)


def _pass_over(text: _Text, count: int) -> None:
    scratch = memoryview(bytearray(min(count, _PIECE)))
    while count:
        done = text.fill(scratch[: min(count, len(scratch))])
        if not done:
            return
        count -= done


def _after_last_newline(data: np.ndarray) -> int:
    """Return the position behind the last newline, 0 if there is none."""
    stop = len(data)
    while stop:
        start = max(0, stop - 65536)
        found = np.flatnonzero(data[start:stop] == 10)
        if len(found):
            return start + int(found[-1]) + 1
        stop = start
    return 0


def _ahead(make: Callable[[], Iterator[Block]], file: SourceFile) -> Iterator[Block]:
    """Run an iterator in a thread, a few items ahead of its consumer; errors come out where they are met.

    `file` is what it reads: the thread may be waiting for it when the consumer wants no more.
    """
    waiting: queue.Queue[Block | BaseException | None] = queue.Queue(_QUEUED)
    stop = threading.Event()

    def put(item: Block | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            with closing(make()) as source:  # type: ignore[type-var]
                for item in source:
                    if not put(item):
                        return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="inflate", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(_QUICK)
        if thread.is_alive():
            abandoned = file.abandon()
            thread.join(_PATIENCE)
            if abandoned is not None and not thread.is_alive():
                abandoned.close()
