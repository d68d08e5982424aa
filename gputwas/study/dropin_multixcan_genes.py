"""Correlation of predicted expression between the tissues of each gene, as SMulTiXcan.py takes it.

In: cross-tissue covariance of SNPs with the weights of every tissue, or a file with the products. Out: genes
one after the other, each with its matrix or with the reason why it has none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.covariance import Covariances
from gputwas.formats.predictdb import TissueModels
from gputwas.study.dropin_multixcan_inputs import TissueScores, read_columns, trimmed

__all__ = ["GeneTissues", "Unusable", "genes_of_covariance", "genes_of_product"]

log = logging.getLogger(__name__)

_CANCELLED = 1e-12  # a variance below this share of its absolute terms is rounding: SNPs in perfect LD, say


class Unusable(Exception):
    """Why a gene cannot be tested; the reference leaves it out of its table."""


@dataclass(frozen=True, eq=False)
class GeneTissues:
    """A gene and its tissues.

    Attributes
    ----------
    gene : id. z : float64 (all tissues,), NaN where S-PrediXcan has none.
    tested : int64 (tested,), tissues in the test, in the order of the matrix.
    correlation : float64 (tested, tested).
    problem : None, or why there is no matrix although there are z and models.
    """

    gene: str
    z: np.ndarray
    tested: np.ndarray
    correlation: np.ndarray
    problem: str | None = None


_NO_TISSUE = (np.zeros(0, np.int64), np.zeros((0, 0)))


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights of genes of a covariance file, sorted by gene; then in the order of tissues and databases."""

    bounds: np.ndarray  # int64 (genes + 1,)
    tissue: np.ndarray  # int64 (weights,), column of the scores; -1 for a tissue without results
    snp: np.ndarray  # int64 (weights,), of the covariance's SNPs; -1 where it does not have the SNP
    weight: np.ndarray  # float64 (weights,)
    lacking: int  # weights of SNPs that count, but that the covariance does not have


def genes_of_covariance(
    covariances: Covariances,
    snps: pa.Array,
    models: Sequence[TissueModels],
    scores: TissueScores,
    *,
    trim: bool,
) -> Iterator[GeneTissues]:
    """Genes of the SNP covariance that have a pair of SNPs among `snps`, in its order.

    With w_a the weights of tissue a and C the covariance, both restricted to `snps`, the correlation is
    w_a' C w_b / sqrt(w_a' C w_a  w_b' C w_b) (software/metax/genotype/GeneExpressionMatrixManager.py). A
    tissue without variance is left out.

    Raises
    ------
    InputError : gene ids are no longer distinct without their version.
    """
    genes = pa.array(covariances.genes, pa.string())
    if trim:
        genes = trimmed(genes)
        _refuse_ambiguous(genes, models, covariances.path)
    usable = pc.is_in(covariances.snps, value_set=snps).to_numpy(zero_copy_only=False)
    weights = _weights(genes, covariances.snps, usable, snps, models, scores.tissues, trim=trim)
    if weights.lacking:
        log.warning(
            "%d of %d weights are of SNPs of the GWAS that the covariance lacks, and do not count",
            weights.lacking, len(weights.weight),
        )  # fmt: skip
    id1, id2 = covariances.id1, covariances.id2
    known = usable[id1] & usable[id2]
    there = np.logical_or.reduceat(known, covariances.offsets[:-1]) if len(known) else known
    all_z = scores.rows(genes)
    sub = _SubMatrix(len(covariances.snps))
    for number in np.flatnonzero(there).tolist():
        gene, z = genes[number].as_py(), all_z[number]
        if np.isnan(z).all():
            yield GeneTissues(gene, z, *_NO_TISSUE)
            continue
        own = slice(*weights.bounds[number : number + 2].tolist())
        if own.start == own.stop:
            yield GeneTissues(gene, z, *_NO_TISSUE, "no model has weights for it")
            continue
        rows = slice(*covariances.offsets[number : number + 2].tolist())
        rows_known = known[rows] & ~np.isnan(covariances.values[rows])
        pairs = (id1[rows][rows_known], id2[rows][rows_known], covariances.values[rows][rows_known])
        tested = (weights.tissue[own] >= 0) & np.isfinite(z[weights.tissue[own]])
        chosen = (weights.tissue[own][tested], weights.snp[own][tested], weights.weight[own][tested])
        try:
            yield GeneTissues(gene, z, *_correlation(*sub.of(pairs, chosen)))
        except Unusable as problem:
            yield GeneTissues(gene, z, *_NO_TISSUE, str(problem))


