"""Traits with one name, manifests and flags of `gputwas gwas import` that make no sense."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.studies import (
    Study,
    nothing_written,
    refused,
    run,
    snapshot,
)


def test_two_files_of_one_name(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    files = [study.table(tmp_path / name / "height.txt") for name in ("a", "b")]
    out = tmp_path / "gwas"
    outcome = run(capsys, *study.import_words(*files, out=out))
    refused(
        outcome, "2 traits have the name 'height'", files[0], files[1], "Give every trait a name of its own"
    )
    nothing_written(out)
    study.table(tmp_path / "a" / "height.txt.gz")
    outcome = run(capsys, "gwas", "import", "--folder", tmp_path / "a", "--models", study.models, "-o", out)
    refused(outcome, "two files give the trait name 'height'", "manifest")
    nothing_written(out)


def test_manifest_with_bad_rows(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.table(tmp_path / "a.txt")
    manifest, out = tmp_path / "traits.tsv", tmp_path / "gwas"
    for rows, words in (
        (
            "x\ta.txt\t9\nx\ta.txt\t9",
            (", line 3, column 'trait'", "two traits have one name", "as in line 2"),
        ),
        (
            "x\tnowhere.txt\t9",
            (", line 2, column 'path'", "there is no such file", "relative to the manifest"),
        ),
        ("x\ta.txt\tmany", (", line 2, column 'n'", "'many'")),
    ):
        manifest.write_text(f"trait\tpath\tn\n{rows}\n")
        outcome = run(capsys, "gwas", "import", "-m", manifest, "--models", study.models, "--out", out)
        refused(outcome, manifest, *words)
        nothing_written(out)
    manifest.write_text("trait,path\nx,a.txt\n")
    outcome = run(capsys, "gwas", "import", "-m", manifest, "--models", study.models, "--out", out)
    refused(outcome, manifest, ", line 1", "Separate its cells by tabs")


def test_name_that_is_in_the_store_from_another_file(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(study.gwas, tmp_path / "gwas"))
    trait = run(capsys, "gwas", "list", store).out.splitlines()[1].split("\t")[0]
    before = snapshot(store)
    outcome = run(capsys, *study.import_words(study.table(tmp_path / f"{trait}.txt"), out=store))
    refused(outcome, store, trait, "from other inputs", "Give the trait another name")
    assert snapshot(store) == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--column", "nonsense"], 2, "--column takes role=NAME, for example beta=BETA1, not 'nonsense'"),
        (["--column", "nonsense=BETA"], 2, "there is no role 'nonsense' for a column"),
        (["--column", "beta=BETA", "--column", "beta=SE"], 2, "--column names beta twice"),
        (["--column", "beta=BETTA"], 3, "column 'BETTA': there is no such column"),
        (["--dialect", "nonsense"], 2, "there is no dialect 'nonsense'"),
        (["--dialect", "big40"], 3, "is not of the dialect big40"),
        (["--mode", "nonsense"], 2, "nonsense"),
        (["--palindromes", "nonsense"], 2, "nonsense"),
        (["--min-found", "7"], 2, "between 0 and 1, not 7"),
        (["--pattern", "*.gz"], 2, "--pattern needs --folder"),
        (["--manifest", "traits.tsv"], 2, "files and --manifest were given"),
        (["--report", "report.xls"], 2, "the name must end in one of .tsv"),
        (["--report", "nowhere/report.tsv"], 3, "the folder does not exist. Create it first: mkdir -p"),
        (["--no-such-flag"], 2, "No such option: --no-such-flag"),
    ],
)
def test_flags_of_the_import(
    words: list[str],
    code: int,
    message: str,
    study: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "gwas"
    outcome = run(capsys, *study.import_words(study.table(tmp_path / "good.txt"), out=out), *words)
    refused(outcome, message, code=code)
    nothing_written(out)


def test_where_traits_come_from(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gwas"
    base = ["gwas", "import", "--models", study.models, "--out", out]
    folder = study.gwas_file.parent
    refused(run(capsys, *base), "name GWAS files, or a --manifest, or a --folder", code=2)
    outcome = run(capsys, *base, "-m", study.manifest, "--trait", "x")
    refused(outcome, "--trait names the trait of the files on the command line, not of --manifest", code=2)
    refused(run(capsys, *base, "--folder", folder, "--pattern", "*.nope"), folder, "no file fits", "*.nope")
    refused(run(capsys, *base, "--folder", tmp_path / "nowhere"), "nowhere", "is not a folder")
    refused(run(capsys, *base, "-m", tmp_path / "nowhere"), "nowhere", "does not exist", "Check the path")
    refused(run(capsys, *base, tmp_path / "chr*.gz"), "chr*.gz", "no file matches this pattern")
    nothing_written(out)
