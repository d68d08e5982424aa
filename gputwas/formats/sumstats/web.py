"""Objects on web servers.

In: an http or https URL. Out: its state (size, ETag, time of change) and connections at any byte, by range
requests where the server knows them (RFC 9110, section 14). Proxies come from the environment, as for curl.
"""

from __future__ import annotations

import errno
import functools
import http.client
import io
import logging
import re
import socket
import ssl
import urllib.request
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

import gputwas
from gputwas.errors import InputError
from gputwas.formats.sumstats import resume
from gputwas.formats.sumstats.resume import NoAnswerError, Passing, RemoteState

__all__ = ["WebObject"]

log = logging.getLogger(__name__)

_PASSING_CODES = (408, 425, 429, 500, 502, 503, 504)
_HEAD_REFUSED = (400, 401, 403, 405, 501)  # also of signed URLs, which hold for GET only
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH)
_SKIP_BYTES = 1 << 18
_UNSATISFIED_RANGE = re.compile(r"bytes\s+\*/(\d+)")  # RFC 9110, 14.4, with status 416
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)")


class WebObject:
    """An object behind an http or https URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or "@" in parts.netloc:
            raise InputError(
                "names no host" if not parts.hostname else "carries a user name",
                path=url,
                expected="https://host/path",
                remedy="Give an address that needs no sign-in, for example a signed link.",
            )
        self.url = url
        self._quoted = quote(url, safe="%/:=&?~#+!$,;'@()*[]").partition("#")[0]

    def state(self) -> RemoteState:
        """Ask for the headers only (HEAD), or where that is refused for the first byte."""
        for method, headers in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):
            try:
                with self._request(method, headers) as response:
                    return _state(response)
            except _Refused as refused:
                if method == "GET" or refused.code not in _HEAD_REFUSED:
                    raise refused.as_error(self.url) from refused
        raise AssertionError("one of the two answers or raises")

    def connect(self, start: int, known: RemoteState | None) -> _WebConnection:
        """Open the object at byte `start`; what a server sends before it is skipped."""
        headers = {}
        if start:
            headers["Range"] = f"bytes={start}-"
            if known is not None and (mark := _strong(known)) is not None:
                headers["If-Range"] = mark
        try:
            response = self._request("GET", headers)
        except _Refused as refused:
            if start and refused.size == start:  # nothing was missing but the end itself
                return _WebConnection(io.BytesIO(), refused.state)
            raise refused.as_error(self.url, behind_end=start > 0) from refused
        connection = _WebConnection(response, _state(response))
        if not start and connection.state.size is None and not _chunked(response):
            log.warning(
                "%s: the server does not say how long the file is, so that a table cut short goes unnoticed "
                "unless it is compressed or a checksum is given",
                self.url,
            )
        try:
            self._go_to(start, connection, response, known)
        except BaseException:
            connection.close()
            raise
        return connection

    def _go_to(
        self,
        start: int,
        connection: _WebConnection,
        response: http.client.HTTPResponse,
        known: RemoteState | None,
    ) -> None:
        if response.status == 206:
            given = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if given is None or int(given[1]) != start:
                raise Passing("the server sent another part than was asked for")
        elif known is None or known.differs(connection.state) is None:
            connection.skip(start)

    def _request(self, method: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        said = {"User-Agent": f"gputwas/{gputwas.__version__}", "Accept-Encoding": "identity", **headers}
        try:
            request = urllib.request.Request(self._quoted, headers=said, method=method)
            answer: http.client.HTTPResponse = _opener().open(request, timeout=resume.RETRY.timeout)
            return answer
        except HTTPError as error:
            with error:
                if error.code in _PASSING_CODES:
                    raise Passing(
                        f"the server answers {error.code} {error.reason}", asked=_asked(error)
                    ) from error
                raise _Refused(error.code, error.reason, error.headers) from error
        except URLError as error:
            raise _unreached(self.url, error.reason) from error
        except (http.client.InvalidURL, UnicodeError, ValueError) as error:
            raise InputError(f"is no usable address ({error})", path=self.url) from error
        except (OSError, http.client.HTTPException) as error:
            raise Passing(_words(error)) from error


class _WebConnection:
    def __init__(self, response: http.client.HTTPResponse | io.BytesIO, state: RemoteState) -> None:
        self._response, self.state = response, state

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise Passing(_words(error)) from error

    def skip(self, count: int) -> None:
        scratch = memoryview(bytearray(min(count, _SKIP_BYTES)))
        while count:
            done = self.readinto(scratch[: min(count, len(scratch))])
            if not done:
                raise Passing("the connection ended early")
            count -= done

    def close(self) -> None:
        self._response.close()


class _Refused(Exception):
    """An answer that waiting will not mend, with its code, and the object's size if the server says it."""

    def __init__(self, code: int, reason: str, headers: Message | None = None) -> None:
        super().__init__(f"the server answers {code} {reason}".rstrip())
        self.code = code
        said: Message = Message() if headers is None else headers
        given = _UNSATISFIED_RANGE.match(said.get("Content-Range", "")) if code == 416 else None
        self.size = None if given is None else int(given[1])
        self.state = RemoteState(self.size, said.get("ETag"), said.get("Last-Modified"))

    def as_error(self, url: str, *, behind_end: bool = False) -> InputError:
        """Say it to the user; `behind_end`: the request was for what follows a part that came before."""
        if self.code == 416 and behind_end:
            return InputError("became shorter on the server while it was read", path=url, remedy="Run again.")
        if self.code in (404, 410):
            problem, remedy = "is not there", "Check the address, for example in a browser."
        elif self.code in (401, 403, 407):
            problem = "access is refused"
            remedy = (
                "It needs a sign-in, or a signed link has run out: get a new one, or download it by hand."
            )
        else:
            problem, remedy = "cannot be downloaded", "Check the address, for example in a browser."
        return InputError(f"{problem}: {self}", path=url, remedy=remedy)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    """Http and https only: a redirection cannot lead to files or FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _state(response: http.client.HTTPResponse) -> RemoteState:
    headers = response.headers
    size: str | None = None
    if response.status == 206:
        given = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        size = given[3] if given is not None else None
    elif not _chunked(response):
        size = headers.get("Content-Length")
    number = int(size) if size is not None and size.isdigit() else None
    return RemoteState(number, headers.get("ETag"), headers.get("Last-Modified"))


def _chunked(response: http.client.HTTPResponse) -> bool:
    return "chunked" in response.headers.get("Transfer-Encoding", "").lower()


def _strong(known: RemoteState) -> str | None:
    """What If-Range may hold: an ETag that stands for every byte, else the time of change."""
    if known.etag and not known.etag.startswith("W/"):
        return known.etag
    return known.modified


def _asked(error: HTTPError) -> float | None:
    """Seconds that the server wants us to wait: it says so, or until when (RFC 9110, 10.2.3)."""
    text = error.headers.get("Retry-After", "") if error.headers is not None else ""
    if text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _unreached(url: str, reason: object) -> Exception:
    """Tell a name that does not exist and a certificate that does not hold from what may pass."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return InputError(
            f"the server's certificate is not accepted ({reason.verify_message})",
            path=url,
            remedy="If a proxy of your site signs it, name its certificate: SSL_CERT_FILE=/path/to/ca.pem.",
        )
    if isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME:
        return NoAnswerError("there is no such host", path=url, remedy="Check the address and the network.")
    if isinstance(reason, str) and "unknown url type" in reason:
        return InputError(f"cannot be downloaded ({reason})", path=url)
    # A timeout here is that of connecting: one of an answer that does not come is no URLError.
    unreached = isinstance(reason, socket.gaierror | ConnectionRefusedError | TimeoutError)
    if unreached or (isinstance(reason, OSError) and reason.errno in _NO_WAY):
        return Passing(f"the host cannot be reached ({_words(reason)})", unreached=True)
    return Passing(_words(reason))


def _words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {resume.RETRY.timeout:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended early"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
