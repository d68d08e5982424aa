"""`gputwas variants lift` through the command line, with good and bad input."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest
from pyliftover import LiftOver

from gputwas.formats.sumstats import sniff
from tests.cli.studies import no_leftovers, refused, run, snapshot
from tests.variants.made_chains import HUMAN, tiled_chains

ROWS = [(name, position) for name, size in HUMAN.items() for position in range(1, size, 97)]


@pytest.fixture
def files(tmp_path):
    """Chain files there and back, and a table that the first one converts."""
    there, back = tiled_chains(tmp_path, 1)
    peer = LiftOver(str(there))
    rows = [row for row in ROWS if peer.convert_coordinate(row[0], row[1] - 1)]
    table = tmp_path / "gwas.tsv"
    text = "".join(f"rs{i}\t{c}\t{p}\tA\tG\t.1\t.2\t.6\n" for i, (c, p) in enumerate(rows))
    table.write_text("rsid\tchromosome\tposition\teffect_allele\tother_allele\tbeta\tse\tp\n" + text)
    return there, back, table


def test_there_and_back_gives_the_file(tmp_path, files, capsys, monkeypatch):
    there, back, table = files
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # where the output goes, whichever folder the file is in
    outcome = run(capsys, "variants", "lift", table, "--chain", there, "--report", tmp_path / "report.tsv")
    assert outcome.code == 0, outcome.err
    lifted = tmp_path / "here" / "gwas.hg38.tsv"
    assert f"written: {lifted.name}" in outcome.out and "effect_allele, other_allele" in outcome.out
    names, values = (line.split("\t") for line in (tmp_path / "report.tsv").read_text().splitlines())
    counts = dict(zip(names, values, strict=True))
    n = len(table.read_text().splitlines()) - 1
    assert int(counts["rows"]) == int(counts["written"]) == n
    assert 0 < int(counts["reversed"]) < n and 0 < int(counts["moved"]) < n
    assert sniff(lifted).columns == sniff(table).columns and lifted.read_text() != table.read_text()
    words = ["--chain", back, "--from", "hg38", "--to", "hg19", "-o", tmp_path / "again.tsv.gz"]
    assert run(capsys, "variants", "lift", lifted, *words).code == 0
    assert gzip.decompress((tmp_path / "again.tsv.gz").read_bytes()).decode() == table.read_text()


def test_several_files_go_into_folders(tmp_path, files, capsys):
    there, _, table = files
    lines = table.read_text().splitlines(keepends=True)
    for number, part in ((1, lines[1:50]), (2, [*lines[50:90], "rs\tchr9\t1\tA\tG\t.1\t.2\t.6\n"])):
        (tmp_path / f"chr{number}.txt").write_text("".join([lines[0], *part]))
    words = ["--chain", there, "-o", tmp_path / "out", "--unmapped", tmp_path / "lost"]
    outcome = run(capsys, "variants", "lift", tmp_path / "chr*.txt", *words)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["chr1.hg38.txt", "chr2.hg38.txt"]
    lost = (tmp_path / "lost" / "chr2.unmapped.txt").read_text().splitlines()
    assert lost[1] == "rs\tchr9\t1\tA\tG\t.1\t.2\t.6\tunknown_chromosome"
    assert "lost_unknown_chromosome" in outcome.out


def test_a_refused_file_hides_no_other_that_is_written(tmp_path, files, capsys):
    there, _, table = files
    good, bad = tmp_path / "a.txt", tmp_path / "b.txt"
    good.write_text(table.read_text())
    bad.write_text("chr\tpos\n" + "chr77\t1\n" * 9)
    outcome = run(capsys, "variants", "lift", good, bad, "--chain", there, "-o", tmp_path / "out")
    refused(outcome, bad, "9 of 9 rows", "no chromosome chr77")
    assert f"written: {tmp_path / 'out' / 'a.hg38.txt'}" in outcome.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.hg38.txt"]


def test_the_wrong_direction_is_told_by_the_name(tmp_path, files, capsys):
    there, _, table = files
    before = snapshot(tmp_path)
    outcome = run(capsys, "variants", "lift", table, "--chain", there, "--from", "hg38", "--to", "hg19")
    refused(outcome, "converts hg19 to hg38, not hg38 to hg19", "the other direction", code=2)
    assert snapshot(tmp_path) == before


def test_the_wrong_direction_is_told_by_the_rows(tmp_path, files, capsys):
    """A chain file whose name says nothing, and rows that it leads to rather than starts from."""
    chain = tmp_path / "a.chain"
    chain.write_text("chain 1 chr1 9999 + 0 1000 chr1 9999 + 5000 6000 1\n1000\n")
    table = tmp_path / "t.tsv"
    table.write_text("chr\tpos\n" + "".join(f"1\t{position}\n" for position in range(5001, 5200)))
    before = snapshot(tmp_path)
    outcome = run(capsys, "variants", "lift", table, "--chain", chain, "-o", tmp_path / "out.tsv")
    refused(outcome, "199 of 199 rows", "fit the build that it leads to", "the other direction")
    assert snapshot(tmp_path) == before
    no_leftovers(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["holds no chain"]),
        (b"rsid chr pos\n", ["line 1", "is no chain file"]),
        (b"chain 1 chr1 9999 + 0 1000 chr1 9999 + 5000 6000 1\n900 10 10\n", ["line 1", "truncated"]),
        (b"chain 1 chr1 9999 + 0 1000 chr1 9999 + 5000 6000 1\n900\n", ["line 2", "do not match"]),
        (b"\x1f\x8b\x08\x00zzzzzzzz", ["damaged or truncated"]),
        (None, ["there is no such file"]),
    ],
)
def test_bad_chain_files(tmp_path, files, capsys, content, words):
    chain = tmp_path / "bad.chain.gz"
    if content is not None:
        chain.write_bytes(content)
    outcome = run(capsys, "variants", "lift", files[2], "--chain", chain, "-o", tmp_path / "out.tsv")
    refused(outcome, chain, *words)
    assert not (tmp_path / "out.tsv").exists()


def test_bad_tables_and_targets(tmp_path, files, capsys):
    there, _, table = files
    run_it = ["variants", "lift", "--chain", there]
    refused(run(capsys, *run_it, tmp_path / "nowhere.tsv"), "nowhere.tsv")
    refused(run(capsys, *run_it, table, "-o", tmp_path / "no" / "out.tsv"), "does not exist", "mkdir -p")
    refused(run(capsys, *run_it, table, "-o", table), "must be different files", code=2)
    refused(run(capsys, *run_it, table, "--report", tmp_path / "r.doc"), "must end in", code=2)
    refused(run(capsys, *run_it, table, "--column", "chromosome"), "role=NAME", code=2)
    refused(run(capsys, *run_it, table, "--dialect", "metall"), "did you mean metal", code=2)
    other = tmp_path / "sub" / "gwas.tsv"
    other.parent.mkdir()
    other.write_text(table.read_text())
    refused(run(capsys, *run_it, table, other, "-o", tmp_path / "out"), "have one name", code=2)
    no_leftovers(tmp_path)


def test_no_file_is_written_over_another_that_is_given(tmp_path, files, capsys, monkeypatch):
    """As when a pattern finds the outputs of the run before, or --out is given the chain file."""
    there, _, table = files
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gwas.hg38.tsv").write_text(table.read_text())
    run_it = ["variants", "lift", "--chain", there, table]
    before = snapshot(tmp_path)
    same = tmp_path / "same.tsv"
    for more in (
        [tmp_path / "gwas.hg38.tsv"],
        ["--out", there],
        ["--out", same, "--report", same],
        ["--unmapped", same, "--report", same],
        ["--out", same, "--report", table],
    ):
        refused(run(capsys, *run_it, *more), "must be different files", code=2)
        assert snapshot(tmp_path) == before


def test_help_needs_no_numerics():
    code = (
        "import sys; from gputwas.cli.main import main; main(['variants', 'lift', '--help']); "
        "assert not {'numpy', 'pyarrow', 'pyliftover'} & set(sys.modules), 'heavy imports'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--keep-split" in done.stdout and "hg19ToHg38" in done.stdout
