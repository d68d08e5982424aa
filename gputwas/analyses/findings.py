"""What is told of significant tests: everything the store knows of them, in the order of their significance.

In: the tests found, in the order in which the store was read. Out: one table. Effect sizes are gathered block
by block in threads; texts are dictionary columns, of which only the codes are moved.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from gputwas.analyses.survivors import Selection, reading_threads
from gputwas.stats.tail_counts import gather
from gputwas.stores.associations import AssociationStore

__all__ = ["ANNOTATION_COLUMNS", "STUDY", "TISSUE", "Found", "decoded", "look_up"]

STUDY, TISSUE = "study", "tissue"  # families that are no column of the traits
ANNOTATION_COLUMNS = (
    "modality", "atlas", "side", "primary", "secondary", "region", "measurement",
    "fMRI_node_1", "fMRI_node_2",
)  # fmt: skip
_OF_MODELS = ("tissue", "gene", "gene_name", "chromosome", "start", "end")


@dataclass(frozen=True)
class Found:
    """The significant tests, tissue after tissue and in each block after block.

    Attributes
    ----------
    model, trait : int64 (found,), rows of the store's tables. family : int64 (found,).
    z, nlog10_p, nlog10_q : float64 (found,).
    n_tests, n_significant : int64 (families,).
    """

    model: np.ndarray
    trait: np.ndarray
    family: np.ndarray
    z: np.ndarray
    nlog10_p: np.ndarray
    nlog10_q: np.ndarray
    n_tests: np.ndarray
    n_significant: np.ndarray


def look_up(chosen: Selection, found: Found, family: str) -> pa.Table:
    """One row per test, largest -log10 p first, ties by model and trait; texts as dictionary columns.

    Parameters
    ----------
    family : the name of a column of the traits by which families were made is listed as that column too.
    """
    store = chosen.store
    effect = np.empty(found.model.size)
    parts = _blocks(store, found)
    with ThreadPoolExecutor(reading_threads(len(parts))) as pool:
        gathered = [pool.submit(_gather_effects, store, found, rows, effect) for rows in parts]
        order = _in_order(found)
        model, trait = found.model[order], found.trait[order]
        n_snps, var_g = _of_patterns(store, model, trait)
        columns: dict[str, pa.Array | np.ndarray] = {"trait": _taken(store.traits["trait"], trait)}
        columns |= {n: _taken(store.models[n], model) for n in _OF_MODELS if n in store.models.column_names}
        nlog10_p, nlog10_q = found.nlog10_p[order], found.nlog10_q[order]
        p, q = 10.0**-nlog10_p, 10.0**-nlog10_q
        for part in gathered:
            part.result()  # a block that cannot be read is refused here
    # A trait without effect sizes in the store has none here either.
    columns |= {"z": found.z[order], "effect_size": pa.array(effect[order], from_pandas=True)}
    columns |= {"nlog10_p": nlog10_p, "nlog10_q": nlog10_q, "p": p, "q": q}
    columns |= {"n_snps_used": n_snps, "var_g": var_g}
    columns["family"] = _taken(pa.array(chosen.family_names, pa.string()), found.family[order])
    for name in dict.fromkeys((*ANNOTATION_COLUMNS, family)):
        if name in store.traits.column_names and name not in columns:
            columns[name] = _taken(store.traits[name], trait)
    return pa.table(columns)


def decoded(table: pa.Table) -> pa.Table:
    """The table with the values of its dictionary columns in their place."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[place].cast(field.type.value_type))
    return table


def _taken(values: pa.Array | pa.ChunkedArray, rows: np.ndarray) -> pa.Array:
    """Rows of a column of a table of the store; texts as a dictionary column."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if not pa.types.is_string(whole.type):
        return whole.take(pa.array(rows))
    coded = whole.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.take(pa.array(rows)), coded.dictionary)


def _in_order(found: Found) -> np.ndarray:
    """Places (found,) by falling -log10 p, ties by model and trait."""
    order = np.argsort(-found.nlog10_p)
    sorted_p = found.nlog10_p[order]
    differs = sorted_p[1:] != sorted_p[:-1]
    if differs.all():
        return order
    rank = np.concatenate([[0], np.cumsum(differs)])
    span = int(found.trait.max()) + 1
    test = found.model * span + found.trait
    n_ranks, n_tests = int(rank[-1]) + 1, int(test.max()) + 1
    if n_ranks * n_tests < 2**63:  # one sort of numbers is much quicker than two keys
        return order[np.argsort(rank * n_tests + test[order])]
    return order[np.lexsort((test[order], rank))]


def _blocks(store: AssociationStore, found: Found) -> list[slice]:
    """The tests of each block of a tissue, which lie together."""
    tissue = np.searchsorted(_first_models(store), found.model, side="right")
    label = tissue * store.n_blocks + found.trait // store.block_size
    bounds = [0, *(np.flatnonzero(np.diff(label)) + 1).tolist(), label.size]
    return [slice(*pair) for pair in pairwise(bounds) if label.size]


def _first_models(store: AssociationStore) -> np.ndarray:
    return np.array([store.tissue_slice(name).start for name in store.tissues])


def _gather_effects(store: AssociationStore, found: Found, rows: slice, out: np.ndarray) -> None:
    """Effect size of the tests of one block, NaN where the store has none."""
    first, block = int(found.model[rows.start]), int(found.trait[rows.start]) // store.block_size
    tissue = int(np.searchsorted(_first_models(store), first, side="right")) - 1
    name = store.tissues[tissue]
    effect = store.read_block(name, block, "effect")
    row = found.model[rows] - store.tissue_slice(name).start
    out[rows] = gather(effect, row, found.trait[rows] - block * store.block_size)


def _of_patterns(
    store: AssociationStore, model: np.ndarray, trait: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """n_snps_used (int32) and var_g (float64) of each test."""
    occurs = np.flatnonzero(np.bincount(trait, minlength=store.traits.num_rows))
    digests = [store.pattern_of(store.trait_names[number]) for number in occurs.tolist()]
    names, number = np.unique(np.array(digests, dtype=np.str_), return_inverse=True)
    pattern_of = np.zeros(store.traits.num_rows, dtype=np.int64)
    pattern_of[occurs] = number
    n_snps, var_g = np.empty(model.size, dtype=np.int32), np.empty(model.size)
    group = pattern_of[trait]
    order = np.argsort(group, kind="stable") if names.size > 1 else np.arange(model.size)
    bounds = np.searchsorted(group[order], np.arange(names.size + 1))
    for name, first, last in zip(names.tolist(), bounds, bounds[1:], strict=False):
        pattern = store.read_pattern(name)  # one for all traits that miss the same SNPs
        rows = order[first:last]
        n_snps[rows], var_g[rows] = pattern.n_snps_used[model[rows]], pattern.var_g[model[rows]]
    return n_snps, var_g
