"""FUSION's weights through the command line: import, a GWAS, association, and FUSION's own z."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from gputwas.stores.associations import AssociationStore
from gputwas.stores.models import read_models_store
from tests.cli.studies import no_leftovers, nothing_written, refused, run
from tests.formats.r_files import save
from tests.fusion_reference import Gene, Plink, assoc_test, random_panel, read_plink, write_plink

MODELS = ("top1", "blup", "lasso", "enet")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def random_gene(rng: np.random.Generator, panel: Plink, columns: np.ndarray) -> Gene:
    """Weights of some SNPs of a panel, every third with its alleles exchanged, every fifth complemented."""
    alleles = [panel.bim[column][3:5] for column in columns]
    alleles = [pair[::-1] if n % 3 == 0 else pair for n, pair in enumerate(alleles)]
    alleles = [
        (a.translate(COMPLEMENT), b.translate(COMPLEMENT)) if n % 5 == 0 else (a, b)
        for n, (a, b) in enumerate(alleles)
    ]
    weights = {model: rng.normal(size=len(columns)) for model in MODELS}
    weights["lasso"][1:][rng.random(len(columns) - 1) < 0.8] = 0.0
    p = dict(zip(MODELS, 10 ** rng.uniform(-8, -1, len(MODELS)), strict=True))
    ids = [panel.bim[column][1] for column in columns]
    return Gene(ids, [a for a, _ in alleles], [b for _, b in alleles], weights, p)


def write_weights(folder: Path, genes: dict[str, Gene]) -> Path:
    """A release as FUSION's: WEIGHTS/PANEL.pos beside WEIGHTS/PANEL/."""
    lines = ["PANEL WGT ID CHR P0 P1 N"]
    for name, gene in genes.items():
        save(folder / "Blood" / f"Blood.{name}.wgt.RDat", gene.values(), version=3)
        lines.append(f"Blood Blood/Blood.{name}.wgt.RDat {name} 1 1000 2000 369")
    (folder / "Blood.pos").write_text("\n".join(lines) + "\n")
    return folder / "Blood.pos"


def stored_z(folder: Path) -> dict[str, float]:
    """gene -> z of the one trait."""
    with AssociationStore.open(folder) as store:
        (trait,) = store.trait_names
        (tissue,) = store.tissues
        z = store.read_trait(tissue, trait).tolist()
        return dict(zip(store.models["gene"].to_pylist(), z, strict=True))


def test_z_of_a_small_study_is_fusions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    panel = random_panel(rng, 120)
    genes = {f"ENSG{n}": random_gene(rng, panel, rng.permutation(120)[: 5 + 2 * n]) for n in range(10)}
    pos = write_weights(tmp_path / "WEIGHTS", genes)
    write_plink(tmp_path / "LDREF.1", panel)
    gwas, lines = {}, ["SNP\tA1\tA2\tN\tZ"]
    for number, (_, name, _, a1, a2) in enumerate(panel.bim):
        pair = (a2, a1) if number % 4 == 0 else (a1, a2)
        z = float(np.float32(rng.normal(scale=3)))
        gwas[name] = (*pair, z)
        lines.append(f"{name}\t{pair[0]}\t{pair[1]}\t100000\t{z!r}")
    (tmp_path / "trait.txt").write_text("\n".join(lines) + "\n")

    models, store, out = tmp_path / "models", tmp_path / "gwas", tmp_path / "associations"
    made = run(capsys, "models", "fusion", pos, "--ld", tmp_path / "LDREF.{chromosome}", "--out", models)
    assert made.code == 0, made.err
    header, row = made.out.splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["models"] == "10"
    read = run(capsys, "gwas", "import", tmp_path / "trait.txt", "--models", models, "--out", store)
    assert read.code == 0, read.err
    words = ["--models", models, "--gwas", store, "--out", out, "--precision", "float64"]
    scored = run(capsys, "associate", *words)
    assert scored.code == 0, scored.err
    z = stored_z(out)
    assert set(z) == set(genes)
    kinds = read_models_store(models).models["model_kind"].to_pylist()
    for (name, gene), kind in zip(sorted(genes.items()), kinds, strict=True):
        expected_kind, expected = assoc_test(gene, panel, gwas)
        assert kind == expected_kind
        assert z[name] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert len(set(kinds)) > 1

    forced = run(
        capsys, "models", "fusion", pos, "--ld", tmp_path / "LDREF.", "--out", models, "--overwrite",
        "--force-model", "blup", "--per", "sd",
    )  # fmt: skip
    assert forced.code == 0, forced.err
    assert set(read_models_store(models).models["model_kind"].to_pylist()) == {"blup"}


