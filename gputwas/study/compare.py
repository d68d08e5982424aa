"""An existing MetaXcan csv against the same run by gputwas, gene by gene, with a reason for each difference.

In: the old csv and the new table of the same GWAS, models and covariance. Out: one row per gene with a
verdict in words, and counts. Nothing is averaged away: a gene agrees within the stated bounds, or is named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError

__all__ = ["RELATIVE_BOUND", "Comparison", "compare_tables"]

RELATIVE_BOUND = 1e-6
_OF_DATABASE = ("pred_perf_r2", "pred_perf_pval", "pred_perf_qval")
_NUMBERS = (
    "zscore", "effect_size", "pvalue", "var_g", "n_snps_used", "n_snps_in_cov", "n_snps_in_model",
    *_OF_DATABASE, "best_gwas_p", "largest_weight",
)  # fmt: skip
SMALLEST_P = 1e-307  # below it a float64 p has lost digits or is 0


@dataclass(frozen=True)
class Comparison:
    """Genes of both results.

    Attributes
    ----------
    table : one row per gene: gene, gene_name, verdict, and old and new value of each compared column.
    counts : verdict -> number of genes, the most frequent first.
    remarks : what is true of the whole file.
    """

    table: pa.Table
    counts: dict[str, int]
    remarks: tuple[str, ...]

    @property
    def n_different(self) -> int:
        """Genes that do not agree."""
        return sum(count for verdict, count in self.counts.items() if verdict != AGREES)


AGREES = "agrees"


def compare_tables(old: pa.Table, new: pa.Table) -> Comparison:
    """Compare two results of SPrediXcan.py's columns.

    Parameters
    ----------
    old, new : tables with gene and any of the numeric columns; columns that one lacks are not compared.

    Raises
    ------
    InputError : a gene stands twice in one of them, or they have no gene in common.
    """
    old, new, remarks = _same_ids(old, new)
    old, new, lacking = _without_empty_columns(old, new)
    joined = _joined(old, new)
    names = [name for name in _NUMBERS if f"old_{name}" in joined.column_names]
    verdicts = _verdicts(joined, names)
    columns = ["gene", "gene_name", *(f"{side}_{name}" for name in names for side in ("old", "new"))]
    table = joined.select([name for name in columns if name in joined.column_names])
    table = table.add_column(1, "verdict", pa.array(verdicts))
    counts = dict(Counter(verdicts).most_common())
    return Comparison(table, counts, tuple(remarks + lacking + _remarks(joined, names)))


def _same_ids(old: pa.Table, new: pa.Table) -> tuple[pa.Table, pa.Table, list[str]]:
    """Both tables with comparable gene ids, without versions if one of them has none."""
    remarks = []
    common = len(set(old["gene"].to_pylist()) & set(new["gene"].to_pylist()))
    if common == 0:
        old, new = (
            table.set_column(
                table.column_names.index("gene"),
                "gene",
                pc.replace_substring_regex(table["gene"].cast(pa.string()), r"\..*$", ""),
            )
            for table in (old, new)
        )
        common = len(set(old["gene"].to_pylist()) & set(new["gene"].to_pylist()))
        if common == 0:
            raise InputError(
                "the two results have no gene in common",
                found=f"{old['gene'][0]} in the old one" if old.num_rows else "an old result without genes",
                expected=f"genes like {new['gene'][0]}" if new.num_rows else "genes, which the new one lacks",
                remedy="Give the database that the old result was made with.",
            )
        remarks.append("genes are matched without their version, which only one of the results has")
    for name, table in (("old", old), ("new", new)):
        if pc.count_distinct(table["gene"]).as_py() < table.num_rows:
            raise InputError(f"a gene stands twice in the {name} result")
    return old, new, remarks


def _without_empty_columns(old: pa.Table, new: pa.Table) -> tuple[pa.Table, pa.Table, list[str]]:
    """Leave out columns without any value in one result: an older program, or a call without effects."""
    empty = {
        side: [
            name
            for name in _NUMBERS
            if name in one.column_names and one.num_rows == one[name].null_count and one.num_rows
            and name in other.column_names and other.num_rows > other[name].null_count
        ]
        for side, one, other in (("old", old, new), ("new", new, old))
    }  # fmt: skip
    remarks = [f"the {side} result has no {', '.join(names)}" for side, names in empty.items() if names]
    gone = [name for names in empty.values() for name in names if name != "zscore"]
    return old.drop_columns(gone), new.drop_columns(gone), remarks


def _joined(old: pa.Table, new: pa.Table) -> pa.Table:
    shared = [name for name in _NUMBERS if name in old.column_names and name in new.column_names]

    def side(table: pa.Table, prefix: str) -> pa.Table:
        columns = {f"{prefix}_{name}": table[name].cast(pa.float64()) for name in shared}
        marker = pa.array(np.ones(table.num_rows, dtype=bool))
        return pa.table({"gene": table["gene"].cast(pa.string()), f"in_{prefix}": marker, **columns})

    joined = side(old, "old").join(side(new, "new"), "gene", join_type="full outer").sort_by("gene")
    named = [table for table in (old, new) if "gene_name" in table.column_names]
    names: dict[str, str] = {}
    for table in named:
        names |= dict(zip(table["gene"].to_pylist(), table["gene_name"].to_pylist(), strict=True))
    if not named:
        return joined
    in_order = [names.get(gene) for gene in joined["gene"].to_pylist()]
    return joined.append_column("gene_name", pa.array(in_order, pa.string()))


def _verdicts(joined: pa.Table, names: list[str]) -> list[str]:
    """A verdict per gene: the first difference in the order in which one causes the next."""
    old = {name: _float(joined[f"old_{name}"]) for name in names}
    new = {name: _float(joined[f"new_{name}"]) for name in names}
    verdict = np.full(joined.num_rows, AGREES, dtype=object)
    database = "what the database says of the gene differs, its scores agree: another release of it"
    rules = [
        *((name, _differs, database) for name in _OF_DATABASE),
        ("best_gwas_p", _p_differs, "the smallest GWAS p differs while the score agrees"),
        ("largest_weight", _differs, "the largest weight differs while the score agrees"),
        ("pvalue", _p_differs, "p differs while z agrees: the old p is not that of its z"),
        ("effect_size", _differs, "effect size differs while z agrees: another scale of beta (odds ratio?)"),
        ("zscore", _differs, "z differs with the same SNPs and variance: GWAS values or duplicates differ"),
        ("zscore", _turned, "z has the opposite sign: effect and other allele were exchanged"),
        ("var_g", _differs, "variance differs with as many SNPs: another covariance or other weights"),
        ("n_snps_in_cov", _differs, "another number of SNPs in the covariance: another covariance file"),
        ("n_snps_used", _differs, "another number of SNPs was used: GWAS rows, alleles or covariance differ"),
        ("n_snps_in_model", _differs, "another number of SNPs in the model: another database"),
    ]
    for name, differs, text in rules:  # later rules are nearer to the cause, so they overwrite
        if name in old:
            verdict[differs(old[name], new[name])] = text
    verdict[_missing(joined, "in_new")] = "only in the old result"
    verdict[_missing(joined, "in_old")] = "only in the new result"
    return verdict.tolist()


def _float(column: pa.ChunkedArray) -> np.ndarray:
    return column.fill_null(np.nan).to_numpy()


def _missing(joined: pa.Table, marker: str) -> np.ndarray:
    return joined[marker].is_null().to_numpy()


def _differs(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return ~np.isclose(old, new, rtol=RELATIVE_BOUND, atol=RELATIVE_BOUND * 1e-3, equal_nan=True)


def _p_differs(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """p agrees on the log scale within what z's bound allows; underflowed values count as equal."""
    tiny = (old < SMALLEST_P) & (new < SMALLEST_P)
    with np.errstate(divide="ignore", invalid="ignore"):
        close = np.isclose(np.log10(old), np.log10(new), rtol=1e-4, atol=1e-4)
    return ~(close | tiny | (np.isnan(old) & np.isnan(new)))


def _turned(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return _differs(old, new) & ~_differs(-old, new)


def _remarks(joined: pa.Table, names: list[str]) -> list[str]:
    """What holds for all genes at once: exchanged alleles, or calibration by one factor."""
    remarks = []
    if "zscore" in names:
        old, new = _float(joined["old_zscore"]), _float(joined["new_zscore"])
        both = ~np.isnan(old) & ~np.isnan(new) & (new != 0) & (old != 0)
        if both.sum() >= 3:
            if _turned(old[both], new[both]).all():
                remarks.append("every z has the opposite sign: the old call named the alleles the other way")
            share = np.abs(old[both]) < np.abs(new[both]) * (1 - RELATIVE_BOUND)
            same_sign = np.sign(old[both]) == np.sign(new[both])
            if share.all() and same_sign.all():
                remarks.append("every old z is nearer to 0: it was probably calibrated by phi (--gwas_h2)")
    return remarks
