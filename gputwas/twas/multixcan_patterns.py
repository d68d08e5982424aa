"""What a pattern of missing SNPs makes of every gene: its truncated tissue correlation, once for all traits.

In: a `GeneDesign`, which SNPs are present, which models have a z-score. Out: truncated inverses in batches of
genes with equally many tissues, and what the joint store keeps of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.stats.truncated import Cutoff, Truncated, joint_statistic, truncate
from gputwas.stores.joint import JointPattern, JointStatus
from gputwas.twas.multixcan_genes import MOST_LD, GeneDesign, GeneGroups

__all__ = ["TRAITS_AT_ONCE", "GeneBatch", "PatternTests", "pattern_bytes", "pattern_tests"]

GENES_AT_ONCE = 256  # decomposed together; fixed, for compiled libraries see one shape per number of tissues
TRAITS_AT_ONCE = 64  # columns of a product; fixed, so that a trait's bits do not depend on its neighbours
_REPORTED = ("eigen_max", "eigen_min", "eigen_min_kept", "tmi")


@dataclass(frozen=True, eq=False)
class GeneBatch:
    """Genes with equally many tissues that are tested.

    Attributes
    ----------
    genes : int64 (batch,). models : int64 (batch, tissues), rows of the model table.
    truncated : of (padded batch, tissues, tissues), on the backend; what is behind the batch means nothing.
    """

    genes: np.ndarray
    models: np.ndarray
    truncated: Truncated

    def statistics(self, z: np.ndarray, backend: Backend) -> np.ndarray:
        """z' R+ z, float64 (batch, traits), of (traits, models) z-scores; traits at most `TRAITS_AT_ONCE`."""
        padded = int(self.truncated.n_indep.shape[0])
        tissues = self.models.shape[1]
        columns = np.zeros((TRAITS_AT_ONCE, padded, tissues))
        columns[: len(z), : len(self.genes)] = np.take(z, self.models.ravel(), axis=1).reshape(
            len(z), len(self.genes), tissues
        )
        chosen = np.ascontiguousarray(columns.transpose(1, 2, 0))
        total = backend.compiled(_statistic)(
            self.truncated.components, self.truncated.signs, backend.asarray(chosen)
        )
        return backend.to_numpy(total)[: len(self.genes), : len(z)]


def _statistic(components: Any, signs: Any, z: Any) -> Any:
    """`joint_statistic` of arrays alone, so that it can be compiled."""
    nothing = signs[:, 0]
    held = Truncated(components, signs, nothing, signs, nothing, nothing, nothing, nothing)
    return joint_statistic(held, z)


@lru_cache(maxsize=8)
def _truncation(cutoff: Cutoff, regularization: float) -> Callable[[Any], tuple[Any, ...]]:
    """`truncate` to arrays alone, in the order of the fields; the same function for the same arguments."""

    def truncation(correlation: Any) -> tuple[Any, ...]:
        found = truncate(correlation, cutoff, regularization)
        return tuple(getattr(found, field.name) for field in fields(Truncated))

    return truncation


@dataclass(frozen=True, eq=False)
class PatternTests:
    """All genes under one pattern: the batches that make statistics, and what is reported of the genes."""

    batches: list[GeneBatch]
    pattern: JointPattern

    @property
    def nbytes(self) -> int:
        """Bytes of the components, which are what is large."""
        return sum(8 * batch.models.shape[1] ** 2 * len(batch.genes) for batch in self.batches)


def pattern_bytes(design: GeneDesign) -> int:
    """Bytes that `pattern_tests` takes at most: correlations, a copy, and the LD of some genes unpacked."""
    snps = np.diff(design.ld.offsets) ** 2
    unpacked = max(min(MOST_LD, int(snps.sum())), int(snps.max(initial=0)))
    tissues = np.diff(design.genes.offsets)[design.of_gene >= 0]
    return 8 * (3 * int((tissues**2).sum()) + 4 * unpacked)


