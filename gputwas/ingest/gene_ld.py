"""Cross-tissue covariances as text, brought to a model store: which variant each SNP id is, which gene.

In: MetaXcan's ``GENE RSID1 RSID2 VALUE`` over the SNPs of all tissues, and the models it belongs to. Out: a
`GeneLd` over the panel of the models, and an account of what was left out and why.

The text has no alleles: its ids are oriented as the databases of the models are, and counts the effect allele
of the model that uses it. The panel has, for each variant, the effect allele of the first model that names
it, so the covariances are taken as they stand. Where databases disagree, and a later one has the alleles the
other way round, the model store has turned its weights to the panel; the reference program, which sees no
alleles here either, multiplies the weights as they are, and its covariance between such tissues has the
wrong sign. (Released sets of models agree with themselves: `gputwas models import` shows turned SNPs.) An id
that the models of a gene use with several pairs of alleles is one SNP with one covariance in the text; each
of the panel's rows gets it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.gene_covariance import GeneCovariances, read_gene_covariances
from gputwas.stores.gene_ld import GeneLd, gene_ld_store_is_current, read_gene_ld_store, write_gene_ld_store
from gputwas.stores.hashing import describe_inputs
from gputwas.stores.models import ModelSet
from gputwas.variants.identifiers import style_of

__all__ = ["GeneLdReport", "keep_gene_ld", "match_gene_ld", "read_gene_ld"]

log = logging.getLogger(__name__)

Path = str | os.PathLike[str]
_VERSION = r"\.\d+$"


@dataclass(frozen=True)
class GeneLdReport:
    """What became of a file: genes and SNPs of genes that it has, and those of them that the models use."""

    genes: int
    snps: int
    genes_used: int
    snps_used: int
    genes_of_models: int


def read_gene_ld(path: Path, models: ModelSet) -> GeneLd:
    """Read cross-tissue LD for some models, from a store or from text.

    Parameters
    ----------
    path : the folder of a store, or a text file (compressed or not).

    Raises
    ------
    InputError : the file or store cannot be used, or has nothing in common with the models.
    """
    if os.path.isdir(path):
        return read_gene_ld_store(path)
    ld, report = match_gene_ld(read_gene_covariances(path), models)
    log.info(
        "%s: %d of %d genes and %d of their %d SNPs are in the models, which have %d genes",
        path, report.genes_used, report.genes, report.snps_used, report.snps, report.genes_of_models,
    )  # fmt: skip
    return ld


def keep_gene_ld(path: Path, models: ModelSet, folder: Path, *, overwrite: bool = False) -> GeneLd:
    """Like `read_gene_ld` of a text file, and kept as a store, which is read the next time instead."""
    inputs = describe_inputs([path]) | {"the set of models": {"xxh3_128": models.digest}}
    parameters = {"from": "text"}
    if not overwrite and gene_ld_store_is_current(folder, inputs=inputs, parameters=parameters):
        return read_gene_ld_store(folder)
    ld = read_gene_ld(path, models)
    write_gene_ld_store(folder, ld, inputs=inputs, parameters=parameters, overwrite=overwrite)
    return ld


def match_gene_ld(found: GeneCovariances, models: ModelSet) -> tuple[GeneLd, GeneLdReport]:
    """Keep the SNPs that models of their gene use, as rows of the models' panel.

    Gene ids are compared without their version where they differ with it, and are those of the models in
    the result.

    Raises
    ------
    InputError : no gene or no SNP is in the models, a variance is negative, or the covariance of two SNPs of
        a gene is absent.
    """
    of_models = models.models["gene"].cast(pa.string()).combine_chunks()
    genes = of_models.unique()
    gene = _gene_rows(found, genes)
    if not np.any(gene >= 0):
        raise InputError(
            "the models and the cross-tissue covariance have no gene in common",
            path=found.path,
            found=_example(found.genes),
            expected=f"genes like {_example(genes)}",
            remedy="Give the covariance that was released with these models.",
        )
    entry, variant = _entries(found, models, gene, pc.index_in(of_models, value_set=genes).to_numpy())
    if not len(entry):
        raise InputError(
            "no SNP of the models is in the cross-tissue covariance of its gene",
            path=found.path,
            found=style_of(found.snps).describe(),
            expected=style_of(models.panel["variant_id"].combine_chunks()).describe(),
            remedy="Give the covariance that was released with these models.",
        )
    owner = np.repeat(np.arange(len(found.genes)), np.diff(found.offsets))[entry]
    kept, sizes = np.unique(owner, return_counts=True)
    ld = _triangles(found, entry, kept, sizes)
    names = models.models["gene_name"].take(pc.index_in(genes, value_set=of_models))
    rows = pa.array(gene[kept])
    table = pa.table({"gene": genes.take(rows), "gene_name": names.take(rows)})
    result = GeneLd(
        panel=models.panel, genes=table, offsets=_offsets(sizes), variants=variant.astype(np.int32),
        ld_offsets=_offsets(sizes * (sizes + 1) // 2), ld=ld,
    )  # fmt: skip
    used = len(np.unique(entry))
    return result, GeneLdReport(len(found.genes), len(found.ids), len(kept), used, len(genes))


def _gene_rows(found: GeneCovariances, genes: pa.Array) -> np.ndarray:
    """Row in `genes` of each gene of the file, int64, -1 where absent; each row is taken once."""
    exact = pc.index_in(found.genes, value_set=genes).fill_null(-1).to_numpy(zero_copy_only=False)
    plain, known = (pc.replace_substring_regex(ids, _VERSION, "") for ids in (found.genes, genes))
    alike = pc.index_in(plain, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False)
    gene = np.where(np.isin(alike, exact[exact >= 0]), -1, alike).astype(np.int64)
    _, first = np.unique(gene, return_index=True)
    again = np.ones(len(gene), dtype=bool)
    again[first] = False
    gene[again] = -1
    return np.where(exact >= 0, exact, gene)


def _entries(
    found: GeneCovariances, models: ModelSet, gene: np.ndarray, of_model: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the file that models of their gene use, and their rows of the panel, int64 (used,).

    In the order of the file; an entry that is several rows of the panel is there as often.
    """
    in_panel = pc.index_in(models.panel["variant_id"], value_set=found.snps).fill_null(-1).to_numpy()
    owner = of_model[np.repeat(np.arange(models.n_models), np.diff(models.offsets))].astype(np.int64)
    pairs = np.unique(owner * max(models.panel.num_rows, 1) + models.variants)
    owner, variant = np.divmod(pairs, max(models.panel.num_rows, 1))
    size = max(len(found.snps), 1)
    of_file = np.repeat(gene, np.diff(found.offsets))
    there = np.flatnonzero(of_file >= 0)
    key = of_file[there] * size + found.ids[there]
    order = np.argsort(key)
    key, there = key[order], there[order]
    snp = in_panel[variant].astype(np.int64)
    wanted = owner * size + snp
    place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    used = np.flatnonzero((snp >= 0) & (key[place] == wanted)) if len(key) else np.empty(0, np.int64)
    entry, variant = there[place[used]], variant[used]
    order = np.lexsort((variant, entry))
    return entry[order], variant[order]


