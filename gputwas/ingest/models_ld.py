"""The LD of one tissue's models: packed triangles from the rows of a covariance file.

In: the entries of a tissue with their signs, and its covariances, as triangles or as rows in any order. Out:
the order in which a model's SNPs stand in its matrix, the triangle in the panel's orientation, var_g, and
what is missing. All models at once, without a loop over genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.arrow_texts import buffers_of
from gputwas.errors import InputError
from gputwas.formats.covariance import Covariances
from gputwas.formats.triangles import Triangles
from gputwas.ingest.models_entries import TissueEntries
from gputwas.kernels import library
from gputwas.kernels.ld import find_coded_entries, find_entries, listed_first, model_triangles
from gputwas.kernels.texts import Names

__all__ = ["TissueLD", "tissue_ld", "triangles_ld", "unit_ld"]


@dataclass(frozen=True, eq=False)
class TissueLD:
    """LD of one tissue's models.

    Attributes
    ----------
    order : int64 (entries,): entries, model by model, those in LD first in the order of their matrix.
    n_in_ld : int32 (models,): how many entries of each model have LD.
    n_in_cov : int64 (models,), null where the gene is not in the covariance: SNPs of the gene that the
        covariance has a value for, in the model or not.
    ld : float64: upper triangles, n_in_ld (n_in_ld + 1) / 2 values each, for the panel's alleles.
    var_g : float64 (models,): w'Γw over the SNPs in LD (Barbeira et al. 2018,
        doi:10.1038/s41467-018-03621-1); NaN where there is none.
    """

    order: np.ndarray
    n_in_ld: np.ndarray
    n_in_cov: pa.Array
    ld: np.ndarray
    var_g: np.ndarray


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Covariance rows between two SNPs of one model: entries of the two SNPs, and the value.

    `in_order`: the rows of a gene are complete rows of an upper triangle, one below the other.
    """

    first: np.ndarray
    second: np.ndarray
    values: np.ndarray
    in_order: bool = False


def tissue_ld(entries: TissueEntries, signs: np.ndarray, covariances: Covariances) -> TissueLD:
    """Pack the LD of a tissue.

    A SNP is in LD if the covariance gives its variance; its place in the matrix is that of its first row as
    RSID1, as in the reference. NA counts as absent.

    Raises
    ------
    InputError
        If the covariance of two SNPs of a model is absent though both variances are there, or a variance is
        negative.
    """
    gene = pc.index_in(pa.array(covariances.genes, pa.string()), value_set=entries.genes["gene"])
    model = np.repeat(gene.fill_null(-1).to_numpy(), np.diff(covariances.offsets))
    used = ~np.isnan(covariances.values) & (model >= 0)
    n_in_cov = _count_first_ids(model, used, covariances, gene, entries.genes.num_rows)
    pairs = _pairs(entries, model, used, covariances)

    diagonal = pairs.first == pairs.second
    in_ld = np.zeros(len(entries.snp), dtype=bool)
    in_ld[pairs.first[diagonal]] = True
    if not in_ld.all():
        inside = in_ld[pairs.first] & in_ld[pairs.second]
        pairs = _Pairs(pairs.first[inside], pairs.second[inside], pairs.values[inside])
    _refuse_negative(entries, covariances, pairs)
    order, place, n_in_ld = _matrix_order(entries, in_ld, pairs)
    ld, var_g = _triangles(entries, signs, covariances, pairs, place, n_in_ld)
    return TissueLD(order, n_in_ld, n_in_cov, ld, var_g)


