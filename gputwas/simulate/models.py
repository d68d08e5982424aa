"""True effects of variants on expression, and the prediction models that a training study would find.

In: a `StudyConfig` and its `Genome`. Out: true standardised effects (genes, tissues, variants of the gene's
block), and per tissue a `DrawnModels` with sparse weights and the covariance they come with. A model lies in
one block, so everything is dense and small: (models, variants of a block).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtr

from gputwas.simulate.config import StudyConfig
from gputwas.simulate.genome import Genome
from gputwas.simulate.streams import Purpose, stream

__all__ = ["DrawnModels", "draw_expression_effects", "train_models"]

SHARE_OF_TISSUES = 0.75  # probability that a gene is under genetic control in a tissue
SHARE_OF_EQTLS = 0.85  # probability that a shared eQTL acts in such a tissue
TISSUE_DEVIATION = 0.4  # standard deviation of a tissue's own factor on a shared effect
OWN_EQTL = 0.2  # probability of one further eQTL that acts in this tissue only
MOST_EQTLS = 4
CIS_HERITABILITY = (0.05, 0.45)  # range of the variance of expression explained in cis
PENALTY = 0.55  # of the universal threshold sqrt(2 log variants / people)
SWEEPS = 40
LOWEST_CORRELATION, HIGHEST_P = 0.1, 0.05  # a model is released if r > 0.1 and p < 0.05, as JTI's are
CHUNK = 1024  # models trained together


@dataclass(frozen=True)
class DrawnModels:
    """The models of one tissue, in terms of the `alt` allele.

    Attributes
    ----------
    tissue : number of the tissue.
    gene : int64 (models,), gene numbers, ascending.
    block : int64 (models,), the genes' blocks.
    weights : float64 (models, variants), per allele; 0 where a variant is not in the model.
    covariance : float64 (blocks, variants, variants), of `alt` dosages.
    performance_r2, performance_p : float64 (models,), squared correlation and its p in the training study.
    """

    tissue: int
    gene: np.ndarray
    block: np.ndarray
    weights: np.ndarray
    covariance: np.ndarray
    performance_r2: np.ndarray
    performance_p: np.ndarray

    @cached_property
    def variance(self) -> np.ndarray:
        """var_g = w'Γw with all variants present, float64 (models,)."""
        return self.variance_with(np.ones(self.covariance.shape[:2], dtype=bool))

    def variance_with(self, present: np.ndarray) -> np.ndarray:
        """var_g from the variants in `present`, bool (blocks, variants)."""
        weights = self.weights * present[self.block]
        return np.einsum("ml,mlk,mk->m", weights, self.covariance[self.block], weights, optimize=True)

    def loadings(self, present: np.ndarray | None = None) -> np.ndarray:
        """Factors a = wσ/sqrt(var_g), (models, variants): a model's z is the sum of a times the SNPs' z.

        Barbeira et al. 2018, doi:10.1038/s41467-018-03621-1, equation 5. NaN where var_g is not positive.
        """
        weights, variance = self.weights, self.variance
        if present is not None:
            weights, variance = weights * present[self.block], self.variance_with(present)
        sd = np.sqrt(np.einsum("bll->bl", self.covariance))[self.block]
        scale = np.where(variance > 0, variance, np.nan)
        return weights * sd / np.sqrt(scale)[:, None]


def draw_expression_effects(config: StudyConfig, genome: Genome) -> np.ndarray:
    """Joint effects of standardised variants on standardised expression, float64 (genes, tissues, variants).

    A gene has a few eQTLs with effects that its tissues share up to a factor; each tissue may lack some of
    them, have one of its own, or lack control altogether; every gene is under control in at least one. Scaled
    so that β'Rβ is the expression's cis heritability in that tissue.
    """
    n_variants = config.n_variants_per_block
    out = np.zeros((config.n_genes, config.n_tissues, n_variants))
    for gene in range(config.n_genes):
        rng = stream(config.seed, Purpose.EQTL, gene)
        n_shared = min(1 + rng.poisson(1.0), MOST_EQTLS, n_variants)
        where = rng.permutation(n_variants)[:n_shared]
        shared = rng.standard_normal(n_shared)
        heritability = rng.uniform(*CIS_HERITABILITY)
        for tissue in range(config.n_tissues):
            effects = _tissue_effects(rng, n_variants, where, shared)
            if rng.uniform() < SHARE_OF_TISSUES:
                out[gene, tissue] = effects * np.sqrt(heritability * rng.uniform(0.6, 1.0))
        if not out[gene].any():
            out[gene, rng.integers(config.n_tissues), where] = shared * np.sqrt(heritability)
    variance = np.einsum("gtl,glk,gtk->gt", out, genome.correlation[genome.gene_block], out, optimize=True)
    wanted = (out**2).sum(axis=2)  # effects above have unit length times the heritability's root
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.where(variance > 0, np.minimum(wanted, CIS_HERITABILITY[1]) / variance, 0.0))
    return out * scale[..., None]


