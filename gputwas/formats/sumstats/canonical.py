"""Raw columns -> canonical batches: which rows stay, and what their columns are called and mean.

In: a `RawBlock` (role -> strings or numbers). Out: one Arrow record batch with canonical columns, null
where a value is missing, `beta` the log of the odds ratio where the file has odds ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.blocks import RawBlock
from gputwas.formats.sumstats.layout import Layout
from gputwas.formats.sumstats.values import (
    Cells,
    check,
    chromosomes,
    nlog10_of,
    positions,
    signs,
    to_float,
    without_missing,
)

__all__ = ["Canonical", "Counts", "Keep"]

Columns = dict[str, pa.Array]
Keep = Callable[[pa.Array], "pa.Array | np.ndarray"]

_ORDER = (
    "variant_id",
    "chromosome",
    "position",
    "effect_allele",
    "other_allele",
    "beta",
    "se",
    "z",
    "p",
    "nlog10_p",
    "sign",
    "n",
    "effect_allele_frequency",
    "info",
)
_TYPES = {"chromosome": pa.string(), "position": pa.int64()} | {
    name: pa.string() for name in ("variant_id", "effect_allele", "other_allele")
}
_LENIENT = ("n", "effect_allele_frequency", "info")


@dataclass
class Counts:
    """What happened to the rows of one trait.

    Attributes
    ----------
    read : well-formed data rows; one that lists several ids counts as that many.
    malformed : rows with another number of cells than the header.
    other_test : rows of covariates and interactions. zero_se : kept rows whose standard error is 0.
    with_se, with_nlog10_p : kept rows that have a value there; largest_nlog10_p : their maximum.
    chromosomes : those that the file has rows on, kept or not; empty if it has no such column.
    """

    read: int = 0
    malformed: int = 0
    other_test: int = 0
    zero_se: int = 0
    with_se: int = 0
    with_nlog10_p: int = 0
    largest_nlog10_p: float = field(default=-np.inf)
    chromosomes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Canonical:
    """Turns the raw blocks of one file into canonical batches.

    Attributes
    ----------
    tests : values of the test column whose rows stay. id_list : ids may be comma-separated lists.
    roles : canonical columns wanted, or None for all that the file has.
    padded : ids may have blanks around them.

    A `keep` that has a method `at` is asked by identifier, chromosome and position (the last two as in the
    batches, None where the file has no such column) and not by identifier alone.
    """

    path: str
    layout: Layout
    counts: Counts
    keep: Keep | None = None
    parity: bool = False
    tests: tuple[str, ...] = ("ADD",)
    id_list: bool = False
    roles: frozenset[str] | None = None
    padded: bool = False

    def batch(self, raw: RawBlock) -> pa.RecordBatch:
        """Interpret one block; counts are added to."""
        columns, rows = self._rows_that_stay(raw)
        cells = {
            role: Cells(self.path, name, lambda i: raw.line_of(int(rows[i])), self.parity)
            for role, name in self.layout.columns.items()
        }
        return self._record_batch(self._names(columns, cells) | self._statistics(columns, cells))

    def statistics(self, raw: RawBlock) -> pa.RecordBatch:
        """Interpret the statistics alone, of a block of rows that are all wanted."""
        cells = {
            role: Cells(self.path, name, raw.line_of, self.parity)
            for role, name in self.layout.columns.items()
        }
        return self._record_batch(self._statistics(raw.columns, cells))

    def _record_batch(self, out: Mapping[str, pa.Array]) -> pa.RecordBatch:
        names = [name for name in _ORDER if name in out and (self.roles is None or name in self.roles)]
        return pa.RecordBatch.from_arrays([out[name] for name in names], schema=_schema(names))

    def _rows_that_stay(self, raw: RawBlock) -> tuple[Columns, np.ndarray]:
        """Filter by test and by the caller's `keep`; returns columns and the row of each in the block."""
        columns = dict(raw.columns)
        total = len(next(iter(columns.values())))
        self.counts.read += total if raw.seen is None else raw.seen.rows
        self.counts.malformed += raw.malformed
        rows = np.arange(total)
        if "test" in columns:
            test = pc.is_in(columns.pop("test"), value_set=pa.array(self.tests))
            columns, rows = _filtered(columns, rows, test)
            self.counts.other_test += total - len(rows)
        if "variant_key" in columns:
            columns.update(_split_key(columns.pop("variant_key")))
        if "variant_id" not in columns:
            columns["variant_id"] = _made_ids(columns)
        columns["variant_id"] = _text(columns["variant_id"])
        if self.padded:
            columns["variant_id"] = pc.utf8_trim_whitespace(columns["variant_id"])
        if self.keep is None and not self.parity:
            columns, rows = self._without_headers(columns, rows)
        if self.id_list:
            listed = len(rows)
            columns, rows = _one_id_per_row(columns, rows)
            self.counts.read += len(rows) - listed
        if raw.seen is not None:
            self.note_chromosomes(raw.seen.chromosomes)
        elif self.keep is not None:
            if "chromosome" in columns:
                self.note_chromosomes(pc.unique(columns["chromosome"]))
            mask = self._wanted(self.keep, columns)
            columns, rows = _filtered(columns, rows, mask if isinstance(mask, pa.Array) else pa.array(mask))
        if raw.took is not None:
            raw.took(rows)
        return columns, rows

    def _wanted(self, keep: Keep, columns: Columns) -> pa.Array | np.ndarray:
        at = getattr(keep, "at", None)
        if at is None:
            return keep(columns["variant_id"])
        named, placed = columns.get("chromosome"), columns.get("position")
        return at(
            columns["variant_id"],
            None if named is None else chromosomes(named),
            None if placed is None else positions(placed, Cells(self.path, "position", lambda i: 0)),
        )

    def note_chromosomes(self, names: pa.Array) -> None:
        """Remember where the file has rows (names as written): what is kept of it no longer tells."""
        self.counts.chromosomes.update(pc.drop_null(chromosomes(names)).to_pylist())

    def _without_headers(self, columns: Columns, rows: np.ndarray) -> tuple[Columns, np.ndarray]:
        """Leave out headers in the middle of a file, as `cat chr*.txt` makes them, as malformed."""
        name = self.layout.columns.get("variant_id", self.layout.columns.get("variant_key"))
        if name is None:
            return columns, rows
        other = pc.not_equal(pc.fill_null(columns["variant_id"], ""), name)
        columns, kept = _filtered(columns, rows, other)
        self.counts.malformed += len(rows) - len(kept)
        self.counts.read -= len(rows) - len(kept)
        return columns, kept

    def _names(self, columns: Mapping[str, pa.Array], cells: Mapping[str, Cells]) -> dict[str, pa.Array]:
        out = {"variant_id": without_missing(columns["variant_id"], self.parity)}
        if "chromosome" in columns:
            out["chromosome"] = chromosomes(columns["chromosome"])
        if "position" in columns:
            place = cells.get("position", Cells(self.path, "position", lambda i: 0))
            out["position"] = positions(columns["position"], place)
        for role in ("effect_allele", "other_allele", "ref_allele", "alt_allele"):
            if role in columns:
                out[role] = pc.utf8_upper(pc.utf8_trim_whitespace(_text(columns[role])))
        if "ref_allele" in out and "alt_allele" in out and "other_allele" not in out:
            out["other_allele"] = pc.if_else(
                pc.equal(out["effect_allele"], out["ref_allele"]), out["alt_allele"], out["ref_allele"]
            )
        return {role: _allele_or_null(a) if role.endswith("_allele") else a for role, a in out.items()}

    def _statistics(self, columns: Mapping[str, pa.Array], cells: Mapping[str, Cells]) -> dict[str, pa.Array]:
        out: dict[str, pa.Array] = {}
        for role in ("beta", "odds_ratio", "se", "z", "p", "nlog10_p", *_LENIENT):
            if role in columns:
                out[role] = to_float(
                    columns[role], cells[role], thousands=role == "n", lenient=role in _LENIENT
                )
                # MetaXcan takes these as they are, and so turns the sign where p > 1 or se < 0
                if not self.parity or role in ("odds_ratio", "p", "se"):
                    check(role, out[role], columns[role], cells[role])
        if "sign" in columns:
            out["sign"] = signs(columns["sign"], cells["sign"])
        odds = out.pop("odds_ratio", None)
        if odds is not None and ("beta" not in out or self.parity):
            out["beta"] = _log(odds, self.parity)
        if not self.parity:
            self._strict(out, columns)
        return out

    def _strict(self, out: dict[str, pa.Array], columns: Mapping[str, pa.Array]) -> None:
        if "se" in out:
            zero = pc.fill_null(pc.equal(out["se"], 0.0), False)
            self.counts.with_se += len(zero) - out["se"].null_count
            self.counts.zero_se += pc.sum(zero, min_count=0).as_py()
            out["se"] = pc.if_else(zero, pa.scalar(None, pa.float64()), out["se"])
        if "p" in out and "nlog10_p" not in out:
            out["nlog10_p"] = nlog10_of(out["p"], columns["p"])
        elif "nlog10_p" in out and len(out["nlog10_p"]) > out["nlog10_p"].null_count:
            self.counts.with_nlog10_p += len(out["nlog10_p"]) - out["nlog10_p"].null_count
            largest = pc.max(out["nlog10_p"]).as_py()
            self.counts.largest_nlog10_p = max(self.counts.largest_nlog10_p, largest)

    def finish(self) -> None:
        """Refuse what only all rows together show."""
        columns = self.layout.columns
        if self.counts.zero_se * 2 > self.counts.with_se:
            raise InputError(
                "more than half of the standard errors are 0",
                path=self.path,
                column=columns.get("se"),
                found=f"{self.counts.zero_se:,} of {self.counts.with_se:,}",
                expected="values > 0",
                remedy="Check that this is the column of standard errors, and that it was not rounded away.",
            )
        if self.counts.with_nlog10_p >= 200 and self.counts.largest_nlog10_p <= 1:
            raise InputError(
                "the column of -log10 p never exceeds 1",
                path=self.path,
                column=columns.get("nlog10_p"),
                found=f"{self.counts.with_nlog10_p:,} values in [0, 1]",
                expected="-log10 p, one in ten above 1",
                remedy=f"If the column holds p itself, say so: --column p={columns.get('nlog10_p')}.",
            )


