"""Traits scored group by group into arrays of results, the way the plan says.

In: a `Selection`, a `Scorer`, a `Plan`. Out: columns of z and effect sizes, and each trait's pattern of
missing SNPs. A group that the memory of the device cannot hold is halved, and so are those after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gputwas.errors import ResourceError
from gputwas.twas.patterns import PatternBook, usable_variance
from gputwas.twas.plan import Plan
from gputwas.twas.selection import Selection
from gputwas.twas.spredixcan import Scorer
from gputwas.twas.tiles import TileScorer

__all__ = ["Results", "Scoring", "method_name"]

log = logging.getLogger(__name__)

Results = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Tissue -> z and effect size, each (models of the tissue, traits) of the type of the results."""


class Scoring:
    """A run's way of scoring.

    Parameters
    ----------
    chosen : what is scored. scorer : made of its models. plan : traits at once.
    dtype : of the results. patterns : of missing SNPs, shared by all groups.
    """

    def __init__(
        self,
        chosen: Selection,
        scorer: Scorer,
        plan: Plan,
        dtype: type[np.floating],
        patterns: PatternBook,
    ) -> None:
        self._chosen, self._scorer, self._plan, self._patterns = chosen, scorer, plan, patterns
        self._width = plan.width
        self._tiles = None
        if plan.tiled:
            self._tiles = TileScorer(scorer.operator, chosen.n_variants, threads=plan.threads, dtype=dtype)

    def score(self, traits: Sequence[str], results: Results, pool: ThreadPoolExecutor) -> list[str]:
        """Score traits into the columns of the results; returns the key of each one's pattern."""
        if self._tiles is None:
            return self._batches(traits, results)
        step = self._width
        cuts = [slice(start, min(start + step, len(traits))) for start in range(0, len(traits), step)]

        def one(cut: slice) -> list[str]:
            return self._tile(traits[cut], cut, results)

        return [key for keys in pool.map(one, cuts) for key in keys]

    def _tile(self, traits: Sequence[str], columns: slice, results: Results) -> list[str]:
        """Score a group by the processor's own kernels."""
        assert self._tiles is not None
        z, beta = self._chosen.columns(traits)
        keys = [self._patterns.key(column) for column in z]
        distinct = list(dict.fromkeys(keys))
        order = self._tiles.order
        variance = np.stack([usable_variance(self._patterns[key])[order] for key in distinct])
        out = [
            (self._chosen.models.tissue_slice(tissue), z_of[:, columns], effect_of[:, columns])
            for tissue, (z_of, effect_of) in results.items()
        ]
        self._tiles.score(z, beta, variance, np.array([distinct.index(key) for key in keys]), out)
        return keys

    def _batches(self, traits: Sequence[str], results: Results) -> list[str]:
        """Score all traits by array products, in smaller groups than planned if memory runs out."""
        keys: list[str] = []
        while len(keys) < len(traits):
            columns = slice(len(keys), min(len(keys) + self._width, len(traits)))
            try:
                keys += self._batch(traits[columns], columns, results)
            except self._scorer.backend.out_of_memory as error:
                if self._width == 1:
                    raise ResourceError(
                        f"memory ran out on {self._scorer.backend.device} with a single trait ({error}); "
                        "end what else runs there, or use --backend numpy"
                    ) from error
                self._width = max(1, min(self._width, len(traits)) // 2)
                self._scorer.backend.release_memory()
                log.warning(
                    "memory ran out on %s; going on with %d traits at a time",
                    self._scorer.backend.device, self._width,
                )  # fmt: skip
        return keys

    def _batch(self, traits: Sequence[str], columns: slice, results: Results) -> list[str]:
        z, beta = self._chosen.columns(traits)
        keys = [self._patterns.key(column) for column in z]
        distinct = list(dict.fromkeys(keys))
        patterns = [self._patterns[key] for key in distinct]
        pattern_of = np.array([distinct.index(key) for key in keys])
        batch = self._scorer.products.load(np.stack(z), _stacked(beta, z[0].size))
        for tissue, (z_of, effect_of) in results.items():
            models = self._chosen.models.tissue_slice(tissue)
            z_of[:, columns], effect_of[:, columns] = self._scorer.score(batch, models, patterns, pattern_of)
        return keys


def method_name(plan: Plan, scorer: Scorer) -> str:
    """How sums are made, for provenance: "tiles", or the way of the array products."""
    return "tiles" if plan.tiled else type(scorer.products).__name__.strip("_")


def _stacked(beta: list[np.ndarray | None], variants: int) -> np.ndarray | None:
    """(traits, variants), NaN for traits without effects; None if none has any."""
    if all(column is None for column in beta):
        return None
    unknown = np.full(variants, np.nan, dtype=np.float32)
    return np.stack([unknown if column is None else column for column in beta])
