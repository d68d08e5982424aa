"""`gputwas smultixcan` where SMulTiXcan.py fails in silence or is misled: exit code and clear message."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.study.small_tissues import TISSUES, made_trait, smultixcan, table, write_trait


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A made trait of three genes."""
    write_trait(tmp_path, made_trait(genes=3))
    return tmp_path


def refused(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    code: int,
    *messages: str,
    words: tuple = (),
    **how: bool,
) -> None:
    """The command ends with this code, says all of that on one line without a traceback, writes nothing."""
    before = sorted(path.name for path in folder.iterdir())
    capsys.readouterr()
    assert smultixcan(folder, *words, **how) == code  # type: ignore[arg-type]
    said = capsys.readouterr().err
    for message in messages:
        assert message in said, said
    assert "Traceback" not in said
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "how", "message"),
    [
        ((), {"cutoff": False}, "give exactly one of --cutoff_condition_number, --cutoff_eigen_ratio"),
        (("--cutoff_threshold", "0.1"), {}, "not --cutoff_condition_number and --cutoff_threshold"),
        (("--cutoff_threshold", "2"), {"cutoff": False}, "must be between 0 and 1, not 2"),
        (("--cutoff_condition_number", "0"), {"cutoff": False}, "must be above 0"),
        (("--cutoff_eigen_ratio", "-1"), {"cutoff": False}, "must be a number of 0 or above, not -1"),
        ((), {"covariance": False}, "give either --snp_covariance or --model_product"),
        (("--model_product", "x"), {}, "give either --snp_covariance or --model_product"),
        ((), {"snps": False}, "--cleared_snps, or --gwas_file or --gwas_folder"),
        (("--gwas_file", "x"), {"snps": False}, "name where z comes from"),
        (("--gwas_file", "x", "--gwas_folder", "y"), {"snps": False}, "either --gwas_file or --gwas_folder"),
        (("--MAX_M", "0"), {}, "--MAX_M must be at least 1"),
        (("--regularization", "nan"), {}, "--regularization must be a number of 0 or above, not nan"),
        (("--regularization", "-1"), {}, "--regularization must be a number of 0 or above, not -1"),
        (("--metaxcan_filter", "*csv"), {}, "--metaxcan_filter '*csv' is not a regular expression"),
        (("--models_name_pattern", "("), {}, "--models_name_pattern '(' is not a regular expression"),
    ],
)
def test_flags_that_contradict(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    how: dict[str, bool],
    message: str,
) -> None:
    refused(capsys, folder, 2, message, words=words, **how)


def test_output_that_exists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.tsv").write_text("mine\n")
    refused(capsys, folder, 3, "the output file exists already", "--overwrite")
    assert (folder / "out.tsv").read_text() == "mine\n"
    assert smultixcan(folder, "--overwrite") == 0
    assert len(table(folder / "out.tsv")) == 3


def test_results_and_models_without_a_tissue_in_common(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in list((folder / "results").iterdir()):
        path.rename(path.with_name(path.name.replace(".csv", "_v8.csv")))
    refused(
        capsys,
        folder,
        3,
        "no tissue in common",
        "results of Blood_v8",
        "models of Blood",
        "--models_name_pattern",
    )


def test_results_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "results" / "notes_TW_Heart.csv").write_text("when,what\n1,2\n")
    refused(capsys, folder, 3, "notes_TW_Heart.csv", "not a result of SPrediXcan, it has no column gene")


def test_results_whose_names_tell_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "results" / "t_TW_Liver.csv"
    path.rename(path.with_name("liver.csv"))
    refused(capsys, folder, 3, "liver.csv", "does not tell the tissue", "--metaxcan_file_name_parse_pattern")
    words = ("--metaxcan_file_name_parse_pattern", "t_TW_(.*).csv")
    refused(capsys, folder, 3, "liver.csv", "does not fit --metaxcan_file_name_parse_pattern", words=words)


