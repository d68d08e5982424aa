"""The generated files have the real formats, and the stated answer is the formula's on those very files."""

from __future__ import annotations

import gzip
import sqlite3
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bench.inputs import Sizes, Study, make_study
from bench.text import Layout, write_gwas

SIZES = Sizes(rows=20_000, genes=120, weights=1_100, traits=2, tissues=2)
HEADER = "chr rsid pos a1 a2 beta se pval(-log10)"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"), SIZES, seed=5)


def rows_below(header: str, path: Path) -> list[list[str]]:
    """Cells of a gzipped text, header checked."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[0] == header
    return [line.split(" ") for line in lines[1:]]


def read_gwas(path: Path) -> list[list[str]]:
    """Rows of a GWAS file."""
    return rows_below(HEADER, path)


def score_by_hand(study: Study, tissue: int, trait: int) -> dict[str, float]:
    """S-PrediXcan from the text of the files alone, row by row."""
    z = {
        row[1]: (row[3], row[4], np.float32(float(row[5]) / float(row[6])))
        for row in read_gwas(study.gwas[trait])
    }
    covariance: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for gene, one, two, value in rows_below("GENE RSID1 RSID2 VALUE", study.tissues[tissue].covariance):
        covariance[gene][one, two] = covariance[gene][two, one] = float(value)
    models: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    database = sqlite3.connect(study.tissues[tissue].model)
    for gene, snp, weight, other, effect in database.execute(
        "SELECT gene, rsid, weight, ref_allele, eff_allele FROM weights"
    ):
        if snp in z:
            assert {other, effect} == set(z[snp][:2])
            models[gene].append((snp, weight, float(z[snp][2]) * (1 if z[snp][1] == effect else -1)))
    database.close()
    scores = {}
    for gene, members in models.items():
        cov = covariance[gene]
        var_g = sum(wi * wj * cov[i, j] for i, wi, _ in members for j, wj, _ in members)
        scores[gene] = sum(w * cov[i, i] ** 0.5 * value for i, w, value in members) / var_g**0.5
    return scores


@pytest.mark.parametrize(("tissue", "trait"), [(0, 0), (1, 1)])
def test_stated_answer_is_that_of_the_files(study: Study, tissue: int, trait: int) -> None:
    expected = study.expected_z(study.tissues[tissue], trait)
    by_hand = score_by_hand(study, tissue, trait)
    there = np.isfinite(expected)
    assert set(study.tissues[tissue].genes[there]) == set(by_hand)
    got = np.array([by_hand[gene] for gene in study.tissues[tissue].genes[there]])
    np.testing.assert_allclose(got, expected[there], rtol=1e-9, atol=1e-12)


def test_sizes_are_as_asked(study: Study) -> None:
    assert [tissue.genes.size for tissue in study.tissues] == [SIZES.genes] * SIZES.tissues
    assert sum(tissue.snps.size for tissue in study.tissues) == SIZES.weights * SIZES.tissues
    for path in study.gwas:
        assert len(read_gwas(path)) == SIZES.rows
    used = np.unique(np.concatenate([tissue.snps for tissue in study.tissues]))
    assert study.in_gwas[used].mean() == pytest.approx(SIZES.found, abs=0.002)


def test_gwas_rows_look_like_big40(study: Study) -> None:
    rows = read_gwas(study.gwas[0])
    assert {row[0] for row in rows} <= {f"{k:02d}" for k in range(1, 23)} | {"0X"}
    named = [row[1].startswith("rs") for row in rows]
    assert 0.95 < np.mean(named) < 0.99
    assert len({row[1] for row in rows}) == len(rows)
    positions = [(row[0].replace("0X", "23"), int(row[2])) for row in rows]
    assert positions == sorted(positions)


def test_traits_do_not_depend_on_how_many_there_are(study: Study, tmp_path: Path) -> None:
    sizes = Sizes(SIZES.rows, SIZES.genes, SIZES.weights, traits=1, tissues=SIZES.tissues)
    fewer = make_study(tmp_path, sizes, seed=5)
    assert fewer.gwas[0].read_bytes() == study.gwas[0].read_bytes()
    other = make_study(tmp_path / "other", sizes, seed=6)
    assert other.gwas[0].read_bytes() != study.gwas[0].read_bytes()


def test_traits_differ_in_numbers_only(study: Study) -> None:
    first, second = (read_gwas(path) for path in study.gwas)
    assert [row[:5] for row in first] == [row[:5] for row in second]
    assert sum(a[5:] == b[5:] for a, b in zip(first, second, strict=True)) < SIZES.rows / 100


def test_tissues_share_snps_and_not_all(study: Study) -> None:
    one, two = (set(tissue.snps.tolist()) for tissue in study.tissues)
    assert 0.1 < len(one & two) / len(one) < 1


NUMBERS = [0.0, 1.0, -1.0, 12345.6, 123456.0, 0.1, -0.000123456, 9.99996, 0.00009999949, 1e-5, -3.14159e-12,
           99999.6, 100.0, 0.25]  # fmt: skip


def test_numbers_are_written_as_printf_does_and_read_as_told(tmp_path: Path) -> None:
    random = np.random.default_rng(8).normal(size=500) * 10.0 ** np.random.default_rng(9).integers(-9, 9, 500)
    values = np.concatenate([NUMBERS, random])
    layout = Layout(tmp_path / "layout", iter([[pa.array(["v"] * values.size)]]))
    beta, se = write_gwas(tmp_path / "x.gz", layout, values, np.abs(values), np.abs(values))
    lines = gzip.decompress((tmp_path / "x.gz").read_bytes()).decode().splitlines()
    rows = [line.split(" ") for line in lines]
    printed = [row[1] for row in rows[1:]]
    assert printed == [f"{value:.5g}" for value in values]
    assert [row[3] for row in rows[1:]] == [f"{abs(value):.5g}" for value in values]
    assert beta.tolist() == [float(text) for text in printed] and (se == np.abs(beta)).all()


def test_text_does_not_depend_on_chunks(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("bench.text", "bench.variants"):
        monkeypatch.setattr(f"{module}.CHUNK", 1_234)
    again = make_study(tmp_path, SIZES, seed=5)
    for one, two in zip(study.gwas, again.gwas, strict=True):
        assert gzip.decompress(one.read_bytes()) == gzip.decompress(two.read_bytes())
