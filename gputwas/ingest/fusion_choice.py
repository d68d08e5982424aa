"""Which of a gene's FUSION models is used, and its weights.

In: weight files. Out: of each file the one model that FUSION.assoc_test.R would score, or why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.formats.fusion import FusionWeights, read_wgt

__all__ = ["ChosenModel", "ReadJob", "best_model", "choose", "read_chosen"]


@dataclass(frozen=True, eq=False)
class ChosenModel:
    """The model of a gene that is scored.

    Attributes
    ----------
    models : names of the models of the file.
    kind : name of the chosen one; None if the model asked for is not among them.
    by_default : no model of the file has a cross-validation p, so its first one is taken.
    r2, pval : cross-validated R2 and p of the model, NaN where there is none.
    hsq, hsq_pval : of the gene, see `FusionWeights`.
    variant_id, effect_allele, other_allele, weights : the SNPs whose weight is not 0, in the order of the
        file; of top1 all marginal weights, see `top_only`.
    """

    models: tuple[str, ...]
    kind: str | None
    by_default: bool
    r2: float
    pval: float
    hsq: float
    hsq_pval: float
    variant_id: pa.Array
    effect_allele: pa.Array
    other_allele: pa.Array
    weights: np.ndarray

    @property
    def top_only(self) -> bool:
        """Only the SNP of largest weight is used, of those that the LD reference has.

        So says the beginning of the model's name (FUSION.assoc_test.R:233).
        """
        return (self.kind or "").startswith("top1")


@dataclass(frozen=True)
class ReadJob:
    """Files that one call reads; `force_model` as for `best_model`."""

    paths: tuple[str, ...]
    force_model: str | None

    def __str__(self) -> str:
        return f"{self.paths[0]} and {len(self.paths) - 1} more"


def read_chosen(job: ReadJob) -> list[ChosenModel]:
    """Read files and choose a model of each; errors are those of `read_wgt`."""
    return [choose(read_wgt(path), job.force_model) for path in job.paths]


def best_model(pval: np.ndarray, models: tuple[str, ...], force_model: str | None = None) -> int | None:
    """Number of the model that FUSION takes.

    Parameters
    ----------
    pval : float64 (models,): cross-validated p, NaN where there is none.
    force_model : name of the model to take whatever its p (``--force_model``).

    Returns
    -------
    The model with the least p; the first of several with the same. A model without p is taken only if none
    has one: the first then, because R's ``min`` of nothing is Inf and its ``which.min`` of only Inf is 1
    (FUSION.assoc_test.R:219). None if there is no model of the name asked for (:212).
    """
    if force_model is not None:
        return models.index(force_model) if force_model in models else None
    return int(np.argmin(np.where(np.isnan(pval), np.inf, pval)))


def choose(file: FusionWeights, force_model: str | None = None) -> ChosenModel:
    """Choose the model of a gene, see `best_model`."""
    number = best_model(file.pval, file.models, force_model)
    column = np.zeros(len(file.weights)) if number is None else file.weights[:, number]
    used = np.flatnonzero(column)
    rows = pa.array(used)
    return ChosenModel(
        models=file.models,
        kind=None if number is None else file.models[number],
        by_default=force_model is None and bool(np.isnan(file.pval).all()),
        r2=float("nan") if number is None else float(file.r2[number]),
        pval=float("nan") if number is None else float(file.pval[number]),
        hsq=file.hsq,
        hsq_pval=file.hsq_pval,
        variant_id=file.variant_id.take(rows),
        effect_allele=file.effect_allele.take(rows),
        other_allele=file.other_allele.take(rows),
        weights=column[used],
    )
