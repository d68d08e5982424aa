"""LD triangles of models out of those of a covariance file, compiled by Numba when first called.

In: packed upper triangles gene by gene, and which entry of a model each of their SNPs is. Out: the triangles
of the models, turned to the panel's alleles, and var_g. One pass over the values; 8 bytes read and 8 written
for each.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["find_entries", "listed_first", "model_triangles"]


@numba.njit(cache=True, nogil=True)
def find_entries(
    model: np.ndarray, sizes: np.ndarray, snps: np.ndarray, offsets: np.ndarray, entry_snps: np.ndarray
) -> np.ndarray:
    """The entry of each gene's SNPs in the gene's model.

    Parameters
    ----------
    model : int64 (genes,), -1 for a gene without a model. sizes : int64 (genes,), number of its SNPs.
    snps : int64 (sum of sizes,), codes of the genes' SNPs, gene after gene; -1 for one that no model has.
    offsets : int64 (models + 1,), entries of each model. entry_snps : (entries,), their codes.

    Returns
    -------
    int64 (sum of sizes,): entry, -1 where the model has no such SNP.
    """
    found = np.full(len(snps), -1, np.int64)
    at = 0
    for gene in range(len(sizes)):
        m = model[gene]
        for place in range(at, at + sizes[gene]):
            if m >= 0 and snps[place] >= 0:
                for entry in range(offsets[m], offsets[m + 1]):
                    if entry_snps[entry] == snps[place]:
                        found[place] = entry
                        break
        at += sizes[gene]
    return found


@numba.njit(cache=True, nogil=True)
def listed_first(
    model: np.ndarray, sizes: np.ndarray, entries: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Order of the entries, each model's that are listed in `entries` first, as they are listed there.

    Parameters
    ----------
    model, sizes, offsets : as for `find_entries`. entries : what it returned.

    Returns
    -------
    int64 (entries,) the order, a model's other entries as they were; int32 (models,) how many are listed.
    """
    count = offsets[-1]
    order, listed = np.empty(count, np.int64), np.zeros(count, np.bool_)
    filled = offsets[:-1].copy()
    at = 0
    for gene in range(len(sizes)):
        for place in range(at, at + sizes[gene]):
            entry = entries[place]
            if entry >= 0:
                order[filled[model[gene]]] = entry
                filled[model[gene]] += 1
                listed[entry] = True
        at += sizes[gene]
    n_listed = (filled - offsets[:-1]).astype(np.int32)
    for m in range(len(filled)):
        for entry in range(offsets[m], offsets[m + 1]):
            if not listed[entry]:
                order[filled[m]] = entry
                filled[m] += 1
    return order, n_listed


@numba.njit(cache=True, nogil=True)
def model_triangles(
    model: np.ndarray,
    sizes: np.ndarray,
    entries: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    signs: np.ndarray,
    starts: np.ndarray,
    ld: np.ndarray,
    var_g: np.ndarray,
) -> tuple[int, float]:
    """Fill the models' triangles and their w'Γw.

    Parameters
    ----------
    model, sizes : as for `find_entries`. entries : what it returned.
    values : float64, packed upper triangles of the genes, row by row.
    weights, signs : float64 (entries,); the sign turns a SNP to the panel's effect allele.
    starts : int64 (models,), where each model's triangle begins in `ld`.
    ld : float64, filled; may be `values` itself where every SNP of every gene is in its model and the genes
        are in the order of models.
    var_g : float64 (models,), filled for models with a gene here.

    Returns
    -------
    The first entry with a negative variance, or -1, and that variance.
    """
    first, cell, negative, variance = 0, 0, -1, 0.0
    for gene in range(len(sizes)):
        size, m = sizes[gene], model[gene]
        if m < 0:
            first, cell = first + size, cell + size * (size + 1) // 2
            continue
        out, total = starts[m], 0.0
        for i in range(first, first + size):
            one = entries[i]
            for j in range(i, first + size):
                two = entries[j]
                if one >= 0 and two >= 0:
                    value = values[cell]
                    if i == j and value < 0 and negative < 0:
                        negative, variance = one, value
                    total += (1.0 if i == j else 2.0) * weights[one] * weights[two] * value
                    ld[out] = value * signs[one] * signs[two]
                    out += 1
                cell += 1
        if out > starts[m]:
            var_g[m] = total
        first += size
    return negative, variance
