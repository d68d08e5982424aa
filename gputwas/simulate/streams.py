"""Random streams of a simulated study.

In: the study's seed, what the numbers are for, and the index of the thing they belong to. Out: a NumPy
generator that depends on nothing else, so the number of traits, their order and the batching change no value.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Purpose", "stream"]


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the format, so a study can be drawn again later."""

    LAYOUT = 1
    ALLELES = 2
    HAPLOTYPES = 3
    EQTL = 4
    TRAINING = 5
    REFERENCE = 6
    ORIENTATION = 7
    SHARED_CAUSE = 8
    TRAIT = 9
    GROUP_NOISE = 10
    TRAIT_NOISE = 11
    PATTERN = 12


def stream(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Give the generator of one thing: counter-based Philox, keyed by (seed, purpose, index)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(purpose, *index))))
