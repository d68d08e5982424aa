"""GWAS statistics of one panel for models over another.

In: the panel of a GWAS store and that of a model set. Out: the way from one to the other, and arrays in the
order and orientation of the models. Models added after a GWAS was imported need no new reading of it if their
variants are in its panel.
"""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.panel import PanelMap, map_panel

__all__ = ["find_panel", "on_panel"]

log = logging.getLogger(__name__)


def find_panel(gwas_panel: pa.Table, model_panel: pa.Table) -> PanelMap | None:
    """Where the models' variants are in the GWAS store; None if row by row the same.

    Raises
    ------
    InputError : the store has none of them.
    """
    columns = ["variant_id", "effect_allele", "other_allele"]
    if gwas_panel.select(columns).equals(model_panel.select(columns)):
        return None
    rows = map_panel(gwas_panel, model_panel)
    if rows.found == 0:
        raise InputError(
            "none of the models' variants is in the GWAS store's panel",
            found=f"{gwas_panel['variant_id'][0].as_py()}, ... in the GWAS store",
            expected=f"identifiers like {model_panel['variant_id'][0].as_py()}",
            remedy="Import the GWAS again with --models naming this model store.",
        )
    if rows.found < len(rows.index):
        log.warning(
            "%d of the models' %d variants are not in the GWAS store's panel and count as missing; "
            "import the GWAS again with these models to use them",
            len(rows.index) - rows.found,
            len(rows.index),
        )
    return rows


def on_panel(values: np.ndarray, rows: PanelMap | None) -> np.ndarray:
    """(variants,) values of a GWAS panel for the models' variants, in their orientation; NaN where absent."""
    if rows is None:
        return values
    sign = np.where(rows.sign == 0, np.nan, rows.sign).astype(values.dtype)
    return values[rows.index] * sign
