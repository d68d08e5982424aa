"""Numerators of the scores of one single trait, without SciPy.

In: a `ScoreOperator` and the z and beta of one trait. Out: (models, 1) sums, bit by bit those of the CSR
product: each runs over the SNPs of its model in their stored order, in float64. Importing scipy.sparse takes
longer and more memory than all sums of one trait in one tissue.
"""

from __future__ import annotations

import numpy as np

from gputwas.twas.operator import ScoreOperator
from gputwas.twas.products import GwasBatch

__all__ = ["OneTrait"]


class OneTrait:
    """The `Numerators` of an operator for batches of one trait."""

    def __init__(self, operator: ScoreOperator) -> None:
        self._operator = operator

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> GwasBatch:
        """(variants, 1) float64 from (1, variants), zero where z is missing."""
        missing = np.isnan(z)
        return GwasBatch(_column(z, missing), None if beta is None else _column(beta, missing))

    def sums(self, batch: GwasBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """z and effect sums of a range of models, (models, 1) float64."""
        operator = self._operator
        offsets = operator.offsets[models.start : models.stop + 1]
        inside = slice(int(offsets[0]), int(offsets[-1]))
        model = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))

        def summed(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
            terms = weights[inside] * values[operator.variants[inside], 0]
            sums = np.bincount(model, weights=terms, minlength=offsets.size - 1)
            return sums.astype(np.float64, copy=False)[:, None]  # of nothing, bincount gives integers

        z_sums = summed(operator.z_weights, batch.z)
        return z_sums, None if batch.beta is None else summed(operator.effect_weights, batch.beta)


def _column(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    if len(values) != 1:
        raise ValueError(f"one trait at a time, not {len(values)}")
    return np.where(missing, 0.0, values).astype(np.float64).T
