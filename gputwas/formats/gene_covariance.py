"""Cross-tissue SNP covariances as text, ``GENE RSID1 RSID2 VALUE``: one matrix for each gene.

In: the file that SMulTiXcan.py takes as --snp_covariance, compressed or not. Out: for each gene its SNPs and
the packed upper triangle of their covariances, as arrays over all genes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.formats.covariance import Covariances, read_covariances
from gputwas.formats.triangles import Triangles, read_triangles

__all__ = ["GeneCovariances", "gene_covariances", "read_gene_covariances"]


@dataclass(frozen=True, eq=False)
class GeneCovariances:
    """Covariances of the SNPs of each gene.

    Attributes
    ----------
    path : the file read.
    genes : string (genes,), in file order, all different.
    offsets : int64 (genes + 1,): where each gene's SNPs begin in `ids`.
    snps : string (snps,): every SNP id once.
    ids : int32 (entries,): the SNPs of each gene, as rows of `snps`, in the order of their first rows.
    ld_offsets : int64 (genes + 1,): where each gene's triangle begins in `ld`.
    ld : float64: upper triangles row by row (i <= j); NaN where the file has no value for a pair.
    """

    path: str
    genes: pa.Array
    offsets: np.ndarray
    snps: pa.Array
    ids: np.ndarray
    ld_offsets: np.ndarray
    ld: np.ndarray


def read_gene_covariances(path: str | os.PathLike[str]) -> GeneCovariances:
    """Read a cross-tissue covariance file.

    Raises
    ------
    InputError
        As `gputwas.formats.covariance.read_covariances`: a damaged file, a malformed row, rows of a gene that
        are not contiguous, repeated or contradicting rows.
    """
    triangles = read_triangles(path)
    return gene_covariances(read_covariances(path)) if triangles is None else _of_triangles(triangles)


def _of_triangles(found: Triangles) -> GeneCovariances:
    sizes, listed = found.sizes, found.snps.dictionary_encode()
    return GeneCovariances(
        found.path, found.genes, _offsets(sizes), listed.dictionary, listed.indices.to_numpy()[found.members],
        _offsets(sizes * (sizes + 1) // 2), found.values,
    )  # fmt: skip


def gene_covariances(table: Covariances) -> GeneCovariances:
    """Put the rows of a covariance file into triangles.

    A SNP belongs to a gene if the file gives its variance there, a value other than NA on the diagonal; rows
    of other SNPs are left out.
    """
    count = len(table.genes)
    gene = np.repeat(np.arange(count), np.diff(table.offsets))
    own = np.flatnonzero((table.id1 == table.id2) & ~np.isnan(table.values))
    sizes = np.bincount(gene[own], minlength=count).astype(np.int64)
    offsets, ld_offsets = _offsets(sizes), _offsets(sizes * (sizes + 1) // 2)
    result = GeneCovariances(
        table.path, pa.array(table.genes, pa.string()), offsets, table.snps, table.id1[own], ld_offsets,
        table.values,
    )  # fmt: skip
    if _in_order(table, gene, sizes, ld_offsets):
        return result
    ld = np.full(int(ld_offsets[-1]), np.nan)
    first, second = _places(table, gene, own)
    used = (first >= 0) & (second >= 0)
    first, second, gene = first[used] - offsets[gene[used]], second[used] - offsets[gene[used]], gene[used]
    i, j = np.minimum(first, second), np.maximum(first, second)
    ld[ld_offsets[gene] + i * sizes[gene] - i * (i - 1) // 2 + (j - i)] = table.values[used]
    return GeneCovariances(
        result.path, result.genes, offsets, result.snps, result.ids, ld_offsets, ld
    )  # fmt: skip


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _in_order(table: Covariances, gene: np.ndarray, sizes: np.ndarray, ld_offsets: np.ndarray) -> bool:
    """Whether the file lists complete triangles, row by row, so that its values are the triangles."""
    runs = table.runs
    if len(table.values) != ld_offsets[-1] or np.any(runs.partner < 0):
        return False
    if not np.array_equal(ld_offsets, table.offsets) or len(runs.starts) != sizes.sum():
        return False
    of_gene = gene[runs.starts]
    place = np.arange(len(of_gene)) - _offsets(sizes)[of_gene]
    lengths = np.diff(runs.starts, append=len(table.values))
    return bool(np.array_equal(lengths, sizes[of_gene] - place))


def _places(table: Covariances, gene: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entries of the two SNPs of each row, int64 (rows,); -1 where a SNP does not belong to the gene."""
    size = max(len(table.snps), 1)
    key = gene[own] * size + table.id1[own]
    order = np.argsort(key)
    key = key[order]

    def entry(genes: np.ndarray, ids: np.ndarray) -> np.ndarray:
        if not len(key):
            return np.full(len(ids), -1, np.int64)
        wanted = genes * size + ids
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        return np.where(key[place] == wanted, order[place], -1)

    runs = table.runs
    of_run = entry(gene[runs.starts], table.id1[runs.starts])
    first, second = of_run[runs.of_row], of_run[runs.partner]
    alone = np.flatnonzero(runs.partner < 0)
    second[alone] = entry(gene[alone], table.id2[alone])
    second[np.isnan(table.values)] = -1
    return first, second
