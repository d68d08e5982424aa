"""Bad GWAS files and flags through the command line: one clear message, exit code 3, nothing half-written.

Every file is given to `gputwas gwas import` (strict) and to `gputwas spredixcan` (as MetaXcan reads).
"""

from __future__ import annotations

import gzip
import math
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gputwas.stores.gwas import GwasStore
from tests.cli.studies import (
    BETA_SE,
    HEADER,
    Row,
    Study,
    no_leftovers,
    nothing_written,
    refused,
    run,
    snapshot,
)

P_AND_SIGN = ["--pvalue_column", "P", "--beta_column", "BETA"]
Make = Callable[[Study, Path], Path]


@dataclass(frozen=True)
class Bad:
    """A file that cannot be used.

    Attributes
    ----------
    make : writes the file into a folder. strict, parity : what the message of the import and of the drop-in
        must hold; None where that command has no reason to refuse. columns : flags of the drop-in command.
    place : what follows the file's name, `{line}` being that of the spoilt row.
    """

    make: Make
    strict: Sequence[str] | None
    parity: Sequence[str] | None
    place: str = ": "
    columns: Sequence[str] = tuple(BETA_SE)


def _bytes(name: str, content: Callable[[Study, Path], bytes]) -> Make:
    def make(study: Study, folder: Path) -> Path:
        (folder / name).write_bytes(content(study, folder))
        return folder / name

    return make


def _good(study: Study, folder: Path) -> bytes:
    return study.table(folder / "good.txt").read_bytes()


