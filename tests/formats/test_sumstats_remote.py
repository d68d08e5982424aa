"""GWAS behind URLs: whatever the network does, either the same bytes or one clear message."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import pickle
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.error import URLError

import numpy as np
import pytest
import xxhash

from gputwas.errors import InputError
from gputwas.formats.sumstats import inflate, open_sumstats, sniff, web
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.examine import natural_key, resolve_paths
from gputwas.formats.sumstats.inflate import blocks
from gputwas.formats.sumstats.resume import KEPT_BYTES, Retry
from gputwas.formats.sumstats.sources import SourceFile, base_name, open_source, remote_state
from tests.web import WebServer, patience, serving

HEADER = "SNP\tA1\tA2\tBETA\tSE\tP\n"
TEXT = (HEADER + "".join(f"rs{i}\tA\tG\t0.{i % 9}1\t0.1\t0.5\n" for i in range(40_000))).encode()
NOISE = np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with patience(), serving() as running:
        yield running


def content(url: str) -> bytes:
    with open_source(url) as stream:
        return io.BufferedReader(stream, 1 << 16).read()


def refused(url: str) -> str:
    with pytest.raises(InputError) as caught:
        content(url)
    assert caught.value.exit_code == 3 and url in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value), (
        "it must leave a worker process"
    )
    return str(caught.value)


@pytest.mark.parametrize("path", ["/a.gz", "/with blank/ü.gz?key=1&x=2#part"])
def test_the_bytes_are_those_of_the_server(server, path):
    server.put(path.partition("?")[0].replace(" ", "%20").replace("ü", "%C3%BC"), NOISE)
    assert content(server.url(path)) == NOISE
    assert len(server.log) == 1, "one request is enough"
    assert all(agent.startswith("gputwas/") for agent in server.agents)


@pytest.mark.parametrize("more", [{"chunked": True}, {"sized": False}, {"etags": [None]}, {"ranges": False}])
def test_servers_that_say_little(server, more):
    assert content(server.put("/a", NOISE, **more)) == NOISE


def test_an_object_of_unknown_size_is_read_again_without_asking_for_more(server):
    stream = open_source(server.put("/a", NOISE[:1000], sized=False))
    with stream:
        for _ in range(2):
            assert stream.readall() == NOISE[:1000]
            stream.rewind()
    assert server.gets() == [""]


def test_a_server_that_does_not_say_the_length_is_warned_of(server, caplog):
    for name, more in (("/a", {"sized": False}), ("/b", {"chunked": True}), ("/c", {})):
        content(server.put(name, NOISE[:1000], **more))
        assert ("does not say how long the file is" in caplog.text) == (name == "/a")
        caplog.clear()


def test_503_twice_then_200(server):
    assert content(server.put("/a", NOISE, statuses=[503, 503])) == NOISE
    assert len(server.log) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 504, 0])
def test_what_may_pass_is_tried_again(server, status):
    assert content(server.put("/a", b"x", statuses=[status])) == b"x"


def test_patience_has_an_end(server):
    message = refused(server.put("/a", NOISE, statuses=[503] * 9))
    assert len(server.log) == 4
    assert "cannot be downloaded: the server answers 503 Service Unavailable (4 tries in a row)" in message


@pytest.mark.parametrize(
    ("status", "words"), [(404, "is not there"), (410, "is not there"), (403, "access is refused"),
                          (401, "access is refused"), (400, "cannot be downloaded")]
)  # fmt: skip
def test_what_will_not_pass_is_said_at_once(server, status, words):
    message = refused(server.put("/a", NOISE, statuses=[status]))
    assert f"{words}: the server answers {status}" in message and len(server.log) == 1


def test_broken_off_half_way_goes_on_there(server):
    assert content(server.put("/a", NOISE, cuts=[1_000_000, 500_000, 0])) == NOISE
    assert server.gets() == ["", "bytes=1000000-", "bytes=1500000-", "bytes=1500000-"]


def test_chunks_broken_off_half_way(server):
    assert content(server.put("/a", NOISE, cuts=[1_000_000], chunked=True)) == NOISE
    assert len(server.gets()) == 2


def test_a_server_that_ignores_ranges_sends_the_start_again(server):
    assert content(server.put("/a", NOISE, cuts=[1_000_000, 2_000_000], ranges=False)) == NOISE
    assert server.gets() == ["", "bytes=1000000-", "bytes=2000000-"]


def test_breaking_off_for_ever_says_how_far_it_came(server):
    message = refused(server.put("/a", NOISE, cuts=[1_000_000] + [0] * 9))
    assert "the connection ended early (4 tries in a row) (found 1,000,000 bytes of 3,000,000)" in message


def test_progress_renews_patience(server):
    data = NOISE * 4
    cuts = [1_200_000] * 9  # more failures than would be endured in a row
    assert content(server.put("/a", data, cuts=cuts)) == data
    assert len(server.gets()) == 10


@pytest.mark.parametrize("ranges", [True, False])
def test_an_object_that_changes_in_between(server, ranges):
    message = refused(server.put("/a", NOISE, cuts=[1_000_000], etags=['"v1"', '"v2"'], ranges=ranges))
    assert 'changed on the server while it was read (found ETag "v2" instead of "v1")' in message


def test_an_object_that_becomes_shorter(server):
    url = server.put("/a", NOISE, cuts=[1_000_000], etags=[None])
    stream = open_source(url)
    assert stream.read(10) == NOISE[:10]
    server.things["/a"].data = NOISE[:500_000]
    with stream, pytest.raises(InputError, match="became shorter on the server"):
        io.BufferedReader(stream).read()


def test_only_the_end_was_missing(server):
    """Broken off behind the last byte: the server has nothing from there on, and says how much it has."""
    data = NOISE[: 1 << 21]
    url = server.put("/a", data, cuts=[len(data)], chunked=True)
    assert content(url) == data and server.gets() == ["", "bytes=2097152-"]
    message = refused(server.put("/b", data, cuts=[len(data)], chunked=True, etags=['"v1"', '"v2"']))
    assert "changed on the server" in message


def test_weak_marks_are_compared_but_not_sent(server):
    assert content(server.put("/a", NOISE, cuts=[1_000_000], etags=['W/"v1"'])) == NOISE


def test_another_part_than_asked_for_is_not_taken(server):
    message = refused(server.put("/a", NOISE, cuts=[1_000_000], misplaced=7))
    assert "the server sent another part than was asked for (4 tries in a row)" in message


def test_redirections_are_followed(server):
    server.put("/b", NOISE, cuts=[1_000_000])
    assert content(server.put("/a", moved="/b")) == NOISE
    assert "cannot be downloaded" in refused(server.put("/f", moved="file:///etc/passwd"))
    assert "cannot be downloaded" in refused(server.put("/loop", moved="/loop"))


def test_proxies_of_the_environment_are_used(server, monkeypatch):
    server.put("http://elsewhere.invalid/a", NOISE)
    monkeypatch.setenv("http_proxy", server.url(""))
    web._opener.cache_clear()
    assert content("http://elsewhere.invalid/a") == NOISE


def test_a_certificate_that_is_not_accepted_is_told_at_once(monkeypatch):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    def refuse(*args: object, **options: object) -> None:
        raise URLError(error)

    monkeypatch.setattr(web._opener(), "open", refuse)
    try:
        assert "certificate is not accepted (self-signed certificate)" in refused("https://a.org/x")
    finally:
        web._opener.cache_clear()


def test_a_host_that_is_not_there(server):
    assert "the host cannot be reached" in refused("http://127.0.0.1:1/a") and not server.log


def failing(monkeypatch: pytest.MonkeyPatch, failures: list[BaseException]) -> list[float]:
    """Let the first attempts to connect fail; returns what is appended to at each of them."""
    attempts: list[float] = []
    opener = web._opener()
    original = opener.open

    def attempt(*args: object, **options: object) -> object:
        attempts.append(time.monotonic())
        if failures:
            raise failures.pop(0)
        return original(*args, **options)

    monkeypatch.setattr(opener, "open", attempt)
    return attempts


@pytest.mark.parametrize(
    "reason", [TimeoutError("timed out"), OSError(errno.EHOSTUNREACH, "No route to host"),
               OSError(errno.ENETUNREACH, "Network is unreachable"), ConnectionRefusedError("refused")]
)  # fmt: skip
def test_packets_that_are_dropped_are_a_host_that_is_not_there(server, monkeypatch, reason):
    url = server.put("/a", NOISE)
    attempts = failing(monkeypatch, [URLError(reason) for _ in range(9)])
    assert "the host cannot be reached" in refused(url) and len(attempts) == 2


def test_a_host_that_answered_before_is_given_all_the_tries(server, monkeypatch):
    url = server.put("/a", NOISE)
    refusal = URLError(ConnectionRefusedError("refused"))
    attempts = failing(monkeypatch, [refusal, TimeoutError("an answer that does not come"), refusal])
    assert content(url) == NOISE and len(attempts) == 4, "not two in a row"
    stream = open_source(server.put("/b", NOISE, cuts=[1_000_000]))
    with stream:
        assert len(stream.read(10)) == 10
        attempts = failing(monkeypatch, [refusal] * 2)
        assert len(io.BufferedReader(stream, 1 << 17).read()) == len(NOISE) - 10 and len(attempts) == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [("ftp://ftp.ebi.ac.uk/a.gz", "ftp:// addresses are not read. Most such servers"),
     ("gs://bucket/a", "gs:// addresses are not read"), ("http:///a", "names no host"),
     ("http://me:secret@host/a", "carries a user name"), ("http://127.0.0.1:x/a", "is no usable address"),
     ("s3://bucket", "names no object")],
)  # fmt: skip
def test_addresses_that_are_refused(url, words):
    with pytest.raises(InputError) as caught:
        open_source(url).read(1)
    assert words in str(caught.value)


def test_a_server_that_says_nothing(server):
    with patience(timeout=0.05, tries=2), pytest.raises(InputError, match=r"no answer within 0\.05 s"):
        content(server.put("/a", b"x" * 100, part=10, delay=0.2))


def test_a_slow_server_is_not_a_dead_one(server):
    with patience(timeout=0.5):
        assert content(server.put("/a", NOISE[:100], part=10, delay=0.01)) == NOISE[:100]
    assert len(server.log) == 1


def test_state_without_a_download(server):
    url = server.put("/a", NOISE, headers={"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"})
    state = remote_state(url)
    assert (state.size, state.version) == (len(NOISE), '"v1"')
    assert state.modified is not None and [method for method, _, _ in server.log] == ["HEAD"]


@pytest.mark.parametrize("ranges", [True, False])
def test_state_where_head_is_refused(server, ranges):
    state = remote_state(server.put("/a", NOISE, head=False, ranges=ranges))
    assert (state.size, state.etag) == (len(NOISE), '"v1"')
    with pytest.raises(InputError, match="is not there"):
        remote_state(server.url("/nothing"))


def test_pauses_double_up_to_a_limit_and_respect_the_server():
    retry = Retry(first=1, longest=10)
    for failures, most in ((1, 1), (2, 2), (3, 4), (9, 10)):
        drawn = [retry.pause(failures) for _ in range(50)]
        assert most / 2 <= min(drawn) < max(drawn) <= most
    assert retry.pause(1, asked=5) == 5 and retry.pause(1, asked=120) == 120, "longer than our own"
    assert retry.pause(1, asked=10_000) == 300


def test_retry_after_is_respected(server, monkeypatch):
    waited = []
    monkeypatch.setattr(threading.Event, "wait", lambda self, seconds=None: waited.append(seconds))
    assert content(server.put("/a", b"x", statuses=[429], headers={"Retry-After": "7"})) == b"x"
    assert 7 in waited and max(s for s in waited if s) == 7
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert content(server.put("/b", b"x", statuses=[503], headers={"Retry-After": until})) == b"x"
    assert 90 < max(s for s in waited if s) <= 100
    assert content(server.put("/c", b"x", statuses=[503], headers={"Retry-After": "soon"})) == b"x"


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "txt": bytes}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_gwas_behind_a_url_is_read_as_the_file_is(server, tmp_path, kind):
    data = PACKERS[kind](TEXT)
    (tmp_path / "t").write_bytes(data)
    url = server.put(f"/t.txt.{kind}", data, cuts=[len(data) // 2])
    local, remote = (list(open_sumstats(path)) for path in (tmp_path / "t", url))
    assert sum(batch.num_rows for batch in remote) == 40_000 and remote == local
    assert len(server.gets()) == 2 and server.gets()[1].startswith("bytes="), (
        "the head is not downloaded twice"
    )


def test_a_file_larger_than_what_is_kept_is_downloaded_once(server):
    rows = "".join(
        f"rs{i}\tA\tG\t{x:.17f}\t0.1\t0.5\n" for i, x in enumerate(np.random.default_rng(1).random(200_000))
    )
    assert len(rows) > KEPT_BYTES + (1 << 20)
    reader = open_sumstats(server.put("/t.txt", (HEADER + rows).encode()))
    assert sum(batch.num_rows for batch in reader) == 200_000 and server.gets() == [""]
    assert sum(batch.num_rows for batch in reader) == 200_000, "a second reading is a second download"
    assert server.gets() == ["", ""]


def test_files_of_one_trait_do_not_hold_connections_open(server):
    urls = [server.put(f"/chr{i}.txt.gz", gzip.compress(TEXT)) for i in (10, 2, 1)]
    reader = open_sumstats(urls)
    assert [base_name(path) for path in reader.paths] == ["chr1.txt.gz", "chr2.txt.gz", "chr10.txt.gz"]
    assert sum(batch.num_rows for batch in reader) == 120_000


def test_looking_at_the_head_reads_no_more_than_that(server):
    url = server.put("/t.txt", TEXT * 20)
    assert sniff(url).columns["beta"] == "BETA" and server.gets() == [""]


def test_a_web_page_instead_of_a_table(server):
    with pytest.raises(InputError, match="is a web page, not a table"):
        sniff(server.put("/t.txt.gz", b"<!DOCTYPE html>\n<html><body>please log in</body></html>\n"))


def test_parquet_behind_a_url_is_refused(server):
    with pytest.raises(InputError, match="is a Parquet file, which cannot be read from its first byte"):
        sniff(server.put("/t.parquet", b"PAR1" + bytes(100)))


def test_an_error_in_the_middle_ends_the_download(server):
    data = HEADER + "".join(f"rs{i}\tA\tG\t0.1\t0.1\t0.5\n" for i in range(1000)) + "rs\tA\tG\tx\t1\t1\n"
    url = server.put("/t.txt", data.encode() + TEXT[len(HEADER) :] * 20)
    with pytest.raises(InputError, match="is not a number"):
        list(open_sumstats(url, block_bytes=1 << 16))
    assert not [thread for thread in threading.enumerate() if thread.name == "inflate"]


def test_giving_up_while_waiting_for_a_server_is_quick(server, caplog):
    """The consumer goes while the thread that downloads is in a pause of half a minute."""
    caplog.set_level("INFO")
    url = server.put("/t.txt", TEXT, cuts=[100_000])
    with patience(first=30.0, longest=30.0):
        source = blocks(url, "plain", size=1 << 16)
        next(source)
        deadline = time.monotonic() + 10
        while "trying again" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.001)
        began = time.monotonic()
        source.close()
        assert time.monotonic() - began < 5
    assert not [thread for thread in threading.enumerate() if thread.name == "inflate"]


@pytest.mark.parametrize(("etags", "words"), [(['"v1"'], ""), (['"v1"', '"v1"', '"v2"'], "changed on the")])
def test_reading_anew_after_giving_up_has_all_its_tries(server, caplog, etags, words):
    """The thread of the first reading waits for the server when its consumer leaves."""
    caplog.set_level("INFO")
    file = SourceFile(server.put("/t.txt", TEXT, cuts=[100_000, 200_000, 300_000, 0], etags=etags))
    with patience(first=30.0, longest=30.0):
        source = blocks(file, "plain", size=1 << 16)
        next(source)
        deadline = time.monotonic() + 10
        while "trying again" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.001)
        source.close()
    if words:
        with pytest.raises(InputError, match=words):
            list(blocks(file, "plain", size=1 << 16))
    else:
        assert b"".join(block.data.tobytes() for block in blocks(file, "plain", size=1 << 16)) == TEXT
        assert server.gets()[1] == "bytes=100000-", "what was received is not asked for again"
        assert len(server.gets()) == 5
    file.close()


def test_a_thread_that_still_reads_does_not_disturb_the_next_reading(server, monkeypatch):
    """It is blocked in a request, and lives longer than it is waited for."""
    monkeypatch.setattr(inflate, "_PATIENCE", 0.01)
    url = server.put("/t.txt", TEXT, part=100_000, delay=0.4)
    file = SourceFile(url)
    source = blocks(file, "plain", size=1 << 16)
    next(source)
    source.close()
    left = [thread for thread in threading.enumerate() if thread.name == "inflate"]
    assert left, "else nothing is tested"
    server.things["/t.txt"].delay = 0.0
    assert b"".join(block.data.tobytes() for block in blocks(file, "plain", size=1 << 16)) == TEXT
    for thread in left:
        thread.join(10)
    file.close()


def summed(path: str, **options) -> SourceFile:
    file = SourceFile(path, hasher=xxhash.xxh3_128, **options)
    list(open_sumstats(path, opener=lambda _: file))
    return file


@pytest.mark.parametrize("kind", PACKERS)
def test_digest_and_size_come_with_reading(server, tmp_path, kind):
    data = PACKERS[kind](TEXT) + (b"" if kind == "txt" else PACKERS[kind](b"rs1\tA\tG\t1\t1\t0.5\n"))
    (tmp_path / "t").write_bytes(data)
    for path in (str(tmp_path / "t"), server.put("/t", data, cuts=[len(data) // 3])):
        file = summed(path)
        assert (file.digest, file.size) == (xxhash.xxh3_128_hexdigest(data), len(data))


def test_checksums_are_compared(server, tmp_path):
    data = gzip.compress(TEXT)
    (tmp_path / "t").write_bytes(data)
    good = (
        Checksum("md5", hashlib.md5(data).hexdigest()),
        Checksum("sha256", hashlib.sha256(data).hexdigest()),
    )
    wrong = Checksum("md5", "0" * 32)
    for path in (str(tmp_path / "t"), server.put("/t", data, cuts=[len(data) // 3])):
        assert summed(path, checksums=good).digest is not None
        with pytest.raises(InputError, match="its md5 is not the one that was given") as caught:
            summed(path, checksums=(wrong,))
        assert f"found {good[0].value} over {len(data):,} bytes" in str(caught.value)
        assert f"expected {'0' * 32}" in str(caught.value)


def test_a_file_that_is_not_read_as_a_stream_is_read_through(tmp_path):
    (tmp_path / "t").write_bytes(NOISE)
    file = SourceFile(tmp_path / "t", hasher=xxhash.xxh3_128)
    file.read_through()
    assert (file.digest, file.size) == (xxhash.xxh3_128_hexdigest(NOISE), len(NOISE))


def test_names_and_order():
    assert base_name("https://a.org/x/0001.txt.gz?download=1#top") == "0001.txt.gz"
    assert base_name("https://a.org/my%20trait.txt") == "my trait.txt"
    assert base_name("/data/x.txt") == "x.txt" and base_name("https://a.org/") == "a.org"
    urls = ["https://a.org/chr10.gz?x=[1]*", "https://a.org/chr2.gz?x=1"]
    assert resolve_paths(urls) == urls[::-1], "a URL is no pattern"
    assert sorted(urls, key=natural_key) == urls[::-1]
