"""What depends only on which SNPs a trait has: kept once per pattern, not once per trait.

In: arrays (models,) under the digest of a pattern, and the digest of each trait. Out: views of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gputwas.stores.arrow import array_view, open_batch, write_arrays
from gputwas.stores.manifest import read_json, write_json

__all__ = ["PATTERN_FOLDERS", "Pattern", "PatternFolder", "Status"]

_PATTERNS, _OF_BLOCKS = PATTERN_FOLDERS = ("patterns", "patterns_of_blocks")
_DTYPES = {"n_snps_used": np.int32, "var_g": np.float64, "status": np.uint8}


class Status(IntEnum):
    """Why a model has no result in a trait (or that it has one)."""

    OK = 0
    NO_SNP_IN_GWAS = 1  # none of the model's SNPs has a usable row in the GWAS
    NO_SNP_IN_LD = 2  # SNPs of the model are in the GWAS, but none of those is in the covariance
    ZERO_VARIANCE = 3  # var_g == 0
    NEGATIVE_VARIANCE = 4  # var_g < 0: the LD matrix is not positive definite
    NOT_IN_LD = 5  # the gene is absent from the covariance


@dataclass(frozen=True, eq=False)
class Pattern:
    """One pattern of missing SNPs, for all models of the store.

    Attributes
    ----------
    n_snps_used : int32 (models,).
    var_g : float64 (models,): variance of the predicted expression over those SNPs.
    status : uint8 (models,): values of `Status`.
    """

    n_snps_used: np.ndarray
    var_g: np.ndarray
    status: np.ndarray


class PatternFolder:
    """The patterns in the folder of an association store."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._records: dict[int, dict[str, str]] = {}

    def has(self, digest: str) -> bool:
        """Whether a pattern was written."""
        return os.path.exists(self._file(digest))

    def write(self, digest: str, pattern: Pattern, models: int) -> None:
        """Write a pattern of so many models; one that is there is kept, for its name tells its content."""
        arrays = {name: getattr(pattern, name) for name in _DTYPES}
        for name, dtype in _DTYPES.items():
            array = arrays[name]
            if array.dtype != dtype or array.shape != (models,):
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} ({models},)")
        if not self.has(digest):
            write_arrays(self._file(digest), arrays)

    def read(self, digest: str) -> Pattern:
        """Memory-map a pattern; an InputError if it was not written or its file is damaged."""
        batch = open_batch(self._file(digest))
        return Pattern(**{name: array_view(batch[name]) for name in _DTYPES})

    def has_block(self, block: int) -> bool:
        """Whether the patterns of a block's traits were recorded."""
        return os.path.exists(self._record(block))

    def write_block(self, block: int, traits: Sequence[str], digests: Sequence[str]) -> None:
        """Record the pattern of each trait of a block."""
        write_json(self._record(block), dict(zip(traits, digests, strict=True)))
        self._records.pop(block, None)

    def of_block(self, block: int) -> dict[str, str]:
        """Trait -> digest for a block; an InputError if it was not recorded yet."""
        if block not in self._records:
            self._records[block] = read_json(self._record(block))
        return self._records[block]

    def _file(self, digest: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{1,64}", digest):
            raise ValueError(f"{digest!r} is not a hexadecimal digest")
        return os.path.join(self._store, _PATTERNS, f"{digest}.arrow")

    def _record(self, block: int) -> str:
        return os.path.join(self._store, _OF_BLOCKS, f"{block:05d}.json")
