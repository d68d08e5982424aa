"""One trait in one tissue as the table that SPrediXcan.py writes.

In: the tissue's model table and the arrays of its results. Out: an Arrow table in the reference program's
columns and order, ready for `gputwas.formats.metaxcan.write_associations`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.stats.normal import p_from_z
from gputwas.stores.associations import Status
from gputwas.twas.spredixcan import Scorer
from gputwas.twas.uncertainty import calibrate

__all__ = ["TissueResult", "calibrated", "metaxcan_table", "snp_extremes"]


@dataclass(frozen=True)
class TissueResult:
    """Results of one trait in the models of one tissue, all (models,).

    Attributes
    ----------
    z, effect_size, var_g : float64, NaN where there is none. n_snps_used : integer. status : `Status`.
    best_gwas_p, largest_weight, effect_se : float64 or None when not asked for.
    """

    z: np.ndarray
    effect_size: np.ndarray
    var_g: np.ndarray
    n_snps_used: np.ndarray
    status: np.ndarray
    best_gwas_p: np.ndarray | None = None
    largest_weight: np.ndarray | None = None
    effect_se: np.ndarray | None = None


def snp_extremes(scorer: Scorer, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest GWAS p and largest absolute weight among the SNPs used by each model.

    Parameters
    ----------
    z : (variants,) z-scores of one trait, NaN where missing.

    Returns
    -------
    best_gwas_p, largest_weight : (models,) float64, NaN for a model that uses no SNP. The p is
        2 Φ(-max |z_l|), from z and not from the file's own p, as the reference has it.
    """
    operator = scorer.operator
    of_snp = np.asarray(z, dtype=np.float64)[operator.variants]
    used = ~np.isnan(of_snp)
    best = _segment_max(np.where(used, np.abs(of_snp), -np.inf), operator.offsets)
    largest = _segment_max(np.where(used, np.abs(operator.weights), -np.inf), operator.offsets)
    none = best == -np.inf
    return np.where(none, np.nan, p_from_z(best)), np.where(none, np.nan, largest)


def _segment_max(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(models,) maximum of each CSR row, -inf for an empty row."""
    result = np.full(offsets.size - 1, -np.inf)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if filled.size:
        result[filled] = np.maximum.reduceat(values, offsets[filled])
    return result


def metaxcan_table(models: pa.Table, result: TissueResult, *, remove_ens_version: bool = False) -> pa.Table:
    """Rows of SPrediXcan.py's csv: one per gene with a SNP in the GWAS, the most significant first.

    Parameters
    ----------
    models : the tissue's rows of a model table, (models,).

    Returns
    -------
    Table with the reference's columns; genes without z come last. Ties keep the order of gene ids. Columns
    best_gwas_p, largest_weight and effect_se are there when the result has them.
    """
    listed = result.status != Status.NO_SNP_IN_GWAS
    z = np.where(listed, result.z, np.nan)
    order = np.argsort(np.where(np.isnan(z), np.inf, -np.abs(z)), kind="stable")
    order = order[listed[order]]
    chosen = models.take(pa.array(order))
    gene = chosen["gene"].cast(pa.string())
    if remove_ens_version:
        gene = pc.replace_substring_regex(gene, r"\..*$", "")
    columns = {
        "gene": gene,
        "gene_name": chosen["gene_name"],
        "zscore": _numbers(result.z[order]),
        "effect_size": _numbers(result.effect_size[order]),
        "pvalue": _numbers(p_from_z(result.z[order])),
        "var_g": _numbers(result.var_g[order]),
        "pred_perf_r2": chosen["pred_perf_r2"],
        "pred_perf_pval": chosen["pred_perf_pval"],
        "pred_perf_qval": chosen["pred_perf_qval"],
        "n_snps_used": pa.array(result.n_snps_used[order].astype(np.int64)),
        "n_snps_in_cov": chosen["n_snps_in_cov"],
        "n_snps_in_model": chosen["n_snps_in_model"],
    }
    for name in ("best_gwas_p", "largest_weight", "effect_se"):
        values = getattr(result, name)
        if values is not None:
            columns[name] = _numbers(values[order])
    return pa.table(columns)


def calibrated(table: pa.Table, models: pa.Table, n: float, h2: float) -> tuple[pa.Table, int]:
    """The table with z and p corrected for inflation, and the number of genes left out for lack of φ.

    The columns phi, uncalibrated_pvalue and uncalibrated_zscore are added, as the reference does; its order
    of rows, by the uncalibrated p, is kept.

    Raises
    ------
    InputError : the models have no φ.
    """
    if "phi" not in models.column_names or models["phi"].null_count == models.num_rows:
        raise InputError(
            "these models have no column phi, which the calibration by --gwas_h2 and --gwas_N needs",
            remedy="Use models that state phi, or leave the two options out.",
        )
    phi_of = dict(zip(_plain_ids(models["gene"]), models["phi"].to_pylist(), strict=True))
    phi_of |= dict(zip(models["gene"].to_pylist(), models["phi"].to_pylist(), strict=True))
    # plain ids as well, for genes may have lost their version in `table`
    phi = np.array([phi_of.get(gene) for gene in table["gene"].to_pylist()], dtype=np.float64)
    known = ~np.isnan(phi)
    kept = table.filter(pa.array(known))
    z = kept["zscore"].fill_null(np.nan).to_numpy()
    new_z = calibrate(z, phi[known], n, h2)
    for name, values in (("zscore", new_z), ("pvalue", p_from_z(new_z))):
        old = kept[name]
        kept = kept.set_column(kept.column_names.index(name), name, _numbers(values))
        kept = kept.append_column(f"uncalibrated_{name}", old)
    kept = kept.append_column("phi", pa.array(np.where(phi[known] < 0, 0.0, phi[known])))
    first = [name for name in kept.column_names if name not in ("phi", *_UNCALIBRATED)]
    return kept.select([*first, "phi", *_UNCALIBRATED]), int((~known).sum())


_UNCALIBRATED = ("uncalibrated_pvalue", "uncalibrated_zscore")


def _plain_ids(genes: pa.ChunkedArray) -> list[str]:
    return pc.replace_substring_regex(genes.cast(pa.string()), r"\..*$", "").to_pylist()


def _numbers(values: np.ndarray) -> pa.Array:
    """float64 with null for NaN."""
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)
