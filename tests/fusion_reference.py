"""FUSION's association test written down step by step, and small PLINK 1 files for it to read.

In: what a .wgt.RDat file holds, genotypes, GWAS z-scores. Out: TWAS z as FUSION.assoc_test.R computes it. It
follows that script statement by statement (line numbers of its current version in brackets), one gene and one
SNP at a time, and shares no code with the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.formats.r_files import wgt_values

__all__ = ["Gene", "Plink", "assoc_test", "random_panel", "read_plink", "write_plink"]

_COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


@dataclass(frozen=True)
class Plink:
    """bim: rows (chromosome, id, position, A1, A2). bed: (samples, snps) copies of A1, NaN missing."""

    bim: list[tuple[str, str, int, str, str]]
    bed: np.ndarray


@dataclass(frozen=True)
class Gene:
    """Content of a weight file: SNPs, model -> weights, model -> cross-validated p."""

    ids: Sequence[str]
    effect: Sequence[str]
    other: Sequence[str]
    weights: Mapping[str, Sequence[float]]
    pval: Mapping[str, float]
    rsq: Mapping[str, float] = field(default_factory=dict)

    def values(self, **more: Any) -> dict[str, Any]:
        """What R saves."""
        return wgt_values(
            self.ids, self.effect, self.other, self.weights, self.pval, rsq=self.rsq or None, **more
        )


def read_plink(prefix: Path, most: int | None = None) -> Plink:
    """The first `most` SNPs; two bits per genotype, lowest first: 00 two A1, 01 missing, 10 one, 11 none."""
    bim = [line.split() for line in Path(f"{prefix}.bim").read_text().splitlines()]
    bytes_each = (Path(f"{prefix}.bed").stat().st_size - 3) // len(bim)
    bim = bim[:most]
    samples = len(Path(f"{prefix}.fam").read_text().splitlines())
    data = np.fromfile(f"{prefix}.bed", np.uint8, len(bim) * bytes_each, offset=3).reshape(len(bim), -1)
    pairs = (data[:, :, None] >> np.array([0, 2, 4, 6])) & 3
    codes = pairs.reshape(len(bim), -1)[:, :samples]
    bed = np.array([2.0, np.nan, 1.0, 0.0])[codes].T
    return Plink([(row[0], row[1], int(row[3]), row[4], row[5]) for row in bim], bed)


def write_plink(prefix: Path, plink: Plink) -> Path:
    """Write .bed, .bim and .fam."""
    samples = plink.bed.shape[0]
    bim = [f"{c}\t{name}\t0\t{place}\t{a1}\t{a2}\n" for c, name, place, a1, a2 in plink.bim]
    Path(f"{prefix}.bim").write_text("".join(bim))
    Path(f"{prefix}.fam").write_text("".join(f"F{i} S{i} 0 0 0 -9\n" for i in range(samples)))
    codes = np.where(np.isnan(plink.bed), 1, np.array([3, 2, 0])[np.nan_to_num(plink.bed).astype(int)])
    padded = np.zeros((len(plink.bim), -(-samples // 4) * 4), np.uint8)
    padded[:, :samples] = codes.T
    quads = padded.reshape(len(plink.bim), -1, 4) << np.array([0, 2, 4, 6], np.uint8)
    Path(f"{prefix}.bed").write_bytes(b"\x6c\x1b\x01" + quads.sum(axis=2, dtype=np.uint8).tobytes())
    return prefix


def random_panel(rng: np.random.Generator, snps: int, samples: int = 60, chromosome: str = "1") -> Plink:
    """Correlated genotypes with some missing; SNPs named rs<chromosome>_<number>."""
    pairs = [("A", "G"), ("C", "T"), ("G", "T"), ("T", "C"), ("A", "C")]
    draws = rng.normal(size=(2, samples, snps))
    for snp in range(1, snps):
        draws[:, :, snp] += 0.9 * draws[:, :, snp - 1]
    bed = (draws > rng.uniform(-0.5, 0.8, snps)).sum(axis=0).astype(float)
    bed[rng.random(bed.shape) < 0.02] = np.nan
    bim = [(chromosome, f"rs{chromosome}{n:04d}", 100 * (n + 1), *pairs[n % len(pairs)]) for n in range(snps)]
    return Plink(bim, bed)


def _keep(a1: str, a2: str) -> bool:
    """`keep` of allele.qc [62-64]."""
    return a1 in _COMPLEMENT and a2 in _COMPLEMENT and _COMPLEMENT[a1] != a2


def _flip(a1: str, a2: str, ref1: str, ref2: str) -> bool:
    """`flip` of allele.qc [65]."""
    return (a1, a2) in ((ref2, ref1), (_COMPLEMENT.get(ref2, ref2), _COMPLEMENT.get(ref1, ref1)))


def assoc_test(
    gene: Gene, genos: Plink, gwas: Mapping[str, tuple[str, str, float]], force_model: str | None = None
) -> tuple[str | None, float]:
    """MODEL and TWAS.Z of a gene; NaN where FUSION gives NA.

    `gwas`: SNP -> (A1, A2, Z), of every SNP of the gene; FUSION would impute the others.
    """
    z_of = {}
    column_of = {}
    for column, (_, name, _, a1, a2) in enumerate(genos.bim):
        g1, g2, z = gwas.get(name, (a1, a2, math.nan))  # [152-157]
        if _keep(g1, g2):  # [170-174]
            z_of[name] = -z if _flip(g1, g2, a1, a2) else z  # [160-163]
            column_of.setdefault(name, column)
    models = list(gene.weights)
    if force_model is None:
        least = [math.inf if math.isnan(gene.pval[m]) else gene.pval[m] for m in models]
        best = models[least.index(min(least))]  # [219]
    elif force_model in models:
        best = force_model  # [212]
    else:
        return None, math.nan  # [221-225]

    rows, weights, z = [], [], []
    for name, a1, a2, weight in zip(gene.ids, gene.effect, gene.other, gene.weights[best], strict=True):
        if name not in column_of:
            continue  # [189-192]
        _, _, _, ref1, ref2 = genos.bim[column_of[name]]
        value = 0.0 if math.isnan(weight) else weight  # [186]
        rows.append(column_of[name])
        weights.append(-value if _flip(a1, a2, ref1, ref2) else value)  # [196-197]
        z.append(z_of[name])  # [202-203]
    if not any(weights):
        return best, math.nan  # [227-230]
    if best.startswith("top1"):  # [233]
        largest = max(range(len(weights)), key=lambda i: weights[i] ** 2)
        weights = [w if i == largest else 0.0 for i, w in enumerate(weights)]
    columns = []
    for row in rows:  # read_plink(impute = "avg"), scale [193]
        values = genos.bed[:, row]
        values = np.where(np.isnan(values), np.nanmean(values), values)
        sd = np.std(values, ddof=1)
        columns.append((values - values.mean()) / sd if sd > 0 else np.zeros(len(values)))
    x = np.array(columns).T
    ld = x.T @ x / (x.shape[0] - 1)  # [241]
    variance = float(np.array(weights) @ ld @ np.array(weights))  # [273]
    if variance <= 0:
        return best, math.nan
    return best, float(np.dot(weights, z)) / math.sqrt(variance)  # [272, 276]