def _cut_gzip(study: Study, folder: Path) -> bytes:
    whole = study.table(folder / "good.txt.gz").read_bytes()
    return whole[: len(whole) // 2]


def _table(change: Callable[[int, Row], Row | None], header: Sequence[str] = HEADER) -> Make:
    return lambda study, folder: study.table(folder / "trait.txt", change, header)


def _spoilt(column: str, value: str) -> Make:
    return lambda study, folder: study.spoilt(folder / "trait.txt", column, value)


def _log_p(line: int, row: Row) -> Row:
    return [*row[:7], f"{-math.log10(float(row[7])):.5g}"]


def _comma_header(study: Study, folder: Path) -> bytes:
    return ",".join(HEADER).encode() + b"\n" + _good(study, folder).split(b"\n", 1)[1]


def _text(*parts: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return parts, parts


AGAIN = "Download or copy it again"
NOISE = random.Random(1).randbytes(5000)
CASES = {
    "truncated gzip": Bad(_bytes("t.txt.gz", _cut_gzip), *_text("the gzip stream is cut short", AGAIN)),
    "damaged gzip": Bad(
        _bytes("t.txt.gz", lambda s, f: b"\x1f\x8b\x08\x00" + NOISE),
        *_text("the gzip stream is damaged", AGAIN),
    ),
    "noise named gzip": Bad(
        _bytes("t.txt.gz", lambda s, f: NOISE),
        *_text("is not a gzip file in spite of its name", "is a binary file"),
        place=", line 1: ",
    ),
    "empty": Bad(_bytes("t.txt", lambda s, f: b""), *_text("is empty", AGAIN)),
    "empty gzip": Bad(_bytes("t.txt.gz", lambda s, f: gzip.compress(b"")), *_text("is empty", AGAIN)),
    "header only": Bad(
        _bytes("t.txt", lambda s, f: "\t".join(HEADER).encode() + b"\n"),
        *_text("has a header only, no data rows", AGAIN),
        place=", line 1: ",
    ),
    "binary": Bad(
        _bytes("t.txt", lambda s, f: NOISE), *_text("is a binary file", "expected text"), place=", line 1: "
    ),
    "database": Bad(
        lambda s, f: Path(shutil.copy(s.databases[0], f)),
        *_text("is an SQLite database", "as a model database"),
    ),
    "header and rows with other separators": Bad(
        _bytes("t.txt", _comma_header),
        ("no row has as many cells as the header", "8 names and 1 cells", "--separator"),
        None,
        place=", line 2: ",
    ),
    "commas where blanks are read": Bad(
        _bytes("t.csv", lambda s, f: _good(s, f).replace(b"\t", b",")),
        None,
        ("the header is a single cell", "give --separator ','"),
        place=", line 1: ",
    ),
    "no effect column": Bad(
        _table(lambda line, row: [*row[:5], *row[6:]], [name for name in HEADER if name != "BETA"]),
        ("no column found for the effect", "SNP CHR BP A1 A2 SE P", "--column beta=NAME"),
        ("column 'BETA': there is no such column", "SNP CHR BP A1 A2 SE P"),
        place=", line 1",
    ),
    "alleles equal in every row": Bad(
        _table(lambda line, row: [*row[:4], row[3], *row[5:]]),
        ("effect allele and other allele are the same in every row", "--column other_allele=NAME"),
        ("effect allele and other allele are the same in every row", "--non_effect_allele_column NAME"),
    ),
    "effect is no number": Bad(
        _spoilt("BETA", "abc"),
        *_text("column 'BETA': is not a number", "'abc'", "Correct the cell"),
        place=", line {line}, ",
    ),
    "negative standard error": Bad(
        _spoilt("SE", "-0.1"),
        *_text("column 'SE': a standard error is negative", "'-0.1'", "a value > 0"),
        place=", line {line}, ",
    ),
    "all standard errors 0": Bad(
        _table(lambda line, row: [*row[:6], "0", row[7]]),
        ("column 'SE'", "more than half of the standard errors are 0", "Check that this is the column"),
        ("no row can be used", "a standard error of 0", "--se_column NAME"),
        place="",
    ),
    "p above 1": Bad(
        _spoilt("P", "1.5"),
        ("column 'P': p is outside [0, 1]", "'1.5'", "--column nlog10_p=P"),
        ("column 'P': p is outside [0, 1]", "'1.5'", "--se_column"),
        place=", line {line}, ",
        columns=P_AND_SIGN,
    ),
    "p below 0": Bad(
        _spoilt("P", "-0.2"),
        *_text("column 'P': p is outside [0, 1]", "'-0.2'"),
        place=", line {line}, ",
        columns=P_AND_SIGN,
    ),
    "-log10 p as p": Bad(
        _table(_log_p),
        ("column 'P': p is outside [0, 1]", "If the column holds -log10 p, say so: --column nlog10_p=P"),
        ("column 'P': p is outside [0, 1]", "gputwas gwas import", "which reads -log10 p"),
        place=", line ",
        columns=P_AND_SIGN,
    ),
    "a name twice in the header": Bad(
        _table(lambda line, row: [*row, "1"], [*HEADER, "BETA"]),
        *_text("column 'BETA': two columns have one name", "column 6 and as column 9", "Rename one of them"),
        place=", line 1, ",
    ),
    "an unused name twice in the header": Bad(
        _table(lambda line, row: [*row, "1"], [*HEADER, "BP"]),
        ("column 'BP': two columns have one name",),
        None,
        place=", line 1, ",
    ),
    "UTF-16": Bad(
        _bytes("t.txt", lambda s, f: _good(s, f).decode().encode("utf-16")),
        *_text("is UTF-16 text", "iconv", "-f UTF-16 -t UTF-8"),
        place=", line 1: ",
    ),
    "UTF-16 without mark": Bad(
        _bytes("t.txt", lambda s, f: _good(s, f).decode().encode("utf-16-be")),
        *_text("is UTF-16 text", "-f UTF-16BE"),
        place=", line 1: ",
    ),
    "UTF-16 in a gzip": Bad(
        _bytes("t.txt.gz", lambda s, f: gzip.compress(_good(s, f).decode().encode("utf-16"))),
        *_text("is UTF-16 text", "gzip -dc"),
        place=", line 1: ",
    ),
    "web page": Bad(
        _bytes("t.txt.gz", lambda s, f: b"<!DOCTYPE html>\n<html><body>404</body></html>\n"),
        *_text("is a web page", "fetch the file again"),
        place=", line 1: ",
    ),
    "ids by position": Bad(
        _table(lambda line, row: [f"{row[1]}_{row[2]}_{row[4]}_{row[3]}", *row[1:]]),
        ("none of the models' ", "by chromosome, position and alleles", "--column variant_id=NAME"),
        ("none of the models' ", "the models by rs numbers", "--snp_column NAME", "--model_db_snp_key varID"),
    ),
    "not there": Bad(lambda s, f: f / "nowhere.txt", *_text("does not exist", "Check the path")),
    "a folder": Bad(lambda s, f: f, *_text("is a folder, not a file", "Name its files")),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.strict is not None])
def test_import_refuses(name: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, out = CASES[name], tmp_path / "out" / "gwas"
    out.parent.mkdir()
    path = case.make(study, tmp_path)
    message = refused(run(capsys, *study.import_words(path, out=out)), *case.strict or ())
    assert message.startswith(f"{path}{case.place.format(line=study.line)}"), message
    nothing_written(out)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.parity is not None])
