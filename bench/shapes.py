"""In: sizes and random streams. Out: how many SNPs models have, which ones, and their covariance.

The shape is that of the published JTI models. Frontal_Cortex_BA9 has 9.0 SNPs and 68 covariance rows per
gene, Whole_Blood 16.1 and 206; both follow a log-normal law of sigma 0.67 (draws of it give 69 and 213), cut
at 150. A gene has one cis window of consecutive variants, the same in every tissue, and its models in
different tissues take runs of one shuffled order of that window, so they share SNPs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "LD_DECAY",
    "MOST_SNPS",
    "WINDOW",
    "GeneWindows",
    "covariance",
    "draw_windows",
    "snp_counts",
    "tissue_genes",
    "tissue_weights",
    "triangle_pairs",
]

LD_DECAY = 0.97  # correlation of neighbouring variants of the panel
SIGMA = 0.67  # of the logarithm of the number of SNPs
MOST_SNPS = 150
WINDOW = (
    401  # variants in reach of a gene: 600,000 of the genome in 2 megabases; prime, see `GeneWindows.draw`
)
FAVOURITES = 48  # a tissue's run begins within so many of the shuffled order
GENES_PER_MODEL = 1.5  # genes that have a model somewhere, per model of one tissue
SPREAD = 0.15  # tissues have so much more or fewer weights than on average


@dataclass(frozen=True)
class GeneWindows:
    """Cis window of every gene: `starts` (genes,) int64 first variant, `steps` (genes,) int64 order in it."""

    starts: np.ndarray
    steps: np.ndarray
    width: int

    def draw(self, genes: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """SNPs of models, (sum of counts,) int64, ascending within each model, none twice in one.

        Parameters
        ----------
        genes : (models,) int64, which gene each model is of; counts : (models,) int64, at most the width.
        """
        first = rng.integers(0, FAVOURITES, size=genes.size)
        place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        # Steps through a window of prime width meet each variant once.
        place = (np.repeat(first, counts) + place) * np.repeat(self.steps[genes], counts) % self.width
        snps = np.repeat(self.starts[genes], counts) + place
        model = np.repeat(np.arange(genes.size), counts)
        return snps[np.lexsort((snps, model))]


def draw_windows(genes: int, variants: int, rng: np.random.Generator) -> GeneWindows:
    """Windows of genes spread over `variants`, in genome order; narrower where there are few variants."""
    width = WINDOW if variants >= WINDOW else _prime_below(variants)
    starts = np.sort(rng.integers(0, variants - width + 1, size=genes))
    return GeneWindows(starts, rng.integers(1, max(width, 2), size=genes), width)


def _prime_below(number: int) -> int:
    """Largest prime that is not above `number`, which is at least 2."""
    return next(n for n in range(number, 1, -1) if all(n % k for k in range(2, int(n**0.5) + 1)))


def snp_counts(models: int, weights: int, rng: np.random.Generator, most: int = MOST_SNPS) -> np.ndarray:
    """Numbers of SNPs, (models,) int64, log-normal, each 1 .. `most`, with the sum `weights`."""
    if not models <= weights <= models * most:
        raise ValueError(f"{models} models of 1 to {most} SNPs cannot have {weights} weights")
    draws = rng.lognormal(0.0, SIGMA, size=models)
    counts = np.clip(np.rint(draws * (weights / draws.sum())), 1, most).astype(np.int64)
    while surplus := int(counts.sum()) - weights:
        movable = np.flatnonzero(counts > 1 if surplus > 0 else counts < most)
        chosen = rng.choice(movable, size=min(abs(surplus), movable.size), replace=False)
        counts[chosen] -= np.sign(surplus)
    return counts


def tissue_weights(tissues: int, weights: int, models: int) -> np.ndarray:
    """Weights of each tissue, (tissues,) int64: `weights` on average, evenly from 15 % fewer to 15 % more."""
    spread = np.linspace(-SPREAD, SPREAD, tissues) if tissues > 1 else np.zeros(1)
    wanted = np.maximum(np.rint(weights * (1 + spread)).astype(np.int64), models)
    wanted[-1] += weights * tissues - wanted.sum()
    return wanted


def tissue_genes(models: int, rng: np.random.Generator) -> np.ndarray:
    """Genes that one tissue has models of, (models,) int64 ascending, out of `GENES_PER_MODEL` as many."""
    return np.sort(rng.choice(int(models * GENES_PER_MODEL), size=models, replace=False))


def triangle_pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper triangles with diagonal, row by row, model after model: positions of both SNPs, int64."""
    entries = int(counts.sum())
    ends = np.repeat(np.cumsum(counts), counts)
    partners = ends - np.arange(entries)  # pairs in which this entry comes first
    first = np.repeat(np.arange(entries), partners)
    begins = np.cumsum(partners) - partners
    second = first + np.arange(first.size) - np.repeat(begins, partners)
    return first, second


def covariance(first: np.ndarray, second: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Covariance of pairs of variants, rounded to 3 decimals as in JTI; correlation falls geometrically."""
    correlation = LD_DECAY ** np.abs(first - second).astype(np.float64)
    return np.round(correlation * np.sqrt(variance[first] * variance[second]), 3)
