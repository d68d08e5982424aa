"""What a trait's files are and whether they are those that a store was made from.

In: paths and URLs, and what a store's metadata say of them. Out: their states (size and time of change, or
what a server says instead), and the digest of what was read, taken while it was read.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import xxhash

from gputwas.errors import InputError
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.resume import NoAnswerError
from gputwas.formats.sumstats.sources import SourceFile, is_url, remote_state
from gputwas.stores.hashing import ContentHash

__all__ = ["FileState", "FileStates", "InputFiles", "input_hash", "same_by_state", "with_checksums"]

log = logging.getLogger(__name__)

_ASKED_AT_ONCE = 8  # servers answer this in a fraction of a second and do not mind so many
_MANY = 100  # URLs, from which on it is said that they are asked for

Checksums = Mapping[str, Sequence[Checksum]]


@dataclass(frozen=True)
class FileState:
    """What tells one version of a file from another without reading it.

    Attributes
    ----------
    path : path or URL. size : bytes; None where a server does not say.
    mark : time of change in ns of a local file; ETag or time of change of a URL, None where not said.
    """

    path: str
    size: int | None
    mark: int | str | None

    @classmethod
    def of(cls, path: str) -> FileState:
        """Look at a file, or ask the server for a URL's headers.

        Raises
        ------
        InputError : it is not there, or cannot be looked at.
        """
        if is_url(path):
            remote = remote_state(path)
            return cls(path, remote.size, remote.version)
        try:
            state = os.stat(path)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "does not exist" if missing else f"cannot be read, {error.strerror}"
            raise InputError(problem, path=path, remedy="Check the path.") from error
        return cls(path, state.st_size, state.st_mtime_ns)

    @classmethod
    def stored(cls, said: Mapping[str, Any]) -> FileState:
        """What metadata say."""
        return cls(said["path"], said["bytes"], said.get("modified_ns", said.get("version")))

    def to_store(self) -> dict[str, Any]:
        """As metadata have it."""
        return {
            "path": self.path,
            "bytes": self.size,
            "version" if is_url(self.path) else "modified_ns": self.mark,
        }

    def __str__(self) -> str:
        return self.path if self.size is None else f"{self.path} ({self.size:,} bytes)"


class FileStates:
    """States of many files, each looked at once; URLs several at a time.

    Parameters
    ----------
    lenient : a URL that cannot be looked at has an unknown state, with a warning, instead of raising. Of a
        server that gives no usable answer no other file is asked for: it may take minutes to find out.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self._known: dict[str, FileState] = {}
        self._lenient = lenient
        self._silent: set[str] = set()  # hosts that do not answer
        self._lock = threading.Lock()
        self._warned = False

    def look(self, paths: Iterable[str]) -> None:
        """Look at files ahead of `of`; raises what the first one in order raises."""
        todo = [path for path in dict.fromkeys(paths) if path not in self._known]
        urls = [path for path in todo if is_url(path)]
        for path in todo:
            if not is_url(path):
                self._known[path] = FileState.of(path)
        if len(urls) >= _MANY:
            log.info("asking the servers for the state of %s files", f"{len(urls):,}")
        pool = ThreadPoolExecutor(_ASKED_AT_ONCE, "state")
        try:
            for state in pool.map(self._ask, urls):
                self._known[state.path] = state
        finally:
            pool.shutdown(cancel_futures=True)

    def of(self, path: str) -> FileState:
        """The state of a file."""
        if path not in self._known:
            self._known[path] = self._ask(path)
        return self._known[path]

    def _ask(self, path: str) -> FileState:
        host = urlsplit(path).netloc if is_url(path) else ""
        unknown = FileState(path, None, None)
        if host in self._silent:
            return unknown
        try:
            state = FileState.of(path)
        except InputError as error:
            if not (self._lenient and is_url(path)):
                raise
            text = str(error).rstrip(".")
            if not isinstance(error, NoAnswerError):
                log.warning("%s; it is taken to be unchanged", text)
            elif self._first_of(host):
                log.warning("%s; it and all other files of %s are taken to be unchanged", text, host)
            return unknown
        if is_url(path) and state.mark is None:
            self._warn_of_no_version(path)
        return state

    def _first_of(self, host: str) -> bool:
        """Note a host that does not answer; False if another thread did."""
        with self._lock:
            known = host in self._silent
            self._silent.add(host)
        return not known

    def _warn_of_no_version(self, path: str) -> None:
        with self._lock:
            said, self._warned = self._warned, True
        if not said:
            log.warning(
                "%s: the server gives no version of it (ETag or Last-Modified): a later run takes files of "
                "such servers to be unchanged as long as their size is the same",
                path,
            )


