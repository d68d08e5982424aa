"""The key of a GWAS whose identifiers lead to the panel's through a map file.

In: the map, the panel, and some identifiers of the GWAS. Out: a `TextKey` of the GWAS's identifiers. Which
column of the map holds which is told by what is found: identifiers of the panel in one, identifiers of the
GWAS, or such as are spelled like them, in the other.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.formats.id_map import IdMap
from gputwas.ingest.keys import TextKey, single_pairs
from gputwas.ingest.panel import PanelIndex
from gputwas.variants.identifiers import Style, places_of, spelling_of, style_of
from gputwas.variants.match import VariantIndex

__all__ = ["mapped_key"]

log = logging.getLogger(__name__)

_ENOUGH = 100  # identifiers of the panel in a column, and no further block is looked at


def mapped_key(
    panel: PanelIndex, path: str, digest: str, ids: pa.Array, source: str | None, target: str | None
) -> TextKey:
    """Make the key, or give the one that was made of the same columns before.

    Which column has the GWAS's identifiers is told for each file by itself: two files that name variants in
    the same way, on two builds, may have theirs in two columns.

    Parameters
    ----------
    path : the map. digest : of its contents. ids : some identifiers of the GWAS.
    source, target : names of the columns with the GWAS's and the panel's identifiers; None = told.

    Raises
    ------
    InputError : the map cannot be read, lacks a column, or names no variant of the panel.
    UsageError : which columns are meant cannot be told.
    """
    begun = panel.kept(
        ("columns", digest, source, target), lambda: _Begun(panel, IdMap(path), source, target)
    )
    origin, to = begun.source_column(ids), begun.to
    name = ("map", digest, origin, to)
    return panel.kept(name, lambda: _read(begun.table, panel, origin, to, name))


class _Begun:
    """A map of which the first rows are known, so that one look tells what its columns hold.

    Attributes
    ----------
    table : the map. to : place of the column with the panel's identifiers.
    """

    def __init__(self, panel: PanelIndex, table: IdMap, source: str | None, target: str | None) -> None:
        self.table = table
        _require_header(table, panel)
        to = table.column(target, "--map-to") if target is not None else None
        self._origin = table.column(source, "--map-from") if source is not None else None
        self.to = _panel_column(table, panel, self._origin) if to is None else to

    @cached_property
    def _samples(self) -> dict[int, pa.Array]:
        columns = [place for place in range(len(self.table.names)) if place != self.to]
        block = next(self.table.blocks(columns), None) or [pa.array([], pa.string())] * len(columns)
        return {c: _first_of_lists(values) for c, values in zip(columns, block, strict=True)}

    @cached_property
    def _look(self) -> dict[int, tuple[object, ...]]:
        return {column: _looks(values) for column, values in self._samples.items()}

    def source_column(self, ids: pa.Array) -> int:
        """The column that holds ids of the GWAS's sample, else the one whose ids are spelled like them.

        Raises
        ------
        UsageError : there is no such column, or more than one.
        """
        if self._origin is not None:
            return self._origin
        index = VariantIndex(ids)
        hits = {column: int(index.contains(values).sum()) for column, values in self._samples.items()}
        most = max(hits, key=lambda column: hits[column])
        if hits[most] and list(hits.values()).count(hits[most]) == 1:
            return most
        wanted, names = _looks(ids), self.table.names
        alike = [column for column, look in self._look.items() if look == wanted]
        if len(alike) == 1:
            return alike[0]
        which = ", ".join(names[c] for c in alike) if alike else "none"
        raise UsageError(
            f"{self.table.path}: which column holds the GWAS's identifiers ({style_of(ids).describe()}) "
            f"cannot be told: {which} of {', '.join(names)} looks like them. Name it: --map-from COLUMN"
        )


def _require_header(table: IdMap, panel: PanelIndex) -> None:
    """Refuse a map that begins with its first pair: that pair would be lost, and no column could be named."""
    names = pa.array(table.names, pa.string())
    rs = np.asarray(pc.match_substring_regex(names, "^rs[0-9]{3,}$"))
    ids = rs | np.asarray(pc.is_valid(places_of(names)[1])) | panel.index.contains(names)
    if ids.any():
        raise InputError(
            "the map has no header line",
            path=table.path,
            line=1,
            found=" ".join(table.names)[:200],
            expected="the names of its columns",
            remedy="Write one above it, such as: from, a tab, to.",
        )


def _read(table: IdMap, panel: PanelIndex, origin: int, to: int, name: Hashable) -> TextKey:
    said = f"identifier through {table.path} ({table.names[origin]!r} to {table.names[to]!r})"
    texts, rows, total = [pa.array([], pa.string())], [np.zeros(0, np.int64)], 0
    for ours, theirs in table.pairs(origin, to):
        total += len(ours)
        found, panel_rows = panel.index.find(theirs)
        texts.append(ours.take(pa.array(found)).cast(pa.string()))
        rows.append(panel_rows)
    ids, panel_rows = single_pairs(pa.concat_arrays(texts), np.concatenate(rows))
    if not len(ids):
        raise InputError(
            "none of the models' variants is in this map",
            path=table.path,
            column=table.names[to],
            found=f"{total:,} pairs of identifiers",
            expected=f"ids such as {panel.style.example}",
            remedy="Name the column that holds the models' ids with --map-to, or give another map.",
        )
    led = len(np.unique(panel_rows))
    log.info("%s: %s of the models' %s variants are in the map", table.path, f"{led:,}", f"{len(panel):,}")
    return TextKey(ids, panel_rows, by="map", name=name, said=said)


def _panel_column(table: IdMap, panel: PanelIndex, origin: int | None) -> int:
    """The column with most identifiers of the panel."""
    columns = [place for place in range(len(table.names)) if place != origin]
    hits = np.zeros(len(columns), np.int64)
    for block in table.blocks(columns):
        for place, values in enumerate(block):
            hits[place] += int(panel.index.contains(_first_of_lists(values)).sum())
        if hits.max() >= _ENOUGH:
            break
    if not hits.any():
        raise InputError(
            "no column of this map holds identifiers of the models",
            path=table.path,
            found=f"the columns {', '.join(table.names)}",
            expected=f"ids such as {panel.style.example}",
            remedy="Give a map that leads to these, or name its column with --map-to.",
        )
    return columns[int(hits.argmax())]


def _first_of_lists(values: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(values, ",.*", "")


def _looks(ids: pa.Array) -> tuple[object, ...]:
    """What ids of one list have in common; of an empty one nothing that another has."""
    style: Style = style_of(ids)
    spelled = spelling_of(ids) if style.positional else None
    return (style.kind, None if spelled is None else spelled[0])
