"""Where each tissue's models lie in a model table.

In: a table with a column `tissue`. Out: slices of its rows.
"""

from __future__ import annotations

import numpy as np
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
    coded = models["tissue"].combine_chunks().dictionary_encode()
    starts = np.flatnonzero(np.diff(coded.indices.to_numpy(), prepend=-1)).tolist()
    stops = [*starts[1:], models.num_rows]
    names = coded.take(pa.array(starts)).to_pylist()
    if len(set(names)) < len(names):
        raise ValueError("the models of a tissue are not contiguous")
    return {name: slice(start, stop) for name, start, stop in zip(names, starts, stops, strict=True)}
