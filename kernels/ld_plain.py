"""What ld.c does, in NumPy, for where the library is missing: the same answers to the last bit, more slowly.

In and out: as in ld.py, which has checked the arguments.
"""

from __future__ import annotations

import numpy as np

__all__ = ["find_entries", "listed_first", "model_triangles"]


def find_entries(
    model: np.ndarray, sizes: np.ndarray, snps: np.ndarray, offsets: np.ndarray, entry_snps: np.ndarray
) -> np.ndarray:
    """See `gputwas.kernels.ld.find_entries`."""
    of_snp = np.repeat(model, sizes)
    wanted = np.flatnonzero((of_snp >= 0) & (snps >= 0))
    found = np.full(snps.size, -1, dtype=np.int64)
    if not wanted.size or not entry_snps.size:
        return found
    span = max(int(entry_snps.max()), int(snps.max())) + 1
    key = np.repeat(np.arange(offsets.size - 1), np.diff(offsets)) * span + entry_snps
    order = np.argsort(key, kind="stable")  # of equal SNPs the first
    asked = of_snp[wanted] * span + snps[wanted]
    place = np.minimum(np.searchsorted(key[order], asked), key.size - 1)
    found[wanted] = np.where(key[order][place] == asked, order[place], -1)
    return found


def listed_first(
    model: np.ndarray, sizes: np.ndarray, entries: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `gputwas.kernels.ld.listed_first`."""
    count = int(offsets[-1])
    model_of_entry = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    of_snp = np.repeat(model, sizes)
    own = np.flatnonzero((entries >= 0) & (entries < count) & (of_snp >= 0))
    own = own[model_of_entry[entries[own]] == of_snp[own]]
    appears = np.arange(count) + entries.size  # not listed: behind the others, as they were
    appears[entries[own[::-1]]] = own[::-1]  # the first mention is written last
    listed = model_of_entry[appears < entries.size]
    order = np.lexsort((appears, model_of_entry))
    return order, np.bincount(listed, minlength=offsets.size - 1).astype(np.int32)


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
    """See `gputwas.kernels.ld.model_triangles`."""
    first, cell, negative, variance = 0, 0, -1, 0.0
    for m, size in zip(model.tolist(), sizes.tolist(), strict=True):
        mine, triangle = entries[first : first + size], values[cell : cell + size * (size + 1) // 2]
        first, cell = first + size, cell + triangle.size
        if m < 0 or not (mine >= 0).any():
            continue
        i, j = np.triu_indices(size)
        known = (mine[i] >= 0) & (mine[j] >= 0)
        i, j, here = i[known], j[known], triangle[known]
        one, two = mine[i], mine[j]
        below = np.flatnonzero((i == j) & (here < 0))
        if below.size and negative < 0:
            negative, variance = int(one[below[0]]), float(here[below[0]])
        term = np.where(i == j, 1.0, 2.0) * weights[one] * weights[two] * here
        var_g[m] = np.bincount(np.zeros(term.size, dtype=np.int64), term)[0]  # adds one after the other
        ld[starts[m] : starts[m] + here.size] = here * signs[one] * signs[two]
    return negative, variance
