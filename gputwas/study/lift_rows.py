"""Rows of a table of variants -> the same rows on another build.

In: the cells of some rows as string arrays. Out: the cells with chromosome, position, alleles and positional
identifiers written anew, and for each row the reason why it cannot be lifted, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.detect import MISSING
from gputwas.formats.sumstats.values import Cells, positions
from gputwas.study.lift_tables import POSITIONAL, VariantTable
from gputwas.variants.identifiers import build_name
from gputwas.variants.liftover import Lifted, Liftover, Status, complement

__all__ = ["Loss", "Rows", "build_label", "lift_rows"]

_NO_ALLELE = pa.array(sorted(MISSING - {"-", "--"} | {"0"}))
_SEVERAL = "^[ACGTacgt](,[ACGTacgt])+$"
_NUMBERS = {"GRCh36": "36", "GRCh37": "37", "GRCh38": "38"}
_UCSC = {"36": "hg18", "37": "hg19", "38": "hg38"}


class Loss(IntEnum):
    """Why a row is not among those lifted."""

    NONE = 0
    """It is."""
    NO_POSITION = 1
    """Chromosome or position is missing, or no number."""
    UNKNOWN_CHROMOSOME = 2
    """The chain file has no such chromosome."""
    NOT_IN_CHAIN = 3
    """The place has no counterpart in the other build, or lies outside its chromosome."""
    SPLIT = 4
    """The place has several counterparts."""
    REVERSED_INDEL = 5
    """The other build has the place on the other strand, and the alleles are not single bases."""
    ENDS_APART = 6
    """An interval whose ends come to lie on two chromosomes or strands, or the wrong way round."""


@dataclass(frozen=True)
class Rows:
    """Some rows on the other build.

    Attributes
    ----------
    columns : string arrays (rows,), of all rows; what stands in those that are lost means nothing.
    loss : uint8 (rows,), values of `Loss`.
    status, strand : of the place (of an interval's first base), see `Lifted`.
    chromosome, position : of the source, as they were looked up.
    rewritten : identifiers that were written anew.
    """

    columns: list[pa.Array]
    loss: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]
    strand: npt.NDArray[np.int8]
    chromosome: pa.Array
    position: npt.NDArray[np.int64]
    rewritten: int


def lift_rows(
    cells: Sequence[pa.Array], table: VariantTable, liftover: Liftover, label: str | None, *, keep_split: bool
) -> Rows:
    """Move rows to the target build of `liftover`.

    Parameters
    ----------
    cells : string arrays (rows,), one for each column of the table.
    label : build to be named by identifiers that name one, see `build_label`.
    keep_split : rows with several targets get the first of them.
    """
    columns = [pc.utf8_trim_whitespace(c) if table.head.padded else c for c in cells]
    chromosome, start, end = _source(columns, table)
    lifted = liftover.lift(chromosome, start)
    loss = _losses(lifted, liftover, chromosome, start, keep_split)
    first = last = lifted.position
    if end is not None:
        other = liftover.lift(chromosome, end)
        apart = (other.code != lifted.code) | (other.strand != lifted.strand)
        apart |= (other.position - lifted.position) * lifted.strand < 0
        behind = _losses(other, liftover, chromosome, end, keep_split)
        for mask, value in ((end < start, Loss.NO_POSITION), (behind > 0, behind), (apart, Loss.ENDS_APART)):
            loss = np.where((loss == 0) & mask, value, loss).astype(np.uint8)
        first, last = np.minimum(first, other.position), np.maximum(first, other.position)
    reverse = pa.array(lifted.strand < 0)
    flipped = {at: _flipped(columns[at], reverse) for at in table.alleles}
    for alleles in flipped.values():
        loss[(loss == 0) & np.asarray(pc.is_null(alleles))] = Loss.REVERSED_INDEL
    rewritten = 0
    for at in table.ids:
        flipped[at], same, whole = _renamed(columns[at], chromosome, start, lifted, liftover, label)
        loss[(loss == 0) & same & ~whole] = Loss.REVERSED_INDEL
        rewritten += int((same & (loss == 0)).sum())
    for at, values in flipped.items():
        columns[at] = values
    _put(columns, table, lifted, first, last)
    return Rows(columns, loss, lifted.status, lifted.strand, chromosome, start, rewritten)


def build_label(build: str | None) -> str | None:
    """36, 37 or 38 of any name of a human build; None for others."""
    known = build_name(build)
    if known is not None:
        return _NUMBERS[known]
    return "36" if (build or "").lower() in ("hg18", "b36", "ncbi36", "36") else None


def _source(
    columns: list[pa.Array], table: VariantTable
) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
    """Chromosome, 1-based position (-1: none) and, of a BED, the last base."""
    if not table.places:
        parts = pc.extract_regex(columns[table.ids[0]], POSITIONAL)
        return pc.struct_field(parts, "chromosome"), _numbers(pc.struct_field(parts, "position")), None
    chromosome = columns[table.places["chromosome"]]
    position = _numbers(columns[table.places["position"]])
    if table.form != "bed":
        return chromosome, position, None
    return chromosome, np.where(position >= 0, position + 1, -1), _numbers(columns[table.places["end"]])


def _numbers(values: pa.Array) -> npt.NDArray[np.int64]:
    read = positions(values, Cells("", "position", lambda row: row))
    return np.asarray(pc.fill_null(read, -1))


def _losses(
    lifted: Lifted,
    liftover: Liftover,
    chromosome: pa.Array,
    position: npt.NDArray[np.int64],
    keep_split: bool,
) -> npt.NDArray[np.uint8]:
    loss = np.zeros(len(position), np.uint8)
    if not keep_split:
        loss[lifted.status == Status.SPLIT] = Loss.SPLIT
    gone = lifted.status == Status.UNMAPPED
    if gone.any():
        loss[gone] = Loss.NOT_IN_CHAIN
        loss[gone & (liftover.codes(chromosome) < 0)] = Loss.UNKNOWN_CHROMOSOME
        nameless = pc.fill_null(
            pc.is_in(pc.utf8_lower(chromosome), value_set=pa.array(sorted(MISSING))), True
        )
        loss[gone & ((position < 0) | np.asarray(nameless))] = Loss.NO_POSITION
    return loss


def _flipped(alleles: pa.Array, reverse: pa.Array) -> pa.Array:
    """Alleles on the target's strand; null where they cannot be told, missing ones stay as they are."""
    missing = pc.is_in(pc.utf8_lower(alleles), value_set=_NO_ALLELE)
    asked = pc.and_(reverse, pc.invert(missing))
    turned = complement(alleles)
    several = pc.and_(asked, pc.and_(pc.is_null(turned), pc.match_substring_regex(alleles, _SEVERAL)))
    if pc.any(several, min_count=0).as_py():
        turned = pc.if_else(several, _each_complement(alleles), turned)
    return pc.if_else(asked, turned, alleles)


def _each_complement(alleles: pa.Array) -> pa.Array:
    """Complements of single bases in lists such as G,T, as VCF writes several alternative alleles."""
    lists = pc.split_pattern(alleles, ",")
    bases = pa.ListArray.from_arrays(lists.offsets, complement(lists.values))
    return pc.binary_join(bases, ",")


def _renamed(
    ids: pa.Array,
    chromosome: pa.Array,
    position: npt.NDArray[np.int64],
    lifted: Lifted,
    liftover: Liftover,
    label: str | None,
) -> tuple[pa.Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Identifiers with the new place where they tell the old one of their row; others are left as they are.

    Also says which do, and of which the alleles can be written on the target's strand.
    """
    parts = pc.extract_regex(ids, POSITIONAL)
    if parts.null_count == len(parts):
        return ids, np.zeros(len(ids), bool), np.ones(len(ids), bool)
    field = {
        name: pc.struct_field(parts, name) for name in ("chromosome", "a", "b", "first", "c", "second", "d")
    }
    there = _numbers(pc.struct_field(parts, "position")) == position
    there &= liftover.codes(field["chromosome"]) == liftover.codes(chromosome)
    there &= (position > 0) & np.asarray(pc.is_valid(parts))
    again = liftover.lift(field["chromosome"], np.where(there, position, -1))  # in the identifier's spelling
    reverse = pa.array(lifted.strand < 0)
    lettered = pc.and_(reverse, pc.fill_null(pc.not_equal(field["first"], ""), False))
    first, second = (pc.if_else(lettered, complement(field[n]), field[n]) for n in ("first", "second"))
    whole = np.asarray(pc.and_(pc.is_valid(first), pc.is_valid(second))) | ~there
    old = pc.struct_field(parts, "build")
    build = _relabelled(old, label)
    behind = pc.if_else(pc.and_(pc.equal(build, ""), pc.not_equal(old, "")), "", field["d"])
    new = pc.binary_join_element_wise(
        again.chromosome, field["a"], pa.array(again.position).cast(pa.string()), field["b"], first,
        field["c"], second, behind, build, "",
    )  # fmt: skip
    return pc.coalesce(pc.if_else(pa.array(there), new, ids), ids), there, whole


def _relabelled(builds: pa.Array, label: str | None) -> pa.Array:
    """Names of builds in the same manner for the new one; none where it has no number."""
    coded = builds.dictionary_encode()
    names = [_named_alike(text, label) for text in coded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(coded.indices)


def _named_alike(text: str | None, label: str | None) -> str:
    if not text or label is None:
        return ""
    if text.startswith("hg"):
        return _UCSC[label]
    stem = text.rstrip("0123456789")
    return (
        {"GRCh": "NCBI36", "NCBI": "NCBI36"}.get(stem, stem + label)
        if label == "36"
        else (f"GRCh{label}" if stem == "NCBI" else stem + label)
    )


def _put(
    columns: list[pa.Array],
    table: VariantTable,
    lifted: Lifted,
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
) -> None:
    """Write the new places into the columns."""
    if not table.places:
        return
    columns[table.places["chromosome"]] = pc.fill_null(lifted.chromosome, "")
    offset = 1 if table.form == "bed" else 0
    columns[table.places["position"]] = pa.array(first - offset).cast(pa.string())
    if "end" in table.places:
        columns[table.places["end"]] = pa.array(last).cast(pa.string())
    if table.strand is not None:
        signs = columns[table.strand]
        turned = pc.if_else(pc.equal(signs, "+"), "-", pc.if_else(pc.equal(signs, "-"), "+", signs))
        columns[table.strand] = pc.if_else(pa.array(lifted.strand < 0), turned, signs)
