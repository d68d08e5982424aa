"""Finds the rows of a GWAS that belong to a panel, by identifier.

In: the identifiers of the panel once, then those of each batch of rows. Out: pairs (row of the batch, row of
the panel). An identifier may stand for several panel rows (a multi-allelic site); the alleles decide later.

The look-up costs a few array passes over the bytes of the identifiers and no Python per variant: every
identifier gets a 64-bit polynomial hash through one cumulative sum over the whole text buffer, a table of the
leading bits of the panel's hashes rejects nearly every row that is not wanted, and what remains is compared
as text, so a collision of hashes costs time but never gives a wrong pair.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["VariantIndex", "best_candidates"]

_Rows = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2**64
_MIX = np.uint64(0xD6E8FEB86659FD93)
_BITS_PER_ID = 4  # the table has 2**4 or more entries per identifier, so it lets about 6 % of strangers pass


class VariantIndex:
    """Identifiers of a panel, ready to be looked up.

    Parameters
    ----------
    ids : string array (panel rows,). Null never matches. Repeated identifiers are allowed.
    """

    def __init__(self, ids: pa.Array | pa.ChunkedArray) -> None:
        self._ids = _as_strings(ids)
        self._power = _Powers()
        valid = np.flatnonzero(np.asarray(pc.is_valid(self._ids)))
        hashes = self._power.hash(self._ids)[valid]
        # Stable: the panel rows of one identifier stay in ascending order.
        order = np.argsort(hashes, kind="stable")
        self._rows = valid[order]
        self._hashes, starts, counts = np.unique(hashes[order], return_index=True, return_counts=True)
        # One entry more, found by what is larger than every hash of the panel: it has no rows.
        self._values = np.append(self._hashes, np.uint64(0))
        self._starts, self._counts = np.append(starts, 0), np.append(counts, 0)
        bits = max(10, len(valid).bit_length() + _BITS_PER_ID)
        self._shift = np.uint64(64 - bits)
        self._present = np.zeros(1 << bits, bool)
        self._present[(self._hashes >> self._shift).astype(np.int64)] = True

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, ids: pa.Array | pa.ChunkedArray) -> tuple[_Rows, _Rows]:
        """Pair the rows of `ids` with the panel rows of the same identifier.

        Parameters
        ----------
        ids : string array (rows,).

        Returns
        -------
        rows, panel_rows : int64 (pairs,), ascending by row, then by panel row. A row whose identifier has k
            panel rows appears k times, one that is not in the panel not at all.
        """
        texts = _as_strings(ids)
        hashes = self._power.hash(texts)
        candidates = np.flatnonzero(self._present[(hashes >> self._shift).astype(np.int64)])
        wanted = hashes[candidates]
        place = np.searchsorted(self._hashes, wanted)
        count = np.where(self._values[place] == wanted, self._counts[place], 0)
        low = self._starts[place]
        rows = np.repeat(candidates, count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        panel_rows = self._rows[np.repeat(low, count) + within]
        same = pc.fill_null(pc.equal(texts.take(pa.array(rows)), self._ids.take(pa.array(panel_rows))), False)
        keep = np.asarray(same)
        return rows[keep], panel_rows[keep]

    def contains(self, ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Say of each row whether its identifier is in the panel: bool (rows,)."""
        mask = np.zeros(len(ids), bool)
        mask[self.find(ids)[0]] = True
        return mask


def best_candidates(rows: _Rows, reason: npt.NDArray[np.uint8]) -> _Rows:
    """Choose one panel variant for each row of a multi-allelic site.

    Parameters
    ----------
    rows : int64 (pairs,), ascending; the row of each pair.
    reason : uint8 (pairs,); what alignment made of the pair. Smaller is better: the kept reasons come first,
        and of these the forward strand.

    Returns
    -------
    int64 (different rows,): positions of the chosen pairs, ascending.
    """
    order = np.lexsort((reason, rows))
    first = np.ones(len(order), bool)
    first[1:] = rows[order][1:] != rows[order][:-1]
    return order[first]


class _Powers:
    """Powers of the hash's base and of its inverse modulo 2**64, as many as the longest buffer needs."""

    def __init__(self) -> None:
        self._up = np.ones(1, np.uint64)
        self._down = np.ones(1, np.uint64)

    def _grow(self, size: int) -> None:
        if len(self._up) >= size:
            return
        size = max(size, 2 * len(self._up))
        inverse = pow(_BASE, -1, 1 << 64)
        for name, base in (("_up", _BASE), ("_down", inverse)):
            factors = np.full(size, base, np.uint64)
            factors[0] = 1
            setattr(self, name, np.multiply.accumulate(factors))

    def hash(self, texts: pa.StringArray) -> _Hashes:
        """Hash every text: uint64 (rows,). Equal texts have equal hashes wherever they stand.

        With prefix sums P_k = sum_{i<k} (byte_i + 1) b^i, a text in bytes [s, e) has the value
        (P_e - P_s) b^-s; the arithmetic wraps around at 2**64.
        """
        offsets, data = _buffers(texts)
        self._grow(len(data) + 1)
        prefix = np.zeros(len(data) + 1, np.uint64)
        np.cumsum((data.astype(np.uint64) + np.uint64(1)) * self._up[: len(data)], out=prefix[1:])
        start, stop = offsets[:-1], offsets[1:]
        value = (prefix[stop] - prefix[start]) * self._down[start]
        value ^= value >> np.uint64(32)
        value *= _MIX
        return value ^ (value >> np.uint64(29))


def _as_strings(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    return ids if ids.type in (pa.string(), pa.large_string()) else ids.cast(pa.string())


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets (rows + 1,) into, and bytes of, the part of the text buffer that the array uses."""
    if len(texts) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    width = np.dtype(np.int64 if texts.type == pa.large_string() else np.int32)
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, width, count=len(texts) + 1, offset=texts.offset * width.itemsize)
    first, last = int(offsets[0]), int(offsets[-1])
    if data_buffer is None or first == last:
        return np.zeros(len(texts) + 1, np.int64), np.zeros(0, np.uint8)
    data = np.frombuffer(data_buffer, np.uint8, count=last - first, offset=first)
    return offsets.astype(np.int64) - first, data
