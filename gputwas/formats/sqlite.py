"""SQLite tables as Arrow columns.

In: an SQLite file, a table and the names of columns. Out: whole columns as Arrow strings or real numbers,
text parsed as numbers where a file stores numbers as text. The file is never written to.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.kernels import library
from gputwas.kernels.pages import NUMBER, TEXT, UNWANTED, Texts, read_pages

__all__ = [
    "MISSING_TEXT",
    "as_numbers",
    "as_text",
    "column_names",
    "fetch_columns",
    "open_read_only",
    "table_names",
]

MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", ".")
_MAGIC = b"SQLite format 3\x00"
# magic, page size, bytes that a page reserves, counter of changes, pages, encoding of text, and the counter
# when pages were counted (https://www.sqlite.org/fileformat2.html, section 1.3)
_HEADER = struct.Struct(">16sHxxB3xII24xI32xI")
_UTF8 = 1


@contextlib.contextmanager
def open_read_only(path: str) -> Iterator[sqlite3.Connection]:
    """Open an existing database read-only; what SQLite complains of inside the block is an `InputError`."""
    _check_is_sqlite(path)
    # "immutable" spares the locks, which fail on read-only folders, but would overlook a pending journal.
    immutable = "" if _is_pending(path) else "&immutable=1"
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro{immutable}"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise InputError(
            f"SQLite cannot read the database: {error}",
            path=path,
            remedy="The file is damaged or incomplete; download or copy it again.",
        ) from error


def _is_pending(path: str) -> bool:
    """Whether a journal holds a part of what was written."""
    return any(os.path.exists(path + end) and os.path.getsize(path + end) for end in ("-wal", "-journal"))


def table_names(connection: sqlite3.Connection) -> set[str]:
    """Names of the tables and views of a database."""
    return {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    }


def column_names(connection: sqlite3.Connection, table: str) -> list[str]:
    """Names of a table's columns, in their order."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def fetch_columns(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], *, text: Collection[str] = ()
) -> list[Sequence | pa.Array]:
    """Whole columns of a table, in database order.

    Parameters
    ----------
    text : those of the columns that should hold text.

    Returns
    -------
    For each column its cells as Python values, or all columns as arrays of strings and of float64 where those
    of `text` are nothing but text and the others nothing but finite numbers; `as_text` and `as_numbers` take
    either.
    """
    if library.is_there():
        with contextlib.suppress(sqlite3.Error, OSError, pa.ArrowInvalid):  # what is wrong shows again below
            read = _columns_from_pages(connection, table, columns, text)
            if read is not None:
                return read
    rows = connection.execute(_selection(table, columns)).fetchall()
    return list(zip(*rows, strict=True)) if rows else [()] * len(columns)


def _selection(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(map(_quoted, columns))} FROM {table}"


def _columns_from_pages(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], text: Collection[str]
) -> list[Sequence | pa.Array] | None:
    """The columns, read past SQLite in a tenth of the time; None unless file and table are plain.

    A column that is the row id itself is NULL in the records: where it is wanted, the table is not plain.
    """
    plain, root = _plain_file(connection), _root_page(connection, table, columns)
    described = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    names, hidden = [row[1] for row in described], any(row[6] for row in described)
    if plain is None or root is None or hidden or not set(columns).issubset(names):
        return None
    kinds = [(TEXT if name in text else NUMBER) if name in columns else UNWANTED for name in names]
    data, page_size, reserved = plain
    read = read_pages(data, page_size, reserved, root, kinds)
    if read is None:
        return None
    wanted = (name for name in names if name in columns)
    found = {name: _as_arrow(column) for name, column in zip(wanted, read, strict=True)}
    return [found[name] for name in columns]


def _root_page(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> int | None:
    """Root page of a table in the file; None if SQLite would fetch the columns from a view or an index."""
    plan = connection.execute(f"EXPLAIN QUERY PLAN {_selection(table, columns)}").fetchall()
    found = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchall()
    return found[0][0] if len(plan) == len(found) == 1 and "USING" not in plan[0][3] else None


def _plain_file(connection: sqlite3.Connection) -> tuple[npt.NDArray[np.uint8], int, int] | None:
    """Bytes of the connection's file, page size, and bytes that a page reserves.

    None unless the connection has one file, which is whole, in UTF-8, and holds all that was written.
    """
    (_, _, path), *others = connection.execute("PRAGMA database_list").fetchall()
    if not path or others or connection.in_transaction or _is_pending(path):
        return None
    data = np.memmap(path, np.uint8, "r")
    magic, page_size, reserved, changed, pages, encoding, valid_for = _HEADER.unpack_from(data.data)
    page_size = 1 << 16 if page_size == 1 else page_size
    if magic != _MAGIC or encoding != _UTF8 or changed != valid_for or len(data) != pages * page_size:
        return None
    return data, page_size, reserved


def _as_arrow(column: Texts | npt.NDArray[np.float64]) -> pa.Array:
    """The column as an array; `pyarrow.ArrowInvalid` if it is no UTF-8."""
    if not isinstance(column, Texts):
        return pa.array(column)
    array = pa.StringArray.from_buffers(
        len(column.ends) - 1, pa.py_buffer(column.ends), pa.py_buffer(column.text)
    )
    array.validate(full=True)
    return array


def as_text(values: Sequence | pa.Array) -> pa.Array:
    """Values as strings, NULL as null; ids stored as numbers or blobs are spelt out."""
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        decoded = (v.decode(errors="replace") if isinstance(v, bytes) else v for v in values)
        return pa.array([None if v is None else str(v) for v in decoded], pa.string())


def as_numbers(values: Sequence | pa.Array) -> tuple[pa.Array, int | None]:
    """Values as float64, text parsed and missing codes null; also the first row that is no number."""
    if isinstance(values, pa.DoubleArray):
        return values, None
    try:
        return pa.array(values, pa.float64()), None
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # some or all are text
        text = pc.utf8_trim_whitespace(as_text(values))
        text = pc.if_else(pc.is_in(text, pa.array(MISSING_TEXT)), pa.scalar(None, pa.string()), text)
    try:
        return pc.cast(text, pa.float64()), None
    except pa.ArrowInvalid:
        for row, value in enumerate(text):
            try:
                pc.cast(value, pa.float64())
            except pa.ArrowInvalid:
                return pa.nulls(len(text), pa.float64()), row
        raise


def _check_is_sqlite(path: str) -> None:
    remedy = "Give the .db file of one tissue."
    try:
        with open(path, "rb") as stream:
            head = stream.read(len(_MAGIC))
    except IsADirectoryError:
        raise InputError("a prediction model is a file, this is a folder", path=path, remedy=remedy) from None
    except OSError as error:
        raise InputError(
            f"cannot read the prediction model: {error.strerror}", path=path, remedy="Check the path."
        ) from error
    if head == _MAGIC:
        return
    if not head:
        found, remedy = "an empty file", "Download it again."
    elif head.startswith(b"\x1f\x8b"):
        found, remedy = (
            "a gzip file",
            "Unpack it first (gunzip or tar xzf); a covariance goes to --covariance.",
        )
    else:
        found = f"a file beginning with {head!r}"
    raise InputError("not an SQLite database", path=path, found=found, remedy=remedy)
