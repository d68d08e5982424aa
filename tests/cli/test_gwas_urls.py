"""`gputwas gwas` and URLs: what is stored, exit codes and messages when the network or a checksum fails."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gputwas.stores.gwas import GwasStore
from tests.cli.studies import Study, nothing_written, refused, run
from tests.web import WebServer, patience, serving


@pytest.fixture
def server(study: Study) -> Iterator[WebServer]:
    """A server that has trait 1 in the BIG40 format."""
    with patience(), serving() as running:
        running.put("/big40/0001.txt.gz", study.gwas_file.read_bytes())
        yield running


def same_statistics(study: Study, out: Path, trait: str) -> None:
    """Compare with trait 1 as the study's store has it, read from the file."""
    local = GwasStore.open(study.gwas)
    name = next(t for t in local.traits if local.metadata(t)["source"] == [str(study.gwas_file)])
    np.testing.assert_array_equal(GwasStore.open(out).read(trait)[0], local.read(name)[0])


@pytest.mark.parametrize(
    "trouble",
    [{}, {"statuses": [200, 503, 503]}, {"cuts": [5000, 20_000]}, {"cuts": [5000], "ranges": False},
     {"head": False}, {"chunked": True}, {"sized": False}, {"etags": [None], "cuts": [5000]}],
    ids=str,
)  # fmt: skip
def test_a_url_is_imported_in_spite_of_trouble(study, server, tmp_path, capsys, trouble):
    url = server.put("/big40/0001.txt.gz", study.gwas_file.read_bytes(), **trouble)
    outcome = run(capsys, *study.import_words(url, out=tmp_path / "gwas"))
    assert outcome.code == 0, outcome.err
    assert GwasStore.open(tmp_path / "gwas").traits == ["0001"]
    same_statistics(study, tmp_path / "gwas", "0001")
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".gz", ".txt")]


def test_a_plain_table_behind_a_url(study, server, tmp_path, capsys):
    url = server.put("/t.tsv", study.table(tmp_path / "t.tsv").read_bytes(), cuts=[1000])
    words = study.import_words(url + "?x=1", out=tmp_path / "gwas")
    assert run(capsys, *words).code == 0
    assert GwasStore.open(tmp_path / "gwas").traits == ["t"]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [({"statuses": [404] * 9}, "is not there: the server answers 404"),
     ({"statuses": [403] * 9}, "access is refused: the server answers 403"),
     ({"statuses": [503] * 99}, "the server answers 503 Service Unavailable (4 tries in a row)"),
     ({"cuts": [5000] + [0] * 99}, "the connection ended early (4 tries in a row) (found 5,000 bytes of"),
     ({"cuts": [5000], "etags": ['"v1"', '"v2"']}, "changed on the server while it was read")],
    ids=lambda value: "" if isinstance(value, str) else str(value)[:25],
)  # fmt: skip
def test_what_the_network_refuses_exits_3_and_leaves_nothing(study, server, tmp_path, capsys, trouble, words):
    url = server.put("/big40/0001.txt.gz", study.gwas_file.read_bytes(), **trouble)
    message = refused(run(capsys, *study.import_words(url, out=tmp_path / "gwas")), url, words)
    assert len(message) < 400
    nothing_written(tmp_path / "gwas")