def test_results_of_two_traits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reference takes whichever comes last, tissue by tissue."""
    other = (folder / "results" / "t_TW_Liver.csv").read_text()
    (folder / "results" / "u_TW_Liver.csv").write_text(other)
    refused(
        capsys,
        folder,
        3,
        "two results are of one tissue, Liver",
        "t_TW_Liver.csv and u_TW_Liver.csv",
        "--metaxcan_filter",
    )
    assert smultixcan(folder, "--metaxcan_filter", "t_.*csv") == 0


def test_two_models_of_one_tissue(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "models" / "Liver.db").write_bytes((folder / "models" / "TW_Liver_0.5.db").read_bytes())
    refused(capsys, folder, 3, "two models are of one tissue, Liver", "--models_name_filter")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--models_name_filter", "no file name fits --models_name_filter"),
        ("--metaxcan_filter", "no file name fits"),
    ],
)
def test_filters_that_leave_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], flag: str, message: str
) -> None:
    refused(capsys, folder, 3, message, "regular expressions, not wildcards", words=(flag, "xyz"))


@pytest.mark.parametrize("flag", ["--models_folder", "--metaxcan_folder"])
def test_folders_that_are_missing(folder: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    refused(capsys, folder, 3, "there is no such folder", f"Check {flag}", words=(flag, "/nowhere"))


def test_results_without_any_z(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folder / "results").iterdir():
        path.write_text("gene,zscore\nG00.1,NA\nG01.1,inf\n")
    refused(capsys, folder, 3, "no gene has a finite zscore")


def test_covariance_without_its_header(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "covariance.txt.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).split(b"\n", 1)[1]))
    refused(capsys, folder, 3, "the covariance has no column GENE", "covariance.txt.gz, line 1")


def test_covariance_of_other_genes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "covariance.txt.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b".1 ", b".7 ")))
    refused(capsys, folder, 3, "no gene can be reported", "--trimmed_ensemble_id")
    assert smultixcan(folder, "--trimmed_ensemble_id", "--metaxcan_filter", ".*csv") == 0


def test_covariance_with_a_negative_variance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trait = made_trait(genes=3)
    first = next(iter(trait.covariance["G01.1"]))
    trait.covariance["G01.1"][first] = -50.0
    other = folder / "negative"
    other.mkdir()
    write_trait(other, trait)
    assert smultixcan(other) == 0
    assert sorted(table(other / "out.tsv")) == ["G00.1", "G02.1"]
    assert "1 gene: the covariance gives it a negative variance" in capsys.readouterr().err


def test_covariance_that_is_nearly_singular(folder: Path) -> None:
    """Tissues that differ in the eighth digit only: no cut-off lets rounding into the test."""
    trait = made_trait(genes=1)
    for tissue in TISSUES:
        weights = trait.weights["G00.1"]["Blood"]
        trait.weights["G00.1"][tissue] = {
            snp: w * (1 + 1e-9 * i) for i, (snp, w) in enumerate(weights.items())
        }
        trait.z[tissue]["G00.1"] = 2.0
    other = folder / "singular"
    other.mkdir()
    write_trait(other, trait)
    for number, flag in enumerate(["--cutoff_eigen_ratio", "--cutoff_threshold", "--cutoff_trace_ratio"]):
        assert smultixcan(other, flag, "0", cutoff=False, out=f"{number}.tsv") == 0
        row = table(other / f"{number}.tsv")["G00.1"]
        assert row["n_indep"] == "1" and float(row["pvalue"]) == pytest.approx(0.0455, rel=1e-3)


def test_cleared_snps_without_their_column(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "snps.txt").write_text("snp pos\nrs00 1\n")
    refused(capsys, folder, 3, "snps.txt, line 1", "has no column rsid", "found columns snp pos")
    (folder / "snps.txt").write_text("rsid pos\nrs00 1\nrs01\n")
    refused(capsys, folder, 3, "snps.txt, line 3", "a row of the list of cleared SNPs cannot be read")
    (folder / "snps.txt").write_text("rsid\n")
    refused(capsys, folder, 3, "the list of cleared SNPs is empty")
    (folder / "snps.txt").write_text("rsid\nrs999\n")
    refused(capsys, folder, 3, "no gene can be reported", "--model_db_snp_key")


def test_gwas_without_a_snp_of_the_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "gwas.txt").read_text()
    (folder / "gwas.txt").write_text(text.replace("\tA\tC", "\tG\tT"))
    words = ("--gwas_file", folder / "gwas.txt", "--zscore_column", "Z")
    refused(capsys, folder, 3, "no SNP in common whose alleles fit", words=words, snps=False)
    (folder / "gwas.txt").write_text(text.replace("rs", "id"))
    refused(capsys, folder, 3, "no SNP in common", "--keep_non_rsid", words=words, snps=False)


def test_product_that_is_no_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    product = folder / "product.txt"
    words = ("--model_product", product)
    product.write_text("gene model1 model2\nG00.1 Blood Brain\n")
    refused(
        capsys, folder, 3, "the model product has no column value", words=words, covariance=False, snps=False
    )
    product.write_text("gene model1 model2 value\nG00.1 Blood Brain x\n")
    refused(capsys, folder, 3, "product.txt, line 2", "'x'", words=words, covariance=False, snps=False)
    rows = ["gene model1 model2 value", "G00.1 Blood Blood 1", "G01.1 Blood Blood 1", "G00.1 Brain Brain 1"]
    product.write_text("\n".join(rows) + "\n")
    refused(capsys, folder, 3, "are not contiguous", words=words, covariance=False, snps=False)
    product.write_text("\n".join([*rows[:2], rows[1]]) + "\n")
    refused(capsys, folder, 3, "a row is repeated", words=words, covariance=False, snps=False)


def test_ids_that_cannot_lose_their_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trait = made_trait(genes=2)
    for name in ("weights", "covariance", "names"):
        getattr(trait, name)["G00.2"] = getattr(trait, name)["G01.1"]
    other = folder / "versions"
    other.mkdir()
    write_trait(other, trait)
    message = "two genes of the models differ only in the version of their id"
    refused(capsys, other, 3, message, words=("--trimmed_ensemble_id",))
