"""The files of a simulated study, read back with other code and worked through by hand."""

from __future__ import annotations

import csv
import gzip
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm

from gputwas.errors import InputError, ResourceError
from gputwas.simulate import study as study_module
from gputwas.simulate.config import preset
from gputwas.simulate.matrices import simulate_matrices
from gputwas.simulate.nidps import ANNOTATION_COLUMNS
from gputwas.simulate.study import StudyTruth, simulate_study

CONFIG = preset(
    "test", n_traits=13, swap_share=0.3, strand_share=0.1, missing_share=0.1, palindromic_share=0.1
)
COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> StudyTruth:
    return simulate_study(tmp_path_factory.mktemp("study") / "a", CONFIG)


def read_tsv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as text:
        return list(csv.DictReader(text, delimiter="\t"))


def read_gwas(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as text:
        return list(csv.DictReader(text, delimiter=" "))


def read_covariances(path: Path) -> dict[tuple[str, str, str], float]:
    out = {}
    with gzip.open(path, "rt") as text:
        assert text.readline().split() == ["GENE", "RSID1", "RSID2", "VALUE"]
        for line in text:
            gene, a, b, value = line.split()
            out[gene, a, b] = out[gene, b, a] = float(value)
    return out


def aligned_z(rows: list[dict[str, str]], alleles: dict[str, tuple[str, str]]) -> dict[str, float]:
    """z per id, for the model's effect allele, strands read as they are or from the other side."""
    out = {}
    for row in rows:
        if row["rsid"] not in alleles:
            continue
        z = float(row["beta"]) / float(row["se"])
        found, wanted = (row["a1"], row["a2"]), alleles[row["rsid"]]  # (other, effect)
        turned = tuple(COMPLEMENT[a] for a in found)
        if found == wanted or (turned == wanted and turned != found[::-1]):
            out[row["rsid"]] = z
        elif found == wanted[::-1] or turned == wanted[::-1]:
            out[row["rsid"]] = -z
        else:
            raise AssertionError(f"{row} does not fit {wanted}")
    return out


def test_models_scored_by_hand_from_the_files_give_the_z_drawn(truth: StudyTruth) -> None:
    """Files -> z: orientation, strands and missing variants undone by hand; the expectation beside it."""
    folder, matrices = Path(truth.folder), simulate_matrices(CONFIG)
    expected = {
        (row["trait"], row["tissue"], row["gene"]): row["expected_z"]
        for row in truth.associations.to_pylist()
    }
    manifest = read_tsv(folder / "manifest.tsv")
    patterns_seen = set()
    for number in (0, 3, 4, 9, 12):
        rows = read_gwas(folder / manifest[number]["path"])
        patterns_seen.add(len(rows))
        for tissue, name in enumerate(truth.tissues):
            drawn = matrices.models[tissue]
            weights: dict[str, dict[str, float]] = {}
            alleles = {}
            with sqlite3.connect(folder / "models" / f"{name}.db") as database:
                for rsid, gene, weight, other, effect in database.execute(
                    "select rsid, gene, weight, ref_allele, eff_allele from weights"
                ):
                    weights.setdefault(gene, {})[rsid] = weight
                    alleles[rsid] = (other, effect)
            gamma = read_covariances(folder / "models" / f"{name}.txt.gz")
            z = aligned_z(rows, alleles)
            for row, gene_number in enumerate(drawn.gene):
                gene = matrices.genome.gene[gene_number]
                used = [rsid for rsid in weights[gene] if rsid in z]
                if not used:
                    continue
                w = np.array([weights[gene][rsid] for rsid in used])
                cov = np.array([[gamma[gene, a, b] for b in used] for a in used])
                got = sum(w * np.sqrt(np.diag(cov)) * [z[r] for r in used]) / np.sqrt(w @ cov @ w)
                present = np.isin(matrices.genome.identifier, list(z))
                loadings = drawn.loadings(present)[row]
                assert got == pytest.approx(loadings @ matrices.z[number, drawn.block[row]], abs=2e-3)
                mean = (
                    loadings
                    @ matrices.traits.expected_snp_z(number, int(manifest[number]["n"]))[drawn.block[row]]
                )
                assert expected.get((manifest[number]["trait"], name, gene), 0.0) == pytest.approx(
                    mean, abs=1e-7
                )
    assert len(patterns_seen) >= 3


def test_gwas_files(truth: StudyTruth) -> None:
    folder = Path(truth.folder)
    for cohort, n in (("33k", 33_000), ("22k", 22_000), ("11k", 11_000)):
        name = "manifest.tsv" if cohort == "33k" else f"manifest_{cohort}.tsv"
        manifest = read_tsv(folder / name)
        assert [row["n"] for row in manifest[:4]] == [str(n)] * 4
        assert [row["n"] for row in manifest[4:8]] == [
            str(round(0.95 * n))
        ] * 4  # fewer have diffusion images
        raw = gzip.decompress((folder / manifest[1]["path"]).read_bytes()).decode()
        assert raw.startswith("chr rsid pos a1 a2 beta se pval(-log10)\n01 rs")
        for row in read_gwas(folder / manifest[1]["path"])[:50]:
            z = float(row["beta"]) / float(row["se"])
            assert float(row["pval(-log10)"]) == pytest.approx(-np.log10(2 * norm.sf(abs(z))), abs=2e-3)
            assert len(row["chr"]) == 2 and row["pos"].isdigit()
        frequency = 1 / (2 * n * float(row["se"]) ** 2)  # f(1-f)
        assert 0.0474 < frequency <= 0.2501


def test_patterns_differ_in_rows_and_orientation(truth: StudyTruth) -> None:
    folder = Path(truth.folder)
    files = [read_gwas(folder / "gwas" / "33k" / f"{number:04d}.txt.gz") for number in (1, 5, 9)]
    assert len(files[0]) == CONFIG.n_variants  # pattern 0 lacks nothing
    for other in files[1:]:
        assert 0.8 < len(other) / CONFIG.n_variants < 0.97
        first = {row["rsid"]: (row["a1"], row["a2"]) for row in files[0]}
        same = np.mean([first[row["rsid"]] == (row["a1"], row["a2"]) for row in other])
        swapped = np.mean([first[row["rsid"]] == (row["a2"], row["a1"]) for row in other])
        assert 0.4 < same < 0.8 and 0.15 < swapped < 0.45 and same + swapped < 0.99  # the rest: other strand
    assert {row["rsid"] for row in files[1]} != {row["rsid"] for row in files[2]}
    ids = [row["rsid"] for row in files[0]]
    assert any(not name.startswith("rs") for name in ids)
    assert sorted(files[0], key=lambda row: (row["chr"], int(row["pos"]))) == files[0]


def test_manifest_gene_table_and_truth(truth: StudyTruth) -> None:
    folder = Path(truth.folder)
    manifest = read_tsv(folder / "manifest.tsv")
    columns = ["trait", "path", "n", "dialect", "build", "h2", "h2_se", *ANNOTATION_COLUMNS]
    assert list(manifest[0]) == columns
    assert all((folder / row["path"]).is_file() for row in manifest)
    assert manifest[0]["trait"] == "aparc-Desikan_lh_area_precuneus" and manifest[0]["modality"] == "T1"
    genes = read_tsv(folder / "gene_table.tsv")
    assert list(genes[0]) == ["gene", "gene_name", "chromosome", "start", "end"]
    assert len(genes) == CONFIG.n_genes and all(int(row["end"]) > int(row["start"]) for row in genes)
    causal = read_tsv(folder / "truth_causal.tsv")
    assert len(causal) == truth.causal.num_rows == 3 * 11  # traits 5 and 10 are null
    assert {row["shared_by"] for row in causal} == {"region", "trait"}
    traits = read_tsv(folder / "truth_traits.tsv")
    assert [row["is_null"] for row in traits].count("true") == 2
    assert pq.read_table(folder / "truth_associations.parquet").equals(truth.associations)
    assert truth.associations.num_rows > 0 and 0.0 not in truth.associations["expected_z"].to_pylist()
    names = {row["trait"] for row in traits if row["is_null"] == "true"}
    assert not names & set(truth.associations["trait"].to_pylist())


def test_tissues_disagree_on_some_effect_alleles(truth: StudyTruth) -> None:
    alleles = []
    for name in truth.tissues:
        with sqlite3.connect(Path(truth.folder) / "models" / f"{name}.db") as database:
            query = "select rsid, ref_allele, eff_allele from weights"
            alleles.append({rsid: (ref, eff) for rsid, ref, eff in database.execute(query)})
    shared = alleles[0].keys() & alleles[1].keys()
    differing = [rsid for rsid in shared if alleles[0][rsid] != alleles[1][rsid]]
    assert 0 < len(differing) < 0.5 * len(shared)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".db"
    }


