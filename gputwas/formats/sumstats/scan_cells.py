"""Cells found by the scan -> Arrow columns.

In: the bytes of a block, and where the cells of the wanted rows begin and end in it. Out: string columns, and
columns of numbers that are bit for bit what Arrow's own conversion of the text gives.

This module imports numba, see `scan_lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.scan_lanes import compiled

__all__ = ["number_column", "text_column"]

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

_NOT_ASCII = np.uint8(128)
_SMALLEST = 1e-300  # of a number nearer to 0 the text says more than float64 holds


def text_column(data: Bytes, cells: Array, column: int) -> pa.Array | None:
    """Strings (rows,) of one column.

    Parameters
    ----------
    data : uint8 (bytes,), read-only. cells : int32 (rows, 2 columns), begin and end of each cell.

    Returns
    -------
    The column, or None if a cell is not plain ASCII (and so perhaps no text at all).
    """
    offsets = np.empty(len(cells) + 1, np.int32)
    size = int((cells[:, 2 * column + 1] - cells[:, 2 * column]).sum())
    out = np.empty(size, np.uint8)
    if not _copy_cells(data, cells, column, offsets, out):
        return None
    return pa.StringArray.from_buffers(len(cells), pa.py_buffer(offsets), pa.py_buffer(out))


def number_column(data: Bytes, cells: Array, column: int, read: Array) -> pa.Array | None:
    """Numbers of one column as float64 (rows,); data and cells as for `text_column`.

    Parameters
    ----------
    read : float64 (rows,), what the scan read; NaN where it could not.

    Returns
    -------
    The column, or None if a cell is anything but a plain decimal number whose float64 says all that its text
    says: then the text has to be looked at.
    """
    rows = np.flatnonzero(np.isnan(read))
    if not len(rows):
        return pa.array(read.copy())
    texts = text_column(data, cells[rows], column)
    try:
        values = pc.cast(texts, pa.float64()).to_numpy()
    except (pa.ArrowInvalid, TypeError):
        return None
    if not ((np.abs(values) >= _SMALLEST) & np.isfinite(values)).all():
        return None
    out = read.copy()
    out[rows] = values
    return pa.array(out)


@compiled
def _copy_cells(data: Bytes, cells: Array, column: Any, offsets: Array, out: Bytes) -> bool:
    """Copy the cells of one column one after the other; whether all of their bytes are ASCII.

    Parameters
    ----------
    cells : int32 (rows, 2 columns), begin and end of each. offsets : int32 (rows + 1,), filled.
    out : uint8, room for all of them.
    """
    place, seen = 0, np.uint8(0)
    for i in range(len(cells)):
        offsets[i] = place
        for at in range(cells[i, 2 * column], cells[i, 2 * column + 1]):
            seen |= data[at]
            out[place] = data[at]
            place += 1
    offsets[len(cells)] = place
    return bool(seen < _NOT_ASCII)
