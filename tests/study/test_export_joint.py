"""One trait as SMulTiXcan.py's table, and findings in long form: every cell equals a plain computation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import stats

from gputwas.errors import InputError, UsageError
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.joint import JointStatus, JointStore
from gputwas.study.export_joint import (
    SMULTIXCAN_COLUMNS,
    export_joint,
    export_joint_long,
    joint_nlog10_p,
    joint_table,
)
from gputwas.twas.associate import AssociateSettings, associate
from gputwas.twas.multixcan import JointSettings, multixcan
from tests.joint_studies import JointStudy, joint_study, plain_smultixcan

SETTINGS = JointSettings(backend="numpy", precision="float64")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> JointStudy:
    made = joint_study(tmp_path_factory.mktemp("export_joint"), seed=3)
    multixcan(made.associations, made.folder / "joint", **made.paths(), ld=made.ld, settings=SETTINGS)
    return made


def plain_rows(study: JointStudy, trait: str) -> dict[str, dict[str, object]]:
    """The rows of a trait by gene, cell by cell as JointAnalysis.py fills them; None is NA."""
    store = AssociationStore.open(study.associations)
    present = ~np.isnan(GwasStore.open(study.folder / "gwas").read(trait)[0])
    rows: dict[str, dict[str, object]] = {}
    for gene in sorted(set(store.models["gene"].to_pylist())):
        z = {}
        for tissue in sorted(store.tissues):
            of_tissue = store.models["gene"].to_pylist()[store.tissue_slice(tissue)]
            if gene in of_tissue:
                value = float(store.read_trait(tissue, trait)[of_tissue.index(gene)])
                if np.isfinite(value):
                    z[tissue] = value
        plain = plain_smultixcan(study, gene, present, z, 1 / 30, 0.0)
        if plain.status == -1:
            continue
        row: dict[str, object] = dict.fromkeys(SMULTIXCAN_COLUMNS)
        row |= {"gene": gene, "gene_name": "G" + str(int(gene[4:])), "status": plain.status}
        if z:
            values = np.array(list(z.values()))
            row |= {"n": len(z), "z_min": values.min(), "z_max": values.max(), "z_mean": values.mean()}
            row["z_sd"] = values.std(ddof=1) if len(z) > 1 else None
        if plain.tested:
            size = {tissue: abs(z[tissue]) for tissue in plain.tested}
            best, worst = max(size, key=size.__getitem__), min(size, key=size.__getitem__)
            row |= {"t_i_best": best, "p_i_best": 2 * stats.norm.sf(size[best])}
            row |= {"t_i_worst": worst, "p_i_worst": 2 * stats.norm.sf(size[worst])}
            kept = plain.eigenvalues[plain.n_indep - 1]
            row |= {"eigen_max": plain.eigenvalues[0], "eigen_min": plain.eigenvalues[-1]}
            row |= {"eigen_min_kept": kept, "n_indep": plain.n_indep, "tmi": plain.tmi}
            row["pvalue"] = stats.chi2.sf(plain.statistic, plain.n_indep)
        rows[gene] = row
    return rows


def test_every_cell_of_every_trait(study: JointStudy) -> None:
    store, associations = JointStore.open(study.folder / "joint"), AssociationStore.open(study.associations)
    lengths = set()
    for trait in study.traits:
        table = joint_table(store, associations, trait)
        assert tuple(table.column_names) == SMULTIXCAN_COLUMNS
        wanted = plain_rows(study, trait)
        found = {row["gene"]: row for row in table.to_pylist()}
        assert found.keys() == wanted.keys()
        for gene, row in wanted.items():
            for name, value in row.items():
                if isinstance(value, float):
                    assert found[gene][name] == pytest.approx(value, rel=1e-9, abs=1e-12), (gene, name)
                else:
                    assert found[gene][name] == value, (gene, name)
        lengths.add(len(found))
    assert len(lengths) > 1  # some traits have genes without any SNP, which are not listed


def test_most_significant_first_and_missing_last(study: JointStudy) -> None:
    store, associations = JointStore.open(study.folder / "joint"), AssociationStore.open(study.associations)
    for trait in study.traits:
        p = joint_table(store, associations, trait)["pvalue"].to_pylist()
        known = [value for value in p if value is not None]
        assert known == sorted(known)
        assert p == known + [None] * (len(p) - len(known))


def test_file_has_na_and_additional_columns_behind(study: JointStudy, tmp_path: Path) -> None:
    out = tmp_path / "t.tsv"
    trait = study.traits[-1]
    export_joint(study.folder / "joint", trait, out, associations=study.associations, additional=True)
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == (*SMULTIXCAN_COLUMNS, "nlog10_p", "acat_p")
    for row in rows:
        if row["pvalue"] != "NA":
            assert float(row["nlog10_p"]) == pytest.approx(-np.log10(float(row["pvalue"])), rel=1e-9)
        assert all(row.values())
        assert row["n"] == "NA" or row["n"].isdigit()


def underflowing(folder: Path) -> JointStudy:
    """The study with z-scores of up to 400."""
    study = joint_study(folder / "small", seed=3)
    gwas = GwasStore.open(study.folder / "gwas")
    with GwasStore.create(folder / "gwas", gwas.panel, {"mode": "strict"}) as store:
        for number, trait in enumerate(study.traits):
            metadata = {"input_hash": f"{number:032x}", "effect": "none"}
            store.add(trait, gwas.read(trait)[0] * np.float32(200), None, metadata)
    settings = AssociateSettings(backend="numpy", precision="float64")
    associate(study.folder / "models", folder / "gwas", folder / "associations", settings=settings)
    return study


def test_p_that_underflows_is_0_with_status_minus_4(tmp_path: Path) -> None:
    study = underflowing(tmp_path)
    places = {"models": study.folder / "models", "gwas": tmp_path / "gwas"}
    multixcan(tmp_path / "associations", tmp_path / "joint", **places, ld=study.ld, settings=SETTINGS)  # type: ignore[arg-type]
    table = joint_table(
        JointStore.open(tmp_path / "joint"), AssociationStore.open(tmp_path / "associations"),
        study.traits[0], additional=True,
    )  # fmt: skip
    rows = table.to_pylist()
    gone = [row for row in rows if row["status"] == JointStatus.UNDERFLOW]
    assert gone and rows[: len(gone)] == gone
    assert all(row["pvalue"] == 0 and 320 < row["nlog10_p"] < np.inf for row in gone)
    assert [row["nlog10_p"] for row in gone] == sorted((row["nlog10_p"] for row in gone), reverse=True)


def test_nlog10_p_of_statistics() -> None:
    statistic, df = np.array([0.0, 3.84, np.nan, 700.0]), np.array([1, 1, 0, 19])
    found = joint_nlog10_p(statistic, df)
    assert np.isnan(found[2])
    keep = [0, 1, 3]
    np.testing.assert_allclose(
        found[keep], -stats.chi2.logsf(statistic[keep], df[keep]) / np.log(10), rtol=1e-9, atol=1e-12
    )
    assert joint_nlog10_p(np.full(2, np.nan), np.zeros(2, int)).tolist() == pytest.approx(
        [np.nan] * 2, nan_ok=True
    )


def test_long_form_holds_every_gene_and_trait(study: JointStudy, tmp_path: Path) -> None:
    store = JointStore.open(study.folder / "joint")
    rows = export_joint_long(study.folder / "joint", tmp_path / "all.parquet")
    table = parquet.read_table(tmp_path / "all.parquet")
    assert rows == table.num_rows == store.genes.num_rows * len(study.traits)
    for trait in study.traits:
        part = table.filter(pa.compute.equal(table["trait"].cast(pa.string()), trait))
        statistic = part["statistic"].to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(statistic, store.read_trait(trait))
        np.testing.assert_array_equal(
            part["acat_nlog10_p"].to_numpy(zero_copy_only=False), store.read_trait(trait, "acat")
        )


def test_long_form_of_findings(study: JointStudy, tmp_path: Path) -> None:
    export_joint_long(study.folder / "joint", tmp_path / "all.parquet")
    rows = export_joint_long(study.folder / "joint", tmp_path / "some.parquet", max_p=0.01)
    every = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    some = parquet.read_table(tmp_path / "some.parquet").to_pylist()
    wanted = [r for r in every if max(r["nlog10_p"] or 0, r["acat_nlog10_p"] or 0) >= 2]
    assert some == wanted and 0 < rows == len(wanted) < len(every)


def test_acat_alone_in_long_form(study: JointStudy, tmp_path: Path) -> None:
    multixcan(study.associations, tmp_path / "a", settings=SETTINGS)
    export_joint_long(tmp_path / "a", tmp_path / "a.parquet", traits=study.traits[:2])
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["statistic"].null_count == table.num_rows
    assert set(table["trait"].to_pylist()) == set(study.traits[:2])
    with pytest.raises(InputError, match=r"Cauchy combination alone.*--snp-covariance"):
        export_joint(tmp_path / "a", study.traits[0], tmp_path / "t.tsv", associations=study.associations)


def test_other_associations_are_refused(study: JointStudy, tmp_path: Path) -> None:
    settings = AssociateSettings(backend="numpy")
    associate(study.folder / "models", study.folder / "gwas", tmp_path / "a32", settings=settings)
    with pytest.raises(InputError, match="was not computed from these associations"):
        export_joint(
            study.folder / "joint", study.traits[0], tmp_path / "t.tsv", associations=tmp_path / "a32"
        )
    assert not (tmp_path / "t.tsv").exists()


def test_bad_requests(study: JointStudy, tmp_path: Path) -> None:
    joint = study.folder / "joint"
    with pytest.raises(InputError, match="no trait named 'x'"):
        export_joint(joint, "x", tmp_path / "t.tsv", associations=study.associations)
    with pytest.raises(UsageError, match="must end in one of"):
        export_joint(joint, study.traits[0], tmp_path / "t.xls", associations=study.associations)
    with pytest.raises(UsageError, match="written as Parquet"):
        export_joint_long(joint, tmp_path / "t.tsv")
    with pytest.raises(UsageError, match="--max-p must be"):
        export_joint_long(joint, tmp_path / "t.parquet", max_p=0)
    with pytest.raises(InputError, match="no trait named"):
        export_joint_long(joint, tmp_path / "t.parquet", traits=["y"])
    assert not list(tmp_path.iterdir())
