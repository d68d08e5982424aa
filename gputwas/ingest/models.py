"""Prediction models: from databases and covariance files to a model store.

In: PredictDB databases, covariance files or folders, perhaps a table of gene positions. Out: a store that all
later work maps into memory, and an account of every tissue.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import time
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv

from gputwas.errors import InputError
from gputwas.formats.covariance import Covariances, read_covariances
from gputwas.formats.predictdb import TissueModels, read_models
from gputwas.formats.triangles import Triangles, read_triangles
from gputwas.ingest.models_pack import CovarianceSource, Packing, pack_models
from gputwas.ingest.models_pairs import ModelFiles, PathLike, find_databases, pair_files, without_covariances
from gputwas.ingest.models_report import ImportReport, TissueReport, report_of_store
from gputwas.progress import progress
from gputwas.stores.hashing import describe_inputs
from gputwas.stores.models import (
    models_store_is_current,
    read_models_store,
    write_models_store,
)

__all__ = ["ImportReport", "Packing", "TissueReport", "import_models", "pack_models", "read_gene_table"]

log = logging.getLogger(__name__)

_GENE_TABLE = "It has tab-separated columns gene, chromosome, start, end and perhaps gene_name."


def import_models(
    models: PathLike | Sequence[PathLike],
    covariances: PathLike | Sequence[PathLike] | None,
    out: PathLike,
    *,
    snp_key: str | None = None,
    gene_table: PathLike | pa.Table | None = None,
    allow_missing_ld: bool = False,
    single_snp_model: bool = False,
    overwrite: bool = False,
) -> ImportReport:
    """Import the models of any number of tissues into a store.

    A store at `out` that is complete from the same files and options is left as it is.

    Parameters
    ----------
    models : databases, or folders of them.
    covariances : covariance files, folders of them, or None for the folders of the databases; paired by
        tissue, see `pair_files`. Not looked at with `single_snp_model`.
    out : folder of the store.
    snp_key : column of the databases that identifies SNPs, see `read_models`.
    gene_table : gene positions, a table or a file for `read_gene_table`.
    allow_missing_ld, single_snp_model : see `pack_models`.
    overwrite : replace a store made from other files or options.

    Raises
    ------
    InputError
        For unusable files, a missing covariance, two tissues of one name, or a store from other inputs.
    ResourceError
        If the disk is full.
    """
    started = time.monotonic()
    files = _files(models, covariances, single_snp_model)
    inputs = describe_inputs(_input_paths(files, gene_table))
    parameters = {
        "tissues": [pair.tissue for pair in files],
        "snp_key": snp_key,
        "allow_missing_ld": allow_missing_ld,
        "single_snp_model": single_snp_model,
    }
    if isinstance(gene_table, pa.Table):
        # a table has no file whose digest would tell that it changed, so the store is always made anew
        overwrite_anyway, genes = True, gene_table
    else:
        overwrite_anyway, genes = False, None if gene_table is None else read_gene_table(gene_table)
        if not overwrite and models_store_is_current(out, inputs=inputs, parameters=parameters):
            log.info("%s: the store is complete from the same files", os.fspath(out))
            return report_of_store(read_models_store(out), time.monotonic() - started)
    sources = _read_all(files, snp_key)
    model_set, report = pack_models(
        sources, allow_missing_ld=allow_missing_ld, single_snp_model=single_snp_model, gene_table=genes
    )
    write_models_store(
        out, model_set, inputs=inputs, parameters=parameters, overwrite=overwrite or overwrite_anyway
    )
    return ImportReport(report.tissues, report.variants, report.warnings, time.monotonic() - started)


def read_gene_table(path: PathLike) -> pa.Table:
    """Read gene positions: a tab-separated file with a header, plain or gzip.

    Returns
    -------
    Table (genes,): gene, chromosome (string), start, end (int64, base pairs) and gene_name where the file has
    it.

    Raises
    ------
    InputError
        If a column is absent or a position is no whole number.
    """
    name = os.fspath(path)
    types = {"gene": pa.string(), "gene_name": pa.string(), "chromosome": pa.string(), "start": pa.int64(),
             "end": pa.int64()}  # fmt: skip
    try:
        table = pyarrow.csv.read_csv(
            name,
            read_options=pyarrow.csv.ReadOptions(use_threads=False),  # only then do errors tell their row
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be opened"
        problem = f"cannot read the gene table, it {reason}"
        raise InputError(problem, path=name, remedy="Check the path.") from error
    except pa.ArrowInvalid as error:
        row = re.search(r"Row #(\d+): ", str(error))
        raise InputError(
            "cannot read the gene table",
            path=name,
            line=int(row[1]) if row else None,
            found=str(error).split(": ", 2)[-1] if row else str(error),
            expected="whole numbers as start and end",
            remedy=_GENE_TABLE,
        ) from None
    for wanted in ("gene", "chromosome", "start", "end"):
        if wanted not in table.column_names:
            raise InputError(
                f"the gene table has no column {wanted}",
                path=name,
                found="columns " + ", ".join(table.column_names),
                remedy=_GENE_TABLE,
            )
    return table.select([column for column in types if column in table.column_names])


def _files(
    models: PathLike | Sequence[PathLike],
    covariances: PathLike | Sequence[PathLike] | None,
    single_snp_model: bool,
) -> list[ModelFiles]:
    databases = find_databases(models)
    return without_covariances(databases) if single_snp_model else pair_files(databases, covariances)


def _input_paths(files: Sequence[ModelFiles], gene_table: PathLike | pa.Table | None) -> list[PathLike]:
    paths: list[PathLike] = [pair.database for pair in files]
    paths += [pair.covariance for pair in files if pair.covariance is not None]
    if gene_table is not None and not isinstance(gene_table, pa.Table):
        paths.append(gene_table)
    return paths


def _read_all(
    files: Sequence[ModelFiles], snp_key: str | None
) -> list[tuple[TissueModels, CovarianceSource]]:
    """All databases at once, for the panel needs them all; covariances are read when their turn comes."""
    sources: list[tuple[TissueModels, CovarianceSource]] = []
    with progress("Databases", len(files), "tissues") as shown:
        for pair in files:
            read = None if pair.covariance is None else functools.partial(_read_covariances, pair.covariance)
            sources.append((read_models(pair.database, snp_key=snp_key, tissue=pair.tissue), read))
            shown.advance()
    return sources


def _read_covariances(path: PathLike) -> Covariances | Triangles:
    """Covariances by the fast way where the file allows it."""
    triangles = read_triangles(path)
    return read_covariances(path) if triangles is None else triangles
