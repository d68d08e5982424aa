"""The comparison of an old csv with a new result: every verdict can be reached, by what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from scipy.stats import norm

from gputwas.cli.main import main
from gputwas.errors import InputError
from gputwas.formats.metaxcan import read_associations, write_associations
from gputwas.study.compare import AGREES, RELATIVE_BOUND, compare_tables
from tests.golden import reference

Z = np.array([3.0, -2.0, 1.5, 0.5, -0.1])


def table(**changes: object) -> pa.Table:
    """A result of five genes."""
    columns = {
        "gene": [f"ENSG{i}.1" for i in range(5)], "gene_name": [f"N{i}" for i in range(5)], "zscore": Z,
        "effect_size": Z / 50, "pvalue": 2 * norm.sf(np.abs(Z)), "var_g": np.full(5, 0.3),
        "pred_perf_r2": np.full(5, 0.1), "pred_perf_pval": np.full(5, 0.01),
        "pred_perf_qval": pa.nulls(5, pa.float64()), "n_snps_used": np.arange(5),
        "n_snps_in_cov": np.arange(5), "n_snps_in_model": np.arange(5),
    } | changes  # fmt: skip
    return pa.table(columns)


def verdicts(old: pa.Table, new: pa.Table) -> list[str]:
    """Verdicts by gene."""
    return compare_tables(old, new).table["verdict"].to_pylist()


def test_equal_results_agree() -> None:
    result = compare_tables(table(), table())
    assert result.counts == {AGREES: 5}
    assert result.n_different == 0
    assert result.remarks == ()
    assert result.table.column_names[:3] == ["gene", "verdict", "gene_name"]
    assert result.table["old_zscore"].to_pylist() == Z.tolist() == result.table["new_zscore"].to_pylist()


def test_order_of_rows_does_not_matter() -> None:
    assert compare_tables(table().take([4, 2, 0, 1, 3]), table()).counts == {AGREES: 5}


@pytest.mark.parametrize("factor", [1 + 0.3 * RELATIVE_BOUND, 1 - 0.3 * RELATIVE_BOUND])
def test_rounding_is_no_difference(factor: float) -> None:
    old = table(zscore=Z * factor, effect_size=Z / 50 * factor, var_g=np.full(5, 0.3) * factor)
    assert verdicts(old, table()) == [AGREES] * 5


def test_beyond_the_bound_is_a_difference() -> None:
    z = Z.copy()
    z[1] *= 1 + 3e-6
    found = verdicts(table(zscore=z), table())
    assert found[1].startswith("z differs with the same SNPs and variance")
    assert [found[i] for i in (0, 2, 3, 4)] == [AGREES] * 4


def test_exchanged_alleles() -> None:
    result = compare_tables(table(zscore=-Z, effect_size=-Z / 50), table())
    assert list(result.counts) == ["z has the opposite sign: effect and other allele were exchanged"]
    assert result.n_different == 5
    assert any("the old call named the alleles the other way" in remark for remark in result.remarks)


def test_a_single_exchanged_gene_is_no_remark_about_all() -> None:
    z = Z.copy()
    z[0] *= -1
    result = compare_tables(table(zscore=z, effect_size=z / 50), table())
    assert result.n_different == 1
    assert result.remarks == ()


def test_another_covariance() -> None:
    """Another Γ changes the variance, and z and effect with it; the variance is named, being the cause."""
    old = table(var_g=np.full(5, 0.31), zscore=Z * 0.99, effect_size=Z * 0.0198)
    assert set(verdicts(old, table())) == {
        "variance differs with as many SNPs: another covariance or other weights"
    }


def test_odds_ratios_as_effects() -> None:
    old = table(effect_size=np.exp(Z / 50))
    assert set(verdicts(old, table())) == {
        "effect size differs while z agrees: another scale of beta (odds ratio?)"
    }


def test_another_number_of_snps() -> None:
    old = table(n_snps_used=np.arange(5) + 1, var_g=np.full(5, 0.4), zscore=Z * 1.1)
    assert set(verdicts(old, table())) == {
        "another number of SNPs was used: GWAS rows, alleles or covariance differ"
    }


def test_another_database() -> None:
    old = table(n_snps_in_model=np.arange(5) + 3, n_snps_used=np.arange(5) + 1)
    assert set(verdicts(old, table())) == {"another number of SNPs in the model: another database"}


def test_another_number_of_snps_in_the_covariance() -> None:
    old = table(n_snps_in_cov=np.arange(5) + 3)
    assert set(verdicts(old, table())) == {
        "another number of SNPs in the covariance: another covariance file"
    }


def test_p_that_is_not_that_of_z() -> None:
    old = table(pvalue=norm.sf(np.abs(Z)))  # one-sided
    assert set(verdicts(old, table())) == {"p differs while z agrees: the old p is not that of its z"}


def test_genes_in_one_result_only() -> None:
    result = compare_tables(table().slice(1), table().slice(0, 4))
    assert result.table["verdict"].to_pylist() == [
        "only in the new result", AGREES, AGREES, AGREES, "only in the old result",
    ]  # fmt: skip
    assert result.n_different == 2
    assert result.table["gene_name"].to_pylist() == [f"N{i}" for i in range(5)]


@pytest.mark.parametrize("side", ["old", "new"])
def test_versions_that_only_one_result_has(side: str) -> None:
    plain = table(gene=[f"ENSG{i}" for i in range(5)])
    result = compare_tables(plain, table()) if side == "old" else compare_tables(table(), plain)
    assert result.counts == {AGREES: 5}
    assert result.table["gene_name"].to_pylist() == [f"N{i}" for i in range(5)]
    assert any("without their version" in remark for remark in result.remarks)


def test_calibrated_results() -> None:
    z = Z / np.sqrt(1 + np.linspace(0.01, 0.1, 5))
    result = compare_tables(table(zscore=z, pvalue=2 * norm.sf(np.abs(z))), table())
    assert result.n_different == 5
    assert any("calibrated by phi" in remark for remark in result.remarks)


def test_missing_values_agree_with_missing_values() -> None:
    gone = pa.array([None, -2.0, 1.5, 0.5, -0.1], pa.float64())
    p = pa.array([None, *(2 * norm.sf(np.abs(Z[1:])))], pa.float64())
    assert verdicts(table(zscore=gone, pvalue=p), table(zscore=gone, pvalue=p)) == [AGREES] * 5
    found = verdicts(table(zscore=gone, pvalue=p), table())
    assert found[0] != AGREES and found[1:] == [AGREES] * 4


def test_underflowed_p_agree() -> None:
    z = np.array([40.0, -50.0, 38.0, 37.9, 39.0])
    zero, tiny = np.zeros(5), np.array([0, 0, 5e-316, 2e-314, 0])
    assert verdicts(table(zscore=z, pvalue=zero), table(zscore=z, pvalue=tiny)) == [AGREES] * 5
    assert verdicts(table(zscore=z, pvalue=zero), table(zscore=z, pvalue=np.full(5, 1e-20)))[0] != AGREES


def test_columns_that_one_result_lacks_are_not_compared() -> None:
    old = table().select(["gene", "zscore"])
    result = compare_tables(old, table())
    assert result.counts == {AGREES: 5}
    assert "old_var_g" not in result.table.column_names


def test_columns_that_are_wholly_missing_in_an_old_csv_are_not_compared(tmp_path: Path) -> None:
    """An early MetaXcan wrote gene and zscore only; what the reader fills with nulls is no difference."""
    (tmp_path / "old.csv").write_text("gene,zscore\nENSG0.1,3.0\nENSG1.1,-2.0\n")
    result = compare_tables(read_associations(tmp_path / "old.csv"), table().slice(0, 2))
    assert result.counts == {AGREES: 2}
    assert result.remarks[0].startswith("the old result has no effect_size, pvalue, var_g")


def test_a_call_without_effects_is_said_once() -> None:
    result = compare_tables(table(effect_size=pa.nulls(5, pa.float64())), table())
    assert result.counts == {AGREES: 5}
    assert result.remarks == ("the old result has no effect_size",)


def test_results_without_a_common_gene_are_refused() -> None:
    with pytest.raises(InputError, match=r"no gene in common.*OTHER0.*ENSG0"):
        compare_tables(table(gene=[f"OTHER{i}" for i in range(5)]), table())


def test_empty_results_are_refused() -> None:
    with pytest.raises(InputError, match="without genes"):
        compare_tables(table().slice(0, 0), table())
    with pytest.raises(InputError, match="no gene in common"):
        compare_tables(table(), table().slice(0, 0))


def test_a_gene_that_stands_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice in the old result"):
        compare_tables(table().take([0, 1, 1]), table())


# The command, on real data


def compare(folder: Path, old: Path, out: Path, *more: str, run: str = "big40", tissue: str = "Liver") -> int:
    """Exit code of `gputwas compare` for a run and tissue of the reference data."""
    of_run = next(one for one in reference.runs(folder) if one.name == run)
    words = [
        "--quiet", "compare", str(old), "--model_db_path", str(reference.database(folder, tissue)),
        "--covariance", str(reference.covariance(folder, tissue)), "--gwas_file", str(of_run.gwas),
        "--out", str(out), *of_run.flags, *more,
    ]  # fmt: skip
    return main(words)


def rows(path: Path) -> list[dict]:
    """Rows of a written comparison."""
    return pa.csv.read_csv(path, parse_options=pa.csv.ParseOptions(delimiter="\t")).to_pylist()


@pytest.mark.parametrize("run", ["big40", "metal", "enigma_p", "plink2_z", "daner"])
def test_the_reference_agrees_with_us(
    gtex_v6p: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str
) -> None:
    tissue, out = "Whole_Blood", tmp_path / "out.tsv"
    old = reference.expected(gtex_v6p, run, tissue)
    assert compare(gtex_v6p, old, out, "--fail-on-difference", run=run, tissue=tissue) == 0
    found = rows(out)
    assert {row["verdict"] for row in found} == {AGREES}
    assert len(found) == len(reference.read_rows(old)) > 0
    assert capsys.readouterr().out.splitlines() == ["verdict\tgenes", f"agrees\t{len(found)}"]


def test_a_changed_csv_is_found(gtex_v6p: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tissue, out = "Whole_Blood", tmp_path / "out.tsv"
    old = read_associations(reference.expected(gtex_v6p, "big40", tissue))
    turned = pa.array([-value for value in old["zscore"].to_pylist()])
    changed = old.set_column(old.column_names.index("zscore"), "zscore", turned)
    write_associations(tmp_path / "old.csv", changed)
    assert compare(gtex_v6p, tmp_path / "old.csv", out, tissue=tissue) == 0
    assert all("opposite sign" in row["verdict"] for row in rows(out))
    assert "opposite sign" in capsys.readouterr().out
    assert compare(gtex_v6p, tmp_path / "old.csv", out, "--fail-on-difference", tissue=tissue) == 3


def test_another_covariance_is_found(gtex_v6p: Path, tmp_path: Path) -> None:
    """The reference's own case of a covariance that lacks SNPs, against the whole covariance."""
    cases = {case["name"]: case for case in json.loads((gtex_v6p / "edge" / "cases.json").read_text())}
    case, out = cases["cov_partial"], tmp_path / "out.tsv"
    whole = cases["base"]
    words = ["--quiet", "compare", str(gtex_v6p / case["expected"]), "--out", str(out)]
    for flag, kind in (("model_db_path", "model"), ("covariance", "covariance"), ("gwas_file", "gwas")):
        words += [f"--{flag}", str(gtex_v6p / whole[kind])]
    assert main([*words, *whole["flags"]]) == 0
    assert any(row["verdict"].startswith("another number of SNPs") for row in rows(out))


