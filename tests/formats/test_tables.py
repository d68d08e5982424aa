"""Result tables as files."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from gputwas.errors import UsageError
from gputwas.formats.tables import check_table_path, write_table

TABLE = pa.table({"gene": ["A1", None], "z": [0.1, None], "n": pa.array([3, None], pa.int64())})


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ","), (".tsv.gz", "\t")])
def test_text_has_na_for_missing_and_keeps_integers(tmp_path: Path, suffix: str, separator: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_table(TABLE, path)
    data = path.read_bytes()
    text = (gzip.decompress(data) if suffix.endswith(".gz") else data).decode()
    assert text == "gene,z,n\nA1,0.1,3\nNA,NA,NA\n".replace(",", separator)
    write_table(TABLE, tmp_path / f"again{suffix}")
    assert (tmp_path / f"again{suffix}").read_bytes() == data


def test_parquet_reads_back(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").equals(TABLE)


def test_unknown_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.parquet"):
        check_table_path(tmp_path / "out.xlsx")
    with pytest.raises(UsageError, match=r"\.tsv"):
        write_table(TABLE, tmp_path / "out.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_text_reads_back_with_every_digit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=200_000) * 10.0 ** rng.integers(-300, 300, 200_000)
    single = rng.normal(size=z.size).astype(np.float32)
    z[5] = np.nan
    table = pa.table({"z": z, "single": single, "n": rng.integers(-(2**62), 2**62, z.size)})
    write_table(table, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().split("\n")
    assert len(lines) == z.size + 2 and lines[-1] == ""
    cells = [line.split(",") for line in lines[1:-1]]
    assert cells[5][0] == "NA"
    np.testing.assert_array_equal([float(c[0].replace("NA", "nan")) for c in cells], z)
    np.testing.assert_array_equal(np.array([c[1] for c in cells]).astype(np.float32), single)
    assert [int(c[2]) for c in cells] == table["n"].to_pylist()


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_text_with_separators_and_quotation_marks_reads_back(tmp_path: Path, suffix: str) -> None:
    odd = ["a,b", "c\td", 'the "one"', "two\nlines", "plain", None, ""]
    table = pa.table({"odd, name": odd, "kept": [True, False, None, True, True, True, False]})
    write_table(table, tmp_path / f"out{suffix}")
    with open(tmp_path / f"out{suffix}", newline="") as file:
        rows = list(csv.reader(file, delimiter="," if suffix == ".csv" else "\t"))
    assert rows[0] == ["odd, name", "kept"]
    assert [row[0] for row in rows[1:]] == ["NA" if text is None else text for text in odd]
    assert [row[1] for row in rows[1:]] == ["True", "False", "NA", "True", "True", "True", "False"]


@pytest.mark.parametrize("values", [[["a"], ["b", "c"]], [{"x": 1}, None]], ids=["list", "struct"])
def test_lists_are_for_parquet_only(tmp_path: Path, values: list) -> None:
    table = pa.table({"gene": ["a", "b"], "odd": values})
    with pytest.raises(UsageError, match=r"column 'odd' is a .*choose \.parquet"):
        write_table(table, tmp_path / "out.tsv")
    assert list(tmp_path.iterdir()) == []
    write_table(table, tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet")["odd"].to_pylist() == values


def test_empty_table_is_a_header(tmp_path: Path) -> None:
    write_table(TABLE.slice(0, 0), tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "gene\tz\tn\n"
