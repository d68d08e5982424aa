"""The study that S-MultiXcan is measured on is sound, and its figures follow from what was measured."""

from __future__ import annotations

import csv
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bench.joint_inputs import STEP, JointSizes, JointStudy, make_joint_study, write_reference_files
from bench.measure import Usage
from bench.multixcan import CASE, PATTERNS, _figures
from bench.record import Measurement
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gene_ld import check_gene_ld
from gputwas.stores.gwas import GwasStore
from gputwas.stores.joint import JointStore
from gputwas.stores.models import check_model_set
from gputwas.study.joint import run_multixcan

SIZES = JointSizes(genes=12, tissues=3, traits=5, snps=20, weights=4, patterns=2)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> JointStudy:
    return make_joint_study(tmp_path_factory.mktemp("bench_joint"), SIZES, seed=2)


def test_models_and_ld_are_sound(study: JointStudy) -> None:
    check_model_set(study.models)
    check_gene_ld(study.ld)
    assert study.models.n_models == 36 and study.ld.n_genes == 12
    for gene in range(12):
        assert np.linalg.eigvalsh(study.ld.matrix(gene))[0] > 0
    for model in range(36):
        snps = study.models.variants[study.models.offsets[model] : study.models.offsets[model + 1]]
        assert len(set(snps.tolist())) == 4
        assert snps.min() >= STEP * (model % 12) and np.ptp(snps) < 20


def test_gputwas_computes_every_gene_of_every_trait(study: JointStudy, tmp_path: Path) -> None:
    report = run_multixcan(
        study.folder / "associations", tmp_path / "joint", models=study.folder / "models",
        gwas=study.folder / "gwas", snp_covariance=study.folder / "ld", backend="numpy", precision="float64",
    )  # fmt: skip
    assert (report.n_traits, report.n_tissues, report.n_genes, report.n_patterns) == (5, 3, 12, 2)
    store = JointStore.open(tmp_path / "joint")
    z_of = AssociationStore.open(study.folder / "associations")
    gwas = GwasStore.open(study.folder / "gwas")
    for trait in store.trait_names:
        present = ~np.isnan(gwas.read(trait)[0])
        for gene in range(12):
            snps = study.ld.of_gene(gene)
            weights = np.zeros((3, 20))
            for tissue in range(3):
                model = tissue * 12 + gene
                entries = slice(4 * model, 4 * model + 4)
                place = np.searchsorted(snps, study.models.variants[entries])
                weights[tissue, place] = study.models.weights[entries]
            weights *= present[snps]
            v = weights @ study.ld.matrix(gene) @ weights.T
            r = v / np.sqrt(np.outer(np.diag(v), np.diag(v)))
            z = np.array([z_of.read_trait(tissue, trait)[gene] for tissue in z_of.tissues], float)
            wanted = z @ np.linalg.pinv(r, rcond=1 / 30, hermitian=True) @ z
            assert store.read_trait(trait)[gene] == pytest.approx(wanted, rel=1e-9)


def test_files_for_the_reference_say_what_the_stores_say(study: JointStudy, tmp_path: Path) -> None:
    flags = write_reference_files(tmp_path, study, 7)
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    ids = study.models.panel["variant_id"].to_pylist()
    with gzip.open(given["--cleared_snps"], "rt") as file:
        cleared = file.read().split()
    assert cleared[0] == "rsid"
    last = STEP * 6 + 20
    assert cleared[1:] == [snp for snp, there in zip(ids[:last], study.present, strict=False) if there]
    with gzip.open(given["--snp_covariance"], "rt") as file:
        rows = [line.split() for line in file][1:]
    assert len(rows) == 7 * 210
    assert float(rows[1][3]) == study.ld.matrix(0)[0, 1] and rows[1][1:3] == ids[:2]
    for tissue in study.models.tissues:
        with closing(sqlite3.connect(Path(given["--models_folder"]) / f"{tissue}.db")) as database:
            found = database.execute("SELECT rsid, gene, weight FROM weights").fetchall()
        first = study.models.tissue_slice(tissue).start
        entries = slice(4 * first, 4 * first + 28)
        assert [row[0] for row in found] == [ids[k] for k in study.models.variants[entries].tolist()]
        assert [row[2] for row in found] == study.models.weights[entries].tolist()
        with open(Path(given["--metaxcan_folder"]) / f"{tissue}.csv", newline="") as file:
            scores = [float(row["zscore"]) for row in csv.DictReader(file)]
        store = AssociationStore.open(study.folder / "associations")
        assert scores == store.read_trait(tissue, "0001")[:7].astype(float).tolist()


def test_figures_follow_from_the_measurements() -> None:
    def took(case: str, program: str, step: str, seconds: float) -> Measurement:
        return Measurement(case, program, step, 0, Usage(seconds, seconds, 0.0, 1))

    sizes = JointSizes(genes=1_000, traits=101)
    some = JointSizes(genes=1_000, traits=21, patterns=5)
    found = [
        took(CASE, "gputwas", "all traits", 25.0), took(CASE, "gputwas", "one trait", 5.0),
        took(PATTERNS, "gputwas", "all traits", 21.0), took(PATTERNS, "gputwas", "one trait", 5.0),
        took(CASE, "MetaXcan", "one trait, 10 genes", 3.0),
        took(CASE, "MetaXcan", "one trait, 30 genes", 5.0),
    ]  # fmt: skip
    figures = _figures(found, sizes, some, 10)
    assert figures["cpu_s_per_trait"] == pytest.approx(25 / 101)
    assert figures["cpu_s_per_further_trait"] == pytest.approx(0.2)
    assert figures["cpu_s_per_pattern"] == pytest.approx((21 - 5 - 20 * 0.2) / 4)
    assert figures["reference_cpu_s_per_gene"] == pytest.approx(0.1)
    assert figures["reference_cpu_s_start"] == pytest.approx(2.0)
    assert figures["reference_cpu_s_per_trait"] == pytest.approx(102.0)
    alone = _figures(found[:4], sizes, some, 10)
    assert "reference_cpu_s_per_trait" not in alone
