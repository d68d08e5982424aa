"""Bytes of a file, decompressed: newline-aligned blocks of bounded size.

In: a path; what it is is told by its first bytes, never by its name (gzip and bgzip with any number of
members, zstd, bzip2, xz, plain). Out: `Block`s that end with a newline, decompressed in a second thread so
that parsing and inflating overlap (ISA-L, zstd and the standard library all let go of the interpreter lock).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from gputwas.errors import InputError

__all__ = ["BLOCK_BYTES", "Block", "blocks", "compression_of", "read_start"]

BLOCK_BYTES = 8 << 20
LONGEST_LINE = 64 << 20
_QUEUED = 2  # blocks waiting; with one being filled and one being parsed, memory is about four blocks

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


def compression_of(path: str) -> str:
    """Return "gzip", "zstd", "bzip2", "xz", "parquet" or "plain", by the first bytes of the file."""
    start = _first_bytes(path)
    if not start:
        raise InputError(
            "is empty",
            path=path,
            expected="a table with a header line",
            remedy="Download or copy it again.",
        )
    for magic, what, remedy in _REFUSED:
        if start.startswith(magic):
            raise InputError(f"is {what}, not a table", path=path, remedy=remedy)
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "plain")


def _first_bytes(path: str) -> bytes:
    if path.startswith(("http://", "https://", "ftp://", "s3://")):
        raise InputError("is a URL; the reader takes local files", path=path, remedy="Download it first.")
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except IsADirectoryError:
        raise InputError(
            "is a folder, not a file", path=path, remedy="Name its files, e.g. with *.gz."
        ) from None
    except FileNotFoundError:
        raise InputError("does not exist", path=path, remedy="Check the path.") from None
    except PermissionError:
        raise InputError("cannot be read: permission denied", path=path) from None


def _open(path: str, compression: str) -> BinaryIO:
    if compression == "gzip":
        from isal import igzip

        return cast(BinaryIO, igzip.open(path, "rb"))
    if compression == "zstd":
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(path, "rb"), "zstd"))
    if compression == "bzip2":
        import bz2

        return cast(BinaryIO, bz2.open(path, "rb"))
    if compression == "xz":
        import lzma

        return cast(BinaryIO, lzma.open(path, "rb"))
    return open(path, "rb", buffering=0)


def _broken(path: str, compression: str, error: Exception, done: int) -> InputError:
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
    return InputError(problem, path=path, found=found, remedy=remedy)


def read_start(path: str, compression: str, size: int = BLOCK_BYTES) -> bytes:
    """Return the first bytes of the decompressed file, up to `size`."""
    parts: list[bytes] = []
    done = 0
    with closing(_open(path, compression)) as stream:
        while done < size:
            try:
                part = stream.read(min(size - done, 1 << 20))
            except (EOFError, OSError, ValueError) as error:
                raise _broken(path, compression, error, done) from error
            except Exception as error:  # isal and lzma raise errors of their own kinds
                raise _broken(path, compression, error, done) from error
            if not part:
                break
            parts.append(bytes(part))
            done += len(part)
    return b"".join(parts)


def blocks(
    path: str, compression: str, *, skip: int = 0, first_line: int = 1, size: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Yield the decompressed file from byte `skip` (which starts line `first_line`) to its end."""
    yield from _ahead(lambda: _blocks(path, compression, skip, first_line, size))


def _blocks(path: str, compression: str, skip: int, first_line: int, size: int) -> Iterator[Block]:
    done = 0
    rest = np.empty(0, dtype=np.uint8)
    with closing(_open(path, compression)) as stream:
        ended = False
        while not ended:
            buffer = np.empty(
                len(rest) + size + 1, dtype=np.uint8
            )  # one byte spare for a missing last newline
            buffer[: len(rest)] = rest
            filled = len(rest)
            while filled < len(buffer) - 1:
                try:
                    count = _fill(stream, buffer[filled:-1])
                except Exception as error:
                    raise _broken(path, compression, error, done) from error
                if not count:
                    ended = True
                    break
                done += count
                filled += count
            if ended and filled and buffer[filled - 1] != 10:
                buffer[filled] = 10
                filled += 1
            if skip:
                cut = min(skip, filled)
                buffer, filled, skip = buffer[cut:], filled - cut, skip - cut
            end = _after_last_newline(buffer[:filled])
            rest = buffer[end:filled]
            if len(rest) > LONGEST_LINE:
                raise InputError(
                    "has a line longer than 64 MiB", path=path, line=first_line, expected="a table of text"
                )
            if end:
                data = buffer[:end]
                yield Block(data, first_line)
                first_line += int(np.count_nonzero(data == 10))


def _fill(stream: BinaryIO, buffer: np.ndarray) -> int:
    return int(stream.readinto(buffer.data) or 0)  # type: ignore[attr-defined]


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


def _ahead(make: Callable[[], Iterator[Block]]) -> Iterator[Block]:
    """Run an iterator in a thread, a few items ahead of its consumer; errors come out where they are met."""
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
        thread.join()
