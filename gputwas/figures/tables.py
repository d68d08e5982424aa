"""Columns of a table as the arrays that drawing needs.

In: an Arrow table. Out: NumPy arrays with one stand-in for what is missing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["floats", "strings"]


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
