"""Objects in S3 buckets, by Arrow's own client.

In: s3://bucket/key. Out: its state and connections at any byte. Credentials are looked up where the AWS tools
look them up; public buckets need none. AWS_ENDPOINT_URL names another server that speaks S3.
"""

from __future__ import annotations

import functools
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gputwas.errors import InputError
from gputwas.formats.sumstats.resume import Passing, RemoteState

__all__ = ["S3Object"]

_PART_BYTES = 8 << 20  # each read of a part is a request of its own
_DENIED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID", "SIGNATURE_DOES_NOT_MATCH",
           "UNRECOGNIZED_CLIENT")  # fmt: skip
_STATUS = re.compile(r"\b(?:HTTP status|status code|response code):? (\d{3})\b", re.IGNORECASE)

Result = TypeVar("Result")


class S3Object:
    """An object behind an s3 URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        bucket, _, key = url[len("s3://") :].partition("/")
        if not bucket or not key or key.endswith("/"):
            raise InputError("names no object", path=url, expected="s3://bucket/key")
        self._bucket, self._path = bucket, f"{bucket}/{key}"
        self._works: int | None = None  # which way of signing has worked

    def state(self) -> RemoteState:
        """Size, ETag and time of change."""
        with self._open() as file:
            return self._passing(lambda: _state(file))

    def connect(self, start: int, known: RemoteState | None) -> _S3Connection:
        """Open the object at byte `start`."""
        return _S3Connection(self._open(), start, self._passing)

    def _open(self) -> Any:
        """An Arrow file; credentials are tried first where there is a sign of any, else last."""
        ways = [False, True] if _has_credentials() else [True, False]
        denied: OSError | None = None
        for anonymous in ways:
            try:
                return self._passing(lambda: self._file(anonymous))  # noqa: B023
            except FileNotFoundError as error:
                raise InputError(
                    "is not there", path=self.url, remedy="Check bucket and key: aws s3 ls."
                ) from error
            except PermissionError as error:
                denied = denied or error
        raise InputError(
            "access is refused",
            path=self.url,
            remedy="It needs credentials with the right to read it: AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        ) from denied

    def _file(self, anonymous: bool) -> Any:
        try:
            system = _file_system(self._bucket, anonymous)
        except ImportError as error:
            raise InputError(
                "this pyarrow was built without S3",
                path=self.url,
                remedy="Install pyarrow from PyPI or conda-forge, or give an https address of the object.",
            ) from error
        return system.open_input_file(self._path)

    def _passing(self, call: Callable[[], Result]) -> Result:
        """Make a call; errors of the client come as FileNotFoundError, PermissionError or `Passing`."""
        try:
            return call()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            raise _told_apart(str(error), self._path) from error


class _S3Connection:
    def __init__(self, file: Any, start: int, passing: Callable[[Callable[[], Any]], Any]) -> None:
        self.state: RemoteState = passing(lambda: _state(file))
        self._file, self._next, self._passing = file, start, passing
        self._part = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        if not len(self._part):
            size = min(_PART_BYTES, (self.state.size or 0) - self._next)
            if size <= 0:
                return 0
            self._part = memoryview(self._passing(lambda: self._file.read_at(size, self._next)))
            self._next += len(self._part)
        count = min(len(buffer), len(self._part))
        buffer[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def close(self) -> None:
        self._part = memoryview(b"")
        self._file.close()


def _state(file: Any) -> RemoteState:
    said = {_text(name): _text(value) for name, value in (file.metadata() or {}).items()}
    return RemoteState(file.size(), said.get("ETag"), said.get("Last-Modified"))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _told_apart(text: str, path: str) -> Exception:
    """The kind of an error of Arrow's client, which says it in words only.

    `path` is bucket/key: both stand in the text, and a key may well be called 0404.txt.gz or NO_SUCH.
    """
    bucket, _, key = path.partition("/")
    said = text
    for name in (path, key, bucket):  # the longest first
        said = said.replace(f"'{name}'", "''")
    status = {found[1] for found in _STATUS.finditer(said)}
    if status & {"401", "403"} or any(mark in said for mark in _DENIED):
        return PermissionError(text)
    if "404" in status or "NO_SUCH" in said or "Bucket '' not found" in said:
        return FileNotFoundError(text)
    return Passing(text.split("\n", 1)[0][:300])


@functools.cache
def _file_system(bucket: str, anonymous: bool) -> Any:
    """Arrow's client; one for all objects of a bucket, as finding its region is a request of its own."""
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    options: dict[str, Any] = {"anonymous": anonymous}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {
            "endpoint_override": parts.netloc,
            "scheme": parts.scheme,
            "region": region or "us-east-1",
        }
    else:
        options["region"] = resolve_s3_region(bucket)
    host = urlsplit(endpoint).hostname or "" if endpoint else "s3.amazonaws.com"
    proxy = urllib.request.getproxies().get("https")
    if proxy and not urllib.request.proxy_bypass(host):
        options["proxy_options"] = proxy
    return S3FileSystem(**options)


def _has_credentials() -> bool:
    if any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN")):
        return True
    return any(map(os.path.exists, _credential_files()))


def _credential_files() -> Iterator[str]:
    yield os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials")
    yield os.environ.get("AWS_CONFIG_FILE") or os.path.expanduser("~/.aws/config")
