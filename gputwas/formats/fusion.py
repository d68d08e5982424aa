"""FUSION's prediction models: the list of a panel's genes (``.pos``) and one ``.wgt.RDat`` file per gene.

In: a list, or a file that R's `save()` wrote. Out: a table of genes, or the SNPs, weights and
cross-validation of one gene. Nothing is chosen and no allele is turned here.

The files hold what FUSION.compute_weights.R saves (its last lines): ``wgt.matrix`` (SNPs x models, per
standardised genotype), ``snps`` (the six columns of a PLINK .bim, of which FUSION reads the second, fifth and
sixth by their place), ``cv.performance`` (rows ``rsq`` and ``pval``, the same models), ``hsq``, ``hsq.pv``
and ``N.tot``.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError, ResourceError
from gputwas.formats.sumstats.values import chromosomes

__all__ = ["FusionWeights", "read_pos", "read_wgt"]

_INSTALL = "pip install 'gputwas[fusion]'"
_MISSING = ("NA", "NaN", "nan", "")
_GIVE_POS = "Give FUSION's list of weights (.pos): a header with WGT, ID, CHR, P0, P1 and perhaps PANEL, N."
_GIVE_WGT = "Give a .wgt.RDat file that FUSION.compute_weights.R wrote."
_MAGIC = (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"RDB2\n", b"RDB3\n")
_RDS = (b"X\n", b"A\n", b"B\n")
_COMPRESSED = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
)
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
    """Read a list of weight files, as `read.table(header=TRUE)` does: cells apart by blanks or tabs.

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
    numbers = []
    for number, cells in lines:
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
        numbers.append(number)
        for key, values in columns.items():
            values.append(_pos_cell(key, row.get(key), name, number))
    if not numbers:
        raise InputError("lists no weights", path=name, remedy=_GIVE_POS)
    arrays = {key: pa.array(values, _POS_COLUMNS[key]) for key, values in columns.items()}
    arrays["chr"] = chromosomes(arrays["chr"])
    return pa.table({"line": pa.array(numbers, pa.int64()), **arrays})


def _lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of the lines that are not empty."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                cells = [cell.strip("\"'") for cell in line.split()]
                if cells:
                    yield number, cells
    except FileNotFoundError as error:
        raise InputError("there is no such list of weights", path=path, remedy="Check the path.") from error
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
        return value if key == "n" else int(value)
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
    objects = _load(name)
    for wanted in ("wgt.matrix", "snps", "cv.performance"):
        if wanted not in objects:
            raise _unknown(name, f"holds no object {wanted}", ", ".join(objects) or "no object")
    weights, models = _matrix(objects["wgt.matrix"], "wgt.matrix", name)
    performance, cv_models, rows = _performance(objects["cv.performance"], name)
    if models != cv_models:
        raise _unknown(
            name, "wgt.matrix and cv.performance are of different models",
            f"{', '.join(models)} and {', '.join(cv_models)}",
        )  # fmt: skip
    ids, effect, other = _snps(objects["snps"], len(weights), name)
    with np.errstate(invalid="ignore"):
        pval = np.fmin.reduce(performance[rows["pval"]], axis=0)
    hsq, hsq_pval, n = (_first_number(objects.get(key)) for key in ("hsq", "hsq.pv", "N.tot"))
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
    values, attributes = _numbers(item), _attributes(item)
    dim = _numbers(attributes.get("dim"))
    if values is None or dim is None or len(dim) != 2 or len(values) != int(dim[0]) * int(dim[1]):
        raise _unknown(path, f"{what} is no matrix of numbers")
    names = attributes.get("dimnames")
    columns = _texts(names.value[1]) if names is not None and len(names.value or ()) == 2 else None
    if not columns:
        raise _unknown(path, f"the columns of {what} have no names")
    matrix = values.reshape(int(dim[0]), int(dim[1]), order="F")
    if np.isinf(matrix).any():
        raise _unknown(path, f"{what} holds infinite values")
    return matrix, tuple(str(column) for column in columns)


