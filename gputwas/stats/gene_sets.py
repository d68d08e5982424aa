"""Gene sets as rows of bits, and how many genes each of them shares with each of many lists.

In: boolean membership (sets, genes). Out: packed words, and counts (sets, lists). On CUDA a kernel counts;
elsewhere array operations do, block by block.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import is_cupy_namespace

from gputwas.backends.namespace import array_namespace
from gputwas.kernels import twins
from gputwas.kernels.bits import pack_bits

__all__ = ["count_overlaps", "pack_membership"]

Array = Any
MOST_WORDS = 1 << 22  # of common members held at once: 16 MB, a few times over for the steps of counting


def pack_membership(member: Array) -> Array:
    """Membership of genes in sets, one bit each.

    Parameters
    ----------
    member : (sets, genes) bool; sets and the lists they are compared with list the genes in the same order.

    Returns
    -------
    (sets, ceil(genes / 32)) uint32; gene g is bit g & 31 of word g >> 5, bits beyond the last gene are 0.

    Raises
    ------
    ValueError : not a boolean matrix.
    """
    xp = array_namespace(member)
    if member.ndim != 2 or member.dtype != xp.bool:
        raise ValueError(f"membership must be a boolean matrix, not {member.ndim}-d {member.dtype}")
    return pack_bits(member)


def count_overlaps(sets: Array, lists: Array) -> Array:
    """Genes that each set shares with each list.

    Parameters
    ----------
    sets : (sets, words) uint32; lists : (lists, words) uint32, from `pack_membership` over the same genes.

    Returns
    -------
    (sets, lists) int32, of the library of the arguments.

    Raises
    ------
    ValueError : the arrays are not packed, or not over as many genes.
    """
    xp = array_namespace(sets, lists)
    for name, packed in (("sets", sets), ("lists", lists)):
        if packed.ndim != 2 or packed.dtype != xp.uint32:
            raise ValueError(f"{name} must be a packed matrix of uint32, not {packed.ndim}-d {packed.dtype}")
    if sets.shape[1] != lists.shape[1]:
        raise ValueError(f"sets have {sets.shape[1]} words and lists {lists.shape[1]}: not the same genes")
    if is_cupy_namespace(xp):
        from gputwas.kernels import launch

        return launch.bitset_counts(xp.ascontiguousarray(sets), xp.ascontiguousarray(lists))
    return _by_blocks(sets, lists, xp)


def _by_blocks(sets: Array, lists: Array, xp: Any) -> Array:
    """The counts from the twin, as many lists, then as many sets at a time as `MOST_WORDS` allows."""
    n_sets, n_lists, words = sets.shape[0], lists.shape[0], max(sets.shape[1], 1)
    across = max(1, min(n_lists, MOST_WORDS // words))
    down = max(1, MOST_WORDS // (words * across))
    rows = [xp.zeros((0, n_lists), dtype=xp.int32)]
    for start in range(0, n_sets, down):
        some = sets[start : min(start + down, n_sets), :]
        parts = [xp.zeros((some.shape[0], 0), dtype=xp.int32)]
        for first in range(0, n_lists, across):
            parts.append(twins.bitset_counts(some, lists[first : min(first + across, n_lists), :]))
        rows.append(xp.concat(parts, axis=1))
    return xp.concat(rows, axis=0)