def _refuse_ambiguous(genes: pa.Array, models: Sequence[TissueModels], path: str) -> None:
    chunks = [chunk for one in models for chunk in one.weights["gene"].chunks]
    named = pc.unique(pa.chunked_array(chunks, pa.string()))
    for ids, what in ((trimmed(named), "models"), (genes, "covariance")):
        if pc.count_distinct(ids).as_py() < len(ids):
            raise InputError(
                f"two genes of the {what} differ only in the version of their id",
                path=path if what == "covariance" else None,
                remedy="Leave --trimmed_ensemble_id out.",
            )


def _weights(
    genes: pa.Array,
    snps: pa.Array,
    usable: np.ndarray,
    counted: pa.Array,
    models: Sequence[TissueModels],
    tissues: Sequence[str],
    *,
    trim: bool,
) -> _Weights:
    parts = []
    lacking = 0
    for one in models:
        ids = trimmed(one.weights["gene"]) if trim else one.weights["gene"]
        gene = pc.fill_null(pc.index_in(ids, value_set=genes), -1).to_numpy().astype(np.int64)
        snp = pc.fill_null(pc.index_in(one.weights["variant_id"], value_set=snps), -1).to_numpy()
        absent = pc.is_in(one.weights["variant_id"], value_set=counted).to_numpy() & (snp < 0)
        lacking += int(np.count_nonzero(absent & (gene >= 0)))
        snp = np.where((snp >= 0) & usable[snp], snp, -1) if len(usable) else snp
        own = np.flatnonzero(gene >= 0)
        column = tissues.index(one.tissue) if one.tissue in tissues else -1
        tissue = np.full(len(own), column, np.int64)
        parts.append((gene[own], tissue, snp[own].astype(np.int64), one.weights["weight"].to_numpy()[own]))
    gene, tissue, snp, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(gene, kind="stable")
    bounds = np.searchsorted(gene[order], np.arange(len(genes) + 1))
    return _Weights(bounds, tissue[order], snp[order], weight[order], lacking)


