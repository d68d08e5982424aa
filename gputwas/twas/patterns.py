"""Which SNPs the traits of a block miss, and what that makes of every model.

In: z columns. Out: for each a key of its pattern of missing SNPs and, once per pattern, SNPs used, var_g and
status of every model. All traits of one cohort usually share one pattern, which then costs a comparison.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
import xxhash

from gputwas.stores.associations import AssociationStore, Status
from gputwas.twas.variance import PatternVariance

__all__ = ["PatternBook", "usable_variance"]

KEPT = 4  # patterns that stay in memory from one block to the next


class PatternBook:
    """Patterns of the block at hand and a few of the last one; threads may use it at once.

    Parameters
    ----------
    store : where patterns of the run are kept, also those of an earlier life of it; None keeps none.
    compute : what a pattern of present variants, (variants,) bool, makes of the models.
    """

    def __init__(
        self, store: AssociationStore | None, compute: Callable[[np.ndarray], PatternVariance]
    ) -> None:
        self._store = store
        self._compute = compute
        self._known: dict[str, Future[PatternVariance]] = {}
        self._lock = threading.Lock()

    def key(self, z: np.ndarray) -> str:
        """Name of the pattern of a z column, (variants,), NaN where missing; the pattern is known then."""
        present = ~np.isnan(z)
        key = xxhash.xxh3_128_hexdigest(np.packbits(present).tobytes())
        with self._lock:  # a pattern that several threads meet is computed by the first, others side by side
            known = self._known.get(key)
            found = self._known.setdefault(key, Future())
        if known is None:
            try:
                found.set_result(self._read(key) or self._compute(present))
            except BaseException as error:
                with self._lock:
                    del self._known[key]
                found.set_exception(error)
                raise
        return key

    def __getitem__(self, key: str) -> PatternVariance:
        return self._known[key].result()

    def write(self, keys: Sequence[str]) -> None:
        """Put patterns into the store, those of one block, and forget most others."""
        assert self._store is not None
        used = dict.fromkeys(keys)
        for key in used:
            pattern = self[key]
            self._store.write_pattern(key, pattern.n_snps_used, pattern.var_g, pattern.status)
        with self._lock:
            self._known = {key: self._known[key] for key in list(used)[-KEPT:]}

    def _read(self, key: str) -> PatternVariance | None:
        if self._store is None or not self._store.has_pattern(key):
            return None
        found = self._store.read_pattern(key)
        return PatternVariance(found.n_snps_used, found.var_g, found.status)


def usable_variance(pattern: PatternVariance) -> np.ndarray:
    """var_g (models,) float64, NaN where the pattern leaves no result."""
    return np.where(pattern.status == Status.OK, pattern.var_g, np.nan)
