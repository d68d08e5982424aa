"""What is claimed to be true of a simulated study, against other ways of working it out."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.simulate.config import preset
from gputwas.simulate.matrices import StudyMatrices, simulate_matrices
from gputwas.twas.spredixcan import spredixcan

CONFIG = preset("demo", n_genes=80, n_blocks=50, n_empty_blocks=2, n_tissues=2, n_traits=12)


@pytest.fixture(scope="module")
def study() -> StudyMatrices:
    return simulate_matrices(CONFIG)


def test_expectation_by_hand(study: StudyMatrices) -> None:
    """E[z] of one model and trait, from b, R, w and Γ in plain loops."""
    model, trait = (int(i) for i in np.argwhere(study.expected_z != 0)[3])
    block, tissue = int(study.model_block[model]), int(study.model_tissue[model])
    drawn = study.models[tissue]
    row = int(np.flatnonzero(drawn.gene == study.model_gene[model])[0])
    b = study.traits.joint_effects(trait)[block]
    r, gamma, w = study.genome.correlation[block], drawn.covariance[block], drawn.weights[row]
    n = study.traits.sample_sizes(trait)["33k"]
    snp_z = [np.sqrt(n) * sum(r[i, j] * b[j] for j in range(b.size)) for i in range(b.size)]
    var_g = sum(w[i] * gamma[i, j] * w[j] for i in range(w.size) for j in range(w.size))
    by_hand = sum(w[i] * np.sqrt(gamma[i, i]) * snp_z[i] for i in range(w.size)) / np.sqrt(var_g)
    assert study.expected_z[model, trait] == pytest.approx(by_hand, rel=1e-10)


def test_null_blocks_are_exactly_null_and_neighbours_are_not(study: StudyMatrices) -> None:
    neighbours = 0
    for trait, causes in enumerate(study.traits.causes):
        genes = {cause.gene for cause in causes}
        blocks = {int(study.genome.gene_block[gene]) for gene in genes}
        touched = np.isin(study.model_block, list(blocks))
        assert (study.expected_z[~touched, trait] == 0.0).all()
        beside = touched & ~np.isin(study.model_gene, list(genes))
        neighbours += int((study.expected_z[beside, trait] != 0).sum())
    assert neighbours > 20  # genes that are only in LD with a causal one


def test_null_traits(study: StudyMatrices) -> None:
    assert not study.traits.causes[11]
    assert not study.expected_z[:, 11].any()
    assert study.traits.heritability[11] == 0.0
    assert study.traits.explained(11) == 0.0
    assert study.traits.heritability[:11].min() >= 0.08


def test_explained_variance_is_that_of_the_causes() -> None:
    study = simulate_matrices(preset("test", causal_genes=(0, 1, 0), n_traits=2, null_every=0))
    for trait in range(2):
        effect = study.traits.causes[trait][0].effect
        assert study.traits.explained(trait) == pytest.approx(effect**2, rel=1e-10)


def test_direct_effects_lie_in_causal_blocks_only() -> None:
    plain = simulate_matrices(preset("test", direct_variance=0.0))
    direct = simulate_matrices(preset("test", direct_variance=1e-3))
    assert np.array_equal(plain.expected_z.any(axis=1), direct.expected_z.any(axis=1))
    assert not np.allclose(plain.expected_z, direct.expected_z)


def test_engine_and_formula_agree(study: StudyMatrices) -> None:
    engine = spredixcan(study.model_set(), study.panel_z())
    np.testing.assert_allclose(engine.z, study.score(), atol=1e-12)


def test_scores_scatter_about_their_expectation(study: StudyMatrices) -> None:
    """z - E[z] has mean 0 and variance near 1 (not exactly: Γ comes from 500 people)."""
    deviations = np.concatenate([
        (matrices.score() - matrices.expected_z).ravel()
        for matrices in (simulate_matrices(CONFIG, seed) for seed in range(3))
    ])  # fmt: skip
    assert abs(deviations.mean()) < 0.05
    assert 0.93 < deviations.var() < 1.08


def test_cohorts_expect_in_proportion_to_the_root_of_their_size(study: StudyMatrices) -> None:
    small = simulate_matrices(CONFIG, cohort="11k")
    for trait in range(CONFIG.n_traits):
        sizes = study.traits.sample_sizes(trait)
        assert sizes["33k"] == sizes["11k"] + sizes["22k"]
        ratio = np.sqrt(sizes["11k"] / sizes["33k"])
        np.testing.assert_allclose(small.expected_z[:, trait], study.expected_z[:, trait] * ratio, atol=1e-12)
    assert len({study.traits.sample_sizes(trait)["33k"] for trait in range(8)}) == 2  # T1 and dMRI
    assert not np.allclose(small.z, study.z / np.sqrt(3), atol=1e-3)


def test_both_cohorts_together_are_the_weighted_mean() -> None:
    first, second, both = (simulate_matrices(preset("test"), cohort=name).z for name in ("11k", "22k", "33k"))
    np.testing.assert_allclose(both[0], ((first + np.sqrt(2) * second) / np.sqrt(3))[0], atol=1e-12)
    assert abs(np.corrcoef(first[4].ravel(), second[4].ravel())[0, 1]) < 0.25  # a null trait: independent


def test_sides_and_measurements_of_a_region_resemble_each_other() -> None:
    study = simulate_matrices(preset("demo", n_genes=80, n_blocks=60, n_tissues=1, n_traits=8, null_every=0))
    r = np.corrcoef(study.score().T)
    within = [r[i, j] for i in range(4) for j in range(4) if i < j]
    across = [r[i, j] for i in range(4) for j in range(4, 8)]
    assert min(within) > 0.4
    assert np.abs(across).max() < 0.25


def test_more_traits_leave_the_first_ones_alone() -> None:
    few, many = (simulate_matrices(preset("test", n_traits=n)) for n in (3, 9))
    assert np.array_equal(few.z, many.z[:3])
    assert np.array_equal(few.expected_z, many.expected_z[:, :3])
    assert np.array_equal(few.traits.h2, many.traits.h2[:3])


def test_another_seed_is_another_study() -> None:
    a, b = simulate_matrices(preset("test"), 1), simulate_matrices(preset("test"), 2)
    assert not np.allclose(a.z, b.z)
    assert a.config.seed == 1 and b.config.seed == 2


def test_estimated_heritability_is_near_the_truth() -> None:
    study = simulate_matrices(preset("test", n_traits=400))
    deviation = (study.traits.h2 - study.traits.heritability) / study.traits.h2_se
    assert abs(deviation.mean()) < 0.2 and 0.85 < deviation.std() < 1.15
