"""A tiny study on disk, a way to run the command line in this process, and what a refusal must look like.

In: a folder and words of a command line. Out: exit code and what was printed; `refused` checks the shape of
an error message, `snapshot` and `nothing_written` that nothing half-written stays.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gputwas import progress
from gputwas.cli.main import main
from gputwas.files import TEMPORARY_PREFIX
from gputwas.simulate.config import preset
from gputwas.simulate.study import simulate_study

__all__ = [
    "BETA_SE",
    "HEADER",
    "Outcome",
    "Row",
    "Study",
    "build_study",
    "execute",
    "no_leftovers",
    "nothing_written",
    "refused",
    "run",
    "snapshot",
]

HEADER = ["SNP", "CHR", "BP", "A1", "A2", "BETA", "SE", "P"]
BETA_SE = ["--beta_column", "BETA", "--se_column", "SE"]
Row = list[str]


@dataclass(frozen=True)
class Outcome:
    """What a command line did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Study:
    """Files and stores of a small simulated study; tests read them and never write to them.

    Attributes
    ----------
    folder : everything. databases, covariances : one file per tissue, in order of their names.
    tissues : their names. gwas_file : trait 1 in the BIG40 format. manifest : all traits.
    models, gwas, associations : the three stores.
    rows : trait 1 as a plain table under `HEADER`. line : one of its lines, of a SNP that all tissues use.
    """

    folder: Path
    tissues: tuple[str, ...]
    gwas_file: Path
    manifest: Path
    rows: tuple[tuple[str, ...], ...]
    line: int

    @property
    def models(self) -> Path:
        return self.folder / "stores" / "models"

    @property
    def gwas(self) -> Path:
        return self.folder / "stores" / "gwas"

    @property
    def associations(self) -> Path:
        return self.folder / "stores" / "associations"

    @property
    def databases(self) -> list[Path]:
        return sorted((self.folder / "study" / "models").glob("*.db"))

    @property
    def covariances(self) -> list[Path]:
        return sorted((self.folder / "study" / "models").glob("*.txt.gz"))

    def table(
        self,
        path: Path,
        change: Callable[[int, Row], Row | None] | None = None,
        header: Sequence[str] = tuple(HEADER),
        separator: str = "\t",
    ) -> Path:
        """Write trait 1 as a plain table; `change` gets every row with its line and gives it back."""
        lines = [separator.join(header)]
        for line, row in enumerate(self.rows, start=2):
            cells = list(row) if change is None else change(line, list(row))
            if cells is not None:
                lines.append(separator.join(cells))
        text = "\n".join(lines) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        return path

    def spoilt(self, path: Path, column: str, value: str, **options: Any) -> Path:
        """Trait 1 with one other value, in line `line`."""

        def change(line: int, row: Row) -> Row:
            if line == self.line:
                row[HEADER.index(column)] = value
            return row

        return self.table(path, change, **options)

    def import_words(self, *files: Path, out: Path) -> list[str]:
        """`gputwas gwas import` of files as one trait each."""
        return ["gwas", "import", *map(str, files), "--models", str(self.models), "--out", str(out)]

    def spredixcan_words(
        self, gwas: Path, out: Path, *more: str, columns: Sequence[str] = tuple(BETA_SE)
    ) -> list[str]:
        """`gputwas spredixcan` of a file with `HEADER` against the first tissue."""
        words = ["spredixcan", "--model_db_path", str(self.databases[0]), "--covariance",
                 str(self.covariances[0]), "--gwas_file", str(gwas), "--output_file", str(out)]  # fmt: skip
        return [*words, *columns, *more]

    def copy_models(self, folder: Path, tissue: int = 0) -> tuple[Path, Path]:
        """Copy database and covariance of a tissue, to be spoilt."""
        folder.mkdir(parents=True, exist_ok=True)
        return (
            Path(shutil.copy(self.databases[tissue], folder)),
            Path(shutil.copy(self.covariances[tissue], folder)),
        )


def build_study(folder: Path) -> Study:
    """Simulate the study and make its three stores through the command line."""
    simulate_study(folder / "study", preset("test"))
    gwas_file = folder / "study" / "gwas" / "33k" / "0001.txt.gz"
    manifest = folder / "study" / "manifest.tsv"
    study = Study(folder, (), gwas_file, manifest, (), 0)
    (folder / "stores").mkdir()
    for words in (
        ["models", "import", *map(str, study.databases), "--out", str(study.models)],
        ["gwas", "import", "-m", str(manifest), "--models", str(study.models), "--out", str(study.gwas)],
        ["associate", "--models", str(study.models), "--gwas", str(study.gwas), "--backend", "numpy",
         "--out", str(study.associations)],
    ):  # fmt: skip
        assert main(["--quiet", *words]) == 0
    tissues = tuple(path.stem for path in study.databases)
    rows = tuple(_plain_rows(gwas_file))
    used = set.intersection(*(_snps(database) for database in study.databases))
    line = next(line for line, row in enumerate(rows, start=2) if line > 10 and row[0] in used)
    return Study(folder, tissues, gwas_file, manifest, rows, line)


def _snps(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {rsid for (rsid,) in connection.execute("SELECT rsid FROM weights")}


def _plain_rows(path: Path) -> Iterable[tuple[str, ...]]:
    """Rows of a BIG40 file under `HEADER`: a2 is its effect allele, and it prints -log10 p."""
    for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]:
        chromosome, rsid, position, a1, a2, beta, se, log_p = line.split()
        yield rsid, chromosome, position, a2, a1, beta, se, f"{10 ** -float(log_p):.6g}"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Outcome:
    """Run a command line in this process; logging and progress are left as they were."""
    log = logging.getLogger("gputwas")
    before = (log.handlers[:], log.propagate, log.level, progress._style)
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    finally:
        log.handlers[:], log.propagate = before[0], before[1]
        log.setLevel(before[2])
        progress._style = before[3]
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)


def refused(outcome: Outcome, *needles: str | Path, code: int = 3) -> str:
    """Check exit code and shape of a refusal and return its one message.

    The message stands on one line, is logged once as an error, says nothing twice, has no traceback, and
    holds all `needles`.
    """
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    if code == 2:
        message = outcome.err.strip()
    else:
        errors = [line for line in outcome.err.splitlines() if re.match(r"\d\d:\d\d:\d\d  error: ", line)]
        assert len(errors) == 1, outcome.err
        message = errors[0].split("error: ", 1)[1]
        last = outcome.err.rstrip("\n").splitlines()[-1]
        assert errors[0] == last, "the error is one line and the last that is said"
        assert outcome.err.count(message) == 1
    assert "defect of gputwas" not in message
    sentences = [part for part in re.split(r"(?<=[a-z0-9)'])\. ", message) if len(part) > 20]
    assert len(sentences) == len(set(sentences)), f"says something twice: {message}"
    assert ".." not in message.replace("...", ""), message
    for needle in needles:
        assert str(needle) in message, f"{needle} is not in: {message}"
    return message


def snapshot(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, by its path; locks are left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def nothing_written(out: Path) -> None:
    """Check that `out` does not exist and that no temporary file lies anywhere below its folder."""
    assert not out.exists(), sorted(out.rglob("*")) if out.is_dir() else out
    no_leftovers(out.parent)


def no_leftovers(folder: Path) -> None:
    """Check that no temporary file of ours lies anywhere below a folder."""
    assert not [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def execute(database: Path, *statements: str) -> None:
    """Change an SQLite database."""
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
