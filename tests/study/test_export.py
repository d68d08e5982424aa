"""Exports of an association store: SPrediXcan's csv, the SNPs behind it, and the long table."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from gputwas.errors import InputError, UsageError
from gputwas.formats.metaxcan import ADDITIONAL_COLUMNS, COLUMNS, read_associations
from gputwas.stores.associations import AssociationStore, Status
from gputwas.stores.models import ModelSet, read_models_store
from gputwas.study.export import SourceStores, export_metaxcan, export_snps
from gputwas.study.long_table import export_long
from gputwas.twas.associate import AssociateSettings, associate
from tests.model_sets import plain_spredixcan, random_gwas, random_model_set
from tests.small_stores import write_gwas, write_models

TISSUE, TRAIT = "Tissue_1", "trait_01"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three traits (the last without effects) in two tissues, double precision."""
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(31)
    models = write_models(folder / "models", random_model_set(rng))
    z, beta = random_gwas(rng, 3, 40, 0.2)
    write_gwas(folder / "gwas", models.panel, z, beta, without_effect=["trait_02"])
    settings = AssociateSettings(backend="numpy", precision="float64", block_size=2)
    associate(folder / "models", folder / "gwas", folder / "out", settings=settings)
    return folder


@pytest.fixture
def sources(folder: Path) -> SourceStores:
    """The stores that the results come from."""
    return SourceStores(folder / "models", folder / "gwas")


def statistics(folder: Path, trait: str) -> tuple[np.ndarray, np.ndarray]:
    """z and β of a trait as stored."""
    from gputwas.stores.gwas import GwasStore

    z, beta = GwasStore.open(folder / "gwas").read(trait)
    assert beta is not None
    return z, beta


def row_of(models: ModelSet, gene: str) -> int:
    """Row of a gene's model in `TISSUE`."""
    genes = models.models["gene"].to_pylist()
    rows = models.tissue_slice(TISSUE)
    return genes.index(gene, rows.start)


