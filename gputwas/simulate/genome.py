"""The simulated genome: chromosomes cut into LD blocks, the variants in them, and where the genes lie.

In: a `StudyConfig`. Out: a `Genome` of arrays named by their axes (blocks, variants of a block). Blocks are
independent; within one, LD is that of a population of haplotypes in which neighbouring variants resemble
each other, so the LD matrix is known exactly and any number of people can be drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gputwas.simulate.config import N_CHROMOSOMES, StudyConfig
from gputwas.simulate.streams import Purpose, stream

__all__ = ["Genome", "draw_genome"]

# Lengths of the autosomes in GRCh37 (Genome Reference Consortium), base pairs.
CHROMOSOME_LENGTHS = (
    249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
    135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983,
    63025520, 48129895, 51304566,
)  # fmt: skip
# Identifiers outside the ranges in use, so that a simulated study is never taken for a real one.
FIRST_RS_NUMBER = 8_000_000_001
FIRST_ENSEMBL_NUMBER = 900_001
PALINDROMIC = np.array([list(pair) for pair in ("AT", "TA", "CG", "GC")])
PLAIN = np.array([list(pair) for pair in ("AG", "GA", "CT", "TC", "AC", "CA", "GT", "TG")])
LONGEST_BLOCK = 1_200_000  # base pairs
LOWEST_FREQUENCY = 0.05
RIDGE = 1e-9


@dataclass(frozen=True)
class Genome:
    """Blocks, variants and genes.

    Attributes
    ----------
    chromosome : int64 (blocks,), ascending.
    position : int64 (blocks, variants), ascending within a block.
    identifier, ref, alt : str (blocks, variants).
    frequency : float64 (blocks, variants), of `alt`.
    haplotypes : bool (blocks, variants, haplotypes), True for `alt`; all equally frequent.
    gene_block : int64 (genes,), ascending, so genes are in genome order.
    gene_start, gene_end : int64 (genes,), base pairs.
    gene, gene_name : str (genes,).
    """

    chromosome: np.ndarray
    position: np.ndarray
    identifier: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    frequency: np.ndarray
    haplotypes: np.ndarray
    gene_block: np.ndarray
    gene_start: np.ndarray
    gene_end: np.ndarray
    gene: np.ndarray
    gene_name: np.ndarray

    @cached_property
    def dosage_sd(self) -> np.ndarray:
        """Standard deviation of the dosage in the population (Hardy-Weinberg), float64 (blocks, variants)."""
        return np.sqrt(2.0 * self.frequency * (1.0 - self.frequency))

    @cached_property
    def correlation(self) -> np.ndarray:
        """LD of the population, float64 (blocks, variants, variants)."""
        centred = self.haplotypes - self.frequency[..., None]
        covariance = centred @ centred.transpose(0, 2, 1) / self.haplotypes.shape[-1]
        sd = np.sqrt(np.einsum("bll->bl", covariance))
        correlation = covariance / (sd[:, :, None] * sd[:, None, :])
        np.einsum("bll->bl", correlation)[...] = 1.0
        return correlation

    @cached_property
    def root(self) -> np.ndarray:
        """Cholesky factor A with A A' = `correlation`, float64 (blocks, variants, variants)."""
        # Two variants on the same haplotypes make the matrix singular; the ridge only keeps it factorable.
        ridge = RIDGE * np.eye(self.correlation.shape[1])
        return np.linalg.cholesky(self.correlation + ridge)

    def covariance(self, config: StudyConfig, tissue: int) -> np.ndarray:
        """Covariance of `alt` dosages as the tissue's covariance file has it, (blocks, variants, variants).

        Computed, as for the released models, from the people of that tissue's reference panel, drawn from
        the population; the population's own where `n_reference` is 0. Rounded to `covariance_decimals`.
        """
        if config.n_reference == 0:
            out = self.correlation * (self.dosage_sd[:, :, None] * self.dosage_sd[:, None, :])
        else:
            out = np.empty_like(self.correlation)
            rng = stream(config.seed, Purpose.REFERENCE, tissue)
            for block, haplotypes in enumerate(self.haplotypes):
                drawn = rng.integers(haplotypes.shape[1], size=(2, config.n_reference))
                dosage = haplotypes[:, drawn[0]].astype(np.float64) + haplotypes[:, drawn[1]]
                dosage -= dosage.mean(axis=1, keepdims=True)
                # einsum, not @: a BLAS that starts threads for so small a product waits longer than it works.
                out[block] = np.einsum("lp,kp->lk", dosage, dosage) / (config.n_reference - 1)
        return out if config.covariance_decimals is None else np.round(out, config.covariance_decimals)


def draw_genome(config: StudyConfig) -> Genome:
    """Draw the genome of a study."""
    rng = stream(config.seed, Purpose.LAYOUT)
    chromosome, start, length = _blocks(config, rng)
    position = _positions(config, rng, start, length)
    gene_block = _place_genes(config, rng)
    gene_start, gene_end = _gene_bounds(rng, gene_block, start, length)
    haplotypes = _haplotypes(config)
    ref, alt, identifier = _alleles(config, chromosome, position, gene_block)
    numbers = range(config.n_genes)
    return Genome(
        chromosome=chromosome, position=position, identifier=identifier, ref=ref, alt=alt,
        frequency=haplotypes.mean(axis=-1), haplotypes=haplotypes,
        gene_block=gene_block, gene_start=gene_start, gene_end=gene_end,
        gene=np.array([f"ENSG{FIRST_ENSEMBL_NUMBER + i:011d}" for i in numbers]),
        gene_name=np.array([f"SYNG{i + 1:04d}" for i in numbers]),
    )  # fmt: skip


