"""The simulated genome, its LD, and the draws from it."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.simulate.config import StudyConfig, preset
from gputwas.simulate.genome import Genome, draw_genome
from gputwas.simulate.models import draw_expression_effects, train_models
from gputwas.simulate.traits import draw_traits


@pytest.fixture(scope="module")
def config() -> StudyConfig:
    return preset("demo", n_genes=60, n_blocks=40, n_empty_blocks=10)


@pytest.fixture(scope="module")
def genome(config: StudyConfig) -> Genome:
    return draw_genome(config)


def test_places(config: StudyConfig, genome: Genome) -> None:
    assert set(genome.chromosome) == set(range(1, 23))
    assert (np.diff(genome.chromosome) >= 0).all()
    assert (np.diff(genome.position, axis=1) > 0).all()
    same = genome.chromosome[1:] == genome.chromosome[:-1]
    assert (genome.position[1:, 0] > genome.position[:-1, -1])[same].all()  # blocks do not overlap
    assert len(set(genome.identifier.ravel())) == config.n_variants
    assert len(set(genome.gene)) == len(set(genome.gene_name)) == config.n_genes
    first, last = genome.position[genome.gene_block, 0], genome.position[genome.gene_block, -1]
    assert (
        (genome.gene_start > first) & (genome.gene_start < last) & (genome.gene_end > genome.gene_start)
    ).all()
    order = np.lexsort((genome.gene_start, genome.chromosome[genome.gene_block]))
    assert np.array_equal(order, np.arange(config.n_genes))


def test_every_gene_block_has_a_gene_and_some_have_several(config: StudyConfig, genome: Genome) -> None:
    counts = np.bincount(genome.gene_block, minlength=50)
    assert (counts > 0).sum() == config.n_blocks
    assert (counts > 1).sum() >= 5


def test_alleles(genome: Genome) -> None:
    assert (genome.ref != genome.alt).all()
    pairs = np.char.add(genome.ref, genome.alt)
    palindromic = np.isin(pairs, ["AT", "TA", "CG", "GC"])
    assert 0.02 < palindromic.mean() < 0.09
    with_genes = np.zeros(len(genome.chromosome), dtype=bool)
    with_genes[genome.gene_block] = True
    assert np.char.startswith(genome.identifier[with_genes], "rs").all()
    assert not np.char.startswith(genome.identifier[~with_genes], "rs").all()


def test_frequencies_are_those_of_the_haplotypes(genome: Genome) -> None:
    assert np.array_equal(genome.frequency, genome.haplotypes.mean(axis=2))
    assert genome.frequency.min() >= 0.05 and genome.frequency.max() <= 0.95


def test_correlation_is_numpys(genome: Genome) -> None:
    for block in (0, 17):
        assert np.allclose(genome.correlation[block], np.corrcoef(genome.haplotypes[block]), atol=1e-12)
        assert np.allclose(genome.root[block] @ genome.root[block].T, genome.correlation[block], atol=2e-9)


def test_ld_decays_with_distance(genome: Genome) -> None:
    def mean_r2(distance: int) -> float:
        return float(np.mean(np.einsum("bll->bl", genome.correlation[:, distance:, :-distance]) ** 2))

    assert mean_r2(1) > 0.2 > 4 * mean_r2(20)


def test_reference_panel_estimates_the_population(config: StudyConfig, genome: Genome) -> None:
    population = genome.covariance(preset("demo", n_reference=0), 0)
    assert np.allclose(np.einsum("bll->bl", population), genome.dosage_sd**2)
    sample = genome.covariance(preset("demo", n_reference=2000), 0)
    # Standard error of a covariance from 2,000 people: at most sqrt(2 / 2000) of the variances' product.
    error = (sample - population) / (genome.dosage_sd[:, :, None] * genome.dosage_sd[:, None, :])
    assert abs(error.mean()) < 0.003 and 0.01 < error.std() < 0.032
    other = genome.covariance(preset("demo", n_reference=2000), 1)
    assert not np.array_equal(sample, other)  # each tissue has people of its own


def test_rounded_covariance(genome: Genome) -> None:
    rounded = genome.covariance(preset("demo", covariance_decimals=3), 0)
    assert np.array_equal(rounded, np.round(genome.covariance(preset("demo"), 0), 3))


def test_null_z_scores_have_the_correlation_of_the_population(config: StudyConfig) -> None:
    null = preset("test", n_traits=1200, null_every=1, phenotypic_correlation=0.0, n_patterns=1)
    genome = draw_genome(null)
    traits = draw_traits(null, genome, draw_expression_effects(null, genome))
    z = np.stack([traits.draw(trait)["33k"][:4] for trait in range(null.n_traits)])
    assert abs(z.mean()) < 0.03
    for block in range(4):
        # Standard error of a correlation from 1,200 draws: below 0.029.
        assert np.abs(np.corrcoef(z[:, block].T) - genome.correlation[block]).max() < 0.12
        assert np.abs(z[:, block].std(axis=0) - 1).max() < 0.08


def test_z_scores_have_the_expected_mean_in_every_cohort() -> None:
    config = preset("test", n_traits=1, null_every=0, effect_variance=(5e-3, 5e-3))
    draws: dict[str, list[np.ndarray]] = {"11k": [], "22k": [], "33k": []}
    genome = draw_genome(config)
    effects = draw_expression_effects(config, genome)
    for seed in range(300):
        drawn = draw_traits(preset("test", n_traits=1, null_every=0, seed=seed), genome, effects)
        fixed = draw_traits(config, genome, effects)
        for cohort, z in drawn.draw(0).items():
            n = {"11k": 11_000, "22k": 22_000, "33k": 33_000}[cohort]
            draws[cohort].append(z - drawn.expected_snp_z(0, n) + fixed.expected_snp_z(0, n))
    for cohort, n in (("11k", 11_000), ("22k", 22_000), ("33k", 33_000)):
        mean = np.mean(draws[cohort], axis=0)
        assert np.abs(mean - draw_traits(config, genome, effects).expected_snp_z(0, n)).max() < 5 / np.sqrt(
            300
        )


def test_cis_heritability_of_expression(config: StudyConfig, genome: Genome) -> None:
    effects = draw_expression_effects(config, genome)
    ld = genome.correlation[genome.gene_block]
    variance = np.einsum("gtl,glk,gtk->gt", effects, ld, effects)
    assert variance.max() <= 0.45 + 1e-9
    assert variance.any(axis=1).all()  # every gene is under control somewhere
    assert 0.6 < (variance > 0).mean() < 0.9


def test_tissues_share_eqtls(config: StudyConfig, genome: Genome) -> None:
    effects = draw_expression_effects(config, genome)
    both = effects[:, 0].any(axis=1) & effects[:, 1].any(axis=1)
    same = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(effects[both, 0], effects[both, 1], strict=True)])
    assert 0.6 < same < 0.98


def test_models_predict_as_well_as_they_claim(config: StudyConfig, genome: Genome) -> None:
    effects = draw_expression_effects(config, genome)
    models = train_models(config, genome, effects, 0)
    ld = genome.correlation[models.block]
    weights = models.weights * genome.dosage_sd[models.block]
    truth = effects[models.gene, 0]
    product = np.einsum("ml,mlk,mk->m", weights, ld, truth)
    r = product / np.sqrt(np.einsum("ml,mlk,mk->m", weights, ld, weights))
    # The claimed r is measured in 400 people: standard error 0.05.
    assert np.abs(np.sqrt(models.performance_r2) - r).max() < 0.2
    assert (models.performance_p < 0.05).all()
    used = (models.weights != 0).sum(axis=1)
    assert 2 < used.mean() < 12 and used.min() >= 1  # sparse
    assert np.allclose(models.loadings() @ np.zeros(ld.shape[1]), 0.0)
    assert models.gene.size < effects.shape[0]  # not every gene has a model
