"""Traits scored group by group into arrays of results, the way the plan says.

In: a `Selection`, a `Scorer`, a `Plan`. Out: columns of z and effect sizes, and each trait's pattern of
missing SNPs. A group that the memory of the device cannot hold is halved, and so are those after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.errors import ResourceError
from gputwas.twas.methods import resolve_method
from gputwas.twas.patterns import PatternBook, usable_variance
from gputwas.twas.plan import Plan
from gputwas.twas.products import way_of_multiplying, way_of_scoring
from gputwas.twas.selection import Selection
from gputwas.twas.spredixcan import Scorer, prepare_scorer
from gputwas.twas.streams import StreamScorer
from gputwas.twas.tiles import TileScorer, gene_order, genome_order

__all__ = ["Results", "Scoring", "method_name", "ready_models", "settle_method"]

log = logging.getLogger(__name__)

Results = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Tissue -> z and effect size, each (models of the tissue, traits) of the type of the results."""


@dataclass(frozen=True)
class _Group:
    """Traits scored together, as `TileScorer.score` and `StreamScorer.submit` want them; keys of patterns."""

    keys: list[str]
    z: list[np.ndarray]
    beta: list[np.ndarray | None]
    variance: np.ndarray
    pattern_of: np.ndarray
    out: list[tuple[slice, np.ndarray, np.ndarray]]


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
        self._width, self._dtype = plan.width, dtype
        self._tiles: TileScorer | None = None
        self._streams: StreamScorer | None = None
        if plan.way == "tiled":
            self._tiles = TileScorer(
                scorer.operator, chosen.n_variants, threads=plan.threads,
                orders=(genome_order(scorer.operator), gene_order(chosen.models)),
            )  # fmt: skip

    def score(self, traits: Sequence[str], results: Results, pool: ThreadPoolExecutor) -> list[str]:
        """Score traits into the columns of the results; returns the key of each one's pattern."""
        if self._tiles is not None:
            return self._tiled(traits, results, pool)
        keys: list[str] = []
        while len(keys) < len(traits):
            try:
                keys += self._grouped(traits, len(keys), results, pool)
            except self._scorer.backend.out_of_memory as error:
                error.with_traceback(None)  # its frames hold the arrays that are to be freed now
                self._halve(len(traits), error)
        return keys

    def _tiled(self, traits: Sequence[str], results: Results, pool: ThreadPoolExecutor) -> list[str]:
        """Every thread takes groups of traits to the processor's own kernels."""
        step = self._width
        cuts = [slice(start, min(start + step, len(traits))) for start in range(0, len(traits), step)]

        def one(columns: slice) -> list[str]:
            assert self._tiles is not None
            group = self._group(traits[columns], columns, results, self._tiles.order)
            self._tiles.score(group.z, group.beta, group.variance, group.pattern_of, group.out)
            return group.keys

        return [key for keys in pool.map(one, cuts) for key in keys]

    def _grouped(
        self, traits: Sequence[str], first: int, results: Results, pool: ThreadPoolExecutor
    ) -> list[str]:
        """Score what memory holds from trait `first` on: on streams all the rest, by products one group."""
        if self._plan.way == "streamed":
            return self._streamed(traits, first, results, pool)
        columns = slice(first, min(first + self._width, len(traits)))
        return self._batch(traits[columns], columns, results)

    def _streamed(
        self, traits: Sequence[str], first: int, results: Results, pool: ThreadPoolExecutor
    ) -> list[str]:
        if self._streams is None:
            self._streams = StreamScorer(
                self._scorer.operator, self._chosen.n_variants, width=self._width, dtype=self._dtype
            )  # fmt: skip
        keys: list[str] = []
        try:
            for start in range(first, len(traits), self._width):
                columns = slice(start, min(start + self._width, len(traits)))
                group = self._group(traits[columns], columns, results, self._streams.order, pool)
                self._streams.submit(group.z, group.beta, group.variance, group.pattern_of, group.out, pool)
                keys += group.keys
            self._streams.finish(pool)
        except BaseException:  # the caller may use or free these arrays as soon as it hears of it
            streams, self._streams = self._streams, None
            streams.abandon()
            raise
        return keys

    def _halve(self, traits: int, error: Exception) -> None:
        """Go on with smaller groups after memory ran out; what the last ones left undone is done again."""
        backend = self._scorer.backend
        if self._width == 1:
            raise ResourceError(
                f"memory ran out on {backend.device} with a single trait ({error}); "
                "end what else runs there, or use --backend numpy"
            ) from error
        self._width = max(1, min(self._width, traits) // 2)
        backend.release_memory()
        log.warning("memory ran out on %s; going on with %d traits at a time", backend.device, self._width)

    def _group(
        self,
        traits: Sequence[str],
        columns: slice,
        results: Results,
        order: np.ndarray,
        pool: ThreadPoolExecutor | None = None,
    ) -> _Group:
        """Open the columns of some traits; `pool` looks at several at once."""
        z, beta = self._chosen.columns(traits)
        keys = list((map if pool is None else pool.map)(self._patterns.key, z))
        distinct = list(dict.fromkeys(keys))
        return _Group(
            keys, z, beta,
            variance=np.stack([usable_variance(self._patterns[key])[order] for key in distinct]),
            pattern_of=np.array([distinct.index(key) for key in keys]),
            out=[
                (self._chosen.models.tissue_slice(tissue), z_of[:, columns], effect_of[:, columns])
                for tissue, (z_of, effect_of) in results.items()
            ],
        )  # fmt: skip

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


def settle_method(chosen: Selection, backend: Backend, method: str) -> str:
    """What a method of multiplying comes to for these models: "auto" by the rule on shapes."""
    way_of_multiplying(backend, method)  # refuses what does not go together
    models = chosen.models
    return resolve_method(method, models.offsets, models.variants, backend.name)


def ready_models(chosen: Selection, backend: Backend, method: str) -> Scorer:
    """Ready the models for a whole run; `method` comes from `settle_method`."""
    compiled = way_of_scoring(backend, method) == "tiled"
    return prepare_scorer(chosen.models, backend, method, compiled=compiled)


def method_name(plan: Plan, scorer: Scorer) -> str:
    """How sums are made, for provenance: the plan's own way, or that of the array products."""
    if plan.way in ("tiled", "streamed"):
        return plan.way
    return type(scorer.products).__name__.strip("_")


def _stacked(beta: list[np.ndarray | None], variants: int) -> np.ndarray | None:
    """(traits, variants), NaN for traits without effects; None if none has any."""
    if all(column is None for column in beta):
        return None
    unknown = np.full(variants, np.nan, dtype=np.float32)
    return np.stack([unknown if column is None else column for column in beta])
