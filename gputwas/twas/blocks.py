"""The blocks of an association run: traits scored, results written, one block behind the other.

In: open stores, a `Scorer`, a `Plan`. Out: the files of the AssociationStore. Scoring and writing overlap. A
block whose files are there is left alone; which threads or processes compute it changes no bit of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from gputwas.progress import progress
from gputwas.stores.arrow import padded_matrix
from gputwas.stores.associations import AssociationStore
from gputwas.twas.patterns import PatternBook
from gputwas.twas.plan import Plan
from gputwas.twas.scoring import Results, Scoring
from gputwas.twas.selection import Selection
from gputwas.twas.spredixcan import Scorer

__all__ = ["BlockRun"]

WRITERS = 2  # threads that write files: while one waits for the disk the other fills its file


class BlockRun:
    """Everything a block needs.

    Parameters
    ----------
    chosen : what is scored. store : open for writing. scorer : made of the same models.
    plan : how many traits at once. precision : of the results, "float32" or "float64".
    """

    def __init__(
        self, chosen: Selection, store: AssociationStore, scorer: Scorer, plan: Plan, precision: str
    ) -> None:
        self._chosen, self._store, self._plan = chosen, store, plan
        self._dtype = np.dtype(precision).type
        self._patterns = PatternBook(store, scorer.variance)
        self._spare: list[Results] = []  # fresh memory costs more than the sums that go into it
        self._scoring = Scoring(chosen, scorer, plan, self._dtype, self._patterns)

    def all_blocks(self) -> int:
        """Compute the blocks that are not on disk yet; returns how many.

        The files of one block are written while the next one is computed.
        """
        computed = 0
        with (
            progress("associate", len(self._store.trait_names), "traits") as shown,
            ThreadPoolExecutor(self._plan.pool_size, "score") as scorers,
            ThreadPoolExecutor(WRITERS, "write") as writers,
        ):
            writing: list[Future[None]] = []
            results: Results = {}
            for block in range(self._store.n_blocks):
                if left := self._missing(block):
                    before, results = results, self._score_block(block, left, scorers)
                    _wait(writing)
                    self._spare.append(before)
                    writing = self._write(writers, block, results)
                    computed += 1
                shown.advance(len(self._store.block_traits(block)))
            _wait(writing)
        return computed

    def one_block(self, block: int) -> bool:
        """Compute a block and write its files; False if they are there already."""
        left = self._missing(block)
        if left:
            with (
                ThreadPoolExecutor(self._plan.pool_size, "score") as scorers,
                ThreadPoolExecutor(WRITERS, "write") as writers,
            ):
                results = self._score_block(block, left, scorers)
                _wait(self._write(writers, block, results))
                self._spare = [results]
        return bool(left)

    def _missing(self, block: int) -> list[str]:
        return [tissue for tissue in self._chosen.models.tissues if not self._store.has_block(tissue, block)]

    def _write(self, writers: ThreadPoolExecutor, block: int, results: Results) -> list[Future[None]]:
        return [
            writers.submit(self._store.write_block, tissue, block, z, effect)
            for tissue, (z, effect) in results.items()
        ]

    def _score_block(self, block: int, tissues: Sequence[str], pool: ThreadPoolExecutor) -> Results:
        """Score the traits of a block and write its patterns; returns what is to be written."""
        traits = self._store.block_traits(block)
        spare = self._spare.pop() if self._spare else {}
        results = {tissue: self._empty(tissue, len(traits), spare.get(tissue)) for tissue in tissues}
        keys = self._scoring.score(traits, results, pool)
        self._patterns.write(keys)
        self._store.write_block_patterns(block, keys)
        return results

    def _empty(
        self, tissue: str, traits: int, spare: tuple[np.ndarray, np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Arrays (models, traits) for z and effect, those of an earlier block where they are large enough."""
        if spare is not None and spare[0].shape[1] >= traits:
            return spare[0][:, :traits], spare[1][:, :traits]
        rows = self._chosen.models.tissue_slice(tissue)
        models = rows.stop - rows.start
        return padded_matrix(models, traits, self._dtype), padded_matrix(models, traits, self._dtype)


def _wait(futures: list[Future[None]]) -> None:
    """Until all are done; raises what the first that failed raised."""
    for future in futures:
        future.result()
    futures.clear()  # and with them the arrays that were written
