"""Covariance files that list each gene's upper triangle row by row, which is how they are released.

In: a file of ``GENE RSID1 RSID2 VALUE``. Out: the triangles as they stand there, or None for a file that
lists its pairs in any other way, has missing values or is faulty: `read_covariances` reads those, and says
what is wrong.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.covariance import BLOCK_BYTES, HEADER, parse_header
from gputwas.formats.sumstats.inflate import blocks, compression_of
from gputwas.kernels import library
from gputwas.kernels.ld import names_twice
from gputwas.kernels.texts import Names
from gputwas.kernels.triangles import TriangleRows

__all__ = ["Triangles", "read_triangles"]


@dataclass(frozen=True, eq=False)
class Triangles:
    """The covariances of a tissue's genes.

    Attributes
    ----------
    path : the file read.
    genes : string (genes,), in file order, all different.
    sizes : int64 (genes,): number of SNPs.
    snps : string (SNPs,): every SNP of the file, perhaps again for each of its genes.
    members : int32 (sum of sizes,): rows of `snps`, each gene's in the order of its matrix, all different
        within a gene.
    values : float64 (sum of sizes (sizes + 1) / 2,), finite: upper triangles row by row.
    """

    path: str
    genes: pa.Array
    sizes: np.ndarray
    snps: pa.Array
    members: np.ndarray
    values: np.ndarray


def read_triangles(path: str | os.PathLike[str]) -> Triangles | None:
    """Read a covariance file of upper triangles; None if it is anything else.

    It is also None where the compiled library is missing.

    Raises
    ------
    InputError
        If the file cannot be read or inflated, or its header is not that of a covariance.
    """
    if not library.is_there():
        return None
    name, separator = os.fspath(path), ""
    rows: TriangleRows | None = None
    for block in blocks(name, compression_of(name), size=BLOCK_BYTES, numbered=False):
        data = block.data
        if rows is None:
            end = int(np.argmax(data == ord("\n"))) + 1
            header = parse_header(data[:end].tobytes(), name)
            if header.used != [0, 1, 2, 3] or len(header.names) != len(HEADER):
                return None
            separator, data = header.delimiter, data[end:]
            rows = TriangleRows(ord(separator))
        if len(data) and not _add(rows, data, separator):
            return None
    return None if rows is None else _finish(rows, name)


def _add(rows: TriangleRows, data: np.ndarray, separator: str) -> bool:
    """Read a block of whole lines; False if it is not what this is made for."""
    spaced = separator == "\t" and bool((data == ord(" ")).any())
    return not spaced and data[-1] == ord("\n") and rows.add(data) and _read_odd(rows, data)


def _read_odd(rows: TriangleRows, data: np.ndarray) -> bool:
    """Read the cells that the loop left; False if one is missing or no finite number."""
    row, begin, end = rows.odd.T
    if not len(row):
        return True
    offsets = np.zeros(len(row) + 1, np.int32)
    np.cumsum(end - begin, out=offsets[1:])
    place = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], end - begin)
    cells = pa.StringArray.from_buffers(len(row), pa.py_buffer(offsets), pa.py_buffer(data[place]))
    try:
        cells.validate(full=True)
        values = pc.cast(cells, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return False
    rows.values[row] = values
    return bool(np.isfinite(values).all())


def _finish(rows: TriangleRows, name: str) -> Triangles | None:
    """All triangles, if the last one is complete and no name is there twice."""
    sizes = rows.sizes
    if len(rows.values) != int((sizes * (sizes + 1) // 2).sum()):
        return None
    try:
        genes, snps = _strings(rows.genes), _strings(rows.snps)
    except pa.ArrowInvalid:  # not UTF-8
        return None
    if len(genes.unique()) < len(genes) or names_twice(sizes, rows.snps):
        return None
    return Triangles(name, genes, sizes, snps, np.arange(len(snps), dtype=np.int32), rows.values)


def _strings(names: Names) -> pa.Array:
    offsets = names.ends.astype(np.int32)
    strings = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(names.text))
    strings.validate(full=True)
    return strings
