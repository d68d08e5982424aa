"""Traits behind URLs and with checksums: what is stored, what a rerun downloads, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gputwas.errors import InputError
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.sources import SourceFile
from gputwas.ingest.gwas import TraitInput, import_gwas
from gputwas.ingest.sources import (
    FileState,
    FileStates,
    InputFiles,
    input_hash,
    same_by_state,
    with_checksums,
)
from gputwas.stores.gwas import GwasStore
from gputwas.stores.hashing import ContentHash, hash_file
from tests.ingest.fakes import random_panel
from tests.web import WebServer, patience, serving

PANEL = random_panel(60)


def text(seed: int) -> bytes:
    effects = np.random.default_rng(seed).normal(size=60)
    rows = (
        f"rs{i + 1} {a} {b} {x:.4f} 0.5 0.1\n"
        for i, (a, b, x) in enumerate(
            zip(PANEL["effect_allele"].to_pylist(), PANEL["other_allele"].to_pylist(), effects, strict=True)
        )
    )
    return ("SNP A1 A2 BETA SE P\n" + "".join(rows)).encode()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with patience(), serving() as running:
        yield running


def put(server: WebServer, name: str, seed: int, **more: object) -> str:
    return server.put(name, gzip.compress(text(seed), mtime=0), **more)


def test_urls_and_files_give_the_same_store_but_for_their_places(server, tmp_path):
    url = put(server, "/t.txt.gz", 1, cuts=[200], statuses=[200, 503])
    path = tmp_path / "t.txt.gz"
    path.write_bytes(server.things["/t.txt.gz"].data)
    import_gwas([TraitInput("t", (url,))], PANEL, tmp_path / "remote")
    import_gwas([TraitInput("t", (str(path),))], PANEL, tmp_path / "local")
    remote, local = GwasStore.open(tmp_path / "remote"), GwasStore.open(tmp_path / "local")
    np.testing.assert_array_equal(remote.read("t")[0], local.read("t")[0])
    one, two = remote.metadata("t"), local.metadata("t")
    assert one.pop("source") == [url] and two.pop("source") == [str(path)]
    size = path.stat().st_size
    assert one.pop("files") == [{"path": url, "bytes": size, "version": '"v1"'}]
    assert two.pop("files") == [{"path": str(path), "bytes": size, "modified_ns": path.stat().st_mtime_ns}]
    assert one == two


def test_the_digest_is_that_of_the_files_and_options(tmp_path):
    """What stores written before hold: digests of whole files, then the options."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(text(len(name)))
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    expected = ContentHash().add_text(hash_file(paths[0])).add_text(hash_file(paths[1]))
    expected.add_text("columns [('beta', 'B')]").add_text("dialect None")
    assert input_hash(paths, {"dialect": None, "columns": {"beta": "B"}}) == expected.hexdigest()


def test_a_local_file_is_read_once(tmp_path, monkeypatch):
    opened = []
    original = SourceFile.open
    monkeypatch.setattr(SourceFile, "open", lambda self: opened.append(self) or original(self))
    (tmp_path / "t.txt").write_bytes(text(1))
    import_gwas([TraitInput("t", (str(tmp_path / "t.txt"),))], PANEL, tmp_path / "store")
    assert len(opened) == 3, "its first bytes, its head, and all of it"


