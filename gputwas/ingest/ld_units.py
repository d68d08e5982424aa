"""Covariances of many groups of variants from genotypes, in one pass through the genome.

In: a panel of genotypes and, for each group (the SNPs of a model, or of a gene in all tissues), its rows.
Out: pieces of packed triangles as they are computed, and what the rules of quality made of each row.

Groups are taken in the order of their first row, as many at a time as fit into memory with the rows they need
together; a row that the next ones need as well is kept. As the SNPs of a gene lie near it, every row is read
once; groups whose SNPs are far apart have some of them read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gputwas.backends.choose import Backend
from gputwas.backends.memory import units_that_fit
from gputwas.ingest.ld_align import Fate
from gputwas.progress import progress
from gputwas.stats.covariance import CONSTANT, centre_dosages, covariance_triangles

__all__ = ["Genotypes", "Groups", "Piece", "Quality", "RowFates", "group_covariances", "ranges"]

log = logging.getLogger(__name__)

_COPIES = 8  # of a block of dosages at once, while it is centred and joined to what was kept
_ROUNDING = 1e-9  # of a frequency: far above float64's, far below one allele in any panel
# Dosages of a block, where the largest group needs no more. On a CPU 16 MB: memory of that size is used over
# and over, where more would be asked of the system each time; a GPU wants much work at once.
_BLOCK_VALUES, _BLOCK_VALUES_CUDA = 1 << 21, 1 << 25


class Genotypes(Protocol):
    """What is asked of a panel of genotypes, see `gputwas.formats.genotypes.panel.GenotypePanel`."""

    paths: tuple[str, ...]
    samples: list[str]
    variants: pa.Table

    def dosages(self, rows: np.ndarray) -> np.ndarray:
        """Dosages of rows of `variants`, float64 (rows, samples), NaN where missing."""


@dataclass(frozen=True)
class Quality:
    """Which SNPs are good enough.

    Attributes
    ----------
    maf : a SNP whose minor allele is rarer in the samples is left out; one without variance always is.
    max_missing : a SNP of which a larger share of the samples has no genotype is left out.
    """

    maf: float = 0.0
    max_missing: float = 0.1

    def fates(self, mean: np.ndarray, missing: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """uint8 (snps,) of `Fate`, from mean dosages, shares of missing ones and variances."""
        minor = np.minimum(mean, 2 - mean) / 2
        rare = minor < self.maf * (1 - _ROUNDING)  # 2 alleles of 20 are 0.1 whichever of them is counted
        conditions = [missing > self.max_missing, variance <= CONSTANT, rare]
        fates = [Fate.MISSING, Fate.NO_VARIANCE, Fate.BELOW_MAF]
        return np.select(conditions, fates, Fate.USED).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of rows of the genotypes.

    Attributes
    ----------
    rows : int64 (entries,), group by group, ascending within each.
    offsets : int64 (groups + 1,): where each begins.
    """

    rows: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True, eq=False)
class Piece:
    """Covariances of some groups.

    Attributes
    ----------
    groups : int64 (some,): which they are, each of them in one piece only.
    sizes : int64 (some,): how many entries of each are good enough, perhaps none.
    entries : int64 (sum of sizes,): those entries of `Groups.rows`.
    triangles : float64 (sum of k (k + 1) / 2,): packed upper triangles, for the alleles the panel counts.
    """

    groups: np.ndarray
    sizes: np.ndarray
    entries: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True, eq=False)
