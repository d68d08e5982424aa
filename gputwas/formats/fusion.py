"""FUSION's prediction models: the list of a panel's genes (``.pos``) and one ``.wgt.RDat`` file per gene.

In: a list, or a file that R's `save()` wrote. Out: a table of genes, or the SNPs, weights and
cross-validation of one gene. Nothing is chosen and no allele is turned here.

The files hold what FUSION.compute_weights.R saves (its last lines): ``wgt.matrix`` (SNPs x models, per
standardised genotype), ``snps`` (the six columns of a PLINK .bim, of which FUSION reads the second, fifth and
sixth by their place), ``cv.performance`` (rows ``rsq`` and ``pval``, the same models), ``hsq``, ``hsq.pv``
and ``N.tot``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.formats.r_objects import attributes, elements, first_number, load_objects, numbers, texts
from gputwas.formats.sumstats.values import chromosomes

__all__ = ["FusionWeights", "read_pos", "read_wgt"]

_MISSING = ("NA", "NaN", "nan", "")
_GIVE_POS = "Give FUSION's list of weights (.pos): a header with WGT, ID, CHR, P0, P1 and perhaps PANEL, N."
_GIVE_WGT = "Give a .wgt.RDat file that FUSION.compute_weights.R wrote."
_POS_COLUMNS = {
    "panel": pa.string(), "wgt": pa.string(), "id": pa.string(), "chr": pa.string(), "p0": pa.int64(),
    "p1": pa.int64(), "n": pa.float64(),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """The models of one gene.

    Attributes
    ----------
    path : the file.
    variant_id, effect_allele, other_allele : string (snps,), nullable, alleles in upper case; a weight is of
        the effect allele (A1, the fifth column of a .bim).
    models : names of the prediction models: blup, bslmm, lasso, enet, top1 ...
    weights : float64 (snps, models): per standard deviation of the genotype; 0 where the file says NA, as
        FUSION has it (FUSION.assoc_test.R:186). Of top1 these are marginal z, one for every SNP.
    r2, pval : float64 (models,): cross-validated R2 (adjusted, so it may be negative) and its p; NaN where
        there is none. Of several rows pval the least counts (FUSION.assoc_test.R:219), of rsq the first.
    hsq, hsq_pval, n : cis-heritability, its p and the samples of the training; NaN where the file has none.
    """

    path: str
    variant_id: pa.Array
    effect_allele: pa.Array
    other_allele: pa.Array
    models: tuple[str, ...]
    weights: np.ndarray
    r2: np.ndarray
    pval: np.ndarray
    hsq: float
    hsq_pval: float
    n: float


def read_pos(path: str | os.PathLike[str]) -> pa.Table:
    """Read a list of weight files, as `read.table(header=TRUE)` does.

    Cells are apart by blanks or tabs. Rows may begin with their number, of which the header says nothing, as
    `write.table` writes them.

    Returns
    -------
    Table (genes,): line (int64, 1-based, of the file), panel, wgt, id, chr (string: 1 ... 22, X), p0, p1
        (int64), n (float64); columns that the file lacks, and NA, are null. wgt, id and chr are never null.

    Raises
    ------
    InputError
        If the file cannot be read, has no column WGT, ID or CHR, no row, or a row of another length or with a
        position that is no number.
    """
    name = os.fspath(path)
    lines = _lines(name)
    number, header = next(lines, (1, []))
    keys = [cell.lower() for cell in header]
    for wanted in ("wgt", "id", "chr"):
        if wanted not in keys:
            found = "columns " + ", ".join(header[:10]) if header else "an empty file"
            raise InputError(f"no column {wanted.upper()}", path=name, found=found, remedy=_GIVE_POS)
    columns: dict[str, list[Any]] = {key: [] for key in _POS_COLUMNS}
    seen: list[int] = []
    for number, cells in lines:
        if not seen and len(cells) == len(header) + 1 and cells[0].isdigit():
            keys = ["", *keys]
        if len(cells) != len(keys):
            raise InputError(
                "a row of another length than the header",
                path=name,
                line=number,
                found=f"{len(cells)} cells",
                expected=f"{len(keys)}",
                remedy="Cells must hold no blanks; write NA where there is no value.",
            )
        row = dict(zip(keys, cells, strict=True))
        seen.append(number)
        for key, values in columns.items():
            values.append(_pos_cell(key, row.get(key), name, number))
    if not seen:
        raise InputError("lists no weights", path=name, remedy=_GIVE_POS)
    arrays = {key: pa.array(values, _POS_COLUMNS[key]) for key, values in columns.items()}
    arrays["chr"] = chromosomes(arrays["chr"])
    return pa.table({"line": pa.array(seen, pa.int64()), **arrays})


def _lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of the lines that are not empty."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                cells = [cell.strip("\"'") for cell in line.split()]
                if cells:
                    yield number, cells
    except FileNotFoundError as error:
        raise InputError("there is no such list of weights", path=path, remedy="Check the path.") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy=_GIVE_POS) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file", path=path, remedy=_GIVE_POS) from error


def _pos_cell(key: str, text: str | None, path: str, line: int) -> str | int | float | None:
    if text is None or text in _MISSING:
        if key in ("wgt", "id", "chr"):
            raise InputError(
                "a row without a value", path=path, line=line, column=key.upper(), remedy=_GIVE_POS
            )
        return None
    if key in ("panel", "wgt", "id", "chr"):
        return text
    try:
        value = float(text)  # R writes 1000000 as 1e+06
        if key == "n":
            return value
        pa.scalar(int(value), _POS_COLUMNS[key])  # refuses what the column cannot hold
        return int(value)
    except (ValueError, OverflowError):
        raise InputError("not a number", path=path, line=line, column=key.upper(), found=repr(text)) from None


def read_wgt(path: str | os.PathLike[str]) -> FusionWeights:
    """Read the weights of one gene.

    Raises
    ------
    InputError
        If the file is no RData file, or does not hold what FUSION saves.
    ResourceError
        If `rdata` is not installed.
    """
    name = os.fspath(path)
    objects = load_objects(name, "weight file", _GIVE_WGT)
    for wanted in ("wgt.matrix", "snps", "cv.performance"):
        if wanted not in objects:
            raise _unknown(name, f"holds no object {wanted}", ", ".join(objects) or "no object")
    weights, models = _matrix(objects["wgt.matrix"], "wgt.matrix", name)
    if np.isinf(weights).any():
        raise _unknown(name, "wgt.matrix holds infinite values")
    performance, cv_models, rows = _performance(objects["cv.performance"], name)
    if models != cv_models:
        raise _unknown(
            name, "wgt.matrix and cv.performance are of different models",
            f"{', '.join(models)} and {', '.join(cv_models)}",
        )  # fmt: skip
    ids, effect, other = _snps(objects["snps"], len(weights), name)
    with np.errstate(invalid="ignore"):
        pval = np.fmin.reduce(performance[rows["pval"]], axis=0)
    hsq, hsq_pval, n = (first_number(objects.get(key)) for key in ("hsq", "hsq.pv", "N.tot"))
    return FusionWeights(
        path=name,
        variant_id=pa.array(ids, pa.string()),
        effect_allele=pa.array([a and a.upper() for a in effect], pa.string()),
        other_allele=pa.array([a and a.upper() for a in other], pa.string()),
        models=models,
        weights=np.where(np.isnan(weights), 0.0, weights),
        r2=performance[rows["rsq"][0]],
        pval=pval,
        hsq=hsq,
        hsq_pval=hsq_pval,
        n=n,
    )


def _unknown(path: str, problem: str, found: str | None = None) -> InputError:
    return InputError(
        f"RData of unknown structure: {problem}",
        path=path,
        found=found,
        expected="wgt.matrix, snps, cv.performance as FUSION.compute_weights.R saves them",
        remedy=_GIVE_WGT,
    )


def _matrix(item: Any, what: str, path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values (rows, columns) and the names of the columns."""
    values, dim = numbers(item), numbers(attributes(item).get("dim"))
    if values is None or dim is None or len(dim) != 2 or len(values) != int(dim[0]) * int(dim[1]):
        raise _unknown(path, f"{what} is no matrix of numbers")
    columns = _dimnames(item)[1]
    if not columns:
        raise _unknown(path, f"the columns of {what} have no names")
    return values.reshape(int(dim[0]), int(dim[1]), order="F"), tuple(str(column) for column in columns)


