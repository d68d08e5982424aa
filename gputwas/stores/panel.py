"""The panel: the variants that rows of a store stand for, and the way from one panel to another.

In: tables of variants. Out: checks, a digest, and for each variant of one panel its row and sign in another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.arrow_texts import buffers_of
from gputwas.errors import InputError
from gputwas.kernels import library
from gputwas.kernels.texts import TextTable
from gputwas.stores.hashing import ContentHash

__all__ = ["PANEL_COLUMNS", "PanelMap", "check_panel", "map_panel", "panel_digest"]

PANEL_COLUMNS = ("variant_id", "effect_allele", "other_allele")  # chromosome and position may be there too
_SEPARATOR = "\t"  # cannot stand in an identifier or an allele of a text file


@dataclass(frozen=True, eq=False)
class PanelMap:
    """Where the variants of a model panel are in a store's panel.

    Attributes
    ----------
    index : int32 (variants of the model panel,): row of the store's panel, -1 where it has no such variant.
    sign : int8, same length: 1 same effect allele, -1 effect and other allele exchanged, 0 no such variant.
    """

    index: np.ndarray
    sign: np.ndarray

    @property
    def found(self) -> int:
        """Number of variants that the store's panel has."""
        return int(np.count_nonzero(self.sign))


def check_panel(panel: pa.Table) -> None:
    """Refuse a panel with missing columns, missing values, equal alleles or repeated variants.

    Raises
    ------
    InputError
        Naming the first offending variant.
    """
    import pyarrow.compute as pc  # which takes longer to load than most panels to compare

    for name in PANEL_COLUMNS:
        if name not in panel.column_names:
            raise InputError("the panel lacks a column", column=name, found=", ".join(panel.column_names))
        if panel[name].null_count:
            raise InputError(f"{panel[name].null_count:,} variants of the panel lack a value", column=name)
    same = pc.equal(panel["effect_allele"], panel["other_allele"])
    if pc.any(same).as_py():
        first = pc.index(same, True).as_py()
        raise InputError(
            "a variant of the panel has equal alleles",
            found=f"{panel['variant_id'][first].as_py()} {panel['effect_allele'][first].as_py()}",
        )
    if _all_differ(panel["variant_id"]):
        return  # which spares the joining of identifiers and alleles
    counts = pc.value_counts(_keys(panel)).flatten()
    if len(counts[0]) < panel.num_rows:
        repeated = counts[0].filter(pc.greater(counts[1], 1))[0].as_py()
        raise InputError("a variant is twice in the panel", found=repeated.replace(_SEPARATOR, " "))


def _all_differ(ids: pa.ChunkedArray) -> bool:
    """Whether no identifier, of which none is null, is there twice."""
    if not library.is_there() or not len(ids):
        return len(ids.unique()) == len(ids)
    ends, text = buffers_of(ids.cast(pa.large_string()).combine_chunks())
    return TextTable.of(text, ends, np.ones(len(ids), dtype=bool)).repeats == 0


def panel_digest(panel: pa.Table) -> str:
    """Digest of identifiers, alleles and their order, which decide what a row is; positions do not count."""
    return ContentHash().add_table("panel", panel.select(PANEL_COLUMNS)).hexdigest()


def map_panel(store_panel: pa.Table, model_panel: pa.Table) -> PanelMap:
    """Find each variant of a model panel in a store's panel by identifier and unordered pair of alleles.

    A strand is not guessed: a variant whose alleles are the complement is another variant here.
    """
    import pyarrow.compute as pc

    index = pc.index_in(_keys(model_panel), value_set=_keys(store_panel))
    rows = index.fill_null(-1).to_numpy().astype(np.int32, copy=False)
    found = rows >= 0
    matched = store_panel["effect_allele"].take(pa.array(rows[found]))
    same = pc.equal(matched, model_panel["effect_allele"].filter(pa.array(found))).to_numpy()
    sign = np.zeros(len(rows), dtype=np.int8)
    sign[found] = np.where(same, 1, -1)
    return PanelMap(rows, sign)


def _keys(panel: pa.Table) -> pa.Array:
    import pyarrow.compute as pc

    effect, other = panel["effect_allele"], panel["other_allele"]
    pieces = (panel["variant_id"], pc.min_element_wise(effect, other), pc.max_element_wise(effect, other))
    long = [piece.cast(pa.large_string()) for piece in pieces]  # all keys together may pass 2 GiB
    joined = pc.binary_join_element_wise(*long, pa.scalar(_SEPARATOR, pa.large_string()))
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
