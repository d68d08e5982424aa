"""The SNPs of all models as groups of rows of a panel of genotypes: per model, and per gene in all tissues.

In: the models of all tissues, their joint panel of variants, and where these are in the genotypes. Out:
groups to compute covariances of, and the way back from their entries to names and alleles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.predictdb import TissueModels
from gputwas.ingest.ld_align import PlacedVariants
from gputwas.ingest.ld_units import Groups
from gputwas.ingest.models_entries import TissueEntries, tissue_entries
from gputwas.ingest.models_panel import join_panel

__all__ = ["GeneGroups", "LdModels", "TissueGroups"]


@dataclass(frozen=True, eq=False)
class TissueGroups:
    """The models of one tissue.

    Attributes
    ----------
    source : number of the tissue among those given.
    entries : its models and SNPs. variants : int32 (entries,), rows of the models' panel.
    groups : SNPs that the genotypes have, one group per model.
    members : int64 (entries of `groups`,): which of `entries` each is.
    signs : float64, same length: 1 where the genotypes count the model's effect allele, -1 otherwise.
    """

    source: int
    entries: TissueEntries
    variants: np.ndarray
    groups: Groups
    members: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True, eq=False)
class GeneGroups:
    """Genes with the SNPs of their models in all tissues.

    Attributes
    ----------
    genes : table (genes,): gene, gene_name; by id.
    groups : SNPs that the genotypes have, one group per gene.
    variants : int64 (entries of `groups`,): rows of the models' panel, none twice in a gene.
    signs : float64, same length: 1 where the genotypes count the effect allele of the models' panel.
    """

    genes: pa.Table
    groups: Groups
    variants: np.ndarray
    signs: np.ndarray


class LdModels:
    """Models whose SNPs have been looked for in genotypes.

    Parameters
    ----------
    sources : models of each tissue.
    panel : the variants of all of them as `join_panel` lists them.
    placed : where these are in the genotypes.

    Attributes
    ----------
    panel, placed : as given.
    n_sources : number of tissues given, those without any model included.
    tissues : groups of each tissue that has models.
    """

    def __init__(self, sources: Sequence[TissueModels], panel: pa.Table, placed: PlacedVariants) -> None:
        self.panel, self.placed, self.n_sources = panel, placed, len(sources)
        every = list(enumerate(tissue_entries(source) for source in sources))
        used = [(number, entries) for number, entries in every if entries.genes.num_rows]
        unknown = [pa.nulls(entries.genes.num_rows, pa.string()) for _, entries in used]
        joined = join_panel([entries for _, entries in used], unknown)
        assert joined.table["variant_id"].equals(panel["variant_id"]), "the panel is of other models"
        self.tissues = [
            self._of_tissue(number, entries, rows, signs)
            for (number, entries), rows, signs in zip(used, joined.rows, joined.signs, strict=True)
        ]

    def genes(self) -> GeneGroups:
        """The union of each gene's SNPs over tissues, in genome order as the genotypes have it."""
        names = [tissue.entries.genes.select(["gene", "gene_name"]) for tissue in self.tissues]
        listed = pa.concat_tables(names).combine_chunks()
        genes = pc.unique(listed["gene"]).sort()
        gene_of = [
            pc.index_in(tissue.entries.genes["gene"].combine_chunks(), value_set=genes).to_numpy()
            for tissue in self.tissues
        ]
        size = max(self.panel.num_rows, 1)
        key = np.unique(
            np.concatenate(
                [
                    gene[tissue.entries.model].astype(np.int64) * size + tissue.variants
                    for gene, tissue in zip(gene_of, self.tissues, strict=True)
                ]
            )
        )
        gene, variant = np.divmod(key, size)
        placed = np.flatnonzero(self.placed.rows[variant] >= 0)
        order = placed[np.lexsort((self.placed.rows[variant[placed]], gene[placed]))]
        first = pc.index_in(genes, value_set=listed["gene"].combine_chunks())
        table = pa.table({"gene": genes, "gene_name": listed["gene_name"].take(first)})
        return GeneGroups(
            table.combine_chunks(),
            Groups(self.placed.rows[variant[order]], _offsets(gene[order], len(genes))),
            variant[order],
            self.placed.signs[variant[order]].astype(np.float64),
        )

    def _of_tissue(
        self, source: int, entries: TissueEntries, variants: np.ndarray, signs: np.ndarray
    ) -> TissueGroups:
        rows = self.placed.rows[variants]
        placed = np.flatnonzero(rows >= 0)
        members = placed[np.lexsort((rows[placed], entries.model[placed]))]
        groups = Groups(rows[members], _offsets(entries.model[members], entries.genes.num_rows))
        return TissueGroups(
            source, entries, variants, groups, members, signs[members] * self.placed.signs[variants[members]]
        )


def _offsets(groups: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))]).astype(np.int64)