def triangles_ld(entries: TissueEntries, signs: np.ndarray, triangles: Triangles) -> TissueLD:
    """Pack the LD of a tissue whose covariances come as triangles; the result is that of `tissue_ld`.

    Raises
    ------
    InputError
        If a variance is negative.
    """
    n_models = entries.genes.num_rows
    gene = pc.index_in(triangles.genes, value_set=entries.genes["gene"])
    model = gene.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(entries.sizes)])
    found = _entries_of(entries, offsets, model, triangles)
    order, n_in_ld = listed_first(model, triangles.sizes, found, offsets)

    size = n_in_ld.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(size * (size + 1) // 2)])
    in_order = not np.any(model[1:] <= model[:-1]) and not np.any(model < 0) and not np.any(found < 0)
    ld = triangles.values if in_order else np.empty(starts[-1])
    var_g = np.full(n_models, np.nan)
    negative, variance = model_triangles(
        model, triangles.sizes, found, triangles.values, entries.weights, signs, starts[:-1], ld, var_g
    )
    if negative >= 0:
        raise _negative(entries, triangles.path, negative, variance)
    counts, absent = np.zeros(n_models, np.int64), np.ones(n_models, bool)
    counts[model[model >= 0]], absent[model[model >= 0]] = triangles.sizes[model >= 0], False
    return TissueLD(order, n_in_ld, pa.array(counts, mask=absent), ld, var_g)


def _entries_of(
    entries: TissueEntries, offsets: np.ndarray, model: np.ndarray, triangles: Triangles
) -> np.ndarray:
    """The entry of each SNP of the triangles' genes, int64 (SNPs,), -1 where the model does not have it."""
    if library.is_there():
        return find_entries(
            model, triangles.sizes, triangles.members, _names(triangles.snps),
            offsets, entries.snp, _names(entries.ids),
        )  # fmt: skip
    snps = pc.index_in(triangles.snps, value_set=entries.ids).fill_null(-1)
    coded = snps.to_numpy(zero_copy_only=False).astype(np.int64)[triangles.members]
    return find_coded_entries(model, triangles.sizes, coded, offsets, entries.snp)


def _names(names: pa.Array) -> Names:
    ends, data = buffers_of(names)
    return Names(data, ends)


def unit_ld(entries: TissueEntries) -> TissueLD:
    """LD of models of a single SNP without a covariance: Γ is 1, as with --single_snp_model of the reference.

    Raises
    ------
    InputError
        If a model has more than one SNP: nothing is known of the covariance between them.
    """
    sizes = entries.sizes
    if np.any(sizes > 1):
        model = int(np.argmax(sizes > 1))
        raise InputError(
            f"gene {entries.genes['gene'][model]} has {sizes[model]} SNPs, not a single one",
            path=entries.path,
            remedy="Give the covariance of these models instead of --single-snp-model.",
        )
    return TissueLD(
        order=np.arange(len(entries.snp)),
        n_in_ld=sizes.astype(np.int32),
        n_in_cov=pa.array(sizes),
        ld=np.ones(len(entries.snp)),
        var_g=entries.weights**2,
    )


def _count_first_ids(
    model: np.ndarray, used: np.ndarray, covariances: Covariances, gene: pa.Array, n_models: int
) -> pa.Array:
    """Number of different RSID1 with a value, per model; null for models whose gene has no row at all."""
    size = max(len(covariances.snps), 1)
    key = model[used].astype(np.int64) * size + covariances.id1[used]
    key = np.sort(key[np.flatnonzero(np.diff(key, prepend=-1))])  # rows of one RSID1 mostly follow each other
    key = key[np.flatnonzero(np.diff(key, prepend=-1))]
    counts = np.bincount(key // size, minlength=n_models)
    absent = np.ones(n_models, dtype=bool)
    absent[gene.drop_null().to_numpy(zero_copy_only=False)] = False
    return pa.array(counts, pa.int64(), mask=absent)


def _pairs(entries: TissueEntries, model: np.ndarray, used: np.ndarray, covariances: Covariances) -> _Pairs:
    """Rows whose two SNPs are both in the model, in file order."""
    if not len(entries.snp) or not used.any():
        nothing = np.empty(0, np.int64)
        return _Pairs(nothing, nothing, np.empty(0))
    entry = _EntryOf(entries, covariances.snps)
    runs = covariances.runs
    of_run = entry(covariances.id1[runs.starts], model[runs.starts])
    first, second = of_run[runs.of_row], of_run[runs.partner]
    alone = np.flatnonzero(runs.partner < 0)
    if len(alone):
        second[alone] = entry(covariances.id2[alone], model[alone])
    known = used & (first >= 0) & (second >= 0)
    if known.all():
        return _Pairs(first, second, covariances.values, in_order=not len(alone))
    return _Pairs(first[known], second[known], covariances.values[known])


class _EntryOf:
    """Finds the entry of a SNP of the covariance in a model; -1 where the model does not have it."""

    def __init__(self, entries: TissueEntries, snps: pa.Array) -> None:
        found = pc.index_in(snps, value_set=entries.ids).fill_null(-1)
        self._snp = found.to_numpy(zero_copy_only=False).astype(np.int64)
        self._size = max(len(entries.ids), 1)
        key = entries.model.astype(np.int64) * self._size + entries.snp
        self._order = np.argsort(key)
        self._key = key[self._order]

    def __call__(self, ids: np.ndarray, model: np.ndarray) -> np.ndarray:
        """Entries of SNPs `ids`, rows of the covariance's list, in models `model`: int64 of their shape."""
        snp = self._snp[ids]
        wanted = model.astype(np.int64) * self._size + snp
        place = np.minimum(np.searchsorted(self._key, wanted), len(self._key) - 1)
        return np.where((snp >= 0) & (self._key[place] == wanted), self._order[place], -1)


def _matrix_order(
    entries: TissueEntries, in_ld: np.ndarray, pairs: _Pairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order of the entries, place of each entry in its model, and number in LD per model."""
    count = len(entries.snp)
    appears = np.arange(count) + len(pairs.first)  # not in LD: behind the others, as they were
    appears[pairs.first[::-1]] = np.arange(len(pairs.first))[::-1]  # the first row is written last
    order = np.lexsort((appears, ~in_ld, entries.model))
    starts = np.concatenate([[0], np.cumsum(entries.sizes)])
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count) - starts[entries.model]
    n_in_ld = np.bincount(entries.model[in_ld], minlength=entries.genes.num_rows).astype(np.int32)
    return order, place, n_in_ld


def _triangles(
    entries: TissueEntries,
    signs: np.ndarray,
    covariances: Covariances,
    pairs: _Pairs,
    place: np.ndarray,
    n_in_ld: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Packed triangles and var_g."""
    size = n_in_ld.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(size * (size + 1) // 2)])
    cell = _cells(entries, pairs, place, size, starts)
    ld = np.full(starts[-1], np.nan)
    ld[cell] = pairs.values
    if np.isnan(ld).any():
        raise _missing_pair(entries, covariances, place, n_in_ld, starts, int(np.argmax(np.isnan(ld))))
    term = np.empty(len(ld))  # a pair given in both orders fills its cell twice, not two cells
    weights = entries.weights
    factor = np.where(pairs.first == pairs.second, 1.0, 2.0)
    term[cell] = weights[pairs.first] * weights[pairs.second] * factor
    term *= ld
    var_g = np.full(len(size), np.nan)
    has_ld = size > 0
    if has_ld.any():
        var_g[has_ld] = np.add.reduceat(term, starts[:-1][has_ld])
    if np.any(signs != 1):
        ld[cell] = pairs.values * signs[pairs.first] * signs[pairs.second]
    return ld, var_g


def _cells(
    entries: TissueEntries, pairs: _Pairs, place: np.ndarray, size: np.ndarray, starts: np.ndarray
) -> np.ndarray | slice:
    """Where each pair stands in the triangles; all in order where the file lists them in order."""
    model = entries.model[pairs.first]
    if pairs.in_order and len(model) == starts[-1] and not np.any(model[1:] < model[:-1]):
        counts = np.bincount(model, minlength=len(size))
        if np.array_equal(counts, np.diff(starts)):
            return slice(None)
    one, two = place[pairs.first], place[pairs.second]
    i, j = np.minimum(one, two), np.maximum(one, two)
    return starts[model] + i * size[model] - i * (i - 1) // 2 + (j - i)


def _refuse_negative(entries: TissueEntries, covariances: Covariances, pairs: _Pairs) -> None:
    negative = np.flatnonzero((pairs.first == pairs.second) & (pairs.values < 0))
    if len(negative):
        entry, variance = int(pairs.first[negative[0]]), float(pairs.values[negative[0]])
        raise _negative(entries, covariances.path, entry, variance)


def _negative(entries: TissueEntries, path: str, entry: int, variance: float) -> InputError:
    return InputError(
        f"the variance of {_snp(entries, entry)} in gene {_gene(entries, entry)} is negative",
        path=path,
        found=f"{variance:g}",
        remedy="A variance cannot be: make the file anew.",
    )


def _missing_pair(
    entries: TissueEntries,
    covariances: Covariances,
    place: np.ndarray,
    n_in_ld: np.ndarray,
    starts: np.ndarray,
    cell: int,
) -> InputError:
    model = int(np.searchsorted(starts, cell, side="right")) - 1
    upper = np.triu_indices(int(n_in_ld[model]))
    members = np.flatnonzero(entries.model == model)
    by_place = members[np.argsort(place[members])]
    one, two = (int(by_place[side[cell - starts[model]]]) for side in upper)
    return InputError(
        f"tissue {entries.tissue}, gene {_gene(entries, one)}: the covariance of {_snp(entries, one)} and "
        f"{_snp(entries, two)} is absent or NA, though both variances are there",
        path=covariances.path,
        remedy="A model needs the covariances of all its SNPs; make the file anew, or remove one SNP's rows.",
    )


def _snp(entries: TissueEntries, entry: int) -> str:
    return str(entries.ids[int(entries.snp[entry])])


def _gene(entries: TissueEntries, entry: int) -> str:
    return str(entries.genes["gene"][int(entries.model[entry])])
