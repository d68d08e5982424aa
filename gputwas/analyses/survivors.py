"""The tests of a store that a correction for multiple testing can depend on, from one reading of its z.

In: what of an AssociationStore is corrected, and in which families. Out: number of tests per family, and key,
family and z of the few that can be significant. Blocks are read side by side in threads; memory follows the
number of associations, not the number of tests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gputwas.executors.choose import available_cores
from gputwas.progress import progress
from gputwas.stats.fdr import SurvivorBound, survivor_levels
from gputwas.stats.tail_counts import count_tails
from gputwas.stores.associations import AssociationStore

__all__ = ["BYTES_PER_KEPT", "Selection", "Survivors", "find_survivors", "reading_threads"]

BYTES_PER_KEPT = 96  # a test kept and the copies made while ranking
SHARE_OF_CHANCE = 8  # tests that chance alone brings above the highest level fill one part in so many
LOOSER = -0.25  # the guess from the blocks read so far allows for alpha ** LOOSER times more in the others
MOST_THREADS = 8  # more do not read faster from memory

Shard = tuple[int, int]  # number of the tissue among those chosen, block


@dataclass(frozen=True)
class Selection:
    """What of the store is corrected, and which family each test is in.

    Attributes
    ----------
    tissues : those chosen. columns : block -> its columns chosen, ascending. family_names : in the order of
        their numbers. family_of_trait : int64 (traits of the store,); None if families are tissues or all
        is one.
    """

    store: AssociationStore
    tissues: list[str]
    columns: dict[int, np.ndarray]
    family_names: list[str]
    family_of_trait: np.ndarray | None

    def families(self, shard: Shard) -> np.ndarray:
        """Family of each column chosen, int64."""
        tissue, block = shard
        if self.family_of_trait is None:
            number = tissue if len(self.family_names) > 1 else 0
            return np.full(self.columns[block].size, number)
        return self.family_of_trait[self.traits(block)]

    def traits(self, block: int) -> np.ndarray:
        """Number in the store of each trait chosen of a block, int64."""
        return block * self.store.block_size + self.columns[block]

    def lowest(self, bound: SurvivorBound, shard: Shard, looser: float) -> np.ndarray:
        """`SurvivorBound.lowest` of the family of each column chosen, int64."""
        family = self.families(shard)
        if self.family_of_trait is None:
            return np.repeat(bound.lowest(of=family[:1], looser=looser), family.size)
        few, of_column = np.unique(family, return_inverse=True)
        return bound.lowest(of=few, looser=looser)[of_column]

    @cached_property
    def shards(self) -> list[Shard]:
        """All there is to read, in the order of the files."""
        return [(tissue, block) for tissue in range(len(self.tissues)) for block in self.columns]

    @property
    def n_places(self) -> int:
        """Number of tests if none is missing."""
        slices = [self.store.tissue_slice(name) for name in self.tissues]
        rows = sum(part.stop - part.start for part in slices)
        return int(rows * sum(columns.size for columns in self.columns.values()))


@dataclass(frozen=True)
class Survivors:
    """Tests that can be significant, in no particular order.

    Attributes
    ----------
    key : int64 (kept,), row of the store's model table x number of its traits + number of the trait.
    family : int64 (kept,). z : float64 (kept,). n_tests : int64 (families,), tests made.
    """

    key: np.ndarray
    family: np.ndarray
    z: np.ndarray
    n_tests: np.ndarray


@dataclass(frozen=True)
class _Read:
    """What one shard gave; `lowest` is the level from which on each column's tests are here."""

    shard: Shard
    lowest: np.ndarray
    made: np.ndarray
    reached: np.ndarray
    row: np.ndarray
    column: np.ndarray
    z: np.ndarray