def pattern_tests(
    design: GeneDesign,
    present: np.ndarray,
    has_z: np.ndarray,
    cutoff: Cutoff,
    regularization: float,
    backend: Backend,
) -> PatternTests:
    """Correlate and decompose all genes.

    Parameters
    ----------
    present : bool (panel of the models,), SNPs that have a z-score. has_z : bool (models,), models that have.
    cutoff, regularization : see `gputwas.stats.truncated.truncate`.

    Notes
    -----
    R_ab = V_ab / sqrt(V_aa V_bb). A tissue is tested if it has a z-score and its variance by the cross-tissue
    LD is above 0. (With a negative variance, which only an LD that is no covariance can have, the reference
    program fails for the whole gene; here that tissue alone is left out.)
    """
    genes = design.genes
    tested = np.zeros(len(has_z), dtype=bool)
    of_size: dict[int, list[GeneGroups]] = defaultdict(list)
    for group in design.covariances(present):
        for part in _testable(group, has_z):
            tested[part.models.ravel()] = True
            of_size[part.models.shape[1]].append(part)
    n_tissues = np.bincount(genes.of_model[tested], minlength=genes.n_genes).astype(np.int32)
    reported = {name: np.full(genes.n_genes, np.nan) for name in _REPORTED}
    n_indep = np.zeros(genes.n_genes, dtype=np.int32)
    batches = []
    for size in sorted(of_size):
        for part in _cut(of_size.pop(size)):
            batch = _decomposed(part, cutoff, regularization, backend)
            batches.append(batch)
            count = len(part.genes)
            n_indep[part.genes] = backend.to_numpy(batch.truncated.n_indep)[:count]
            for name, array in reported.items():
                array[part.genes] = backend.to_numpy(getattr(batch.truncated, name))[:count]
    any_z = np.bincount(genes.of_model[has_z], minlength=genes.n_genes) > 0
    status = np.full(genes.n_genes, JointStatus.OK, dtype=np.int8)
    status[n_tissues == 0] = JointStatus.NO_TISSUE
    status[~any_z] = JointStatus.NO_RESULT
    status[~design.has_snp(present)] = JointStatus.NO_LD
    pattern = JointPattern(n_indep=n_indep, n_tissues=n_tissues, status=status, tested=tested, **reported)
    return PatternTests(batches, pattern)


def _testable(group: GeneGroups, has_z: np.ndarray) -> Iterator[GeneGroups]:
    """Correlations of the tissues that are tested, by their number."""
    variance = np.diagonal(group.covariance, axis1=1, axis2=2)
    tested = has_z[group.models] & (variance > 0)
    counts = tested.sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        chosen = np.flatnonzero(counts == count)
        tissues = np.argsort(~tested[chosen], axis=1, kind="stable")[:, :count]
        rows = chosen[:, None, None]
        covariance = group.covariance[rows, tissues[:, :, None], tissues[:, None, :]]
        sd = np.sqrt(np.take_along_axis(variance[chosen], tissues, axis=1))
        correlation = covariance / sd[:, :, None] / sd[:, None, :]
        models = np.take_along_axis(group.models[chosen], tissues, axis=1)
        yield GeneGroups(group.genes[chosen], models, correlation)


def _cut(parts: list[GeneGroups]) -> Iterator[GeneGroups]:
    """Genes of all parts in ascending order, `GENES_AT_ONCE` at a time; empties the list."""
    genes = np.concatenate([part.genes for part in parts])
    models = np.concatenate([part.models for part in parts])
    correlation = np.concatenate([part.covariance for part in parts])
    parts.clear()
    order = np.argsort(genes)
    for start in range(0, len(order), GENES_AT_ONCE):
        chosen = order[start : start + GENES_AT_ONCE]
        yield GeneGroups(genes[chosen], models[chosen], correlation[chosen])


def _decomposed(part: GeneGroups, cutoff: Cutoff, regularization: float, backend: Backend) -> GeneBatch:
    correlation = part.covariance
    if backend.name == "jax" and len(part.genes) < GENES_AT_ONCE:  # one shape, compiled once
        size = correlation.shape[1]
        padding = np.broadcast_to(np.eye(size), (GENES_AT_ONCE - len(part.genes), size, size))
        correlation = np.concatenate([correlation, padding])
    found = backend.compiled(_truncation(cutoff, regularization))(backend.asarray(correlation))
    return GeneBatch(part.genes, part.models, Truncated(*found))