class _SubMatrix:
    """Cuts small dense matrices out of rows of pairs; its scratch is made once for all genes."""

    def __init__(self, n_snps: int) -> None:
        self._present = np.zeros(n_snps, np.bool_)
        self._place = np.full(n_snps, -1, np.int64)

    def of(
        self,
        pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
        weights: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tissues (t,), their weights (t, m) and the covariance (m, m) of the SNPs that both have.

        A weight that is given twice counts as the last one says.

        Raises
        ------
        Unusable : a pair of those SNPs is missing.
        """
        first, second, values = pairs
        tissue, snp, weight = weights
        self._present[first] = self._present[second] = True
        chosen = (snp >= 0) & self._present[snp]
        self._present[first] = self._present[second] = False
        needed = np.unique(snp[chosen])
        self._place[needed] = np.arange(len(needed))
        a, b = self._place[first], self._place[second]
        both = (a >= 0) & (b >= 0)
        covariance = np.full((len(needed), len(needed)), np.nan)
        covariance[a[both], b[both]] = values[both]
        covariance[b[both], a[both]] = values[both]
        tissues, row = np.unique(tissue[chosen], return_inverse=True)
        matrix = np.zeros((len(tissues), len(needed)))
        matrix[row, self._place[snp[chosen]]] = weight[chosen]
        self._place[needed] = -1
        if np.isnan(covariance).any():
            raise Unusable("the covariance lacks pairs of its SNPs")
        return tissues, matrix, covariance


def _correlation(
    tissues: np.ndarray, weights: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tissues with variance, and the correlation of their predictions."""
    product = weights @ covariance @ weights.T
    variance = np.diagonal(product)
    size = np.abs(weights)
    rounding = _CANCELLED * np.einsum("ti,ij,tj->t", size, np.abs(covariance), size)
    if (variance < -rounding).any():
        raise Unusable("the covariance gives it a negative variance")
    kept = np.flatnonzero(variance > rounding)
    variance = variance[kept]
    return tissues[kept], product[np.ix_(kept, kept)] / np.sqrt(variance[:, None] * variance[None, :])


def genes_of_product(
    path: str, scores: TissueScores, *, trim: bool, permissive: bool
) -> Iterator[GeneTissues]:
    """Genes of a file of products (gene, model1, model2, value) that have results, in its order.

    The values are taken as they are. Without `permissive`, every tissue with a z must be in both columns.

    Raises
    ------
    InputError : the file is no such table, its genes are not contiguous, or a row is repeated.
    """
    types = {name: pa.string() for name in ("gene", "model1", "model2")} | {"value": pa.float64()}
    table = read_columns(path, types, "the model product")
    genes, bounds = _contiguous(table["gene"].combine_chunks(), path)
    repeated = table.group_by(list(types), use_threads=False).aggregate([([], "count_all")])
    if repeated.num_rows < table.num_rows:
        raise InputError("a row is repeated", path=path)
    column = {tissue: number for number, tissue in enumerate(scores.tissues)}
    place = [
        np.array([column.get(name, -1) for name in table[model].to_pylist()], np.int64)
        for model in ("model1", "model2")
    ]
    values = table["value"].to_numpy()
    all_z = scores.rows(trimmed(genes) if trim else genes)
    for number in np.flatnonzero(np.isfinite(all_z).any(axis=1)).tolist():
        rows, z = slice(bounds[number], bounds[number + 1]), all_z[number]
        gene = genes[number].as_py().split(".")[0] if trim else genes[number].as_py()
        try:
            found = _product(place[0][rows], place[1][rows], values[rows], z, permissive=permissive)
            yield GeneTissues(gene, z, *found)
        except Unusable as problem:
            yield GeneTissues(gene, z, *_NO_TISSUE, str(problem))


def _contiguous(column: pa.Array, path: str) -> tuple[pa.Array, list[int]]:
    runs = pc.run_end_encode(column)
    if pc.count_distinct(runs.values).as_py() < len(runs.values):
        raise InputError("the rows of a gene are not contiguous", path=path, remedy="Sort the file by gene.")
    return runs.values, [0, *runs.run_ends.to_pylist()]


def _product(
    first: np.ndarray, second: np.ndarray, values: np.ndarray, z: np.ndarray, *, permissive: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Tissues in the order in which they appear as the first of a pair, and the matrix of their products."""
    wanted = np.flatnonzero(np.isfinite(z))
    if not permissive and not (np.isin(wanted, first).all() and np.isin(wanted, second).all()):
        raise Unusable("the model product lacks a tissue that has a result (--permissive_model_product)")
    rows = np.isin(first, wanted) & np.isin(second, wanted) & ~np.isnan(values)
    first, second, values = first[rows], second[rows], values[rows]
    named, appeared = np.unique(first, return_index=True)
    tested = named[np.argsort(appeared)]
    whole = np.full((len(z), len(z)), np.nan)
    one, other = np.stack([first, second], axis=1).ravel(), np.stack([second, first], axis=1).ravel()
    whole[one, other] = np.repeat(values, 2)  # what is given twice counts as the last one says
    matrix = whole[np.ix_(tested, tested)]
    if not np.isfinite(matrix).all():
        raise Unusable("the model product lacks pairs of its tissues")
    return tested, matrix
