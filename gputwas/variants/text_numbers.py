"""Texts as numbers, the same for equal ones.

In: an Arrow string array. Out: a number per text, and where each different text first stands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.arrow_texts import buffers_of
from gputwas.kernels import library, texts

__all__ = ["number_texts"]


def number_texts(strings: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Number texts in the order in which different ones first appear.

    Parameters
    ----------
    strings : string or large_string (rows,), without nulls.

    Returns
    -------
    int32 (rows,) numbers; int64 (numbers,), the first row of each.
    """
    if library.is_there():
        ends, data = buffers_of(strings)
        return texts.number_texts(data, ends)
    numbers = strings.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.empty(int(numbers.max(initial=-1)) + 1, np.int64)
    first[numbers[::-1]] = np.arange(numbers.size)[::-1]  # the first row is written last
    return numbers.astype(np.int32, copy=False), first
