"""A GWAS read through a map from its SNPs to the models' variants (`--snp_map_file`).

In: the models' panel and MetaXcan's map: a tab-separated table with rsid, a0, a1 (other and effect
allele of the SNP), panel_variant_id, panel_variant_a0, panel_variant_a1 and swap (1, or -1 where the panel's
effect allele is the SNP's a0). Out: the trait's statistics over the models' panel.

The reference drops GWAS rows whose id is not a model id *before* it maps them, so its map only helps where
both use the same ids; here rows are mapped first.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gputwas.errors import InputError
from gputwas.ingest.trait import TraitStatistics
from gputwas.stores.panel import map_panel

__all__ = ["carry_over", "gwas_side", "read_snp_map"]

COLUMNS = ("rsid", "a0", "a1", "panel_variant_id", "panel_variant_a0", "panel_variant_a1", "swap")


def read_snp_map(path: str | os.PathLike[str]) -> pa.Table:
    """The map, without repeated rows; alleles in upper case, swap as float64.

    Raises
    ------
    InputError : the file is missing, is no table, lacks a column, or has no rows.
    """
    name = os.fspath(path)
    types = {column: pa.string() for column in COLUMNS[:-1]} | {"swap": pa.float64()}
    try:
        table = csv.read_csv(
            name,
            parse_options=csv.ParseOptions(delimiter="\t"),
            convert_options=csv.ConvertOptions(column_types=types, include_columns=list(COLUMNS)),
        )
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(
            f"this SNP map cannot be read: {error}",
            path=name,
            expected=f"a tab-separated table with the columns {', '.join(COLUMNS)}",
        ) from error
    if table.num_rows == 0:
        raise InputError("this SNP map has no rows", path=name)
    for column in ("a0", "a1", "panel_variant_a0", "panel_variant_a1"):
        table = table.set_column(COLUMNS.index(column), column, pc.utf8_upper(table[column]))
    return table.group_by(list(COLUMNS), use_threads=False).aggregate([]).select(COLUMNS)


def gwas_side(snp_map: pa.Table) -> pa.Table:
    """The map's SNPs as a panel to read a GWAS against, each once however many variants it leads to."""
    side = _snps(snp_map)
    low, high = (
        function(side["effect_allele"], side["other_allele"])
        for function in (pc.min_element_wise, pc.max_element_wise)
    )
    pairs = pa.table({"variant_id": side["variant_id"], "effect_allele": low, "other_allele": high})
    return pairs.group_by(pairs.column_names, use_threads=False).aggregate([]).select(pairs.column_names)


def _snps(snp_map: pa.Table) -> pa.Table:
    return pa.table(
        {"variant_id": snp_map["rsid"], "effect_allele": snp_map["a1"], "other_allele": snp_map["a0"]}
    )


def carry_over(trait: TraitStatistics, snp_map: pa.Table, panel: pa.Table) -> TraitStatistics:
    """Statistics over `gwas_side(snp_map)` as statistics over the models' panel.

    Parameters
    ----------
    trait : read against `gwas_side`. panel : the models' panel.

    Raises
    ------
    InputError : no SNP of the GWAS leads to a variant of the models.
    """
    target = pa.table(
        {
            "variant_id": snp_map["panel_variant_id"],
            "effect_allele": snp_map["panel_variant_a1"],
            "other_allele": snp_map["panel_variant_a0"],
        }
    )
    snps = map_panel(gwas_side(snp_map), _snps(snp_map))
    rows = map_panel(panel, target)
    usable = (rows.sign != 0) & ~np.isnan(trait.z[snps.index])
    if not usable.any():
        raise InputError(
            "no SNP of the GWAS leads through the SNP map to a variant of the models",
            found=f"panel_variant_id like {snp_map['panel_variant_id'][0].as_py()} in the map",
            expected=f"ids like {panel['variant_id'][0].as_py()}",
        )
    sign = (snps.sign * rows.sign * snp_map["swap"].to_numpy())[usable]

    def on_models(values: np.ndarray, factor: np.ndarray | float) -> np.ndarray:
        out = np.full(panel.num_rows, np.nan, dtype=values.dtype)
        out[rows.index[usable]] = values[snps.index[usable]] * factor
        return out

    return replace(
        trait,
        z=on_models(trait.z, sign),
        beta=None if trait.beta is None else on_models(trait.beta, sign),
        se=None if trait.se is None else on_models(trait.se, 1.0),
        found_share=len(np.unique(rows.index[usable])) / panel.num_rows,
    )
