"""A small study in all three stores, the same on every call; shared by the tests of this room.

In: a seed. Out: a panel, a model set, traits, and functions that write them in the way a command would.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import xxhash

from gputwas.files import TEMPORARY_PREFIX
from gputwas.stores.arrow import open_table
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import read_json
from gputwas.stores.models import ModelSet, write_models_store

ALLELES = np.array([("A", "G"), ("C", "T"), ("G", "T"), ("AC", "A")])
TRAITS = ("IDP 0001", "lh/area", "ü", "volume", "with,comma")
MODEL_INPUTS = {"a.db": {"bytes": 3, "xxh3_128": "aa"}, "a.txt.gz": {"bytes": 4, "xxh3_128": "bb"}}


def make_panel(variants: int = 40) -> pa.Table:
    """Panel with made-up identifiers; the last variant has no position."""
    pairs = ALLELES[np.arange(variants) % len(ALLELES)]
    position = [1000 + 10 * row for row in range(variants - 1)] + [None]
    return pa.table(
        {
            "variant_id": [f"rs{row + 1}" for row in range(variants)],
            "chromosome": ["1"] * (variants - 1) + [None],
            "position": pa.array(position, pa.int64()),
            "effect_allele": pairs[:, 0].tolist(),
            "other_allele": pairs[:, 1].tolist(),
        }
    )


def make_models(seed: int = 0, genes: tuple[int, ...] = (3, 0, 5, 1), variants: int = 40) -> ModelSet:
    """Model set with `genes[i]` models in tissue i; some entries lack LD, one model has none at all."""
    rng = np.random.default_rng(seed)
    panel = make_panel(variants)
    tissues = [f"Tissue_{i}" for i, count in enumerate(genes) for _ in range(count)]
    names = [f"ENSG{i:05d}" for count in genes for i in range(count)]
    sizes = rng.integers(1, 7, len(names))
    n_in_ld = np.maximum(sizes - rng.integers(0, 3, len(names)), 0).astype(np.int32)
    n_in_ld[0] = 0
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    triangles = n_in_ld.astype(np.int64) * (n_in_ld + 1) // 2
    chosen = [np.sort(rng.choice(variants, size, replace=False)) for size in sizes]
    models = pa.table(
        {
            "tissue": tissues,
            "gene": names,
            "gene_name": [name.lower() if i % 2 else None for i, name in enumerate(names)],
            "n_snps_in_cov": pa.array([int(n) or None for n in n_in_ld], pa.int64()),
            "var_g": np.where(n_in_ld, rng.random(len(names)), np.nan),
        }
    )
    return ModelSet(
        panel=panel,
        models=models,
        offsets=offsets,
        variants=np.concatenate(chosen).astype(np.int32),
        weights=rng.normal(size=int(offsets[-1])),
        n_in_ld=n_in_ld,
        ld_offsets=np.concatenate([[0], np.cumsum(triangles)]).astype(np.int64),
        ld=rng.random(int(triangles.sum())),
    )


def trait_arrays(trait: str, variants: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """z and beta of a trait, some missing."""
    rng = np.random.default_rng(TRAITS.index(trait))
    z = rng.normal(size=variants).astype(np.float32)
    z[rng.random(variants) < 0.2] = np.nan
    return z, z * np.float32(0.01)


def block_arrays(store: AssociationStore, tissue: str, block: int) -> tuple[np.ndarray, np.ndarray]:
    """z and effect of a tissue and block, the same whoever asks."""
    rows = store.tissue_slice(tissue)
    rng = np.random.default_rng([store.tissues.index(tissue), block])
    z = rng.normal(size=(rows.stop - rows.start, len(store.block_traits(block)))).astype(np.float32)
    return z, z / np.float32(3)


def write_example_models(folder: str, *, overwrite: bool = False) -> None:
    """What `models import` does with the example."""
    write_models_store(
        folder, make_models(), inputs=MODEL_INPUTS, parameters={"snp_key": "rsid"}, overwrite=overwrite
    )


def write_example_gwas(folder: str, *, overwrite: bool = False) -> None:
    """What `gwas import` does with the example."""
    with GwasStore.create(folder, make_panel(), {"mode": "strict"}, overwrite=overwrite) as store:
        for trait in TRAITS:
            z, beta = trait_arrays(trait)
            facts = {"input_hash": f"hash of {trait}", "source": [f"{trait}.gz"], "n": 100.0}
            if trait == "volume":
                store.add(trait, z, None, facts | {"effect": "none"})
            else:
                store.add(trait, z, beta, facts | {"effect": "beta"})


def create_example_associations(folder: str, *, overwrite: bool = False) -> AssociationStore:
    """An association store of the example, empty."""
    return AssociationStore.create(
        folder,
        models=make_models().models,
        traits=pa.table({"trait": list(TRAITS), "n": [100.0] * len(TRAITS)}),
        block_size=2,
        parameters={"precision": "float32"},
        inputs={"models": {"xxh3_128": "cc"}},
        overwrite=overwrite,
    )


def write_example_block(store: AssociationStore, tissue: str, block: int) -> None:
    """Pattern, record and results of one block, unless they are there."""
    models = store.models.num_rows
    if not store.has_block_patterns(block):
        digest = f"{block:04x}"
        used, var_g = np.full(models, block, np.int32), np.full(models, block + 0.5)
        store.write_pattern(digest, used, var_g, np.zeros(models, np.uint8))
        store.write_block_patterns(block, [digest] * len(store.block_traits(block)))
    if not store.has_block(tissue, block):
        store.write_block(tissue, block, *block_arrays(store, tissue, block))


def write_example_associations(folder: str, *, overwrite: bool = False) -> None:
    """What `associate` does with the example."""
    with create_example_associations(folder, overwrite=overwrite) as store:
        for block in range(store.n_blocks):
            for tissue in store.tissues:
                write_example_block(store, tissue, block)
        store.finish({"device": "cpu"})


WRITERS = {
    "models": write_example_models,
    "gwas": write_example_gwas,
    "associations": write_example_associations,
}


def same_table(first: pa.Table, second: pa.Table) -> bool:
    """Whether tables are equal, NaN being equal to NaN (which Arrow's own comparison denies)."""
    return (
        first.schema.equals(second.schema)
        and len({ContentHash().add_table("", t).hexdigest() for t in (first, second)}) == 1
    )


def fingerprint(folder: str, *, killed: bool = False) -> dict[str, str]:
    """Digest of each file below a folder, without times and lock; only a killed run has temporary files."""
    found = {}
    for below, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                assert killed, f"{name} was left in {below}"
                continue
            path = os.path.join(below, name)
            key = os.path.relpath(path, folder)
            if key == "manifest.json":
                found[key] = str({k: v for k, v in read_json(path).items() if k != "created"})
            elif key == "traits.arrow":
                table = open_table(path)
                found[key] = str(
                    table.select([n for n in table.column_names if n != "modified_ns"]).to_pydict()
                )
            elif key != ".lock":
                with open(path, "rb") as file:
                    found[key] = xxhash.xxh3_128_hexdigest(file.read())
    return found
