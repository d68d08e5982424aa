"""Covariance files that list each gene's upper triangle row by row, which is how they are released.

In: a file of ``GENE RSID1 RSID2 VALUE``. Out: the triangles as they stand there, or None for a file that
lists its pairs in any other way, has missing values or is faulty: `read_covariances` reads those, and says
what is wrong.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.covariance import BLOCK_BYTES, HEADER, parse_header
from gputwas.formats.sumstats.inflate import blocks, compression_of

__all__ = ["Triangles", "read_triangles"]

_SHORTEST_ROW = 8  # bytes of "g a b 1\n"
_ROOM = 1 << 22  # elements that arrays have room for at first


@dataclass(frozen=True, eq=False)
class Triangles:
    """The covariances of a tissue's genes.

    Attributes
    ----------
    path : the file read.
    genes : string (genes,), in file order, all different.
    sizes : int64 (genes,): number of SNPs.
    snps : string (SNPs,): every SNP of the file once.
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

    Raises
    ------
    InputError
        If the file cannot be read or inflated, or its header is not that of a covariance.
    """
    name = os.fspath(path)
    rows: _Rows | None = None
    for block in blocks(name, compression_of(name), size=BLOCK_BYTES, numbered=False):
        data = block.data
        if rows is None:
            end = int(np.argmax(data == ord("\n"))) + 1
            header = parse_header(data[:end].tobytes(), name)
            if header.used != [0, 1, 2, 3] or len(header.names) != len(HEADER):
                return None
            rows, data = _Rows(ord(header.delimiter)), data[end:]
        if len(data) and not rows.add(data):
            return None
    return None if rows is None else rows.finish(name)


class _Rows:
    """What was read so far, in arrays that grow."""

    def __init__(self, separator: int) -> None:
        from gputwas.formats import triangle_kernels as kernels

        self._kernels = kernels
        self._separator = np.uint8(separator)
        self._state = np.zeros(7, np.int64)
        self._state[kernels.RUN] = -1
        self._texts = {"gene": np.empty(0, np.uint8), "snp": np.empty(0, np.uint8)}
        self._ends = {"gene": np.zeros(1, np.int64), "snp": np.zeros(1, np.int64)}
        self._first = np.empty(0, np.int64)
        self._values = np.empty(0)
        self._odd = np.empty((0, 3), np.int64)

    def add(self, data: np.ndarray) -> bool:
        """Read a block of whole lines; False if it is not what this is made for."""
        spaced = self._separator == ord("\t") and bool((data == ord(" ")).any())
        if spaced or data[-1] != ord("\n"):
            return False
        kernels, state = self._kernels, self._state
        most = len(data) // _SHORTEST_ROW + 1
        genes, snps, rows = (int(state[k]) for k in (kernels.GENES, kernels.SNPS, kernels.ROWS))
        for kind, count in (("gene", genes), ("snp", snps)):
            self._texts[kind] = _with_room(self._texts[kind], int(self._ends[kind][count]) + len(data))
            self._ends[kind] = _with_room(self._ends[kind], count + most + 2)
        self._first = _with_room(self._first, genes + most + 1)
        self._values = _with_room(self._values, rows + most)
        if len(self._odd) < most:
            self._odd = np.empty((most, 3), np.int64)
        fits = kernels.read_rows(
            data, self._separator, state, self._texts["gene"], self._ends["gene"], self._first,
            self._texts["snp"], self._ends["snp"], self._values, self._odd,
        )  # fmt: skip
        return bool(fits) and self._read_odd(data, int(state[kernels.ODD]))

    def _read_odd(self, data: np.ndarray, count: int) -> bool:
        """Read the cells that the loop left; False if one is missing or no finite number."""
        if not count:
            return True
        row, begin, end = self._odd[:count].T
        offsets = np.zeros(count + 1, np.int32)
        np.cumsum(end - begin, out=offsets[1:])
        place = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], end - begin)
        cells = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data[place]))
        try:
            cells.validate(full=True)
            self._values[row] = pc.cast(cells, pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            return False
        return bool(np.isfinite(self._values[row]).all())

    def finish(self, name: str) -> Triangles | None:
        """All triangles, if the last one is complete and no name is there twice."""
        kernels, state = self._kernels, self._state
        genes, snps, rows = (int(state[k]) for k in (kernels.GENES, kernels.SNPS, kernels.ROWS))
        sizes = np.diff(self._first[:genes], append=snps)
        if rows != int((sizes * (sizes + 1) // 2).sum()):
            return None
        try:
            texts = {kind: self._strings(kind, count) for kind, count in (("gene", genes), ("snp", snps))}
        except pa.ArrowInvalid:  # not UTF-8
            return None
        listed = texts["snp"].dictionary_encode()
        members = listed.indices.to_numpy()
        if len(texts["gene"].unique()) < genes or _repeats(members, sizes):
            return None
        return Triangles(name, texts["gene"], sizes, listed.dictionary, members, self._values[:rows])

    def _strings(self, kind: str, count: int) -> pa.Array:
        offsets = self._ends[kind][: count + 1].astype(np.int32)
        text = self._texts[kind][: offsets[-1]]
        strings = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))
        strings.validate(full=True)
        return strings


def _with_room(array: np.ndarray, length: int) -> np.ndarray:
    """The array, or a copy that is much longer, so that `length` elements fit.

    Memory that is never written to costs nothing, copying and touching it anew does: so room is ample.
    """
    if len(array) >= length:
        return array
    larger: Any = np.empty(max(length, 4 * len(array), _ROOM), array.dtype)
    larger[: len(array)] = array
    return larger


def _repeats(members: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether a gene names a SNP twice."""
    gene = np.repeat(np.arange(len(sizes)), sizes)
    key = np.sort(gene * (int(members.max(initial=0)) + 1) + members)
    return bool((key[1:] == key[:-1]).any())
