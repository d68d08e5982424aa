"""Columns come out the same whether SQLite fetches the cells or they are read from the pages of the file."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sqlite import as_numbers, as_text, fetch_columns, open_read_only
from gputwas.kernels import library

Rows = list[tuple[object, object]]
PLAIN: Rows = [("rs1", 0.1), ("", 7), ("Ärger", -2.5), ("rs1", 1e300)]
TABLE = 'CREATE TABLE t ("a name" TEXT, value REAL)'


def made(path: Path, rows: Rows = PLAIN, *script: str, before: str = "", table: str = TABLE) -> Path:
    """A database with these rows in table t."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(before)
        connection.execute(table)
        connection.executemany('INSERT INTO t ("a name", value) VALUES (?, ?)', rows)
        connection.commit()
        for statement in script:
            connection.execute(statement)
        connection.commit()
    return path


def fetched(path: Path) -> tuple[list[str | None], list[object], bool]:
    """The columns as Python values, and whether they were read from the pages."""
    with open_read_only(str(path)) as connection:
        names, value = fetch_columns(connection, "t", ["a name", "value"], text=["a name"])
    read = isinstance(names, pa.StringArray)
    assert isinstance(value, pa.DoubleArray) == read
    return as_text(names).to_pylist(), as_numbers(value)[0].to_pylist(), read