def test_spredixcan_refuses(
    name: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case, out = CASES[name], tmp_path / "new folder" / "out.csv"
    path = case.make(study, tmp_path)
    outcome = run(capsys, *study.spredixcan_words(path, out, columns=case.columns))
    message = refused(outcome, *case.parity or ())
    assert message.startswith(f"{path}{case.place.format(line=study.line)}"), message
    assert "--column " not in message, "a remedy with a flag that this command does not have"
    assert not out.parent.exists(), "not even the folder is made"


def test_a_file_that_fails_leaves_a_store_as_it_was(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(study.gwas, tmp_path / "gwas"))
    before = snapshot(store)
    refused(run(capsys, *study.import_words(study.spoilt(tmp_path / "new.txt", "BETA", "abc"), out=store)))
    assert snapshot(store) == before
    no_leftovers(tmp_path)


@pytest.mark.parametrize("keep_going", [False, True])
def test_traits_before_a_bad_one_stay(
    keep_going: bool, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [study.table(tmp_path / "a.txt"), study.spoilt(tmp_path / "b.txt", "SE", "-1")]
    files.append(study.table(tmp_path / "c.txt"))
    out = tmp_path / "gwas"
    outcome = run(capsys, *study.import_words(*files, out=out), *(["--keep-going"] if keep_going else []))
    assert outcome.code == 3
    assert outcome.err.count("a standard error is negative") == 1
    there = run(capsys, "gwas", "list", out).out
    names = [line.split("\t")[0] for line in there.splitlines()[1:]]
    assert names == (["a", "c"] if keep_going else ["a"])


def test_only_bad_files_leave_no_store(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gwas"
    files = [study.spoilt(tmp_path / name, "SE", "-1") for name in ("a.txt", "b.txt")]
    outcome = run(capsys, *study.import_words(*files, out=out), "--keep-going")
    assert outcome.code == 3 and outcome.err.count("a standard error is negative") == 2
    nothing_written(out)


def test_a_missing_file_among_many_is_told_before_any_is_read(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gwas"
    files = [study.table(tmp_path / "a.txt"), tmp_path / "nowhere.txt"]
    refused(run(capsys, *study.import_words(*files, out=out)), files[1], "does not exist")
    nothing_written(out)


def test_plain_text_named_gz_is_read_with_a_warning(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trait.txt.gz"
    path.write_bytes(study.table(tmp_path / "good.txt").read_bytes())
    for words in (
        study.import_words(path, out=tmp_path / "gwas"),
        study.spredixcan_words(path, tmp_path / "out.csv"),
    ):
        outcome = run(capsys, *words)
        assert outcome.code == 0
        assert outcome.err.count(f"warning: {path}: is not compressed in spite of its name") == 1


def test_single_rows_that_cannot_be_used_are_counted(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A standard error printed as 0 or equal alleles cost the row, not the file, as in the reference."""
    row = study.rows[study.line - 2]
    spoil = _one(study, "SE", "0")
    zero = study.table(tmp_path / "zero.txt", lambda line, row: spoil(line, row)[:-1], HEADER[:-1])
    outcome = run(capsys, *study.import_words(zero, out=tmp_path / "gwas"))
    assert outcome.code == 0 and "1 row has a standard error of 0" in outcome.err
    assert _report(outcome.out)["dropped_missing_value"] == "1"
    same = study.table(tmp_path / "same.txt", _one(study, "A2", row[3]))
    outcome = run(capsys, *study.import_words(same, out=tmp_path / "gwas"))
    assert outcome.code == 0 and _report(outcome.out)["dropped_same_alleles"] == "1"


def _one(study: Study, column: str, value: str) -> Callable[[int, Row], Row]:
    def change(line: int, row: Row) -> Row:
        if line == study.line:
            row[HEADER.index(column)] = value
        return row

    return change


def _report(out: str) -> dict[str, str]:
    names, values = (line.split("\t") for line in out.splitlines()[:2])
    return dict(zip(names, values, strict=True))


def test_check_refuses_as_the_import_does(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study.spoilt(tmp_path / "trait.txt", "BETA", "abc")
    refused(run(capsys, "gwas", "check", path, "--models", study.models), f"{path}, line {study.line}")
    (tmp_path / "empty.txt").touch()
    refused(run(capsys, "gwas", "check", tmp_path / "empty.txt"), tmp_path / "empty.txt", "is empty")


@pytest.mark.parametrize("more", [[], ["--palindromes", "drop"], ["--mode", "parity", "--keep-non-rsid"]])
def test_check_and_import_find_the_same(study, tmp_path, capsys, more):
    path, store = study.table(tmp_path / "t.txt"), tmp_path / "gwas"
    checked = run(capsys, "gwas", "check", path, "--models", study.models, *more)
    imported = run(capsys, *study.import_words(path, out=store), *more)
    assert checked.code == imported.code == 0, checked.err + imported.err
    metadata = GwasStore.open(store).metadata("t")
    assert f"variants of the models found: {metadata['found_share']:.1%}" in checked.out
    assert f"rows: {metadata['rows_read']:,} read" in checked.out
