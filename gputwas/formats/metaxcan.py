"""The csv of SPrediXcan.py: gene-level associations of one trait in one tissue.

In: an Arrow table of associations, or such a csv. Out: the csv as MetaXcan 0.7 writes it, character by
character for equal numbers, or the table. Older column names and the calibrated output are read too.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gputwas.errors import InputError
from gputwas.files import atomic_path
from gputwas.formats.sumstats.inflate import blocks, compression_of

__all__ = [
    "ADDITIONAL_COLUMNS",
    "CALIBRATION_COLUMNS",
    "COLUMNS",
    "read_associations",
    "write_associations",
]

COLUMNS = (
    "gene", "gene_name", "zscore", "effect_size", "pvalue", "var_g", "pred_perf_r2", "pred_perf_pval",
    "pred_perf_qval", "n_snps_used", "n_snps_in_cov", "n_snps_in_model",
)  # fmt: skip
ADDITIONAL_COLUMNS = ("best_gwas_p", "largest_weight")  # with --additional_output
CALIBRATION_COLUMNS = ("phi", "uncalibrated_pvalue", "uncalibrated_zscore")  # with --gwas_h2 and --gwas_N

_TEXT = ("gene", "gene_name")
_WHOLE = ("n_snps_used", "n_snps_in_cov", "n_snps_in_model")
_OLD_NAMES = {"VAR_g": "var_g", "pred_perf_R2": "pred_perf_r2", "pred_perf_p": "pred_perf_pval",
              "pred_perf_q": "pred_perf_qval"}  # fmt: skip
_NEEDS_QUOTES = re.compile('[,"\\r\\n]')
_MISSING = ["NA", "", "NaN", "nan", "NULL", "None"]


def _type(name: str) -> pa.DataType:
    return pa.string() if name in _TEXT else pa.int64() if name in _WHOLE else pa.float64()


def read_associations(path: str | os.PathLike[str]) -> pa.Table:
    """Read a csv of SPrediXcan.py, compressed or not.

    Returns
    -------
    Table (genes,) in file order: all of `COLUMNS` (null where the file lacks one; only gene and zscore must
    be there), then what else the file has. Counts are int64 even where the file prints ``22.0``; NA is null.

    Raises
    ------
    InputError
        If the file is no such csv, or a cell is not what its column holds.
    """
    name = os.fspath(path)
    text = b"".join(block.data.tobytes() for block in blocks(name, compression_of(name)))
    names = _header(text, name)
    table = _parse(text, names, name)
    order = [*COLUMNS, *(column for column in names if column not in COLUMNS)]
    columns = []
    for column in order:
        values = table[column] if column in names else pa.nulls(table.num_rows, _type(column))
        columns.append(_whole(values, column, name) if column in _WHOLE else values)
    if table["gene"].null_count:
        raise InputError("a row has no gene", path=name, column="gene")
    return pa.table(columns, names=order)


def write_associations(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write associations as SPrediXcan.py does, in the order of the rows given. Atomic.

    Floats are the shortest text that reads back to the same double; null and NaN are ``NA``; a count that is
    missing in any row makes its whole column print as ``22.0``, as in the reference.

    Parameters
    ----------
    table : `COLUMNS` in any order, and any of `ADDITIONAL_COLUMNS`, `CALIBRATION_COLUMNS` and other columns,
        which follow in this order.
    """
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise ValueError(f"the table of associations lacks {', '.join(lacking)}")
    known = (*COLUMNS, *ADDITIONAL_COLUMNS, *CALIBRATION_COLUMNS)
    order = [name for name in known if name in table.column_names]
    order += [name for name in table.column_names if name not in known]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(map(_quoted, order)) + "\n")
        stream.writelines(
            ",".join(row) + "\n" for row in zip(*(_cells(table[n]) for n in order), strict=True)
        )


def _cells(column: pa.ChunkedArray) -> Iterable[str]:
    if pa.types.is_integer(column.type) and column.null_count:
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        # null becomes NaN here; only NaN is spelt nan
        return ["NA" if text == "nan" else text for text in map(repr, column.to_numpy().tolist())]
    if pa.types.is_integer(column.type):
        return map(str, column.to_numpy().tolist())
    return ["NA" if value is None else _quoted(str(value)) for value in column.to_pylist()]


def _quoted(text: str) -> str:
    """Quote a cell only if csv needs it."""
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _header(text: bytes, path: str) -> list[str]:
    line = text[: text.find(b"\n")].decode("utf-8-sig", "replace").rstrip("\r")
    names = [_OLD_NAMES.get(name, name) for name in next(csv.reader(io.StringIO(line)), [])]
    for wanted in ("gene", "zscore"):
        if wanted not in names:
            raise InputError(
                f"not a result of SPrediXcan, it has no column {wanted}",
                path=path,
                line=1,
                found=repr(line[:120]),
                expected=",".join(COLUMNS[:5]) + ",...",
            )
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise InputError("a column is there twice", path=path, line=1, column=twice[0])
    return names


def _parse(text: bytes, names: list[str], path: str) -> pa.Table:
    known = {*COLUMNS, *ADDITIONAL_COLUMNS, *CALIBRATION_COLUMNS}
    types = {name: pa.float64() if name in _WHOLE else _type(name) for name in names if name in known}
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(text),
            # one thread: only then do errors tell their row
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, null_values=_MISSING, strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        row = re.search(r"Row #(\d+): ", str(error))
        raise InputError(
            "a row cannot be read",
            path=path,
            line=int(row[1]) if row else None,
            found=str(error).split(": ", 2)[-1] if row else str(error),
        ) from None


def _whole(values: pa.ChunkedArray, column: str, path: str) -> pa.ChunkedArray:
    try:
        return pc.cast(values, pa.int64())
    except pa.ArrowInvalid:
        raise InputError("a count is not a whole number", path=path, column=column) from None
