"""Writes files as R's `save()` does, byte by byte after "R Internals", section 1.8 (Serialization Formats).

In: names and values: `Matrix`, `Frame`, `Factor`, lists of strings, NumPy arrays. Out: an .RData file, which
no reader under test has had a hand in.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Factor", "Frame", "Matrix", "save", "serialize", "wgt_values"]

NA_INTEGER = -(2**31)
NA_REAL = struct.unpack(">d", bytes.fromhex("7ff00000000007a2"))[0]
_SYM, _LIST, _CHAR, _INT, _REAL, _STR, _VEC = 1, 2, 9, 13, 14, 16, 19
_NIL, _REF = 254, 255
_OBJECT, _ATTRIBUTES, _TAG = 1 << 8, 1 << 9, 1 << 10
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "none": bytes,
}


@dataclass(frozen=True)
class Matrix:
    """A numeric matrix; `values` (rows, columns)."""

    values: Any
    rows: Sequence[str] | None = None
    columns: Sequence[str] | None = None


@dataclass(frozen=True)
class Factor:
    """Texts as R before version 4 reads them: numbers of levels."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Frame:
    """A data.frame: column name -> values."""

    columns: Mapping[str, Any]
    row_names: Sequence[str] | None = None


@dataclass
class _Writer:
    out: bytearray = field(default_factory=bytearray)
    symbols: list[str] = field(default_factory=list)

    def integer(self, value: int) -> None:
        self.out += struct.pack(">i", value)

    def char(self, text: str | None) -> None:
        self.integer(_CHAR | (0 if text is None else 64 << 12))  # 64: plain ASCII
        data = b"" if text is None else text.encode()
        self.integer(-1 if text is None else len(data))
        self.out += data

    def symbol(self, name: str) -> None:
        if name in self.symbols:
            self.integer((self.symbols.index(name) + 1) << 8 | _REF)
            return
        self.symbols.append(name)
        self.integer(_SYM)
        self.char(name)

    def pairlist(self, pairs: Mapping[str, Any]) -> None:
        for name, value in pairs.items():
            self.integer(_LIST | _TAG)
            self.symbol(name)
            self.value(value)
        self.integer(_NIL)

    def vector(self, values: Any, attributes: Mapping[str, Any], *, is_object: bool = False) -> None:
        flags = (_ATTRIBUTES if attributes else 0) | (_OBJECT if is_object else 0)
        array = values if isinstance(values, tuple) else np.asarray(values)
        if isinstance(array, tuple):
            self.integer(_VEC | flags)
            self.integer(len(array))
            for value in array:
                self.value(value)
        elif array.dtype.kind in "iu":
            self.integer(_INT | flags)
            self.integer(array.size)
            self.out += array.ravel(order="F").astype(">i4").tobytes()
        elif array.dtype.kind == "f":
            self.integer(_REAL | flags)
            self.integer(array.size)
            self.out += array.ravel(order="F").astype(">f8").tobytes()
        else:
            self.integer(_STR | flags)
            self.integer(len(values))
            for text in values:
                self.char(text)
        if attributes:
            self.pairlist(attributes)

    def value(self, value: Any) -> None:
        if value is None:
            self.integer(_NIL)
        elif isinstance(value, Matrix):
            attributes: dict[str, Any] = {"dim": np.array(np.shape(value.values), np.int32)}
            if value.rows is not None or value.columns is not None:
                attributes["dimnames"] = (value.rows, value.columns)
            self.vector(np.asarray(value.values), attributes)
        elif isinstance(value, Factor):
            levels = sorted(set(value.texts))
            codes = np.array([levels.index(text) + 1 for text in value.texts], np.int32)
            self.vector(codes, {"levels": levels, "class": ["factor"]}, is_object=True)
        elif isinstance(value, Frame):
            first = next(iter(value.columns.values()))
            count = len(first.texts if isinstance(first, Factor) else first)
            rows = value.row_names or np.array([NA_INTEGER, -count], np.int32)
            attributes = {"names": list(value.columns), "class": ["data.frame"], "row.names": rows}
            self.vector(tuple(value.columns.values()), attributes, is_object=True)
        else:
            self.vector(value, {})


def serialize(values: Mapping[str, Any], version: int = 2) -> bytes:
    """The bytes of `save(..., compress = FALSE)`."""
    writer = _Writer(bytearray(f"RDX{version}\nX\n".encode()))
    for number in (version, 4 << 16 | 3 << 8, 2 << 16 | 3 << 8 if version == 2 else 3 << 16 | 5 << 8):
        writer.integer(number)
    if version == 3:
        writer.integer(5)
        writer.out += b"UTF-8"
    writer.pairlist(values)
    return bytes(writer.out)


def save(path: Path, values: Mapping[str, Any], *, version: int = 2, compress: str = "gzip") -> Path:
    """Write `save(<values>, file = path)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_COMPRESS[compress](serialize(values, version)))
    return path


def wgt_values(
    ids: Sequence[str],
    effect: Sequence[str],
    other: Sequence[str],
    weights: Mapping[str, Sequence[float]],
    pval: Mapping[str, float],
    *,
    rsq: Mapping[str, float] | None = None,
    chromosome: int = 1,
    factors: bool = False,
) -> dict[str, Any]:
    """What FUSION.compute_weights.R saves: model name -> weights, cross-validation p and R2 of each model."""
    models = list(weights)
    r2 = rsq or {model: 0.1 for model in models}
    text = Factor if factors else list
    snps = {
        "V1": np.full(len(ids), chromosome, np.int32),
        "V2": text(ids),
        "V3": np.zeros(len(ids)),
        "V4": np.arange(1, len(ids) + 1, dtype=np.int32) * 100,
        "V5": text(effect),
        "V6": text(other),
    }
    matrix = np.array([weights[model] for model in models], float).reshape(len(models), len(ids)).T
    performance = np.array([[r2[m] for m in models], [pval[m] for m in models]], float)
    return {
        "wgt.matrix": Matrix(matrix, rows=list(ids), columns=models),
        "snps": Frame(snps),
        "cv.performance": Matrix(performance, rows=["rsq", "pval"], columns=models),
        "hsq": np.array([0.25, 0.05]),
        "hsq.pv": np.array([1e-4]),
        "N.tot": np.array([369], np.int32),
    }
