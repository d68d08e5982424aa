"""A web server for tests that can misbehave in the ways that servers do.

In: what lies under which path, and what goes wrong with it. Out: URLs, and a log of the requests made.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gputwas.formats.sumstats import resume, web

__all__ = ["Thing", "WebServer", "patience", "serving"]


@dataclass
class Thing:
    """What lies under a path.

    Attributes
    ----------
    data : its bytes. statuses : answers to the first requests instead of it, 0 being none at all.
    cuts : bytes after which each of the first GET answers breaks off. ranges : whether Range is understood.
    head : whether HEAD is. sized : whether the length is said, else the answer ends with the connection.
    chunked : sent in chunks. etags : one for each GET (the last one stays), None for none. delay : seconds
    between parts of `part` bytes. moved : where a redirection leads. misplaced : by how many bytes
    a range is not the one asked for. headers : sent besides.
    """

    data: bytes = b""
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    head: bool = True
    sized: bool = True
    chunked: bool = False
    etags: list[str | None] = field(default_factory=lambda: ['"v1"'])
    delay: float = 0.0
    part: int = 1 << 16
    moved: str = ""
    misplaced: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class WebServer:
    """`things`: path -> `Thing`. `log`: (method, path, Range or "") of every request. `url(path)`."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.log: list[tuple[str, str, str]] = []
        self.agents: set[str] = set()
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, path: str, data: bytes = b"", **more: object) -> str:
        """Lay something under a path and return its URL."""
        self.things[path] = Thing(data, **more)  # type: ignore[arg-type]
        return self.url(path)

    def gets(self) -> list[str]:
        """The Range of every GET."""
        return [ranged for method, _, ranged in self.log if method == "GET"]


@contextmanager
def serving() -> Iterator[WebServer]:
    """Run a server for the length of a `with`."""
    state = WebServer()

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def patience(**changes: float) -> Iterator[None]:
    """Pauses of milliseconds, and no proxy of the surroundings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        web._opener.cache_clear()
        settings = {"tries": 4, "unreached": 2, "first": 0.001, "longest": 0.002, "timeout": 5.0, **changes}
        patch.setattr(resume, "RETRY", resume.Retry(**settings))  # type: ignore[arg-type]
        yield
    web._opener.cache_clear()


class _Handler(BaseHTTPRequestHandler):
    server_state: WebServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.close_connection = True
        state, path = self.server_state, self.path.partition("?")[0]
        state.log.append((self.command, self.path, self.headers.get("Range", "")))
        state.agents.add(self.headers.get("User-Agent", ""))
        thing = state.things.get(path)
        if thing is None:
            return self._refuse(404)
        if self.command == "HEAD" and not thing.head:
            return self._refuse(405)
        if thing.statuses and (status := thing.statuses.pop(0)) != 200:
            return self._refuse(status, thing.headers) if status else None
        if thing.moved:
            return self._refuse(302, {"Location": thing.moved})
        self._send(thing)

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, thing: Thing) -> None:
        get = self.command == "GET"
        etag = thing.etags.pop(0) if get and len(thing.etags) > 1 else thing.etags[0]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if thing.ranges else None
        if self.headers.get("If-Range", etag) != etag:
            asked = None
        start = int(asked[1]) + thing.misplaced if asked else 0
        end = int(asked[2]) + 1 if asked and asked[2] else len(thing.data)
        if asked and start >= len(thing.data):
            return self._refuse(416, {"Content-Range": f"bytes */{len(thing.data)}"})
        body = thing.data[start:end]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(thing.data)}")
        if etag:
            self.send_header("ETag", etag)
        if thing.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif thing.sized:
            self.send_header("Content-Length", str(len(body)))
        for name, value in thing.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if get:
            self._write(thing, body)

    def _write(self, thing: Thing, body: bytes) -> None:
        cut = thing.cuts.pop(0) if thing.cuts else None
        sent = body if cut is None else body[:cut]
        try:
            for place in range(0, len(sent), thing.part):
                part = sent[place : place + thing.part]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if thing.chunked else part)
                time.sleep(thing.delay)
            if thing.chunked and cut is None:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client hung up, as it may
            pass