def test_same_settings_same_bytes_and_an_interrupted_run_goes_on(truth: StudyTruth, tmp_path: Path) -> None:
    simulate_study(tmp_path / "b", CONFIG)
    original = contents(Path(truth.folder))
    assert contents(tmp_path / "b") == original
    for name in ("study.json", "manifest.tsv", "gwas/22k/0003.txt.gz"):
        (tmp_path / "b" / name).unlink()
    again = simulate_study(tmp_path / "b", CONFIG)
    assert contents(tmp_path / "b") == original
    assert again.associations.equals(truth.associations)


def test_a_complete_study_is_not_written_again(truth: StudyTruth) -> None:
    file = Path(truth.folder) / "gwas" / "33k" / "0001.txt.gz"
    before = file.stat().st_mtime_ns
    assert simulate_study(truth.folder, CONFIG).causal.equals(truth.causal)
    assert file.stat().st_mtime_ns == before


def test_more_traits_leave_the_first_files_alone(truth: StudyTruth, tmp_path: Path) -> None:
    simulate_study(tmp_path / "few", replace(CONFIG, n_traits=5))
    few, many = contents(tmp_path / "few"), contents(Path(truth.folder))
    files = [name for name in few if name.startswith("gwas")]
    assert len(files) == 15
    assert all(few[name] == many[name] for name in files)


def test_rounded_covariances(tmp_path: Path) -> None:
    truth = simulate_study(tmp_path / "a", preset("test", covariance_decimals=3, n_traits=1))
    values = read_covariances(tmp_path / "a" / "models" / f"{truth.tissues[0]}.txt.gz").values()
    assert all(round(value, 3) == value for value in values)


def test_refuses_a_folder_with_something_else(truth: StudyTruth, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(InputError, match=r"not empty.*thesis"):
        simulate_study(tmp_path, CONFIG)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    with pytest.raises(InputError, match="other settings"):
        simulate_study(truth.folder, preset("test", seed=99))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "study.json").write_text("{")
    with pytest.raises(InputError, match=r"study\.json"):
        simulate_study(tmp_path / "x", CONFIG)
    with pytest.raises(InputError, match="file"):
        simulate_study(tmp_path / "thesis.docx", CONFIG)


def test_says_so_before_it_starts_when_the_disk_is_too_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "BYTES_PER_ROW", 10**15)
    with pytest.raises(ResourceError, match="bytes"):
        simulate_study(tmp_path / "a", CONFIG)
    assert not list((tmp_path / "a").iterdir())
