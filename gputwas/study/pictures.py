"""The pictures of a study: Manhattan, QQ, counts per tissue and per modality, from its store and findings.

In: an association store and its significant associations. Out: figures, and files of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from matplotlib.figure import Figure

from gputwas.analyses.fdr import SignificantAssociations
from gputwas.analyses.quantiles import Quantiles, study_quantiles
from gputwas.errors import UsageError
from gputwas.figures.counts import counts_by_modality, counts_by_tissue
from gputwas.figures.manhattan import manhattan
from gputwas.figures.qq import qq
from gputwas.figures.style import save
from gputwas.stores.associations import AssociationStore

__all__ = ["FORMATS", "draw_study", "save_figures", "significance_line"]

FORMATS = ("png", "svg", "pdf")


def draw_study(
    store: AssociationStore, found: SignificantAssociations, quantiles: Quantiles | None = None
) -> dict[str, Figure]:
    """Figures by name: manhattan, qq, tissues and, where traits have a modality, modalities.

    Parameters
    ----------
    quantiles : of the tests that were corrected, from `study_quantiles`; counted here if not given.
    """
    quantiles = quantiles or study_quantiles(store)
    figures = {}
    if {"chromosome", "start"} <= set(found.table.column_names):
        figures["manhattan"] = manhattan(found.table, lines=significance_line(found))
    figures["qq"] = qq(quantiles.table, n_tests=quantiles.n_tests, lambda_gc=quantiles.lambda_gc)
    figures["tissues"] = counts_by_tissue(found.table, all_tissues=store.tissues)
    if "modality" in store.traits.column_names:
        every = pc.unique(store.traits["modality"]).drop_null().to_pylist()
        figures["modalities"] = counts_by_modality(found.table, all_modalities=sorted(every))
    return figures


def significance_line(found: SignificantAssociations) -> dict[str, float]:
    """-log10 p of the least significant finding: the height from which everything drawn is significant.

    Only where all tests are one family, for several families have as many heights.
    """
    if found.table.num_rows == 0 or found.families.num_rows != 1:
        return {}
    lowest = float(np.min(found.table["nlog10_p"].to_numpy()))
    return {f"FDR {found.alpha:g}" if found.method == "bh" else f"Bonferroni {found.alpha:g}": lowest}


def save_figures(
    figures: dict[str, Figure], folder: str | os.PathLike[str], formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Write every figure in every format into a folder; returns the files.

    Raises
    ------
    UsageError : a format is none of `FORMATS`.
    """
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"pictures are written as {', '.join(FORMATS)}, not {name}")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in figures.items():
        for suffix in formats:
            files.append(target / f"{name}.{suffix}")
            save(figure, files[-1])
    return files
