"""In: variants that models may use, random streams. Out: a tissue's PredictDB database and covariance."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench import shapes
from bench.text import write_table
from bench.variants import Variants

__all__ = ["Tissue", "draw_tissue", "write_tissue"]


@dataclass(frozen=True)
class Tissue:
    """One tissue's files and the arrays behind them; gene g has ``snps[offsets[g]:offsets[g + 1]]``.

    Attributes
    ----------
    genes : (genes,) str, sorted. offsets : (genes + 1,) int64.
    snps : (weights,) int64, number among the variants that models may use (not among all variants).
    weights : (weights,) float64, for the alternative allele.
    """

    name: str
    model: Path
    covariance: Path
    genes: np.ndarray
    offsets: np.ndarray
    snps: np.ndarray
    weights: np.ndarray


def draw_tissue(
    folder: Path, name: str, windows: shapes.GeneWindows, models: int, weights: int, rng: np.random.Generator
) -> Tissue:
    """Draw one tissue's models."""
    counts = shapes.snp_counts(models, weights, rng, min(shapes.MOST_SNPS, windows.width))
    genes = shapes.tissue_genes(models, rng)
    snps = windows.draw(genes, counts, rng)
    values = np.round(rng.normal(0, 0.1, size=snps.size), 9)
    values[values == 0] = 0.05
    names = np.array([f"ENSG{gene:011d}" for gene in genes])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    files = (folder / f"JTI_{name}.db", folder / f"JTI_{name}.txt.gz")
    return Tissue(name, *files, names, offsets, snps, values)


def write_tissue(
    tissue: Tissue, variants: Variants, usable: np.ndarray, turned: np.ndarray, rng: np.random.Generator
) -> None:
    """Write the SQLite database with JTI's tables, and the covariance.

    Parameters
    ----------
    usable : int64 (usable,), the variants that models may use.
    turned : bool (usable,), the models' effect allele is the reference.
    """
    rows = usable[tissue.snps]
    ids, (reference, alternative) = variants.ids(rows), variants.alleles_of(rows)
    turns = turned[tissue.snps]
    gene_of = np.repeat(tissue.genes, np.diff(tissue.offsets))
    cells = (
        ids, gene_of, np.where(turns, -tissue.weights, tissue.weights),
        np.where(turns, alternative, reference), np.where(turns, reference, alternative),
    )  # fmt: skip
    tissue.model.unlink(missing_ok=True)
    database = sqlite3.connect(tissue.model)
    with database:
        database.execute(
            "CREATE TABLE weights (rsid TEXT, gene TEXT, weight REAL, ref_allele TEXT, eff_allele TEXT)"
        )
        table = zip(*(column.tolist() for column in cells), strict=True)
        database.executemany("INSERT INTO weights VALUES (?, ?, ?, ?, ?)", table)
        _write_genes(database, tissue, np.round(rng.uniform(0.01, 0.6, size=tissue.genes.size), 6))
    database.close()
    _write_covariance(tissue, ids, turns, variants.variance(usable))


def _write_genes(database: sqlite3.Connection, tissue: Tissue, r2: np.ndarray) -> None:
    """Tables of genes and of the sample."""
    database.execute(
        'CREATE TABLE extra (gene TEXT, genename TEXT, "pred.perf.R2" REAL, "n.snps.in.model" INTEGER,'
        ' "pred.perf.pval" REAL, "pred.perf.qval" REAL)'
    )
    table = zip(
        tissue.genes.tolist(),
        [f"GENE{gene[4:].lstrip('0')}" for gene in tissue.genes.tolist()],
        r2.tolist(),
        np.diff(tissue.offsets).tolist(),
        (1e-3 * (1 - r2)).tolist(),
        (2e-3 * (1 - r2)).tolist(),
        strict=True,
    )
    database.executemany("INSERT INTO extra VALUES (?, ?, ?, ?, ?, ?)", table)
    database.execute('CREATE TABLE sample_info ("n.samples" INTEGER)')
    database.execute("INSERT INTO sample_info VALUES (175)")


def _write_covariance(tissue: Tissue, ids: np.ndarray, turns: np.ndarray, variance: np.ndarray) -> None:
    """Upper triangles with diagonal, gene by gene; signs belong to the models' effect alleles."""
    counts = np.diff(tissue.offsets)
    first, second = shapes.triangle_pairs(counts)
    value = shapes.covariance(tissue.snps[first], tissue.snps[second], variance)
    value = np.where(turns[first] != turns[second], -value, value) + 0.0  # no minus zero
    names = pa.array(ids)
    genes = pa.array(np.repeat(tissue.genes, counts))
    columns = [genes.take(pa.array(first)), names.take(pa.array(first)), names.take(pa.array(second))]
    # Values have 3 decimals, so there are few: each is turned into text once.
    distinct, place = np.unique(value, return_inverse=True)
    texts = pa.array([f"{number:g}" for number in distinct])
    write_table(tissue.covariance, "GENE RSID1 RSID2 VALUE", [*columns, texts.take(pa.array(place))])
