"""Covariances of the dosages of many small, overlapping groups of SNPs.

In: dosages (snps, samples) with NaN where missing, and the SNPs of each group. Out: centred dosages with what
quality rules need to know, and one packed upper triangle of covariances per group.

Groups of one size are multiplied together, as many at a time as a limit allows: a group of k SNPs in n
samples costs 2 k² n operations and 8 k n bytes to gather, so beyond some ten SNPs arithmetic takes the time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gputwas.backends.blas_threads import one_blas_thread
from gputwas.backends.choose import Backend
from gputwas.backends.namespace import array_namespace

__all__ = ["CONSTANT", "CentredDosages", "centre_dosages", "covariance_triangles", "covariances_of_groups"]

Array = Any

CONSTANT = 1e-20
"""A variance up to this is rounding of a constant: one sample in a million off by 1e-6 has 1e-18."""

_MOST_VALUES = 1 << 21  # gathered dosages at a time: 16 MB of float64
_MANY_SNPS = 512  # a product of so many is worth sharing between cores


@dataclass(frozen=True, eq=False)
class CentredDosages:
    """Dosages without their means.

    Attributes
    ----------
    values : float64 (snps, samples): dosage minus the SNP's mean; 0 where missing, which is to say that
        missing dosages were replaced by the mean.
    mean : float64 (snps,): mean of the dosages that are there, 0 if none is.
    missing : float64 (snps,): share of the samples without a dosage.
    variance : float64 (snps,): sum of squares over samples - 1, missing ones counted as being at the mean.
    """

    values: Array
    mean: Array
    missing: Array
    variance: Array


def centre_dosages(dosages: Array) -> CentredDosages:
    """Replace missing dosages by the SNP's mean and take the mean away.

    Parameters
    ----------
    dosages : float64 (snps, samples), at least 2 samples; NaN = missing.

    Notes
    -----
    The mean over the samples that have a dosage stands in for a missing one, as with MetaXcan's
    ``--impute_to_mean`` (software/metax/genotype/GTExGenotype.py, lines 42-47).

    Raises
    ------
    ValueError : not a float64 matrix, or fewer than 2 samples.
    """
    xp = array_namespace(dosages)
    if dosages.ndim != 2 or dosages.dtype != xp.float64 or dosages.shape[1] < 2:
        raise ValueError(
            f"dosages must be float64 (snps, 2 or more samples), not {dosages.dtype} {dosages.shape}"
        )
    samples = dosages.shape[1]
    n_absent = xp.zeros(dosages.shape[0], dtype=xp.float64)
    mean = xp.sum(dosages, axis=1) / samples
    if bool(xp.any(xp.isnan(mean))):
        absent, zero = xp.isnan(dosages), xp.zeros((), dtype=xp.float64)
        n_absent = xp.sum(xp.astype(absent, xp.float64), axis=1)
        present = xp.where(n_absent < samples, samples - n_absent, xp.ones_like(n_absent))
        mean = xp.sum(xp.where(absent, zero, dosages), axis=1) / present
        values = xp.where(absent, zero, dosages - mean[:, None])
    else:
        values = dosages - mean[:, None]
    return CentredDosages(values, mean, n_absent / samples, xp.vecdot(values, values) / (samples - 1))


def covariances_of_groups(centred: Array, members: Array) -> Array:
    """Covariance matrices of groups of one size.

    Parameters
    ----------
    centred : float64 (snps, samples), see `CentredDosages.values`.
    members : int64 (groups, k): rows of `centred`.

    Returns
    -------
    float64 (groups, k, k): sums of products, accumulated in float64, over samples - 1. This is what MetaXcan
    computes, ``numpy.cov`` with ddof = 1 (software/metax/genotype/GenotypeAnalysis.py, line 86, and
    software/M01_covariances_correlations.py, line 161), as R's ``cov`` does.
    """
    xp = array_namespace(centred, members)
    groups, size = members.shape
    chosen = xp.take(centred, xp.reshape(members, (-1,)), axis=0)
    chosen = xp.reshape(chosen, (groups, size, centred.shape[1]))
    return xp.matmul(chosen, xp.matrix_transpose(chosen)) / (centred.shape[1] - 1)


def covariance_triangles(
    centred: Array,
    members: np.ndarray,
    offsets: np.ndarray,
    backend: Backend,
    *,
    most_values: int = _MOST_VALUES,
) -> np.ndarray:
    """Packed upper triangles of the covariances of groups of any size.

    Parameters
    ----------
    centred : float64 (snps, samples) on the backend's device.
    members : int64 (entries,): rows of `centred`, group by group.
    offsets : int64 (groups + 1,): where each group's entries begin.
    most_values : dosages gathered and products made at a time, unless a single group has more.

    Returns
    -------
    float64 (sum of k (k + 1) / 2,) on the host: for each group the triangle row by row (i <= j).
    """
    sizes = np.diff(offsets)
    starts = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
    packed = np.empty(starts[-1])
    pad = backend.name == "jax"  # compiles every shape anew
    for padded, groups in _batches(sizes, centred.shape[1], most_values, pad):
        size = sizes[groups]
        # places beyond the end of a smaller group repeat its last member; nothing looks at their products
        place = np.minimum(np.arange(padded), size[:, None] - 1)
        index = members[offsets[groups][:, None] + place]
        count = len(groups)
        if pad:
            index = np.concatenate([index, np.repeat(index[:1], _power_of_two(count) - count, axis=0)])
        small = backend.name == "numpy" and padded < _MANY_SNPS
        with one_blas_thread() if small else contextlib.nullcontext():
            squares = backend.to_numpy(covariances_of_groups(centred, backend.asarray(index)))
        for exact in np.unique(size):
            these = np.flatnonzero(size == exact)
            upper = np.triu_indices(int(exact))
            cells = starts[groups[these]][:, None] + np.arange(len(upper[0]))
            packed[cells] = squares[these[:, None], upper[0], upper[1]]
    return packed


def _batches(
    sizes: np.ndarray, samples: int, most_values: int, pad: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Sizes, and the groups that are computed together at that size; empty groups are in none."""
    every = np.unique(sizes[sizes > 0])
    size_of = np.array([_power_of_two(int(size)) if pad else size for size in every], dtype=np.int64)
    padded = np.zeros(len(sizes), dtype=np.int64)
    padded[sizes > 0] = size_of[np.searchsorted(every, sizes[sizes > 0])]
    for size in np.unique(size_of):
        groups = np.flatnonzero(padded == size)
        step = max(1, most_values // int(size * max(size, samples)))  # products may outgrow the dosages
        for start in range(0, len(groups), step):
            yield int(size), groups[start : start + step]


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
