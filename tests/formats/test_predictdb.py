"""Models come out of SQLite as written, whatever spelling a release uses; bad databases are refused."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError, ResourceError
from gputwas.formats.predictdb import read_models, tissue_name, write_models
from gputwas.formats.sqlite import MISSING_TEXT

WEIGHTS = [("rs2", "g1", 0.25, "a", "G"), ("rs1", "g1", -1e-3, "C", "T"), ("rs9", "g0", 0.1, "AT", "A")]
EXTRA = [("g1", "Alpha", 0.5, 2, 1e-300, 0.01), ("g0", "Beta", None, 1, None, None)]
EXTRA_NAMES = ("gene", "genename", "pred.perf.R2", "n.snps.in.model", "pred.perf.pval", "pred.perf.qval")
WEIGHT_NAMES = ("rsid", "gene", "weight", "ref_allele", "eff_allele")


def make_db(
    path: Path,
    *,
    extra: Any = EXTRA,
    weights: Any = WEIGHTS,
    extra_names: tuple[str, ...] = EXTRA_NAMES,
    weight_names: tuple[str, ...] = WEIGHT_NAMES,
) -> Path:
    """A database with exactly these cells: columns have no declared type, so SQLite converts nothing."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, names, rows in (("extra", extra_names, extra), ("weights", weight_names, weights)):
            connection.execute(f"CREATE TABLE {table} ({', '.join(f'{n!r}' for n in names)})")
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", rows)
    return path


@pytest.mark.parametrize(
    "names",
    [
        EXTRA_NAMES,
        ("gene", "gene_name", "pred_perf_r2", "n_snps_in_model", "pred_perf_pval", "pred_perf_qval"),
        ("Gene", "GeneName", "pred.perf.r2", "n.snps.in.model", "pred_perf.pval", "pred.perf_qval"),
    ],
)
def test_spellings_of_all_releases(tmp_path: Path, names: tuple[str, ...]) -> None:
    models = read_models(make_db(tmp_path / "TW_Liver_0.5.db", extra_names=names))
    assert models.tissue == "Liver"
    assert models.genes.to_pylist() == [
        {
            "gene": "g0",
            "gene_name": "Beta",
            "n_snps_in_model": 1,
            "pred_perf_r2": None,
            "pred_perf_pval": None,
            "pred_perf_qval": None,
        },
        {
            "gene": "g1",
            "gene_name": "Alpha",
            "n_snps_in_model": 2,
            "pred_perf_r2": 0.5,
            "pred_perf_pval": 1e-300,
            "pred_perf_qval": 0.01,
        },
    ]
    assert models.weights.to_pydict() == {
        "gene": ["g1", "g1", "g0"],
        "variant_id": ["rs2", "rs1", "rs9"],
        "weight": [0.25, -1e-3, 0.1],
        "effect_allele": ["G", "T", "A"],
        "other_allele": ["A", "C", "AT"],
    }
    assert models.left_out == {}


def test_phi_only_when_the_database_has_it(tmp_path: Path) -> None:
    with_phi = [(*row, phi) for row, phi in zip(EXTRA, (1e-5, "NA"), strict=True)]
    models = read_models(make_db(tmp_path / "a.db", extra=with_phi, extra_names=(*EXTRA_NAMES, "phi")))
    assert models.genes["phi"].to_pylist() == [None, 1e-5]
    assert "phi" not in read_models(make_db(tmp_path / "b.db")).genes.column_names


def test_numbers_stored_as_text(tmp_path: Path) -> None:
    weights = [("rs2", "g1", "0.1", "A", "G"), ("rs1", "g1", " -1e-3 ", "C", "T"), ("rs9", "g0", 3, "A", "C")]
    extra = [("g1", "Alpha", "0.5", "2", "", "NA"), ("g0", "Beta", "nan", 1.0, "NA", None)]
    models = read_models(make_db(tmp_path / "a.db", extra=extra, weights=weights))
    assert models.weights["weight"].to_pylist() == [0.1, -1e-3, 3.0]
    assert models.genes["n_snps_in_model"].to_pylist() == [1, 2]
    assert models.genes["pred_perf_r2"].to_pylist() == [None, 0.5]
    assert models.genes["pred_perf_pval"].to_pylist() == [None, None]


def test_gene_names_may_be_absent_and_ids_numbers(tmp_path: Path) -> None:
    extra = [(7, None, None, None)]
    names = ("gene", "pred.perf.R2", "pred.perf.pval", "pred.perf.qval")
    models = read_models(make_db(tmp_path / "a.db", extra=extra, extra_names=names, weights=[]))
    assert models.genes["gene"].to_pylist() == models.genes["gene_name"].to_pylist() == ["7"]
    assert models.genes["n_snps_in_model"].to_pylist() == [None]


