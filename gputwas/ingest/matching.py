"""The rows of a file that are about variants of the panel, and which row is about which variant.

In: a reader of summary statistics and a panel. Out: `Matched`, and the numbers of the rows that it is about.

Each batch is cut to the panel's variants as soon as it is read, so memory grows with the panel and not with
the file. What was matched is remembered: a later file that lists the same variants in the same order needs
only its numbers read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.reader import NotAlikeError
from gputwas.formats.sumstats.sources import SourceError
from gputwas.ingest.keys import Key, PlaceKey, one_array
from gputwas.ingest.layouts import KnownLayout, Matched
from gputwas.ingest.lifted_gwas import complemented
from gputwas.ingest.panel import PanelFilter, PanelIndex, PlaceFilter, filter_for
from gputwas.variants.align import Alignment, Mode, Palindromes, align, infer_other_allele
from gputwas.variants.match import best_candidates

__all__ = ["ROLES_USED", "Matching", "Reader", "read_rows", "roles_for", "where"]

log = logging.getLogger(__name__)

_NUMBERS = ("z", "beta", "se", "p", "nlog10_p", "sign", "n")
_TEXTS = ("variant_id", "effect_allele", "other_allele")
ROLES_USED = (*_TEXTS, *_NUMBERS, "chromosome")
"""Columns that are looked at; a reader may leave out all others."""


def roles_for(key: Key) -> tuple[str, ...]:
    """The same for rows that are matched by a key."""
    return (*ROLES_USED, "position") if isinstance(key, PlaceKey) else ROLES_USED


Float = npt.NDArray[np.float64]


class Reader(Protocol):
    """What `read_trait` needs of a reader of summary statistics."""

    @property
    def paths(self) -> Sequence[str]:
        """The files."""

    @property
    def layout(self) -> Any:
        """What was taken for what."""

    @property
    def rows_read(self) -> int:
        """Well-formed data rows, known after the iteration."""

    @property
    def rows_malformed(self) -> int:
        """Rows that could not be split into the header's columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of rows in file order."""


@dataclass(frozen=True)
class Matching:
    """What decides which rows belong to which variants.

    Attributes
    ----------
    mode, palindromes : see `align`. keep_all : use rows whose identifier does not contain "rs", of those that
        are matched by the panel's own identifiers. key : `name` of the key that they are matched by.
    """

    mode: Mode
    keep_all: bool
    palindromes: Palindromes
    key: Hashable = "id"


def read_rows(
    reader: Reader, panel: PanelIndex, how: Matching, seen: PanelFilter | None, key: Key | None = None
) -> tuple[Matched, dict[str, Float]]:
    """Read a file.

    Parameters
    ----------
    seen : the filter that the reader was opened with, if it was.
    key : by what rows are matched; None = the panel's identifiers.

    Returns
    -------
    The pairs of rows and variants (none if nothing was found), and role -> float64 (rows,), NaN = missing.

    Raises
    ------
    InputError
        If there is no column of identifiers or alleles, or what the reader raises.
    """
    key = key or panel.key
    kind = getattr(reader, "kind", None)
    like = None if kind is None else (kind, how)
    known = None if like is None else panel.layouts.get(like)
    if known is not None:
        try:
            numbers = _numbers_alone(reader, known)
        except SourceError:
            raise  # and no second download to hear it again
        except InputError:  # most likely of this file alone: it says nothing about the next ones
            log.info("%s: cannot be read like the files of its kind; it is read anew in full", where(reader))
        except NotAlikeError:
            panel.layouts.failed(like)
            log.info("%s: lists other variants than its kind; it is read anew in full", where(reader))
        else:
            panel.layouts.fitted(like)
            return known.matched, numbers
    rows = _collect(reader, key, how, seen or filter_for(panel, key), filtered=seen is not None)
    if key.lift is not None:
        key.lift.check(rows.lifted, rows.placed or 0, where(reader))
    if rows.table is None or rows.table.num_rows == 0:
        return _nothing(rows), {}
    matched = _align(rows, rows.table, panel, how)
    if like is not None:
        _remember(reader, panel, like, rows, matched)
    return matched, {n: _float(rows.table[n]) for n in _NUMBERS if n in rows.table.column_names}


