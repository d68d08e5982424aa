"""The model store: prediction models of all tissues, packed once, memory-mapped ever after.

In: a `ModelSet` (panel, model table, weights, LD). Out: the same `ModelSet` read back from a folder, its
arrays being views of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

__all__ = ["ModelSet"]


@dataclass(frozen=True, eq=False)
class ModelSet:
    """Prediction models of any number of tissues over one panel of variants.

    Attributes
    ----------
    panel : table (variants,): variant_id, chromosome?, position?, effect_allele, other_allele; one row per
        identifier and unordered pair of alleles.
    models : table (models,): tissue, gene, gene_name, chromosome?, start?, end?, n_snps_in_model?,
        n_snps_in_cov? (null where the gene is absent from the covariance), pred_perf_r2?, pred_perf_pval?,
        pred_perf_qval?, phi? and var_g (all SNPs present; NaN if none has LD). A tissue's models are
        contiguous, tissues in the order of import, genes sorted by identifier.
    offsets : int64 (models + 1,): where each model's entries begin in `variants` and `weights`.
    variants : int32 (entries,): rows of the panel.
    weights : float64 (entries,): weight of the panel's effect allele.
    n_in_ld : int32 (models,): the first `n_in_ld` entries of a model have LD, in LD order; the others never
        enter z or var_g.
    ld_offsets : int64 (models + 1,): where each model's triangle begins in `ld`.
    ld : float64: upper triangles row by row (i <= j), n (n + 1) / 2 values for n = `n_in_ld`: SNP covariance
        in the orientation of the panel's alleles.
    """

    panel: pa.Table
    models: pa.Table
    offsets: np.ndarray
    variants: np.ndarray
    weights: np.ndarray
    n_in_ld: np.ndarray
    ld_offsets: np.ndarray
    ld: np.ndarray
