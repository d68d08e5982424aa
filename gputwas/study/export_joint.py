"""Joint tests as other programs and people read them: one trait as SMulTiXcan.py's table, or all findings.

In: a joint store, and the association store whose z-scores it combines. Out: a table with the reference
program's columns in its order, and a long table of many traits.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError, UsageError
from gputwas.files import atomic_path
from gputwas.formats.tables import check_table_path, write_table
from gputwas.progress import progress
from gputwas.stats.chi2 import chi2_nlog10_sf
from gputwas.stats.normal import p_from_z
from gputwas.stores.associations import AssociationStore
from gputwas.stores.joint import JointPattern, JointStatus, JointStore
from gputwas.twas.multixcan_genes import GeneSet, gene_set
from gputwas.twas.multixcan_sources import ASSOCIATIONS, associations_digest

__all__ = ["SMULTIXCAN_COLUMNS", "export_joint", "export_joint_long", "joint_nlog10_p", "joint_table"]

Path = str | os.PathLike[str]
SMULTIXCAN_COLUMNS = (
    "gene", "gene_name", "pvalue", "n", "n_indep", "p_i_best", "t_i_best", "p_i_worst", "t_i_worst",
    "eigen_max", "eigen_min", "eigen_min_kept", "z_min", "z_max", "z_mean", "z_sd", "tmi", "status",
)  # fmt: skip
LONG = pa.schema(
    [
        ("trait", pa.dictionary(pa.int32(), pa.string())), ("gene", pa.string()), ("gene_name", pa.string()),
        ("statistic", pa.float64()), ("n_indep", pa.int32()), ("n_tissues", pa.int32()),
        ("nlog10_p", pa.float64()), ("acat_nlog10_p", pa.float64()), ("status", pa.int8()),
    ]
)  # fmt: skip


def export_joint(
    path: Path, trait: str, out: Path, *, associations: Path, additional: bool = False
) -> pa.Table:
    """Write one trait as SMulTiXcan.py does, `additional` with nlog10_p and acat_p behind its columns.

    Raises
    ------
    InputError : unknown trait, a store without statistics, or associations that it was not computed from.
    UsageError : the name says no format, see `check_table_path`.
    """
    check_table_path(out)
    table = joint_table(
        JointStore.open(path), AssociationStore.open(associations), trait, additional=additional
    )
    write_table(table, out)
    return table


def joint_nlog10_p(statistic: np.ndarray, n_indep: np.ndarray) -> np.ndarray:
    """-log10 p of joint statistics (genes,), float64; NaN where there is none."""
    known = np.flatnonzero(~np.isnan(statistic))
    result = np.full(len(statistic), np.nan)
    if len(known):
        result[known] = chi2_nlog10_sf(statistic[known].astype(np.float64), n_indep[known].astype(np.int64))
    return result


def joint_table(
    store: JointStore, associations: AssociationStore, trait: str, *, additional: bool = False
) -> pa.Table:
    """The table of `export_joint`: genes of the LD that have a SNP in the GWAS, most significant first.

    p of a gene is 0 with status -4 where it is below the smallest double, as in the reference program; order
    there is by nlog10_p, which has no smallest value.
    """
    if "statistic" not in store.kinds:
        raise InputError(
            "the store holds the Cauchy combination alone",
            path=store.path,
            remedy="Run `gputwas multixcan` with --snp-covariance for S-MultiXcan, or export all findings.",
        )
    _check_associations(store, associations)
    pattern = store.read_pattern(store.pattern_of(trait))
    statistic = store.read_trait(trait).astype(np.float64)
    nlog10_p = joint_nlog10_p(statistic, pattern.n_indep)
    p = _p(statistic, pattern.n_indep)
    status = np.where(p == 0, JointStatus.UNDERFLOW, pattern.status)
    genes = gene_set(store.models)
    of_tissues = _Tissues(store, associations, trait, genes)
    all_z, best = of_tissues.summary(), of_tissues.extremes(pattern)
    tested = pattern.n_tissues > 0
    columns = {
        "gene": store.genes["gene"], "gene_name": store.genes["gene_name"], "pvalue": _numbers(p),
        "n": pa.array(all_z.count, mask=all_z.count == 0),
        "n_indep": pa.array(pattern.n_indep.astype(np.int64), mask=~tested),
        "p_i_best": _numbers(best.p_best), "t_i_best": best.t_best,
        "p_i_worst": _numbers(best.p_worst), "t_i_worst": best.t_worst,
        **{name: _numbers(getattr(pattern, name)) for name in ("eigen_max", "eigen_min", "eigen_min_kept")},
        "z_min": _numbers(all_z.low), "z_max": _numbers(all_z.high), "z_mean": _numbers(all_z.mean),
        "z_sd": _numbers(all_z.sd), "tmi": _numbers(pattern.tmi), "status": pa.array(status.astype(np.int64)),
    }  # fmt: skip
    table = pa.table({name: columns[name] for name in SMULTIXCAN_COLUMNS})
    if additional:
        acat = store.read_trait(trait, "acat").astype(np.float64)
        table = table.append_column("nlog10_p", _numbers(nlog10_p))
        table = table.append_column("acat_p", _numbers(10.0**-acat))
    order = np.lexsort((-nlog10_p, status, p))
    return table.take(pa.array(order[pattern.status[order] != JointStatus.NO_LD])).combine_chunks()


def _p(statistic: np.ndarray, n_indep: np.ndarray) -> np.ndarray:
    from scipy.special import chdtrc

    known = np.flatnonzero(~np.isnan(statistic))
    p = np.full(len(statistic), np.nan)
    p[known] = chdtrc(n_indep[known].astype(np.float64), np.maximum(statistic[known], 0.0))
    return p


def _check_associations(store: JointStore, associations: AssociationStore) -> None:
    if store.manifest.inputs[ASSOCIATIONS]["xxh3_128"] != associations_digest(associations):
        raise InputError(
            f"{store.path} was not computed from these associations",
            path=associations.path,
            remedy="Name the association store that was given to `gputwas multixcan`, or run it again.",
        )


def _numbers(values: np.ndarray) -> pa.Array:
    """float64 with null for NaN."""
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)


@dataclass(frozen=True, eq=False)
class _Summary:
    """z-scores of each gene over all tissues, (genes,): how many, smallest, largest, mean, sd (ddof 1)."""

    count: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True, eq=False)
class _Extremes:
    """Largest and smallest |z| of each gene among the tissues that are tested: p and name of the tissue."""

    p_best: np.ndarray
    t_best: pa.Array
    p_worst: np.ndarray
    t_worst: pa.Array


class _Tissues:
    """One trait's z-scores, gene by gene, a gene's tissues in the order of their names."""

    def __init__(self, store: JointStore, associations: AssociationStore, trait: str, genes: GeneSet) -> None:
        tissues = store.manifest.parameters["tissues"]
        self._names = pa.array(sorted(tissues), pa.string())
        self._n_genes = genes.n_genes
        z = np.concatenate([associations.read_trait(tissue, trait) for tissue in tissues]).astype(np.float64)
        tissue = np.searchsorted(np.array(sorted(tissues)), store.models["tissue"].to_numpy())
        order = np.lexsort((tissue, genes.of_model))
        self._order = order[np.isfinite(z[order])]
        self._z, self._tissue = z[self._order], tissue[self._order]
        self._gene = genes.of_model[self._order]

    def summary(self) -> _Summary:
        count = np.bincount(self._gene, minlength=self._n_genes)
        starts = np.flatnonzero(np.diff(self._gene, prepend=-1))
        low, high, mean, sd = np.full((4, self._n_genes), np.nan)
        if len(starts):
            present = self._gene[starts]
            low[present] = np.minimum.reduceat(self._z, starts)
            high[present] = np.maximum.reduceat(self._z, starts)
            mean[present] = np.add.reduceat(self._z, starts) / count[present]
            squares = np.add.reduceat((self._z - mean[self._gene]) ** 2, starts)
            several = count[present] > 1
            sd[present[several]] = np.sqrt(squares[several] / (count[present][several] - 1))
        return _Summary(count, low, high, mean, sd)

    def extremes(self, pattern: JointPattern) -> _Extremes:
        tested = pattern.tested[self._order]
        gene, tissue, size = self._gene[tested], self._tissue[tested], np.abs(self._z[tested])
        best = self._first(gene, np.lexsort((tissue, -size, gene)))
        worst = self._first(gene, np.lexsort((tissue, size, gene)))
        found = []
        for place in (best, worst):
            known = place >= 0
            p = np.full(self._n_genes, np.nan)
            p[known] = p_from_z(size[place[known]])
            number = np.zeros(self._n_genes, dtype=np.int64)
            number[known] = tissue[place[known]]
            found.append((p, self._names.take(pa.array(number, mask=~known))))
        return _Extremes(*found[0], *found[1])

    def _first(self, gene: np.ndarray, order: np.ndarray) -> np.ndarray:
        """For each gene the first of its entries in an order that sorts by gene, -1 where it has none."""
        place = np.full(self._n_genes, -1, dtype=np.int64)
        place[gene[order[::-1]]] = order[::-1]
        return place


def export_joint_long(
    path: Path, out: Path, *, traits: Sequence[str] | None = None, max_p: float = 1.0
) -> int:
    """Write genes x traits in long form as Parquet, those where a joint p or ACAT's is at most `max_p`.

    With `max_p` 1 genes without a result are written too, with their status. Returns the number of rows.

    Raises
    ------
    UsageError : the name does not end in .parquet, or `max_p` is not in (0, 1].
    InputError : the store is unusable or lacks a trait.
    """
    if not os.fspath(out).endswith(".parquet"):
        raise UsageError(f"{os.fspath(out)}: the long table is written as Parquet; end the name in .parquet")
    if not 0 < max_p <= 1:
        raise UsageError(f"--max-p must be above 0 and at most 1, not {max_p}")
    from pyarrow import parquet

    store = JointStore.open(path)
    for name in traits or ():
        store.locate(name)
    names = [name for name in store.trait_names if not traits or name in set(traits)]
    written = 0
    with (
        atomic_path(out) as temporary,
        progress("export", len(names), "traits") as shown,
        parquet.ParquetWriter(temporary, LONG, compression="zstd") as writer,
    ):
        for chunk in _chunks(names):
            rows = pa.concat_tables([_long_rows(store, name, max_p) for name in chunk]).unify_dictionaries()
            if rows.num_rows:
                writer.write_table(rows, row_group_size=rows.num_rows)
            written += rows.num_rows
            shown.advance(len(chunk))
    return written


def _chunks(names: Sequence[str], size: int = 50) -> Iterator[list[str]]:
    remaining = iter(names)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk


def _long_rows(store: JointStore, trait: str, max_p: float) -> pa.Table:
    pattern = store.read_pattern(store.pattern_of(trait))
    count = store.genes.num_rows
    joint = "statistic" in store.kinds
    statistic = store.read_trait(trait).astype(np.float64) if joint else np.full(count, np.nan)
    acat = store.read_trait(trait, "acat").astype(np.float64)
    nlog10_p = joint_nlog10_p(statistic, pattern.n_indep)
    table = pa.table(
        {
            "trait": pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [trait]),
            "gene": store.genes["gene"].cast(pa.string()),
            "gene_name": store.genes["gene_name"].cast(pa.string()),
            "statistic": _numbers(statistic),
            "n_indep": pa.array(pattern.n_indep),
            "n_tissues": pa.array(pattern.n_tissues),
            "nlog10_p": _numbers(nlog10_p),
            "acat_nlog10_p": _numbers(acat),
            "status": pa.array(pattern.status),
        },
        schema=LONG,
    )
    if max_p == 1:
        return table
    return table.filter(pa.array(np.fmax(nlog10_p, acat) >= -np.log10(max_p)))
