"""SQLite tables as Arrow columns.

In: an SQLite file, a table and the names of columns. Out: whole columns as Arrow strings or real numbers,
text parsed as numbers where a file stores numbers as text. The file is never written to.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from types import SimpleNamespace
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError

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
_TEXT_TYPES = ("CHAR", "CLOB", "TEXT")
_SEPARATOR = "\x1f"  # of units in ASCII: in no identifier


@contextlib.contextmanager
def open_read_only(path: str) -> Iterator[sqlite3.Connection]:
    """Open an existing database read-only; what SQLite complains of inside the block is an `InputError`."""
    _check_is_sqlite(path)
    # "immutable" spares the locks, which fail on read-only folders, but would overlook a pending journal.
    pending = any(os.path.exists(path + end) and os.path.getsize(path + end) for end in ("-wal", "-journal"))
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro{'' if pending else '&immutable=1'}"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise InputError(
            f"SQLite cannot read the database: {error}",
            path=path,
            remedy="The file is damaged or incomplete; download or copy it again.",
        ) from error


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
    For each column its cells as Python values, or a string array where a column of `text` is nothing but
    text; `as_text` and `as_numbers` take either.
    """
    declared = {row[1]: str(row[2]).upper() for row in connection.execute(f"PRAGMA table_info({table})")}
    # a column of these types holds no number (https://sqlite.org/datatype3.html, section 3.1)
    if text and all(any(word in declared[name] for word in _TEXT_TYPES) for name in text):
        with contextlib.suppress(sqlite3.Error):  # what is wrong shows again below
            joined = _fetch_joined(connection, table, columns, text)
            if joined is not None:
                return joined
    rows = connection.execute(f"SELECT {', '.join(map(_quoted, columns))} FROM {table}").fetchall()
    return list(zip(*rows, strict=True)) if rows else [()] * len(columns)


def _fetch_joined(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], text: Collection[str]
) -> list[Sequence | pa.Array] | None:
    """All columns in one pass of SQLite, which makes one string of a text column; None where that fails.

    No row and no cell of text becomes a Python object: three times as fast as fetching rows.
    """
    numbers: dict[str, list] = {name: [] for name in columns if name not in text}
    wanted = ["count(*)"]
    for place, name in enumerate(columns):
        if name in text:
            wanted += [f"count({_quoted(name)})", f"group_concat({_quoted(name)}, '{_SEPARATOR}')"]
        else:
            connection.create_aggregate(f"collect_{place}", 1, _collector(numbers[name]))  # type: ignore[arg-type]
            wanted.append(f"collect_{place}({_quoted(name)})")
    count, *found = connection.execute(f"SELECT {', '.join(wanted)} FROM {table}").fetchone()
    result: list[Sequence | pa.Array] = []
    values = iter(found)
    for name in columns:
        if name not in text:
            next(values)
            result.append(numbers[name])
            continue
        present, joined = next(values), next(values)
        strings = _split(joined or "", count)
        if present != count or strings is None:
            return None
        result.append(strings)
    return result


def _collector(values: list) -> Callable[[], SimpleNamespace]:
    """An aggregate function that appends every cell to a list."""
    return lambda: SimpleNamespace(step=values.append, finalize=lambda: None)


def _split(joined: str, count: int) -> pa.Array | None:
    """The `count` strings that were joined, or None if one of them holds the separator itself."""
    if not count:
        return pa.nulls(0, pa.string())
    strings = pc.split_pattern(pa.array([joined], pa.string()), _SEPARATOR).values
    return strings if len(strings) == count else None


def as_text(values: Sequence | pa.Array) -> pa.Array:
    """Values as strings, NULL as null; ids stored as numbers or blobs are spelt out."""
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        decoded = (v.decode(errors="replace") if isinstance(v, bytes) else v for v in values)
        return pa.array([None if v is None else str(v) for v in decoded], pa.string())


def as_numbers(values: Sequence) -> tuple[pa.Array, int | None]:
    """Values as float64, text parsed and missing codes null; also the first row that is no number."""
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
