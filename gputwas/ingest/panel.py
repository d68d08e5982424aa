"""A panel made ready for reading many traits against it.

In: the panel's table. Out: an index that finds rows by identifier, and a filter for readers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.ingest.layouts import KnownLayouts
from gputwas.variants.match import VariantIndex

if TYPE_CHECKING:
    from gputwas.formats.sumstats.scan_ids import IdTable

__all__ = ["PanelFilter", "PanelIndex", "one_array", "worth_scanning"]

_SAMPLED_PER_BATCH = 5_000  # identifiers kept for a diagnosis, of each batch
_SAMPLED = 500_000
_SCANNED_FROM = 4 << 20  # bytes: scanning a smaller file gains less than what it needs takes to load


class PanelIndex:
    """A panel made ready for reading many traits against it.

    Parameters
    ----------
    panel : table (variants,) with variant_id, effect_allele, other_allele, and chromosome if known.

    Attributes
    ----------
    index : finds rows by identifier. layouts : what files that were read have taught about others like them.
    """

    def __init__(self, panel: pa.Table) -> None:
        self.ids = one_array(panel["variant_id"])
        self.effect = one_array(panel["effect_allele"])
        self.other = one_array(panel["other_allele"])
        known = "chromosome" in panel.column_names and panel["chromosome"].null_count < len(panel)
        self.chromosome = one_array(panel["chromosome"]) if known else None
        self.index = VariantIndex(self.ids)
        self.layouts = KnownLayouts()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def id_table(self) -> IdTable:
        """The identifiers, for a scan of a file's bytes."""
        from gputwas.formats.sumstats.scan_ids import IdTable

        return IdTable(self.ids)

    def on_chromosomes(self, present: AbstractSet[str]) -> int:
        """Count the variants on these chromosomes, or of unknown place; all if no chromosome is known."""
        if self.chromosome is None or not present:
            return len(self)
        there = pc.is_in(self.chromosome, value_set=pa.array(sorted(present), self.chromosome.type))
        return int(pc.sum(pc.or_(there, pc.is_null(self.chromosome))).as_py() or 0)

    def share_found(self, found: int, present: AbstractSet[str]) -> float:
        """Share, 0 to 1, that `found` variants are of those on these chromosomes.

        Of all if the panel has none there: then chromosomes are named in a way that is not understood.
        """
        return min(1.0, found / max(1, self.on_chromosomes(present) or len(self)))


class PanelFilter:
    """Tells a reader which rows are wanted, and remembers some identifiers of those that are not.

    Given as `keep` to a reader, so that it parses no number of a row that no model uses, and as `seen` to
    `read_trait`, which needs the identifiers to say what is wrong if few are found.

    Parameters
    ----------
    scan : let the reader ask before rows become columns. It reads many files faster, but needs numba, which
        takes longer to load than reading one small file.
    """

    def __init__(self, panel: PanelIndex, *, scan: bool = False) -> None:
        self._panel, self._scan = panel, scan
        self.sample: list[pa.Array] = []
        self._sampled = 0

    def __call__(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Mask of the wanted rows: bool (rows,)."""
        chosen = self.sampled(len(ids))
        if chosen is not None:
            self.remember(one_array(ids).cast(pa.string()).take(pa.array(chosen)))
        return self._panel.index.contains(ids)

    def id_table(self) -> IdTable | None:
        """The panel's identifiers for a scan of bytes, or None if there is to be none."""
        return self._panel.id_table if self._scan else None

    def sampled(self, rows: int) -> npt.NDArray[np.int64] | None:
        """Evenly spaced rows of so many whose identifiers are to be remembered; None = enough are."""
        if self._sampled >= _SAMPLED:
            return None
        return np.arange(0, rows, max(1, rows // _SAMPLED_PER_BATCH))

    def remember(self, ids: pa.Array) -> None:
        """Keep identifiers, a string array of their own, for a diagnosis."""
        self.sample.append(ids)
        self._sampled += len(ids)


def worth_scanning(paths: Iterable[str]) -> bool:
    """Whether the files of a trait are large enough for `PanelFilter`'s `scan`; URLs are taken to be."""
    sizes = (os.path.getsize(path) if os.path.exists(path) else _SCANNED_FROM for path in paths)
    return sum(sizes) >= _SCANNED_FROM


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One string array of a column that may come in chunks."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole if whole.type in (pa.string(), pa.large_string()) else whole.cast(pa.string())
