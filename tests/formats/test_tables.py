"""Result tables as files."""

from __future__ import annotations

import gzip
from pathlib import Path

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
