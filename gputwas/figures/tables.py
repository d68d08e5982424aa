"""Columns of a table as the arrays that drawing needs.

In: an Arrow table. Out: NumPy arrays with one stand-in for what is missing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["encode", "floats", "strings"]


def encode(table: pa.Table, name: str, missing: str = "") -> tuple[np.ndarray, list[str]]:
    """Column as numbers: int64 (rows,) and the texts they stand for; null is `missing`."""
    column = pc.fill_null(table[name].cast(pa.string()), missing).combine_chunks().dictionary_encode()
    if isinstance(column, pa.ChunkedArray):  # a column beyond 2 GiB of text stays in chunks
        column = column.unify_dictionaries().combine_chunks()
    return column.indices.to_numpy().astype(np.int64), column.dictionary.to_pylist()


def floats(table: pa.Table, name: str) -> np.ndarray:
    """Column as float64 (rows,), NaN where null; all NaN where the table lacks it."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy())


def strings(table: pa.Table, name: str, missing: str = "") -> np.ndarray:
    """Column as object (rows,) of str, `missing` where null; empty strings where the table lacks it."""
    if name not in table.column_names:
        return np.full(table.num_rows, "", dtype=object)
    return np.asarray(pc.fill_null(table[name].cast(pa.string()), missing).to_numpy(), dtype=object)
