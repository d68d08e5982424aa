"""Every flag of the drop-in command, against numbers computed by hand.

What the reference program makes of the same flags was compared outside of this suite; the golden tests hold
its results on real models.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from scipy.stats import norm

from gputwas.cli.dropin import parse_flags
from gputwas.errors import UsageError
from tests.study.small_gwas import (
    EFFECT,
    FLAGS,
    GENES,
    HEADER,
    OTHER,
    SNPS,
    WEIGHTS,
    Z,
    assert_result,
    expected,
    gwas_row,
    result,
    spredixcan,
    write_covariance,
    write_database,
    write_gwas_table,
)

REFERENCE_FLAGS = (
    "model_db_path", "model_db_snp_key", "gwas_file", "gwas_h2", "gwas_N", "gwas_folder", "gwas_file_pattern",
    "snp_column", "effect_allele_column", "non_effect_allele_column", "chromosome_column", "position_column",
    "freq_column", "beta_column", "beta_sign_column", "or_column", "se_column", "zscore_column",
    "pvalue_column", "separator", "skip_until_header", "handle_empty_columns", "input_pvalue_fix",
    "keep_non_rsid", "snp_map_file", "split_column", "single_snp_model", "covariance", "stream_covariance",
    "output_file", "remove_ens_version", "verbosity", "throw", "overwrite", "additional_output", "MAX_R",
)  # fmt: skip

BASE = "--model_db_path m --covariance c --output_file o"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models, covariance and GWAS."""
    write_database(tmp_path / "models.db")
    write_covariance(tmp_path / "covariance.txt")
    write_gwas_table(tmp_path / "gwas.txt")
    return tmp_path


def test_every_flag_of_the_reference_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    from gputwas.cli import dropin

    app = typer.Typer(add_completion=False)
    dropin.register(app)
    command = typer.main.get_command(app).commands["spredixcan"]
    ours = {name for parameter in command.params for name in parameter.opts}
    assert {f"--{name}" for name in REFERENCE_FLAGS} <= ours
    assert ours - {f"--{name}" for name in REFERENCE_FLAGS} <= {"--help"}


def test_defaults_are_those_of_the_reference() -> None:
    options = parse_flags([*BASE.split(), "--gwas_file", "g", "--zscore_column", "z"])
    assert (options.snp_column, options.effect_allele_column) == ("SNP", "A1")
    assert (options.non_effect_allele_column, options.input_pvalue_fix) == ("A2", 1e-50)
    assert options.separator is None and options.MAX_R is None


def test_plain_call(folder: Path) -> None:
    assert spredixcan(folder, *FLAGS) == 0
    assert_result(folder / "out.csv")
    rows = result(folder / "out.csv")
    assert list(rows) == sorted(rows, key=lambda gene: -abs(expected(gene)[0]))
    for gene, row in rows.items():
        assert row["gene_name"] == f"N{gene}"
        assert row["pvalue"] == pytest.approx(2 * norm.sf(abs(expected(gene)[0])), rel=1e-5)
        assert row["n_snps_in_model"] == row["n_snps_in_cov"] == len(GENES[gene])
        assert (row["pred_perf_r2"], row["pred_perf_pval"], row["pred_perf_qval"]) == (0.1, 0.01, 0.02)


def test_exchanged_alleles_turn_z_and_effect(folder: Path) -> None:
    rows = [gwas_row(snp) for snp in SNPS]
    for row in rows[::2]:
        row[2], row[3], row[4] = row[3].lower(), row[2], repr(-float(row[4]))
    write_gwas_table(folder / "gwas.txt", rows)
    assert spredixcan(folder, *FLAGS) == 0
    assert_result(folder / "out.csv")


def test_snps_that_the_gwas_lacks(folder: Path) -> None:
    kept = [snp for snp in SNPS if snp not in ("rs1", "rs6", "rs3")]
    write_gwas_table(folder / "gwas.txt", [gwas_row(snp) for snp in kept])
    assert spredixcan(folder, *FLAGS) == 0
    assert_result(folder / "out.csv", {snp: Z[snp] for snp in kept}, genes=["G1.1", "G3.1"])


# One GWAS in several files


