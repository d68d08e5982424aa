"""Scoring on the processor: a few traits at a time, from memory-mapped columns to columns of results.

In: a `ScoreOperator`, z and beta columns of some traits, var_g of their patterns. Out: z and effect sizes,
written into the caller's arrays. The compiled kernel (`gputwas.kernels.tiles`) lets go of the interpreter
lock, so threads work on different tiles at once; a trait's numbers do not depend on the tile it is in.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence

import numpy as np

from gputwas.kernels import tiles as kernel
from gputwas.stores.models import ModelSet
from gputwas.twas.operator import ScoreOperator
from gputwas.variants.text_numbers import number_texts

__all__ = ["WIDTH", "TileScorer", "bytes_per_trait", "gene_order", "genome_order", "rows_in_order"]

WIDTH = 32  # traits of a full tile: two cache lines of float32 for each SNP of a model and each of z and beta


def bytes_per_trait(models: int) -> int:
    """Memory of one trait in a tile: var_g of its pattern and a copy of that; the window is small."""
    return models * 2 * 8


class TileScorer:
    """Models made ready for tiles.

    Parameters
    ----------
    operator : the models. n_variants : length of the GWAS columns.
    threads : how many tiles are scored at once, at most.
    orders : (models,) int64 each, orders to score the models in; by default along the panel. The one with
        which the window has to be filled least is taken.

    Attributes
    ----------
    order : (models,) int64, the order in which models are scored: one after the other finds its SNPs where
        those of the last ones are, whatever the tissue.
    """

    def __init__(
        self, operator: ScoreOperator, n_variants: int, *, threads: int, orders: Sequence[np.ndarray] = ()
    ) -> None:
        self._n_variants = n_variants
        planned = [self._planned(operator, order) for order in orders or [genome_order(operator)]]
        self.order, (self._offsets, entries), self._plan = min(planned, key=lambda found: found[2].fills.size)
        self._z_weights, self._effect_weights = operator.z_weights[entries], operator.effect_weights[entries]
        self._placed: dict[tuple[tuple[int, int], ...], kernel.TileModels] = {}
        self._idle: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(None)  # made when a thread first needs it

    def _planned(
        self, operator: ScoreOperator, order: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], kernel.WindowPlan]:
        """An order, CSR offsets in it and where each entry was, and how the window then moves."""
        offsets, entries = rows_in_order(operator.offsets, order)
        plan = kernel.plan_window(offsets, operator.variants[entries], self._n_variants)
        return order, (offsets, entries), plan

    def score(
        self,
        z: Sequence[np.ndarray],
        beta: Sequence[np.ndarray | None],
        variance: np.ndarray,
        pattern_of: np.ndarray,
        out: Sequence[tuple[slice, np.ndarray, np.ndarray]],
    ) -> None:
        """Score models in a few traits.

        Parameters
        ----------
        z, beta : per trait float32 (variants,), contiguous, NaN where missing; beta None without effects.
        variance : (patterns, models) float64 var_g in the order of `order`, NaN where there is no result.
        pattern_of : (traits,) int64, row of `variance` of each trait.
        out : (models, z, effect) to fill: a range of models and (models of the range, traits) arrays with
            contiguous columns. Models in none of the ranges are not scored.
        """
        size = kernel.window_size(self._plan.lines, len(z))
        window = self._idle.get()
        try:
            if window is None or window.size < size:
                window = np.empty(size, np.float32)
            kernel.score_tile(
                self._models([models for models, _, _ in out]), z, beta, variance, pattern_of, window,
                [list(z_out.T) for _, z_out, _ in out], [list(effect_out.T) for _, _, effect_out in out],
            )  # fmt: skip
        finally:
            self._idle.put(window)

    def _models(self, ranges: Sequence[slice]) -> kernel.TileModels:
        """The models, and where each belongs among outputs for these ranges."""
        key = tuple((models.start, models.stop) for models in ranges)
        if key not in self._placed:
            tissue = np.full(self.order.size, -1, dtype=np.int32)
            row = np.zeros(self.order.size, dtype=np.int64)
            for number, models in enumerate(ranges):
                tissue[models] = number
                row[models] = np.arange(models.stop - models.start)
            self._placed[key] = kernel.TileModels(
                self._offsets, self._z_weights, self._effect_weights, self._plan,
                tissue[self.order], row[self.order], self._n_variants,
            )  # fmt: skip
        return self._placed[key]


def gene_order(models: ModelSet) -> np.ndarray:
    """Models gene by gene, genes as the tissues list them on average, (models,) int64.

    Where identifiers tell no place, the panel is in no order that would keep the tissues of a gene together,
    nor neighbouring genes; but the files of the tissues list genes in the same order, whichever that is.
    """
    gene, _ = number_texts(models.models["gene"].combine_chunks())
    place = np.empty(gene.size)
    for tissue in models.tissues:
        rows = models.tissue_slice(tissue)
        place[rows] = np.linspace(0, 1, rows.stop - rows.start)
    mean = np.bincount(gene, place) / np.maximum(np.bincount(gene), 1)
    return np.lexsort((gene, mean[gene]))


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