def test_a_parquet_file_has_digest_and_checksum_too(tmp_path):
    path = tmp_path / "t.parquet"
    lines = [line.split() for line in text(1).decode().splitlines()]
    columns = dict(zip(lines[0], zip(*lines[1:], strict=True), strict=True))
    numbers = ("BETA", "SE", "P")
    pq.write_table(
        pa.table({n: pa.array([float(x) for x in v] if n in numbers else v) for n, v in columns.items()}),
        path,
    )
    good = Checksum("md5", hashlib.md5(path.read_bytes()).hexdigest())
    entry = TraitInput("t", (str(path),), checksums={str(path): (good,)})
    import_gwas([entry], PANEL, tmp_path / "store")
    assert GwasStore.open(tmp_path / "store").metadata("t")["input_hash"] == input_hash(
        [str(path)], GwasStore.open(tmp_path / "store").metadata("t")["how"]
    )
    wrong = replace(entry, checksums={str(path): (Checksum("md5", "0" * 32),)})
    with pytest.raises(InputError, match="its md5 is not the one that was given"):
        import_gwas([wrong], PANEL, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_checksum_that_does_not_fit_stores_nothing(server, tmp_path, remote, kind):
    place = put(server, "/t.txt.gz", 1)
    data = server.things["/t.txt.gz"].data
    if not remote:
        (tmp_path / "t.txt.gz").write_bytes(data)
        place = str(tmp_path / "t.txt.gz")
    value = hashlib.new(kind, data).hexdigest()
    wrong = TraitInput("t", (place,), checksums={place: (Checksum(kind, value[::-1]),)})
    with pytest.raises(InputError) as caught:
        import_gwas([wrong], PANEL, tmp_path / "store")
    assert place in str(caught.value) and value in str(caught.value) and value[::-1] in str(caught.value)
    assert not (tmp_path / "store").exists()
    good = TraitInput("t", (place,), checksums={place: (Checksum(kind, value),)})
    report = import_gwas([wrong, replace(good, trait="u")], PANEL, tmp_path / "store", keep_going=True)
    assert report["status"].to_pylist() == ["failed", "imported"]
    store = GwasStore.open(tmp_path / "store")
    assert store.traits == ["u"] and store.metadata("u")["files"][0]["checksums"] == [f"{kind}:{value}"]


def test_a_rerun_asks_for_headers_and_downloads_only_what_is_missing(server, tmp_path):
    entries = [TraitInput(f"t{i}", (put(server, f"/{i}.gz", i),)) for i in range(3)]
    import_gwas(entries[:2], PANEL, tmp_path / "store")
    server.log.clear()
    report = import_gwas(entries, PANEL, tmp_path / "store")
    assert report["status"].to_pylist() == ["present", "present", "imported"]
    assert {path for method, path, _ in server.log if method == "GET"} == {"/2.gz"}
    assert sorted(path for method, path, _ in server.log if method == "HEAD") == ["/0.gz", "/1.gz", "/2.gz"]


def test_an_object_with_another_size_is_refused_without_a_download(server, tmp_path):
    entry = TraitInput("t", (put(server, "/t.gz", 1),))
    import_gwas([entry], PANEL, tmp_path / "store")
    server.things["/t.gz"].data += gzip.compress(b"")
    server.log.clear()
    with pytest.raises(InputError, match="'t' is in the store from other inputs"):
        import_gwas([entry], PANEL, tmp_path / "store")
    assert server.gets() == []


def test_another_etag_of_the_same_bytes_is_the_same_input(server, tmp_path, caplog):
    entry = TraitInput("t", (put(server, "/t.gz", 1),))
    import_gwas([entry], PANEL, tmp_path / "store")
    server.things["/t.gz"].etags = ['"v2"']
    with caplog.at_level(logging.INFO):
        assert import_gwas([entry], PANEL, tmp_path / "store")["status"].to_pylist() == ["present"]
    assert "is downloaded to compare it" in caplog.text
    data = server.things["/t.gz"].data
    server.things["/t.gz"].data = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(InputError, match="from other inputs"):
        import_gwas([entry], PANEL, tmp_path / "store")


def test_a_signed_link_is_the_same_object_whatever_its_signature(server, tmp_path):
    url = put(server, "/t.gz", 1)
    import_gwas([TraitInput("t", (url + "?signature=1",))], PANEL, tmp_path / "store")
    server.log.clear()
    again = TraitInput("t", (url + "?signature=2",))
    assert import_gwas([again], PANEL, tmp_path / "store")["status"].to_pylist() == ["present"]
    assert server.gets() == []


def test_a_checksum_that_another_file_had_is_another_input(server, tmp_path):
    url = put(server, "/t.gz", 1)
    good = Checksum("md5", hashlib.md5(server.things["/t.gz"].data).hexdigest())
    entry = TraitInput("t", (url,), checksums={url: (good,)})
    import_gwas([entry], PANEL, tmp_path / "store")
    assert import_gwas([entry], PANEL, tmp_path / "store")["status"].to_pylist() == ["present"]
    other = replace(entry, checksums={url: (Checksum("md5", "0" * 32),)})
    with pytest.raises(InputError, match="from other inputs"):
        import_gwas([other], PANEL, tmp_path / "store")


@pytest.mark.parametrize("remote", [True, False])
def test_a_checksum_given_later_is_compared_and_kept(server, tmp_path, remote):
    place = put(server, "/t.txt.gz", 1)
    data = server.things["/t.txt.gz"].data
    if not remote:
        (tmp_path / "t.txt.gz").write_bytes(data)
        place = str(tmp_path / "t.txt.gz")
    sums = {kind: Checksum(kind, hashlib.new(kind, data).hexdigest()) for kind in ("md5", "sha256")}
    entry = TraitInput("t", (place,), checksums={place: (sums["md5"],)})
    out = tmp_path / "store"

    def again(*checksums: Checksum) -> list[str]:
        return import_gwas([replace(entry, checksums={place: checksums})], PANEL, out)["status"].to_pylist()

    import_gwas([replace(entry, checksums={})], PANEL, out)
    with pytest.raises(InputError, match="its md5 is not the one that was given"):
        again(Checksum("md5", "0" * 32))
    assert "checksums" not in GwasStore.open(out).metadata("t")["files"][0]
    before = GwasStore.open(out).read("t")[0]
    assert again(sums["md5"]) == ["updated"]
    server.log.clear()
    assert again(sums["md5"]) == ["present"] and server.gets() == [], "it is known now"
    with pytest.raises(InputError, match="its sha256 is not the one"):
        again(sums["md5"], Checksum("sha256", "0" * 64))
    assert again(sums["sha256"]) == ["updated"]
    stored = GwasStore.open(out).metadata("t")["files"][0]["checksums"]
    assert stored == [str(sums["md5"]), str(sums["sha256"])]
    np.testing.assert_array_equal(GwasStore.open(out).read("t")[0], before)


def test_a_server_that_does_not_answer_is_asked_for_one_file(server, tmp_path, caplog, monkeypatch):
    urls = [put(server, f"/{i}.gz", i) for i in range(30)]
    gone = [f"http://127.0.0.1:1/{i}.gz" for i in range(30)]
    asked = []
    original = FileState.of
    monkeypatch.setattr(FileState, "of", lambda path: asked.append(path) or original(path))
    states = FileStates(lenient=True)
    states.look([*gone, *urls])
    assert [states.of(path) for path in gone] == [FileState(path, None, None) for path in gone]
    assert all(states.of(url).size for url in urls)
    assert (
        caplog.text.count("the host cannot be reached") == 1
        and "all other files of 127.0.0.1:1" in caplog.text
    )
    assert len([path for path in asked if path in gone]) <= 8, "those under way when the first one failed"
    asked.clear()
    states.look(["http://127.0.0.1:1/another.gz"])
    assert asked == []
    with pytest.raises(InputError, match="the host cannot be reached"):
        FileStates().look(gone)


def test_a_file_that_is_gone_says_nothing_about_its_server(server, caplog):
    url = put(server, "/t.gz", 1)
    states = FileStates(lenient=True)
    states.look([server.url("/gone.gz"), server.url("/gone2.gz")])
    assert caplog.text.count("it is taken to be unchanged") == 2
    assert states.of(url).mark == '"v1"'


def test_servers_that_tell_no_version_are_warned_of_once(server, caplog):
    states = FileStates()
    states.look([put(server, "/0.gz", 0)])
    states.look([put(server, f"/{i}.gz", i, headers={"Last-Modified": "x"}, etags=[None]) for i in (1, 2)])
    assert "no version" not in caplog.text
    states.look([put(server, f"/{i}.gz", i, etags=[None]) for i in (3, 4)])
    assert caplog.text.count("the server gives no version of it") == 1


def test_what_is_not_there_is_told_before_anything_is_read(server, tmp_path):
    entries = [TraitInput(f"t{i}", (put(server, f"/{i}.gz", i),)) for i in range(3)]
    entries.append(TraitInput("gone", (server.url("/gone.gz"),)))
    with pytest.raises(InputError, match=r"gone\.gz: is not there: the server answers 404"):
        import_gwas(entries, PANEL, tmp_path / "store")
    assert server.gets() == [] and not (tmp_path / "store").exists()
    report = import_gwas(entries, PANEL, tmp_path / "store", keep_going=True)
    assert report["status"].to_pylist() == ["imported"] * 3 + ["failed"]


def test_a_server_that_is_gone_is_no_reason_to_stop_with_keep_going(server, tmp_path, caplog):
    old, new = (TraitInput(name, (put(server, f"/{name}.gz", 1),)) for name in ("old", "new"))
    import_gwas([old], PANEL, tmp_path / "store")
    del server.things["/old.gz"]
    with pytest.raises(InputError, match="is not there"):
        import_gwas([old, new], PANEL, tmp_path / "store")
    report = import_gwas([old, new], PANEL, tmp_path / "store", keep_going=True)
    assert report["status"].to_pylist() == ["present", "imported"]
    assert "it is taken to be unchanged" in caplog.text


def test_overwriting_looks_at_the_head_of_one_url(server, tmp_path):
    entries = [TraitInput(f"t{i}", (put(server, f"/{i}.gz", i),)) for i in range(3)]
    import_gwas(entries, PANEL, tmp_path / "store")
    server.put("/0.gz", b"what is this\n1 2 3\n")
    with pytest.raises(InputError, match=r"0\.gz"):
        import_gwas(entries, PANEL, tmp_path / "store", overwrite=True)
    assert GwasStore.open(tmp_path / "store").traits == ["t0", "t1", "t2"]


def test_a_trait_in_several_urls(server, tmp_path):
    lines = text(1).splitlines(keepends=True)
    urls = [
        server.put(f"/chr{i}.txt", b"".join([lines[0], *part]))
        for i, part in ((10, lines[31:]), (2, lines[1:31]))
    ]
    import_gwas([TraitInput("t", tuple(urls))], PANEL, tmp_path / "store")
    metadata = GwasStore.open(tmp_path / "store").metadata("t")
    assert metadata["source"] == urls[::-1] and metadata["counts"] == {"matched": 60}


def test_states_are_asked_for_once_and_compared_as_far_as_they_are_known(server, tmp_path):
    url = put(server, "/t.gz", 1)
    states = FileStates()
    states.look([url, url])
    assert states.of(url).size == len(server.things["/t.gz"].data) and len(server.log) == 1
    known = FileState(url, 10, None).to_store()
    for now, verdict in (
        (FileState(url, 10, '"v1"'), True), (FileState(url, None, '"v1"'), True),
        (FileState(url, 11, None), False), (FileState("/local", 10, 5), None),
    ):  # fmt: skip
        assert same_by_state([known], [now], {}) is verdict
    local = FileState("/a", 10, 5)
    assert same_by_state([local.to_store()], [replace(local, mark=6)], {}) is None
    assert same_by_state([], [local], {}) is None
    given = {"/a": (Checksum("md5", "1" * 32),)}
    assert same_by_state([local.to_store()], [local], given) is None
    assert same_by_state([local.to_store() | {"checksums": ["md5:" + "1" * 32]}], [local], given) is True
    assert same_by_state([local.to_store() | {"checksums": ["md5:" + "2" * 32]}], [local], given) is False
    assert with_checksums([], ["/a"], given) == []


def test_an_input_that_is_gone(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        InputFiles([str(Path(tmp_path, "gone"))])


def test_what_is_wrong_with_the_bytes_is_no_reason_to_download_them_again(server, tmp_path, caplog):
    """Later files of a known layout: the message comes at once, and the layout stays known."""
    rng = np.random.default_rng(0)
    ids = [*PANEL["variant_id"].to_pylist(), *(f"rs{1000 + i}" for i in range(3000))]

    def file(name: str, **more: object) -> str:
        rows = "".join(
            f"{rsid} A G {x:.4f} 0.5 0.1\n" for rsid, x in zip(ids, rng.normal(size=len(ids)), strict=True)
        )
        return server.put(name, gzip.compress(("SNP A1 A2 BETA SE P\n" + rows).encode()), **more)

    wrong = (Checksum("md5", "0" * 32),)
    first, second = file("/0.gz"), file("/1.gz")
    entries = [TraitInput("t0", (first,)), TraitInput("t1", (second,), checksums={second: wrong})]
    entries += [TraitInput("t2", (file("/2.gz", cuts=[5000] + [0] * 9),)), TraitInput("t3", (file("/3.gz"),))]
    entries += [TraitInput("t4", (file("/4.gz"),))]
    data = server.things["/3.gz"].data
    server.things["/3.gz"].data = data[: len(data) // 2]
    with caplog.at_level(logging.INFO):
        report = import_gwas(entries, PANEL, tmp_path / "store", keep_going=True)
    assert report["status"].to_pylist() == ["imported", "failed", "failed", "failed", "imported"]
    errors = report["error"].to_pylist()
    assert "its md5 is not" in errors[1] and "4 tries in a row" in errors[2] and "cut short" in errors[3]
    gets = [path for method, path, _ in server.log if method == "GET"]
    assert gets == ["/0.gz", "/1.gz", *["/2.gz"] * 4, "/3.gz", "/4.gz"]
    assert "read anew" not in caplog.text