def _dimnames(item: Any) -> tuple[list[str | None], list[str | None]]:
    """Names of the rows and of the columns; empty where there are none."""
    names = elements(attributes(item).get("dimnames")) or [None, None]
    return texts(names[0]) or [], texts(names[1]) or []


def _performance(item: Any, path: str) -> tuple[np.ndarray, tuple[str, ...], dict[str, list[int]]]:
    """Values of cv.performance, its models, and which rows are rsq and which pval."""
    values, models = _matrix(item, "cv.performance", path)
    names = _dimnames(item)[0]
    # FUSION.assoc_test.R:205-207 looks for the words anywhere in a row's name
    rows = {word: [i for i, name in enumerate(names) if word in (name or "")] for word in ("rsq", "pval")}
    for word, found in rows.items():
        if not found:
            raise _unknown(path, f"cv.performance has no row {word}", f"rows {', '.join(map(str, names))}")
    return values, models, rows


def _snps(item: Any, n_weights: int, path: str) -> tuple[list[str | None], ...]:
    """Identifier, effect and other allele: columns 2, 5 and 6 of a .bim."""
    columns = elements(item)
    if columns is None or len(columns) < 6:
        raise _unknown(path, "snps is no table with the six columns of a .bim")
    read = [texts(columns[place]) for place in (1, 4, 5)]
    known = [column for column in read if column is not None]
    if len(known) < len(read):
        raise _unknown(path, "identifiers or alleles in snps are no text")
    for column in known:
        if len(column) != n_weights:
            raise _unknown(path, f"snps has {len(column)} rows, wgt.matrix {n_weights}")
    return tuple(known)
