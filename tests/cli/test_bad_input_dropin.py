"""`gputwas spredixcan` where SPrediXcan.py fails in silence or is misled: exit code and clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.studies import (
    HEADER,
    Study,
    no_leftovers,
    nothing_written,
    refused,
    run,
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gwas_h2", "0.3"], "calibration needs both --gwas_h2 and --gwas_N"),
        (["--gwas_h2", "3", "--gwas_N", "1000"], "--gwas_h2 must be between 0 and 1"),
        (["--gwas_h2", "0.3", "--gwas_N", "0"], "--gwas_N must be above 0"),
        (["--gwas_file_pattern", "x"], "--gwas_file_pattern needs --gwas_folder"),
        (["--gwas_folder", "."], "either --gwas_file or --gwas_folder"),
        (["--MAX_R", "0"], "--MAX_R must be at least 1"),
        (["--input_pvalue_fix", "7"], "--input_pvalue_fix must be between 0 and 1"),
        (["--no_such_flag"], "No such option"),
    ],
)
def test_flags_of_spredixcan_that_contradict(
    words: list[str], message: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    gwas = study.table(tmp_path / "good.txt")
    refused(run(capsys, *study.spredixcan_words(gwas, out, *words)), message, code=2)
    nothing_written(out)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["--pvalue_column", "P"], "a p-value has no direction: name --beta_column"),
        (["--beta_column", "BETA"], "name where z comes from"),
        ([], "name where z comes from"),
    ],
)
def test_spredixcan_without_a_source_of_z(
    columns: list[str], message: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    words = study.spredixcan_words(study.table(tmp_path / "good.txt"), out, columns=columns)
    refused(run(capsys, *words), message, code=2)
    nothing_written(out)


def test_calibration_without_phi_is_refused_before_anything_is_computed(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MetaXcan computes all and then fails with "no such column: phi"; here the GWAS is not even opened."""
    out = tmp_path / "out.csv"
    words = study.spredixcan_words(tmp_path / "nowhere.txt", out, "--gwas_h2", "0.3", "--gwas_N", "1000")
    refused(run(capsys, *words), study.databases[0], "no column phi", "leave the two options out")
    nothing_written(out)


