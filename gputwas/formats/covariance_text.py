"""Writes SNP covariances as MetaXcan's text, gene by gene as they are computed: ``GENE RSID1 RSID2 VALUE``.

In: packed upper triangles with the ids of their genes and SNPs. Out: one file, whole or not at all, with a
row for each pair of SNPs of a gene, diagonal included, in the order of ``MatrixManager._flatten_matrix_data``
of MetaXcan (software/metax/MatrixManager.py, line 222). `read_covariances` reads it.
"""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.files import atomic_path

__all__ = ["CovarianceText", "check_digits", "triangle_pairs"]

_ROWS_AT_A_TIME = 1 << 18
_MOST_DIGITS = 17  # of a float64; more say nothing
_BLANK = r"\s"


class CovarianceText:
    """A covariance file that is being written; use it as a context manager.

    Parameters
    ----------
    path : gzip-compressed when the name ends in ``.gz``; the same values give the same bytes. Atomic.
    digits : significant digits of a value, 1 to 17; None for the fewest that give the same float64 again.
    separator : between the cells. PredictDB's files have a space, MetaXcan's CovarianceBuilder.py writes a
        tab; MetaXcan splits at either.

    Raises
    ------
    UsageError
        If there are no such digits.
    InputError
        If the folder cannot be written to.
    ResourceError
        If the disk is full; nothing is left of the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, digits: int | None = None, separator: str = " "
    ) -> None:
        self._path = os.fspath(path)
        self._digits = check_digits(digits)
        self._separator = separator
        self._open = contextlib.ExitStack()
        self._file: Any = None

    def __enter__(self) -> CovarianceText:
        temporary = self._open.enter_context(atomic_path(self._path))
        self._file = self._open.enter_context(open(temporary, "wb"))
        if self._path.endswith(".gz"):
            from isal import igzip

            # no name and no time in the header
            stream = igzip.IGzipFile(filename="", mode="wb", compresslevel=2, fileobj=self._file, mtime=0)
            self._file = self._open.enter_context(stream)
        self._file.write((self._separator.join(("GENE", "RSID1", "RSID2", "VALUE")) + "\n").encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def write(self, genes: pa.Array, sizes: np.ndarray, snps: pa.Array, values: np.ndarray) -> None:
        """Add genes.

        Parameters
        ----------
        genes : string (genes,), of which none was written before; sizes : int64 (genes,), their SNPs.
        snps : string (sum of sizes,), gene by gene.
        values : float64 (sum of sizes (sizes + 1) / 2,): upper triangles row by row.

        Raises
        ------
        InputError
            If an id has a blank in it or is empty, since no reader could tell the cells apart.
        """
        self._check_ids(genes, "gene")
        self._check_ids(snps, "SNP")
        rows = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
        entries = np.concatenate([[0], np.cumsum(sizes)])
        start = 0
        while start < len(sizes):  # as many genes at a time as bound the memory, but at least one
            stop = max(start + 1, int(np.searchsorted(rows, rows[start] + _ROWS_AT_A_TIME, "right")) - 1)
            first, second = triangle_pairs(sizes[start:stop])
            gene = np.repeat(np.arange(start, stop), np.diff(rows[start : stop + 1]))
            columns = [
                genes.take(pa.array(gene)),
                snps.take(pa.array(first + entries[start])),
                snps.take(pa.array(second + entries[start])),
                self._numbers(values[rows[start] : rows[stop]]),
            ]
            self._file.write(_lines(columns, self._separator))
            start = stop

    def _check_ids(self, ids: pa.Array, what: str) -> None:
        bad = pc.fill_null(pc.or_(pc.match_substring_regex(ids, _BLANK), pc.equal(ids, "")), True)
        if pc.any(bad, min_count=0).as_py():
            raise InputError(
                f"the id of a {what} has a blank or nothing in it, so this cannot be written as text",
                path=self._path,
                found=repr(ids[pc.index(bad, True).as_py()].as_py()),
            )

    def _numbers(self, values: np.ndarray) -> pa.Array:
        if self._digits is None:
            return pc.cast(pa.array(values), pa.string())  # the shortest text that gives the number again
        return pa.array([f"{value:.{self._digits}g}" for value in values.tolist()], pa.string())


def check_digits(digits: int | None) -> int | None:
    """The digits, if they are None or 1 to 17.

    Raises
    ------
    UsageError
        If they are not.
    """
    if digits is not None and not 1 <= digits <= _MOST_DIGITS:
        raise UsageError(f"digits are 1 to {_MOST_DIGITS}, or full, not {digits}")
    return digits


def triangle_pairs(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two entries of each cell of packed upper triangles, one triangle after the other.

    Parameters
    ----------
    sizes : int64 (groups,).

    Returns
    -------
    first, second : int64 (sum of k (k + 1) / 2,): places in the list of all groups' entries.
    """
    ends = np.repeat(np.cumsum(sizes), sizes)  # of each entry, where its group ends
    entries = np.arange(len(ends))
    lengths = ends - entries
    first = np.repeat(entries, lengths)
    begins = np.cumsum(lengths) - lengths
    return first, first + np.arange(len(first)) - np.repeat(begins, lengths)


def _lines(columns: list[pa.Array], separator: str) -> memoryview:
    *first, last = columns
    ended = pc.binary_join_element_wise(last, pa.scalar(""), pa.scalar("\n"))
    whole = pc.binary_join_element_wise(*first, ended, pa.scalar(separator))
    if not len(whole):
        return memoryview(b"")
    _, offsets, text = whole.buffers()
    ends = np.frombuffer(offsets, np.int32, len(whole) + 1, 4 * whole.offset)
    return memoryview(text)[ends[0] : ends[-1]]
