"""The byte loop over a covariance file that lists upper triangles.

In: whole lines ``GENE RSID1 RSID2 VALUE`` as bytes. Out, in arrays of the caller: the text of the genes, that
of each gene's SNPs in the order of its matrix, and the values.

In an upper triangle the first row of the matrix names all SNPs of a gene, so what every further row says but
for its value is known beforehand: it is compared, not read. A line that is not as expected ends the loop.

This module imports numba, which takes a third of a second: only what reads many rows may import it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gputwas.formats.sumstats.scan_lanes import compiled, word_at
from gputwas.formats.sumstats.scan_numbers import number_of

__all__ = ["FIRST", "GENES", "ODD", "PLACE", "ROWS", "RUN", "SNPS", "read_rows"]

ROWS, GENES, SNPS, FIRST, RUN, PLACE, ODD = range(7)
"""Places in the array `state`: rows, genes and SNPs so far; of the gene at hand its first SNP, the row of its
matrix (-1 when all rows are there) and how many of its cells were read; of the block, cells that are odd."""

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_LF = np.uint8(10)


@compiled
def _equal(data: Bytes, at: Any, known: Bytes, start: Any, length: Any) -> Any:
    """Whether data[at:at + length] is known[start:start + length]; both are within their arrays."""
    if length < 8:
        for k in range(length):  # noqa: SIM110 (numba compiles no generator)
            if data[at + k] != known[start + k]:
                return False
        return True
    for k in range(0, length - 8, 8):
        if word_at(data, at + k) != word_at(known, start + k):
            return False
    return word_at(data, at + length - 8) == word_at(known, start + length - 8)


@compiled
def _same(data: Bytes, at: Any, known: Bytes, start: Any, stop: Any, separator: Any) -> Any:
    """Whether a cell of `data` that begins at `at` is known[start:stop]; it is followed by `separator`."""
    length = stop - start
    if at + length >= len(data) or data[at + length] != separator:
        return False
    return _equal(data, at, known, start, length)


@compiled
def _copy_cell(data: Bytes, at: Any, text: Bytes, ends: Numbers, count: Any, separator: Any) -> Any:
    """Append the cell at `at` to a list of texts; returns where the cell ends, or -1 if it is no cell."""
    begin = place = ends[count]
    while at < len(data) and data[at] != separator:
        if data[at] == _LF:
            return -1
        text[place] = data[at]
        place += 1
        at += 1
    ends[count + 1] = place
    return at if place > begin else -1


@compiled
def _begin_gene(
    data: Bytes,
    at: Any,
    separator: Any,
    gene_text: Bytes,
    gene_ends: Numbers,
    genes: Any,
    snp_text: Bytes,
    snp_ends: Numbers,
    snps: Any,
) -> Any:
    """Note the gene of a line and its RSID1, the first of its SNPs; returns where RSID1 begins, or -1."""
    end = _copy_cell(data, at, gene_text, gene_ends, genes, separator)
    if end < 0 or _copy_cell(data, end + 1, snp_text, snp_ends, snps, separator) < 0:
        return np.int64(-1)
    return end + 1


@compiled
def _value(data: Bytes, at: Any, row: Any, values: Values, odd: Numbers, strange: Any) -> Any:
    """Read the last cell of a line; returns where the line ends, and how many cells are odd by now."""
    stop = at
    while stop < len(data) and data[stop] != _LF:
        stop += 1
    value = number_of(data, at, stop)
    values[row] = value
    if value != value:
        odd[strange, 0], odd[strange, 1], odd[strange, 2] = row, at, stop
        strange += 1
    return stop, strange


@compiled
def _rest_of_run(
    data: Bytes,
    separator: Any,
    begin: Any,
    cells: Any,
    stop: Any,
    snp_text: Bytes,
    snp_ends: Numbers,
    place: Any,
    last: Any,
    row: Any,
    values: Values,
    odd: Numbers,
    strange: Any,
) -> Any:
    """Read the lines of a matrix' row behind its first one, data[begin:stop], while they are as expected.

    What is before RSID2 (which begins at `cells`) is as on that line; RSID2 is SNP `place` to `last`.
    """
    ahead = cells - begin
    while place <= last and stop + 1 + ahead < len(data):
        line = stop + 1
        if not _equal(data, line, data, begin, ahead):
            break
        if not _same(data, line + ahead, snp_text, snp_ends[place], snp_ends[place + 1], separator):
            break
        at = line + ahead + snp_ends[place + 1] - snp_ends[place] + 1
        stop, strange = _value(data, at, row, values, odd, strange)
        row, place = row + 1, place + 1
    return stop, place, row, strange


@compiled
def read_rows(
    data: Bytes,
    separator: Any,
    state: Numbers,
    gene_text: Bytes,
    gene_ends: Numbers,
    gene_first: Numbers,
    snp_text: Bytes,
    snp_ends: Numbers,
    values: Values,
    odd: Numbers,
) -> Any:
    """Read the rows of a block, which continue those of the blocks before.

    Parameters
    ----------
    data : uint8 (bytes,), whole lines, the last one with its line feed.
    separator : the byte between cells.
    state : int64 (7,), see `ROWS` and so on; changed.
    gene_text, gene_ends : the genes' ids one after the other; that of gene g ends at gene_ends[g + 1].
    gene_first : int64, the first SNP of each gene.
    snp_text, snp_ends : the SNPs' ids, as the genes'.
    values : float64 (rows,); NaN for cells that take more than two machine operations to read exactly.
    odd : int64 (cells, 3): row, begin and end of those cells.

    Returns
    -------
    Whether all rows were as expected. All arrays must have room for what a block of these bytes can hold.
    """
    row, genes, snps = state[ROWS], state[GENES], state[SNPS]
    first, run, place, strange = state[FIRST], state[RUN], state[PLACE], np.int64(0)
    at, fits = np.int64(0), True
    while fits and at < len(data):
        last = genes - 1
        begin = at
        if genes and _same(data, at, gene_text, gene_ends[last], gene_ends[genes], separator):
            at += gene_ends[genes] - gene_ends[last] + 1
        else:
            complete = run < 0 or (run == 0 and place == 1)
            at = _begin_gene(data, at, separator, gene_text, gene_ends, genes, snp_text, snp_ends, snps)
            if not complete or at < 0:
                fits = False
                break
            gene_first[genes] = first = snps
            genes, snps, run, place = genes + 1, snps + 1, np.int64(0), np.int64(0)
        if run < 0:
            fits = False
            break
        expected = first + run
        if (
            run == 0
            and place
            and not _same(data, at, snp_text, snp_ends[first], snp_ends[first + 1], separator)
        ):  # the first row of the matrix is over, all SNPs are known
            expected = first + 1
            run, place = np.int64(1), np.int64(0)
        if expected >= snps or not _same(
            data, at, snp_text, snp_ends[expected], snp_ends[expected + 1], separator
        ):
            fits = False
            break
        at += snp_ends[expected + 1] - snp_ends[expected] + 1
        cells = at
        if run == 0 and place:
            end = _copy_cell(data, at, snp_text, snp_ends, snps, separator)
            snps += 1
        else:
            expected = first + run + place
            end = at + snp_ends[expected + 1] - snp_ends[expected]
            if not _same(data, at, snp_text, snp_ends[expected], snp_ends[expected + 1], separator):
                end = np.int64(-1)
        if end < 0:
            fits = False
            break
        stop, strange = _value(data, end + 1, row, values, odd, strange)
        row, place = row + 1, place + 1
        if run > 0:
            before = first + run
            stop, reached, row, strange = _rest_of_run(
                data, separator, begin, cells, stop, snp_text, snp_ends, before + place, snps - 1,
                row, values, odd, strange,
            )  # fmt: skip
            place = reached - before
        if run and place == snps - first - run:
            run = run + 1 if first + run + 1 < snps else np.int64(-1)
            place = np.int64(0)
        at = stop + 1
    state[ROWS], state[GENES], state[SNPS] = row, genes, snps
    state[FIRST], state[RUN], state[PLACE], state[ODD] = first, run, place, strange
    return fits
