"""`gputwas multixcan` and `gputwas export multixcan`: what they write, and how they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from gputwas.stores.gwas import GwasStore
from gputwas.stores.joint import JointStore
from gputwas.stores.models import read_models_store, write_models_store
from tests.cli.studies import no_leftovers, refused, run
from tests.joint_studies import N_GENES, JointStudy, joint_study

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> JointStudy:
    """A study with its cross-tissue LD as text, which has all SNPs of all genes but the last."""
    made = joint_study(tmp_path_factory.mktemp("joint_cli"), seed=4)
    rows = ["GENE RSID1 RSID2 VALUE\n"]
    for gene in range(N_GENES - 1):
        snps = range(6 * gene, 6 * gene + 12)
        rows += [
            f"ENSG{gene:03d} rs{a} rs{b} {float(made.covariance[a, b])!r}\n"
            for a in snps
            for b in snps
            if a <= b
        ]
    (made.folder / "ld.txt").write_text("".join(rows))
    return made


def words(joint: JointStudy, out: Path, **changes: str | Path | None) -> list[str | Path]:
    """The command, its options changed; None leaves one out."""
    folder = joint.folder
    options: dict[str, str | Path | None] = {
        "models": folder / "models", "gwas": folder / "gwas", "associations": folder / "associations",
        "snp-covariance": folder / "ld.txt", "backend": "numpy", "out": out,
    }  # fmt: skip
    options |= {name.replace("_", "-"): value for name, value in changes.items()}
    given = [(f"--{name}", value) for name, value in options.items() if value is not None]
    return ["multixcan", *(word for pair in given for word in pair)]


def test_writes_a_store_that_exports(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    done = run(capsys, *words(joint, tmp_path / "j"))
    assert done.code == 0, done.err
    assert "8 of 8 genes" in done.err
    assert "1 of 9 genes are not in the cross-tissue LD" in done.err
    assert "9 genes (8 with cross-tissue LD) x 7 traits" in done.err
    trait = joint.traits[0]
    out = tmp_path / "t.tsv"
    done = run(
        capsys, "export", "multixcan", tmp_path / "j", trait, "-a", joint.associations, "-o", out,
        "--additional",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert out.read_text().startswith("gene\tgene_name\tpvalue\tn\tn_indep\t")
    done = run(
        capsys, "export", "multixcan", tmp_path / "j", "-o", tmp_path / "all.parquet", "--max-p", "0.01"
    )
    assert done.code == 0 and "genes x traits" in done.out


def test_a_second_run_computes_nothing(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    run(capsys, *words(joint, tmp_path / "j"))
    done = run(capsys, *words(joint, tmp_path / "j"))
    assert done.code == 0 and "(0 blocks computed, 3 already there)" in done.err


def test_acat_only_needs_no_other_store(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    done = run(
        capsys, "multixcan", "--acat-only", "-a", joint.associations, "-o", tmp_path / "j", "--models", "none"
    )
    assert done.code == 0, done.err
    assert JointStore.open(tmp_path / "j").kinds == ("acat",)


def test_some_traits_and_tissues(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    more = ["--trait", joint.traits[2], "--tissue", "Tissue_1", "--tissue", "Tissue_0"]
    done = run(capsys, *words(joint, tmp_path / "j"), *more)
    assert done.code == 0, done.err
    store = JointStore.open(tmp_path / "j")
    assert store.trait_names == [joint.traits[2]]
    assert set(store.models["tissue"].to_pylist()) == {"Tissue_0", "Tissue_1"}


@pytest.mark.parametrize(
    ("more", "needle"),
    [
        (["--cutoff-eigen-ratio", "0.1", "--cutoff-threshold", "0.1"], "exclude each other"),
        (["--cutoff-condition-number", "0"], "--cutoff-condition-number"),
        (["--cutoff-eigen-ratio", "-1"], "--cutoff-eigen-ratio"),
        (["--cutoff-threshold", "1.5"], "--cutoff-threshold"),
        (["--acat-only"], "--acat-only uses no LD"),
        (["--regularization", "-0.1"], "regularization"),
        (["--precision", "half"], "precision"),
        (["--backend", "abacus"], "abacus"),
        (["--memory", "much"], "amount of memory"),
    ],
)
def test_usage(joint: JointStudy, tmp_path: Path, capsys: Capture, more: list[str], needle: str) -> None:
    refused(run(capsys, *words(joint, tmp_path / "j"), *more), needle, code=2)
    assert not (tmp_path / "j").exists()


def test_without_ld_and_without_acat_only(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    refused(run(capsys, *words(joint, tmp_path / "j", snp_covariance=None)), "--acat-only", code=2)


def test_keep_ld_of_a_store(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, *words(joint, tmp_path / "a", keep_ld=tmp_path / "ld")).code == 0
    assert run(capsys, *words(joint, tmp_path / "b", snp_covariance=tmp_path / "ld")).code == 0
    again = words(joint, tmp_path / "c", snp_covariance=tmp_path / "ld", keep_ld=tmp_path / "ld2")
    refused(run(capsys, *again), "--keep-ld", code=2)


def test_associations_of_a_tissue_without_models(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    models = read_models_store(joint.folder / "models")
    some = models.subset(models.tissues[:-1])
    write_models_store(tmp_path / "some", some, inputs={}, parameters={})
    outcome = run(capsys, *words(joint, tmp_path / "j", models=tmp_path / "some"))
    refused(outcome, "associations of tissues that have no models here", models.tissues[-1])
    assert not (tmp_path / "j").exists()


def test_other_models_of_the_same_tissues(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    other = joint_study(tmp_path / "other", seed=9)
    outcome = run(capsys, *words(joint, tmp_path / "j", models=other.folder / "models"))
    refused(outcome, "the associations were not computed from these models")


def test_trait_that_the_gwas_store_lacks(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(joint.folder / "gwas", tmp_path / "gwas")
    lost = joint.traits[3]
    Path(GwasStore.open(tmp_path / "gwas").file_of(lost)).unlink()
    outcome = run(capsys, *words(joint, tmp_path / "j", gwas=tmp_path / "gwas"))
    refused(outcome, f"there is no trait named {lost!r}")


def test_trait_that_has_changed(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(joint.folder / "gwas", tmp_path / "gwas")
    store = GwasStore.open(tmp_path / "gwas", as_worker=True)
    changed = joint.traits[3]
    z = store.read(changed)[0].copy()
    z[0] = 7
    store.add(changed, z, None, {"input_hash": "f" * 32, "effect": "none"}, replace=True)
    outcome = run(capsys, *words(joint, tmp_path / "j", gwas=tmp_path / "gwas"))
    refused(outcome, f"computed from another trait {changed}")


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("GENE RSID1 RSID2 VALUE\nother rs1 rs1 1\n", "no gene in common"),
        ("GENE RSID1 RSID2 VALUE\nENSG000 1:5:A:G 1:5:A:G 1\n", "no SNP of the models"),
        ("GENE RSID1 RSID2 VALUE\n", "no gene in common"),
        ("GENE SNP VALUE\nENSG000 rs1 1\n", "no column RSID1"),
        ("", "is empty"),
    ],
)
def test_covariance_that_does_not_fit(
    joint: JointStudy, tmp_path: Path, capsys: Capture, text: str, needle: str
) -> None:
    (tmp_path / "ld.txt").write_text(text)
    refused(run(capsys, *words(joint, tmp_path / "j", snp_covariance=tmp_path / "ld.txt")), needle)
    assert not (tmp_path / "j").exists()


def test_ld_store_of_other_genes_or_another_panel(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    from dataclasses import replace

    from gputwas.stores.gene_ld import write_gene_ld_store

    renamed = pa.table({"gene": [f"other{k}" for k in range(joint.ld.n_genes)]})
    write_gene_ld_store(tmp_path / "g", replace(joint.ld, genes=renamed), inputs={}, parameters={})
    outcome = run(capsys, *words(joint, tmp_path / "j", snp_covariance=tmp_path / "g"))
    refused(outcome, "no gene in common", "gputwas models covariance")
    ids = pa.array([f"1:{k}:A:G" for k in range(joint.ld.panel.num_rows)])
    panel = joint.ld.panel.set_column(0, "variant_id", ids)
    write_gene_ld_store(tmp_path / "p", replace(joint.ld, panel=panel), inputs={}, parameters={})
    outcome = run(capsys, *words(joint, tmp_path / "j", snp_covariance=tmp_path / "p"))
    refused(outcome, "no SNP in common")


def test_wrong_kind_of_store(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    for name in ("snp_covariance", "associations", "models", "gwas"):
        wrong = joint.folder / ("gwas" if name != "gwas" else "models")
        outcome = run(capsys, *words(joint, tmp_path / "j", **{name: wrong}))
        refused(outcome, wrong)
    assert not (tmp_path / "j").exists()


def test_unfinished_associations(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(joint.associations, tmp_path / "a")
    (tmp_path / "a" / "run.json").unlink()
    refused(run(capsys, *words(joint, tmp_path / "j", associations=tmp_path / "a")), "not complete")


def test_unknown_trait_and_tissue(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    for flag in ("--trait", "--tissue"):
        outcome = run(capsys, *words(joint, tmp_path / "j"), flag, "nothing")
        refused(outcome, f"no such {flag[2:]}", "nothing")


def test_store_begun_with_another_cutoff(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    run(capsys, *words(joint, tmp_path / "j"))
    other = [*words(joint, tmp_path / "j"), "--cutoff-eigen-ratio", "0.01"]
    refused(run(capsys, *other), "parameter cutoff was", "--overwrite")
    assert run(capsys, *other, "--overwrite").code == 0
    no_leftovers(tmp_path)


def test_too_little_memory(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    refused(run(capsys, *words(joint, tmp_path / "j", memory="500KB")), "--memory", code=4)


def test_export_refuses_what_it_does_not_have(joint: JointStudy, tmp_path: Path, capsys: Capture) -> None:
    run(capsys, *words(joint, tmp_path / "j"))
    export = ["export", "multixcan", tmp_path / "j"]
    outcome = run(capsys, *export, "nothing", "-a", joint.associations, "-o", tmp_path / "t.tsv")
    refused(outcome, "no trait named 'nothing'")
    refused(run(capsys, *export, "-o", tmp_path / "t.tsv"), "Parquet", code=2)
    long = [*export, "-o", tmp_path / "t.parquet"]
    refused(run(capsys, *long, "--additional"), "--additional is for one trait", code=2)
    refused(run(capsys, *long, joint.traits[0], "--max-p", "0.1"), "--max-p is for the long form", code=2)
    assert not (tmp_path / "t.tsv").exists()
