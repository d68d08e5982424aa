"""Small panels of genotypes and models on them, for tests: in memory, as PLINK files and as databases.

In: dosages and variants. Out: what `open_genotypes` and `read_models` would give, or the files they read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from gputwas.formats.predictdb import TissueModels, write_models

__all__ = [
    "MadePanel",
    "ModelRow",
    "made_dosages",
    "models_table",
    "variants",
    "write_database",
    "write_plink",
]

ModelRow = tuple[str, str, float, str, str]  # gene, SNP, weight, effect allele, other allele
_CODES = {2.0: 0b00, 1.0: 0b10, 0.0: 0b11}  # copies of A1; 0b01 is missing


@dataclass
class MadePanel:
    """A panel in memory that remembers which rows were read."""

    table: np.ndarray
    variants: pa.Table
    paths: tuple[str, ...] = ("made.bed",)
    read: list[int] = field(default_factory=list)

    @property
    def samples(self) -> list[str]:
        return [f"s{i}" for i in range(self.table.shape[1])]

    def dosages(self, rows: np.ndarray) -> np.ndarray:
        self.read.extend(rows.tolist())
        return self.table[rows]


def made_dosages(rng: np.random.Generator, snps: int, samples: int = 60, missing: float = 0.0) -> np.ndarray:
    """Hard calls of common SNPs in LD with their neighbours; NaN = missing."""
    haplotypes = np.empty((snps, 2, samples), dtype=bool)
    frequency = rng.uniform(0.2, 0.8, snps)
    value = rng.random((2, samples))
    for snp in range(snps):
        fresh = rng.random((2, samples)) < 0.3
        value = np.where(fresh, rng.random((2, samples)), value)
        haplotypes[snp] = value < frequency[snp]
    dosages = haplotypes.sum(axis=1).astype(np.float64)
    dosages[rng.random(dosages.shape) < missing] = np.nan
    return dosages


def variants(rows: Sequence[tuple[str | None, str, int | None, str | None, str | None]]) -> pa.Table:
    """id, chromosome, position, effect allele, other allele of each variant."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    return pa.table(
        {
            "variant_id": pa.array(columns[0], pa.string()),
            "chromosome": pa.array(columns[1], pa.string()),
            "position": pa.array(columns[2], pa.int64()),
            "effect_allele": pa.array(columns[3], pa.string()),
            "other_allele": pa.array(columns[4], pa.string()),
        }
    )


def write_plink(stem: Path, dosages: np.ndarray, table: pa.Table) -> Path:
    """Write dosages (variants, samples) of A1, the effect allele, as PLINK 1 files; returns the .bed."""
    codes = np.full(dosages.shape, 0b01, dtype=np.uint8)
    for copies, code in _CODES.items():
        codes[dosages == copies] = code
    width = -(-dosages.shape[1] // 4)
    padded = np.zeros((len(dosages), 4 * width), dtype=np.uint8)
    padded[:, : dosages.shape[1]] = codes
    quads = padded.reshape(len(dosages), width, 4)
    packed = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    bed = stem.with_suffix(".bed")
    bed.write_bytes(b"\x6c\x1b\x01" + packed.astype(np.uint8).tobytes())
    stem.with_suffix(".bim").write_text(
        "".join(
            f"{row['chromosome'] or 0}\t{row['variant_id'] or '.'}\t0\t{row['position'] or 0}\t"
            f"{row['effect_allele'] or 0}\t{row['other_allele'] or 0}\n"
            for row in table.to_pylist()
        )
    )
    stem.with_suffix(".fam").write_text("".join(f"s{i} s{i} 0 0 0 -9\n" for i in range(dosages.shape[1])))
    return bed


def models_table(rows: Sequence[ModelRow], tissue: str = "Liver") -> TissueModels:
    """Models as `read_models` gives them."""
    genes = sorted({row[0] for row in rows})
    columns = list(zip(*rows, strict=True))
    half = pa.array([0.5] * len(genes), pa.float64())
    extra = pa.table(
        {
            "gene": pa.array(genes, pa.string()),
            "gene_name": pa.array([gene.upper() for gene in genes], pa.string()),
            "n_snps_in_model": pa.array([sum(row[0] == gene for row in rows) for gene in genes], pa.int64()),
            "pred_perf_r2": half,
            "pred_perf_pval": half,
            "pred_perf_qval": half,
        }
    )
    weights = pa.table(
        {
            "gene": pa.array(columns[0], pa.string()),
            "variant_id": pa.array(columns[1], pa.string()),
            "weight": pa.array(columns[2], pa.float64()),
            "effect_allele": pa.array(columns[3], pa.string()),
            "other_allele": pa.array(columns[4], pa.string()),
        }
    )
    return TissueModels(tissue, f"{tissue}.db", extra, weights)


def write_database(path: Path, rows: Sequence[ModelRow]) -> Path:
    """Write models as a PredictDB database."""
    models = models_table(rows)
    write_models(path, models.genes, models.weights)
    return path
