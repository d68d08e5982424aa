"""A panel made ready for reading many traits against it.

In: the panel's table. Out: an index that finds rows by identifier or by place, and a filter for readers.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.values import chromosomes
from gputwas.ingest.keys import Key, PlaceKey, TextKey, one_array
from gputwas.ingest.layouts import KnownLayouts
from gputwas.kernels.texts import TextTable
from gputwas.variants.identifiers import Style, places_of, style_of
from gputwas.variants.match import PlaceIndex, VariantIndex

__all__ = [
    "PanelFilter",
    "PanelIndex",
    "PlaceFilter",
    "filter_for",
    "one_array",
    "style_of_panel",
]

_SAMPLED_PER_BATCH = 5_000  # identifiers kept for a diagnosis, of each batch
_SAMPLED = 500_000
_LOOKED_AT = 20_000  # identifiers of a panel that tell how it names its variants
_KEPT = 4

Kept = TypeVar("Kept")


class PanelIndex:
    """A panel made ready for reading many traits against it.

    Parameters
    ----------
    panel : table (variants,) with variant_id, effect_allele, other_allele, and chromosome and position if
        known.

    Attributes
    ----------
    key : finds rows by identifier. layouts : what files that were read have taught about others like them.
    """

    def __init__(self, panel: pa.Table) -> None:
        self.ids = one_array(panel["variant_id"])
        self.effect = one_array(panel["effect_allele"])
        self.other = one_array(panel["other_allele"])
        known = "chromosome" in panel.column_names and panel["chromosome"].null_count < len(panel)
        self.chromosome = one_array(panel["chromosome"]) if known else None
        placed = "position" in panel.column_names and panel["position"].null_count < len(panel)
        self._position = panel["position"].combine_chunks() if placed else None
        self.key = TextKey(self.ids)
        self.layouts = KnownLayouts()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def index(self) -> VariantIndex:
        """Finds rows by identifier."""
        return self.key.index

    @cached_property
    def style(self) -> Style:
        """How the panel names its variants, by a part of them from everywhere."""
        return style_of_panel(self.ids)

    @cached_property
    def places(self) -> tuple[pa.Array, pa.Array]:
        """Chromosome and position of every variant, null where neither a column nor the identifier tells."""
        chromosome, position = places_of(self.ids)
        if self.chromosome is not None and self._position is not None:
            told = pc.and_(pc.is_valid(self.chromosome), pc.is_valid(self._position))
            chromosome = pc.if_else(told, self.chromosome, chromosome)
            position = pc.if_else(told, self._position.cast(pa.int64()), position)
        return chromosomes(chromosome.cast(pa.string())), position

    @cached_property
    def place_index(self) -> PlaceIndex:
        """Finds rows by place."""
        return PlaceIndex(*self.places)

    @property
    def placed(self) -> bool:
        """Whether the place of most variants is known."""
        return 2 * len(self.place_index) > len(self)

    def kept(self, name: Hashable, make: Callable[[], Kept]) -> Kept:
        """What `make` returns, such as a key: made once, and kept by this name for the files that follow."""
        with self._lock:  # threads of a process may read at once
            found = self._kept[name] if name in self._kept else make()
            self._kept[name] = found
            self._kept.move_to_end(name)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

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
    scan : let the reader ask before rows become columns, which is faster; only with the compiled library.
    key : by what rows are matched; None = the panel's identifiers.

    Attributes
    ----------
    sample : some identifiers. lifted : rows by what became of them in the panel's build, see `BuildLift`.
    """

    def __init__(self, panel: PanelIndex, *, scan: bool = True, key: TextKey | None = None) -> None:
        self._key, self._scan = key or panel.key, scan
        self.sample: list[pa.Array] = []
        self.lifted: Counter[str] = Counter()
        self._sampled = 0

    def __call__(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Mask of the wanted rows: bool (rows,)."""
        self.look(ids)
        return self._key.index.contains(ids)

    def look(self, ids: pa.Array) -> None:
        """Remember some identifiers of a batch."""
        chosen = self.sampled(len(ids))
        if chosen is not None:
            self.remember(one_array(ids).cast(pa.string()).take(pa.array(chosen)))

    def id_table(self) -> TextTable | None:
        """The panel's identifiers for a scan of bytes, or None if there is to be none."""
        return self._key.index.table if self._scan else None

    def sampled(self, rows: int) -> npt.NDArray[np.int64] | None:
        """Evenly spaced rows of so many whose identifiers are to be remembered; None = enough are."""
        if self._sampled >= _SAMPLED:
            return None
        return np.arange(0, rows, max(1, rows // _SAMPLED_PER_BATCH))

    def remember(self, ids: pa.Array) -> None:
        """Keep identifiers, a string array of their own, for a diagnosis."""
        self.sample.append(ids)
        self._sampled += len(ids)


class PlaceFilter(PanelFilter):
    """The same where rows are matched by their place.

    Attributes
    ----------
    watches : readers are to watch the file, so that later ones like it are known. placed : rows that have a
        chromosome and a position.
    """

    def __init__(self, panel: PanelIndex, key: PlaceKey, *, scan: bool = True) -> None:
        super().__init__(panel, scan=False)  # by place: no cell alone tells what is wanted
        self._place, self.watches = key, scan
        self.placed = 0

    def at(
        self, ids: pa.Array, chromosome: pa.Array | None, position: pa.Array | None
    ) -> npt.NDArray[np.bool_]:
        """Mask of the wanted rows: bool (rows,)."""
        self.look(ids)
        chromosome, position = self._place.places(ids, chromosome, position)
        self.note(chromosome, position)
        return self._place.index.contains(self._place.codes(chromosome, position, self.lifted)[0])

    def note(self, chromosome: pa.Array, position: pa.Array) -> None:
        """Count the rows that have a place."""
        both = pc.and_(pc.is_valid(chromosome), pc.is_valid(position))
        self.placed += pc.sum(both, min_count=0).as_py()


def filter_for(panel: PanelIndex, key: Key, *, scan: bool = True) -> PanelFilter:
    """The filter that goes with a key."""
    return (
        PlaceFilter(panel, key, scan=scan)
        if isinstance(key, PlaceKey)
        else PanelFilter(panel, scan=scan, key=key)
    )


def style_of_panel(ids: pa.Array | pa.ChunkedArray) -> Style:
    """How a panel names its variants, by a part of them from everywhere."""
    step = max(1, len(ids) // _LOOKED_AT)
    return style_of(one_array(ids.take(pa.array(np.arange(0, len(ids), step)))))