MASHR_NAMES = ("gene", "rsid", "varID", "ref_allele", "eff_allele", "weight")
MASHR = [
    ("g1", "rs1", "1_13550_G_A_b38", "G", "A", 0.5),
    ("g1", None, "1_13551_C_T_b38", "C", "T", 0.25),
]


def test_snp_key_and_the_chr_prefix_of_build_38(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make_db(tmp_path / "mashr_Lung.db", weights=MASHR, weight_names=MASHR_NAMES)
    by_var = read_models(path, snp_key="varID")
    assert by_var.weights["variant_id"].to_pylist() == ["chr1_13550_G_A_b38", "chr1_13551_C_T_b38"]
    assert by_var.left_out == {}
    with caplog.at_level(logging.WARNING):
        by_rsid = read_models(path)
    assert by_rsid.weights["variant_id"].to_pylist() == ["rs1"]
    assert by_rsid.left_out == {"no SNP id": 1}
    assert "1 weights with no SNP id" in caplog.text


def test_ids_that_have_chr_stay_as_they_are(tmp_path: Path) -> None:
    rows = [("g1", "rs1", "chr1_13550_G_A_b38", "G", "A", 0.5)]
    path = make_db(tmp_path / "a.db", weights=rows, weight_names=MASHR_NAMES)
    assert read_models(path, snp_key="varID").weights["variant_id"].to_pylist() == ["chr1_13550_G_A_b38"]


def test_weights_without_alleles_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*WEIGHTS, ("rs5", "g1", 0.1, None, "A"), ("rs6", "g1", 0.1, "A", "")]
    models = read_models(make_db(tmp_path / "a.db", weights=rows))
    assert models.weights.num_rows == len(WEIGHTS)
    assert models.left_out == {"no allele": 2}


def test_missing_snp_key_names_the_columns(tmp_path: Path) -> None:
    path = make_db(tmp_path / "a.db", weights=MASHR, weight_names=MASHR_NAMES)
    with pytest.raises(InputError, match=r"'snp'.*columns gene, rsid, varID"):
        read_models(path, snp_key="snp")
    names = tuple("other" if name == "rsid" else name for name in MASHR_NAMES)
    with pytest.raises(InputError, match="--model-db-snp-key varID"):
        read_models(make_db(tmp_path / "b.db", weights=MASHR, weight_names=names))


def test_empty_model_is_read(tmp_path: Path) -> None:
    models = read_models(make_db(tmp_path / "a.db", extra=[], weights=[]))
    assert (models.genes.num_rows, models.weights.num_rows) == (0, 0)
    assert models.weights.schema == read_models(make_db(tmp_path / "b.db")).weights.schema


@pytest.mark.parametrize("bad", ["x", "NA", "0,5", None, float("inf")])
def test_weight_that_is_no_number_names_gene_and_snp(tmp_path: Path, bad: Any) -> None:
    rows = [*WEIGHTS, ("rs5", "g1", bad, "C", "A")]
    with pytest.raises(InputError, match="gene g1, SNP rs5"):
        read_models(make_db(tmp_path / "a.db", weights=rows))


@pytest.mark.parametrize(("place", "bad"), [(2, "high"), (3, 1.5), (3, "many")])
def test_bad_number_in_extra_names_gene_and_column(tmp_path: Path, place: int, bad: Any) -> None:
    row = list(EXTRA[0])
    row[place] = bad
    with pytest.raises(InputError, match="gene g1") as caught:
        read_models(make_db(tmp_path / "a.db", extra=[row, EXTRA[1]]))
    assert caught.value.column == EXTRA_NAMES[place]


def test_gene_twice_in_extra(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"twice.*g1"):
        read_models(make_db(tmp_path / "a.db", extra=[*EXTRA, EXTRA[0]]))


def test_tables_found_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE genes (a)")
    with pytest.raises(InputError, match=r"no table 'weights'.*tables genes"):
        read_models(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty file"), (b"\x1f\x8b\x08", "gzip"), (b"gene weight\n", "beginning with b'gene weight")],
)
def test_not_a_database(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"not an SQLite database.*{words}"):
        read_models(path)


def test_absent_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_models(tmp_path / "a.db")
    with pytest.raises(InputError, match="folder"):
        read_models(tmp_path)