def _triangles(found: GeneCovariances, entry: np.ndarray, kept: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Packed triangles of the entries chosen, gene by gene."""
    all_sizes = np.diff(found.offsets)
    if len(entry) == len(found.ids) and np.array_equal(entry, np.arange(len(entry))):
        ld = found.ld
    else:
        ld = np.empty(int((sizes * (sizes + 1) // 2).sum()))
        end, start = 0, 0
        for gene, size in zip(kept.tolist(), sizes.tolist(), strict=True):
            place = entry[start : start + size] - found.offsets[gene]
            i, j = np.triu_indices(size)
            low, high = np.minimum(place[i], place[j]), np.maximum(place[i], place[j])
            cell = found.ld_offsets[gene] + low * all_sizes[gene] - low * (low - 1) // 2 + (high - low)
            ld[end : end + len(cell)] = found.ld[cell]
            end, start = end + len(cell), start + size
    _refuse(found, entry, kept, sizes, ld)
    return ld


def _refuse(
    found: GeneCovariances, entry: np.ndarray, kept: np.ndarray, sizes: np.ndarray, ld: np.ndarray
) -> None:
    """Stop at an absent pair or a negative variance, named."""
    ends = np.cumsum(sizes * (sizes + 1) // 2)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    n = np.repeat(sizes, sizes)
    diagonal = np.repeat(ends - sizes * (sizes + 1) // 2, sizes) + within * n - within * (within - 1) // 2
    negative = np.flatnonzero(ld[diagonal] < 0)
    cells = np.flatnonzero(np.isnan(ld))
    if not len(cells) and not len(negative):
        return
    cell = int(cells[0]) if len(cells) else int(diagonal[negative[0]])
    number = int(np.searchsorted(ends, cell, side="right"))
    size = int(sizes[number])
    first = int(np.cumsum(sizes)[number]) - size
    i, j = (int(side[cell - int(ends[number]) + size * (size + 1) // 2]) for side in np.triu_indices(size))
    one, two = (found.snps[int(found.ids[int(entry[first + k])])].as_py() for k in (i, j))
    gene = found.genes[int(kept[number])].as_py()
    if len(cells):
        raise InputError(
            f"gene {gene}: the covariance of {one} and {two} is absent or NA, both variances are there",
            path=found.path,
            remedy="S-MultiXcan needs the covariances of all SNPs of a gene; make the file anew.",
        )
    raise InputError(
        f"the variance of {one} in gene {gene} is negative",
        path=found.path,
        found=f"{ld[cell]:g}",
        remedy="A variance cannot be: make the file anew.",
    )


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _example(ids: pa.Array) -> str:
    return f"{ids[0].as_py()}, ..." if len(ids) else "none"