def _schema(names: list[str]) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.float64())) for name in names])


def _text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())


def _filtered(columns: Columns, rows: np.ndarray, mask: pa.Array) -> tuple[Columns, np.ndarray]:
    picked = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
    if len(picked) == len(rows):
        return columns, rows
    index = pa.array(picked)
    return {role: pc.take(values, index) for role, values in columns.items()}, rows[picked]


def _one_id_per_row(columns: Columns, rows: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Repeat a row for each id in a comma-separated list of ids."""
    ids = columns["variant_id"]
    if not pc.any(pc.match_substring(ids, ","), min_count=0).as_py():
        return columns, rows
    lists = pc.split_pattern(ids, ",")
    parents = pc.list_parent_indices(lists)
    out = {role: pc.take(values, parents) for role, values in columns.items() if role != "variant_id"}
    return {"variant_id": pc.list_flatten(lists), **out}, rows[parents.to_numpy()]


_KEY = (
    r"^(?P<chromosome>[^:_]+)[:_](?P<position>\d+)"
    r"[:_](?P<other_allele>[A-Za-z]+)[:_](?P<effect_allele>[A-Za-z]+)$"
)


def _split_key(keys: pa.Array) -> dict[str, pa.Array]:
    """Take chromosome:position:ref:alt apart; alt is the effect allele. The key itself stays as the id."""
    parts = pc.extract_regex(keys, _KEY)
    names = ("chromosome", "position", "other_allele", "effect_allele")
    return {"variant_id": keys} | {name: pc.fill_null(pc.struct_field(parts, name), "") for name in names}


def _made_ids(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Where a file has no ids: chromosome_position_other_effect."""
    other = columns.get("other_allele", columns.get("ref_allele"))
    place = [chromosomes(columns["chromosome"]), _text(columns["position"])]
    alleles = [pc.utf8_upper(_text(a)) for a in (other, columns["effect_allele"])]
    return pc.binary_join_element_wise(*place, *alleles, "_")


def _allele_or_null(values: pa.Array) -> pa.Array:
    missing = pc.is_in(values, value_set=pa.array(["", "NA", "N/A", ".", "NAN", "NULL", "NONE", "?", "\\N"]))
    return pc.if_else(missing, pa.scalar(None, pa.string()), values)


def _log(odds: pa.Array, parity: bool) -> pa.Array:
    """ln(OR); an odds ratio of 0 is missing, or minus infinity where MetaXcan's behaviour is wanted."""
    beta = pc.ln(odds)
    return beta if parity else pc.if_else(pc.is_finite(beta), beta, pa.scalar(None, pa.float64()))