def _blocks(config: StudyConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chromosome, start and length of each block: evenly along the genome, with ragged gaps."""
    n_blocks = config.n_blocks + config.n_empty_blocks
    ends = np.cumsum(CHROMOSOME_LENGTHS)
    shares = (np.arange(n_blocks) + 0.5) / n_blocks * ends[-1]
    chromosome = np.searchsorted(ends, shares, side="right")
    if n_blocks >= N_CHROMOSOMES:  # no chromosome without a block
        extra = np.setdiff1d(np.arange(N_CHROMOSOMES), chromosome)
        crowded = np.flatnonzero(np.diff(chromosome, append=-1) == 0)[: extra.size]
        chromosome[crowded] = extra
        chromosome.sort()
    start = np.empty(n_blocks, dtype=np.int64)
    length = np.empty(n_blocks, dtype=np.int64)
    for number in np.unique(chromosome):
        rows = np.flatnonzero(chromosome == number)
        slot = CHROMOSOME_LENGTHS[number] // (rows.size + 1)
        length[rows] = np.minimum(LONGEST_BLOCK, slot * rng.uniform(0.4, 0.8, rows.size)).astype(np.int64)
        slack = slot - length[rows]
        ragged = (slack * rng.uniform(size=rows.size)).astype(np.int64)
        start[rows] = slot // 2 + slot * np.arange(rows.size) + ragged
    return chromosome.astype(np.int64) + 1, start, length


def _positions(
    config: StudyConfig, rng: np.random.Generator, start: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Ascending positions without ties, int64 (blocks, variants)."""
    per_block = config.n_variants_per_block
    cell = length // per_block
    inside = (rng.uniform(size=(start.size, per_block)) * (cell[:, None] - 1)).astype(np.int64)
    return start[:, None] + cell[:, None] * np.arange(per_block) + inside


def _place_genes(config: StudyConfig, rng: np.random.Generator) -> np.ndarray:
    """Block of each gene: every gene block gets one, the surplus falls where it falls."""
    with_genes = np.sort(rng.permutation(config.n_blocks + config.n_empty_blocks)[: config.n_blocks])
    surplus = rng.integers(config.n_blocks, size=config.n_genes - config.n_blocks)
    return with_genes[np.sort(np.concatenate([np.arange(config.n_blocks), surplus]))]


def _gene_bounds(
    rng: np.random.Generator, gene_block: np.ndarray, start: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each gene, in the middle half of its block and in genome order."""
    inside = (length[gene_block] * rng.uniform(0.25, 0.75, gene_block.size)).astype(np.int64)
    first = start[gene_block] + inside
    first = first[np.lexsort((first, gene_block))]
    return first, first + rng.integers(3_000, 120_000, size=gene_block.size)


def _haplotypes(config: StudyConfig) -> np.ndarray:
    """Alleles of the population's haplotypes, bool (blocks, variants, haplotypes).

    Each haplotype is a Gaussian AR(1) walk along the block; a variant's alternate allele is carried by the
    haplotypes highest in the walk, as many as its frequency asks for. LD so decays with distance, at a rate
    of the block's own, over a background of chance correlation of order 1/sqrt(haplotypes).
    """
    n_blocks, n_variants = config.n_blocks + config.n_empty_blocks, config.n_variants_per_block
    n_haplotypes = config.n_haplotypes
    out = np.empty((n_blocks, n_variants, n_haplotypes), dtype=bool)
    for block in range(n_blocks):
        rng = stream(config.seed, Purpose.HAPLOTYPES, block)
        memory = rng.uniform(0.75, 0.97)
        steps = rng.standard_normal((n_variants, n_haplotypes))
        frequency = rng.uniform(LOWEST_FREQUENCY, 1.0 - LOWEST_FREQUENCY, n_variants)
        carriers = np.maximum(1, np.round(frequency * n_haplotypes).astype(np.int64))
        walk = steps[0]
        for variant in range(n_variants):
            if variant:
                walk = memory * walk + np.sqrt(1.0 - memory**2) * steps[variant]
            out[block, variant] = False
            out[block, variant, np.argsort(walk)[-carriers[variant] :]] = True
    return out


def _alleles(
    config: StudyConfig, chromosome: np.ndarray, position: np.ndarray, gene_block: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference and alternate allele and identifier, str (blocks, variants) each.

    Blocks without genes also hold short insertions and ids of the form chr:pos_ref_alt, as real files do.
    """
    rng = stream(config.seed, Purpose.ALLELES)
    shape = position.shape
    palindromic = rng.uniform(size=shape) < config.palindromic_share
    pairs = np.where(
        palindromic[..., None], PALINDROMIC[rng.integers(len(PALINDROMIC), size=shape)],
        PLAIN[rng.integers(len(PLAIN), size=shape)],
    ).astype("U3")  # fmt: skip
    outside = np.ones(shape[0], dtype=bool)
    outside[gene_block] = False
    insertion = (rng.uniform(size=shape) < 0.1) & outside[:, None]
    ref, alt = pairs[..., 0], pairs[..., 1]
    alt = np.where(insertion, np.char.add(ref, alt), alt)
    numbers = FIRST_RS_NUMBER + np.arange(position.size).reshape(shape)
    identifier = np.char.add("rs", numbers.astype("U12")).astype("U32")
    unnamed = (rng.uniform(size=shape) < config.non_rs_share) & outside[:, None]
    for block, variant in np.argwhere(unnamed):
        where = f"{chromosome[block]}:{position[block, variant]}"
        identifier[block, variant] = f"{where}_{ref[block, variant]}_{alt[block, variant]}"
    return ref, alt, identifier