def _numbers_alone(reader: Any, known: KnownLayout) -> dict[str, Float]:
    """Numbers of the collected rows of a file that lists the variants that are known."""
    whole = pa.Table.from_batches(list(reader.follow(known.trails)))
    numbers = {name: _float(whole[name]) for name in _NUMBERS if name in whole.column_names}
    if known.collected is None:
        return numbers
    return {name: values[known.collected] for name, values in numbers.items()}


def _remember(reader: Any, panel: PanelIndex, key: Hashable, rows: _Rows, matched: Matched) -> None:
    trails = reader.trails
    if trails is None:
        return
    collected = np.concatenate(rows.collected)
    everything = len(collected) == rows.given
    panel.layouts.remember(key, KnownLayout(trails, None if everything else collected, matched))


@dataclass
class _Rows:
    """The file's rows for variants of the panel, and what is needed to say why there are so few."""

    table: pa.Table | None = None
    given: int = 0  # rows of the reader, of which `collected` are in the table
    collected: list[npt.NDArray[np.int64]] = field(default_factory=list)
    pair_rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    pair_panel: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    not_rsid: int = 0
    chromosomes: set[str] = field(default_factory=set)
    sample: list[pa.Array] = field(default_factory=list)
    lifted: Counter[str] = field(default_factory=Counter)
    placed: int | None = None


def _nothing(rows: _Rows) -> Matched:
    none = np.zeros(0, np.int64)
    verdicts = Alignment(np.zeros(0, np.int8), np.zeros(0, np.uint8))
    return Matched(
        verdicts,
        none,
        none,
        rows.not_rsid,
        frozenset(rows.chromosomes),
        tuple(rows.sample),
        True,
        rows.lifted,
        rows.placed,
    )


def _collect(reader: Reader, key: Key, how: Matching, seen: PanelFilter, *, filtered: bool) -> _Rows:
    """Read all batches and keep the rows that the key finds in the panel."""
    found = _Rows(sample=seen.sample, lifted=seen.lifted)
    tables, pair_rows, pair_panel, kept = [], [], [], 0
    for batch in reader:
        names = batch.schema.names
        _require_columns(reader, names, how.mode)
        if not filtered:
            _look(batch, key, seen)
        if "chromosome" in names:
            found.chromosomes.update(pc.unique(pc.drop_null(batch["chromosome"])).to_pylist())
        pairs = key.find(batch, None if filtered else found.lifted)
        rows, panel_rows = pairs.rows, pairs.panel_rows
        if not how.keep_all and key.exact and len(rows):
            has_rs = np.asarray(pc.match_substring(batch["variant_id"].take(pa.array(rows)), "rs"))
            found.not_rsid += len(np.unique(rows[~has_rs]))
            rows, panel_rows = rows[has_rs], panel_rows[has_rs]
        if pairs.turned is not None:
            rows, panel_rows = _without_turned_indels(batch, pairs.turned, rows, panel_rows, found.lifted)
        different, position = _different(rows)
        part = batch.select([name for name in (*_TEXTS, *_NUMBERS) if name in names])
        part = pa.table(part if len(different) == len(part) else part.take(pa.array(different)))
        tables.append(part if pairs.turned is None else complemented(part, pairs.turned[different]))
        found.collected.append(different + found.given)
        found.given += len(batch)
        pair_rows.append(position + kept)
        pair_panel.append(panel_rows)
        kept += len(different)
    found.placed = seen.placed if isinstance(seen, PlaceFilter) else None
    # Of a reader that leaves out rows the batches show only chromosomes on which something is wanted.
    found.chromosomes.update(getattr(getattr(reader, "counts", None), "chromosomes", ()))
    if tables:
        found.table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        found.pair_rows, found.pair_panel = np.concatenate(pair_rows), np.concatenate(pair_panel)
    return found


