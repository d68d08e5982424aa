"""The traits of a simulated study: annotation, causal genes, heritability and expected SNP statistics.

In: a `StudyConfig`, its genome and expression effects. Out: `DrawnTraits`, which gives for any trait the
joint effects of variants, their expected z-scores, and draws of the z-scores of any cohort. A block without a
causal gene has no effect at all, so its expected z-scores are exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gputwas.simulate.config import StudyConfig
from gputwas.simulate.genome import Genome
from gputwas.simulate.nidps import Nidp, nidps
from gputwas.simulate.streams import Purpose, stream

__all__ = ["COHORTS", "LEVELS", "Cause", "DrawnTraits", "draw_traits"]

COHORTS = ("11k", "22k", "33k")  # two independent samples, and their inverse-variance combination
LEVELS = ("measurement", "region", "trait")  # what the traits that share a causal gene have in common
HERITABILITY = (0.08, 0.45)  # of a trait that is not null, over the whole genome
HERITABILITY_SE = (0.018, 0.032)
SHARED_DEVIATION = 0.25  # standard deviation of a trait's own factor on a shared effect
NEVER_SMALLER = 0.3  # lower bound of that factor
# Not everybody who was scanned has every kind of image; shares as in the UK Biobank's releases, roughly.
SHARE_SCANNED = {"T1": 1.0, "dMRI": 0.95, "T2star": 0.92, "rfMRI": 0.97}


@dataclass(frozen=True)
class Cause:
    """One causal gene of one trait.

    `effect` is in standard deviations of the trait per standard deviation of the gene's genetic expression in
    `tissue`; its square is the variance explained. `direct` is the place in the block and the effect of one
    variant that acts around expression (effect 0: none).
    """

    gene: int
    tissue: int
    level: str
    effect: float
    direct: tuple[int, float]


@dataclass(frozen=True)
class DrawnTraits:
    """All traits of a study; see `draw_traits`."""

    config: StudyConfig
    genome: Genome
    effects: np.ndarray  # (genes, tissues, variants), standardised, on expression
    nidps: list[Nidp]
    causes: list[list[Cause]]
    heritability: np.ndarray  # (traits,), the truth
    h2: np.ndarray  # (traits,), as a heritability analysis would estimate it
    h2_se: np.ndarray  # (traits,)

    def joint_effects(self, trait: int) -> dict[int, np.ndarray]:
        """Joint standardised effects b of variants on the trait, by block; blocks left out have none."""
        out: dict[int, np.ndarray] = {}
        for cause in self.causes[trait]:
            block = int(self.genome.gene_block[cause.gene])
            expression = self.effects[cause.gene, cause.tissue]
            variance = expression @ self.genome.correlation[block] @ expression
            b = cause.effect * expression / np.sqrt(variance)
            b[cause.direct[0]] += cause.direct[1]
            out[block] = out.get(block, 0.0) + b
        return out

    def sample_sizes(self, trait: int) -> dict[str, int]:
        """People with the trait in each cohort; the third is the other two together."""
        share = SHARE_SCANNED[self.nidps[trait].modality]
        first, second = (round(n * share) for n in self.config.n_samples_gwas)
        return dict(zip(COHORTS, (first, second, first + second), strict=True))

    def expected_snp_z(self, trait: int, n: int) -> np.ndarray:
        """E[z] = sqrt(n) R b in a sample of `n`, float64 (blocks, variants); exactly 0 in null blocks."""
        out = np.zeros(self.genome.position.shape)
        for block, b in self.joint_effects(trait).items():
            out[block] = np.sqrt(n) * (self.genome.correlation[block] @ b)
        return out

    def explained(self, trait: int) -> float:
        """Variance of the trait explained by the simulated variants, b'Rb."""
        ld = self.genome.correlation
        return float(sum(b @ ld[block] @ b for block, b in self.joint_effects(trait).items()))

    def _draw_sample(self, trait: int, sample: int, n: int) -> np.ndarray:
        """z-scores of the trait in one of the two independent samples, float64 (blocks, variants).

        z ~ N(sqrt(n) R b, R) in each block. Part of the noise is common to the traits of a region, since they
        are measured in the same people.
        """
        config, group = self.config, self.nidps[trait].group
        shape = self.genome.position.shape
        rho = config.phenotypic_correlation
        own = stream(config.seed, Purpose.TRAIT_NOISE, trait, sample).standard_normal(shape)
        noise = np.sqrt(1.0 - rho) * own
        if rho > 0:
            common = stream(config.seed, Purpose.GROUP_NOISE, group, sample).standard_normal(shape)
            noise += np.sqrt(rho) * common
        spread = np.einsum("blk,bk->bl", self.genome.root, noise)
        return self.expected_snp_z(trait, n) + spread

    def draw(self, trait: int) -> dict[str, np.ndarray]:
        """z-scores by cohort of `COHORTS`, float64 (blocks, variants) each."""
        n_first, n_second, n_both = self.sample_sizes(trait).values()
        first = self._draw_sample(trait, 0, n_first)
        second = self._draw_sample(trait, 1, n_second)
        # With se proportional to 1/sqrt(n), weighting β by 1/se² is weighting z by sqrt(n).
        both = (np.sqrt(n_first) * first + np.sqrt(n_second) * second) / np.sqrt(n_both)
        return dict(zip(COHORTS, (first, second, both), strict=True))


