"""The LD of each gene across tissues: covariances of all SNPs that any tissue's model of the gene uses.

In: a `GeneLd` (panel, genes, SNPs of each gene, packed triangles). Out: the same read back from a folder, its
arrays being views of the files. S-MultiXcan needs it: the models' own LD stops at the border of a tissue.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.arrow import array_view, open_batch, open_table, write_arrays, write_table
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import read_manifest
from gputwas.stores.panel import check_panel
from gputwas.stores.whole import is_current, write_whole

__all__ = ["GeneLd", "check_gene_ld", "gene_ld_store_is_current", "read_gene_ld_store", "write_gene_ld_store"]

FORMAT = "gputwas.gene_ld"
_CONTENTS = ("panel.arrow", "genes.arrow", "offsets.arrow", "variants.arrow", "ld.arrow")
_DTYPES = {"offsets": np.int64, "variants": np.int32, "ld_offsets": np.int64, "ld": np.float64}


@dataclass(frozen=True, eq=False)
class GeneLd:
    """SNP covariances of genes, each over the SNPs of all its models together.

    Attributes
    ----------
    panel : table (variants,): variant_id, effect_allele, other_allele, chromosome?, position?; one row per
        identifier and unordered pair of alleles.
    genes : table (genes,): gene (no id twice), gene_name?.
    offsets : int64 (genes + 1,): where each gene's SNPs begin in `variants`.
    variants : int32 (entries,): rows of the panel, none twice within a gene.
    ld_offsets : int64 (genes + 1,): where each gene's triangle begins in `ld`.
    ld : float64: upper triangles row by row (i <= j), n (n + 1) / 2 values for a gene of n SNPs: covariance
        of the numbers of effect alleles, in the orientation of the panel.
    """

    panel: pa.Table
    genes: pa.Table
    offsets: np.ndarray
    variants: np.ndarray
    ld_offsets: np.ndarray
    ld: np.ndarray

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.genes.num_rows

    def of_gene(self, gene_index: int) -> np.ndarray:
        """Rows of the panel of one gene's SNPs, int32 (snps,), in the order of its matrix; a view."""
        return self.variants[self.offsets[gene_index] : self.offsets[gene_index + 1]]

    def matrix(self, gene_index: int) -> np.ndarray:
        """LD of one gene as a symmetric float64 (snps, snps) matrix."""
        size = int(self.offsets[gene_index + 1] - self.offsets[gene_index])
        matrix = np.zeros((size, size))
        upper = np.triu_indices(size)
        matrix[upper] = self.ld[self.ld_offsets[gene_index] : self.ld_offsets[gene_index + 1]]
        matrix.T[upper] = matrix[upper]
        return matrix

    @cached_property
    def digest(self) -> str:
        """Content hash, the same on every machine; results computed from this LD carry it."""
        content = ContentHash().add_table("panel", self.panel).add_table("genes", self.genes)
        for name in _DTYPES:
            content.add_array(name, getattr(self, name))
        return content.hexdigest()


def check_gene_ld(gene_ld: GeneLd) -> None:
    """Refuse an LD set that contradicts itself or its panel; reads every array once.

    Raises
    ------
    InputError
        If the panel or the table of genes is unusable.
    ValueError
        If arrays do not fit each other, which is a defect of the caller.
    """
    check_panel(gene_ld.panel)
    if "gene" not in gene_ld.genes.column_names:
        raise InputError("the table of genes lacks a column", column="gene")
    genes = gene_ld.genes["gene"]
    if genes.null_count:
        raise InputError("a gene lacks its name", column="gene")
    if len(genes.unique()) < len(genes):
        names = genes.to_pylist()
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError("a gene is twice in the table of genes", column="gene", found=repeated)
    problem = _shape_problem(gene_ld)
    if problem:
        raise ValueError(problem)
    variants = gene_ld.variants
    if len(variants) and not 0 <= variants.min() <= variants.max() < gene_ld.panel.num_rows:
        raise ValueError("a gene uses a variant outside the panel")
    owner = np.repeat(np.arange(gene_ld.n_genes, dtype=np.int64), np.diff(gene_ld.offsets))
    key = np.sort(owner * gene_ld.panel.num_rows + variants)
    if np.any(key[1:] == key[:-1]):
        raise ValueError("a gene has a variant twice")
    if not np.all(np.isfinite(gene_ld.ld)):
        raise ValueError("ld holds values that are not finite")


