"""A panel made ready for reading many traits against it.

In: the panel's table. Out: an index that finds rows by identifier, and a filter for readers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.variants.match import VariantIndex

__all__ = ["PanelFilter", "PanelIndex", "one_array"]

_SAMPLED_PER_BATCH = 5_000  # identifiers kept for a diagnosis, of each batch
_SAMPLED = 500_000


class PanelIndex:
    """A panel made ready for reading many traits against it.

    Parameters
    ----------
    panel : table (variants,) with variant_id, effect_allele, other_allele, and chromosome if known.
    """

    def __init__(self, panel: pa.Table) -> None:
        self.ids = one_array(panel["variant_id"])
        self.effect = one_array(panel["effect_allele"])
        self.other = one_array(panel["other_allele"])
        known = "chromosome" in panel.column_names and panel["chromosome"].null_count < len(panel)
        self.chromosome = one_array(panel["chromosome"]) if known else None
        self.index = VariantIndex(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def on_chromosomes(self, present: set[str]) -> int:
        """Count the variants on these chromosomes, or of unknown place; all if no chromosome is known."""
        if self.chromosome is None or not present:
            return len(self)
        there = pc.is_in(self.chromosome, value_set=pa.array(sorted(present), self.chromosome.type))
        return int(pc.sum(pc.or_(there, pc.is_null(self.chromosome))).as_py() or 0)

    def share_found(self, found: int, present: set[str]) -> float:
        """Share, 0 to 1, that `found` variants are of those on these chromosomes.

        Of all if the panel has none there: then chromosomes are named in a way that is not understood.
        """
        return min(1.0, found / max(1, self.on_chromosomes(present) or len(self)))


class PanelFilter:
    """Tells a reader which rows are wanted, and remembers some identifiers of those that are not.

    Given as `keep` to a reader, so that it parses no number of a row that no model uses, and as `seen` to
    `read_trait`, which needs the identifiers to say what is wrong if few are found.
    """

    def __init__(self, panel: PanelIndex) -> None:
        self._panel = panel
        self.sample: list[pa.Array] = []
        self._sampled = 0

    def __call__(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Mask of the wanted rows: bool (rows,)."""
        if self._sampled < _SAMPLED:
            self.sample.append(_thinned(ids, _SAMPLED_PER_BATCH))
            self._sampled += len(self.sample[-1])
        return self._panel.index.contains(ids)


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One string array of a column that may come in chunks."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole if whole.type in (pa.string(), pa.large_string()) else whole.cast(pa.string())


def _thinned(ids: pa.Array, most: int) -> pa.Array:
    """Evenly spaced identifiers, copied so that the batch they come from can be freed."""
    step = max(1, len(ids) // most)
    return one_array(ids).cast(pa.string()).take(pa.array(np.arange(0, len(ids), step)))