def draw_traits(config: StudyConfig, genome: Genome, effects: np.ndarray) -> DrawnTraits:
    """Draw the traits of a study, given `effects` on expression (genes, tissues, variants)."""
    traits = nidps(config.n_traits)
    kinds = _kinds(traits)
    causes: list[list[Cause]] = []
    truth, h2, h2_se = (np.empty(config.n_traits) for _ in range(3))
    for number, trait in enumerate(traits):
        rng = stream(config.seed, Purpose.TRAIT, number)
        null = config.null_every > 0 and number % config.null_every == config.null_every - 1
        truth[number] = 0.0 if null else rng.uniform(*HERITABILITY)
        h2_se[number] = rng.uniform(*HERITABILITY_SE)
        h2[number] = truth[number] + h2_se[number] * rng.standard_normal()
        keys = (kinds[trait.modality, trait.measurement], trait.group, number)
        causes.append([] if null else _causes(config, effects, keys, rng))
    return DrawnTraits(config, genome, effects, traits, causes, truth, h2.round(4), h2_se.round(4))


def _kinds(traits: list[Nidp]) -> dict[tuple[str, str], int]:
    """Number of each modality and measurement, in order of first appearance, so that it never changes."""
    return {kind: i for i, kind in enumerate(dict.fromkeys((t.modality, t.measurement) for t in traits))}


def _causes(
    config: StudyConfig, effects: np.ndarray, keys: tuple[int, int, int], rng: np.random.Generator
) -> list[Cause]:
    """Causal genes of one trait: those of its measurement, of its region, and its own."""
    out = []
    for level, (name, key, n) in enumerate(zip(LEVELS, keys, config.causal_genes, strict=True)):
        shared = stream(config.seed, Purpose.SHARED_CAUSE, level, key)
        genes = shared.permutation(config.n_genes)[:n]
        for gene in genes.tolist():
            controlled = np.flatnonzero(effects[gene].any(axis=1))
            tissue = int(controlled[shared.integers(controlled.size)])
            size = np.sqrt(shared.uniform(*config.effect_variance)) * shared.choice((-1.0, 1.0))
            place, direct = int(shared.integers(effects.shape[2])), shared.choice((-1.0, 1.0))
            own = max(NEVER_SMALLER, 1.0 + SHARED_DEVIATION * rng.standard_normal())
            around = float(direct * np.sqrt(config.direct_variance))
            out.append(Cause(gene, tissue, name, float(size * own), (place, around)))
    return out
