"""GWAS in S3 buckets: the same web server plays the bucket, for it answers HEAD and ranges as S3 does."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gputwas.errors import InputError
from gputwas.formats.sumstats import open_sumstats, s3
from gputwas.formats.sumstats.resume import Passing
from gputwas.formats.sumstats.sources import open_source, remote_state
from tests.web import WebServer, patience, serving

pytest.importorskip("pyarrow._s3fs", reason="pyarrow was built without S3")

HEADER = "SNP\tA1\tA2\tBETA\tSE\tP\n"
TEXT = (HEADER + "".join(f"rs{i}\tA\tG\t0.{i % 9}1\t0.1\t0.5\n" for i in range(40_000))).encode()
MODIFIED = {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[WebServer]:
    for name in ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with patience(), serving() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url(""))
        s3._file_system.cache_clear()
        yield running
    s3._file_system.cache_clear()


def test_a_gwas_in_a_bucket_is_read_as_the_file_is(server, tmp_path):
    data = gzip.compress(TEXT)
    server.put("/bucket/some/t.txt.gz", data, headers=MODIFIED)
    (tmp_path / "t").write_bytes(data)
    assert list(open_sumstats("s3://bucket/some/t.txt.gz")) == list(open_sumstats(tmp_path / "t"))
    state = remote_state("s3://bucket/some/t.txt.gz")
    assert (state.size, state.etag) == (len(data), '"v1"')


def test_parts_of_a_large_object_come_in_order(server, monkeypatch):
    monkeypatch.setattr(s3, "_PART_BYTES", 100_000)
    server.put("/bucket/t", TEXT, headers=MODIFIED)
    with open_source("s3://bucket/t") as stream:
        assert io.BufferedReader(stream, 1 << 17).read() == TEXT
    assert len(server.gets()) == -(-len(TEXT) // 100_000)


def test_an_object_that_is_not_there(server):
    with pytest.raises(InputError, match=r"s3://bucket/nothing: is not there"):
        open_source("s3://bucket/nothing").read(1)


def test_access_refused_with_and_without_credentials(server, monkeypatch):
    server.put("/bucket/t", TEXT, statuses=[403] * 9)
    with pytest.raises(InputError, match=r"access is refused.*AWS_ACCESS_KEY_ID"):
        open_source("s3://bucket/t").read(1)


def test_a_public_object_is_read_in_spite_of_credentials_that_are_refused(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of another account")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server.put("/bucket/t", TEXT, statuses=[403], headers=MODIFIED)
    with open_source("s3://bucket/t") as stream:
        assert stream.read(10) == TEXT[:10]


def test_an_object_that_changes_in_between(server, monkeypatch):
    monkeypatch.setattr(s3, "_PART_BYTES", 100_000)
    server.put("/bucket/t", TEXT, headers=MODIFIED)
    with open_source("s3://bucket/t") as stream:
        assert stream.read(10) == TEXT[:10]
        thing = server.things["/bucket/t"]
        thing.statuses, thing.etags = [400], ['"v2"']
        with pytest.raises(InputError, match=r'changed on the server.*"v2" instead of "v1"'):
            io.BufferedReader(stream, 1 << 17).read()


def test_breaking_off_for_ever_says_how_far_it_came(server, monkeypatch):
    monkeypatch.setattr(s3, "_PART_BYTES", 100_000)
    server.put("/bucket/t", TEXT, headers=MODIFIED)
    stream = open_source("s3://bucket/t")
    with stream:
        assert len(stream.read(100_000)) == 100_000
        server.things["/bucket/t"].statuses = [400] * 99
        with pytest.raises(InputError, match=r"cannot be downloaded.*found 100,000 bytes of 988,910"):
            stream.read(1)


@pytest.mark.parametrize("key", ["0404.txt.gz", "403/0401.txt.gz", "NO_SUCH ACCESS_DENIED's not found"])
def test_what_a_key_is_called_says_nothing_about_an_error(server, monkeypatch, key):
    server.put(f"/bucket/{key}".replace(" ", "%20"), TEXT, headers=MODIFIED)
    address = f"s3://bucket/{key}"
    for path, thing in list(server.things.items()):
        server.things[path.replace("'", "%27")] = thing
    thing.statuses = [400, 400]
    assert remote_state(address).size == len(TEXT), "it was tried again"
    thing.statuses = [403] * 9
    with pytest.raises(InputError, match="access is refused"):
        remote_state(address)
    server.things.clear()
    with pytest.raises(InputError, match="is not there"):
        remote_state(address)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("When reading '{}' in bucket '{}': AWS Error UNKNOWN (HTTP status 503) during HeadObject", Passing),
     ("When reading '{}' in bucket '{}': AWS Error UNKNOWN (HTTP status 404) during HeadObject",
      FileNotFoundError),
     ("When reading '{}' in bucket '{}': AWS Error NO_SUCH_KEY during GetObject", FileNotFoundError),
     ("When reading '{}' in bucket '{}': AWS Error UNKNOWN (HTTP status 403) during GetObject",
      PermissionError),
     ("When reading '{}' in bucket '{}': AWS Error ACCESS_DENIED during GetObject", PermissionError),
     ("When reading '{}' in bucket '{}': AWS Error NETWORK_CONNECTION: 404 bytes of 403 came", Passing)],
)  # fmt: skip
@pytest.mark.parametrize("path", ["my-403-bucket/0404.txt.gz", "404/403", "b/HTTP status 404"])
def test_words_of_the_client(text, kind, path):
    bucket, _, key = path.partition("/")
    assert type(s3._told_apart(text.format(key, bucket), path)) is kind


def test_a_pyarrow_without_s3_says_so(monkeypatch):
    import pyarrow.fs

    s3._file_system.cache_clear()
    monkeypatch.delattr(pyarrow.fs, "S3FileSystem")
    with pytest.raises(InputError, match="this pyarrow was built without S3"):
        open_source("s3://bucket/t").read(1)


def test_a_region_is_asked_for_once_and_a_bucket_that_is_not_there_is_told(monkeypatch):
    import pyarrow.fs

    asked = []

    def resolve(bucket: str) -> str:
        asked.append(bucket)
        if bucket == "nothing":
            raise OSError(f"Bucket '{bucket}' not found")
        return "eu-west-2"

    monkeypatch.setattr(pyarrow.fs, "resolve_s3_region", resolve)
    monkeypatch.setattr(pyarrow.fs, "S3FileSystem", lambda **options: SimpleNamespace(options=options))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    s3._file_system.cache_clear()
    assert s3._file_system("bucket", True).options["region"] == "eu-west-2"
    assert s3._file_system("bucket", True) is s3._file_system("bucket", True) and asked == ["bucket"]
    with patience(), pytest.raises(InputError, match="s3://nothing/key: is not there"):
        open_source("s3://nothing/key").read(1)
    s3._file_system.cache_clear()
