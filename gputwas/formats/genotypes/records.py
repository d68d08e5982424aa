"""From the records of a genotype file to the rows of a panel: one row per alternative allele.

In: chromosome, position, id and alleles of each record, spelled as in the file. Out: the table of variants
as every panel has it, and for each row the record and the allele it stands for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.sumstats.values import chromosomes

__all__ = ["Rows", "record_table", "rows_of_records", "variant_table"]

_ROWS_AT_A_TIME = 65_536
_VARIANTS = pa.schema(
    [
        ("variant_id", pa.string()),
        ("chromosome", pa.string()),
        ("position", pa.int64()),
        ("effect_allele", pa.string()),
        ("other_allele", pa.string()),
    ]
)
_RECORDS = pa.schema(
    [
        ("chromosome", pa.string()),
        ("position", pa.int64()),
        ("variant_id", pa.string()),
        ("reference", pa.string()),
        ("alternatives", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a panel.

    Attributes
    ----------
    record : int64 (rows,): number of the record in the file.
    allele : int64 (rows,): which allele of it, 1 for the first ALT.
    variants : see `variant_table`.
    """

    record: np.ndarray
    allele: np.ndarray
    variants: pa.Table


def record_table(records: Iterable[tuple[str, int, str | None, str, Sequence[str]]]) -> pa.Table:
    """Gather records of chromosome, position, id, reference allele and list of ALT alleles, bit by bit."""
    iterator = iter(records)
    batches = []
    while rows := list(itertools.islice(iterator, _ROWS_AT_A_TIME)):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _RECORDS, strict=True)]
        batches.append(pa.record_batch(arrays, _RECORDS))
    return pa.Table.from_batches(batches, _RECORDS).combine_chunks()


def rows_of_records(records: pa.Table) -> Rows:
    """One row per ALT allele of each record; a record without one has a row whose effect allele is null.

    Parameters
    ----------
    records : Arrow table (records,) as `record_table` makes it.
    """
    alternatives = _plain(records["alternatives"])
    counts = np.asarray(pc.list_value_length(alternatives)).astype(np.int64)
    if np.any(counts == 0):
        filled = [entry or ["."] for entry in alternatives.to_pylist()]
        alternatives, counts = pa.array(filled, pa.list_(pa.string())), np.maximum(counts, 1)
    record = np.repeat(np.arange(len(counts)), counts)
    allele = np.arange(len(record)) - (np.cumsum(counts) - counts)[record] + 1
    taken = records.drop_columns("alternatives").take(pa.array(record))
    variants = variant_table(
        taken["variant_id"],
        taken["chromosome"],
        taken["position"],
        pc.list_flatten(alternatives),
        taken["reference"],
    )
    return Rows(record, allele, variants)


def variant_table(
    variant_id: pa.Array, chromosome: pa.Array, position: pa.Array, effect: pa.Array, other: pa.Array
) -> pa.Table:
    """Put the columns of a file into the spelling of `GenotypePanel.variants`.

    Chromosomes lose "chr" and leading zeros; 23 and 25 (PLINK's XY) are X, 24 is Y, 26 is MT. An id ``.``,
    a chromosome 0, an allele ``.`` or ``0`` and empty cells are null.
    """
    columns = [
        _without(variant_id, [".", ""]),
        chromosomes(_plain(chromosome)),
        pc.cast(_plain(position), pa.int64()),
        _without(pc.utf8_upper(_plain(effect)), [".", "0", ""]),
        _without(pc.utf8_upper(_plain(other)), [".", "0", ""]),
    ]
    return pa.table(
        [pc.cast(_plain(column), field.type) for column, field in zip(columns, _VARIANTS, strict=True)],
        _VARIANTS,
    )


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _without(column: pa.Array | pa.ChunkedArray, missing: list[str]) -> pa.Array:
    plain = _plain(column)
    return pc.if_else(pc.is_in(plain, pa.array(missing)), pa.scalar(None, plain.type), plain)