def _tissue_effects(
    rng: np.random.Generator, n_variants: int, where: np.ndarray, shared: np.ndarray
) -> np.ndarray:
    """Effects of one gene in one tissue, of unit length, float64 (variants,)."""
    acts = rng.uniform(size=shared.size) < SHARE_OF_EQTLS
    acts[0] = True
    effects = np.zeros(n_variants)
    effects[where] = shared * (1.0 + TISSUE_DEVIATION * rng.standard_normal(shared.size)) * acts
    own, size = rng.integers(n_variants), rng.standard_normal()
    if rng.uniform() < OWN_EQTL:
        effects[own] += size
    return effects / np.sqrt((effects**2).sum())


def train_models(config: StudyConfig, genome: Genome, effects: np.ndarray, tissue: int) -> DrawnModels:
    """Train the models of one tissue as a study of `n_expression` people would.

    Marginal associations are drawn from N(Rβ, R/n); the weights are the LASSO solution on them, so they are
    sparse, shrunk, and sit on tags as well as on the eQTLs themselves. `effects` are all (genes, tissues,
    variants). A gene without a model that predicts (r > 0.1, p < 0.05) has none.
    """
    truth = effects[:, tissue]
    rng = stream(config.seed, Purpose.TRAINING, tissue)
    noise = rng.standard_normal(truth.shape) / np.sqrt(config.n_expression)
    r_noise = rng.standard_normal(truth.shape[0]) / np.sqrt(config.n_expression)
    weights, r = np.empty_like(truth), np.empty(truth.shape[0])
    for first in range(0, truth.shape[0], CHUNK):
        part = slice(first, first + CHUNK)
        ld, root = genome.correlation[genome.gene_block[part]], genome.root[genome.gene_block[part]]
        signal = np.einsum("glk,gk->gl", ld, truth[part])
        marginal = signal + np.einsum("glk,gk->gl", root, noise[part])
        weights[part] = _lasso(ld, marginal, _penalty(config))
        variance = np.einsum("gl,glk,gk->g", weights[part], ld, weights[part], optimize=True)
        product = (weights[part] * signal).sum(axis=1)
        r[part] = product / np.sqrt(np.where(variance > 0, variance, np.inf))
    r = np.clip(r + r_noise, -0.99, 0.99)
    statistic = r * np.sqrt((config.n_expression - 2) / (1 - r**2))
    p = 2.0 * stdtr(config.n_expression - 2, -np.abs(statistic))
    gene = np.flatnonzero(weights.any(axis=1) & (r > LOWEST_CORRELATION) & (p < HIGHEST_P))
    block = genome.gene_block[gene]
    return DrawnModels(
        tissue=tissue, gene=gene, block=block, weights=weights[gene] / genome.dosage_sd[block],
        covariance=genome.covariance(config, tissue), performance_r2=r[gene] ** 2, performance_p=p[gene],
    )  # fmt: skip


def _penalty(config: StudyConfig) -> float:
    return PENALTY * float(np.sqrt(2.0 * np.log(config.n_variants_per_block) / config.n_expression))


def _lasso(ld: np.ndarray, marginal: np.ndarray, penalty: float) -> np.ndarray:
    """LASSO from summary data by coordinate descent, all genes at once.

    Minimises w'Rw/2 - w'm + penalty |w|_1 for R (genes, variants, variants), m (genes, variants); the same
    update as Friedman et al., J Stat Softw 33:1 (2010), doi:10.18637/jss.v033.i01.
    """
    weights = np.zeros_like(marginal)
    for _ in range(SWEEPS):
        for variant in range(marginal.shape[1]):
            rest = marginal[:, variant] - (ld[:, variant] * weights).sum(axis=1) + weights[:, variant]
            weights[:, variant] = np.sign(rest) * np.maximum(np.abs(rest) - penalty, 0.0)
    # Coordinate descent leaves dust where it has not quite converged; a released model does not.
    weights[np.abs(weights) < 1e-4] = 0.0
    return weights
