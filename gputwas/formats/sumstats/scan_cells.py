"""Cells found by the scan -> Arrow columns.

In: the bytes of a block, and where the cells of the wanted rows begin and end in it. Out: string columns, and
columns of numbers that are bit for bit what Arrow's own conversion of the text gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.kernels.scan import copy_cells

__all__ = ["number_column", "text_column"]

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

_SMALLEST = 1e-300  # of a number nearer to 0 the text says more than float64 holds


def text_column(data: Bytes, cells: Array, column: int) -> pa.Array | None:
    """Strings (rows,) of one column.

    Parameters
    ----------
    data : uint8 (bytes,). cells : int32 (rows, 2 columns), begin and end of each cell.

    Returns
    -------
    The column, or None if a cell is not plain ASCII (and so perhaps no text at all).
    """
    text, offsets, ascii = copy_cells(data, cells, column)
    if not ascii:
        return None
    return pa.StringArray.from_buffers(len(cells), pa.py_buffer(offsets), pa.py_buffer(text))


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