def test_a_gwas_that_names_snps_by_position_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store has the positions of the LD reference, which weights named by rs numbers do not tell."""
    rng = np.random.default_rng(5)
    panel = random_panel(rng, 60)
    genes = {"G1": random_gene(rng, panel, np.arange(5, 40))}
    gwas, lines = {}, ["SNP\tCHR\tBP\tA1\tA2\tN\tZ"]
    for _, name, place, a1, a2 in panel.bim:
        z = float(np.float32(rng.normal()))
        gwas[name] = (a1, a2, z)
        lines.append(f"1:{place}:{a1}:{a2}\t1\t{place}\t{a1}\t{a2}\t1000\t{z!r}")
    (tmp_path / "trait.txt").write_text("\n".join(lines) + "\n")
    models, store, out = tmp_path / "models", tmp_path / "gwas", tmp_path / "associations"
    for words in (
        [
            "models",
            "fusion",
            write_weights(tmp_path / "W", genes),
            "--ld",
            write_plink(tmp_path / "ld", panel),
        ],
        ["gwas", "import", tmp_path / "trait.txt", "--models", models],
        ["associate", "--models", models, "--gwas", store, "--precision", "float64"],
    ):
        done = run(capsys, *words, "--out", {"models": models, "gwas": store, "associate": out}[words[0]])
        assert done.code == 0, done.err
    assert stored_z(out)["G1"] == pytest.approx(assoc_test(genes["G1"], panel, gwas)[1], rel=1e-9)


def test_z_on_real_genotypes_is_fusions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kg_eur: Path
) -> None:
    rng = np.random.default_rng(2)
    panel = read_plink(kg_eur / "kg_eur", 3000)
    gwas = {}
    with gzip.open(kg_eur / "bolt.sumstats.txt.gz", "rt") as file:
        names = file.readline().split()
        column = [names.index(name) for name in ("SNP", "ALLELE1", "ALLELE0", "BETA", "SE")]
        for line in file:
            cells = line.split()
            snp, a1, a2, beta, se = (cells[place] for place in column)
            gwas[snp] = (a1, a2, float(beta) / float(se))
    varies = np.nanstd(panel.bed, axis=0) > 0
    usable = np.flatnonzero(varies & np.array([row[1] in gwas for row in panel.bim]))
    genes = {}
    for n in range(30):
        start = int(rng.integers(0, len(usable) - 200))
        genes[f"ENSG{n:02d}"] = random_gene(rng, panel, usable[start : start + 200 : 1 + n % 4])
    pos = write_weights(tmp_path / "WEIGHTS", genes)
    models, store, out = tmp_path / "models", tmp_path / "gwas", tmp_path / "associations"
    trait = kg_eur / "bolt.sumstats.txt.gz"
    for words in (
        ["models", "fusion", pos, "--ld", kg_eur / "kg_eur", "--out", models],
        ["gwas", "import", trait, "--models", models, "--out", store],
        ["associate", "--models", models, "--gwas", store, "--out", out, "--precision", "float64"],
    ):
        done = run(capsys, *words)
        assert done.code == 0, done.err
    z = stored_z(out)
    assert set(z) == set(genes)
    for name, gene in genes.items():
        expected = assoc_test(gene, panel, gwas)[1]
        # z of the GWAS is kept in float32
        assert z[name] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_refusals_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    panel = random_panel(rng, 30)
    pos = write_weights(tmp_path / "WEIGHTS", {"G1": random_gene(rng, panel, np.arange(10))})
    ld, out = write_plink(tmp_path / "ld", panel), tmp_path / "models"
    words = ["models", "fusion", pos, "--ld", ld, "--out", out]

    refused(run(capsys, *words, "--per", "allele"), "sd or dosage", code=2)
    refused(run(capsys, *words, "--force-model", "bslmm"), "no weight file has a model 'bslmm'", pos)
    refused(run(capsys, *words[:3], "--ld", tmp_path / "none", "--out", out), "none")
    refused(run(capsys, *words, "--weights-dir", tmp_path), pos, "line 2", "Blood.G1.wgt.RDat")
    nothing_written(out)
    weights = tmp_path / "WEIGHTS" / "Blood" / "Blood.G1.wgt.RDat"
    save(weights, {"model": np.zeros(3)})
    refused(run(capsys, *words), weights, "RData of unknown structure")
    weights.write_text("not R")
    refused(run(capsys, *words), weights, "is not an RData file")
    pos.write_text("ID CHR P0 P1\nG1 1 1 2\n")
    refused(run(capsys, *words), pos, "no column WGT")
    nothing_written(out)


def test_genes_without_a_snp_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(4)
    panel = random_panel(rng, 30)
    one = random_gene(rng, panel, np.arange(10))
    lost = Gene([f"x{n}" for n in range(10)], one.effect, one.other, one.weights, one.pval)
    pos = write_weights(tmp_path / "WEIGHTS", {"G1": one, "G2": lost})
    ld = write_plink(tmp_path / "ld", panel)
    made = run(capsys, "models", "fusion", pos, "--ld", ld, "--out", tmp_path / "models")
    assert made.code == 0
    assert "1 of 2 genes make no model: 1 no SNP left" in made.err
    assert read_models_store(tmp_path / "models").models["gene"].to_pylist() == ["G1"]
    no_leftovers(tmp_path)
