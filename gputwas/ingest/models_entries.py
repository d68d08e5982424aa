"""The weights of one tissue as arrays: one entry per model and SNP.

In: the tables of a tissue's database. Out: the models that have weights, and their entries grouped by model.
Genes without weights and weights without a gene are counted, as neither makes a model in the reference.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.predictdb import TissueModels
from gputwas.variants.text_numbers import number_texts

__all__ = ["TissueEntries", "tissue_entries"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TissueEntries:
    """Entries (model, SNP, weight) of one tissue.

    Attributes
    ----------
    tissue, path : name of the tissue and its database.
    genes : table (models,), as `TissueModels.genes`, ordered by gene id; only genes with weights.
    model : int32 (entries,), ascending: row of `genes`.
    ids : string (ids,): every SNP id of the tissue once.
    snp : int32 (entries,): row of `ids`.
    effect, other : string (entries,): the model's alleles.
    weights : float64 (entries,): per copy of the model's effect allele.
    genes_without_weights : genes of the database that make no model.
    weights_left_out : weights that enter no model, by reason.
    """

    tissue: str
    path: str
    genes: pa.Table
    model: np.ndarray
    ids: pa.Array
    snp: np.ndarray
    effect: pa.Array
    other: pa.Array
    weights: np.ndarray
    genes_without_weights: int
    weights_left_out: dict[str, int]

    @property
    def sizes(self) -> np.ndarray:
        """Number of entries of each model, int64 (models,)."""
        return np.bincount(self.model, minlength=self.genes.num_rows)


def tissue_entries(source: TissueModels) -> TissueEntries:
    """Group a tissue's weights by model.

    A SNP that is listed twice in a gene keeps its last weight, with the alleles of that row, as in the
    reference; entries of a model are in database order of the row kept.
    """
    genes, weights = source.genes.sort_by("gene"), source.weights
    gene = pc.index_in(weights["gene"], value_set=genes["gene"]).combine_chunks()
    left_out = dict(source.left_out)
    if gene.null_count:
        log.warning(
            "%s: %d weights belong to genes that table extra does not list", source.path, gene.null_count
        )
        left_out["gene not in table extra"] = gene.null_count
        weights, gene = weights.filter(gene.is_valid()), gene.drop_null()
    every_id = weights["variant_id"].combine_chunks()
    snp, first = number_texts(every_id)
    kept = _last_rows(gene.to_numpy(zero_copy_only=False), snp, len(first))
    if len(kept) < len(snp):
        left_out["SNP listed again in its gene"] = len(snp) - len(kept)
    model_of_gene, has_weights = _number(gene.to_numpy(zero_copy_only=False)[kept], genes.num_rows)
    return TissueEntries(
        tissue=source.tissue,
        path=source.path,
        genes=genes.filter(pa.array(has_weights)).combine_chunks(),
        model=model_of_gene,
        ids=every_id.take(pa.array(first)),
        snp=snp[kept],
        effect=weights["effect_allele"].take(pa.array(kept)).combine_chunks(),
        other=weights["other_allele"].take(pa.array(kept)).combine_chunks(),
        weights=weights["weight"].to_numpy()[kept].astype(np.float64),
        genes_without_weights=int((~has_weights).sum()),
        weights_left_out=left_out,
    )


def _last_rows(gene: np.ndarray, snp: np.ndarray, n_snps: int) -> np.ndarray:
    """Rows ordered by gene, then as they come, without those that a later row of gene and SNP replaces."""
    key = gene.astype(np.int64) * max(n_snps, 1) + snp
    order = np.argsort(key, kind="stable")
    last = np.append(key[order][1:] != key[order][:-1], True)[: len(order)]
    rows = np.sort(order[last])
    return rows[np.argsort(gene[rows], kind="stable")]


def _number(gene: np.ndarray, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the genes that occur; also which ones do."""
    occurs = np.zeros(n_genes, dtype=bool)
    occurs[gene] = True
    return (np.cumsum(occurs) - 1)[gene].astype(np.int32), occurs
