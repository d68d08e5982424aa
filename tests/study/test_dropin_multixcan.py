"""`gputwas smultixcan` against the reference's results on real models, and every flag on a made trait."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from tests.study.small_tissues import (
    TISSUES,
    Trait,
    correlation,
    joint,
    made_trait,
    smultixcan,
    table,
    write_trait,
)

REFERENCE_FLAGS = (
    "cleared_snps", "models_folder", "models_name_filter", "models_name_pattern", "model_db_snp_key",
    "gwas_folder", "gwas_file_pattern", "gwas_file", "snp_column", "effect_allele_column",
    "non_effect_allele_column", "chromosome_column", "position_column", "freq_column", "beta_column",
    "beta_sign_column", "or_column", "se_column", "zscore_column", "pvalue_column", "separator",
    "skip_until_header", "handle_empty_columns", "input_pvalue_fix", "keep_non_rsid", "snp_map_file",
    "split_column", "regularization", "cutoff_condition_number", "cutoff_eigen_ratio", "cutoff_threshold",
    "cutoff_trace_ratio", "metaxcan_folder", "metaxcan_filter", "metaxcan_file_name_parse_pattern",
    "model_product", "permissive_model_product", "snp_covariance", "output", "verbosity", "throw",
    "trimmed_ensemble_id", "MAX_M",
)  # fmt: skip
CUTOFFS = {"cn": "condition_number", "er": "eigen_ratio", "tr": "trace_ratio", "ct": "threshold"}
CLEARED = [
    "big40.cn30", "enigma.cn30", "gwas_ssf.cn30", "gwas_ssf.cn30_reg0.01", "gwas_ssf.ct0", "gwas_ssf.er0",
    "gwas_ssf.er0.01", "gwas_ssf.tr0.01",
]  # fmt: skip
UNCLEARED = ["big40.cn30", "enigma.cn30", "gwas_ssf.cn30_reg0.01"]


def cutoff_words(name: str) -> list[str]:
    """Flags of what stands in an expected file's name: cn30_reg0.01, say."""
    words: list[str] = []
    for part in name.split("_"):
        flag = "regularization" if part.startswith("reg") else f"cutoff_{CUTOFFS[part[:2]]}"
        words += [f"--{flag}", part.removeprefix("reg") if part.startswith("reg") else part[2:]]
    return words


def real_words(data: Path, trait: str) -> list[str]:
    """Flags of the real inputs."""
    return [
        "--models_folder", str(data / "models"), "--snp_covariance", str(data / "snp_covariance.txt.gz"),
        "--metaxcan_folder", str(data / "expected" / "spredixcan" / trait),
    ]  # fmt: skip


def run_real(tmp_path: Path, *words: str) -> dict[str, dict[str, str]]:
    from gputwas.cli.main import main

    assert main(["smultixcan", "--quiet", "--output", str(tmp_path / "out.tsv"), *words]) == 0
    return table(tmp_path / "out.tsv")


def assert_same(got: dict[str, dict[str, str]], want: dict[str, dict[str, str]]) -> None:
    """Same genes in the same order, same columns, counts and texts; numbers to 1e-9, p on the log scale."""
    assert list(got) == list(want)
    for gene, reference in want.items():
        assert list(got[gene]) == list(reference)
        for column, value in reference.items():
            found, where = got[gene][column], f"{gene}, {column}"
            exact = column in ("gene", "gene_name", "t_i_best", "t_i_worst", "n", "n_indep", "status")
            if exact or "NA" in (value, found) or 0.0 in (float(value), float(found)):
                assert found == value, where
            elif column.startswith("p"):
                assert math.log10(float(found)) == pytest.approx(math.log10(float(value)), abs=1e-9), where
            else:
                assert float(found) == pytest.approx(float(value), rel=1e-9, abs=1e-14), where


def real_flags(data: Path, trait: str) -> list[str]:
    """How the reference was told of the GWAS file."""
    for entry in json.loads((data / "manifest.json").read_text())["traits"]:
        if trait in entry["runs"]:
            return ["--gwas_file", str(data / "gwas" / entry["file"]), *entry["runs"][trait]]
    raise ValueError(trait)


@pytest.mark.parametrize("name", CLEARED)
def test_equals_the_reference_on_cleared_snps(gtex_v6p: Path, tmp_path: Path, name: str) -> None:
    expected = gtex_v6p / "expected" / "smultixcan"
    trait, cut = name.split(".", 1)
    cleared = ["--cleared_snps", str(expected / f"{trait}.cleared_snps.txt.gz")]
    got = run_real(tmp_path, *real_words(gtex_v6p, trait), *cutoff_words(cut), *cleared)
    assert_same(got, table(expected / f"{name}.cleared.tsv"))


