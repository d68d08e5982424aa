"""A table of identifiers that the scan of a file's bytes can look into.

In: the identifiers as an Arrow string array. Out: `IdTable`, arrays for `scan_kernels.scan_lines`. The answer
is exact: what the hash finds is compared byte by byte.

This module imports numba, see `scan_lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.scan_kernels import insert_ids

__all__ = ["IdTable"]

_BITS_PER_ID = 8  # of the bit set, or up to twice as many: it lets 6 to 12 % of strangers through
_SLOTS_PER_ID = 2
_SMALLEST = 64


class IdTable:
    """Identifiers of a panel, ready to be looked up by their bytes.

    Parameters
    ----------
    ids : string array (panel rows,). Null never matches; an identifier may be repeated.

    Attributes
    ----------
    arrays : bit set, slots, bytes and ends as `scan_kernels.scan_lines` takes them; read-only.
    """

    def __init__(self, ids: pa.Array | pa.ChunkedArray) -> None:
        whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        texts = pc.cast(whole, pa.large_string())
        _, offsets, data = texts.buffers()
        count = len(texts)
        if count and offsets is not None:
            ends = np.frombuffer(offsets, np.int64, count + 1, texts.offset * 8).copy()
        else:
            ends = np.zeros(1, np.int64)
        raw = np.zeros(1, np.uint8) if not data else np.frombuffer(data, np.uint8).copy()
        valid = np.asarray(pc.is_valid(texts), dtype=bool).copy()
        present = np.zeros(_power_of_two(count * _BITS_PER_ID) // 64, np.uint64)
        slots = np.zeros(_power_of_two(count * _SLOTS_PER_ID), np.uint64)
        insert_ids(raw, ends, valid, present, slots)
        self.arrays = tuple(_read_only(array) for array in (present, slots, raw, ends))


def _power_of_two(least: int) -> int:
    return 1 << (max(least, _SMALLEST) - 1).bit_length()


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
