"""What a GWAS would give if it were imported, and by what its rows could be matched.

In: a reader of its file, a panel, and how rows are to be matched. Out: the trait's statistics as the import
has them, and for each way of matching how many of the panel's variants it finds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.formats.sumstats.reader import SumstatsReader
from gputwas.ingest.choose_key import MatchOptions, choose_key, possible_keys
from gputwas.ingest.keys import Key
from gputwas.ingest.matching import roles_for
from gputwas.ingest.panel import PanelIndex, filter_for
from gputwas.ingest.trait import TraitStatistics, read_trait

__all__ = ["found_by_key", "read_as_import"]


def found_by_key(
    reader: SumstatsReader, panel: PanelIndex, matching: MatchOptions, build: str | None
) -> list[tuple[str, int, float]]:
    """For each key that could serve: how rows are matched in words, variants found, and their share.

    The file is read once. Alleles are not looked at: on another genome build a few are found by chance.
    """
    keys = possible_keys(panel, reader, matching, build)
    asked = _AskAll(panel, keys)
    roles = ("variant_id", "chromosome", "position")
    for _ in reader.keeping(asked, roles):
        pass
    counts = [int(found.sum()) for found in asked.found]
    return [(key.said, count, count / max(1, len(panel))) for key, count in zip(keys, counts, strict=True)]


def read_as_import(
    reader: SumstatsReader, panel: PanelIndex, matching: MatchOptions, build: str | None, **more: Any
) -> TraitStatistics:
    """Read a file as the import reads it; `more` is for `read_trait`."""
    parity = more.get("mode") == "parity"
    key = panel.key if parity else choose_key(panel, reader, matching, build)
    wanted = filter_for(panel, key)
    opened = reader.keeping(wanted, roles_for(key))
    return read_trait(opened, panel, build=build, seen=wanted, key=None if parity else key, **more)


class _AskAll:
    """A filter that keeps no row and notes which variants each key finds."""

    def __init__(self, panel: PanelIndex, keys: list[Key]) -> None:
        self._keys = keys
        self.found = [np.zeros(len(panel), bool) for _ in keys]

    def __call__(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        return self.at(ids, None, None)

    def at(
        self, ids: pa.Array, chromosome: pa.Array | None, position: pa.Array | None
    ) -> npt.NDArray[np.bool_]:
        """Mask without any row."""
        columns = {"variant_id": ids, "chromosome": chromosome, "position": position}
        given = {name: values for name, values in columns.items() if values is not None}
        batch = pa.RecordBatch.from_pydict(given)
        for key, found in zip(self._keys, self.found, strict=True):
            found[key.find(batch).panel_rows] = True
        return np.zeros(len(ids), bool)
