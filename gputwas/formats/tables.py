"""Result tables as files that people open: TSV, CSV (both also gzipped) or Parquet, by the file's name.

In: an Arrow table. Out: one file, whole or not at all.
"""

from __future__ import annotations

import gzip
import os

import pyarrow as pa

from gputwas.errors import UsageError
from gputwas.files import atomic_path, check_target

__all__ = ["TABLE_SUFFIXES", "check_table_path", "write_table"]

TABLE_SUFFIXES = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet")


def check_table_path(path: str | os.PathLike[str]) -> str:
    """The suffix that says which format is wanted; call it before long work.

    Raises
    ------
    UsageError : the name has none of `TABLE_SUFFIXES`.
    InputError : there is no such folder, or it cannot be written to.
    """
    name = os.fspath(path)
    for suffix in sorted(TABLE_SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            check_target(name)
            return suffix
    raise UsageError(f"{name}: the name must end in one of {', '.join(TABLE_SUFFIXES)}")


def write_table(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table in the format of its name; in text missing values are NA and numbers keep all digits.

    Parquet has column statistics and zstd, so DuckDB, pandas, polars and R read only what they need of it.

    Raises
    ------
    UsageError : the name has none of `TABLE_SUFFIXES`.
    InputError, ResourceError : the folder cannot be written to, or the disk is full.
    """
    suffix = check_table_path(path)
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, temporary, compression="zstd", write_statistics=True)
        else:
            _write_text(table, temporary, suffix)


def _write_text(table: pa.Table, path: str, suffix: str) -> None:
    import pandas as pd

    # Nullable integers stay integers where a value is missing.
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get)
    separator = "," if suffix.startswith(".csv") else "\t"
    text = frame.to_csv(sep=separator, index=False, na_rep="NA", lineterminator="\n").encode()
    with open(path, "wb") as file:  # gzip without a time: the same table is the same bytes
        file.write(gzip.compress(text, mtime=0) if suffix.endswith(".gz") else text)