def by_chromosome(folder: Path) -> Path:
    """A folder with the GWAS by chromosome, a text that is no GWAS, and an older copy with other values."""
    parts = folder / "parts"
    parts.mkdir()
    write_gwas_table(parts / "chr1.txt", [gwas_row(snp) for snp in SNPS[:3]])
    write_gwas_table(parts / "chr2.txt", [gwas_row(snp) for snp in SNPS[3:]])
    (parts / "README").write_text("Nothing to score here.\n")
    old = [[*row[:4], repr(2 * float(row[4])), row[5]] for row in map(gwas_row, SNPS)]
    write_gwas_table(parts / "old_chr2.txt", old)
    return parts


def test_files_of_a_folder_give_the_csv_of_one_file(folder: Path) -> None:
    parts = by_chromosome(folder)
    assert spredixcan(folder, *FLAGS, "--additional_output") == 0
    words = ("--gwas_folder", parts, "--gwas_file_pattern", r"chr\d+\.txt$")
    assert spredixcan(folder, *FLAGS, "--additional_output", *words, gwas=None, out="parts.csv") == 0
    assert (folder / "parts.csv").read_bytes() == (folder / "out.csv").read_bytes()


def test_pattern_is_met_from_the_beginning_of_a_name(folder: Path) -> None:
    """Otherwise old_chr2.txt would be read too, and being last, win."""
    words = ("--gwas_folder", by_chromosome(folder), "--gwas_file_pattern", "chr.*txt")
    assert spredixcan(folder, *FLAGS, *words, gwas=None) == 0
    assert_result(folder / "out.csv")


def test_last_file_by_name_wins(folder: Path) -> None:
    words = ("--gwas_folder", by_chromosome(folder), "--gwas_file_pattern", r".*chr2.txt")
    assert spredixcan(folder, *FLAGS, *words, gwas=None) == 0
    assert_result(folder / "out.csv", {snp: 2 * Z[snp] for snp in SNPS})


def test_whole_folder_without_a_pattern(folder: Path) -> None:
    parts = by_chromosome(folder)
    (parts / "README").unlink()
    (parts / "old_chr2.txt").unlink()
    assert spredixcan(folder, *FLAGS, "--gwas_folder", parts, gwas=None) == 0
    assert_result(folder / "out.csv")


def test_pattern_that_fits_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = by_chromosome(folder)
    for pattern, code in ((r"22", 3), ("*.txt", 2)):
        words = ("--gwas_folder", parts, "--gwas_file_pattern", pattern)
        assert spredixcan(folder, *FLAGS, *words, gwas=None) == code
        message = capsys.readouterr().err
        assert "regular expression" in message
        assert not (folder / "out.csv").exists()


# How the text is cut into cells


def test_skip_until_header(folder: Path) -> None:
    text = (folder / "gwas.txt").read_text()
    (folder / "gwas.txt").write_text(f"## made on a Monday\nsnp_id is not here\n\n{text}")
    assert spredixcan(folder, *FLAGS, "--skip_until_header", "\t".join(HEADER)) == 0
    assert_result(folder / "out.csv")
    assert spredixcan(folder, *FLAGS, "--skip_until_header", "snp_id\tchr", out="begin.csv") == 0
    assert (folder / "begin.csv").read_bytes() == (folder / "out.csv").read_bytes()
    assert spredixcan(folder, *FLAGS, "--skip_until_header", "no such words", out="none.csv") == 3
    assert not (folder / "none.csv").exists()


def test_empty_cells(folder: Path) -> None:
    """rs1 lacks its chromosome, rs2 its effect; without the flag both rows have too few cells."""
    rows = [gwas_row(snp) for snp in SNPS]
    rows[0][1] = ""
    rows[1][4] = ""
    write_gwas_table(folder / "gwas.txt", rows)
    assert spredixcan(folder, *FLAGS, "--handle_empty_columns") == 0
    assert_result(folder / "out.csv", {snp: z for snp, z in Z.items() if snp != "rs2"})
    assert spredixcan(folder, *FLAGS, out="plain.csv") == 0
    both = {snp: z for snp, z in Z.items() if snp not in ("rs1", "rs2")}
    assert_result(folder / "plain.csv", both, genes=["G2.1", "G3.1"])