def _shape_problem(gene_ld: GeneLd) -> str | None:
    """What is wrong with the shapes, without reading the large arrays."""
    count = gene_ld.n_genes
    for name, dtype in _DTYPES.items():
        array = getattr(gene_ld, name)
        if array.dtype != dtype or array.ndim != 1:
            return f"{name} is {array.dtype} {array.shape}, not a vector of {np.dtype(dtype)}"
    offsets, ld_offsets = gene_ld.offsets, gene_ld.ld_offsets
    if not len(offsets) == len(ld_offsets) == count + 1:
        return f"{count} genes have {len(offsets)} and {len(ld_offsets)} offsets"
    if offsets[0] != 0 or offsets[-1] != len(gene_ld.variants):
        return f"offsets end at {offsets[-1]}, but there are {len(gene_ld.variants)} entries"
    if ld_offsets[0] != 0 or ld_offsets[-1] != len(gene_ld.ld):
        return f"LD offsets end at {ld_offsets[-1]}, but there are {len(gene_ld.ld)} LD values"
    size = np.diff(offsets)
    if np.any(size < 0) or np.any(np.diff(ld_offsets) != size * (size + 1) // 2):
        return "an LD triangle does not have n (n + 1) / 2 values"
    return None


def gene_ld_store_is_current(
    path: str | os.PathLike[str], *, inputs: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Any]
) -> bool:
    """Whether a finished store from these inputs and parameters is there, so making it can be skipped."""
    return is_current(path, FORMAT, inputs=inputs, parameters=parameters)


def write_gene_ld_store(
    path: str | os.PathLike[str],
    gene_ld: GeneLd,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write an LD set, whole or not at all; see `gputwas.stores.whole.write_whole`."""
    check_gene_ld(gene_ld)
    write_whole(
        path, FORMAT, lambda folder: _write_files(folder, gene_ld), files=_CONTENTS,
        content={"digest": gene_ld.digest, "genes": gene_ld.n_genes, "entries": len(gene_ld.variants)},
        inputs=inputs, parameters=parameters, overwrite=overwrite,
    )  # fmt: skip


def _write_files(folder: str, gene_ld: GeneLd) -> None:
    write_table(os.path.join(folder, "panel.arrow"), gene_ld.panel)
    write_table(os.path.join(folder, "genes.arrow"), gene_ld.genes)
    offsets = {"offsets": gene_ld.offsets, "ld_offsets": gene_ld.ld_offsets}
    write_arrays(os.path.join(folder, "offsets.arrow"), offsets)
    write_arrays(os.path.join(folder, "variants.arrow"), {"variants": gene_ld.variants})
    write_arrays(os.path.join(folder, "ld.arrow"), {"ld": gene_ld.ld})


def read_gene_ld_store(path: str | os.PathLike[str]) -> GeneLd:
    """Memory-map a store of cross-tissue LD; only shapes and offsets are checked.

    Raises
    ------
    InputError
        If the folder is no such store, was written by a newer version, or a file is missing or damaged.
    """
    manifest = read_manifest(path, FORMAT)
    tables = {name: open_table(os.path.join(path, f"{name}.arrow")) for name in ("panel", "genes")}
    arrays: dict[str, np.ndarray] = {}
    for file in ("offsets", "variants", "ld"):
        batch = open_batch(os.path.join(path, f"{file}.arrow"))
        arrays |= {name: array_view(batch[name]) for name in batch.schema.names}
    gene_ld = GeneLd(panel=tables["panel"], genes=tables["genes"], **arrays)
    problem = _shape_problem(gene_ld)
    if problem:
        raise InputError(
            f"the store is damaged: {problem}",
            path=path,
            remedy="Make it again with --overwrite, or in another folder.",
        )
    if "digest" in manifest.content:
        gene_ld.__dict__["digest"] = manifest.content["digest"]  # spares reading everything
    return gene_ld
