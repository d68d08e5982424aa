"""Not one variant of the models is in the GWAS: the message says why, from the identifiers themselves."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.studies import (
    BETA_SE,
    Study,
    execute,
    nothing_written,
    refused,
    run,
)


@dataclass(frozen=True)
class Keyed:
    """Models of the first tissue keyed by varID, as files and as a store; `ids` maps rs numbers to them."""

    database: Path
    covariance: Path
    store: Path
    ids: dict[str, str]


@pytest.fixture(scope="module")
def keyed(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    folder = tmp_path_factory.mktemp("keyed")
    database, covariance = study.copy_models(folder)
    ids = {row[0]: f"{int(row[1])}_{row[2]}_{row[4]}_{row[3]}_b37" for row in study.rows if row[1].isdigit()}
    execute(
        database,
        *(f"UPDATE weights SET rsid = '{new}' WHERE rsid = '{old}'" for old, new in ids.items()),
        "ALTER TABLE weights RENAME COLUMN rsid TO varID",
    )
    text = gzip.decompress(covariance.read_bytes()).decode()
    cells = (line.split(" ") for line in text.splitlines())
    lines = [" ".join(ids.get(cell, cell) for cell in row) for row in cells]
    covariance.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    from gputwas.ingest.models import import_models

    import_models(database, covariance, folder / "models", snp_key="varID")
    return Keyed(database, covariance, folder / "models", ids)


def _moved(key: str) -> str:
    chromosome, position, *rest = key.split("_")
    return "_".join([chromosome, str(int(position) + 54321), *rest])


NAMES: dict[str, tuple[Callable[[str, str], str], tuple[str, ...], tuple[str, ...]]] = {
    # GWAS id from rs number and key; words of both messages; words of the drop-in's
    "rs numbers": (
        lambda rsid, key: rsid,
        ("the file names its variants by rs numbers", "the models by chromosome, position and alleles"),
        ("--snp_column NAME", "--model_db_snp_key rsid"),
    ),
    "chr prefix": (
        lambda rsid, key: f"chr{key}",
        ("the ids differ only in the `chr` prefix, which only the file has", "Write the file's ids as"),
        ("read the models by rs number: --model_db_snp_key rsid",),
    ),
    "without alleles": (
        lambda rsid, key: ":".join(key.split("_")[:2]),
        ("the positions agree, but only the models' ids have alleles",),
        (),
    ),
    "another build by the positions": (
        lambda rsid, key: _moved(key),
        ("most likely on another genome build", "Lift the file over first to GRCh37"),
        (),
    ),
    "another build by the ids": (
        lambda rsid, key: _moved(key).replace("b37", "b38"),
        ("the file is on another genome build (GRCh38) than the models (GRCh37)", "Lift the file over"),
        (),
    ),
    "alleles in the other order": (
        lambda rsid, key: "_".join(key.split("_")[i] for i in (0, 1, 3, 2, 4)),
        ("the ids have the two alleles in the other order",),
        (),
    ),
}  # fmt: skip


MENDED = {  # what `--match auto` takes instead, as the log has it
    "rs numbers": "matched by chromosome and position (columns",
    "chr prefix": "alleles in either order",
    "without alleles": "alleles by their columns",
    "alleles in the other order": "alleles in either order",
}


@pytest.mark.parametrize("name", NAMES)
def test_no_variant_found(
    name: str, study: Study, keyed: Keyed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename, words, of_dropin = NAMES[name]
    path = study.table(
        tmp_path / "trait.txt",
        lambda line, row: [rename(row[0], keyed.ids[row[0]]), *row[1:]] if row[0] in keyed.ids else None,
    )
    out = tmp_path / "gwas"
    importing = ["gwas", "import", path, "--models", keyed.store, "--out", out]
    outcome = run(capsys, *importing, "--match", "id")
    refused(outcome, path, "none of the models' ", *words)
    nothing_written(out)
    if name in MENDED:
        outcome = run(capsys, *importing)
        assert outcome.code == 0 and MENDED[name] in outcome.err
    csv = tmp_path / "out.csv"
    outcome = run(
        capsys, "spredixcan", "--model_db_path", keyed.database, "--covariance", keyed.covariance,
        "--model_db_snp_key", "varID", "--keep_non_rsid", "--gwas_file", path, "--output_file", csv, *BETA_SE,
    )  # fmt: skip
    refused(outcome, path, "none of the models' ", *words, *of_dropin)
    nothing_written(csv)


def test_rows_without_rs_number_are_left_out_only_when_said(
    study: Study, keyed: Keyed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MetaXcan leaves out ids without "rs" in silence, here the flag that keeps them is named."""
    path = study.table(
        tmp_path / "trait.txt",
        lambda line, row: [keyed.ids[row[0]], *row[1:]] if row[0] in keyed.ids else None,
    )
    words = [
        "spredixcan", "--model_db_path", keyed.database, "--covariance", keyed.covariance,
        "--model_db_snp_key", "varID", "--gwas_file", path, "--output_file", tmp_path / "out.csv", *BETA_SE,
    ]  # fmt: skip
    message = refused(run(capsys, *words), path, "an identifier without 'rs'", "--keep_non_rsid")
    assert "--keep-non-rsid" not in message
    assert run(capsys, *words, "--keep_non_rsid").code == 0
