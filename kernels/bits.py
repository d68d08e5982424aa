"""Boolean arrays as rows of bits, and counting them, on any array library.

In: boolean arrays. Out: uint32 words; bit v & 31 of word v >> 5 is element v.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

__all__ = ["WORD_BITS", "count_bits", "pack_bits"]

Array = Any
WORD_BITS = 32


def pack_bits(flags: Array) -> Array:
    """Pack the last axis of a boolean array.

    Parameters
    ----------
    flags : (rows, n) bool.

    Returns
    -------
    (rows, ceil(n / 32)) uint32; the bits beyond n are 0.
    """
    xp = array_namespace(flags)
    rows, size = flags.shape
    words = -(-size // WORD_BITS)
    filling = xp.zeros((rows, words * WORD_BITS - size), dtype=xp.bool)
    bits = xp.reshape(xp.concat([flags, filling], axis=1), (rows, words, WORD_BITS))
    places = xp.arange(WORD_BITS, dtype=xp.uint32)
    return xp.sum(xp.astype(bits, xp.uint32) << places, axis=2, dtype=xp.uint32)


def count_bits(words: Array) -> Array:
    """Ones in each word of a uint32 array, as uint32.

    Sums of ever wider fields (Warren, Hacker's Delight, 2nd edition, section 5-1), as the standard has no
    population count.
    """
    xp = array_namespace(words)

    def constant(value: int) -> Array:
        return xp.asarray(value, dtype=xp.uint32)

    def down(values: Array, places: int) -> Array:
        return values >> constant(places)

    pairs = words - (down(words, 1) & constant(0x55555555))
    nibbles = (pairs & constant(0x33333333)) + (down(pairs, 2) & constant(0x33333333))
    octets = (nibbles + down(nibbles, 4)) & constant(0x0F0F0F0F)
    halves = octets + down(octets, 8)
    return (halves + down(halves, 16)) & constant(0x3F)
