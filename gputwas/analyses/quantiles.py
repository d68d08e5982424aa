"""Quantiles of all p-values of a study, and its genomic inflation, in one pass and bounded memory.

In: an AssociationStore of any size. Out: λ_GC and the table a QQ picture needs. Every |z| falls into a fine
bin; of the largest ones, where a bin would be seen in the picture, the exact values are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.progress import progress
from gputwas.stats.normal import chi2_median, nlog10_p_from_z
from gputwas.stores.associations import AssociationStore

__all__ = ["QuantileCounter", "Quantiles", "study_quantiles"]

BIN = 1e-4  # width in |z|: the median's error is half of it, 0.00015 in λ_GC at most
HIGHEST = 64.0  # |z| from here on (p < 10^-890) falls into the last bin
EXACT = 2_000
POINTS_PER_DECADE = 200


@dataclass(frozen=True)
class Quantiles:
    """Distribution of the p-values of `n_tests` tests.

    Attributes
    ----------
    table : expected and observed -log10 p, falling, thinned. lambda_gc : genomic inflation.
    """

    table: pa.Table
    n_tests: int
    lambda_gc: float


class QuantileCounter:
    """Counts |z| block by block; the order and partition of blocks do not matter."""

    def __init__(self) -> None:
        self._bins = np.zeros(round(HIGHEST / BIN) + 1, dtype=np.int64)
        self._largest = np.zeros(0)

    def update(self, z: np.ndarray) -> None:
        """Add z-scores of any shape; NaN is no test."""
        size = np.abs(np.asarray(z, dtype=np.float64).ravel())
        size = size[~np.isnan(size)]
        at = np.minimum(size / BIN, self._bins.size - 1).astype(np.int64)
        self._bins += np.bincount(at, minlength=self._bins.size)
        merged = np.concatenate([self._largest, size])
        if merged.size > EXACT:
            merged = np.partition(merged, merged.size - EXACT)[-EXACT:]
        self._largest = merged

    def result(self) -> Quantiles:
        """Quantiles and inflation of everything counted so far.

        λ_GC is the median of z² over that of chi-square(1) (Devlin & Roeder 1999,
        doi:10.1111/j.0006-341X.1999.00997.x), the median taken in the middle of its bin.
        """
        total = int(self._bins.sum())
        if total == 0:
            empty = pa.table({"expected": pa.array([], pa.float64()), "observed": pa.array([], pa.float64())})
            return Quantiles(empty, 0, float("nan"))
        cumulated = np.cumsum(self._bins)
        median = (np.searchsorted(cumulated, (total + 1) / 2) + 0.5) * BIN
        top = np.sort(self._largest)[::-1]
        rank = np.arange(1, top.size + 1)
        if total > top.size:
            decades = np.log10(total / top.size)
            more = np.geomspace(top.size + 1, total, max(2, int(decades * POINTS_PER_DECADE)))
            more = np.unique(np.rint(more).astype(np.int64))
            # the k-th largest |z| is the (total - k + 1)-th smallest
            bins = np.searchsorted(cumulated, total - more + 1)
            rank, top = np.append(rank, more), np.append(top, (bins + 0.5) * BIN)
        table = pa.table({"expected": -np.log10(rank / (total + 1)), "observed": nlog10_p_from_z(top)})
        return Quantiles(table, total, float(median**2 / chi2_median()))


def study_quantiles(
    store: AssociationStore, *, traits: Sequence[str] | None = None, tissues: Sequence[str] | None = None
) -> Quantiles:
    """Quantiles of all tests of a store, or of some traits and tissues.

    Raises
    ------
    InputError : a trait or tissue is unknown, or results are missing.
    """
    counter = QuantileCounter()
    wanted = None if traits is None else set(traits)
    for trait in traits or ():
        store.locate(trait)
    for tissue in tissues or ():
        store.tissue_slice(tissue)
    chosen = [name for name in store.tissues if tissues is None or name in set(tissues)]
    with progress("quantiles", len(chosen) * store.n_blocks, "blocks") as shown:
        for tissue in chosen:
            for _, names, z in store.iter_tissue(tissue, "z"):
                columns = slice(None) if wanted is None else [i for i, n in enumerate(names) if n in wanted]
                counter.update(z[:, columns])
                shown.advance()
    return counter.result()
