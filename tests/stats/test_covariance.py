"""Covariances of groups of SNPs against numpy.cov, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend, choose_backend
from gputwas.stats.covariance import (
    CONSTANT,
    centre_dosages,
    covariance_triangles,
    covariances_of_groups,
)

TOLERANCE = 1e-12  # float64, relative to the product of the two standard deviations


def genotypes(rng: np.random.Generator, snps: int, samples: int, missing: float = 0.0) -> np.ndarray:
    """0, 1, 2 in LD blocks; SNP 1 copies SNP 0, so that a group with both is singular."""
    shared = rng.random((snps // 3 + 1, 2, samples))
    frequency = rng.uniform(0.05, 0.95, snps)
    own = rng.random((snps, 2, samples))
    source = np.where(rng.random((snps, 2, samples)) < 0.7, np.repeat(shared, 3, axis=0)[:snps], own)
    dosages = (source < frequency[:, None, None]).sum(axis=1).astype(np.float64)
    if snps > 1:
        dosages[1] = dosages[0]
    dosages[rng.random(dosages.shape) < missing] = np.nan
    return dosages


def imputed(dosages: np.ndarray) -> np.ndarray:
    """Missing dosages by the mean, SNP by SNP."""
    result = dosages.copy()
    for row in result:
        row[np.isnan(row)] = np.mean(row[~np.isnan(row)])
    return result


def split(packed: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """The symmetric matrix of each group."""
    ends = np.cumsum([size * (size + 1) // 2 for size in sizes])
    matrices = []
    for size, piece in zip(sizes, np.split(packed, ends[:-1]), strict=True):
        matrix = np.zeros((size, size))
        matrix[np.triu_indices(size)] = piece
        matrices.append(np.where(matrix == 0, matrix.T, matrix))
    return matrices


def assert_close(got: np.ndarray, want: np.ndarray) -> None:
    sd = np.sqrt(np.diag(want))
    assert np.all(np.abs(got - want) <= TOLERANCE * np.outer(sd, sd))


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_equals_numpy_cov(backend: Backend, missing: float) -> None:
    rng = np.random.default_rng(1)
    dosages = genotypes(rng, 40, 57, missing)
    sizes = [1, 7, 7, 0, 40, 2, 7, 3]
    groups = [np.sort(rng.choice(40, size, replace=False)) for size in sizes]
    groups[5] = np.array([0, 1])  # perfect LD
    centred = centre_dosages(backend.asarray(dosages)).values
    packed = covariance_triangles(
        centred, np.concatenate(groups), np.concatenate([[0], np.cumsum(sizes)]), backend
    )
    assert packed.dtype == np.float64
    full = np.cov(imputed(dosages))
    for group, got in zip(groups, split(packed, sizes), strict=True):
        assert_close(got, full[np.ix_(group, group)])


def test_batches_change_nothing_but_the_last_bits(backend: Backend) -> None:
    rng = np.random.default_rng(2)
    dosages = genotypes(rng, 12, 31)
    sizes = [5, 5, 5, 2, 12]
    members = np.concatenate([rng.choice(12, size, replace=False) for size in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    centred = centre_dosages(backend.asarray(dosages)).values
    one = covariance_triangles(centred, members, offsets, backend)
    for most in (1, 5 * 31, 10 * 31 + 1):
        again = covariance_triangles(centred, members, offsets, backend, most_values=most)
        np.testing.assert_allclose(again, one, rtol=0, atol=1e-14)


def test_mean_missing_and_variance(backend: Backend) -> None:
    dosages = np.array([[0.0, 1, 2, np.nan], [2, 2, 2, 2], [np.nan] * 4, [1.9, np.nan, 1.9, 1.9]])
    got = centre_dosages(backend.asarray(dosages))
    np.testing.assert_allclose(backend.to_numpy(got.mean), [1, 2, 0, 1.9], rtol=1e-15)
    np.testing.assert_array_equal(backend.to_numpy(got.missing), [0.25, 0, 1, 0.25])
    variance = backend.to_numpy(got.variance)
    np.testing.assert_allclose(variance[0], 2 / 3, rtol=1e-15)
    assert np.all(variance[1:] <= CONSTANT)
    np.testing.assert_array_equal(backend.to_numpy(got.values)[0], [-1, 0, 1, 0])


def test_counting_the_other_allele_turns_the_sign_only() -> None:
    rng = np.random.default_rng(3)
    dosages = genotypes(rng, 4, 90)
    turned = dosages.copy()
    turned[2] = 2 - turned[2]
    members = np.arange(4)[None]
    one, two = (covariances_of_groups(centre_dosages(d).values, members)[0] for d in (dosages, turned))
    sign = np.array([1, 1, -1, 1])
    np.testing.assert_allclose(two, one * np.outer(sign, sign), rtol=0, atol=1e-15)


@given(st.data())
def test_any_groups_of_any_dosages(data: st.DataObject) -> None:
    backend = choose_backend("numpy")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    snps, samples = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 30))
    dosages = rng.uniform(0, 2, (snps, samples))
    sizes = data.draw(st.lists(st.integers(0, snps), min_size=1, max_size=8))
    groups = [rng.choice(snps, size, replace=False) for size in sizes]
    packed = covariance_triangles(
        centre_dosages(dosages).values,
        np.concatenate(groups).astype(np.int64),
        np.concatenate([[0], np.cumsum(sizes)]),
        backend,
        most_values=data.draw(st.integers(1, 400)),
    )
    full = np.cov(dosages).reshape(snps, snps)
    sd = np.sqrt(np.diag(full))
    for group, got in zip(groups, split(packed, sizes), strict=True):
        want = full[np.ix_(group, group)]
        bound = 1e-11 * np.outer(
            sd[group], sd[group]
        )  # of two samples, cancellation may leave a few digits less
        assert np.all(np.abs(got - want) <= bound)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 1)), np.zeros((2, 3), np.float32)])
def test_other_arrays_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="dosages must be float64"):
        centre_dosages(bad)
