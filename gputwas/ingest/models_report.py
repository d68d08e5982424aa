"""The account of an import of models: what became of every tissue's weights.

In: counts, or a store that is there already. Out: rows a person reads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gputwas.stores.models import ModelSet

__all__ = ["ImportReport", "TissueReport", "report_of_store"]


@dataclass(frozen=True)
class TissueReport:
    """Counts of one tissue; None where a store that was there already does not tell.

    Attributes
    ----------
    tissue : its name.
    models : genes with weights.
    weights : entries of all models.
    snps : different variants among them.
    genes_without_weights : genes of the database that make no model.
    weights_left_out : weights that enter no model (no SNP id or allele, gene unknown, SNP repeated).
    snps_without_ld : entries that the covariance lacks; they never enter z or var_g.
    models_without_ld : models of which no SNP has LD.
    no_variance : models in LD whose var_g is not positive; their z is undefined.
    turned : entries whose sign was turned to the panel's effect allele.
    seconds : time spent on this tissue, s.
    """

    tissue: str
    models: int
    weights: int
    snps: int
    genes_without_weights: int | None
    weights_left_out: int | None
    snps_without_ld: int
    models_without_ld: int
    no_variance: int
    turned: int | None
    seconds: float | None


@dataclass(frozen=True)
class ImportReport:
    """Counts of all tissues.

    Attributes
    ----------
    tissues : one report each, in the order of import.
    variants : rows of the panel.
    warnings : what a person should know, one sentence each.
    seconds : time of the whole import, s.
    already_there : the store was complete from the same inputs and nothing was written.
    """

    tissues: tuple[TissueReport, ...]
    variants: int
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    already_there: bool = False

    def as_rows(self) -> tuple[list[str], list[list[object]]]:
        """Column names and one row per tissue."""
        names = [field.name for field in fields(TissueReport)]
        return names, [[_rounded(getattr(tissue, name)) for name in names] for tissue in self.tissues]


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def report_of_store(model_set: ModelSet, seconds: float) -> ImportReport:
    """What a store that is complete already tells of itself; counts that only importing knows are None."""
    sizes = np.diff(model_set.offsets)
    var_g = model_set.models["var_g"].to_numpy()
    reports = []
    for tissue in model_set.tissues:
        rows = model_set.tissue_slice(tissue)
        entries = slice(int(model_set.offsets[rows.start]), int(model_set.offsets[rows.stop]))
        reports.append(
            TissueReport(
                tissue=tissue,
                models=rows.stop - rows.start,
                weights=entries.stop - entries.start,
                snps=len(np.unique(model_set.variants[entries])),
                genes_without_weights=None,
                weights_left_out=None,
                snps_without_ld=int((sizes[rows] - model_set.n_in_ld[rows]).sum()),
                models_without_ld=int((model_set.n_in_ld[rows] == 0).sum()),
                no_variance=int((var_g[rows] <= 0).sum()),
                turned=None,
                seconds=None,
            )
        )
    return ImportReport(tuple(reports), model_set.panel.num_rows, (), seconds, already_there=True)