class RowFates:
    """What the rules made of the rows that were read: uint8 `fate` of the int64 ascending `rows`."""

    rows: np.ndarray
    fate: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Fates of some of the rows."""
        return self.fate[np.searchsorted(self.rows, rows)]


def group_covariances(
    panel: Genotypes, groups: Groups, quality: Quality, backend: Backend, budget: int
) -> tuple[Iterator[Piece], RowFates]:
    """Compute the covariances of all groups.

    Parameters
    ----------
    budget : bytes that dosages may take.

    Returns
    -------
    Pieces in the order of the genome, and the fates of rows, complete when the last piece has been taken.

    Raises
    ------
    ResourceError
        If the largest group does not fit into the budget.
    """
    rows = np.unique(groups.rows)
    fates = RowFates(rows, np.full(len(rows), Fate.USED, dtype=np.uint8))
    largest = int(np.diff(groups.offsets).max(initial=1))
    per_row = 8 * len(panel.samples) * _COPIES
    units_that_fit(budget, 0, per_row * largest, most=1, what=f"gene of {largest:,} SNPs")
    block = _BLOCK_VALUES_CUDA if backend.name == "cupy" else _BLOCK_VALUES
    wanted = max(largest, block // max(len(panel.samples), largest))  # few samples: triangles are larger
    most_rows = units_that_fit(budget, 0, per_row, most=wanted)
    return _pieces(panel, groups, quality, backend, fates, most_rows), fates


def _pieces(
    panel: Genotypes, groups: Groups, quality: Quality, backend: Backend, fates: RowFates, most_rows: int
) -> Iterator[Piece]:
    block = _Block(panel, quality, backend, fates)
    with progress("Covariances", len(groups.offsets) - 1, "groups") as shown:
        for chosen in _in_blocks(groups, most_rows):
            sizes = (groups.offsets[1:] - groups.offsets[:-1])[chosen]
            entries = ranges(groups.offsets[chosen], sizes)
            block.move_to(np.unique(groups.rows[entries]))
            good = fates(groups.rows[entries]) == Fate.USED
            owner = np.repeat(np.arange(len(chosen)), sizes)[good]
            entries = entries[good]
            kept = np.bincount(owner, minlength=len(chosen))
            triangles = covariance_triangles(
                block.values,
                block.places(groups.rows[entries]),
                np.concatenate([[0], np.cumsum(kept)]),
                backend,
            )
            yield Piece(chosen, kept, entries, triangles)
            shown.advance(len(chosen))


class _Block:
    """Centred dosages of the rows needed at present, on the backend's device."""

    def __init__(self, panel: Genotypes, quality: Quality, backend: Backend, fates: RowFates) -> None:
        self._panel, self._quality, self._backend, self._fates = panel, quality, backend, fates
        self._rows = np.empty(0, dtype=np.int64)  # in the order in which they lie in `values`
        self._order = np.empty(0, dtype=np.int64)  # that sorts them
        self.values: Any = backend.asarray(np.empty((0, len(panel.samples))))

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Where rows lie in `values`."""
        return self._order[np.searchsorted(self._rows, rows, sorter=self._order)]

    def move_to(self, rows: np.ndarray) -> None:
        """Read the rows, ascending, that are not here yet, and let go of the others."""
        backend, xp = self._backend, self._backend.xp
        here = np.isin(rows, self._rows, assume_unique=True)
        new = rows[~here]
        values = xp.take(self.values, backend.asarray(self.places(rows[here])), axis=0)
        if len(new):
            centred = centre_dosages(backend.asarray(self._read(new)))
            self._fates.fate[np.searchsorted(self._fates.rows, new)] = self._quality.fates(
                *(
                    backend.to_numpy(array)[: len(new)]
                    for array in (centred.mean, centred.missing, centred.variance)
                )
            )
            values = (
                xp.concat([values, centred.values[: len(new), :]], axis=0) if here.any() else centred.values
            )
        if backend.name == "jax":  # every shape is compiled anew: few shapes
            filler = _rounded_up(len(rows)) - values.shape[0]
            values = xp.concat([values, xp.zeros((filler, values.shape[1]))], axis=0)
        self._rows, self.values = np.concatenate([rows[here], new]), values
        self._order = np.argsort(self._rows)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        dosages = np.ascontiguousarray(self._panel.dosages(rows), dtype=np.float64)
        if self._backend.name != "jax":
            return dosages
        filler = np.zeros((_rounded_up(len(rows)) - len(rows), dosages.shape[1]))
        return np.concatenate([dosages, filler])


def _in_blocks(groups: Groups, most_rows: int) -> Iterator[np.ndarray]:
    """Groups that together need at most so many rows, in the order of their first ones; empty groups last."""
    sizes = np.diff(groups.offsets)
    first = np.full(len(sizes), np.iinfo(np.int64).max)
    first[sizes > 0] = groups.rows[groups.offsets[:-1][sizes > 0]]
    order = np.argsort(first, kind="stable")
    rows = groups.rows[ranges(groups.offsets[order], sizes[order])]
    ends = np.cumsum(sizes[order])
    before = _previous(rows)
    start = 0
    while start < len(order):
        begin = int(ends[start] - sizes[order[start]])
        window = before[begin : begin + 16 * most_rows]
        fitting = int(np.searchsorted(np.cumsum(window < begin), most_rows, side="right"))
        stop = max(int(np.searchsorted(ends, begin + fitting, side="right")), start + 1)
        yield order[start:stop]
        start = stop


def _previous(values: np.ndarray) -> np.ndarray:
    """Where each value stood the last time before, -1 if never."""
    order = np.argsort(values, kind="stable")
    previous = np.full(len(values), -1, dtype=np.int64)
    same = values[order][1:] == values[order][:-1]
    previous[order[1:][same]] = order[:-1][same]
    return previous


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... for each start, `lengths` of them, one after the other: int64."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


def _rounded_up(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()