def test_csv_holds_the_formula(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    export_metaxcan(folder / "out", TRAIT, TISSUE, out)
    table = read_associations(out)
    assert table.column_names == list(COLUMNS)
    models = read_models_store(folder / "models")
    z, beta = statistics(folder, TRAIT)
    compared = 0
    for row in table.to_pylist():
        want = plain_spredixcan(models, row_of(models, row["gene"]), z, beta)
        assert row["n_snps_used"] == want[3]
        for name, value in zip(("zscore", "effect_size", "var_g"), want[:3], strict=True):
            assert row[name] == pytest.approx(value, rel=1e-11) if want[3] else row[name] is None
        compared += want[3] > 0
    assert compared >= 4


def test_additional_columns_need_the_sources(folder: Path, tmp_path: Path, sources: SourceStores) -> None:
    out = tmp_path / "out.csv"
    export_metaxcan(folder / "out", TRAIT, TISSUE, out, sources=sources)
    assert read_associations(out).column_names == [*COLUMNS, *ADDITIONAL_COLUMNS]
    export_metaxcan(folder / "out", TRAIT, TISSUE, out, sources=sources, standard_errors=True)
    table = read_associations(out)
    assert table.column_names == [*COLUMNS, *ADDITIONAL_COLUMNS, "effect_se"]
    known = [row for row in table.to_pylist() if row["effect_size"] is not None]
    assert len(known) >= 4
    assert all(row["effect_se"] > 0 for row in known)


def test_trait_without_effects_has_no_errors(folder: Path, tmp_path: Path, sources: SourceStores) -> None:
    out = tmp_path / "out.csv"
    export_metaxcan(folder / "out", "trait_02", TISSUE, out, sources=sources, standard_errors=True)
    table = read_associations(out)
    assert table["zscore"].null_count < table.num_rows
    for name in ("effect_size", "effect_se"):
        assert table[name].null_count == table.num_rows


def test_snp_table_adds_up_to_the_result(folder: Path, tmp_path: Path, sources: SourceStores) -> None:
    csv, snps = tmp_path / "out.csv", tmp_path / "snps.tsv"
    export_metaxcan(folder / "out", TRAIT, TISSUE, csv, sources=sources, standard_errors=True)
    export_snps(folder / "out", TRAIT, TISSUE, snps, sources=sources)
    null = pyarrow.csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    table = pa.csv.read_csv(snps, parse_options=pa.csv.ParseOptions(delimiter="\t"), convert_options=null)
    assert table.column_names == [
        "gene", "gene_name", "variant_id", "chromosome", "position", "effect_allele", "other_allele",
        "weight", "ld_sd", "z", "beta", "used",
    ]  # fmt: skip
    models = read_models_store(folder / "models")
    assert table.num_rows == int(np.diff(models.offsets)[models.tissue_slice(TISSUE)].sum())
    rows = table.to_pylist()
    for result in read_associations(csv).to_pylist():
        mine = [row for row in rows if row["gene"] == result["gene"]]
        used = [row for row in mine if row["used"]]
        assert len(used) == result["n_snps_used"]
        assert len(mine) == result["n_snps_in_model"]
        if not used:
            continue
        assert max(abs(row["weight"]) for row in used) == pytest.approx(result["largest_weight"])
        z = sum(row["weight"] * row["ld_sd"] * row["z"] for row in used) / result["var_g"] ** 0.5
        effect = sum(row["weight"] * row["ld_sd"] ** 2 * row["beta"] for row in used) / result["var_g"]
        assert z == pytest.approx(result["zscore"], rel=1e-6, abs=1e-9)
        assert effect == pytest.approx(result["effect_size"], rel=1e-6, abs=1e-12)


def test_snps_that_are_not_used_say_why(folder: Path, tmp_path: Path, sources: SourceStores) -> None:
    """Without LD the sd is missing, without a GWAS row z is."""
    table = export_snps(folder / "out", TRAIT, TISSUE, tmp_path / "snps.parquet", sources=sources)
    rows = table.to_pylist()
    assert {(row["ld_sd"] is None, row["z"] is None) for row in rows if not row["used"]} == {
        (True, False), (False, True), (True, True),
    }  # fmt: skip
    assert all(row["ld_sd"] is not None and row["z"] is not None for row in rows if row["used"])


def test_a_file_of_snps_whose_kind_is_unknown_is_refused(
    folder: Path, tmp_path: Path, sources: SourceStores
) -> None:
    with pytest.raises(UsageError, match="must end in"):
        export_snps(folder / "out", TRAIT, TISSUE, tmp_path / "snps.xlsx", sources=sources)
    assert not list(tmp_path.iterdir())


def test_unknown_trait_or_tissue(folder: Path, tmp_path: Path, sources: SourceStores) -> None:
    for trait, tissue, word in (("nobody", TISSUE, "nobody"), (TRAIT, "Nowhere", "Nowhere")):
        with pytest.raises(InputError, match=word):
            export_metaxcan(folder / "out", trait, tissue, tmp_path / "out.csv")
        with pytest.raises(InputError, match=word):
            export_snps(folder / "out", trait, tissue, tmp_path / "snps.tsv", sources=sources)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["weights", "LD", "tissues", "panel", "z", "trait"])
def test_sources_of_other_results_are_refused(folder: Path, tmp_path: Path, what: str) -> None:
    rng = np.random.default_rng(31)
    models = random_model_set(rng, tissues=1 if what == "tissues" else 2)
    rng = np.random.default_rng(31)
    random_model_set(rng)
    z, beta = random_gwas(rng, 3, 40, 0.2)
    if what == "weights":
        models.weights[3] *= 2
    if what == "LD":
        models.ld[0] *= 2
    panel = models.panel.slice(0, 39) if what == "panel" else models.panel
    if what == "z":
        z[1, 5] = 4.0
        beta[1, 5] = 0.1
    n = panel.num_rows
    names = ["trait_00", "other", "trait_02"] if what == "trait" else None
    write_models(tmp_path / "models", models)
    write_gwas(tmp_path / "gwas", panel, z[:, :n], beta[:, :n], names=names, without_effect=["trait_02"])
    out = tmp_path / "out.csv"
    with pytest.raises(InputError, match="trait_01" if what == "trait" else "not computed from"):
        export_metaxcan(
            folder / "out", TRAIT, TISSUE, out, sources=SourceStores(tmp_path / "models", tmp_path / "gwas")
        )
    assert not out.exists()


def test_results_of_some_tissues_know_their_models(
    folder: Path, tmp_path: Path, sources: SourceStores
) -> None:
    settings = AssociateSettings(backend="numpy")
    store = tmp_path / "some"
    associate(folder / "models", folder / "gwas", store, tissues=[TISSUE], settings=settings)
    table = export_metaxcan(store, TRAIT, TISSUE, tmp_path / "out.csv", sources=sources)
    assert table.num_rows > 3