def test_empty_last_cells(folder: Path) -> None:
    header = (*HEADER, "note")
    rows = [[*gwas_row(snp), "" if snp == "rs4" else "x"] for snp in SNPS]
    write_gwas_table(folder / "gwas.txt", rows, header=header)
    assert spredixcan(folder, *FLAGS, "--handle_empty_columns") == 0
    assert_result(folder / "out.csv")
    assert spredixcan(folder, *FLAGS, out="plain.csv") == 0
    assert_result(folder / "plain.csv", {snp: z for snp, z in Z.items() if snp != "rs4"})


@pytest.mark.parametrize("separator", [",", ";", "|", "::", "\t"])
def test_separator(folder: Path, separator: str) -> None:
    write_gwas_table(folder / "gwas.txt", separator=separator)
    assert spredixcan(folder, *FLAGS, "--separator", separator) == 0
    assert_result(folder / "out.csv")


# Where z comes from


def test_z_column_wins(folder: Path) -> None:
    rows = [[*gwas_row(snp), repr(Z[snp] / 2)] for snp in SNPS]
    write_gwas_table(folder / "gwas.txt", rows, header=(*HEADER, "stat"))
    assert spredixcan(folder, *FLAGS, "--zscore_column", "stat") == 0
    rows_ = result(folder / "out.csv")
    for gene in GENES:
        assert rows_[gene]["zscore"] == pytest.approx(expected(gene)[0] / 2, rel=1e-6)
        assert rows_[gene]["effect_size"] == pytest.approx(expected(gene)[1], rel=1e-6)


def test_p_and_sign(folder: Path) -> None:
    rows = [
        [*gwas_row(snp)[:4], repr(float(2 * norm.sf(Z[snp]))), "-" if snp == "rs2" else "+"] for snp in SNPS
    ]
    write_gwas_table(folder / "gwas.txt", rows, header=("snp_id", "chr", "ea", "oa", "p", "direction"))
    words = [*FLAGS[:6], "--pvalue_column", "p", "--beta_sign_column", "direction"]
    assert spredixcan(folder, *words) == 0
    turned = Z | {"rs2": -2.0}
    for gene, row in result(folder / "out.csv").items():
        assert row["zscore"] == pytest.approx(expected(gene, turned)[0], rel=1e-6)
        assert row["effect_size"] is None


def test_odds_ratios(folder: Path) -> None:
    rows = [[*gwas_row(snp)[:4], repr(math.exp(Z[snp] * 0.01)), "0.01"] for snp in SNPS]
    write_gwas_table(folder / "gwas.txt", rows, header=("snp_id", "chr", "ea", "oa", "ratio", "s"))
    assert spredixcan(folder, *FLAGS[:6], "--or_column", "ratio", "--se_column", "s") == 0
    assert_result(folder / "out.csv")


@pytest.mark.parametrize(("fix", "z_zero"), [("1e-50", 14.9778), ("1e-4", 5.2), ("0", None)])
def test_p_of_zero(folder: Path, fix: str, z_zero: float | None) -> None:
    """p = 0 takes the smaller of the stand-in and the least p of the models' SNPs; 0 drops the row."""
    least = 2e-7
    values = dict(zip(SNPS, (0.5, 0.0, 0.01, 0.1, least, 0.3), strict=True))
    rows = [[*gwas_row(snp)[:5], repr(values[snp])] for snp in SNPS]
    write_gwas_table(folder / "gwas.txt", rows, header=("snp_id", "chr", "ea", "oa", "b", "p"))
    words = [*FLAGS[:8], "--pvalue_column", "p", "--input_pvalue_fix", fix]
    assert spredixcan(folder, *words) == 0
    z = {snp: -norm.ppf(p / 2) for snp, p in values.items() if p}
    if z_zero is not None:
        z["rs2"] = -norm.ppf(min(float(fix), least) / 2)
        assert z["rs2"] == pytest.approx(z_zero, rel=1e-2)
    row = result(folder / "out.csv")["G1.1"]
    assert row["zscore"] == pytest.approx(expected("G1.1", z)[0], rel=1e-6)
    assert row["n_snps_used"] == (1 if z_zero is None else 2)


