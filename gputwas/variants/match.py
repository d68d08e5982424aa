"""Finds the rows of a GWAS that belong to a panel, by identifier or by place in the genome.

In: the identifiers (or chromosomes and positions) of the panel once, then those of each batch of rows. Out:
pairs (row of the batch, row of the panel). An identifier or a place may stand for several panel rows (a
multi-allelic site); the alleles decide later.

Identifiers are looked up by their hashes, and what is found is compared as text, so a collision of hashes
costs time but never gives a wrong pair.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.arrow_texts import buffers_of
from gputwas.kernels import library
from gputwas.kernels.texts import TextTable
from gputwas.variants.text_hash import hash_texts

__all__ = ["HashIndex", "PlaceIndex", "VariantIndex", "best_candidates"]

_Rows = npt.NDArray[np.int64]
_POSITION_BITS = np.int64(32)

_BITS_PER_ID = 4  # the table has 2**4 or more entries per identifier, so it lets about 6 % of strangers pass


class VariantIndex:
    """Identifiers of a panel, ready to be looked up.

    Parameters
    ----------
    ids : string array (panel rows,). Null never matches. Repeated identifiers are allowed.

    Attributes
    ----------
    table : the identifiers for compiled code; None where the compiled library is missing.
    """

    def __init__(self, ids: pa.Array | pa.ChunkedArray) -> None:
        self._ids = _as_strings(ids)
        self.table = _table_of(self._ids) if library.is_there() else None
        self._hashes = None if self.table is not None else HashIndex(self._ids)

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
        if self._hashes is not None:
            return self._hashes.find(texts)
        assert self.table is not None
        offsets, data = buffers_of(texts)
        rows, panel_rows = self.table.find(data, offsets)
        if texts.null_count:
            there = np.asarray(pc.is_valid(texts))[rows]
            rows, panel_rows = rows[there], panel_rows[there]
        return rows, panel_rows

    def contains(self, ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Say of each row whether its identifier is in the panel: bool (rows,)."""
        mask = np.zeros(len(ids), bool)
        mask[self.find(ids)[0]] = True
        return mask


class HashIndex:
    """The same without the compiled library.

    The look-up costs a few array passes and no Python per variant: a table of the leading bits of the panel's
    hashes rejects nearly every row that is not wanted, and what remains is compared as text.

    Parameters
    ----------
    ids : string or large_string array (panel rows,).
    """

    def __init__(self, ids: pa.Array) -> None:
        self._ids = ids
        valid = np.flatnonzero(np.asarray(pc.is_valid(self._ids)))
        hashes = hash_texts(self._ids)[valid]
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

    def find(self, texts: pa.Array) -> tuple[_Rows, _Rows]:
        """As of `VariantIndex`."""
        hashes = hash_texts(texts)
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


class PlaceIndex:
    """Places of a panel's variants, ready to be looked up.

    Parameters
    ----------
    chromosome : string array (panel rows,). position : int64 array (panel rows,). Null never matches.
    """

    def __init__(self, chromosome: pa.Array, position: pa.Array) -> None:
        names = pc.unique(pc.drop_null(chromosome)).to_pylist()
        self._names = {name: code for code, name in enumerate(sorted(names))}
        codes = self.codes(chromosome, position)
        valid = np.flatnonzero(codes >= 0)
        order = np.argsort(codes[valid], kind="stable")
        self._rows = valid[order]
        self._codes, starts, counts = np.unique(codes[self._rows], return_index=True, return_counts=True)
        # One entry more, found by what is larger than every place of the panel: it has no rows.
        self._values = np.append(self._codes, np.int64(-2))
        self._starts, self._counts = np.append(starts, 0), np.append(counts, 0)

    def __len__(self) -> int:
        """Variants whose place is known."""
        return len(self._rows)

    def codes(self, chromosome: pa.Array, position: pa.Array) -> npt.NDArray[np.int64]:
        """One number per place, int64 (rows,): the panel's number of the chromosome << 32 | position.

        -1 where there is no such chromosome in the panel, or no position that can be one.
        """
        coded = chromosome.dictionary_encode()
        names = np.array([self._names.get(n, -1) for n in coded.dictionary.to_pylist()] + [-1], np.int64)
        number = names[np.asarray(pc.fill_null(coded.indices, len(names) - 1), dtype=np.int64)]
        place = np.asarray(pc.fill_null(position, -1), dtype=np.int64)
        known = (number >= 0) & (place > 0) & (place >> _POSITION_BITS == 0)
        return np.where(known, number << _POSITION_BITS | place, np.int64(-1))

    def find(self, codes: npt.NDArray[np.int64]) -> tuple[_Rows, _Rows]:
        """Pair rows with the panel rows at the same place.

        Parameters
        ----------
        codes : int64 (rows,), from `codes`.

        Returns
        -------
        rows, panel_rows : int64 (pairs,), ascending by row, then by panel row.
        """
        place = np.searchsorted(self._codes, codes)
        hits = np.flatnonzero(self._values[place] == codes)
        count, low = self._counts[place[hits]], self._starts[place[hits]]
        rows = np.repeat(hits, count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        return rows, self._rows[np.repeat(low, count) + within]

    def contains(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Say of each place whether the panel has a variant there: bool (rows,)."""
        return self._values[np.searchsorted(self._codes, codes)] == codes


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
    if (rows[1:] > rows[:-1]).all():  # mostly no row has several pairs
        return np.arange(len(rows))
    order = np.lexsort((reason, rows))
    first = np.ones(len(order), bool)
    first[1:] = rows[order][1:] != rows[order][:-1]
    return order[first]


def _as_strings(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    return ids if ids.type in (pa.string(), pa.large_string()) else ids.cast(pa.string())


def _table_of(ids: pa.Array) -> TextTable:
    offsets, data = buffers_of(ids)
    return TextTable.of(data, offsets, np.asarray(pc.is_valid(ids), dtype=bool))
