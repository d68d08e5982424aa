"""In: sizes and a seed. Out: model and GWAS stores of the paper's shape, written without foreign files.

`associate`, `fdr` and the kernels are measured on these: making 3,935 BIG40 files and importing them would
cost hours and a terabyte. From the command line: ``python -m bench stores --models DIR --gwas DIR``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench import shapes
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store, write_models_store

__all__ = [
    "CASES",
    "Case",
    "add_arguments",
    "main",
    "make_association_store",
    "make_gwas_store",
    "make_model_store",
]

log = logging.getLogger(__name__)
THREADS = 8  # that write traits: each waits for the disk most of its time
MEGABASES = 2_881  # of the autosomes
GENES = "ENSG{:011d}"


@dataclass(frozen=True)
class Case:
    """Sizes of a model store: models and weights per tissue, variants of the panel."""

    models: int
    weights: int
    variants: int
    tissues: int = 19


CASES = {
    "paper": Case(9_500, 131_600, 600_000),  # 2.5 million weights
    "heavy": Case(11_000, 342_100, 600_000),  # 6.5 million weights
    "quick": Case(400, 5_000, 12_000, tissues=4),
}


def make_model_store(
    path: Path,
    tissues: int = 19,
    models: int = 9_500,
    weights_per_tissue: int = 131_600,
    variants: int = 600_000,
    *,
    seed: int = 1,
) -> ModelSet:
    """Write a model store; see `bench.shapes` for its shape.

    Parameters
    ----------
    models, weights_per_tissue : of each tissue (weights on average). variants : of the panel, of which the
        models use about four fifths.

    Returns
    -------
    ModelSet, as read back from disk.
    """
    rng = np.random.default_rng([seed, 10])
    windows = shapes.draw_windows(int(models * shapes.GENES_PER_MODEL), variants, rng)
    panel, variance = _panel(variants, rng)
    weights = shapes.tissue_weights(tissues, weights_per_tissue, models)
    parts = [_tissue(windows, models, int(weights[k]), variance, seed, k) for k in range(tissues)]
    model_set = _assembled(panel, parts)
    parameters = {"bench": [tissues, models, weights_per_tissue, variants, seed]}
    write_models_store(path, model_set, inputs={}, parameters=parameters, overwrite=True)
    return read_models_store(path)


def make_gwas_store(
    path: Path,
    models: Path,
    traits: int,
    *,
    missing: float = 0.05,
    patterns: int = 1,
    pool: int = 8,
    seed: int = 1,
) -> list[str]:
    """Write a GWAS store over the panel of a model store; a store that was begun alike is completed.

    Each trait is one of `pool` random ones, turned by an odd number of variants and in sign: distinct numbers
    at the price of a copy.

    Parameters
    ----------
    missing : share of the variants without z and effect. patterns : sets of such variants, taken in turn;
        1 is BIG40, whose files all list the same variants.

    Returns
    -------
    Names of the traits.
    """
    panel = read_models_store(models).panel
    names = [f"{k + 1:04d}" for k in range(traits)]
    draw = _traits(panel.num_rows, missing, patterns, pool, seed)
    with (
        GwasStore.create(path, panel, {"mode": "strict", "bench": [missing, patterns, pool, seed]}) as store,
        ThreadPoolExecutor(THREADS) as threads,
    ):

        def write(number: int) -> None:
            z, beta = draw(number)
            metadata = {"input_hash": f"{seed:08x}{number:024x}", "effect": "beta", "n": 33_000}
            store.add(names[number], z, beta, metadata)

        list(threads.map(write, range(traits)))
    return names


def make_association_store(
    path: Path, tissues: int, models: int, traits: int, *, block_size: int = 128, seed: int = 1
) -> None:
    """Write a finished association store of random z-scores; one test in 400 is far from null.

    Blocks are random ones of a small pool, turned by rows and in sign. The effect is the z-score itself:
    nothing that is measured here reads it.
    """
    rng = np.random.default_rng([seed, 13])
    pool = [_scores(models, block_size, rng) for _ in range(4)]
    rows = tissues * models
    table = pa.table({
        "tissue": np.repeat([f"Tissue_{k + 1:02d}" for k in range(tissues)], models),
        "gene": [GENES.format(gene) for gene in range(models)] * tissues,
        "gene_name": [f"GENE{gene}" for gene in range(models)] * tissues,
        "var_g": np.ones(rows),
    })  # fmt: skip
    names = pa.table({"trait": [f"{k + 1:04d}" for k in range(traits)]})
    pattern = (np.full(rows, 10, np.int32), np.ones(rows), np.zeros(rows, np.uint8))
    with AssociationStore.create(
        path, models=table, traits=names, block_size=block_size, parameters={"bench": seed}, inputs={}
    ) as store:
        store.write_pattern("0" * 32, *pattern)
        for block in range(store.n_blocks):
            count = len(store.block_traits(block))
            store.write_block_patterns(block, ["0" * 32] * count)
            for number, tissue in enumerate(store.tissues):
                turn = block * tissues + number
                z = np.roll(pool[turn % 4], turn // 4, axis=0) * np.float32(1 - turn // 4 % 2 * 2)
                store.write_block(tissue, block, z[:, :count], z[:, :count])
        store.finish({"seconds": 0.0})


def _scores(models: int, traits: int, rng: np.random.Generator) -> np.ndarray:
    """z-scores, float32 (models, traits), columns contiguous."""
    z = rng.standard_normal((traits, models), dtype=np.float32).T
    far = rng.random(z.shape) < 1 / 400
    z[far] *= np.float32(5)
    return z


def _traits(
    variants: int, missing: float, patterns: int, pool: int, seed: int
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Function of a trait's number: its z and beta, float32 (variants,)."""
    rng = np.random.default_rng([seed, 11])
    scores = rng.standard_normal((pool, variants), dtype=np.float32) * np.float32(1.1)
    error = rng.uniform(0.005, 0.05, size=variants).astype(np.float32)
    absent = [rng.random(variants) < missing for _ in range(patterns)]

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        z = np.roll(scores[number % pool], 7_919 * (number // pool) % variants)
        if number // pool % 2:
            np.negative(z, out=z)
        z[absent[number % patterns]] = np.nan
        return z, z * error

    return draw


def _panel(variants: int, rng: np.random.Generator) -> tuple[pa.Table, np.ndarray]:
    """The panel in genome order, and each variant's allele-count variance."""
    place = np.sort(rng.integers(0, MEGABASES * 1_000_000, size=variants))
    chromosome = place * 22 // (MEGABASES * 1_000_000) + 1
    alleles = np.array(["AC", "AG", "CA", "CT", "GA", "GT", "TC", "TG"])[rng.integers(8, size=variants)]
    frequency = rng.uniform(0.01, 0.5, size=variants)
    ids = np.char.add("rs", (np.arange(variants) * 37 + 10_019).astype(str))
    panel = pa.table({
        "variant_id": ids,
        "chromosome": chromosome.astype(str),
        "position": pa.array(place - (chromosome - 1) * MEGABASES * 1_000_000 // 22 + 1, pa.int64()),
        "effect_allele": alleles.view("U1")[0::2],
        "other_allele": alleles.view("U1")[1::2],
    })  # fmt: skip
    return panel, 2 * frequency * (1 - frequency)


@dataclass(frozen=True)
class _Tissue:
    table: pa.Table
    counts: np.ndarray
    snps: np.ndarray
    weights: np.ndarray
    ld: np.ndarray


def _tissue(
    windows: shapes.GeneWindows, models: int, weights: int, variance: np.ndarray, seed: int, index: int
) -> _Tissue:
    """One tissue's models."""
    rng = np.random.default_rng([seed, 12, index])
    counts = shapes.snp_counts(models, weights, rng, min(shapes.MOST_SNPS, windows.width))
    genes = shapes.tissue_genes(models, rng)
    snps = windows.draw(genes, counts, rng)
    values = rng.normal(0, 0.1, size=snps.size)
    first, second = shapes.triangle_pairs(counts)
    ld = shapes.covariance(snps[first], snps[second], variance)
    terms = values[first] * values[second] * ld * np.where(first == second, 1.0, 2.0)
    starts = np.cumsum(counts * (counts + 1) // 2) - counts * (counts + 1) // 2
    unknown = pa.nulls(models, pa.float64())
    table = pa.table({
        "tissue": pa.array([f"Tissue_{index + 1:02d}"] * models),
        "gene": [GENES.format(gene) for gene in genes],
        "gene_name": [f"GENE{gene}" for gene in genes],
        "chromosome": pa.nulls(models, pa.string()),
        "start": pa.nulls(models, pa.int64()),
        "end": pa.nulls(models, pa.int64()),
        "n_snps_in_model": counts,
        "n_snps_in_cov": counts,
        "pred_perf_r2": rng.uniform(0.01, 0.6, size=models),
        "pred_perf_pval": unknown,
        "pred_perf_qval": unknown,
        "var_g": np.add.reduceat(terms, starts),
    })  # fmt: skip
    return _Tissue(table, counts, snps, values, ld)


def _assembled(panel: pa.Table, parts: list[_Tissue]) -> ModelSet:
    counts = np.concatenate([part.counts for part in parts])
    return ModelSet(
        panel=panel,
        models=pa.concat_tables([part.table for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        variants=np.concatenate([part.snps for part in parts]).astype(np.int32),
        weights=np.concatenate([part.weights for part in parts]),
        n_in_ld=counts.astype(np.int32),
        ld_offsets=np.concatenate([[0], np.cumsum(counts * (counts + 1) // 2)]).astype(np.int64),
        ld=np.concatenate([part.ld for part in parts]),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench stores``."""
    parser.add_argument("--case", choices=sorted(CASES), default="paper", help="sizes of the model store")
    parser.add_argument("--models", type=Path, required=True, help="model store to write (kept if there)")
    parser.add_argument("--gwas", type=Path, help="GWAS store to write")
    parser.add_argument("--traits", type=int, default=492, help="traits of the GWAS store (paper: 3935)")
    parser.add_argument("--missing", type=float, default=0.05, help="share of variants without z")
    parser.add_argument("--patterns", type=int, default=1, help="distinct sets of such variants")
    parser.add_argument("--seed", type=int, default=1)


def main(options: argparse.Namespace) -> int:
    """Write the stores."""
    case = CASES[options.case]
    if not (options.models / "manifest.json").is_file():
        log.info("%s: %s", options.models, case)
        make_model_store(
            options.models, case.tissues, case.models, case.weights, case.variants, seed=options.seed
        )
    if options.gwas is not None:
        log.info("%s: %d traits", options.gwas, options.traits)
        make_gwas_store(
            options.gwas, options.models, options.traits, missing=options.missing,
            patterns=options.patterns, seed=options.seed,
        )  # fmt: skip
    return 0
