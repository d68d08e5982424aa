"""By what the rows of a GWAS are matched to the variants of a panel.

In: batches of rows, and a panel's identifiers or places. Out: pairs (row of the batch, variant of the panel).

A `TextKey` compares identifiers as text: the panel's own, or those that the file has for the panel's variants
(spelled its way, or through a map). A `PlaceKey` compares chromosome and position, if need be lifted to the
panel's build. Either only proposes: what the alleles say is looked at later, and the same for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.values import chromosomes
from gputwas.variants.identifiers import places_of
from gputwas.variants.match import PlaceIndex, VariantIndex

if TYPE_CHECKING:
    from gputwas.ingest.lifted_gwas import BuildLift

__all__ = ["Found", "Key", "PlaceKey", "TextKey", "one_array", "single_pairs"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Found:
    """Pairs of rows and variants.

    Attributes
    ----------
    rows, panel_rows : int64 (pairs,), ascending by row, then by variant.
    turned : bool (rows of the batch,), those whose alleles are to be complemented; None if there is none.
    """

    rows: Rows
    panel_rows: Rows
    turned: npt.NDArray[np.bool_] | None = None


class TextKey:
    """Identifiers compared as text.

    Parameters
    ----------
    texts : string array (texts,). panel_rows : int64 (texts,), the variant that each means; None = each its
        own row. name : equal for keys that match alike. said : how rows are matched, behind "matched by".
    placed : the texts tell a place. alleles : and the alleles there.
    """

    def __init__(
        self,
        texts: pa.Array,
        panel_rows: Rows | None = None,
        *,
        by: Literal["id", "map"] = "id",
        name: Hashable = "id",
        said: str = "identifier",
        placed: bool = False,
        alleles: bool = False,
    ) -> None:
        self.by, self.name, self.said = by, name, said
        self.placed, self.alleles = placed, alleles
        self.exact = panel_rows is None
        self.lift: BuildLift | None = None
        self._panel_rows = panel_rows
        self.index = VariantIndex(texts)

    def find(self, batch: pa.RecordBatch, counts: Counter[str] | None = None) -> Found:
        """Pair the rows of a batch (column variant_id) with variants of the panel."""
        rows, places = self.index.find(batch["variant_id"])
        if self._panel_rows is None:
            return Found(rows, places)
        return Found(rows, self._panel_rows[places])


class PlaceKey:
    """Chromosome and position.

    Parameters
    ----------
    index : places of the panel. columns : the file's two columns; None = its identifiers tell the place.
    lift : the way to the panel's build, where the file is of another one.
    """

    by: Literal["position"] = "position"
    exact, placed, alleles = False, True, False

    def __init__(
        self, index: PlaceIndex, columns: tuple[str, str] | None, lift: BuildLift | None = None
    ) -> None:
        self.index, self.columns, self.lift = index, columns, lift
        self.name: Hashable = ("position", columns is None, None if lift is None else lift.name)
        source = "read from the identifiers" if columns is None else f"columns {columns[0]!r}, {columns[1]!r}"
        lifted = "" if lift is None else f", lifted from {lift.said}"
        self.said = f"chromosome and position ({source}){lifted}"

    def places(
        self, ids: pa.Array, chromosome: pa.Array | None, position: pa.Array | None
    ) -> tuple[pa.Array, pa.Array]:
        """Chromosome and position of rows, as the file has them; null where it has none.

        Parameters
        ----------
        ids : string array (rows,). chromosome, position : string and int64 arrays, None = no such column.
        """
        if self.columns is None:
            chromosome, position = places_of(one_array(ids))
            return chromosomes(chromosome), position
        if chromosome is None or position is None:
            return pa.nulls(len(ids), pa.string()), pa.nulls(len(ids), pa.int64())
        return chromosome, position

    def codes(
        self, chromosome: pa.Array, position: pa.Array, counts: Counter[str] | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
        """Places in the panel's build as numbers for its index, and which rows turned; see `BuildLift`."""
        if self.lift is None:
            return self.index.codes(chromosome, position), None
        chromosome, position, turned = self.lift.place(chromosome, position, counts)
        return self.index.codes(chromosomes(chromosome), position), turned

    def find(self, batch: pa.RecordBatch, counts: Counter[str] | None = None) -> Found:
        """Pair the rows of a batch (chromosome, position, variant_id) with variants of the panel."""
        names = batch.schema.names
        place = (batch[name] if name in names else None for name in ("chromosome", "position"))
        codes, turned = self.codes(*self.places(batch["variant_id"], *place), counts)
        return Found(*self.index.find(codes), turned)


Key = TextKey | PlaceKey


def single_pairs(texts: pa.Array, panel_rows: Rows) -> tuple[pa.Array, Rows]:
    """Pairs of a text and a variant, each once, in the order of the variants; missing texts are left out."""
    there = np.flatnonzero(np.asarray(pc.is_valid(texts)))
    texts, panel_rows = texts.take(pa.array(there)), panel_rows[there]
    coded = np.asarray(texts.dictionary_encode().indices, dtype=np.int64)
    pair = coded * (int(panel_rows.max(initial=0)) + 1) + panel_rows
    _, first = np.unique(pair, return_index=True)
    first = first[np.lexsort((first, panel_rows[first]))]
    return texts.take(pa.array(first)), panel_rows[first]


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One string array of a column that may come in chunks."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole if whole.type in (pa.string(), pa.large_string()) else whole.cast(pa.string())
