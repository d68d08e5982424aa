"""A synthetic study in memory: models, covariances, z-scores and the truth, without any file.

In: a `StudyConfig`. Out: `StudyMatrices`. The numbers are those `simulate_study` would write, before they are
rounded to the digits of a text file and before variants are left out or turned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from gputwas.simulate.config import StudyConfig
from gputwas.simulate.genome import Genome, draw_genome
from gputwas.simulate.models import DrawnModels, draw_expression_effects, train_models
from gputwas.simulate.tissues import tissue_names
from gputwas.simulate.traits import DrawnTraits, draw_traits
from gputwas.simulate.truth import expected_z
from gputwas.stores.models import ModelSet

__all__ = ["StudyMatrices", "simulate_matrices"]


@dataclass(frozen=True)
class StudyMatrices:
    """Arrays of a synthetic study.

    Attributes
    ----------
    config, genome, traits : what was drawn.
    models : the models of each tissue: weights w per allele and covariance Γ by block.
    z : float64 (traits, blocks, variants), z-scores of the `alt` allele in the cohort asked for.
    expected_z : float64 (models, traits), E[z] of every model; exactly 0.0 where the null hypothesis holds.
    """

    config: StudyConfig
    genome: Genome
    traits: DrawnTraits
    models: tuple[DrawnModels, ...]
    z: np.ndarray
    expected_z: np.ndarray

    @cached_property
    def model_tissue(self) -> np.ndarray:
        """Tissue of each model, int64 (models,), tissue after tissue."""
        return np.concatenate([np.full(m.gene.size, m.tissue) for m in self.models])

    @cached_property
    def model_gene(self) -> np.ndarray:
        """Gene of each model, int64 (models,)."""
        return np.concatenate([m.gene for m in self.models])

    @cached_property
    def model_block(self) -> np.ndarray:
        """Block of each model, int64 (models,)."""
        return np.concatenate([m.block for m in self.models])

    @cached_property
    def planted(self) -> np.ndarray:
        """Whether each model's gene is causal for each trait, bool (models, traits)."""
        causal = np.zeros((self.config.n_genes, self.config.n_traits), dtype=bool)
        for trait, causes in enumerate(self.traits.causes):
            causal[[cause.gene for cause in causes], trait] = True
        return causal[self.model_gene]

    def score(self) -> np.ndarray:
        """z of every model in every trait by the formula itself, float64 (models, traits)."""
        parts = []
        for drawn in self.models:
            out = np.empty((drawn.gene.size, len(self.z)))
            loadings = drawn.loadings()
            for trait, z in enumerate(self.z):
                out[:, trait] = (loadings * z[drawn.block]).sum(axis=1)
            parts.append(out)
        return np.concatenate(parts)

    def panel_z(self) -> np.ndarray:
        """`z` over the panel of `model_set`, float64 (traits, variants)."""
        return self.z.reshape(len(self.z), -1)

    def model_set(self) -> ModelSet:
        """The models as the engine takes them; the panel is every variant of the study, effect allele alt."""
        model, place = np.nonzero(np.concatenate([m.weights for m in self.models]))
        lengths = np.bincount(model, minlength=self.model_gene.size)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        triangles = [
            drawn.covariance[block][np.ix_(rows, rows)][np.triu_indices(rows.size)]
            for drawn in self.models
            for block, rows in zip(drawn.block, map(np.flatnonzero, drawn.weights), strict=True)
        ]
        sizes = [triangle.size for triangle in triangles]
        return ModelSet(
            panel=self._panel(),
            models=self._model_table(lengths),
            offsets=offsets,
            variants=(self.model_block[model] * self.config.n_variants_per_block + place).astype(np.int32),
            weights=np.concatenate([m.weights[m.weights != 0] for m in self.models]),
            n_in_ld=lengths.astype(np.int32),
            ld_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            ld=np.concatenate(triangles),
        )

    def _panel(self) -> pa.Table:
        genome = self.genome
        chromosome = np.repeat(genome.chromosome, self.config.n_variants_per_block).astype(str)
        return pa.table({
            "variant_id": pa.array(genome.identifier.ravel(), pa.string()),
            "chromosome": pa.array(chromosome, pa.string()),
            "position": pa.array(genome.position.ravel()),
            "effect_allele": pa.array(genome.alt.ravel(), pa.string()),
            "other_allele": pa.array(genome.ref.ravel(), pa.string()),
        })  # fmt: skip

    def _model_table(self, lengths: np.ndarray) -> pa.Table:
        genome, gene = self.genome, self.model_gene
        names = np.array(tissue_names(self.config.n_tissues))
        return pa.table({
            "tissue": pa.array(names[self.model_tissue], pa.string()),
            "gene": pa.array(genome.gene[gene], pa.string()),
            "gene_name": pa.array(genome.gene_name[gene], pa.string()),
            "chromosome": pa.array(genome.chromosome[genome.gene_block[gene]].astype(str), pa.string()),
            "start": genome.gene_start[gene],
            "end": genome.gene_end[gene],
            "n_snps_in_model": lengths,
            "n_snps_in_cov": lengths,
            "var_g": np.concatenate([m.variance for m in self.models]),
        })  # fmt: skip


def simulate_matrices(config: StudyConfig, seed: int | None = None, *, cohort: str = "33k") -> StudyMatrices:
    """Draw a study in memory.

    Parameters
    ----------
    config : its settings. seed : takes the place of the settings' own.
    cohort : "11k", "22k" or "33k" (both together).
    """
    if seed is not None:
        config = replace(config, seed=seed)
    genome = draw_genome(config)
    effects = draw_expression_effects(config, genome)
    models = tuple(train_models(config, genome, effects, tissue) for tissue in range(config.n_tissues))
    traits = draw_traits(config, genome, effects)
    z = np.stack([traits.draw(trait)[cohort] for trait in range(config.n_traits)])
    sizes = [traits.sample_sizes(trait)[cohort] for trait in range(config.n_traits)]
    means = [traits.expected_snp_z(trait, n) for trait, n in enumerate(sizes)]
    expected = [[expected_z(m.loadings(), m.block, mean) for mean in means] for m in models]
    return StudyMatrices(
        config, genome, traits, models, z, np.concatenate([np.stack(e, axis=1) for e in expected])
    )