def same_by_state(
    stored: Sequence[Mapping[str, Any]], now: Sequence[FileState], checksums: Checksums
) -> bool | None:
    """Whether files are those of the metadata; None if only their contents can tell.

    Files with the same place, size and mark are the same; files of other sizes or with other checksums are
    not. Of a URL the query does not count, as signed links change it. A checksum of a kind that nothing was
    compared with before can only be compared with the contents.
    """
    if len(stored) != len(now):
        return None
    before = [FileState.stored(said) for said in stored]
    unverified = False
    for said, state in zip(stored, now, strict=True):
        verified = {checksum.partition(":")[0]: checksum for checksum in said.get("checksums", ())}
        for checksum in checksums.get(state.path, ()):
            if verified.get(checksum.kind, str(checksum)) != str(checksum):
                return False
            unverified |= checksum.kind not in verified
    pairs = list(zip(before, now, strict=True))
    if any(None not in (b.size, n.size) and b.size != n.size for b, n in pairs):
        return False
    alike = all(_place(b.path) == _place(n.path) and _alike(b.mark, n.mark) for b, n in pairs)
    return True if alike and not unverified else None


def with_checksums(
    stored: Sequence[Mapping[str, Any]], paths: Sequence[str], checksums: Checksums
) -> list[dict[str, Any]]:
    """What metadata say of files, with the checksums added that they were found to have since."""
    if len(stored) != len(paths):  # of a store that does not say which files it was
        return [dict(said) for said in stored]
    files = []
    for said, path in zip(stored, paths, strict=True):
        verified = list(said.get("checksums", ()))
        verified += [str(new) for new in checksums.get(path, ()) if str(new) not in verified]
        files.append(dict(said) | ({"checksums": verified} if verified else {}))
    return files


def _place(path: str) -> str:
    return urlsplit(path)._replace(query="", fragment="").geturl() if is_url(path) else path


def _alike(before: int | str | None, now: int | str | None) -> bool:
    return before == now or before is None or now is None


class InputFiles:
    """The files of one trait while they are read; `opener` is for `open_sumstats`.

    Parameters
    ----------
    paths : where they are for this process. names : what they are called in the store, if not the same.
    checksums : by name.

    Raises
    ------
    InputError : a local file is not there.
    """

    def __init__(
        self, paths: Sequence[str], checksums: Checksums | None = None, names: Sequence[str] | None = None
    ) -> None:
        self._names = list(names or paths)
        given = checksums or {}
        self._files = {
            path: SourceFile(path, hasher=xxhash.xxh3_128, checksums=given.get(name, ()))
            for path, name in zip(paths, self._names, strict=True)
        }
        self._verified = [[str(checksum) for checksum in given.get(name, ())] for name in self._names]
        self._before = {path: FileState.of(path) for path in paths if not is_url(path)}

    def __enter__(self) -> InputFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def opener(self, path: str) -> SourceFile:
        """The source of one of the paths."""
        return self._files[path]

    def states(self) -> list[dict[str, Any]]:
        """The files as metadata have them; once they were read."""
        found = []
        for (path, file), name, verified in zip(
            self._files.items(), self._names, self._verified, strict=True
        ):
            state = self._before.get(path)
            if state is None:
                version = None if file.state is None else file.state.version
                state = FileState(name, file.size, version)
            said = FileState(name, state.size, state.mark).to_store()
            found.append(said | ({"checksums": verified} if verified else {}))
        return found

    def hash(self, how: Mapping[str, Any]) -> str:
        """Digest of contents and reading options, see `input_hash`.

        Raises
        ------
        InputError : a file that had to be read again for it is not the one of its checksum.
        """
        digests = []
        for file in self._files.values():
            file.read_through()  # of what was read as a stream nothing is left
            assert file.digest is not None
            digests.append(file.digest)
        return _joined(digests, how)


def input_hash(paths: Sequence[str], how: Mapping[str, Any], checksums: Checksums | None = None) -> str:
    """Digest of the files' contents, in order, and of how they are read; names and places do not count.

    Raises
    ------
    InputError : a file cannot be read, or is not the one of its checksum.
    """
    if any(map(is_url, paths)):
        log.info("%s is downloaded to compare it with what was imported", paths[0])
    with InputFiles(paths, checksums) as files:
        return files.hash(how)


def _joined(digests: Iterable[str], how: Mapping[str, Any]) -> str:
    joined = ContentHash()
    for digest in digests:
        joined.add_text(digest)
    for name, value in sorted(how.items()):
        joined.add_text(f"{name} {sorted(value.items()) if isinstance(value, dict) else value!r}")
    return joined.hexdigest()
