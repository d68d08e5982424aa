"""`gwas import` and `gwas check` by position, through a chain file and a map: options, words, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gputwas.stores.gwas import GwasStore
from tests.cli.studies import Study, nothing_written, refused, run


@pytest.fixture(scope="module")
def by_position(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's models with the ids chr1_123_A_G_b38, as a store."""
    import gzip

    from gputwas.ingest.models import import_models
    from tests.cli.studies import execute

    folder = tmp_path_factory.mktemp("placed")
    database, covariance = study.copy_models(folder)
    ids = {r[0]: f"chr{int(r[1])}_{r[2]}_{r[4]}_{r[3]}_b38" for r in study.rows if r[1].isdigit()}
    execute(
        database, *(f"UPDATE weights SET rsid = '{new}' WHERE rsid = '{old}'" for old, new in ids.items())
    )
    lines = gzip.decompress(covariance.read_bytes()).decode().splitlines()
    text = "\n".join(" ".join(ids.get(cell, cell) for cell in line.split(" ")) for line in lines) + "\n"
    covariance.write_bytes(gzip.compress(text.encode()))
    import_models(database, covariance, folder / "models")
    return folder / "models"


def test_the_report_and_the_log_say_by_what(study: Study, by_position: Path, tmp_path: Path, capsys) -> None:
    path = study.table(tmp_path / "trait.txt")
    out, report = tmp_path / "gwas", tmp_path / "report.tsv"
    outcome = run(
        capsys, "gwas", "import", path, "--models", by_position, "--out", out, "--report", report
    )  # fmt: skip
    assert outcome.code == 0 and "matched by chromosome and position (columns 'CHR', 'BP')" in outcome.err
    assert "matched_by" in outcome.out and "position" in outcome.out
    header, row = (line.split("\t") for line in report.read_text().splitlines())
    assert row[header.index("matched_by")] == "position" and row[header.index("lift_mapped")] == "NA"
    assert GwasStore.open(out).metadata("trait")["found_share"] == 1.0


def test_check_says_what_each_way_would_find(study: Study, by_position: Path, tmp_path: Path, capsys) -> None:
    path = study.table(tmp_path / "trait.txt")
    outcome = run(capsys, "gwas", "check", path, "--models", by_position)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    shares = {line.split("\t")[0]: float(line.split("\t")[2]) for line in lines if line.count("\t") == 2
              and not line.startswith("matched by\t")}  # fmt: skip
    assert shares == {"identifier": 0.0, "chromosome and position (columns 'CHR', 'BP')": 1.0}
    assert "matched by chromosome and position (columns 'CHR', 'BP')" in lines
    outcome = run(capsys, "gwas", "check", path, "--models", by_position, "--match", "id")
    refused(outcome, path, "none of the models' ", "--match position")


def test_contradictions_are_usage_errors(study: Study, by_position: Path, tmp_path: Path, capsys) -> None:
    path = study.table(tmp_path / "trait.txt")
    out, chain = tmp_path / "gwas", tmp_path / "made.chain"
    chain.write_text("chain 9 chr1 300000000 + 0 250000000 chr1 300000000 + 5 250000005 1\n250000000\n\n")
    words = ["gwas", "import", path, "--models", by_position, "--out", out]
    cases = (
        (["--match", "map"], "--match map needs the map"),
        (["--to", "hg38"], "--to needs a chain file"),
        (["--chain", chain, "--build", "hg19", "--to", "hg19"], "but the models are on GRCh38"),
        (["--chain", chain, "--to", "hg38"], "--chain needs the build of the GWAS"),
        (["--chain", chain, "--match", "id"], "does not look at"),
        (["--match", "position", "--mode", "parity"], "--mode parity matches identifiers only"),
    )
    for more, problem in cases:
        outcome = run(capsys, *words, *more)
        assert outcome.code == 2 and problem in " ".join(outcome.err.split()), outcome.err
        nothing_written(out)
    outcome = run(capsys, "gwas", "check", path, "--match", "position", "--mode", "parity")
    assert outcome.code == 2 and "--mode parity matches identifiers only" in " ".join(outcome.err.split())
    outcome = run(capsys, *words, "--chain", tmp_path / "gone.chain", "--build", "hg19")
    refused(outcome, "gone.chain", "does not exist")
    nothing_written(out)


def test_lifted_by_a_chain_file_and_kept_with_the_trait(
    study: Study, by_position: Path, tmp_path: Path, capsys
) -> None:
    """The file lies 5 bases before the models; one build of the manifest's column is the models' own."""

    def shifted(line: int, row: list[str]) -> list[str]:
        return [*row[:2], str(int(row[2]) - 5), *row[3:]]

    old, new = study.table(tmp_path / "old.txt", shifted), study.table(tmp_path / "new.txt")
    chain = tmp_path / "made.chain"
    chromosomes = sorted({row[1] for row in study.rows}, key=int)
    chain.write_text("".join(
        f"chain 9 chr{int(c)} 300000000 + 0 250000000 chr{int(c)} 300000000 + 5 250000005 {c}\n250000000\n\n"
        for c in chromosomes
    ))  # fmt: skip
    manifest = tmp_path / "traits.tsv"
    manifest.write_text(f"trait\tpath\tbuild\nold\t{old}\thg19\nnew\t{new}\tGRCh38\n")
    out = tmp_path / "gwas"
    words = ["gwas", "import", "--manifest", manifest, "--models", by_position, "--out", out]
    outcome = run(capsys, *words, "--chain", chain, "--to", "hg38")
    assert outcome.code == 0 and "lift_mapped" in outcome.out
    store = GwasStore.open(out)
    assert (store.read("old")[0] == store.read("new")[0]).all()
    said = {name: store.metadata(name) for name in ("old", "new")}
    assert said["old"]["lifted"]["mapped"] == len(study.rows) and "lifted" not in said["new"]
    assert said["old"]["how"]["matching"]["to"] == "GRCh38" and "matching" not in said["new"]["how"]
    assert json.dumps(said["old"]["how"])
    for again in (["--to", "hg38"], ["--to", "GRCh38"], []):  # the models' ids say the same
        assert run(capsys, *words, "--chain", chain, *again).code == 0
    refused(run(capsys, *words), out, "read with other options", "matching")
