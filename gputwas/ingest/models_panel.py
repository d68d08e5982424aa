"""One panel of variants for the models of all tissues.

In: the entries of every tissue. Out: a table with one row per identifier and unordered pair of alleles, and
for each entry its row and the sign that turns it to the panel's effect allele.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.ingest.models_entries import TissueEntries
from gputwas.variants.identifiers import places_of
from gputwas.variants.text_numbers import number_texts

__all__ = ["JoinedPanel", "join_panel"]

_LETTERS = {"X": 23, "Y": 24, "M": 25, "MT": 25}


@dataclass(frozen=True, eq=False)
class JoinedPanel:
    """The panel and the way of each tissue's entries to it.

    Attributes
    ----------
    table : variant_id, chromosome?, position?, effect_allele, other_allele; in genome order if the
        identifiers of all variants tell their place, otherwise in order of first appearance. The effect
        allele is that of the first model that names the variant.
    rows : per tissue int32 (entries,): row of the table.
    signs : per tissue float64 (entries,): 1, or -1 where the model's effect allele is the panel's other one.
    """

    table: pa.Table
    rows: list[np.ndarray]
    signs: list[np.ndarray]


def join_panel(tissues: Sequence[TissueEntries], chromosomes: Sequence[pa.Array]) -> JoinedPanel:
    """Join the variants of all tissues.

    Parameters
    ----------
    tissues : entries of each tissue.
    chromosomes : for each tissue string (models,), null where unknown: taken for variants whose identifier
        does not tell.
    """
    locals_ = [
        _distinct(entries, chromosome) for entries, chromosome in zip(tissues, chromosomes, strict=True)
    ]
    every = pa.concat_tables([table for table, _ in locals_]).combine_chunks()
    ids, _ = _numbers(every["variant_id"].chunks)
    alleles, n_alleles = _numbers([*every["effect_allele"].chunks, *every["other_allele"].chunks])
    effect, other = alleles[: len(ids)], alleles[len(ids) :]
    pair = np.minimum(effect, other) * n_alleles + np.maximum(effect, other)
    _, pairs = np.unique(pair, return_inverse=True)
    key = ids * (int(pairs.max(initial=0)) + 1) + pairs
    _, first, joined = np.unique(key, return_index=True, return_inverse=True)

    table = every.take(pa.array(first))
    table, order = _placed(table, first)
    row_of = np.empty(len(order), dtype=np.int32)
    row_of[order] = np.arange(len(order), dtype=np.int32)
    row = row_of[joined]
    sign = np.where(effect == effect[first][joined], 1.0, -1.0)

    starts = np.cumsum([0, *(table.num_rows for table, _ in locals_)])
    rows, signs = [], []
    for (_, inverse), start, stop in zip(locals_, starts[:-1], starts[1:], strict=True):
        rows.append(row[start:stop][inverse])
        signs.append(sign[start:stop][inverse])
    return JoinedPanel(table, rows, signs)


def _distinct(entries: TissueEntries, chromosome: pa.Array) -> tuple[pa.Table, np.ndarray]:
    """Variants of a tissue in order of first appearance, oriented as in its models; where each entry is."""
    alleles, n_alleles = _numbers([entries.effect, entries.other])
    effect, other = alleles[: len(entries.snp)], alleles[len(entries.snp) :]
    key = (entries.snp.astype(np.int64) * n_alleles + effect) * n_alleles + other
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kept = first[order]
    table = pa.table(
        {
            "variant_id": entries.ids.take(pa.array(entries.snp[kept])),
            "chromosome": chromosome.take(pa.array(entries.model[kept])),
            "effect_allele": entries.effect.take(pa.array(kept)),
            "other_allele": entries.other.take(pa.array(kept)),
        }
    )
    return table, place[inverse]


def _numbers(chunks: Sequence[pa.Array]) -> tuple[np.ndarray, int]:
    """Texts of all chunks as int64 numbers, the same for equal ones, and how many there are (at least 1)."""
    long = [chunk.cast(pa.large_string()) for chunk in chunks]  # all texts together may pass 2 GiB
    numbers, first = number_texts(pa.concat_arrays(long) if long else pa.nulls(0, pa.string()))
    return numbers.astype(np.int64), max(len(first), 1)


def _placed(table: pa.Table, first: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Give variants their places and the panel its order; `order` holds rows of the input table."""
    chromosome, position = places_of(table["variant_id"].combine_chunks())
    if position.null_count or not len(position):
        order = np.argsort(first)
    else:
        order = np.lexsort((first, position.to_numpy(), _rank(chromosome)))
    placed = pa.table(
        {
            "variant_id": table["variant_id"],
            "chromosome": pc.coalesce(chromosome, table["chromosome"].combine_chunks()),
            "position": position,
            "effect_allele": table["effect_allele"],
            "other_allele": table["other_allele"],
        }
    )
    return placed.take(pa.array(order)).combine_chunks(), order


def _rank(chromosome: pa.Array) -> np.ndarray:
    coded = chromosome.dictionary_encode()
    names = coded.dictionary.to_pylist()
    ranks = np.array([int(name) if name.isdigit() else _LETTERS.get(name, 99) for name in names])
    return ranks[coded.indices.to_numpy(zero_copy_only=False)]