def test_truncated_database(tmp_path: Path) -> None:
    path = make_db(tmp_path / "a.db", weights=WEIGHTS * 2000)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match="damaged"):
        read_models(path)


def test_odd_characters_in_the_path_and_a_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    folder.mkdir()
    path = make_db(folder / "x&mode=rwc.db")
    folder.chmod(0o500)
    try:
        assert read_models(path).weights.num_rows == 3
    finally:
        folder.chmod(0o700)


def test_file_is_not_touched(tmp_path: Path) -> None:
    path = make_db(tmp_path / "a.db")
    before = path.read_bytes()
    read_models(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.db"]


def test_rows_pending_in_the_write_ahead_log_are_seen(tmp_path: Path) -> None:
    path = make_db(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO weights VALUES ('rs7', 'g1', 0.5, 'A', 'C')")
        writer.commit()
        assert read_models(path).weights.num_rows == 4


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("TW_Whole_Blood_0.5.db", "Whole_Blood"),
        ("TW_Whole_Blood.txt.gz", "Whole_Blood"),
        ("TW_Whole_Blood_0.5_1KG.db", "Whole_Blood"),
        ("JTI_Brain_Amygdala.txt.gz", "Brain_Amygdala"),
        ("PrediXcan_Brain_Anterior_cingulate_cortex_BA24.db", "Brain_Anterior_cingulate_cortex_BA24"),
        ("UTMOST_Liver.db", "Liver"),
        ("mashr_Cells_EBV-transformed_lymphocytes.db", "Cells_EBV-transformed_lymphocytes"),
        ("en_Lung.db", "Lung"),
        ("gtex_v7_Lung_imputed_europeans_tw_0.5_signif.db", "Lung"),
        ("gtex_v7_Lung_imputed_eur_covariances.txt.gz", "Lung"),
        ("Entorhinal_Cortex.db", "Entorhinal_Cortex"),
        ("en.db", "en"),
    ],
)
def test_tissue_name(name: str, tissue: str) -> None:
    assert tissue_name(Path("/somewhere/TW_else") / name) == tissue


ids = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cs", "Cc"]), min_size=1
)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    rows=st.lists(st.tuples(ids, numbers), max_size=20),
    genes=st.lists(st.tuples(ids, st.none() | numbers), max_size=5, unique_by=lambda row: row[0]),
    phi=st.booleans(),
)
def test_written_models_are_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list, genes: list, phi: bool
) -> None:
    rows = [row for row in rows if row[0] not in MISSING_TEXT]
    genes = sorted(genes, key=lambda row: row[0].encode())
    performance = pa.array([row[1] for row in genes], pa.float64())
    extra = {
        "gene": pa.array([row[0] for row in genes], pa.string()),
        "gene_name": pa.array([row[0] * 2 for row in genes], pa.string()),
        "n_snps_in_model": pa.array(range(len(genes)), pa.int64()),
        "pred_perf_r2": performance,
        "pred_perf_pval": performance,
        "pred_perf_qval": performance,
    } | ({"phi": performance} if phi else {})
    weights = pa.table(
        {
            "gene": pa.array(["g"] * len(rows), pa.string()),
            "variant_id": pa.array([row[0] for row in rows], pa.string()),
            "weight": pa.array([row[1] for row in rows], pa.float64()),
            "effect_allele": pa.array(["A"] * len(rows), pa.string()),
            "other_allele": pa.array(["G"] * len(rows), pa.string()),
        }
    )
    path = tmp_path_factory.mktemp("db") / "TW_Lung_0.5.db"
    write_models(path, pa.table(extra), weights)
    models = read_models(path)
    assert models.genes.equals(pa.table(extra))
    assert models.weights.equals(weights)


def test_writer_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = read_models(make_db(tmp_path / "a.db", weights=WEIGHTS * 5000))

    class Small(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.execute("PRAGMA max_page_count=20")  # SQLite then answers "database or disk is full"

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, factory=Small))
    with pytest.raises(ResourceError, match="disk is full"):
        write_models(tmp_path / "b.db", models.genes, models.weights)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.db"]


def test_real_models(gtex_v6p: Path) -> None:
    paths = sorted((gtex_v6p / "models").glob("*.db"))
    sizes = {}
    for path in paths:
        models = read_models(path)
        sizes[models.tissue] = (models.genes.num_rows, models.weights.num_rows)
        assert np.isfinite(models.weights["weight"].to_numpy()).all()
        assert models.left_out == {}
    assert len(sizes) == 22
    assert sizes["Whole_Blood"] == (3, 113)
    assert sizes["Pituitary"] == (0, 0)
