"""Result tables as files that people open: TSV, CSV (both also gzipped) or Parquet, by the file's name.

In: an Arrow table. Out: one file, whole or not at all.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from gputwas.errors import UsageError
from gputwas.executors.choose import available_cores
from gputwas.files import atomic_path, check_target

__all__ = ["TABLE_SUFFIXES", "check_table_path", "write_table"]

ROWS_AT_A_TIME = 65_536
MOST_THREADS = 8
TABLE_SUFFIXES = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet")


def check_table_path(path: str | os.PathLike[str]) -> str:
    """The suffix that says which format is wanted; call it before long work.

    Raises
    ------
    UsageError : the name has none of `TABLE_SUFFIXES`.
    InputError : there is no such folder, or it cannot be written to.
    """
    name = os.fspath(path)
    for suffix in sorted(TABLE_SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            check_target(name)
            return suffix
    raise UsageError(f"{name}: the name must end in one of {', '.join(TABLE_SUFFIXES)}")


def write_table(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table in the format of its name; in text missing values are NA and numbers keep all digits.

    Parquet has column statistics and zstd, so DuckDB, pandas, polars and R read only what they need of it.

    Raises
    ------
    UsageError : the name has none of `TABLE_SUFFIXES`, or a column cannot be written as text.
    InputError, ResourceError : the folder cannot be written to, or the disk is full.
    """
    suffix = check_table_path(path)
    if suffix != ".parquet":
        _check_columns(table, os.fspath(path))
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            _write_parquet(table, temporary)
        else:
            _write_text(table, temporary, suffix)


def _write_parquet(table: pa.Table, path: str) -> None:
    """Write Parquet that is read back with plain columns where the table has dictionary columns.

    That a table in memory shares its texts is of no use to a reader, yet by itself the writer notes it. Where
    some columns share their values, the writer is spared the search for others that might, and statistics of
    texts, which cost as much as all the rest.
    """
    from pyarrow import parquet

    plain = pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema],
        metadata=table.schema.metadata,
    )
    note = {b"ARROW:schema": base64.b64encode(plain.serialize().to_pybytes())}
    table = table.replace_schema_metadata({**(plain.metadata or {}), **note})
    coded = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    others = [name for name in table.column_names if name not in coded]
    parquet.write_table(
        table, path, compression="zstd", store_schema=False,
        use_dictionary=coded or True, write_statistics=others if coded else True,
    )  # fmt: skip


def _check_columns(table: pa.Table, path: str) -> None:
    """Refuse lists, structures and the like, which no cell of text can hold so that it is read back."""
    for column in table.schema:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_nested(kind):
            raise UsageError(
                f"{path}: column {column.name!r} is a {kind}, which cannot be text; choose .parquet"
            )


def _write_text(table: pa.Table, path: str, suffix: str) -> None:
    separator = "," if suffix.startswith(".csv") else "\t"
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(open(path, "wb"))
        if suffix.endswith(".gz"):  # without a name and a time: the same table is the same bytes
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
        names = pa.array(table.column_names, pa.string())
        file.write(separator.join(_quoted(names, separator).to_pylist()).encode() + b"\n")
        for text in _texts(table, separator):
            file.write(text)


def _texts(table: pa.Table, separator: str) -> Iterator[memoryview]:
    """The text of the rows, some at a time; made side by side in threads, few of them ahead of the writer."""
    threads = min(available_cores(), MOST_THREADS)
    waiting: deque[Future[memoryview]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
            waiting.append(pool.submit(_lines, batch, separator))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _lines(batch: pa.RecordBatch, separator: str) -> memoryview:
    """The text of some rows."""
    import pyarrow.compute as pc

    cells = [_cells(column, separator) for column in batch.columns]
    *first, last = cells
    ended = pc.binary_join_element_wise(last, pa.scalar(""), pa.scalar("\n"))
    whole = pc.binary_join_element_wise(*first, ended, pa.scalar(separator)) if first else ended
    offsets, text = whole.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32, len(whole) + 1, 4 * whole.offset)
    return memoryview(text)[ends[0] : ends[-1]]


def _cells(column: pa.Array, separator: str) -> pa.Array:
    """A column as strings: numbers with all their digits, NA where there is no value."""
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "True", "False")
    elif pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    elif pa.types.is_dictionary(column.type):
        texts = _cells(column.dictionary, separator)  # each text is quoted once
        return pc.fill_null(texts.take(column.indices), "NA")
    texts = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    return pc.fill_null(texts if pa.types.is_primitive(column.type) else _quoted(texts, separator), "NA")


def _quoted(texts: pa.Array, separator: str) -> pa.Array:
    """Texts in quotation marks where they hold the separator, a quotation mark or the end of a line."""
    import pyarrow.compute as pc

    special = pc.match_substring_regex(texts, f'[{separator}"\n\r]')
    if not pc.any(special).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), texts)
