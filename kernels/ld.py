"""LD triangles of models out of those of a covariance file, see ld.c.

In: packed upper triangles gene by gene, and the names of their SNPs and of the models'. Out: the triangles of
the models, turned to the panel's alleles, and var_g. One pass over the values; 8 bytes read and 8 written
for each. Without the compiled library NumPy does the same, to the same bits, gene after gene.
"""

from __future__ import annotations

import numpy as np

from gputwas.kernels import ld_plain
from gputwas.kernels.library import INTEGER, array, filled, is_there, of_library
from gputwas.kernels.texts import Names

__all__ = [
    "find_coded_entries",
    "find_entries",
    "listed_first",
    "model_triangles",
    "names_twice",
]

_i4, _i8, _f8, _u1 = np.int32, np.int64, np.float64, np.uint8
_find_entries = of_library(
    "find_entries", INTEGER, array(_i8), array(_i8), array(_i4), array(_u1), array(_i8),
    array(_i8), array(_i4), array(_u1), array(_i8), filled(_i8),
)  # fmt: skip
_names_twice = of_library("names_twice", INTEGER, array(_i8), array(_u1), array(_i8), returns=INTEGER)
_listed_first = of_library(
    "listed_first", INTEGER, INTEGER, array(_i8), array(_i8), array(_i8), array(_i8),
    filled(_i8), filled(_u1), filled(_i8), filled(_i4),
)  # fmt: skip
_model_triangles = of_library(
    "model_triangles", INTEGER, array(_i8), array(_i8), array(_i8), array(_f8), array(_f8), array(_f8),
    array(_i8), filled(_f8), filled(_f8), filled(_f8), returns=INTEGER,
)  # fmt: skip


def find_entries(
    model: np.ndarray,
    sizes: np.ndarray,
    snps: np.ndarray,
    snp_names: Names,
    offsets: np.ndarray,
    entry_snps: np.ndarray,
    entry_names: Names,
) -> np.ndarray:
    """The entry of each gene's SNPs in the gene's model, by their names.

    Parameters
    ----------
    model : int64 (genes,), -1 for a gene without a model. sizes : int64 (genes,), number of its SNPs.
    snps : int32 (sum of sizes,), numbers of the genes' SNPs in `snp_names`, gene after gene.
    offsets : int64 (models + 1,), entries of each model. entry_snps : int32 (entries,), numbers of their SNPs
        in `entry_names`.

    Returns
    -------
    int64 (sum of sizes,): entry, -1 where the model has no such SNP.
    """
    model, sizes, offsets = map(_whole, (model, sizes, offsets))
    snps, entry_snps = (np.ascontiguousarray(numbers, dtype=np.int32) for numbers in (snps, entry_snps))
    _check(model, sizes, snps, offsets, entry_snps.size)
    for numbers, names in ((snps, snp_names), (entry_snps, entry_names)):
        names.check()
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < names.ends.size - 1:
            raise ValueError(f"a SNP is none of {names.ends.size - 1} names")
    found = np.empty(snps.size, dtype=np.int64)
    _find_entries(
        model.size, model, sizes, snps, snp_names.text, snp_names.ends,
        offsets, entry_snps, entry_names.text, entry_names.ends, found,
    )  # fmt: skip
    return found


def find_coded_entries(
    model: np.ndarray, sizes: np.ndarray, snps: np.ndarray, offsets: np.ndarray, entry_snps: np.ndarray
) -> np.ndarray:
    """The same where SNPs have codes in common, int64 (sum of sizes,) and (entries,), -1 for one without.

    This way needs no library.
    """
    model, sizes, snps, offsets, entry_snps = map(_whole, (model, sizes, snps, offsets, entry_snps))
    _check(model, sizes, snps, offsets, entry_snps.size)
    return ld_plain.find_entries(model, sizes, snps, offsets, entry_snps)


def names_twice(sizes: np.ndarray, names: Names) -> bool:
    """Whether any gene names a SNP twice; sizes (genes,), names of the genes' SNPs, gene after gene."""
    sizes = _whole(sizes)
    names.check()
    if sizes.min(initial=0) < 0 or sizes.sum() != names.ends.size - 1:
        raise ValueError(f"{sizes.size} genes do not have {names.ends.size - 1} SNPs in all")
    return bool(_names_twice(sizes.size, sizes, names.text, names.ends))