# The long table


def expected_rows(folder: Path) -> list[tuple]:
    """tissue, trait, gene, z, effect size, var_g, SNPs used, status: by the store's own readers."""
    store = AssociationStore.open(folder / "out")
    genes = store.models["gene"].to_pylist()
    rows = []
    for tissue in store.tissues:
        for trait in store.trait_names:
            inside = store.tissue_slice(tissue)
            pattern = store.read_pattern(store.pattern_of(trait))
            z, effect = (store.read_trait(tissue, trait, kind) for kind in ("z", "effect"))
            for i, model in enumerate(range(inside.start, inside.stop)):
                values = (z[i], effect[i], pattern.var_g[model])
                numbers = [None if np.isnan(value) else float(value) for value in values]
                used, status = int(pattern.n_snps_used[model]), int(pattern.status[model])
                rows.append((tissue, trait, genes[model], *numbers, used, status))
    return rows


def test_long_table_is_whole_and_duckdb_reads_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "long.parquet"
    written = export_long(folder / "out", out)
    want = expected_rows(folder)
    with duckdb.connect() as connection:
        got = connection.execute(
            f"select tissue, trait, gene, z, effect_size, var_g, n_snps_used, status from '{out}'"
        ).fetchall()
        assert connection.execute(f"select count(*) from '{out}' where isnan(z)").fetchone() == (0,)
        log_p = connection.execute(f"select nlog10_p, z from '{out}' where z is not null").fetchnumpy()
    assert written == len(want) == 2 * 3 * 7
    assert got == want
    from scipy.stats import norm

    np.testing.assert_allclose(10.0 ** -log_p["nlog10_p"], 2 * norm.sf(np.abs(log_p["z"])), rtol=1e-10)
    assert {row[-1] for row in got} >= {Status.OK, Status.NOT_IN_LD}


def test_long_table_with_a_bound_on_p(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "long.parquet"
    written = export_long(folder / "out", out, max_p=0.2)
    from scipy.stats import norm

    want = [row for row in expected_rows(folder) if row[3] is not None and 2 * norm.sf(abs(row[3])) <= 0.2]
    with duckdb.connect() as connection:
        got = connection.execute(f"select tissue, trait, gene from '{out}'").fetchall()
    assert 0 < written == len(want) < 40
    assert got == [row[:3] for row in want]


def test_long_table_has_few_row_groups(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers parse the footer first, and its size goes with the number of groups."""
    from pyarrow import parquet

    from gputwas.study import long_table

    out = tmp_path / "long.parquet"
    export_long(folder / "out", out)
    assert parquet.ParquetFile(out).num_row_groups == 1
    monkeypatch.setattr(long_table, "ROW_GROUP", 10)
    export_long(folder / "out", tmp_path / "cut.parquet")
    assert parquet.ParquetFile(tmp_path / "cut.parquet").num_row_groups == 3
    cut, whole = parquet.read_table(tmp_path / "cut.parquet"), parquet.read_table(out)
    assert cut.to_pylist() == whole.to_pylist()
    export_long(folder / "out", tmp_path / "none.parquet", max_p=1e-300)
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_long_table_of_some_traits_and_tissues(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "long.parquet"
    assert export_long(folder / "out", out, traits=["trait_02"], tissues=["Tissue_0"]) == 7
    want = [row[:3] for row in expected_rows(folder) if row[:2] == ("Tissue_0", "trait_02")]
    with duckdb.connect() as connection:
        assert connection.execute(f"select tissue, trait, gene from '{out}'").fetchall() == want


@pytest.mark.parametrize(
    ("options", "error"),
    [({"max_p": 0.0}, UsageError), ({"max_p": 1.1}, UsageError), ({"max_p": float("nan")}, UsageError),
     ({"traits": ["nobody"]}, InputError), ({"tissues": ["Nowhere"]}, InputError)],
)  # fmt: skip
def test_long_table_refuses(folder: Path, tmp_path: Path, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        export_long(folder / "out", tmp_path / "long.parquet", **options)
    assert not list(tmp_path.iterdir())


def test_long_table_is_parquet_only(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.parquet"):
        export_long(folder / "out", tmp_path / "long.tsv")
