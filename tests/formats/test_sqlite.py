"""Columns of SQLite come out the same whether cells are fetched one by one or joined inside SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sqlite import as_text, fetch_columns, open_read_only

Rows = list[tuple[object, object]]


def fetched(rows: Rows, declared: str = "TEXT") -> tuple[object, object]:
    """The columns name (text) and value of a table with these rows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f'CREATE TABLE t ("a name" {declared}, value)')
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        name, value = fetch_columns(connection, "t", ["a name", "value"], text=["a name"])
    return name, value


def test_a_column_of_text_is_never_split_into_python_objects() -> None:
    name, value = fetched([("rs1", 0.1), ("", None), ("Ärger", "x"), ("rs1", 7)])
    assert isinstance(name, pa.StringArray)
    name.validate(full=True)
    assert name.to_pylist() == ["rs1", "", "Ärger", "rs1"]
    assert value == [0.1, None, "x", 7]


@pytest.mark.parametrize("cell", [None, b"rs\x1f1", "rs\x1f1", b"plain bytes"])
def test_cells_that_cannot_be_joined_are_fetched_one_by_one(cell: object) -> None:
    name, value = fetched([("rs0", 1), (cell, 2), ("rs2", 3)])
    expected = cell.decode() if isinstance(cell, bytes) else cell
    assert as_text(name).to_pylist() == ["rs0", expected, "rs2"]  # type: ignore[arg-type]
    assert list(value) == [1, 2, 3]  # type: ignore[call-overload]


def test_bytes_that_are_no_text_are_spelt_with_a_stand_in() -> None:
    name, _ = fetched([("rs0", 1), (b"rs\xff", 2)])
    assert as_text(name).to_pylist() == ["rs0", "rs�"]  # type: ignore[arg-type]


def test_numbers_in_a_column_without_a_type_keep_their_spelling() -> None:
    name, _ = fetched([(1e20, 1), (12, 2)], declared="")
    assert as_text(name).to_pylist() == ["1e+20", "12"]  # type: ignore[arg-type]


def test_an_empty_table_and_a_single_row() -> None:
    name, value = fetched([])
    assert as_text(name).to_pylist() == [] and list(value) == []  # type: ignore
    name, value = fetched([("only", 1.5)])
    assert as_text(name).to_pylist() == ["only"] and list(value) == [1.5]  # type: ignore


@given(
    st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.floats(allow_nan=False)), max_size=8)
)
def test_both_ways_agree(rows: Rows) -> None:
    joined, one_by_one = fetched(rows), fetched(rows, declared="")
    assert as_text(joined[0]).to_pylist() == as_text(one_by_one[0]).to_pylist()  # type: ignore[arg-type]
    assert list(joined[1]) == list(one_by_one[1])  # type: ignore[call-overload]


def test_text_that_is_not_utf8_is_refused_with_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (name TEXT)")
        connection.execute("INSERT INTO t VALUES (CAST(x'ff61' AS TEXT))")
    with pytest.raises(InputError, match="UTF-8"), open_read_only(path) as connection:
        fetch_columns(connection, "t", ["name"], text=["name"])
