"""The LD reference of FUSION's models: which of its variants a weight is of, and correlations of genotypes.

In: a genotype panel; SNPs with alleles; groups of its variants. Out: rows and signs, and packed triangles of
correlations.

FUSION standardises the genotypes, a missing one being the SNP's mean (utils/plink_utils.R, ``impute="avg"``;
``scale``, FUSION.assoc_test.R:193), and takes ``t(X) %*% X / (n - 1)`` (:241): the correlation matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.backends.choose import choose_backend
from gputwas.backends.memory import available_memory
from gputwas.errors import InputError, ResourceError
from gputwas.formats.genotypes.panel import GenotypePanel
from gputwas.progress import progress
from gputwas.stats.covariance import CONSTANT, centre_dosages, covariance_triangles
from gputwas.variants.align import Reason, align
from gputwas.variants.match import VariantIndex, best_candidates

__all__ = ["AMBIGUOUS", "NOT_A_BASE", "NOT_IN_LD", "NO_VARIANCE", "OTHER_ALLELES", "LdReference"]

NOT_IN_LD = "not in the LD reference"
NOT_A_BASE = "alleles that are no single bases"
AMBIGUOUS = "strand-ambiguous (A/T, C/G)"
OTHER_ALLELES = "other alleles than the LD reference"
NO_VARIANCE = "no variance in the LD reference"
_ROWS_AT_A_TIME = 1 << 23  # dosages: 64 MB
_COPIES = 5  # of a group's dosages at once: read, centred, standardised, gathered


class LdReference:
    """A genotype panel, looked at as FUSION does.

    Parameters
    ----------
    panel : genotypes; their dosage counts the effect allele.

    Raises
    ------
    InputError
        If the panel has fewer than 2 samples, whose correlations are not defined.
    """

    def __init__(self, panel: GenotypePanel) -> None:
        if len(panel.samples) < 2:
            raise InputError(
                "an LD reference needs at least 2 samples", path=panel.paths[0], found=len(panel.samples)
            )
        self.panel = panel
        self.ids, self.effect, self.other = (
            _array(panel.variants[name]) for name in ("variant_id", "effect_allele", "other_allele")
        )
        self._index = VariantIndex(self.ids)
        self._sd = np.full(panel.variants.num_rows, np.nan)

    def match(
        self, ids: pa.Array, effect: pa.Array, other: pa.Array
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Find the variants of weights: the name's, with the same alleles on either strand.

        Parameters
        ----------
        ids, effect, other : string (entries,).

        Returns
        -------
        row : int64 (entries,): row of the panel, -1 where there is none.
        sign : float64 (entries,): -1 where the panel counts the other allele.
        left_out : reason -> bool (entries,).

        Notes
        -----
        Of several variants of one name the first that fits is taken; FUSION takes the first (``match``, :189)
        and, where the alleles are neither equal nor turned, keeps the weight as it stands (:196-197): there
        we leave it out. Strand-ambiguous SNPs and alleles that are no bases are left out as FUSION does
        (``allele.qc``, :62-64, :170-174).
        """
        count = len(ids)
        entries, rows = self._index.find(ids)
        at, there = pa.array(entries), pa.array(rows)
        alleles = [column.take(at) for column in (effect, other)]
        verdict = align(
            self.effect.take(there), self.other.take(there), *alleles, mode="strict", palindromes="drop"
        )
        chosen = best_candidates(entries, verdict.reason)
        row, sign = np.full(count, -1, np.int64), np.zeros(count)
        reason = np.full(count, Reason.NOT_IN_PANEL, np.uint8)
        row[entries[chosen]], sign[entries[chosen]] = rows[chosen], verdict.sign[chosen]
        reason[entries[chosen]] = verdict.reason[chosen]
        absent = reason == Reason.NOT_IN_PANEL
        no_base = ~absent & ~(_bases(effect) & _bases(other))
        ambiguous = ~absent & ~no_base & (reason == Reason.PALINDROMIC)
        unlike = ~absent & ~no_base & ~ambiguous & (sign == 0)
        row[absent | no_base | ambiguous | unlike] = -1
        return row, sign, {
            NOT_IN_LD: absent, NOT_A_BASE: no_base, AMBIGUOUS: ambiguous, OTHER_ALLELES: unlike
        }  # fmt: skip

    def contains(self, ids: pa.Array) -> np.ndarray:
        """Say of each name whether the panel has it: bool (entries,)."""
        return self._index.contains(ids)

    def look(self, rows: np.ndarray) -> None:
        """Find the standard deviations of variants; `sd` knows them from then on."""
        new = np.unique(rows)
        new = new[np.isnan(self._sd[new])]
        step = max(1, _ROWS_AT_A_TIME // len(self.panel.samples))
        with progress("LD reference", len(new), "variants") as shown:
            for start in range(0, len(new), step):
                some = new[start : start + step]
                self._sd[some] = _sd(centre_dosages(self.panel.dosages(some)).variance)
                shown.advance(len(some))

    def sd(self, rows: np.ndarray) -> np.ndarray:
        """Standard deviations of dosages, float64, n - 1; 0 where the variant does not vary."""
        return self._sd[rows]

    def correlations(self, members: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Correlations of groups of variants that vary.

        Parameters
        ----------
        members : int64 (entries,): rows of the panel, group by group, all different within a group.
        offsets : int64 (groups + 1,): where each group begins.

        Returns
        -------
        float64: for each group the upper triangle row by row (i <= j), with a diagonal of exactly 1.

        Raises
        ------
        ResourceError
            If the dosages of the largest group do not fit into memory.
        """
        sizes = np.diff(offsets)
        self._check_memory(int(sizes.max(initial=0)))
        starts = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
        packed = np.empty(starts[-1])
        backend = choose_backend("numpy")
        first = np.full(len(sizes), self.panel.variants.num_rows)
        first[sizes > 0] = np.minimum.reduceat(members, offsets[:-1][sizes > 0])
        order = np.argsort(first, kind="stable")  # neighbours share their SNPs
        for groups in self._batches(order, sizes):
            entries = _ranges(offsets[groups], sizes[groups])
            used, place = np.unique(members[entries], return_inverse=True)
            centred = centre_dosages(self.panel.dosages(used))
            standard = centred.values / _sd(centred.variance)[:, None]
            parts = np.concatenate([[0], np.cumsum(sizes[groups])])
            triangles = covariance_triangles(standard, place.reshape(-1), parts, backend)
            packed[_ranges(starts[groups], np.diff(starts)[groups])] = triangles
        packed[_diagonals(sizes, starts)] = 1.0  # but for rounding it is already
        return packed

    def _check_memory(self, largest: int) -> None:
        samples, free = len(self.panel.samples), available_memory()
        needed = 8 * _COPIES * largest * samples
        if needed > free:
            raise ResourceError(
                f"a gene of {largest:,} SNPs and an LD reference of {samples:,} samples need "
                f"{needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; use fewer samples: --samples"
            )

    def _batches(self, order: np.ndarray, sizes: np.ndarray) -> Sequence[np.ndarray]:
        """Groups whose dosages are read together, at most so many entries at a time."""
        most = max(1, _ROWS_AT_A_TIME // len(self.panel.samples))
        batch = np.cumsum(sizes[order]) // most
        return np.split(order, np.flatnonzero(np.diff(batch)) + 1) if len(order) else []


def _sd(variance: np.ndarray) -> np.ndarray:
    return np.where(variance > CONSTANT, np.sqrt(variance), 0.0)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1 ... of each range, one after the other."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)


def _diagonals(sizes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Where the diagonals stand in packed triangles."""
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    return np.repeat(starts[:-1], sizes) + within * size - within * (within - 1) // 2


def _bases(alleles: pa.Array) -> np.ndarray:
    known = pc.is_in(alleles, value_set=pa.array(["A", "C", "G", "T"]))
    return known.to_numpy(zero_copy_only=False)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()
