"""Scoring on the processor: a few traits at a time, from memory-mapped columns to columns of results.

In: a `ScoreOperator`, z and beta columns of some traits, var_g of their patterns. Out: z and effect sizes,
written into the caller's arrays. The compiled kernels (`gputwas.kernels.cpu`) let go of the interpreter lock,
so threads work on different tiles at once; a trait's numbers do not depend on the tile it is in.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.twas.operator import ScoreOperator

__all__ = ["WIDTH", "TileScorer", "bytes_per_trait", "genome_order", "rows_in_order"]

WIDTH = 32  # traits of a full tile: two cache lines of float32; fewer leave the inner loops too short


def bytes_per_trait(variants: int, models: int, item_bytes: int) -> int:
    """Memory of one trait in a tile: z and beta, their scores, var_g of its pattern and a copy of that."""
    return variants * 2 * 4 + models * (2 * item_bytes + 2 * 8)


@dataclass(frozen=True)
class _Workspace:
    """Arrays that one thread fills again and again."""

    z: np.ndarray  # (variants, width) float32
    beta: np.ndarray
    z_rows: np.ndarray  # (models, width) of the results' type
    effect_rows: np.ndarray


class TileScorer:
    """Models made ready for tiles.

    Parameters
    ----------
    operator : the models. n_variants : length of the GWAS columns.
    threads : how many tiles are scored at once, at most.
    dtype : of the results, float32 or float64.

    Attributes
    ----------
    order : (models,) int64, the models in the order of their first SNP. In this order one model after the
        other finds its SNPs next to those of the last one, whatever the tissue.
    """

    def __init__(
        self, operator: ScoreOperator, n_variants: int, *, threads: int, dtype: type[np.floating]
    ) -> None:
        self.order = genome_order(operator)
        self._place = np.empty_like(self.order)
        self._place[self.order] = np.arange(self.order.size)
        self._offsets, entries = rows_in_order(operator.offsets, self.order)
        self._variants = operator.variants[entries]
        self._z_weights = operator.z_weights[entries]
        self._effect_weights = operator.effect_weights[entries]
        self._n_variants = n_variants
        self._dtype = dtype
        self._idle: queue.SimpleQueue[_Workspace | None] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(None)  # made when a thread first needs it

    def score(
        self,
        z: Sequence[np.ndarray],
        beta: Sequence[np.ndarray | None],
        variance: np.ndarray,
        pattern_of: np.ndarray,
        out: Sequence[tuple[slice, np.ndarray, np.ndarray]],
    ) -> None:
        """Score all models in a few traits.

        Parameters
        ----------
        z, beta : per trait float32 (variants,), contiguous, NaN where missing; beta None without effects.
        variance : (patterns, models) float64 var_g in the order of `order`, NaN where there is no result.
        pattern_of : (traits,) int64, row of `variance` of each trait.
        out : (models, z, effect) to fill: a range of models and (models of the range, traits) arrays.
        """
        from gputwas.kernels import cpu

        traits = len(z)
        if any(column.shape != (self._n_variants,) for column in (*z, *(b for b in beta if b is not None))):
            raise ValueError(f"z and beta must have shape ({self._n_variants},)")
        space = self._idle.get()
        try:
            if space is None or space.z.shape[1] != traits:
                space = self._workspace(traits)
            cpu.interleave(cpu.addresses(z), cpu.addresses(beta), space.z, space.beta)
            cpu.gather(
                self._offsets, self._variants, self._z_weights, self._effect_weights,
                space.z, space.beta, variance, pattern_of, space.z_rows, space.effect_rows,
            )  # fmt: skip
            for models, z_out, effect_out in out:
                cpu.spread(space.z_rows, self._place[models], z_out.T)
                cpu.spread(space.effect_rows, self._place[models], effect_out.T)
        finally:
            self._idle.put(space)

    def _workspace(self, traits: int) -> _Workspace:
        tile, rows = (self._n_variants, traits), (self.order.size, traits)
        return _Workspace(
            np.empty(tile, np.float32), np.empty(tile, np.float32),
            np.empty(rows, self._dtype), np.empty(rows, self._dtype),
        )  # fmt: skip


def genome_order(operator: ScoreOperator) -> np.ndarray:
    """Models by their first SNP in the panel, which is in genome order; those without SNPs last."""
    first = np.full(operator.n_models, np.iinfo(np.int32).max, dtype=np.int32)
    filled = np.flatnonzero(operator.lengths > 0)
    if filled.size:
        first[filled] = np.minimum.reduceat(operator.variants, operator.offsets[filled])
    return np.argsort(first, kind="stable")


def rows_in_order(offsets: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CSR offsets (models + 1,) of the rows in another order, and where each entry was, (entries,)."""
    lengths = np.diff(offsets)[order]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = np.arange(int(new[-1]), dtype=np.int64) + np.repeat(offsets[:-1][order] - new[:-1], lengths)
    return new, entries
