"""Where each tissue's models lie in a model table.

In: a table with a column `tissue`. Out: slices of its rows.
"""

from __future__ import annotations

from bisect import bisect_left

import pyarrow as pa

__all__ = ["tissue_slices"]


def tissue_slices(models: pa.Table) -> dict[str, slice]:
    """Tissue -> rows, in the order of the table.

    Raises
    ------
    ValueError
        If the models of a tissue are not contiguous.
    """
    if models.num_rows == 0:
        return {}
    column = models["tissue"].combine_chunks()
    slices: dict[str, slice] = {}
    start = 0
    while start < len(column):
        name = column[start]
        stop = bisect_left(range(len(column)), 1, lo=start + 1, key=lambda row: column[row] != name)
        whole = column.slice(start, stop - start).equals(pa.repeat(name, stop - start))
        if not whole or name.as_py() in slices:
            raise ValueError("the models of a tissue are not contiguous")
        slices[name.as_py()] = slice(start, stop)
        start = stop
    return slices
