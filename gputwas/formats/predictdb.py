"""Prediction models of one tissue in PredictDB's SQLite layout (PredictDB, JTI, mashr releases).

In: a ``.db`` file with the tables ``weights`` and ``extra``. Out: two Arrow tables, one row per gene and one
row per weight, with one spelling of the column names and real numbers where a release stores text. Nothing is
computed and no allele is turned here. `write_models` makes such a file.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.files import atomic_path
from gputwas.formats.sqlite import (
    MISSING_TEXT,
    as_numbers,
    as_text,
    column_names,
    fetch_columns,
    open_read_only,
    table_names,
)
from gputwas.formats.tissue_names import tissue_name

__all__ = ["TissueModels", "read_models", "tissue_name", "write_models"]

log = logging.getLogger(__name__)

# Column of ours -> spellings seen in releases, compared in lower case with dots and underscores alike.
_EXTRA = {
    "gene": ("gene",),
    "gene_name": ("genename", "gene_name"),
    "n_snps_in_model": ("n_snps_in_model", "n_snps"),
    "pred_perf_r2": ("pred_perf_r2",),
    "pred_perf_pval": ("pred_perf_pval",),
    "pred_perf_qval": ("pred_perf_qval",),
    "phi": ("phi",),
}
_GIVE = "Give the .db file of a model release (PredictDB, JTI); other databases do not do."
_WEIGHTS = {
    "gene": ("gene",),
    "weight": ("weight",),
    "effect_allele": ("eff_allele", "effect_allele"),
    "other_allele": ("ref_allele", "other_allele", "non_effect_allele"),
}


@dataclass(frozen=True)
class TissueModels:
    """The prediction models of one tissue, as the file has them.

    Attributes
    ----------
    tissue : name of the tissue.
    path : the file read.
    genes : one row per gene of table ``extra``, ordered by gene id in byte order: gene (string), gene_name
        (string, nullable), n_snps_in_model (int64, nullable: the file's own statement, not a count),
        pred_perf_r2, pred_perf_pval, pred_perf_qval (float64, nullable), phi (float64, nullable; only when
        the database has the column).
    weights : one row per weight in database order: gene, variant_id (string), weight (float64, per copy of
        the effect allele), effect_allele, other_allele (string, upper case).
    left_out : number of weights left out while reading, by reason.
    """

    tissue: str
    path: str
    genes: pa.Table
    weights: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)


def read_models(
    path: str | os.PathLike[str], *, snp_key: str | None = None, tissue: str | None = None
) -> TissueModels:
    """Read a tissue's models.

    Parameters
    ----------
    path : the SQLite file; it is opened read-only.
    snp_key : column of ``weights`` that identifies the SNPs (``rsid`` by default, ``varID`` in mashr
        releases). When it is given and the first id is of build 38 without ``chr``, every id gets that
        prefix, as MetaXcan does, because the covariances of those releases have it.
    tissue : name of the tissue; by default from the file name, see `tissue_name`.

    Returns
    -------
    TissueModels
        Possibly with no gene and no weight: some releases hold a tissue for which nothing was learnt.

    Raises
    ------
    InputError
        If the file is no such database, lacks a table or column, or holds a weight that is not a number.
    """
    name = os.fspath(path)
    with open_read_only(name) as connection:
        tables = table_names(connection)
        for wanted in ("weights", "extra"):
            if wanted not in tables:
                raise InputError(
                    f"the database has no table {wanted!r}",
                    path=name,
                    found="tables " + (", ".join(sorted(tables)) or "(none)"),
                    expected="a PredictDB model with the tables weights and extra",
                    remedy=_GIVE,
                )
        genes = _read_genes(connection, name)
        weights, left_out = _read_weights(connection, name, snp_key)
    return TissueModels(tissue or tissue_name(name), name, genes, weights, left_out)


def write_models(path: str | os.PathLike[str], genes: pa.Table, weights: pa.Table) -> None:
    """Write models in PredictDB's layout; `genes` and `weights` as in `TissueModels`.

    The file has the tables, column names, types and indexes of the GTEx v6p release; ``phi`` is written when
    `genes` has it. Atomic.
    """
    phi = ["phi"] if "phi" in genes.column_names else []
    columns = [
        "gene",
        "gene_name",
        "pred_perf_r2",
        "n_snps_in_model",
        "pred_perf_pval",
        "pred_perf_qval",
        *phi,
    ]
    with atomic_path(path) as temporary, contextlib.closing(sqlite3.connect(temporary)) as connection:
        try:
            _create(connection, with_phi=bool(phi))
            _insert(connection, "extra", genes.select(columns))
            order = ["variant_id", "gene", "weight", "other_allele", "effect_allele"]
            _insert(connection, "weights", weights.select(order))
            connection.commit()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, str(error)) from error
            raise


def _resolve(existing: Sequence[str], spellings: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Map our column names to those of the database, for the columns it has."""
    by_key: dict[str, str] = {}
    for name in existing:
        by_key.setdefault(name.lower().replace(".", "_"), name)
    chosen = {
        ours: next((by_key[s] for s in names if s in by_key), None) for ours, names in spellings.items()
    }
    return {ours: name for ours, name in chosen.items() if name is not None}


def _read_genes(connection: sqlite3.Connection, path: str) -> pa.Table:
    existing = column_names(connection, "extra")
    found = _resolve(existing, _EXTRA)
    if "gene" not in found:
        raise InputError(
            "table extra has no column gene",
            path=path,
            column="gene",
            found="columns " + ", ".join(existing),
            remedy=_GIVE,
        )
    texts = [found[ours] for ours in ("gene", "gene_name") if ours in found]
    fetched = fetch_columns(connection, "extra", list(found.values()), text=texts)
    columns = dict(zip(found, fetched, strict=True))
    gene = as_text(columns["gene"])
    count = len(gene)
    if gene.null_count:
        raise InputError("a row of table extra has no gene id", path=path, column=found["gene"])
    data = {
        "gene": gene,
        "gene_name": as_text(columns["gene_name"]) if "gene_name" in columns else gene,
        "n_snps_in_model": pa.nulls(count, pa.int64()),
        **{
            name: pa.nulls(count, pa.float64())
            for name in ("pred_perf_r2", "pred_perf_pval", "pred_perf_qval")
        },
    }
    for ours, values in columns.items():
        if ours not in ("gene", "gene_name"):
            numbers = _gene_numbers(values, gene, found[ours], path)
            data[ours] = _whole(numbers, gene, found[ours], path) if ours == "n_snps_in_model" else numbers
    table = pa.table(data).sort_by("gene").combine_chunks()
    ordered = table["gene"]
    repeated = pc.filter(ordered[1:], pc.equal(ordered[1:], ordered[:-1])) if count > 1 else ordered[:0]
    if len(repeated):
        raise InputError(
            "a gene is listed twice in table extra", path=path, column="gene", found=repeated[0].as_py()
        )
    return table


def _read_weights(
    connection: sqlite3.Connection, path: str, snp_key: str | None
) -> tuple[pa.Table, dict[str, int]]:
    existing = column_names(connection, "weights")
    found = _resolve(existing, _WEIGHTS)
    for ours, spellings in _WEIGHTS.items():
        if ours not in found:
            raise InputError(
                f"table weights has no column {spellings[0]}",
                path=path,
                found="columns " + ", ".join(existing),
                expected=" or ".join(spellings),
                remedy="Rename the column in the database, or download the release again.",
            )
    found["variant_id"] = _id_column(existing, snp_key, path)
    texts = [name for ours, name in found.items() if ours != "weight"]
    fetched = fetch_columns(connection, "weights", list(found.values()), text=texts)
    columns = dict(zip(found, fetched, strict=True))
    ids = as_text(columns["variant_id"])
    table = pa.table({"gene": as_text(columns["gene"]), "variant_id": _with_chr(ids) if snp_key else ids})
    table = table.append_column("weight", _weights(columns["weight"], table, found["weight"], path))
    for ours in ("effect_allele", "other_allele"):
        table = table.append_column(ours, pc.utf8_upper(as_text(columns[ours])))
    return _without_unusable(table, path)


def _id_column(existing: Sequence[str], snp_key: str | None, path: str) -> str:
    wanted = snp_key or "rsid"
    for name in existing:
        if name.lower() == wanted.lower():
            return name
    remedy = "Name the column that holds the SNP ids (--model-db-snp-key)."
    if snp_key is None and any(name.lower() == "varid" for name in existing):
        remedy = "These models are keyed by varID: pass --model-db-snp-key varID."
    raise InputError(
        f"table weights has no column {wanted!r} for the SNP ids",
        path=path,
        found="columns " + ", ".join(existing),
        remedy=remedy,
    )


def _with_chr(ids: pa.Array) -> pa.Array:
    if not len(ids) or not ids[0].is_valid or "_b38" not in ids[0].as_py() or "chr" in ids[0].as_py():
        return ids
    log.info("the SNP ids get the prefix chr, which the covariances of these models have")
    return pc.binary_join_element_wise("chr", ids, "")


def _without_unusable(table: pa.Table, path: str) -> tuple[pa.Table, dict[str, int]]:
    """Leave out weights that no GWAS row could ever match, and say so."""
    left_out = {}
    for reason, columns in (("no SNP id", ["variant_id"]), ("no allele", ["effect_allele", "other_allele"])):
        empty = [pc.is_in(table[name], pa.array([*MISSING_TEXT, None], pa.string())) for name in columns]
        unusable = empty[0] if len(empty) == 1 else pc.or_(*empty)
        count = pc.sum(unusable).as_py() or 0
        if count:
            log.warning("%s: %d weights with %s are left out", path, count, reason)
            left_out[reason] = count
            table = table.filter(pc.invert(unusable))
    return table.combine_chunks(), left_out


def _gene_numbers(values: Sequence, gene: pa.Array, column: str, path: str) -> pa.Array:
    numbers, bad = as_numbers(values)
    if bad is not None:
        raise InputError(
            f"not a number for gene {gene[bad]} in table extra",
            path=path,
            column=column,
            found=repr(values[bad]),
        )
    return numbers


def _whole(numbers: pa.Array, gene: pa.Array, column: str, path: str) -> pa.Array:
    try:
        return pc.cast(numbers, pa.int64())
    except pa.ArrowInvalid:
        odd = pc.fill_null(pc.not_equal(numbers, pc.floor(numbers)), False)
        row = pc.index(odd, True).as_py()
        raise InputError(
            f"not a whole number for gene {gene[row]} in table extra",
            path=path,
            column=column,
            found=numbers[row],
        ) from None


def _weights(values: Sequence, table: pa.Table, column: str, path: str) -> pa.Array:
    numbers, bad = as_numbers(values)
    if bad is None:
        finite = pc.fill_null(pc.is_finite(numbers), False)
        row = pc.index(finite, False).as_py()
        bad = None if row < 0 else row
    if bad is not None:
        raise InputError(
            f"the weight of gene {table['gene'][bad]}, SNP {table['variant_id'][bad]} is not a finite number",
            path=path,
            column=column,
            found=repr(values[bad]),
            remedy="Correct or delete the row in table weights.",
        )
    return numbers


def _create(connection: sqlite3.Connection, *, with_phi: bool) -> None:
    phi = ', "phi" REAL' if with_phi else ""
    connection.execute(
        'CREATE TABLE extra ("gene" TEXT, "genename" TEXT, "pred.perf.R2" REAL, "n.snps.in.model" INTEGER, '
        f'"pred.perf.pval" REAL, "pred.perf.qval" REAL{phi})'
    )
    connection.execute(
        'CREATE TABLE weights ("rsid" TEXT, "gene" TEXT, "weight" REAL, "ref_allele" TEXT, "eff_allele" TEXT)'
    )
    connection.execute("CREATE INDEX extra_gene ON extra (gene)")
    connection.execute("CREATE INDEX weights_rsid ON weights (rsid)")
    connection.execute("CREATE INDEX weights_gene ON weights (gene)")
    connection.execute("CREATE INDEX weights_rsid_gene ON weights (rsid, gene)")


def _insert(connection: sqlite3.Connection, table: str, rows: pa.Table) -> None:
    values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * rows.num_columns)})", values)