def _performance(item: Any, path: str) -> tuple[np.ndarray, tuple[str, ...], dict[str, list[int]]]:
    """Values of cv.performance, its models, and which rows are rsq and which pval."""
    values, models = _matrix(item, "cv.performance", path)
    names = _texts(_attributes(item)["dimnames"].value[0]) or []
    # FUSION.assoc_test.R:205-207 looks for the words anywhere in a row's name
    rows = {word: [i for i, name in enumerate(names) if word in (name or "")] for word in ("rsq", "pval")}
    for word, found in rows.items():
        if not found:
            raise _unknown(path, f"cv.performance has no row {word}", f"rows {', '.join(map(str, names))}")
    return values, models, rows


def _snps(item: Any, n_weights: int, path: str) -> tuple[list[str | None], ...]:
    """Identifier, effect and other allele: columns 2, 5 and 6 of a .bim."""
    if _type(item) != "VEC" or len(item.value) < 6:
        raise _unknown(path, "snps is no table with the six columns of a .bim")
    columns = [_texts(item.value[place]) for place in (1, 4, 5)]
    if any(column is None for column in columns):
        raise _unknown(path, "identifiers or alleles in snps are no text")
    texts = [column for column in columns if column is not None]
    for column in texts:
        if len(column) != n_weights:
            raise _unknown(path, f"snps has {len(column)} rows, wgt.matrix {n_weights}")
    return tuple(texts)


def _load(path: str) -> dict[str, Any]:
    """The objects of a file by name, as `rdata` parses them."""
    data = _content(path)
    if not data.startswith(_MAGIC):
        kind = "what saveRDS() writes" if data.startswith(_RDS) else repr(data[:16])
        raise InputError(
            "is not an RData file", path=path, found=kind, expected="what save() writes", remedy=_GIVE_WGT
        )
    try:
        from rdata.parser import parse_data
    except ImportError as error:
        raise ResourceError(f"rdata, which reads R's files, is not installed; get it with: {_INSTALL}") from (
            error
        )
    try:
        root = parse_data(data, extension=".rda").object
        if _type(root) not in ("LIST", "NILVALUE"):
            raise ValueError(f"a {_type(root)} in place of a list of objects")
        return dict(_pairs(root))
    except Exception as error:  # whatever a damaged file makes of a parser
        raise InputError(
            "is a damaged RData file, or one of a kind that cannot be read",
            path=path,
            found=f"{type(error).__name__}: {error}",
            remedy="Download the file again, or load() and save() it in R.",
        ) from error


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        problem = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(
            f"the weight file {problem}", path=path, remedy="Check the path and --weights-dir."
        ) from error
    for magic, inflate in _COMPRESSED:
        if data.startswith(magic):
            try:
                return bytes(inflate(data))
            except Exception as error:  # each of the three has errors of its own
                raise InputError(
                    "the compressed file is damaged", path=path, found=error, remedy="Download it again."
                ) from error
    return data


def _type(item: Any) -> str:
    return "" if item is None else str(item.info.type.name)


def _pairs(item: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of the entries of a pairlist."""
    while _type(item) == "LIST":
        symbol = item.tag
        if _type(symbol) == "REF":
            symbol = symbol.referenced_object
        yield (symbol.value.value.decode() if symbol is not None else ""), item.value[0]
        item = item.value[1]


def _attributes(item: Any) -> Mapping[str, Any]:
    return {} if item is None or item.attributes is None else dict(_pairs(item.attributes))


def _numbers(item: Any) -> np.ndarray | None:
    """A vector of numbers as float64, NaN where R has NA; None if it is none."""
    if _type(item) not in ("INT", "REAL", "LGL") or "levels" in _attributes(item):
        return None
    return np.ma.filled(np.ma.asarray(item.value).astype(np.float64), np.nan)


def _first_number(item: Any) -> float:
    values = _numbers(item)
    return float(values[0]) if values is not None and len(values) else float("nan")


def _texts(item: Any) -> list[str | None] | None:
    """A vector of texts, a factor, or whole numbers as texts; None if it is none of these."""
    kind = _type(item)
    if kind == "STR":
        return [_text(entry.value) for entry in item.value]
    if kind == "INT":
        codes = np.ma.filled(np.ma.asarray(item.value), 0).tolist()
        levels = _texts(_attributes(item).get("levels"))
        if levels is not None:
            return [levels[code - 1] if 0 < code <= len(levels) else None for code in codes]
        return [str(code) for code in codes]
    if kind == "LGL":  # read.table takes a column of nothing but the allele T for TRUE
        return ["T" if value else "F" for value in np.ma.filled(np.ma.asarray(item.value), False).tolist()]
    return None


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