def test_compare_refuses_what_it_cannot_use(
    gtex_v6p: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(gtex_v6p, tmp_path / "absent.csv", tmp_path / "out.tsv") == 3
    assert "absent.csv" in capsys.readouterr().err
    (tmp_path / "old.csv").write_text("name,value\na,1\n")
    assert compare(gtex_v6p, tmp_path / "old.csv", tmp_path / "out.tsv") == 3
    assert "no column gene" in capsys.readouterr().err
    old = reference.expected(gtex_v6p, "big40", "Liver")
    assert compare(gtex_v6p, old, tmp_path / "out.xlsx") == 2
    assert compare(gtex_v6p, old, tmp_path / "out.tsv", "--no_such_flag", "x") == 2
    assert not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("pred_perf_r2", "what the database says"),
        ("pred_perf_pval", "what the database says"),
        ("largest_weight", "the largest weight differs"),
        ("best_gwas_p", "the smallest GWAS p differs"),
    ],
)
def test_columns_beside_the_score_are_compared_too(column: str, words: str) -> None:
    both = {"largest_weight": np.full(5, 0.7), "best_gwas_p": np.full(5, 1e-3)}
    old = table(**both)
    changed = old[column].to_numpy().copy()
    changed[2] *= 1.5
    old = old.set_column(old.column_names.index(column), column, pa.array(changed))
    found = verdicts(old, table(**both))
    assert found[2].startswith(words)
    assert [found[i] for i in (0, 1, 3, 4)] == [AGREES] * 4