def test_columns_with_the_reference_s_own_names_are_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It renames what the flags name and then looks for its own words, so `zscore` wins unasked."""
    rows = [[*gwas_row(snp), repr(Z[snp] / 2)] for snp in SNPS]
    write_gwas_table(folder / "gwas.txt", rows, header=(*HEADER, "zscore"))
    logging.getLogger("gputwas").propagate = True
    with caplog.at_level(logging.WARNING):
        from gputwas.study.dropin import spredixcan_command

        words = ["--model_db_path", folder / "models.db", "--covariance", folder / "covariance.txt",
                 "--gwas_file", folder / "gwas.txt", "--output_file", folder / "out.csv", *FLAGS]  # fmt: skip
        spredixcan_command(parse_flags([str(word) for word in words]))
    for gene, row in result(folder / "out.csv").items():
        assert row["zscore"] == pytest.approx(expected(gene)[0] / 2, rel=1e-6)
    assert "column zscore is used although no flag names it" in caplog.text


def test_alleles_under_the_reference_s_own_names(folder: Path) -> None:
    header = ("snp_id", "chr", "effect_allele", "non_effect_allele", "beta", "se")
    write_gwas_table(folder / "gwas.txt", header=header)
    assert spredixcan(folder, "--snp_column", "snp_id", "--beta_column", "beta", "--se_column", "se") == 0
    assert_result(folder / "out.csv")


@pytest.mark.parametrize("flag", ["--se_column", "--effect_allele_column", "--snp_column"])
def test_a_named_column_that_is_absent(folder: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert spredixcan(folder, *FLAGS, flag, "no_such_column") == 3
    assert "no_such_column" in capsys.readouterr().err
    assert not (folder / "out.csv").exists()


# Models and covariance


def test_single_snp_models_need_no_covariance(folder: Path) -> None:
    genes = {gene: snps[:1] for gene, snps in GENES.items()}
    (folder / "models.db").unlink()
    write_database(folder / "models.db", genes=genes)
    assert spredixcan(folder, *FLAGS, "--single_snp_model", "--additional_output", covariance=False) == 0
    rows = result(folder / "out.csv")
    for gene, (snp,) in genes.items():
        row = rows[gene]
        assert row["zscore"] == pytest.approx(math.copysign(Z[snp], WEIGHTS[snp] * Z[snp]))
        assert row["effect_size"] == pytest.approx(Z[snp] * 0.01 / WEIGHTS[snp])
        assert row["var_g"] == pytest.approx(WEIGHTS[snp] ** 2)
        assert row["n_snps_in_cov"] == row["n_snps_used"] == 1
        assert row["largest_weight"] == abs(WEIGHTS[snp])


def test_genes_of_several_snps_are_no_single_snp_models(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spredixcan(folder, *FLAGS, "--single_snp_model", covariance=False) == 3
    assert "G1.1" in capsys.readouterr().err


def test_stream_covariance_changes_nothing(folder: Path) -> None:
    assert spredixcan(folder, *FLAGS) == 0
    assert spredixcan(folder, *FLAGS, "--stream_covariance", out="stream.csv") == 0
    assert (folder / "stream.csv").read_bytes() == (folder / "out.csv").read_bytes()


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_first_genes_only(folder: Path, most: int) -> None:
    assert spredixcan(folder, *FLAGS, "--MAX_R", str(most)) == 0
    assert_result(folder / "out.csv", genes=list(GENES)[:most])


def test_genes_that_are_not_in_the_gwas_do_not_count_as_first(folder: Path) -> None:
    write_gwas_table(folder / "gwas.txt", [gwas_row(snp) for snp in SNPS[2:]])
    assert spredixcan(folder, *FLAGS, "--MAX_R", "1") == 0
    assert_result(folder / "out.csv", genes=["G2.1"])


def test_versions_of_genes_are_removed(folder: Path) -> None:
    """Also with --additional_output, where the reference program writes no gene at all."""
    assert spredixcan(folder, *FLAGS, "--additional_output") == 0
    assert spredixcan(folder, *FLAGS, "--additional_output", "--remove_ens_version", out="plain.csv") == 0
    text = (folder / "out.csv").read_text()
    for gene in GENES:
        text = text.replace(f"{gene},N", f"{gene.split('.')[0]},N")
    assert (folder / "plain.csv").read_text() == text


def var_id(snp: str) -> str:
    """chr1_100_G_A_b38 for rs1."""
    return f"chr1_{100 * int(snp[2:])}_{OTHER[snp]}_{EFFECT[snp]}_b38"


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_models_by_another_key(folder: Path, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    """varID of a build-38 release without its chr gets one, for the covariance and the GWAS have it."""
    (folder / "models.db").unlink()
    write_database(folder / "models.db", key=lambda snp: var_id(snp).replace("chr", prefix))
    write_covariance(folder / "covariance.txt", key=var_id)
    write_gwas_table(folder / "gwas.txt", [[var_id(row[0]), *row[1:]] for row in map(gwas_row, SNPS)])
    words = (*FLAGS, "--model_db_snp_key", "varID")
    assert spredixcan(folder, *words, "--keep_non_rsid") == 0
    assert_result(folder / "out.csv")
    assert spredixcan(folder, *words, out="rs.csv") == 3, "such ids are used with --keep_non_rsid only"
    assert "--keep_non_rsid" in capsys.readouterr().err


def test_a_key_that_the_database_lacks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spredixcan(folder, *FLAGS, "--model_db_snp_key", "panel_id") == 3
    assert "panel_id" in capsys.readouterr().err


def test_calibration(folder: Path) -> None:
    """G1: φ positive; G2: negative, taken as 0; G3: none, so the gene is left out."""
    (folder / "models.db").unlink()
    write_database(folder / "models.db", phi=(1e-4, -1e-3, None))
    assert spredixcan(folder, *FLAGS, "--gwas_h2", "0.5", "--gwas_N", "20000") == 0
    rows = result(folder / "out.csv")
    assert set(rows) == {"G1.1", "G2.1"}
    z = expected("G1.1")[0]
    calibrated = z / math.sqrt(1 + 1e-4 * 20_000 * 0.5)
    assert rows["G1.1"]["zscore"] == pytest.approx(calibrated, abs=1e-7)
    assert rows["G1.1"]["pvalue"] == pytest.approx(2 * norm.sf(abs(calibrated)), rel=1e-6)
    assert rows["G1.1"]["uncalibrated_zscore"] == pytest.approx(z, abs=1e-7)
    assert rows["G2.1"]["zscore"] == rows["G2.1"]["uncalibrated_zscore"]
    assert (rows["G1.1"]["phi"], rows["G2.1"]["phi"]) == (1e-4, 0.0)


def test_calibration_without_phi_is_refused_before_anything_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gwas.txt").unlink()  # would be the next complaint
    assert spredixcan(folder, *FLAGS, "--gwas_h2", "0.5", "--gwas_N", "20000") == 3
    assert "phi" in capsys.readouterr().err


# What is said, and how the call is written


def test_flags_as_argparse_takes_them(folder: Path) -> None:
    assert spredixcan(folder, *FLAGS) == 0
    words = [
        "--snp_col=snp_id",
        "--effect_allele",
        "ea",
        "--non_effect",
        "oa",
        "--beta_c",
        "b",
        "--se_col",
        "s",
    ]
    assert spredixcan(folder, *words, out="short.csv") == 0
    assert (folder / "short.csv").read_bytes() == (folder / "out.csv").read_bytes()
    assert spredixcan(folder, *FLAGS, "--split_column", "a", "b", "--throw", out="split.csv") == 0
    assert (folder / "split.csv").read_bytes() == (folder / "out.csv").read_bytes()


@pytest.mark.parametrize("words", [["--beta", "b"], ["--no_such_flag"], ["stray"]])
def test_flags_that_are_none_or_several(folder: Path, words: list[str]) -> None:
    assert spredixcan(folder, *FLAGS, *words) == 2
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    "flags", [["--chromosome_column", "chr"], ["--position_column", "x"], ["--freq_column", "x"]]
)
def test_flags_without_a_use_are_taken(folder: Path, flags: list[str]) -> None:
    assert spredixcan(folder, *FLAGS) == 0
    assert spredixcan(folder, *FLAGS, *flags, out="other.csv") == 0
    assert (folder / "other.csv").read_bytes() == (folder / "out.csv").read_bytes()


@pytest.mark.parametrize(("verbosity", "speaks"), [("1", True), ("10", True), ("20", False)])
def test_verbosity(folder: Path, capsys: pytest.CaptureFixture[str], verbosity: str, speaks: bool) -> None:
    from gputwas.cli.main import main

    words = ["spredixcan", "--model_db_path", folder / "models.db", "--covariance", folder / "covariance.txt",
             "--gwas_file", folder / "gwas.txt", "--output_file", folder / "out.csv", *FLAGS,
             "--verbosity", verbosity]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    assert ("3 genes" in capsys.readouterr().err) == speaks


def test_verbosity_is_a_number(folder: Path) -> None:
    assert spredixcan(folder, *FLAGS, "--verbosity", "loud") == 2


def test_throw_shows_where_it_happened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "covariance.txt").unlink()
    assert spredixcan(folder, *FLAGS) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert spredixcan(folder, *FLAGS, "--throw") == 3
    assert "Traceback" in capsys.readouterr().err


def test_output_is_not_overwritten_unasked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.csv").write_text("mine")
    assert spredixcan(folder, *FLAGS) == 3
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "out.csv").read_text() == "mine"
    assert spredixcan(folder, *FLAGS, "--overwrite") == 0
    assert_result(folder / "out.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--zscore_column z", "--gwas_file or --gwas_folder"),
        ("--gwas_file g --gwas_folder f --zscore_column z", "--gwas_file or --gwas_folder"),
        ("--gwas_file g --gwas_file_pattern x --zscore_column z", "--gwas_file_pattern needs --gwas_folder"),
        ("--gwas_file g", "where z comes from"),
        ("--gwas_file g --pvalue_column p", "no direction"),
        ("--gwas_file g --se_column s", "where z comes from"),
        ("--gwas_file g --zscore_column z --gwas_h2 0.5", "--gwas_h2 and --gwas_N"),
        ("--gwas_file g --zscore_column z --MAX_R 0", "--MAX_R"),
    ],
)
def test_flags_that_contradict_each_other(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_flags([*BASE.split(), *words.split()])


def test_covariance_is_needed() -> None:
    with pytest.raises(UsageError, match="--single_snp_model"):
        parse_flags([*BASE.replace("--covariance c", "").split(), "--gwas_file", "g", "--zscore_column", "z"])


@pytest.mark.parametrize("wrong", ["absent", "no database", "no models"])
def test_a_wrong_database_is_told_before_anything_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    from gputwas.study import dropin

    def too_late(path: str) -> None:
        raise AssertionError("the covariance was read")

    monkeypatch.setattr(dropin, "read_covariances", too_late)
    (folder / "models.db").unlink()
    if wrong == "no database":
        (folder / "models.db").write_text("GENE RSID1 RSID2 VALUE\n" * 10)
    elif wrong == "no models":
        with closing(sqlite3.connect(folder / "models.db")) as connection:
            connection.execute("CREATE TABLE weights (gene TEXT)")
            connection.commit()
    assert spredixcan(folder, *FLAGS) == 3
    assert "models.db" in capsys.readouterr().err


def test_ctrl_c_is_no_reason_to_look_at_the_covariance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gputwas.study import dropin

    (folder / "covariance.txt").write_text("GENE RSID1 RSID2 VALUE\nG1.1 rs1 rs1 much\n")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dropin, "_gwas", interrupted)
    words = ["--model_db_path", folder / "models.db", "--covariance", folder / "covariance.txt",
             "--gwas_file", folder / "gwas.txt", "--output_file", folder / "out.csv", *FLAGS]  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        dropin.spredixcan_command(parse_flags([str(word) for word in words]))


@pytest.mark.parametrize("gwas", ["good", "of other SNPs", "absent"])
def test_what_is_wrong_with_the_models_is_said_first(
    folder: Path, capsys: pytest.CaptureFixture[str], gwas: str
) -> None:
    """The covariance is read beside the GWAS, but which error is told does not depend on who was faster."""
    (folder / "covariance.txt").write_text("GENE RSID1 RSID2 VALUE\nG1.1 rs1 rs1 much\n")
    if gwas == "of other SNPs":
        write_gwas_table(folder / "gwas.txt", [["rs99", *gwas_row("rs1")[1:]]])
    elif gwas == "absent":
        (folder / "gwas.txt").unlink()
    assert spredixcan(folder, *FLAGS) == 3
    shown = capsys.readouterr().err
    assert "covariance.txt" in shown and "'much'" in shown and "gwas.txt" not in shown
    assert not (folder / "out.csv").exists()