@pytest.mark.parametrize("content", [b"", b"gene,zscore\n"])
def test_output_that_exists_is_kept(
    content: bytes, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MetaXcan says so and exits with 0, so that a stale file passes for the result."""
    out = tmp_path / "out.csv"
    out.write_bytes(content)
    words = study.spredixcan_words(study.table(tmp_path / "good.txt"), out)
    refused(run(capsys, *words), out, "the output file exists already", "--overwrite")
    assert out.read_bytes() == content
    bad = study.spredixcan_words(study.spoilt(tmp_path / "bad.txt", "BETA", "x"), out, "--overwrite")
    refused(run(capsys, *bad), "is not a number")
    assert out.read_bytes() == content, "an overwriting run that fails keeps the old file"
    assert run(capsys, *words, "--overwrite").code == 0
    assert out.read_bytes() != content
    no_leftovers(tmp_path)


def test_output_that_cannot_be_written(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gwas = study.table(tmp_path / "good.txt")
    refused(
        run(capsys, *study.spredixcan_words(gwas, tmp_path)), tmp_path, "it is a folder", "Name a file in it"
    )
    below = gwas / "deep" / "out.csv"
    refused(run(capsys, *study.spredixcan_words(gwas, below)), below, "what should be its folder is a file")


def test_names_of_gwas_files(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, folder = tmp_path / "out.csv", study.gwas_file.parent
    words = study.spredixcan_words(folder, out)
    at = words.index("--gwas_file")
    words[at] = "--gwas_folder"
    outcome = run(capsys, *words, "--gwas_file_pattern", "chr.*nope")
    refused(
        outcome,
        folder,
        "no file name fits",
        "chr.*nope",
        "0001.txt.gz",
        "a regular expression, not a wildcard",
    )
    outcome = run(capsys, *words, "--gwas_file_pattern", "*.gz")
    refused(outcome, "'*.gz' is not a regular expression", "write .*gz", code=2)
    words[at + 1] = str(tmp_path / "nowhere")
    refused(run(capsys, *words), "nowhere", "there is no such folder", "--gwas_folder")
    nothing_written(out)


@pytest.mark.parametrize("flag", ["--model_db_path", "--covariance", "--snp_map_file"])
def test_missing_files_of_spredixcan(
    flag: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    words = study.spredixcan_words(study.table(tmp_path / "good.txt"), out)
    nowhere = str(tmp_path / "nowhere")
    if flag in words:
        words[words.index(flag) + 1] = nowhere
    else:
        words += [flag, nowhere]
    refused(run(capsys, *words), nowhere)
    nothing_written(out)


def test_wrong_snp_column(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MetaXcan says "Did not find snp colum name", writes nothing and exits with 0."""
    out, gwas = tmp_path / "out.csv", study.table(tmp_path / "good.txt")
    outcome = run(capsys, *study.spredixcan_words(gwas, out, "--snp_column", "rsid"))
    refused(outcome, f"{gwas}, line 1, column 'rsid': there is no such column", "SNP CHR BP A1 A2 BETA SE P")
    nothing_written(out)


def test_a_column_of_almost_that_name_is_not_taken_for_it(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MetaXcan takes a raw column `beta` or `se` in silence when the one asked for is absent."""
    out = tmp_path / "out.csv"
    gwas = study.table(tmp_path / "lower.txt", header=[*HEADER[:5], "beta", "se", "P"])
    outcome = run(capsys, *study.spredixcan_words(gwas, out))
    refused(outcome, f"{gwas}, line 1, column 'BETA': there is no such column", "Did you mean 'beta'?")
    nothing_written(out)


def test_big40_log_p_as_p(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MetaXcan accepts BIG40's pval(-log10) as p and writes nonsense."""
    out = tmp_path / "out.csv"
    columns = (
        "--snp_column rsid --effect_allele_column a2 --non_effect_allele_column a1 --beta_column beta "
        "--pvalue_column pval(-log10)"
    )
    outcome = run(capsys, *study.spredixcan_words(study.gwas_file, out, columns=columns.split()))
    refused(outcome, study.gwas_file, "column 'pval(-log10)': p is outside [0, 1]", "-log10 p")
    nothing_written(out)


def test_swapped_alleles_are_seen_only_by_the_header_of_a_known_format(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Swapped alleles turn every sign; no number shows it. BIG40's header says which is the effect allele."""
    swapped = "--effect_allele_column a1 --non_effect_allele_column a2"
    right = "--effect_allele_column a2 --non_effect_allele_column a1"
    common = " --snp_column rsid --beta_column beta --se_column se"
    for columns, warned in ((swapped, 1), (right, 0)):
        words = study.spredixcan_words(
            study.gwas_file, tmp_path / f"{warned}.csv", columns=(columns + common).split()
        )
        outcome = run(capsys, *words)
        assert outcome.code == 0
        assert outcome.err.count("every sign is turned") == warned
    z = [_z_of(tmp_path / f"{warned}.csv") for warned in (0, 1)]
    assert z[0] and z[0] == {gene: -value for gene, value in z[1].items()}
    own = [
        "gwas", "import", study.gwas_file, "--models", study.models, "--out", tmp_path / "gwas",
        "--column", "effect_allele=a1", "--column", "other_allele=a2",
    ]  # fmt: skip
    outcome = run(capsys, *own)
    assert outcome.code == 0 and "where a2 is the effect allele, but a1 was named" in outcome.err
    outcome = run(
        capsys, *study.spredixcan_words(study.table(tmp_path / "plain.txt"), tmp_path / "plain.csv")
    )
    assert outcome.code == 0 and "sign is turned" not in outcome.err


def _z_of(path: Path) -> dict[str, float]:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    at = rows[0].index("zscore")
    return {row[0]: float(row[at]) for row in rows[1:]}


def test_throw_and_debug_show_a_traceback_and_say_the_error_once(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").touch()
    words = study.spredixcan_words(tmp_path / "empty.txt", tmp_path / "out.csv")
    for more in (["--throw"], ["--debug"]):
        outcome = run(capsys, *words, *more)
        assert outcome.code == 3 and "Traceback (most recent call last)" in outcome.err
        assert outcome.err.count("  error: ") == 1


def test_compare_with_something_else_than_a_result(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gwas = study.table(tmp_path / "good.txt")
    words = study.spredixcan_words(gwas, tmp_path / "x")[1:]
    at = words.index("--output_file")
    inputs = words[:at] + words[at + 2 :]
    refused(run(capsys, "compare", tmp_path / "nowhere.csv", *inputs), "nowhere.csv", "does not exist")
    outcome = run(capsys, "compare", gwas, *inputs)
    refused(outcome, f"{gwas}, line 1: ", "not a result of SPrediXcan", "has no column gene")
    outcome = run(capsys, "compare", gwas, *inputs, "--out", tmp_path / "x.xls")
    refused(outcome, "x.xls: the name must end in one of", code=2)
