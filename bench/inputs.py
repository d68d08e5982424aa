"""In: sizes and a seed. Out: models, covariances and GWAS files in real formats, and the z they imply.

The shape is that of the published JTI models (see `bench.shapes`) and of BIG40 files. Every random number is
keyed by (seed, what it is for, index), so trait 3 is the same file in a study of 5 traits and in one of 200.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from scipy.special import log_ndtr

from bench import shapes
from bench.text import Layout, write_gwas
from bench.tissues import Tissue, draw_tissue, write_tissue
from bench.variants import draw_variants

__all__ = ["BIG40_ROWS", "HEAVY", "JTI", "MANY", "Sizes", "Study", "Tissue", "make_study"]

BIG40_ROWS = 17_103_079
JTI = (9_200, 83_000)  # models and weights of a tissue like Frontal_Cortex_BA9
HEAVY = (5_200, 114_400)  # 22 SNPs per model on average
MANY = (9_500, 131_600)  # average of the tissues of the paper
USABLE = 600_000  # at most so many variants of a GWAS are used by models of any tissue
COHORT = 33_000
NEIGHBOURS = 0.7  # correlation of z in neighbouring rows


@dataclass(frozen=True)
class Sizes:
    """How large the study is: `genes` and `weights` per tissue, `found` = share of model SNPs in the GWAS."""

    rows: int = 1_000_000
    genes: int = JTI[0]
    weights: int = JTI[1]
    traits: int = 1
    tissues: int = 1
    found: float = 0.93


@dataclass(frozen=True, eq=False)
class Study:
    """Everything written, and what is needed to know the right answer.

    Attributes
    ----------
    in_gwas : (usable,) bool, of the variants that models may use: which ones the GWAS lists.
    variance : (usable,) float64, of the allele count.
    z : per trait (usable,) float32, beta / se as printed, NaN where not in the GWAS.
    """

    sizes: Sizes
    tissues: list[Tissue]
    gwas: list[Path]
    in_gwas: np.ndarray
    variance: np.ndarray
    z: list[np.ndarray] = field(repr=False)

    def expected_z(self, tissue: Tissue, trait: int) -> np.ndarray:
        """z-score of every gene, (genes,) float64, straight from the formula; NaN where no SNP is left."""
        keep, offsets, coefficients, var_g = self._formula(tissue.name)
        terms = np.where(keep, coefficients * np.nan_to_num(self.z[trait][tissue.snps]), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(var_g > 0, np.add.reduceat(terms, offsets[:-1]) / np.sqrt(var_g), np.nan)

    @functools.lru_cache(maxsize=32)  # noqa: B019  (a study lives as long as the run)
    def _formula(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Per tissue: weights in the GWAS, offsets, w sigma, and var_g over the SNPs in the GWAS."""
        tissue = next(tissue for tissue in self.tissues if tissue.name == name)
        counts = np.diff(tissue.offsets)
        keep = self.in_gwas[tissue.snps]
        w = np.where(keep, tissue.weights, 0.0)
        first, second = shapes.triangle_pairs(counts)
        cov = shapes.covariance(tissue.snps[first], tissue.snps[second], self.variance)
        terms = w[first] * w[second] * cov * np.where(first == second, 1.0, 2.0)
        triangles = counts * (counts + 1) // 2
        var_g = np.add.reduceat(terms, np.cumsum(triangles) - triangles)
        return keep, tissue.offsets, w * np.sqrt(cov[first == second]), var_g


def make_study(folder: Path, sizes: Sizes, seed: int = 1) -> Study:
    """Write the study under `folder` (``models/``, ``gwas/``) and return it."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "gwas").mkdir(exist_ok=True)
    missing = int((1 - sizes.found) * min(sizes.weights * sizes.tissues, USABLE))
    variants = draw_variants(sizes.rows + missing + 1, np.random.default_rng([seed, 0]))
    usable = _usable(variants.eligible, np.random.default_rng([seed, 4]))
    tissues = _draw_tissues(folder / "models", sizes, usable.size, seed)
    turned = np.random.default_rng([seed, 5]).random(usable.size) < 0.5
    for k, tissue in enumerate(tissues):
        write_tissue(tissue, variants, usable, turned, np.random.default_rng([seed, 6, k]))
    present = _choose_rows(len(variants), usable, tissues, sizes, np.random.default_rng([seed, 1]))
    layout = Layout(folder / "layout", variants.text(present))
    rows = np.flatnonzero(present)
    place = np.searchsorted(rows, usable)
    place[~present[usable]] = 0
    variance = variants.variance(rows)
    paths, z = [], []
    for k in range(sizes.traits):
        paths.append(folder / "gwas" / f"{k + 1:04d}.txt.gz")
        beta, se = _write_trait(paths[-1], layout, variance, np.random.default_rng([seed, 3, k]))
        z.append(np.where(present[usable], beta[place] / se[place], np.nan).astype(np.float32))
    (folder / "layout").unlink()
    return Study(sizes, tissues, paths, present[usable], variants.variance(usable), z)


def _usable(eligible: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Variants that models may use, int64 ascending: a panel's worth of the eligible ones."""
    found = np.flatnonzero(eligible)
    return found if found.size <= USABLE else np.sort(rng.choice(found, size=USABLE, replace=False))


def _draw_tissues(folder: Path, sizes: Sizes, usable: int, seed: int) -> list[Tissue]:
    genes = int(sizes.genes * shapes.GENES_PER_MODEL)
    windows = shapes.draw_windows(genes, usable, np.random.default_rng([seed, 7]))
    weights = shapes.tissue_weights(sizes.tissues, sizes.weights, sizes.genes)
    return [
        draw_tissue(
            folder, f"Tissue_{k + 1:02d}", windows, sizes.genes, int(weights[k]),
            np.random.default_rng([seed, 2, k]),
        )
        for k in range(sizes.tissues)
    ]  # fmt: skip


def _choose_rows(
    count: int, usable: np.ndarray, tissues: list[Tissue], sizes: Sizes, rng: np.random.Generator
) -> np.ndarray:
    """Variants the GWAS files have, (variants,) bool: `sizes.rows`, with the wanted share of model SNPs."""
    needed = usable[np.unique(np.concatenate([tissue.snps for tissue in tissues]))]
    present = np.ones(count, bool)
    present[rng.choice(needed, size=round((1 - sizes.found) * needed.size), replace=False)] = False
    free = present.copy()
    free[needed] = False
    others = np.flatnonzero(free)
    present[rng.choice(others, size=int(present.sum()) - sizes.rows, replace=False)] = False
    return present


def _write_trait(
    path: Path, layout: Layout, variance: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Write one file, neighbours' z correlated as the variants are; return beta and se as printed."""
    noise = rng.standard_normal(len(layout)) * np.sqrt(1 - NEIGHBOURS**2)
    z = lfilter([1.0], [1.0, -NEIGHBOURS], noise) * 1.1
    se = 1 / np.sqrt(COHORT * variance)
    nlog10_p = -(log_ndtr(-np.abs(z)) + np.log(2)) / np.log(10)
    return write_gwas(path, layout, z * se, se, nlog10_p)
