"""Where the bytes of a GWAS come from: local files and http(s) and s3 URLs, all as one kind of stream.

In: a path or a URL. Out: raw binary streams. A `SourceFile` also takes a digest of the bytes as they go by
and checks them against the checksums that were given with the file, so neither costs a second reading.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import unquote, urlsplit

from gputwas.errors import InputError
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.resume import RemoteObject, RemoteState, ResumingStream, patiently

__all__ = [
    "Hasher",
    "SourceError",
    "SourceFile",
    "SourceStream",
    "as_source",
    "base_name",
    "check_address",
    "is_url",
    "open_source",
    "remote_state",
]

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class SourceError(InputError):
    """The bytes of a file are not to be had, or are not those that were meant: reading anew is no help."""


class Hasher(Protocol):
    """What `hashlib` and xxhash make."""

    def update(self, data: memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


def is_url(path: str) -> bool:
    """Whether a path is a URL, of whatever scheme."""
    return _URL.match(path) is not None


def base_name(path: str) -> str:
    """The file's name: the last part of a path, or of a URL's path without its query."""
    if is_url(path):
        parts = urlsplit(path)
        return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc
    return os.path.basename(path.rstrip("/"))


def check_address(url: str) -> None:
    """Raise the InputError of a URL that cannot be read whatever lies there: its scheme, no host."""
    _remote(url)


def remote_state(url: str) -> RemoteState:
    """Ask a server for size and version of an object, without its bytes.

    Raises
    ------
    InputError : it is not there, or cannot be reached.
    """
    return patiently(url, _remote(url).state)


def open_source(path: str) -> io.RawIOBase:
    """Open a local file or a URL as a raw binary stream.

    Raises
    ------
    InputError : no such file, or it cannot be read. A URL is first connected to when it is first read.
    """
    if is_url(path):
        return ResumingStream(_remote(path))
    try:
        return open(path, "rb", buffering=0)
    except IsADirectoryError:
        raise InputError(
            "is a folder, not a file", path=path, remedy="Name its files, e.g. with *.gz."
        ) from None
    except FileNotFoundError:
        raise InputError("does not exist", path=path, remedy="Check the path.") from None
    except PermissionError:
        raise InputError("cannot be read: permission denied", path=path) from None


def _remote(url: str) -> RemoteObject:
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        from gputwas.formats.sumstats.web import WebObject

        return WebObject(url)
    if scheme == "s3":
        from gputwas.formats.sumstats.s3 import S3Object

        return S3Object(url)
    remedy = "Download it first, or give an http(s) or s3 address of it."
    if scheme == "ftp":
        remedy = "Most such servers (that of EBI, say) have the file under https:// too: try that address."
    raise InputError(f"{scheme}:// addresses are not read", path=url, remedy=remedy)


class SourceFile:
    """A file or URL that is read from its first byte as often as need be.

    The start of a remote object is kept, so that looking at its head and then reading it is one download.

    Parameters
    ----------
    path : local path or URL.
    hasher : makes what takes the digest of the bytes.
    checksums : what the bytes must add up to.

    Attributes
    ----------
    digest : of all bytes; None until they have all been read. size : how many they were.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        hasher: Callable[[], Hasher] | None = None,
        checksums: Sequence[Checksum] = (),
    ) -> None:
        self.path = os.fspath(path)
        self.digest: str | None = None
        self.size: int | None = None
        self._hasher, self._checksums = hasher, tuple(checksums)
        self._remote: ResumingStream | None = None

    @property
    def remote(self) -> bool:
        """Whether it is a URL."""
        return is_url(self.path)

    @property
    def state(self) -> RemoteState | None:
        """What the server said of a URL; None before the first byte, and for local files."""
        return None if self._remote is None else self._remote.state

    def open(self) -> SourceStream:
        """Open at the first byte; only one stream at a time for a URL."""
        if not self.remote:
            raw = open_source(self.path)
        else:
            if self._remote is None:
                opened = open_source(self.path)
                assert isinstance(opened, ResumingStream)
                self._remote = opened
            self._remote.rewind()
            raw = self._remote
        return SourceStream(self, raw, self._hasher, self._checksums)

    def read_through(self) -> None:
        """Read all that has not been read yet, so that digest and size are known and checksums compared."""
        if self.digest is None or self.size is None:
            with self.open() as stream:
                stream.finish()

    def park(self) -> None:
        """Hang up until the next read, which goes on where this one stood."""
        if self._remote is not None:
            self._remote.park()

    def abandon(self) -> io.RawIOBase | None:
        """Make the thread that reads a URL give up; the next reading has nothing to do with that one.

        Returns
        -------
        The stream that is read no more, to be closed as soon as that thread has ended; None of a local file.
        """
        if self._remote is None:
            return None
        abandoned, self._remote = self._remote, self._remote.cancel()
        return abandoned

    def close(self) -> None:
        """Hang up for good."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None


class SourceStream(io.RawIOBase):
    """One pass over the bytes of a `SourceFile`. `finish` reads what is left and compares checksums."""

    def __init__(
        self,
        file: SourceFile,
        raw: io.RawIOBase,
        hasher: Callable[[], Hasher] | None,
        checksums: Sequence[Checksum],
    ) -> None:
        self._file, self._raw, self._checksums = file, raw, checksums
        self._digest = None if hasher is None else hasher()
        self._sums = [checksum.new() for checksum in checksums]
        self._count = 0
        self.failure: InputError | None = None  # decompressors may wrap what is raised through them

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Of a local file; OSError for a URL."""
        return self._raw.fileno()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if self.failure is not None:  # patience with a server has been at its end once
            raise self.failure
        view = memoryview(buffer).cast("B")
        try:
            count = self._raw.readinto(view) or 0
        except InputError as error:
            self.failure = SourceError(**vars(error))
            raise self.failure from error
        except OSError as error:
            self.failure = SourceError(f"cannot be read, {error.strerror or error}", path=self._file.path)
            raise self.failure from error
        self._count += count
        if self._digest is not None:
            self._digest.update(view[:count])
        for running in self._sums:
            running.update(view[:count])
        return count

    def finish(self) -> None:
        """Read to the end; then size and digest are known.

        Raises
        ------
        SourceError : the bytes do not add up to a checksum that was given.
        """
        scratch = memoryview(bytearray(1 << 18))
        while self.readinto(scratch):
            pass
        for checksum, running in zip(self._checksums, self._sums, strict=True):
            try:
                checksum.compare(running.hexdigest(), self._file.path, self._count)
            except InputError as error:
                raise SourceError(**vars(error)) from error
        self._file.size = self._count
        self._file.digest = None if self._digest is None else self._digest.hexdigest()

    def close(self) -> None:
        if not self.closed:
            if isinstance(self._raw, ResumingStream):
                self._raw.pause()
            else:
                self._raw.close()
        super().close()


def as_source(path: str | SourceFile) -> SourceFile:
    """Take a path as what it names."""
    return path if isinstance(path, SourceFile) else SourceFile(path)