def test_a_truncated_file_on_the_server_is_told_as_that(study, server, tmp_path, capsys):
    data = study.gwas_file.read_bytes()
    url = server.put("/big40/0001.txt.gz", data[: len(data) // 2])
    refused(run(capsys, *study.import_words(url, out=tmp_path / "gwas")), url, "the gzip stream is cut short")
    nothing_written(tmp_path / "gwas")


def test_ftp_is_refused_with_advice(study, tmp_path, capsys):
    words = study.import_words("ftp://ftp.ebi.ac.uk/x.gz", out=tmp_path / "gwas")
    refused(run(capsys, *words), "ftp:// addresses are not read", "https://")
    nothing_written(tmp_path / "gwas")


@pytest.mark.parametrize("remote", [True, False])
def test_checksums_on_the_command_line(study, server, tmp_path, capsys, remote):
    file = server.url("/big40/0001.txt.gz") if remote else str(study.gwas_file)
    data = study.gwas_file.read_bytes()
    words = study.import_words(file, out=tmp_path / "gwas")
    found = hashlib.md5(data).hexdigest()
    outcome = run(capsys, *words, "--checksum", "md5:" + "0" * 32)
    refused(outcome, file, "its md5 is not the one that was given", found, "0" * 32)
    nothing_written(tmp_path / "gwas")
    assert run(capsys, *words, "--checksum", "sha256:" + hashlib.sha256(data).hexdigest()).code == 0
    assert run(capsys, *words, "--checksum", "sha256:" + hashlib.sha256(data).hexdigest()).code == 0
    refused(run(capsys, *words, "--checksum", "sha256:" + "0" * 64), "is in the store from other inputs")


def test_checksums_that_make_no_sense(study, tmp_path, capsys):
    words = study.import_words(study.gwas_file, out=tmp_path / "gwas")
    for value in ("md5:12", "0" * 32, "crc32:0"):
        refused(run(capsys, *words, "--checksum", value), "--checksum takes", repr(value), code=2)
    two = study.import_words(study.gwas_file, study.gwas_file, out=tmp_path / "gwas")
    refused(run(capsys, *two, "--checksum", "md5:" + "0" * 32), "--checksum is of one file", code=2)
    nothing_written(tmp_path / "gwas")


def test_a_manifest_of_urls_with_checksums(study, server, tmp_path, capsys):
    data = study.gwas_file.read_bytes()
    one, two = server.url("/big40/0001.txt.gz"), server.put("/x/0002.txt.gz", data, cuts=[4000])
    good, bad = hashlib.md5(data).hexdigest(), "f" * 32
    manifest = tmp_path / "traits.tsv"
    manifest.write_text(f"trait\tpath\tmd5\na\t{one}\t{good}\nb\t{two}\t{bad}\n")
    words = ["gwas", "import", "-m", manifest, "--models", study.models, "--out", tmp_path / "gwas"]
    refused(run(capsys, *words), two, "its md5 is not the one that was given")
    assert GwasStore.open(tmp_path / "gwas").traits == ["a"]
    manifest.write_text(f"trait\tpath\tmd5\na\t{one}\t{good}\nb\t{two}\t{good}\n")
    server.log.clear()
    assert run(capsys, *words).code == 0
    assert {path for method, path, _ in server.log if method == "GET"} == {"/x/0002.txt.gz"}
    same_statistics(study, tmp_path / "gwas", "b")


def test_check_of_a_url_reads_it_once(study, server, capsys):
    url = server.url("/big40/0001.txt.gz")
    local = run(capsys, "gwas", "check", study.gwas_file, "--models", study.models)
    server.log.clear()
    remote = run(capsys, "gwas", "check", url, "--models", study.models)
    assert remote.code == 0 and remote.out == local.out
    assert server.gets() == [""]
    refused(run(capsys, "gwas", "check", server.url("/nothing.gz")), "is not there")


def test_big40_from_its_page_to_the_store(study, server, tmp_path, capsys):
    """Two commands: list all, import all, from servers."""
    page = server.put(
        "/IDPs.html",
        b"<table><tr><th>Pheno<th>IDP short name<th>N(all)<th>Heritability<th>Heritability (se)</tr>"
        b"<tr><td>0001<td>IDP_T1<td>33,224<td>0.31<td>0.02</tr></table>",
    )
    manifest = tmp_path / "big40.tsv"
    outcome = run(
        capsys,
        "gwas",
        "manifest",
        manifest,
        "--phenotypes",
        page,
        "--address",
        server.url("/big40/{}.txt.gz"),
    )
    assert outcome.code == 0 and "1 traits" in outcome.out
    words = ["gwas", "import", "-m", manifest, "--models", study.models, "--out", tmp_path / "gwas"]
    assert run(capsys, *words).code == 0
    metadata = GwasStore.open(tmp_path / "gwas").metadata("0001")
    assert (metadata["n"], metadata["h2"], metadata["annotation"]) == (33224, 0.31, {"short_name": "IDP_T1"})
    same_statistics(study, tmp_path / "gwas", "0001")
    refused(run(capsys, "gwas", "manifest", tmp_path / "x.csv"), "a manifest is a .tsv", code=2)
    refused(run(capsys, "gwas", "manifest", manifest, "--phenotypes", server.url("/no")), "is not there")


def test_a_url_is_shown_whole(study, server, tmp_path, capsys):
    """A path object would make one slash of two."""
    outcome = run(capsys, "gwas", "check", server.url("/a/b.gz"))
    assert re.search(r"http://127\.0\.0\.1:\d+/a/b\.gz: is not there", outcome.err)