@pytest.mark.parametrize("name", UNCLEARED)
def test_equals_the_reference_reading_the_gwas(gtex_v6p: Path, tmp_path: Path, name: str) -> None:
    trait, cut = name.split(".", 1)
    words = [*real_words(gtex_v6p, trait), *real_flags(gtex_v6p, trait), *cutoff_words(cut)]
    got = run_real(tmp_path, *words)
    assert_same(got, table(gtex_v6p / "expected" / "smultixcan" / f"{name}.tsv"))


@pytest.mark.parametrize("threshold", ["0.05", "0.4"])
@pytest.mark.parametrize("cleared", [True, False])
def test_threshold_keeps_the_component_at_the_boundary(
    gtex_v6p: Path, tmp_path: Path, threshold: str, cleared: bool
) -> None:
    """The reference's outcome is chance; of its two possible ones ours is always the one that keeps it."""
    which = gtex_v6p / "expected" / "smultixcan" / "gwas_ssf.cleared_snps.txt.gz"
    snps = ["--cleared_snps", str(which)] if cleared else real_flags(gtex_v6p, "gwas_ssf")
    words = [*real_words(gtex_v6p, "gwas_ssf"), "--cutoff_threshold", threshold, *snps]
    got = run_real(tmp_path, *words)
    boundary = (gtex_v6p / "expected" / "smultixcan_cutoff_threshold" / "boundary.tsv").read_text()
    header, *lines = [line.split("\t") for line in boundary.splitlines()]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    file = f"gwas_ssf.ct{threshold}{'.cleared' if cleared else ''}.tsv"
    rows = [row for row in rows if row["file"] == file]
    assert {row["gene"] for row in rows} == set(got)
    for row in rows:
        assert got[row["gene"]]["n_indep"] == row["n_indep_kept"]
        p, want = float(got[row["gene"]]["pvalue"]), float(row["pvalue_kept"])
        assert p == want == 0 or math.log10(p) == pytest.approx(math.log10(want), abs=1e-9)


@pytest.mark.parametrize(
    "name", ["one_tissue", "same_tissue_twice", "results_missing", "models_missing", "trimmed"]
)
def test_equals_the_reference_on_odd_sets_of_tissues(gtex_v6p: Path, tmp_path: Path, name: str) -> None:
    edge = gtex_v6p / "edge" / "smultixcan"
    (case,) = [one for one in json.loads((edge / "cases.json").read_text()) if one["name"] == name]
    for folder in ("models", "results"):
        (tmp_path / folder).mkdir()
    for file, tissue in case["models"].items():
        os.symlink(gtex_v6p / "models" / f"TW_{tissue}_0.5.db", tmp_path / "models" / file)
    for file, tissue in case["results"].items():
        source = gtex_v6p / "expected" / "spredixcan" / case["run"] / f"{case['run']}_TW_{tissue}.csv"
        lines = source.read_text().splitlines()
        if "--remove_ens_version" in case["spredixcan_flags"]:
            lines[1:] = [line.split(".", 1)[0] + "," + line.split(",", 1)[1] for line in lines[1:]]
        (tmp_path / "results" / file).write_text("\n".join(lines) + "\n")
    words = ["--models_folder", str(tmp_path / "models"), "--metaxcan_folder", str(tmp_path / "results")]
    words += ["--snp_covariance", str(gtex_v6p / "snp_covariance.txt.gz")]
    cleared = gtex_v6p / "expected" / "smultixcan" / f"{case['run']}.cleared_snps.txt.gz"
    got = run_real(tmp_path, *words, *case["flags"], "--cleared_snps", str(cleared))
    want = table(edge / f"{name}.tsv")
    for rows in (got, want):  # of two equal tissues: what is left of 0 by rounding
        for row in rows.values():
            if row["eigen_min"] != "NA" and float(row["eigen_min"]) < 1e-12:
                row["eigen_min"] = "0"
    assert_same(got, want)


# A made trait


@pytest.fixture
def trait() -> Trait:
    return made_trait()


