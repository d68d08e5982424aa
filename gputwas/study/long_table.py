"""All associations of a store in long form, one row each, streamed into one Parquet file.

In: an association store. Out: a Parquet file with column statistics (tissue by tissue, trait by trait, gene
by gene, in the order of the store), which DuckDB, pandas, polars and R read without gputwas.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import UsageError
from gputwas.files import atomic_path
from gputwas.progress import progress
from gputwas.stats.normal import nlog10_p_from_z
from gputwas.stores.associations import AssociationStore

__all__ = ["export_long"]

ROW_GROUP = 1_000_000  # rows: few enough to be skipped by their statistics, many enough for a short footer
MOST_PIECES = 10_000  # trait-tissues kept before they are written, where few of their rows pass
SCHEMA = pa.schema(
    [
        ("tissue", pa.dictionary(pa.int32(), pa.string())),
        ("trait", pa.dictionary(pa.int32(), pa.string())),
        ("gene", pa.string()),
        ("gene_name", pa.string()),
        ("z", pa.float64()),
        ("effect_size", pa.float64()),
        ("nlog10_p", pa.float64()),
        ("var_g", pa.float64()),
        ("n_snps_used", pa.int32()),
        ("status", pa.uint8()),
    ]
)


def export_long(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    max_p: float = 1.0,
) -> int:
    """Write the associations with p <= `max_p`; returns how many.

    With `max_p` 1 the models without a result are written too, with their status, so nothing is lost.

    Raises
    ------
    UsageError : the name does not end in .parquet, or `max_p` is not in (0, 1].
    InputError : the store is unusable or lacks a trait or tissue.
    """
    if not os.fspath(out).endswith(".parquet"):
        raise UsageError(f"{os.fspath(out)}: the long table is written as Parquet; end the name in .parquet")
    if not 0 < max_p <= 1:
        raise UsageError(f"--max-p must be above 0 and at most 1, not {max_p}")
    from pyarrow import parquet

    store = AssociationStore.open(path)
    for name in traits or ():
        store.locate(name)
    for name in tissues or ():
        store.tissue_slice(name)
    names = [name for name in store.trait_names if not traits or name in set(traits)]
    chosen = [name for name in store.tissues if not tissues or name in set(tissues)]
    with (
        atomic_path(out) as temporary,
        progress("export", len(names) * len(chosen), "trait-tissues") as shown,
        parquet.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
    ):
        group = _RowGroup(writer)
        for tissue, trait in itertools.product(chosen, names):
            group.add(_rows(store, tissue, trait, max_p))
            shown.advance()
        group.write()
    return group.written


class _RowGroup:
    """Collects the rows of many trait-tissues until they make a row group."""

    def __init__(self, writer: Any) -> None:
        self.written = 0
        self._writer = writer
        self._pieces: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self._pieces.append(rows)
            self._rows += rows.num_rows
        if self._rows >= ROW_GROUP or len(self._pieces) >= MOST_PIECES:
            self.write()

    def write(self) -> None:
        if self._pieces:
            table = pa.concat_tables(self._pieces).unify_dictionaries()
            self._writer.write_table(table, row_group_size=self._rows)
        self.written += self._rows
        self._pieces, self._rows = [], 0


def _rows(store: AssociationStore, tissue: str, trait: str, max_p: float) -> pa.Table:
    inside = store.tissue_slice(tissue)
    pattern = store.read_pattern(store.pattern_of(trait))
    models = store.models.slice(inside.start, inside.stop - inside.start)
    z = store.read_trait(tissue, trait, "z").astype(np.float64)
    nlog10_p = nlog10_p_from_z(z)
    table = pa.table(
        {
            "tissue": pa.DictionaryArray.from_arrays(np.zeros(z.size, np.int32), [tissue]),
            "trait": pa.DictionaryArray.from_arrays(np.zeros(z.size, np.int32), [trait]),
            "gene": models["gene"].cast(pa.string()),
            "gene_name": models["gene_name"].cast(pa.string()),
            "z": pa.array(z, from_pandas=True),
            "effect_size": pa.array(
                store.read_trait(tissue, trait, "effect").astype(np.float64), from_pandas=True
            ),
            "nlog10_p": pa.array(nlog10_p, from_pandas=True),
            "var_g": pa.array(pattern.var_g[inside], from_pandas=True),
            "n_snps_used": pa.array(pattern.n_snps_used[inside]),
            "status": pa.array(pattern.status[inside]),
        },
        schema=SCHEMA,
    )
    if max_p == 1:
        return table
    with np.errstate(invalid="ignore"):
        return table.filter(pa.array(nlog10_p >= -np.log10(max_p)))