def one_by_one(path: Path) -> tuple[list[str | None], list[object]]:
    """The columns as without the compiled library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.OFF, "0")
        names, value, read = fetched(path)
    assert not read
    return names, value


@pytest.mark.library
def test_plain_columns_are_never_split_into_python_objects(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db")
    names, value, read = fetched(path)
    assert read and (names, value) == one_by_one(path) == tuple(map(list, zip(*PLAIN, strict=True)))


@pytest.mark.library
def test_columns_in_any_order_and_twice(tmp_path: Path) -> None:
    with open_read_only(str(made(tmp_path / "a.db"))) as connection:
        wanted = ["value", "a name", "value"]
        first, names, last = fetch_columns(connection, "t", wanted, text=["a name"])
    assert names == pa.array([name for name, _ in PLAIN])
    assert first == last == pa.array([value for _, value in PLAIN], pa.float64())


@pytest.mark.parametrize("cell", [None, b"plain bytes", "long " * 2000])
def test_text_that_is_not_plain_is_fetched_one_by_one(cell: object, tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", [*PLAIN, (cell, 2)])
    expected = cell.decode() if isinstance(cell, bytes) else cell
    assert fetched(path)[0] == [*(name for name, _ in PLAIN), expected]
    assert not fetched(path)[2]


@pytest.mark.parametrize("cell", [None, "1.5", "NA", (1 << 53) + 2, float("inf")])
def test_numbers_that_are_not_plain_are_fetched_one_by_one(cell: object, tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", [*PLAIN, ("rs2", cell)], table='CREATE TABLE t ("a name" TEXT, value)')
    names, value, read = fetched(path)
    assert not read and (names, value) == one_by_one(path)


def test_bytes_that_are_no_text_are_spelt_with_a_stand_in(tmp_path: Path) -> None:
    assert fetched(made(tmp_path / "a.db", [("rs0", 1), (b"rs\xff", 2)]))[0] == ["rs0", "rs�"]


def test_numbers_in_a_column_without_a_type_keep_their_spelling(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", [(1e20, 1), (12, 2)], table='CREATE TABLE t ("a name", value)')
    assert fetched(path)[0] == ["1e+20", "12"]


def test_an_empty_table(tmp_path: Path) -> None:
    assert fetched(made(tmp_path / "a.db", []))[:2] == ([], [])


@pytest.mark.parametrize(
    ("before", "table", "script"),
    [
        ("", TABLE, ["ALTER TABLE t RENAME TO u", "CREATE VIEW t AS SELECT * FROM u"]),
        ("", 'CREATE TABLE t ("a name" TEXT, value REAL, PRIMARY KEY ("a name", value)) WITHOUT ROWID', []),
        ("", 'CREATE TABLE t ("a name" TEXT, half AS (value / 2), value REAL)', []),
        ("", 'CREATE TABLE t ("a name" TEXT, half AS (value / 2) STORED, value REAL)', []),
        ("", 'CREATE TABLE t ("a name" TEXT, value INTEGER PRIMARY KEY)', ["DELETE FROM t WHERE value = 7"]),
        ("", f"{TABLE[:-1]}, c TEXT, d TEXT, e TEXT)", ['CREATE INDEX i ON t ("a name", value)']),
        ("PRAGMA encoding = 'UTF-16le'", TABLE, []),
        ("", TABLE, ["ALTER TABLE t RENAME value TO old", "ALTER TABLE t ADD value REAL DEFAULT 3"]),
    ],
    ids=["view", "without row id", "virtual", "stored", "row id", "covering index", "UTF-16", "added"],
)
def test_what_is_not_an_ordinary_table_is_left_to_sqlite(
    before: str, table: str, script: list[str], tmp_path: Path
) -> None:
    rows: Rows = [("rs2", 5), ("rs1", 7), ("rs3", 6)]
    path = made(tmp_path / "a.db", rows, *script, before=before, table=table)
    names, value, read = fetched(path)
    assert len(names) > 1 and not read and (names, value) == one_by_one(path)


@pytest.mark.library
def test_an_ordinary_table_beside_a_row_id_and_an_index(tmp_path: Path) -> None:
    """As long as neither is wanted."""
    table = 'CREATE TABLE t (id INTEGER PRIMARY KEY, "a name" TEXT, other, value REAL)'
    path = made(tmp_path / "a.db", PLAIN[::-1], 'CREATE INDEX i ON t ("a name")', table=table)
    names, value, read = fetched(path)
    assert read and (names, value) == one_by_one(path)


@pytest.mark.library
def test_what_a_journal_holds_is_not_overlooked(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", PLAIN, before="PRAGMA journal_mode = WAL")
    assert fetched(path)[2]
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES ('late', 9)")
        writer.commit()
        names, _, read = fetched(path)
        assert not read and names[-1] == "late"


@pytest.mark.parametrize(
    "statement",
    ["ATTACH ':memory:' AS other", "CREATE TEMP TABLE t AS SELECT 'mine' AS \"a name\", 1.0 AS value", None],
)
def test_what_only_the_connection_knows_of_is_left_to_sqlite(statement: str | None, tmp_path: Path) -> None:
    with closing(sqlite3.connect(made(tmp_path / "a.db"))) as connection:
        connection.execute(statement or "INSERT INTO t VALUES ('mine', 1)")
        names, _ = fetch_columns(connection, "t", ["a name", "value"], text=["a name"])
    assert isinstance(names, tuple)
    assert ("mine" in names) == (statement is None or "TEMP" in statement)


@pytest.mark.parametrize("more", [-100, -512, 512], ids=["cut", "a page less", "a page more"])
def test_a_file_of_another_length_than_it_says_is_left_to_sqlite(more: int, tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", PLAIN, "CREATE TABLE last (a)", before="PRAGMA page_size = 512")
    content = path.read_bytes()
    path.write_bytes(content[:more] if more < 0 else content + bytes(more))
    with contextlib.suppress(InputError):
        assert not fetched(path)[2]


@pytest.mark.library
def test_a_header_whose_number_of_pages_is_out_of_date_is_left_to_sqlite(tmp_path: Path) -> None:
    """A program that does not know the field leaves it as it was and counts only its changes."""
    path = made(tmp_path / "a.db")
    assert fetched(path)[2]
    content = bytearray(path.read_bytes())
    content[27] += 1
    path.write_bytes(content)
    names, _, read = fetched(path)
    assert not read and names == [name for name, _ in PLAIN]


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(codec="utf-8"), max_size=5) | st.just("long" * 300),
            st.none() | st.floats(allow_nan=False) | st.integers(-(1 << 63), (1 << 63) - 1),
        ),
        max_size=8,
    ),
    st.sampled_from([1, 300]),
    st.sampled_from([512, 4096, 65536]),
)
def test_both_ways_agree(rows: Rows, times: int, page_size: int) -> None:
    with TemporaryDirectory() as folder:
        delete = "DELETE FROM t WHERE rowid % 5 = 2"
        before = f"PRAGMA page_size = {page_size}"
        path = made(Path(folder) / "a.db", rows * times, delete, before=before)
        names, value, _ = fetched(path)
        expected = one_by_one(path)
    assert names == expected[0] and [*map(repr, value)] == [*map(repr, expected[1])]


def test_text_that_is_not_utf8_is_refused_with_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (name TEXT)")
        connection.execute("INSERT INTO t VALUES (CAST(x'ff61' AS TEXT))")
    with pytest.raises(InputError, match="UTF-8"), open_read_only(path) as connection:
        fetch_columns(connection, "t", ["name"], text=["name"])
