"""The joint test of every gene over its tissues, and the table in which SMulTiXcan.py reports it.

In: genes with their z-scores and the correlation of their tissues. Out: columns of the reference, and its
tab-separated file. Genes with equally many tissues are decomposed together.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from gputwas.files import atomic_path
from gputwas.stats.normal import p_from_z
from gputwas.stats.truncated import Cutoff, joint_statistic, truncate
from gputwas.study.dropin_multixcan_genes import GeneTissues

__all__ = ["COLUMNS", "JointStatus", "joint_table", "write_joint_table"]

COLUMNS = (
    "gene", "gene_name", "pvalue", "n", "n_indep", "p_i_best", "t_i_best", "p_i_worst", "t_i_worst",
    "eigen_max", "eigen_min", "eigen_min_kept", "z_min", "z_max", "z_mean", "z_sd", "tmi", "status",
)  # fmt: skip
_TEXT = ("gene", "gene_name", "t_i_best", "t_i_worst")
_WHOLE = ("n", "n_indep", "status")


class JointStatus(enum.IntEnum):
    """Status codes of the reference (software/metax/cross_model/JointAnalysis.py) that can occur."""

    OK = 0
    NO_METAXCAN_RESULTS = -2
    NO_PRODUCT = -3
    INSUFFICIENT_NUMERICAL_RESOLUTION = -4
    INVERSE_ERROR = -6


def joint_table(
    genes: Sequence[GeneTissues],
    names: Sequence[str | None],
    tissues: Sequence[str],
    cutoff: Cutoff,
    regularization: float,
) -> pa.Table:
    """The reference's table, sorted by p, then status, as it is; genes of equal p stay in the order given.

    Parameters
    ----------
    names : names of the genes. tissues : names of the tissues, which `GeneTissues` numbers.

    Returns
    -------
    `COLUMNS`; null where a gene has no such number. p is 0 where it underflows, with status -4.
    """
    numbers = {name: np.full(len(genes), np.nan) for name in COLUMNS if name not in _TEXT}
    numbers["status"][:] = JointStatus.NO_METAXCAN_RESULTS
    places = {"t_i_best": np.full(len(genes), -1), "t_i_worst": np.full(len(genes), -1)}
    _describe(genes, numbers)
    _test(genes, numbers, places, cutoff, regularization)
    order = np.lexsort((numbers["status"], numbers["pvalue"]))  # NaN last
    columns: dict[str, pa.Array] = {
        "gene": pa.array([genes[i].gene for i in order], pa.string()),
        "gene_name": pa.array([names[i] for i in order], pa.string()),
    }
    for column, place in places.items():
        columns[column] = pa.array([tissues[i] if i >= 0 else None for i in place[order]], pa.string())
    for column, values in numbers.items():
        array = pa.array(values[order], pa.float64(), from_pandas=True)  # NaN is null
        columns[column] = array.cast(pa.int64()) if column in _WHOLE else array
    return pa.table({name: columns[name] for name in COLUMNS})


def _by_size(sizes: np.ndarray) -> Iterable[tuple[int, np.ndarray]]:
    """Every size above 0, and the genes that have it."""
    for size in np.unique(sizes[sizes > 0]).tolist():
        yield size, np.flatnonzero(sizes == size)


def _describe(genes: Sequence[GeneTissues], numbers: dict[str, np.ndarray]) -> None:
    """What is told of all z of a gene, tested or not."""
    if not genes:
        return
    z = np.stack([gene.z for gene in genes])
    finite = np.isfinite(z)
    for size, rows in _by_size(finite.sum(axis=1)):
        own = z[rows][finite[rows]].reshape(len(rows), size)
        numbers["n"][rows] = size
        numbers["z_min"][rows], numbers["z_max"][rows] = own.min(axis=1), own.max(axis=1)
        numbers["z_mean"][rows] = own.mean(axis=1)
        if size > 1:
            numbers["z_sd"][rows] = own.std(axis=1, ddof=1)
        numbers["status"][rows] = JointStatus.NO_PRODUCT


def _test(
    genes: Sequence[GeneTissues],
    numbers: dict[str, np.ndarray],
    places: dict[str, np.ndarray],
    cutoff: Cutoff,
    regularization: float,
) -> None:
    from scipy.special import chdtrc

    for _, rows in _by_size(np.array([len(gene.tested) for gene in genes], np.int64)):
        tested = np.stack([genes[i].tested for i in rows])
        z = np.stack([genes[i].z[genes[i].tested] for i in rows])
        inverse = truncate(np.stack([genes[i].correlation for i in rows]), cutoff, regularization)
        for column in ("n_indep", "eigen_max", "eigen_min", "eigen_min_kept", "tmi"):
            numbers[column][rows] = getattr(inverse, column)
        for word, place in (("best", np.abs(z).argmax(axis=1)), ("worst", np.abs(z).argmin(axis=1))):
            first = np.arange(len(rows))
            numbers[f"p_i_{word}"][rows] = p_from_z(z[first, place])
            places[f"t_i_{word}"][rows] = tested[first, place]
        statistic = joint_statistic(inverse, z[:, :, None])[:, 0]
        # below 0 only if the correlation is none: its tail there is the whole
        p = chdtrc(inverse.n_indep, np.maximum(statistic, 0.0))
        status = np.where(p == 0, JointStatus.INSUFFICIENT_NUMERICAL_RESOLUTION, JointStatus.OK)
        no_inverse = inverse.eigen_max == 0
        numbers["pvalue"][rows] = np.where(no_inverse, np.nan, p)
        numbers["status"][rows] = np.where(no_inverse, JointStatus.INVERSE_ERROR, status)
        numbers["tmi"][rows[no_inverse]] = np.nan


def write_joint_table(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write the table as the reference does. Atomic.

    Missing is NA, numbers are the shortest text that reads back to the same double, and counts of which any
    is missing print as 22.0.
    """
    columns = [_cells(table[name]) for name in COLUMNS]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        stream.write("\t".join(COLUMNS) + "\n")
        stream.writelines("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def _cells(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_integer(column.type) and column.null_count:
        column = column.cast(pa.float64())
    return ["NA" if value is None else str(value) for value in column.to_pylist()]