def expect(
    path: Path, trait: Trait, *, tested: tuple[str, ...] = TISSUES, snps: set[str] | None = None
) -> dict[str, dict[str, str]]:
    """Check every gene of a table against the plain computation; returns the table."""
    rows = table(path)
    for gene, row in rows.items():
        own = [t for t in sorted(tested) if t in trait.z and math.isfinite(trait.z[t].get(gene, math.nan))]
        own = [t for t in own if t in trait.weights[gene]]
        z = np.array([trait.z[t][gene] for t in own])
        p, n_indep = joint(correlation(trait, gene, own, snps or set(trait.snps)), z)
        assert float(row["pvalue"]) == pytest.approx(p, rel=1e-9)
        assert int(float(row["n_indep"])) == n_indep
        assert float(row["tmi"]) == pytest.approx(n_indep)
        assert row["t_i_best"] == own[int(np.abs(z).argmax())]
        assert float(row["p_i_best"]) == pytest.approx(2 * norm.sf(np.abs(z).max()))
        assert row["t_i_worst"] == own[int(np.abs(z).argmin())]
        every = [
            scores[gene] for _, scores in sorted(trait.z.items()) if math.isfinite(scores.get(gene, math.nan))
        ]
        assert int(float(row["n"])) == len(every)
        assert float(row["z_mean"]) == pytest.approx(np.mean(every))
        assert float(row["z_min"]) == min(every) and float(row["z_max"]) == max(every)
        assert (
            row["z_sd"] == "NA"
            if len(every) == 1
            else float(row["z_sd"]) == pytest.approx(np.std(every, ddof=1))
        )
        assert row["gene_name"] == trait.names[gene]
    p = [float(row["pvalue"]) for row in rows.values()]
    assert p == sorted(p)
    return rows


def test_every_flag_of_the_reference_is_there() -> None:
    import typer

    from gputwas.cli import dropin

    app = typer.Typer(add_completion=False)
    dropin.register(app)
    command = typer.main.get_command(app).commands["smultixcan"]
    ours = {name for parameter in command.params for name in parameter.opts}
    assert {f"--{name}" for name in REFERENCE_FLAGS} <= ours
    assert ours - {f"--{name}" for name in REFERENCE_FLAGS} <= {"--help", "--overwrite"}


def test_all_tissues(tmp_path: Path, trait: Trait) -> None:
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    rows = expect(tmp_path / "out.tsv", trait)
    assert len(rows) == 8
    assert {row["n"] for row in rows.values()} == {"6"} and {row["status"] for row in rows.values()} == {"0"}
    assert min(int(row["n_indep"]) for row in rows.values()) < 6  # the cut-off has something to cut


def test_tissues_that_one_side_lacks(
    tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]
) -> None:
    for by_tissue in trait.weights.values():
        del by_tissue["Skin"]
    del trait.z["Brain"]
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    rows = expect(tmp_path / "out.tsv", trait)
    assert {row["n"] for row in rows.values()} == {"5"}  # Skin counts, but is not tested
    assert "results but no models of Skin" in capsys.readouterr().err


def test_one_tissue_is_that_tissues_test(tmp_path: Path, trait: Trait) -> None:
    trait.z = {"Liver": trait.z["Liver"]}
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    for row in expect(tmp_path / "out.tsv", trait).values():
        assert float(row["pvalue"]) == pytest.approx(float(row["p_i_best"]), rel=1e-9)


def test_genes_without_results_tissues_or_weights(
    tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]
) -> None:
    for tissue in TISSUES:
        trait.z[tissue]["G00.1"] = math.nan  # no result at all
        trait.weights["G01.1"].pop(tissue) if tissue < "Colon" else trait.z[tissue].pop("G01.1")
    del trait.weights["G02.1"], trait.covariance["G03.1"], trait.names["G04.1"]
    trait.z["Lung"]["G05.1"] = math.inf
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    rows = table(tmp_path / "out.tsv")
    assert sorted(rows) == ["G00.1", "G01.1", "G05.1", "G06.1", "G07.1"]
    assert [row["status"] for row in rows.values()] == ["0", "0", "0", "-3", "-2"]  # missing p last
    assert set(rows["G00.1"].values()) == {"G00.1", "N0", "NA", "-2"}
    assert (rows["G01.1"]["n"], rows["G01.1"]["n_indep"]) == ("2.0", "NA")
    assert rows["G05.1"]["n"] == "5.0"
    assert "left out, as the reference program does, 1 gene: no model has weights" in capsys.readouterr().err