def _look(batch: pa.RecordBatch, key: Key, seen: PanelFilter) -> None:
    """What a filter sees, of a reader that has none."""
    seen.look(batch["variant_id"])
    if isinstance(key, PlaceKey) and isinstance(seen, PlaceFilter):
        names = batch.schema.names
        place = (batch[name] if name in names else None for name in ("chromosome", "position"))
        seen.note(*key.places(batch["variant_id"], *place))


def _without_turned_indels(
    batch: pa.RecordBatch,
    turned: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    panel_rows: npt.NDArray[np.int64],
    counts: Counter[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Leave out indels that came to lie on the reverse strand: what they are there, only the genome tells."""
    long = np.zeros(len(batch), bool)
    for name in ("effect_allele", "other_allele"):
        if name in batch.schema.names:
            long |= np.asarray(pc.fill_null(pc.greater(pc.utf8_length(batch[name]), 1), False))
    lost = (turned & long)[rows]
    if lost.any():
        counts["reversed_indels"] += len(np.unique(rows[lost]))
    return rows[~lost], panel_rows[~lost]


def _different(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different ones of ascending numbers, and for each number its place among them."""
    first = np.ones(len(rows), bool)
    first[1:] = rows[1:] != rows[:-1]
    return rows[first], np.cumsum(first) - 1


def _require_columns(reader: Reader, names: Iterable[str], mode: Mode) -> None:
    words = {"variant_id": "variant identifiers", "effect_allele": "effect alleles"}
    if mode == "parity":  # in strict mode the panel supplies it, see `infer_other_allele`
        words["other_allele"] = "other alleles"
    for role, word in words.items():
        if role not in names:
            raise InputError(
                f"there is no column of {word}",
                path=where(reader),
                found=reader.layout.describe(),
                remedy=f"Name it: --column {role}=NAME.",
            )


def _align(rows: _Rows, table: pa.Table, panel: PanelIndex, how: Matching) -> Matched:
    """Give each pair its verdict: each row once, at multi-allelic sites with what fits.

    In strict mode a row that fits several panel variants (one SNP that two tissues' models write on opposite
    strands) is there once for each of them.
    """
    gwas, ours = pa.array(rows.pair_rows), pa.array(rows.pair_panel)
    panel_alleles = panel.effect.take(ours), panel.other.take(ours)
    effect = one_array(table["effect_allele"]).take(gwas)
    options: dict[str, Any] = {"mode": how.mode, "palindromes": how.palindromes, "rows": rows.pair_rows}
    named = "other_allele" in table.column_names
    if named:
        other = one_array(table["other_allele"]).take(gwas)
    else:
        other = infer_other_allele(*panel_alleles, effect)
        # A row has one other allele, that of the variant it fits best.
        likely = align(*panel_alleles, effect, other, **options)
        other = other.take(pa.array(best_candidates(rows.pair_rows, likely.reason))).take(gwas)
    pairs = align(*panel_alleles, effect, other, **options)
    used = best_candidates(rows.pair_rows, pairs.reason)
    if how.mode == "strict" and len(used) < len(rows.pair_rows):
        used = np.union1d(used, np.flatnonzero(pairs.sign))
    return Matched(
        Alignment(pairs.sign[used], pairs.reason[used], pairs.strand),
        panel_rows=rows.pair_panel[used],
        file_rows=rows.pair_rows[used],
        not_rsid=rows.not_rsid,
        chromosomes=frozenset(rows.chromosomes),
        sample=tuple(rows.sample),
        names_other_allele=named,
        lifted=dict(rows.lifted),
        placed=rows.placed,
    )


def where(reader: Reader) -> str:
    """The file, or the first of them, as messages name it."""
    first = str(reader.paths[0]) if reader.paths else "(no file)"
    return first if len(reader.paths) < 2 else f"{first} and {len(reader.paths) - 1:,} more"


def _float(column: pa.ChunkedArray) -> Float:
    return np.asarray(column.cast(pa.float64()), dtype=np.float64)  # null becomes NaN
