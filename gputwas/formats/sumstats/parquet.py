"""Summary statistics kept as Parquet.

In: a Parquet file. Out: its header with some sample rows for detection, and raw columns in the file's own
types. "Line" numbers in messages are row numbers, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from gputwas.errors import InputError
from gputwas.formats.sumstats.blocks import RawBlock

__all__ = ["parquet_blocks", "parquet_head"]

_BATCH_ROWS = 200_000
_SAMPLE_ROWS = 1000


def _opened(path: str) -> Any:
    import pyarrow.parquet as pq  # costs 30 ms, which text files need not pay

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        remedy = "Copy or write it again."
        raise InputError(f"is not a readable Parquet file ({error})", path=path, remedy=remedy) from error


def parquet_head(path: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return the column names, and the first rows as text."""
    with _opened(path) as file:
        names = tuple(file.schema_arrow.names)
        if file.metadata.num_rows == 0:
            raise InputError("has a header only, no data rows", path=path, expected="one row per variant")
        first = next(file.iter_batches(batch_size=_SAMPLE_ROWS))
    values = [["" if cell is None else str(cell) for cell in column.to_pylist()] for column in first.columns]
    return names, [list(row) for row in zip(*values, strict=True)]


def parquet_blocks(path: str, wanted: Mapping[str, str]) -> Iterator[RawBlock]:
    """Yield the columns `wanted` (role -> name); text columns come as plain strings."""
    done = 0
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=sorted(set(wanted.values()))):
            columns = {role: _plain(batch.column(name)) for role, name in wanted.items()}
            start = done + 1
            yield RawBlock(columns, lambda row, start=start: start + row, 0)  # type: ignore[misc]
            done += batch.num_rows


def _plain(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_binary(kind):
        return values.cast(pa.string())
    return values