def test_p_that_underflows_has_status_minus_4(tmp_path: Path, trait: Trait) -> None:
    for tissue in TISSUES:
        trait.z[tissue]["G04.1"] = 60.0
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    first = next(iter(table(tmp_path / "out.tsv").values()))
    assert (first["gene"], first["pvalue"], first["p_i_best"], first["status"]) == (
        "G04.1",
        "0.0",
        "0.0",
        "-4",
    )


def test_tissues_with_one_and_the_same_model(tmp_path: Path, trait: Trait) -> None:
    """Nearly singular: at a cut-off of 0 the reference divides by rounding noise, ours leaves it out."""
    trait.weights["G01.1"]["Brain"] = dict(trait.weights["G01.1"]["Blood"])
    trait.z["Brain"]["G01.1"] = trait.z["Blood"]["G01.1"]
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path, "--cutoff_eigen_ratio", "0", cutoff=False) == 0
    row = table(tmp_path / "out.tsv")["G01.1"]
    own = [tissue for tissue in TISSUES if tissue != "Brain"]
    r = correlation(trait, "G01.1", own, set(trait.snps))
    p, n = joint(r, np.array([trait.z[tissue]["G01.1"] for tissue in own]), 1e9)
    assert (row["n"], row["n_indep"]) == ("6", str(n)) and n == 5
    assert float(row["pvalue"]) == pytest.approx(p, rel=1e-6)


def test_a_tissue_without_variance_is_not_tested(tmp_path: Path, trait: Trait) -> None:
    trait.weights["G02.1"]["Blood"] = dict.fromkeys(trait.weights["G02.1"]["Blood"], 0.0)
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    del trait.weights["G02.1"]["Blood"]  # as if it had no model
    expect(tmp_path / "out.tsv", trait)


def test_snps_that_do_not_count(tmp_path: Path, trait: Trait) -> None:
    write_trait(tmp_path, trait)
    kept = {snp for snp in trait.snps if not snp.endswith("3")}
    (tmp_path / "snps.txt").write_text("n rsid\n" + "".join(f"1 {snp}\n" for snp in sorted(kept)))
    assert smultixcan(tmp_path) == 0
    expect(tmp_path / "out.tsv", trait, snps=kept)


def test_weights_that_the_covariance_lacks_are_counted(
    tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]
) -> None:
    """A covariance of one tissue, say, in place of that of all."""
    lost, uncounted = "rs02", "rs13"
    for pairs in trait.covariance.values():
        for pair in [pair for pair in pairs if lost in pair or uncounted in pair]:
            del pairs[pair]
    write_trait(tmp_path, trait)  # its SNPs are those of the covariance
    assert smultixcan(tmp_path) == 0
    assert "lacks" not in capsys.readouterr().err
    (tmp_path / "snps.txt").write_text((tmp_path / "snps.txt").read_text() + lost + "\n")
    assert smultixcan(tmp_path, "--overwrite") == 0
    every = [weights for by_tissue in trait.weights.values() for weights in by_tissue.values()]
    said = f"{sum(lost in weights for weights in every)} of {sum(map(len, every))} weights are of SNPs of the"
    assert said in capsys.readouterr().err


