"""In: models over a panel of variants. Out: the same sums by dense matrices, one per stretch of the genome.

The models of all tissues whose first SNP lies in a stretch make one float32 matrix over the variants that
they reach; their sums are its product with the z-scores there. Most of it is zeros: whether the device's
matrix units make up for that is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Block", "cut", "multiplier", "operations", "stored_bytes"]

STRETCH = 1_024  # variants in which the models of a block begin


@dataclass(frozen=True)
class Block:
    """Models of one stretch: `models` (n,) int64, and the variants `begin` .. `end` that they reach."""

    models: np.ndarray
    begin: int
    end: int


def cut(offsets: np.ndarray, variants: np.ndarray) -> list[Block]:
    """Blocks of models by the stretch of their first SNP; models without SNPs are in none."""
    filled = np.flatnonzero(np.diff(offsets))
    first = np.minimum.reduceat(variants, offsets[filled])
    last = np.maximum.reduceat(variants, offsets[filled])
    stretch = first // STRETCH
    order = np.argsort(stretch, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(stretch[order])) + 1)
    return [Block(filled[part], int(first[part].min()), int(last[part].max()) + 1) for part in parts]


def operations(blocks: list[Block], traits: int) -> float:
    """Float32 operations of one product with the z-scores of some traits."""
    return 2.0 * traits * sum(block.models.size * (block.end - block.begin) for block in blocks)


def stored_bytes(blocks: list[Block]) -> float:
    """Bytes of the matrices."""
    return 4.0 * sum(block.models.size * (block.end - block.begin) for block in blocks)


def multiplier(
    blocks: list[Block], offsets: np.ndarray, variants: np.ndarray, weights: np.ndarray
) -> Callable[[Any, Any], None]:
    """Put the matrices on the device.

    Returns
    -------
    A function of z (variants, traits), zero where missing, and of the sums to fill (models in the order of
    the blocks, traits), both float32.
    """
    import cupy

    matrices = []
    for block in blocks:
        matrix = np.zeros((block.models.size, block.end - block.begin), np.float32)
        lengths = np.diff(offsets)[block.models]
        entries = np.repeat(offsets[block.models] - np.cumsum(lengths) + lengths, lengths)
        entries += np.arange(entries.size)
        matrix[np.repeat(np.arange(lengths.size), lengths), variants[entries] - block.begin] = weights[
            entries
        ]
        matrices.append(cupy.asarray(matrix))
    starts = np.cumsum([0, *(block.models.size for block in blocks)])

    def multiply(z: Any, sums: Any) -> None:
        for block, matrix, start in zip(blocks, matrices, starts, strict=False):
            cupy.matmul(matrix, z[block.begin : block.end], out=sums[start : start + block.models.size])

    return multiply