def find_survivors(chosen: Selection, alpha: float, budget: int) -> Survivors | None:
    """Read the store and keep what can be significant at `alpha`.

    A test is kept if its |z| reaches the level that `SurvivorBound` gives for its family. While reading, that
    level is guessed from the blocks read so far; whatever block had too high a guess is read again in the
    end. So the result is exact, and one reading is the rule. Where more tests are kept than the budget
    allows, the first reading goes on to count only.

    Parameters
    ----------
    budget : bytes.

    Returns
    -------
    None if the survivors do not fit the budget.
    """
    room = budget // BYTES_PER_KEPT
    levels = survivor_levels(alpha, max(room / SHARE_OF_CHANCE, 1.0) / max(chosen.n_places, 1))
    bound = SurvivorBound(alpha, levels, len(chosen.family_names))
    kept: dict[Shard, _Read] = {}
    n_kept = 0

    def guess(shard: Shard) -> np.ndarray:
        if n_kept > room:
            return np.full(chosen.columns[shard[1]].size, levels.size)
        return np.minimum(chosen.lowest(bound, shard, alpha**LOOSER), levels.size - 1)

    for read in _read_all(chosen, chosen.shards, levels, room, guess, "FDR, reading"):
        bound.update(chosen.families(read.shard), read.made, read.reached)
        kept[read.shard] = read
        n_kept += _places_due(read)
        if n_kept > room:
            kept.clear()
    if bound.n_survivors() > room:
        return None
    exact = bound.lowest()
    again = [s for s in chosen.shards if s not in kept or np.any(kept[s].lowest > exact[chosen.families(s)])]
    for read in _read_all(
        chosen, again, levels, room, lambda shard: exact[chosen.families(shard)], "FDR, reading again"
    ):
        kept[read.shard] = read
    return _together(chosen, [kept[shard] for shard in chosen.shards], levels, bound)


def _places_due(read: _Read) -> int:
    """How many tests reach the level of their column, whether they were kept or not."""
    if read.row.size:
        return read.row.size
    some = np.flatnonzero(read.lowest < read.reached.shape[1])
    return int(read.reached[some, read.lowest[some]].sum())


def _read_all(
    chosen: Selection,
    shards: Sequence[Shard],
    levels: np.ndarray,
    most: int,
    lowest: Callable[[Shard], np.ndarray],
    label: str,
) -> Iterator[_Read]:
    """Read shards in threads and give them in order; `lowest` is asked when a shard's turn comes."""
    if not shards:
        return

    def read(shard: Shard, collected: np.ndarray) -> _Read:
        tissue, block = shard
        z = chosen.store.read_block(chosen.tissues[tissue], block, "z")
        columns = chosen.columns[block]
        tails = count_tails(z, levels, collected, columns=columns, most=most)
        return _Read(shard, collected, tails.made, tails.reached, tails.row, tails.column, tails.value)

    threads = reading_threads(len(shards))
    waiting: deque[Future[_Read]] = deque()
    with progress(label, len(shards), "blocks") as shown, ThreadPoolExecutor(threads) as pool:
        try:
            for shard in shards:
                waiting.append(pool.submit(read, shard, lowest(shard)))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
                    shown.advance()
            while waiting:
                yield waiting.popleft().result()
                shown.advance()
        finally:
            for future in waiting:
                future.cancel()


def _together(chosen: Selection, reads: list[_Read], levels: np.ndarray, bound: SurvivorBound) -> Survivors:
    """Keys, families and z of the tests at or above the exact level of their family."""
    least = np.append(levels, np.inf)[bound.lowest()]
    n_traits = len(chosen.store.trait_names)
    keys, families, values = [], [], []
    for read in reads:
        tissue, block = read.shard
        family = chosen.families(read.shard)[read.column]
        keep = np.abs(read.z) >= least[family]
        row = chosen.store.tissue_slice(chosen.tissues[tissue]).start + read.row[keep].astype(np.int64)
        keys.append(row * n_traits + chosen.traits(block)[read.column[keep]])
        families.append(family[keep])
        values.append(read.z[keep].astype(np.float64))
    return Survivors(
        np.concatenate(keys), np.concatenate(families), np.concatenate(values), bound.n_tests.copy()
    )


def reading_threads(n_files: int) -> int:
    """How many threads read so many files: one per processor that this process may use, within limits."""
    return max(1, min(available_cores(), MOST_THREADS, n_files))