def test_snps_of_the_gwas(tmp_path: Path, trait: Trait) -> None:
    """Exchanged alleles and a missing z do no harm here; other alleles and absence do."""
    write_trait(tmp_path, trait)
    lines = (tmp_path / "gwas.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    for row in rows:
        changed = {"1": ["C", "A", "2"], "2": ["G", "T", "2"], "4": ["a", "c", "NA"]}
        row[1:] = changed.get(row[0][-1], row[1:])
    rows = [row for row in rows if not row[0].endswith("0")]
    (tmp_path / "gwas.txt").write_text("\n".join([lines[0], *map("\t".join, rows)]) + "\n")
    words = ("--gwas_file", tmp_path / "gwas.txt", "--zscore_column", "Z")
    assert smultixcan(tmp_path, *words, snps=False) == 0
    expect(tmp_path / "out.tsv", trait, snps={snp for snp in trait.snps if snp[-1] in "1345"})


def test_names_by_patterns_and_filters(tmp_path: Path, trait: Trait) -> None:
    write_trait(tmp_path, trait)
    for path in list((tmp_path / "models").iterdir()):
        path.rename(path.with_name(path.name.replace("TW_", "m-").replace("_0.5.db", "-x.sqlite")))
    for path in list((tmp_path / "results").iterdir()):
        path.rename(path.with_name(path.name.replace("t_TW_", "trait__PM__")))
    (tmp_path / "results" / "other__PM__Liver.csv").write_text("not of this trait\n")
    (tmp_path / "models" / "README").write_text("no model\n")
    words = ["--models_name_filter", "sqlite$", "none", "--models_name_pattern", "m-(.*)-x"]
    words += ["--metaxcan_filter", "trait.*", ".*csv$"]
    words += ["--metaxcan_file_name_parse", "(.*)__PM__(.*).csv"]  # argparse takes unique beginnings
    assert smultixcan(tmp_path, *words) == 0
    assert len(expect(tmp_path / "out.tsv", trait)) == 8


def test_snps_whose_alleles_are_exchanged_in_a_model_are_said(
    tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    assert "disagree" not in capsys.readouterr().err
    snp = min(trait.weights["G01.1"]["Lung"])
    with closing(sqlite3.connect(tmp_path / "models" / "TW_Lung_0.5.db")) as models:
        models.execute("update weights set ref_allele = 'C', eff_allele = 'A' where rsid = ?", (snp,))
        models.commit()
    assert smultixcan(tmp_path, "--overwrite") == 0
    assert f"models disagree about the effect allele of 1 SNP ({snp})" in capsys.readouterr().err
    expect(tmp_path / "out.tsv", trait)  # the reference's numbers all the same


def test_ids_without_their_version(tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]) -> None:
    write_trait(tmp_path, trait)
    for path in (tmp_path / "results").iterdir():
        path.write_text(path.read_text().replace(".1,N,", ",N,"))
    assert smultixcan(tmp_path) == 0
    assert {row["status"] for row in table(tmp_path / "out.tsv").values()} == {"-2"}
    assert "no gene was tested" in capsys.readouterr().err
    assert smultixcan(tmp_path, "--trimmed_ensemble_id", out="trimmed.tsv") == 0
    for name in ("weights", "covariance", "names"):
        setattr(trait, name, {gene[:-2]: value for gene, value in getattr(trait, name).items()})
    trait.z = {t: {gene[:-2]: z for gene, z in scores.items()} for t, scores in trait.z.items()}
    assert len(expect(tmp_path / "trimmed.tsv", trait)) == 8


def test_first_genes_only(tmp_path: Path, trait: Trait) -> None:
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path, "--MAX_M", "3") == 0
    assert sorted(expect(tmp_path / "out.tsv", trait)) == ["G00.1", "G01.1", "G02.1"]


def write_product(path: Path, trait: Trait, lacking: tuple[str, str] = ("", "")) -> None:
    """Correlations as a file of products, tissues in falling order; one gene may lack one tissue."""
    lines = ["gene model1 model2 value"]
    falling = sorted(TISSUES, reverse=True)
    for gene in trait.weights:
        r = correlation(trait, gene, falling, set(trait.snps))
        lines += [
            f"{gene} {falling[i]}\t{falling[j]} {float(r[i, j])!r}"
            for i in range(6)
            for j in range(i, 6)
            if lacking not in ((gene, falling[i]), (gene, falling[j]))
        ]
    path.write_text("\n".join(lines) + "\n")


def test_model_product(tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]) -> None:
    write_trait(tmp_path, trait)
    write_product(tmp_path / "product.txt", trait, ("G03.1", "Lung"))
    words = ("--model_product", tmp_path / "product.txt")
    assert smultixcan(tmp_path, *words, snps=False, covariance=False) == 0
    assert len(expect(tmp_path / "out.tsv", trait)) == 7
    assert "lacks a tissue that has a result" in capsys.readouterr().err
    words = (*words, "--permissive_model_product")
    assert smultixcan(tmp_path, *words, snps=False, covariance=False, out="all.tsv") == 0
    del trait.weights["G03.1"]["Lung"]
    assert len(expect(tmp_path / "all.tsv", trait)) == 8


def test_throw_stops_at_a_gene_that_cannot_be_tested(
    tmp_path: Path, trait: Trait, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = list(trait.covariance["G02.1"])[1]
    del trait.covariance["G02.1"][pair]
    write_trait(tmp_path, trait)
    assert smultixcan(tmp_path) == 0
    assert len(table(tmp_path / "out.tsv")) == 7
    assert smultixcan(tmp_path, "--throw", out="thrown.tsv") == 3
    assert "gene G02.1 cannot be tested: the covariance lacks pairs" in capsys.readouterr().err
    assert not (tmp_path / "thrown.tsv").exists()
