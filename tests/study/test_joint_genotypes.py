"""From real genotypes to joint tests: LD across tissues by way of a store and by way of MetaXcan's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.cli.main import main
from gputwas.formats.predictdb import write_models
from gputwas.stores.gene_ld import read_gene_ld_store
from gputwas.stores.joint import JointStore
from gputwas.stores.models import read_models_store

GENES, TISSUES = 4, 3


def run(*words: object) -> None:
    assert main([*map(str, words), "--quiet"]) == 0


def write_databases(kg_eur: Path, folder: Path) -> list[Path]:
    """Models of common SNPs with plain alleles; a gene's SNPs are neighbours, tissues share some of them."""
    rng = np.random.default_rng(7)
    lines = [line.split() for line in (kg_eur / "kg_eur.bim").read_text().splitlines()]
    seen = {line[1] for line in lines}
    assert len(seen) > 80_000
    paths = []
    folder.mkdir()
    for tissue in range(TISSUES):
        rows = []
        for gene in range(GENES):
            near = [v for v in lines[500 + 3_000 * gene : 900 + 3_000 * gene] if {v[4], v[5]} < set("ACGT")]
            near = [v for v in near if {v[4], v[5]} not in ({"A", "T"}, {"C", "G"}) and v[1].startswith("rs")]
            for place in rng.choice(len(near), 8, replace=False):
                rows.append((f"ENSG{gene}", near[place][1], rng.normal(), near[place][4], near[place][5]))
        gene_column, ids, weights, effect, other = zip(*rows, strict=True)
        names = [f"ENSG{gene}" for gene in range(GENES)]
        genes = pa.table({
            "gene": names, "gene_name": names, "n_snps_in_model": [8] * GENES,
            "pred_perf_r2": [0.1] * GENES, "pred_perf_pval": [0.01] * GENES, "pred_perf_qval": [0.01] * GENES,
        })  # fmt: skip
        table = pa.table({
            "gene": gene_column, "variant_id": ids, "weight": weights, "effect_allele": effect,
            "other_allele": other,
        })  # fmt: skip
        paths.append(folder / f"Tissue_{tissue}.db")
        write_models(paths[-1], genes, table)
    return paths


@pytest.fixture(scope="module")
def folder(kg_eur: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint_genotypes")
    databases = write_databases(kg_eur, folder / "db")
    made = ("models", "covariance", *databases, "--genotypes", kg_eur / "kg_eur.bed")
    run(*made, "--out", folder / "models", "--cross-tissue", folder / "ld")
    run(*made, "--text", folder / "text", "--cross-tissue", folder / "ld.txt.gz")
    run("gwas", "import", kg_eur / "bolt.sumstats.txt.gz", "--trait", "bolt", "--models", folder / "models",
        "--out", folder / "gwas")  # fmt: skip
    run("associate", "--models", folder / "models", "--gwas", folder / "gwas", "--out", folder / "a",
        "--precision", "float64", "--backend", "numpy")  # fmt: skip
    for name in ("ld", "ld.txt.gz"):
        run("multixcan", "--models", folder / "models", "--gwas", folder / "gwas", "-a", folder / "a",
            "--snp-covariance", folder / name, "--precision", "float64", "--backend", "numpy",
            "--out", folder / f"joint of {name}")  # fmt: skip
    return folder


def test_every_gene_is_tested_in_every_tissue(folder: Path) -> None:
    store = JointStore.open(folder / "joint of ld")
    pattern = store.read_pattern(store.pattern_of("bolt"))
    assert pattern.n_tissues.tolist() == [TISSUES] * GENES
    assert np.isfinite(store.read_trait("bolt")).all()


def test_store_and_text_give_the_same(folder: Path) -> None:
    one, two = (JointStore.open(folder / f"joint of {name}") for name in ("ld", "ld.txt.gz"))
    np.testing.assert_allclose(one.read_trait("bolt"), two.read_trait("bolt"), rtol=1e-9)
    for name in ("n_indep", "tested"):
        found = [getattr(s.read_pattern(s.pattern_of("bolt")), name) for s in (one, two)]
        np.testing.assert_array_equal(*found)


def test_variance_within_a_tissue_is_that_of_the_models(folder: Path) -> None:
    """w' C w with the cross-tissue LD is var_g, computed from each tissue's own LD."""
    models, ld = read_models_store(folder / "models"), read_gene_ld_store(folder / "ld")
    genes = ld.genes["gene"].to_pylist()
    place = {row: k for k, row in enumerate(ld.panel["variant_id"].to_pylist())}
    ids = models.panel["variant_id"].to_pylist()
    turned = dict(zip(ids, models.panel["effect_allele"].to_pylist(), strict=True))
    effect = ld.panel["effect_allele"].to_pylist()
    for model, gene in enumerate(models.models["gene"].to_pylist()):
        rows = ld.of_gene(genes.index(gene)).tolist()
        weights = np.zeros(len(rows))
        for entry in range(int(models.offsets[model]), int(models.offsets[model + 1])):
            snp = ids[int(models.variants[entry])]
            if place[snp] in rows:
                sign = 1.0 if effect[place[snp]] == turned[snp] else -1.0
                weights[rows.index(place[snp])] = sign * models.weights[entry]
        variance = weights @ ld.matrix(genes.index(gene)) @ weights
        assert variance == pytest.approx(models.models["var_g"][model].as_py(), rel=1e-9)
