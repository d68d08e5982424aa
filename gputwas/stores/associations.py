"""The association store: z and effect size of every model in every trait, one tissue and block at a time.

In: arrays (models of a tissue, traits of a block). Out: memory-mapped views of them, in any order.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    """Why a model has no result in a trait (or that it has one)."""

    OK = 0
    NO_SNP_IN_GWAS = 1  # none of the model's SNPs has a usable row in the GWAS
    NO_SNP_IN_LD = 2  # SNPs of the model are in the GWAS, but none of those is in the covariance
    ZERO_VARIANCE = 3  # var_g == 0
    NEGATIVE_VARIANCE = 4  # var_g < 0: the LD matrix is not positive definite
    NOT_IN_LD = 5  # the gene is absent from the covariance
