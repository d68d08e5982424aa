"""Cross-tissue covariance text brought to a model store: which genes, rows of the panel and values."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.formats.gene_covariance import read_gene_covariances
from gputwas.ingest.gene_ld import keep_gene_ld, match_gene_ld, read_gene_ld
from gputwas.stores.gene_ld import GeneLd, check_gene_ld
from gputwas.stores.models import ModelSet

HEADER = "GENE RSID1 RSID2 VALUE\n"


def models(entries: dict[tuple[str, str], list[int]], panel: list[tuple[str, str, str]]) -> ModelSet:
    """A model set of (tissue, gene) -> rows of the panel, which is (id, effect allele, other allele)."""
    sizes = [len(rows) for rows in entries.values()]
    ids, effect, other = zip(*panel, strict=True)
    count = len(entries)
    return ModelSet(
        panel=pa.table({"variant_id": ids, "effect_allele": effect, "other_allele": other}),
        models=pa.table({
            "tissue": [tissue for tissue, _ in entries], "gene": [gene for _, gene in entries],
            "gene_name": [f"name of {gene}" for _, gene in entries], "var_g": np.ones(count),
        }),
        offsets=np.cumsum([0, *sizes]).astype(np.int64),
        variants=np.array([row for rows in entries.values() for row in rows], np.int32),
        weights=np.ones(sum(sizes)), n_in_ld=np.zeros(count, np.int32),
        ld_offsets=np.zeros(count + 1, np.int64), ld=np.empty(0),
    )  # fmt: skip


PANEL = [("rs1", "A", "G"), ("rs2", "C", "T"), ("rs3", "A", "C"), ("rs3", "A", "T"), ("rs4", "G", "T")]
MODELS = models({("s", "g1.2"): [0, 2], ("s", "g2"): [1], ("t", "g1.2"): [1, 3], ("t", "g3"): [4]}, PANEL)


def text(folder: Path, rows: str) -> Path:
    path = folder / "ld.txt"
    path.write_text(HEADER + rows)
    return path


def by_gene(ld: GeneLd) -> dict[str, tuple[list[int], np.ndarray]]:
    return {
        gene: (ld.of_gene(k).tolist(), ld.matrix(k)) for k, gene in enumerate(ld.genes["gene"].to_pylist())
    }


def test_snps_of_the_models_of_a_gene_with_every_row_of_the_panel(tmp_path: Path) -> None:
    pairs = ("rs2 rs2 22", "rs2 rs3 23", "rs2 rs1 21", "rs3 rs3 33", "rs3 rs1 31", "rs1 rs1 11")
    upper = "".join(f"g1.2 {pair}\n" for pair in pairs)
    path = text(tmp_path, "g9 rs1 rs1 7\n" + upper + "g2 rs1 rs1 1\ng2 rs2 rs2 5\ng2 rs1 rs2 2\n")
    found, report = match_gene_ld(read_gene_covariances(path), MODELS)
    check_gene_ld(found)
    genes = by_gene(found)
    assert list(genes) == ["g1.2", "g2"]
    assert genes["g1.2"][0] == [1, 2, 3, 0]  # rs3 is two rows of the panel, and both are used
    wanted = [[22, 23, 23, 21], [23, 33, 33, 31], [23, 33, 33, 31], [21, 31, 31, 11]]
    assert genes["g1.2"][1].tolist() == wanted
    assert genes["g2"][0] == [1] and genes["g2"][1].tolist() == [[5]]
    assert (report.genes, report.genes_used, report.snps, report.snps_used) == (3, 2, 6, 4)
    assert report.genes_of_models == 3
    assert found.genes["gene_name"].to_pylist() == ["name of g1.2", "name of g2"]


def test_values_stand_as_they_are_where_everything_is_used(tmp_path: Path) -> None:
    one = models({("s", "g"): [0], ("t", "g"): [1, 0]}, PANEL)
    path = text(tmp_path, "g rs2 rs2 4\ng rs2 rs1 -3\ng rs1 rs1 5\n")
    found, _ = match_gene_ld(read_gene_covariances(path), one)
    assert found.variants.tolist() == [1, 0]
    assert found.matrix(0).tolist() == [[4, -3], [-3, 5]]


@pytest.mark.parametrize("gene", ["g1", "g1.7", "g1.2"])
def test_gene_ids_with_another_version_or_none(tmp_path: Path, gene: str) -> None:
    found, _ = match_gene_ld(read_gene_covariances(text(tmp_path, f"{gene} rs1 rs1 2\n")), MODELS)
    assert found.genes["gene"].to_pylist() == ["g1.2"]


def test_the_exact_id_goes_before_another_version(tmp_path: Path) -> None:
    path = text(tmp_path, "g1.1 rs1 rs1 9\ng1.2 rs1 rs1 2\ng1.3 rs1 rs1 8\n")
    found, report = match_gene_ld(read_gene_covariances(path), MODELS)
    assert by_gene(found)["g1.2"][1].tolist() == [[2]]
    assert report.genes_used == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("other rs1 rs1 1\n", r"no gene in common.*found other, \.\.\..*genes like g1\.2"),
        ("g2 chr1_5_A_G_b38 chr1_5_A_G_b38 1\n", "no SNP of the models is in the cross-tissue covariance"),
        ("g1.2 rs1 rs1 1\ng1.2 rs2 rs2 1\n", "gene g1.2: the covariance of rs1 and rs2 is absent or NA"),
        ("g1.2 rs1 rs1 1\ng1.2 rs1 rs2 NA\ng1.2 rs2 rs2 1\n", "rs1 and rs2 is absent or NA"),
        ("g1.2 rs1 rs1 1\ng1.2 rs1 rs2 0\ng1.2 rs2 rs2 -2\n", "variance of rs2 in gene g1.2 is negative"),
        ("g2 rs2 rs2\n", "malformed row"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_gene_ld(text(tmp_path, rows), MODELS)


def test_pairs_of_snps_that_no_model_uses_may_be_absent(tmp_path: Path) -> None:
    path = text(tmp_path, "g2 rs1 rs1 1\ng2 rs2 rs2 1\n")
    assert by_gene(read_gene_ld(path, MODELS))["g2"][0] == [1]


def test_counts_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gputwas"):
        read_gene_ld(text(tmp_path, "g2 rs1 rs1 1\ng2 rs2 rs2 1\ng2 rs1 rs2 0\n"), MODELS)
    assert "1 of 1 genes and 1 of their 2 SNPs are in the models, which have 3 genes" in caplog.text


def test_text_kept_as_a_store_is_read_from_there(tmp_path: Path) -> None:
    path = text(tmp_path, "g2 rs2 rs2 1\n")
    kept = keep_gene_ld(path, MODELS, tmp_path / "store")
    assert read_gene_ld(tmp_path / "store", MODELS).digest == kept.digest
    path.write_text(HEADER + "g2 rs2 rs2 4\n")
    with pytest.raises(InputError, match="written differently"):
        keep_gene_ld(path, MODELS, tmp_path / "store")
    changed = keep_gene_ld(path, MODELS, tmp_path / "store", overwrite=True)
    assert changed.matrix(0).tolist() == [[4]]


def test_real_covariances(gtex_v6p: Path, tmp_path: Path) -> None:
    """Values of the real file, read line by line into a dictionary, in the models' places."""
    from gputwas.ingest.models import import_models
    from gputwas.stores.models import read_models_store

    databases = sorted((gtex_v6p / "models").glob("*.db"))
    import_models(databases, [gtex_v6p / "covariances"], tmp_path / "models", allow_missing_ld=True)
    model_set = read_models_store(tmp_path / "models")
    path = gtex_v6p / "snp_covariance.txt.gz"
    values = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]:
        gene, one, two, value = line.split()
        values[gene, one, two] = values[gene, two, one] = float(value)
    found = read_gene_ld(path, model_set)
    check_gene_ld(found)
    ids = model_set.panel["variant_id"].to_pylist()
    assert found.n_genes == 3
    for k, gene in enumerate(found.genes["gene"].to_pylist()):
        snps = [ids[row] for row in found.of_gene(k).tolist()]
        used = {
            ids[row]
            for m, of in enumerate(model_set.models["gene"].to_pylist())
            if of == gene
            for row in model_set.variants[model_set.offsets[m] : model_set.offsets[m + 1]].tolist()
        }
        assert set(snps) == {snp for snp in used if (gene, snp, snp) in values}
        wanted = [[values[gene, one, two] for two in snps] for one in snps]
        np.testing.assert_array_equal(found.matrix(k), wanted)
