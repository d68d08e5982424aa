"""The truth of a simulated study: what every model's z-score is expected to be.

In: drawn traits and models. Out: expectations as arrays and as Arrow tables. The null hypothesis of a TWAS
test is E[z] = 0, which holds exactly in blocks without effects; a gene that is only in LD with a causal one
has E[z] != 0 and is no false positive of the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.simulate.genome import Genome
from gputwas.simulate.traits import COHORTS, DrawnTraits

__all__ = [
    "SMALLEST_EXPECTATION",
    "TissueLoadings",
    "association_truth",
    "causal_truth",
    "expected_z",
    "gene_table",
    "trait_truth",
]

SMALLEST_EXPECTATION = 1e-8  # below it, an expectation is rounding error about an exact 0


@dataclass(frozen=True)
class TissueLoadings:
    """What is needed of a tissue's models to know their z.

    Attributes
    ----------
    tissue : its name. gene, block : int64 (models,), as in `DrawnModels`.
    by_pattern : float64 (models, variants) each, `DrawnModels.loadings` for each pattern of missing variants.
    """

    tissue: str
    gene: np.ndarray
    block: np.ndarray
    by_pattern: tuple[np.ndarray, ...]


def expected_z(loadings: np.ndarray, block: np.ndarray, expected_snp_z: np.ndarray) -> np.ndarray:
    """E[z_g] = Σ_l w_l σ_l E[z_l] / sqrt(w'Γw), float64 (models,); exactly 0.0 under the null hypothesis.

    Parameters
    ----------
    loadings : float64 (models, variants), wσ / sqrt(w'Γw); NaN for a model without a z.
    block : int64 (models,), block of each model.
    expected_snp_z : float64 (blocks, variants).
    """
    out = np.zeros(block.size)
    touched = np.flatnonzero(np.any(expected_snp_z != 0, axis=1)[block])
    out[touched] = (loadings[touched] * expected_snp_z[block[touched]]).sum(axis=1)
    out[np.abs(out) < SMALLEST_EXPECTATION] = 0.0
    return out


def association_truth(
    traits: DrawnTraits, tissues: Sequence[TissueLoadings], pattern_of: Sequence[int]
) -> pa.Table:
    """Table of the (trait, tissue, gene) whose expectation is not 0: `expected_z` in the largest cohort.

    `pattern_of` is the pattern of missing variants of each trait's file; the variants present decide the
    expectation as they decide the statistic. A row that is not there stands for an expectation of exactly 0.
    """
    genome, parts = traits.genome, []
    for number, trait in enumerate(traits.nidps):
        mean = traits.expected_snp_z(number, traits.sample_sizes(number)[COHORTS[-1]])
        for tissue in tissues:
            z = expected_z(tissue.by_pattern[pattern_of[number]], tissue.block, mean)
            rows = np.flatnonzero(np.nan_to_num(z))
            genes = tissue.gene[rows]
            parts.append(pa.table({
                "trait": pa.array([trait.name] * rows.size, pa.string()),
                "tissue": pa.array([tissue.tissue] * rows.size, pa.string()),
                "gene": pa.array(genome.gene[genes], pa.string()),
                "gene_name": pa.array(genome.gene_name[genes], pa.string()),
                "expected_z": pa.array(z[rows], pa.float64()),
            }))  # fmt: skip
    return pa.concat_tables(parts)


def causal_truth(traits: DrawnTraits, tissues: Sequence[str]) -> pa.Table:
    """Table of the planted effects: one row per trait, gene and level at which the gene is shared."""
    genome = traits.genome
    pairs = zip(traits.nidps, traits.causes, strict=True)
    rows = [(trait.name, cause) for trait, causes in pairs for cause in causes]

    def column(values: Iterable[object], kind: pa.DataType) -> pa.Array:
        return pa.array(list(values), kind)

    return pa.table({
        "trait": column((name for name, _ in rows), pa.string()),
        "gene": column((str(genome.gene[c.gene]) for _, c in rows), pa.string()),
        "gene_name": column((str(genome.gene_name[c.gene]) for _, c in rows), pa.string()),
        "tissue": column((tissues[c.tissue] for _, c in rows), pa.string()),
        "shared_by": column((c.level for _, c in rows), pa.string()),
        "effect": column((c.effect for _, c in rows), pa.float64()),
        "variance_explained": column((c.effect**2 for _, c in rows), pa.float64()),
        "direct_variance": column((c.direct[1] ** 2 for _, c in rows), pa.float64()),
    })  # fmt: skip


def trait_truth(traits: DrawnTraits) -> pa.Table:
    """Table of the traits: true heritability, and the part of it that the simulated variants make."""
    numbers = range(len(traits.nidps))
    return pa.table(
        {
            "trait": [trait.name for trait in traits.nidps],
            "is_null": [not traits.causes[number] for number in numbers],
            "h2_true": traits.heritability,
            "h2_simulated": [traits.explained(number) for number in numbers],
            "h2": traits.h2,
            "h2_se": traits.h2_se,
        }
    )


def gene_table(genome: Genome) -> pa.Table:
    """Table of all genes, those without a model included: gene, gene_name, chromosome, start, end."""
    return pa.table(
        {
            "gene": pa.array(genome.gene, pa.string()),
            "gene_name": pa.array(genome.gene_name, pa.string()),
            "chromosome": pa.array(genome.chromosome[genome.gene_block].astype(str), pa.string()),
            "start": genome.gene_start,
            "end": genome.gene_end,
        }
    )