def listed_first(
    model: np.ndarray, sizes: np.ndarray, entries: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Order of the entries, each model's that are listed in `entries` first, as they are listed there.

    Parameters
    ----------
    model, sizes, offsets : as for `find_entries`. entries : what it returned; only the first mention of an
        entry counts, and only under its own model.

    Returns
    -------
    int64 (entries,) the order, a model's other entries as they were; int32 (models,) how many are listed.
    """
    model, sizes, entries, offsets = map(_whole, (model, sizes, entries, offsets))
    count = int(offsets[-1])
    _check(model, sizes, entries, offsets, count)
    if not is_there():
        return ld_plain.listed_first(model, sizes, entries, offsets)
    order, n_listed = np.empty(count, dtype=np.int64), np.empty(offsets.size - 1, dtype=np.int32)
    _listed_first(
        model.size, n_listed.size, model, sizes, entries, offsets, offsets[:-1].copy(),
        np.zeros(count, dtype=np.uint8), order, n_listed,
    )  # fmt: skip
    return order, n_listed


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
    weights, signs : (entries,); the sign turns a SNP to the panel's effect allele.
    starts : int64 (models,), where each model's triangle begins in `ld`.
    ld : float64, filled; may be `values` itself where every SNP of every gene is in its model and the genes
        are in the order of models.
    var_g : float64 (models,), filled for models with a gene here.

    Returns
    -------
    The first entry with a negative variance, or -1, and that variance.
    """
    model, sizes, entries, starts = map(_whole, (model, sizes, entries, starts))
    weights, signs = (np.ascontiguousarray(column, dtype=np.float64) for column in (weights, signs))
    _check_triangles(model, sizes, entries, values, weights, signs, starts, ld, var_g)
    if not is_there():
        return ld_plain.model_triangles(model, sizes, entries, values, weights, signs, starts, ld, var_g)
    variance = np.zeros(1)
    negative = _model_triangles(
        model.size, model, sizes, entries, values, weights, signs, starts, ld, var_g, variance
    )
    return negative, float(variance[0])


def _whole(numbers: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(numbers, dtype=np.int64)


def _check(
    model: np.ndarray, sizes: np.ndarray, of_snps: np.ndarray, offsets: np.ndarray, n_entries: int
) -> None:
    """Refuse what would lead outside the arrays."""
    if model.shape != sizes.shape or sizes.min(initial=0) < 0 or of_snps.shape != (sizes.sum(),):
        raise ValueError(f"{model.size} genes of {sizes.size} sizes do not have {of_snps.size} SNPs in all")
    if offsets[0] or offsets[-1] != n_entries or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError(f"the models' offsets do not divide {n_entries} entries")
    if model.max(initial=-1) >= offsets.size - 1:
        raise ValueError(f"model {model.max()} of {offsets.size - 1}")


def _check_triangles(
    model: np.ndarray, sizes: np.ndarray, entries: np.ndarray, values: np.ndarray, weights: np.ndarray,
    signs: np.ndarray, starts: np.ndarray, ld: np.ndarray, var_g: np.ndarray,
) -> None:  # fmt: skip
    """Refuse what would lead outside the arrays."""
    if model.shape != sizes.shape or sizes.min(initial=0) < 0 or entries.shape != (sizes.sum(),):
        raise ValueError(f"{model.size} genes of {sizes.size} sizes do not have {entries.size} SNPs in all")
    cells = int((sizes * (sizes + 1) // 2).sum())
    if values.shape != (cells,) or weights.shape != signs.shape or starts.shape != var_g.shape:
        raise ValueError(f"values, weights, signs, starts or var_g do not fit genes of {cells} cells")
    if entries.max(initial=-1) >= weights.size or model.max(initial=-1) >= starts.size:
        raise ValueError(f"an entry is beyond {weights.size}, or a model beyond {starts.size}")
    with_model = model >= 0
    ends = np.cumsum(sizes)
    listed = np.concatenate([[0], np.cumsum(entries >= 0)])
    used = (listed[ends] - listed[ends - sizes])[with_model]
    begin = starts[model[with_model]]
    if begin.min(initial=0) < 0 or (begin + used * (used + 1) // 2).max(initial=0) > ld.size:
        raise ValueError(f"the triangles do not fit into {ld.size} cells")
