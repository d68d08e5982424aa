"""Bad model databases and covariances through the command line: one message, exit code 3, no store.

Every pair of files is given to `gputwas models import` and to `gputwas spredixcan`.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.studies import BETA_SE, Study, execute, no_leftovers, nothing_written, refused, run, snapshot

Spoil = Callable[[Path, Path], object]
NOISE = random.Random(5).randbytes(3000)
SNP_OF_COVARIANCE = 5  # row of the file in which a cell is spoilt


@dataclass(frozen=True)
class Bad:
    """Files that cannot be used.

    Attributes
    ----------
    spoil : changes copies of a database and its covariance. blamed : which of them the message names.
    words : what both messages hold. place : what follows the file's name. dropin_takes : the drop-in command
        takes the files, as MetaXcan does.
    """

    spoil: Spoil
    blamed: str
    words: Sequence[str]
    place: str = ": "
    dropin_takes: bool = False


def sql(*statements: str) -> Spoil:
    return lambda database, covariance: execute(database, *statements)


def rows(change: Callable[[int, list[str]], list[str] | None]) -> Spoil:
    """Change the rows of the covariance; the first after the header is 1."""

    def spoil(database: Path, covariance: Path) -> None:
        header, *lines = gzip.decompress(covariance.read_bytes()).decode().splitlines()
        changed = [change(number, line.split()) for number, line in enumerate(lines, start=1)]
        text = "\n".join([header, *(" ".join(row) for row in changed if row is not None)]) + "\n"
        covariance.write_bytes(gzip.compress(text.encode()))

    return spoil


def _cell(value: str) -> Callable[[int, list[str]], list[str]]:
    return lambda number, row: [*row[:3], value] if number == SNP_OF_COVARIANCE else row


def _first_absent(database: Path, covariance: Path) -> None:
    """Take the first SNP of the covariance out of it."""
    first = gzip.decompress(covariance.read_bytes()).decode().splitlines()[1].split()[1]
    rows(lambda number, row: None if first in row[1:3] else row)(database, covariance)


def _swapped(database: Path, covariance: Path) -> None:
    content = database.read_bytes(), covariance.read_bytes()
    covariance.write_bytes(content[0])
    database.write_bytes(content[1])


DB, COV = "database", "covariance"
CASES = {
    "no table weights": Bad(
        sql("DROP TABLE weights"),
        DB,
        ["the database has no table 'weights'", "tables extra", "Give the .db file"],
    ),
    "no table extra": Bad(
        sql("DROP TABLE extra"), DB, ["the database has no table 'extra'", "Give the .db file"]
    ),
    "no tables": Bad(sql("DROP TABLE extra", "DROP TABLE weights"), DB, ["has no table", "tables (none)"]),
    "no column of effect alleles": Bad(
        sql("ALTER TABLE weights RENAME COLUMN eff_allele TO counted"),
        DB,
        ["table weights has no column eff_allele", "counted", "Rename the column"],
    ),
    "no column of ids": Bad(
        sql("ALTER TABLE weights RENAME COLUMN rsid TO name"),
        DB,
        ["no column 'rsid' for the SNP ids", "name"],
    ),
    "no weights": Bad(sql("DELETE FROM weights"), DB, ["no model with weights", "leave it out"]),
    "a weight that is text": Bad(
        sql("UPDATE weights SET weight = 'abc' WHERE rowid = 3"),
        DB,
        ["is not a finite number", "'abc'", "rs8", "Correct or delete the row"],
        place=", column 'weight': ",
    ),
    "text file as database": Bad(
        lambda d, c: d.write_text("rsid gene weight\n"), DB, ["not an SQLite database", "Give the .db file"]
    ),
    "empty database": Bad(lambda d, c: d.write_bytes(b""), DB, ["an empty file", "Download it again"]),
    "database cut short": Bad(
        lambda d, c: d.write_bytes(d.read_bytes()[:5000]),
        DB,
        ["SQLite cannot read", "download or copy it again"],
    ),
    "files the wrong way round": Bad(_swapped, DB, ["not an SQLite database", "a gzip file", "--covariance"]),
    "SNP without covariance": Bad(
        _first_absent,
        COV,
        ["1 SNPs of 1 of the", "are not in the covariance", "of gene ENSG", "--allow-missing-ld"],
        dropin_takes=True,
    ),
    "covariance of other models": Bad(
        rows(lambda number, row: [cell.replace("rs8", "rs9") for cell in row]),
        COV,
        [
            "no SNP of the models of",
            "'rs9",
            "'rs8",
            "Give the covariance that was released with these models",
        ],
    ),
    "all var_g 0": Bad(
        rows(lambda number, row: [*row[:3], "0"]),
        COV,
        ["var_g of every model of", "zero or negative", "is not rounded to nothing"],
    ),
    "negative variances": Bad(
        rows(lambda number, row: [*row[:3], "-1"]),
        COV,
        ["the variance of rs8", "in gene ENSG", "negative", "-1"],
    ),
    "a pair is missing": Bad(
        rows(lambda number, row: row if row[1] == row[2] else None),
        COV,
        ["the covariance of rs8", "is absent or NA", "gene ENSG", "make the file anew"],
    ),
    "a row is repeated": Bad(
        rows(lambda number, row: [*row, "\n", *row] if number == SNP_OF_COVARIANCE else row),
        COV,
        ["in gene ENSG", "is repeated", "Remove the surplus rows"],
    ),
    "a covariance that is text": Bad(
        rows(_cell("abc")),
        COV,
        ["is not a number", "'abc'", "gene ENSG", "again"],
        place=f", line {SNP_OF_COVARIANCE + 1}, column 'VALUE': ",
    ),
    "a row cut short": Bad(
        rows(lambda number, row: row[:3] if number == SNP_OF_COVARIANCE else row),
        COV,
        ["malformed row", "3 cells", "GENE RSID1 RSID2 VALUE", "again"],
        place=f", line {SNP_OF_COVARIANCE + 1}: ",
    ),
    "covariance cut short": Bad(
        lambda d, c: c.write_bytes(c.read_bytes()[:300]),
        COV,
        ["the gzip stream is cut short", "copy it again"],
    ),
    "covariance empty": Bad(lambda d, c: c.write_bytes(b""), COV, ["is empty", "copy it again"]),
    "covariance binary": Bad(
        lambda d, c: c.write_bytes(NOISE),
        COV,
        ["not a text table", "Give the covariance"],
        place=", line 1: ",
    ),
    "covariance in UTF-16": Bad(
        lambda d, c: c.write_bytes(gzip.decompress(c.read_bytes()).decode().encode("utf-16")),
        COV,
        ["not a text table", "Give the covariance"],
        place=", line 1: ",
    ),
    "covariance with other columns": Bad(
        lambda d, c: c.write_text("GENE SNP1 SNP2 VALUE\n"),
        COV,
        ["no column RSID1", "SNP1 SNP2"],
        place=", line 1: ",
    ),
    "covariance with a header only": Bad(
        lambda d, c: c.write_text("GENE RSID1 RSID2 VALUE\n"),
        COV,
        ["no SNP of the models", "(found nothing;"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_import_refuses(name: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    database, covariance = study.copy_models(tmp_path / "files")
    case.spoil(database, covariance)
    out = tmp_path / "models"
    outcome = run(capsys, "models", "import", database, "--covariance", covariance, "--out", out)
    message = refused(outcome, *case.words)
    assert message.startswith(f"{database if case.blamed == DB else covariance}{case.place}"), message
    nothing_written(out)


@pytest.mark.parametrize("name", CASES)
def test_spredixcan_refuses(
    name: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    database, covariance = study.copy_models(tmp_path / "files")
    case.spoil(database, covariance)
    gwas, out = study.table(tmp_path / "gwas.txt"), tmp_path / "out.csv"
    outcome = run(
        capsys, "spredixcan", "--model_db_path", database, "--covariance", covariance, "--gwas_file", gwas,
        "--output_file", out, *BETA_SE,
    )  # fmt: skip
    if case.dropin_takes:
        assert outcome.code == 0 and "1 SNPs are not in the covariance and are left out" in outcome.err
        return
    message = refused(outcome, *case.words)
    assert message.startswith(f"{database if case.blamed == DB else covariance}{case.place}"), message
    assert "-db-snp-key" not in message, "a flag that this command does not have"
    nothing_written(out)


def test_spoilt_models_do_not_touch_the_store_they_should_replace(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, covariance = study.copy_models(tmp_path / "files")
    store = tmp_path / "models"
    words = ["models", "import", database, "-c", covariance, "--out", store]
    assert run(capsys, *words).code == 0
    before = snapshot(store)
    rows(lambda number, row: [*row[:3], "0"])(database, covariance)
    for more in ([], ["--overwrite"]):
        refused(run(capsys, *words, *more), covariance)
        assert snapshot(store) == before
    no_leftovers(tmp_path)


def test_other_files_than_those_of_the_store(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(study.models)
    outcome = run(capsys, "models", "import", study.databases[0], "--out", study.models)
    refused(outcome, study.models, "the store was written differently", study.tissues[1], "--overwrite")
    assert snapshot(study.models) == before


def test_models_keyed_by_another_column(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, covariance = study.copy_models(tmp_path / "files")
    execute(database, "ALTER TABLE weights RENAME COLUMN rsid TO varID")
    out = tmp_path / "models"
    outcome = run(capsys, "models", "import", database, "-c", covariance, "-o", out)
    refused(outcome, database, "These models are keyed by varID: pass --model-db-snp-key varID")
    outcome = run(capsys, "models", "import", database, "-o", out, "--model-db-snp-key", "nonsense")
    refused(outcome, database, "no column 'nonsense'", "rsid", code=3) if False else refused(
        outcome, database, "no column 'nonsense'", "varID"
    )
    words = [
        "spredixcan",
        "--model_db_path",
        database,
        "--covariance",
        covariance,
        "--output_file",
        out,
        *BETA_SE,
    ]
    outcome = run(capsys, *words, "--gwas_file", study.table(tmp_path / "gwas.txt"))
    refused(outcome, database, "pass --model_db_snp_key varID")
    nothing_written(out)


def test_which_covariance_belongs_to_which_models(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, empty = tmp_path / "models", tmp_path / "empty"
    empty.mkdir()
    base = ["models", "import", "--out", out]
    nowhere = tmp_path / "nowhere"
    refused(run(capsys, *base, f"{nowhere}.db"), f"{nowhere}.db", "no such model database", "Check the path")
    outcome = run(capsys, *base, study.databases[0], "-c", f"{nowhere}.txt.gz")
    refused(outcome, f"{nowhere}.txt.gz")
    refused(run(capsys, *base, empty), empty, "there is no model database", "Name the databases")
    outcome = run(capsys, *base, study.databases[0], "-c", empty)
    refused(outcome, study.databases[0], "there is no covariance for the models of", "--covariance")
    database, _ = study.copy_models(tmp_path / "copy")
    outcome = run(capsys, *base, study.databases[0], database)
    refused(outcome, "2 databases are of the tissue", study.databases[0], database, "stores of their own")
    outcome = run(capsys, *base, study.databases[0], "--single-snp-model")
    refused(outcome, study.databases[0], "SNPs, not a single one", "Give the covariance")
    refused(run(capsys, "models", "import", "--out", out), "Missing argument", code=2)
    nothing_written(out)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["does not exist", "Check the path"]),
        ("gene\tstart\tend\nENSG1\t1\t2\n", ["the gene table has no column chromosome", "gene, start, end"]),
        (
            "gene\tchromosome\tstart\tend\nENSG1\t1\t1\t2\nENSG2\t1\tx\t2\n",
            [", line 3: ", "'x'", "tab-separated columns gene, chromosome, start, end"],
        ),
    ],
    ids=["not there", "no chromosome", "a start that is text"],
)
def test_gene_tables(
    text: str | None,
    words: list[str],
    study: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, out = tmp_path / "genes.tsv", tmp_path / "models"
    if text is not None:
        table.write_text(text)
    outcome = run(capsys, "models", "import", *study.databases, "--genes", table, "--out", out)
    refused(outcome, table, *words)
    nothing_written(out)
