"""How the models of each gene meet the cross-tissue LD, and the correlation of their predictions.

In: a `ModelSet` and a `GeneLd`. Out: a `GeneDesign`, which for any pattern of present SNPs gives the
tissue-tissue covariance of predicted expression, genes of one size at a time.

V_ab = w_a' C w_b over the SNPs that have a z-score and are in the cross-tissue LD C of the gene (Barbeira et
al., PLOS Genetics 15:e1007889 (2019), doi:10.1371/journal.pgen.1007889; in the reference program
software/metax/genotype/GeneExpressionMatrixManager.py). The products stay on the host: LD is read once, and
moving it to a device would take longer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.stores.gene_ld import GeneLd
from gputwas.stores.models import ModelSet
from gputwas.stores.panel import map_panel

__all__ = ["GeneDesign", "GeneGroups", "GeneSet", "design_genes", "gene_set"]

log = logging.getLogger(__name__)

ROUNDING = 1e-12  # a variance below this share of its largest possible value has cancelled
MOST_LD = 4_000_000  # values of unpacked LD at a time: 32 MB


@dataclass(frozen=True, eq=False)
class GeneSet:
    """Genes of a model table, and the models of each.

    Attributes
    ----------
    table : gene, gene_name (genes,), sorted by id. of_model : int64 (models,), gene of each model.
    order : int64 (models,), models gene by gene, tissues in the order of the table.
    offsets : int64 (genes + 1,): where each gene begins in `order`.
    """

    table: pa.Table
    of_model: np.ndarray
    order: np.ndarray
    offsets: np.ndarray

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.table.num_rows


def gene_set(models: pa.Table) -> GeneSet:
    """The genes of a model table with tissue, gene and gene_name; a name is that of the first model."""
    ids = models["gene"].cast(pa.string()).combine_chunks()
    genes = ids.unique().sort()
    of_model = pc.index_in(ids, value_set=genes).to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.argsort(of_model, kind="stable")
    offsets = np.searchsorted(of_model[order], np.arange(len(genes) + 1)).astype(np.int64)
    names = (
        models["gene_name"].take(pa.array(order[offsets[:-1]])) if len(genes) else pa.nulls(0, pa.string())
    )
    return GeneSet(pa.table({"gene": genes, "gene_name": names}), of_model, order, offsets)


@dataclass(frozen=True, eq=False)
class GeneGroups:
    """Covariances of predicted expression of genes with equally many models.

    Attributes
    ----------
    genes : int64 (group,). models : int64 (group, tissues), rows of the model table.
    covariance : float64 (group, tissues, tissues), symmetric; a variance that has cancelled is exactly 0.
    """

    genes: np.ndarray
    models: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True, eq=False)
class GeneDesign:
    """Models of genes over the SNPs of their cross-tissue LD.

    Attributes
    ----------
    genes : the genes of all models. ld : the LD. of_gene : int64 (genes,), gene of the LD, -1 where absent.
    in_ld_panel : int64 (panel of the models,), row of the LD's panel, -1 where absent.
    starts : int64 (genes + 1,): where the entries of each gene begin.
    slot, place, variants, weights : (entries,): which model of the gene, which SNP of the gene's LD, which
        row of the models' panel, and the weight for the LD's effect allele.
    """

    genes: GeneSet
    ld: GeneLd
    of_gene: np.ndarray
    in_ld_panel: np.ndarray
    starts: np.ndarray
    slot: np.ndarray
    place: np.ndarray
    variants: np.ndarray
    weights: np.ndarray

    @property
    def n_in_ld(self) -> int:
        """Genes that are in the LD."""
        return int(np.count_nonzero(self.of_gene >= 0))

    def has_snp(self, present: np.ndarray) -> np.ndarray:
        """bool (genes,): genes of whose LD a SNP is present; `present` is bool (panel of the models,)."""
        there = np.zeros(self.ld.panel.num_rows + 1, dtype=bool)
        there[self.in_ld_panel[present & (self.in_ld_panel >= 0)]] = True
        running = np.concatenate([[0], np.cumsum(there[self.ld.variants])])
        counts = running[self.ld.offsets[1:]] - running[self.ld.offsets[:-1]]
        found = np.zeros(self.genes.n_genes, dtype=bool)
        known = self.of_gene >= 0
        found[known] = counts[self.of_gene[known]] > 0
        return found

    def covariances(self, present: np.ndarray) -> Iterator[GeneGroups]:
        """Covariances of all genes in the LD when these SNPs are present, (panel of the models,) bool.

        Every gene's numbers depend on that gene alone, not on those it is computed with.
        """
        for genes in self._groups():
            models = self.genes.order[self.genes.offsets[genes][:, None] + np.arange(self._tissues(genes))]
            weights = self._weights(genes, present)
            ld = self._ld(genes)
            covariance = np.matmul(np.matmul(weights, ld), np.swapaxes(weights, 1, 2))
            sd = np.sqrt(np.maximum(np.diagonal(ld, axis1=1, axis2=2), 0.0))
            most = np.sum(np.abs(weights) * sd[:, None, :], axis=2) ** 2
            variance = np.diagonal(covariance, axis1=1, axis2=2)
            cancelled = np.abs(variance) <= ROUNDING * most
            tissue = np.arange(covariance.shape[1])
            covariance[:, tissue, tissue] = np.where(cancelled, 0.0, variance)
            yield GeneGroups(genes, models, covariance)

    def _tissues(self, genes: np.ndarray) -> int:
        return int(self.genes.offsets[genes[0] + 1] - self.genes.offsets[genes[0]])

    def _groups(self) -> Iterator[np.ndarray]:
        """Genes in the LD with equally many models and SNPs, as many as fit `MOST_LD`."""
        genes = np.flatnonzero(self.of_gene >= 0)
        snps = np.diff(self.ld.offsets)[self.of_gene[genes]]
        tissues = np.diff(self.genes.offsets)[genes]
        genes, snps, tissues = (array[snps > 0] for array in (genes, snps, tissues))
        order = np.lexsort((genes, tissues, snps))
        edges = np.flatnonzero((np.diff(snps[order]) != 0) | (np.diff(tissues[order]) != 0)) + 1
        for group in np.split(genes[order], edges) if len(genes) else []:
            size = int(np.diff(self.ld.offsets)[self.of_gene[group[0]]])
            step = max(1, MOST_LD // size**2)
            for start in range(0, len(group), step):
                yield group[start : start + step]

    def _weights(self, genes: np.ndarray, present: np.ndarray) -> np.ndarray:
        """float64 (genes, tissues, SNPs of the LD), 0 where a SNP is absent."""
        lengths = self.starts[genes + 1] - self.starts[genes]
        of_entry = np.repeat(np.arange(len(genes)), lengths)
        before = np.cumsum(lengths) - lengths
        entry = np.arange(len(of_entry)) + np.repeat(self.starts[genes] - before, lengths)
        size = int(np.diff(self.ld.offsets)[self.of_gene[genes[0]]])
        weights = np.zeros((len(genes), self._tissues(genes), size))
        used = present[self.variants[entry]]
        entry, of_entry = entry[used], of_entry[used]
        weights[of_entry, self.slot[entry], self.place[entry]] = self.weights[entry]
        return weights

    def _ld(self, genes: np.ndarray) -> np.ndarray:
        """float64 (genes, SNPs, SNPs)."""
        size = int(np.diff(self.ld.offsets)[self.of_gene[genes[0]]])
        starts = self.ld.ld_offsets[self.of_gene[genes]]
        triangles = self.ld.ld[starts[:, None] + np.arange(size * (size + 1) // 2)]
        return triangles[:, _square(size)]


@lru_cache(maxsize=64)
def _square(size: int) -> np.ndarray:
    """int64 (size, size): where each pair stands in the packed upper triangle."""
    i, j = np.indices((size, size))
    low, high = np.minimum(i, j), np.maximum(i, j)
    return low * size - low * (low - 1) // 2 + (high - low)


def design_genes(models: ModelSet, ld: GeneLd) -> GeneDesign:
    """Find the genes and SNPs of models in cross-tissue LD.

    All entries of a model count, also those without LD in its own tissue, as in the reference program.

    Raises
    ------
    InputError : the two have no gene, or no SNP of a gene, in common.
    """
    genes = gene_set(models.models)
    known = pc.index_in(genes.table["gene"], value_set=ld.genes["gene"].cast(pa.string()).combine_chunks())
    of_gene = known.fill_null(-1).to_numpy().astype(np.int64)
    if not np.any(of_gene >= 0):
        raise _nothing_in_common("gene", genes.table["gene"], ld.genes["gene"])
    way = map_panel(ld.panel, models.panel)
    model = np.repeat(np.arange(models.n_models), np.diff(models.offsets))
    gene = genes.of_model[model]
    place = _place_in_gene(ld, of_gene[gene], way.index[models.variants].astype(np.int64))
    rank = np.empty(models.n_models, dtype=np.int64)
    rank[genes.order] = np.arange(models.n_models)
    slot = rank - genes.offsets[genes.of_model]
    kept = np.flatnonzero(place >= 0)
    if not len(kept):
        raise _nothing_in_common("SNP", models.panel["variant_id"], ld.panel["variant_id"])
    kept = kept[np.argsort(rank[model[kept]], kind="stable")]
    lacking = int(np.count_nonzero((of_gene[gene] >= 0) & (place < 0)))
    if lacking:
        log.warning(
            "%d of the %d weights of genes in the cross-tissue LD are of SNPs (or alleles) that it lacks: "
            "they do not count in the correlation of tissues",
            lacking, len(kept) + lacking,
        )  # fmt: skip
    variants = models.variants[kept]
    return GeneDesign(
        genes=genes, ld=ld, of_gene=of_gene, in_ld_panel=way.index.astype(np.int64),
        starts=np.searchsorted(gene[kept], np.arange(genes.n_genes + 1)).astype(np.int64),
        slot=slot[model[kept]], place=place[kept], variants=variants,
        weights=models.weights[kept] * way.sign[variants],
    )  # fmt: skip


def _place_in_gene(ld: GeneLd, gene: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Place of a row of the LD's panel among the SNPs of a gene of the LD, -1 where it is not there."""
    size = max(ld.panel.num_rows, 1)
    owner = np.repeat(np.arange(ld.n_genes), np.diff(ld.offsets))
    key = owner * size + ld.variants
    order = np.argsort(key)
    key = key[order]
    if not len(key):
        return np.full(len(gene), -1, dtype=np.int64)
    wanted = gene * size + row
    found = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    entry = order[found]
    there = (gene >= 0) & (row >= 0) & (key[found] == wanted)
    return np.where(there, entry - ld.offsets[np.maximum(gene, 0)], -1)


def _nothing_in_common(what: str, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> InputError:
    def example(ids: pa.ChunkedArray) -> str:
        return f"{ids[0].as_py()}, ..." if len(ids) else "none"

    return InputError(
        f"the models and the cross-tissue LD have no {what} in common",
        found=f"{example(theirs)} in the LD",
        expected=f"identifiers like {example(ours)}",
        remedy="Give the LD that was released with these models, or compute it: gputwas models covariance.",
    )
