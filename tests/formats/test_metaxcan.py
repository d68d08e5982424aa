"""The csv of SPrediXcan.py is read and written back character by character."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.metaxcan import (
    ADDITIONAL_COLUMNS,
    CALIBRATION_COLUMNS,
    COLUMNS,
    read_associations,
    write_associations,
)

HEADER = ",".join(COLUMNS) + "\n"
ROW = "ENSG1,HLA-B,-5.078042135178365,-0.07,3.8e-07,0.096,0.17,2.3e-15,5.7e-15,22,22,26\n"


def columns(**changed: object) -> dict[str, object]:
    base: dict[str, object] = {
        "gene": ["g1", "g2"],
        "gene_name": ["A", None],
        "zscore": pa.array([1.5, None]),
        "effect_size": pa.array([-0.1, math.nan]),
        "pvalue": pa.array([5e-324, None]),
        "var_g": pa.array([1e-05, 0.0]),
        "pred_perf_r2": pa.array([0.1, None]),
        "pred_perf_pval": pa.array([1e22, None]),
        "pred_perf_qval": pa.array([None, None], pa.float64()),
        "n_snps_used": pa.array([7, 0]),
        "n_snps_in_cov": pa.array([9, 8]),
        "n_snps_in_model": pa.array([10, 8]),
    }
    return base | changed


def test_text_of_every_kind_of_cell(tmp_path: Path) -> None:
    write_associations(tmp_path / "a.csv", pa.table(columns()))
    assert (tmp_path / "a.csv").read_text() == (
        HEADER + "g1,A,1.5,-0.1,5e-324,1e-05,0.1,1e+22,NA,7,9,10\ng2,NA,NA,NA,NA,0.0,NA,NA,NA,0,8,8\n"
    )


def test_a_missing_count_prints_its_column_with_decimals(tmp_path: Path) -> None:
    write_associations(tmp_path / "a.csv", pa.table(columns(n_snps_in_cov=pa.array([9, None]))))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[-3:] for line in lines[1:]] == [["7", "9.0", "10"], ["0", "NA", "8"]]
    assert read_associations(tmp_path / "a.csv")["n_snps_in_cov"].to_pylist() == [9, None]


def test_order_of_columns_is_the_reference_s(tmp_path: Path) -> None:
    extra = {name: [0.5, 1.5] for name in ("own", *CALIBRATION_COLUMNS, *ADDITIONAL_COLUMNS)}
    table = pa.table(dict(reversed((columns() | extra).items())))
    write_associations(tmp_path / "a.csv", table)
    header = (tmp_path / "a.csv").read_text().splitlines()[0].split(",")
    assert header == [*COLUMNS, *ADDITIONAL_COLUMNS, *CALIBRATION_COLUMNS, "own"]
    back = read_associations(tmp_path / "a.csv")
    assert back.column_names == header
    assert back["phi"].to_pylist() == [0.5, 1.5]


def test_names_that_need_quotes(tmp_path: Path) -> None:
    write_associations(tmp_path / "a.csv", pa.table(columns(gene_name=['a,"b"', "c d"])))
    assert '"a,""b"""' in (tmp_path / "a.csv").read_text()
    assert read_associations(tmp_path / "a.csv")["gene_name"].to_pylist() == ['a,"b"', "c d"]


def test_no_rows(tmp_path: Path) -> None:
    empty = pa.table(columns()).slice(0, 0)
    write_associations(tmp_path / "a.csv", empty)
    assert (tmp_path / "a.csv").read_text() == HEADER
    table = read_associations(tmp_path / "a.csv")
    assert table.num_rows == 0
    assert table.schema.field("zscore").type == pa.float64()


def test_table_that_lacks_a_column_is_the_caller_s_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lacks var_g"):
        write_associations(tmp_path / "a.csv", pa.table(columns()).drop_columns(["var_g"]))
    assert os.listdir(tmp_path) == []


doubles = st.none() | st.floats(allow_nan=False)
counts = st.none() | st.integers(0, 10**6)
names = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(rows=st.lists(st.tuples(names, *[doubles] * 7, *[counts] * 3), max_size=8))
def test_written_tables_are_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    types = [pa.string(), *[pa.float64()] * 7, *[pa.int64()] * 3]
    missing = ("NA", "NaN", "nan", "NULL", "None")
    rows = [(None if row[0] in missing else row[0], *row[1:]) for row in rows]
    data = {"gene": pa.array([f"g{i}" for i in range(len(rows))], pa.string())}
    for place, (name, kind) in enumerate(zip(COLUMNS[1:], types, strict=True)):
        data[name] = pa.array([row[place] for row in rows], kind)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_associations(path, pa.table(data))
    assert read_associations(path).equals(pa.table(data))


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: t.rstrip("\n"), lambda t: "\ufeff" + t]
)
def test_line_ends(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.csv"
    path.write_bytes(change(HEADER + ROW).encode())
    table = read_associations(path)
    assert tuple(table.column_names) == COLUMNS
    assert table["zscore"].to_pylist() == [-5.078042135178365]
    assert table["n_snps_in_model"].to_pylist() == [26]


def test_older_names_and_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("gene,zscore,VAR_g,pred_perf_R2,pred_perf_p,pred_perf_q\ng1,1,2,3,4,5\n")
    row = read_associations(path).to_pylist()[0]
    assert (row["var_g"], row["pred_perf_r2"], row["pred_perf_pval"], row["pred_perf_qval"]) == (2, 3, 4, 5)
    assert row["gene_name"] is None
    assert row["n_snps_used"] is None


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("", "empty", None),
        ("a,b\n1,2\n", "no column gene", 1),
        ("gene\tzscore\ng1\t1\n", "no column gene", 1),
        ("gene,zscore,zscore\ng1,1,1\n", "twice", 1),
        (HEADER + ROW + "ENSG2,X,1\n", "Expected 12 columns, got 3", 3),
        (HEADER + ROW + ROW.replace("-5.078042135178365", "abc"), "invalid value 'abc'", 3),
        (HEADER + ROW.replace(",22,22,", ",22,22.5,"), "whole number", None),
        (HEADER + ROW.replace("ENSG1", "NA"), "no gene", None),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: str, line: int | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_associations(path)
    assert caught.value.line == line
    assert str(path) in str(caught.value)


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROW * 50).encode())[:-12])
    with pytest.raises(InputError, match="cut short"):
        read_associations(path)


def test_every_reference_file_is_rewritten_byte_by_byte(gtex_v6p: Path, tmp_path: Path) -> None:
    paths = sorted((gtex_v6p / "expected" / "spredixcan").glob("*/*.csv"))
    paths += sorted((gtex_v6p / "edge" / "expected").glob("*.csv"))
    assert len(paths) > 150
    for path in paths:
        write_associations(tmp_path / "a.csv", read_associations(path))
        assert (tmp_path / "a.csv").read_bytes() == path.read_bytes(), path


def test_published_jti_results(gtex_v6p: Path) -> None:
    folder = gtex_v6p.parent / "real_twas" / "raw"
    if not folder.is_dir():
        pytest.skip(f"no published results at {folder}")
    table = read_associations(folder / "SCZ_xt_Brain_Frontal_Cortex_BA9.csv.gz")
    assert tuple(table.column_names) == COLUMNS
    assert table.num_rows > 8000
    assert table["zscore"].null_count == table["n_snps_in_model"].null_count == 0
