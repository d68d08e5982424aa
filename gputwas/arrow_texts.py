"""Bytes and offsets of Arrow strings.

In: an Arrow string array. Out: NumPy arrays that the kernels take, mostly views of Arrow's own memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["SPARE_BYTES", "buffers_of"]

SPARE_BYTES = 8
"""Bytes behind every offset, so that a text may be read in words of so many."""


def buffers_of(texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets (rows + 1,) into, and bytes of, the text buffer, with `SPARE_BYTES` behind every offset.

    Parameters
    ----------
    texts : string or large_string array (rows,).
    """
    empty = np.zeros(SPARE_BYTES, np.uint8)
    if len(texts) == 0:
        return np.zeros(1, np.int64), empty
    width = np.dtype(np.int64 if texts.type == pa.large_string() else np.int32)
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, width, count=len(texts) + 1, offset=texts.offset * width.itemsize)
    offsets = offsets.astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    if data_buffer is None or first == last:
        return np.zeros(len(texts) + 1, np.int64), empty
    roomy = last + SPARE_BYTES <= data_buffer.size
    size = last - first + (SPARE_BYTES if roomy else 0)
    data = np.frombuffer(data_buffer, np.uint8, count=size, offset=first)
    return offsets - first, data if roomy else np.concatenate([data, empty])
