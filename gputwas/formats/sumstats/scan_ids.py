"""A table of identifiers that the scan of a file's bytes can look into.

In: the identifiers as an Arrow string array. Out: a `TextTable` of their bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.kernels.scan import TextTable

__all__ = ["id_table"]


def id_table(ids: pa.Array | pa.ChunkedArray) -> TextTable:
    """Identifiers of a panel, ready to be looked up by their bytes.

    Parameters
    ----------
    ids : string array (panel rows,). Null never matches; an identifier may be repeated.
    """
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    texts = pc.cast(whole, pa.large_string())
    _, offsets, data = texts.buffers()
    count = len(texts)
    if count and offsets is not None:
        ends = np.frombuffer(offsets, np.int64, count + 1, texts.offset * 8)
    else:
        ends = np.zeros(1, np.int64)
    raw = np.zeros(1, np.uint8) if not data else np.frombuffer(data, np.uint8)
    return TextTable.of(raw, ends, np.asarray(pc.is_valid(texts), dtype=bool))
