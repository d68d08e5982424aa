"""SNP covariances of the genes of one tissue, as text: ``GENE RSID1 RSID2 VALUE``.

In: a ``.txt`` or ``.txt.gz`` file of PredictDB, JTI or a MetaXcan script, one row per pair of SNPs of a gene.
Out: the same rows as integer codes and float64 values, checked for what would make a matrix ambiguous. No
matrix is built here. `write_covariances` makes such a file.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gputwas.errors import InputError
from gputwas.files import atomic_path
from gputwas.formats.sumstats.inflate import blocks, compression_of

__all__ = [
    "BLOCK_BYTES",
    "HEADER",
    "Covariances",
    "Header",
    "Runs",
    "parse_header",
    "read_covariances",
    "write_covariances",
]

HEADER = ("GENE", "RSID1", "RSID2", "VALUE")
_EXPECTED = "columns GENE RSID1 RSID2 VALUE"
_GIVE = "Give the covariance (.txt.gz) that was released with the models."
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None"]
BLOCK_BYTES = 2 << 20
"""Text read at a time: memory touched for the first time costs more than a larger block saves."""
_ROUNDING = 1e-9  # relative; the two halves of a symmetric matrix may be printed with different last digits


@dataclass(frozen=True, eq=False)
class Covariances:
    """Rows of a covariance file.

    Attributes
    ----------
    path : the file read.
    genes : gene ids in file order; a gene's rows are contiguous.
    offsets : int64 (genes + 1,): where each gene's rows begin.
    snps : string (snps,): every SNP id of the file once.
    id1, id2 : int32 (rows,): first and second SNP of the pair, as rows of `snps`.
    values : float64 (rows,): the covariance of the two dosages; NaN where the file says NA.
    """

    path: str
    genes: list[str]
    offsets: np.ndarray
    snps: pa.Array
    id1: np.ndarray
    id2: np.ndarray
    values: np.ndarray

    @cached_property
    def runs(self) -> Runs:
        """The rows of one gene and one first SNP that follow each other, see `Runs`."""
        return _runs(self)


@dataclass(frozen=True, eq=False)
class Runs:
    """Rows of one gene with one first SNP, one after the other: a row of the matrix.

    Files list upper triangles, mostly: the second SNPs of a run are the first SNPs of this run and of those
    after it. Looking at runs instead of rows spares most searching and sorting.

    Attributes
    ----------
    starts : int64 (runs,): row where each begins.
    of_row : int32 (rows,): run of each row.
    partner : int32 (rows,): the run of the same gene, this or a later one, whose first SNP is the row's
        second SNP, if it is as many runs further as the row is from the beginning of its run; otherwise -1.
    """

    starts: np.ndarray
    of_row: np.ndarray
    partner: np.ndarray


@dataclass(frozen=True)
class Header:
    """How a covariance file is laid out: names, delimiter, and where GENE, RSID1, RSID2, VALUE stand."""

    names: list[str]
    delimiter: str
    used: list[int]


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows of a block: genes, and first SNPs by runs of equal ones, with the row where each begins."""

    genes: list[str]
    gene_starts: np.ndarray
    run_ids: pa.DictionaryArray
    run_starts: np.ndarray
    second: pa.DictionaryArray  # (rows,)
    values: np.ndarray  # (rows,)


def read_covariances(path: str | os.PathLike[str]) -> Covariances:
    """Read a covariance file, compressed or not (told by its content), whitespace- or tab-separated.

    A pair may be listed in one order or, as in a full square matrix, in both with the same value.

    Raises
    ------
    InputError
        For a file that is damaged or no such table, a malformed row (with its line), a gene whose rows are
        not contiguous, a pair listed twice with different values, or a row that is repeated (with the gene).
    """
    name = os.fspath(path)
    header: Header | None = None
    parts: list[_Part] = []
    for block in blocks(name, compression_of(name), size=BLOCK_BYTES):
        data, line = block.data, block.first_line
        if header is None:
            end = int(np.argmax(data == ord("\n"))) + 1
            header = parse_header(data[:end].tobytes(), name)
            data, line = data[end:], line + 1
        if len(data):
            parts.append(_parse(data, header, name, line))
    return _checked(name, parts)


def write_covariances(
    path: str | os.PathLike[str],
    genes: Iterable[str],
    blocks: Iterable[tuple[Sequence[str], np.ndarray]],
) -> None:
    """Write the upper triangle, diagonal included, of each gene's covariance matrix.

    Parameters
    ----------
    path : gzip-compressed when the name ends in ``.gz``. Atomic.
    genes : gene ids.
    blocks : for each gene its SNP ids and the symmetric matrix (snps, snps) in float64; NaN is written NA.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        if os.fspath(path).endswith(".gz"):
            from isal import igzip

            # no name and no time in the header: the same matrices give the same bytes
            with igzip.IGzipFile(filename="", mode="wb", compresslevel=2, fileobj=raw, mtime=0) as stream:
                stream.writelines(_lines(genes, blocks))
        else:
            raw.writelines(_lines(genes, blocks))


def _lines(genes: Iterable[str], blocks: Iterable[tuple[Sequence[str], np.ndarray]]) -> Iterable[bytes]:
    yield (" ".join(HEADER) + "\n").encode()
    for gene, (snps, matrix) in zip(genes, blocks, strict=True):
        first, second = np.triu_indices(len(snps))
        values = np.asarray(matrix, dtype=np.float64)[first, second].tolist()
        yield "".join(
            f"{gene} {snps[i]} {snps[j]} {'NA' if value != value else repr(value)}\n"
            for i, j, value in zip(first.tolist(), second.tolist(), values, strict=True)
        ).encode()


def parse_header(line: bytes, path: str) -> Header:
    """Understand the first line of a covariance file.

    Raises
    ------
    InputError
        If it is no text, or lacks a column.
    """
    if b"\x00" in line or line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            "not a text table",
            path=path,
            line=1,
            found=f"bytes {line[:16]!r}",
            expected=_EXPECTED,
            remedy=_GIVE,
        )
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    names = text.split("\t") if "\t" in text else text.split()
    places = {name.strip().upper(): place for place, name in reversed(list(enumerate(names)))}
    for wanted in HEADER:
        if wanted not in places:
            raise InputError(
                f"the covariance has no column {wanted}",
                path=path,
                line=1,
                found="columns " + " ".join(names)[:200],
                expected=_EXPECTED,
                remedy=_GIVE,
            )
    return Header(names, "\t" if "\t" in text else " ", [places[wanted] for wanted in HEADER])


def _parse(data: np.ndarray, header: Header, path: str, line: int) -> _Part:
    padded = header.delimiter == "\t" and bool((data == ord(" ")).any())
    if not padded:
        with contextlib.suppress(pa.ArrowInvalid):
            return _parse_fast(pa.py_buffer(data), header.delimiter, header)
    # runs of spaces, or spaces and tabs mixed: make them one space, as the split on whitespace would
    text = re.sub(rb" ?\n ?", b"\n", re.sub(rb"[ \t\r\f\v]+", b" ", data.tobytes())).lstrip(b" ")
    try:
        return _parse_fast(pa.py_buffer(text), " ", header)
    except pa.ArrowInvalid as error:
        raise _malformed(text, header, path, line) or error from None


def _parse_fast(data: pa.Buffer, delimiter: str, header: Header) -> _Part:
    names = [str(place) for place in range(len(header.names))]
    used = [names[place] for place in header.used]
    # rows of one gene and of one first SNP follow each other: no need of a dictionary to code these columns
    types = (pa.string(), pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.float64())
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
        read_options=pyarrow.csv.ReadOptions(
            column_names=names, block_size=data.size + 1, use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict(zip(used, types, strict=True)), include_columns=used, null_values=_MISSING,
            strings_can_be_null=False,
        ),
    )  # fmt: skip
    gene, first, second, values = (table[name].combine_chunks() for name in used)
    if isinstance(second, pa.ChunkedArray):
        second = second.unify_dictionaries().combine_chunks()
    genes, gene_starts = _runs_of_equal(gene)
    ids, starts = _runs_of_equal(first)
    run_starts = np.union1d(starts, gene_starts)
    run_ids = ids.take(pa.array(np.searchsorted(starts, run_starts, side="right") - 1))
    return _Part(
        genes.to_pylist(), gene_starts, run_ids.dictionary_encode(), run_starts, second,
        values.to_numpy(zero_copy_only=False),
    )  # fmt: skip


def _runs_of_equal(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """What stands in each run of equal cells, and the row where it begins."""
    encoded = pc.run_end_encode(column)
    starts = np.zeros(len(encoded.values), np.int64)
    starts[1:] = encoded.run_ends.to_numpy()[:-1]
    return encoded.values, starts


def _malformed(text: bytes, header: Header, path: str, first_line: int) -> InputError | None:
    """Find the first row that is not a row of the table; only called when there is one."""
    value_place = header.used[3]
    for number, row in enumerate(text.split(b"\n"), first_line):
        cells = row.decode("utf-8", "replace").split()
        if not cells:
            continue
        if len(cells) != len(header.names):
            return InputError(
                "malformed row",
                path=path,
                line=number,
                found=f"{len(cells)} cells",
                expected=f"{len(header.names)}: {' '.join(header.names)}",
                remedy="Download or make the file again.",
            )
        value = cells[value_place]
        try:
            float("nan" if value in _MISSING else value)
        except ValueError:
            return InputError(
                f"the covariance of gene {cells[header.used[0]]} is not a number",
                path=path,
                line=number,
                column="VALUE",
                found=repr(value),
                expected="a number or NA",
                remedy="Download or make the file again.",
            )
    return None


def _checked(path: str, parts: list[_Part]) -> Covariances:
    rows = np.cumsum([0, *(len(part.values) for part in parts)])
    genes, offsets = _genes(parts, rows)
    repeated = next((gene for gene, count in Counter(genes).items() if count > 1), None)
    if repeated is not None:
        raise InputError(
            f"the rows of gene {repeated} are not contiguous",
            path=path,
            remedy="Sort the file by gene, and check that it was not put together from overlapping parts.",
        )
    snps, codes = _codes([*(part.run_ids for part in parts), *(part.second for part in parts)])
    of_runs, id2 = codes[: len(parts)], codes[len(parts) :]
    id1 = [
        np.repeat(run, np.diff(part.run_starts, append=len(part.values)))
        for run, part in zip(of_runs, parts, strict=True)
    ]
    none = np.empty(0, np.int32)
    values = np.concatenate([part.values for part in parts] or [np.empty(0)])
    result = Covariances(
        path, genes, offsets, snps, np.concatenate(id1 or [none]), np.concatenate(id2 or [none]), values
    )
    _refuse_bad_cells(result)
    _refuse_repeats(result)
    return result


def _genes(parts: list[_Part], rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Genes of all parts in file order, and where their rows begin and the last ones end."""
    genes: list[str] = []
    starts = []
    for part, base in zip(parts, rows[:-1], strict=True):
        goes_on = int(bool(genes) and part.genes[:1] == genes[-1:])  # the gene at the end of the part before
        genes += part.genes[goes_on:]
        starts.append(part.gene_starts[goes_on:] + base)
    return genes, np.concatenate([*starts, rows[-1:]]).astype(np.int64)


def _codes(chunks: list[pa.DictionaryArray]) -> tuple[pa.Array, list[np.ndarray]]:
    """One vocabulary for all arrays, and each of them as int32 codes into it."""
    if not chunks:
        return pa.nulls(0, pa.string()), []
    unified = pa.chunked_array(chunks).unify_dictionaries()
    return unified.chunk(0).dictionary, [chunk.indices.to_numpy() for chunk in unified.chunks]


def _pair(table: Covariances, row: int) -> tuple[str, str]:
    """Gene and SNP pair of a row, for messages."""
    gene = table.genes[int(np.searchsorted(table.offsets, row, side="right")) - 1]
    return gene, f"{table.snps[int(table.id1[row])]} and {table.snps[int(table.id2[row])]}"


def _refuse_bad_cells(table: Covariances) -> None:
    infinite = np.flatnonzero(np.isinf(table.values))
    if len(infinite):
        gene, snps = _pair(table, int(infinite[0]))
        raise InputError(
            f"the covariance of {snps} in gene {gene} is infinite", path=table.path, column="VALUE"
        )
    empty = table.snps.index("").as_py()
    if empty >= 0:
        row = int(np.argmax((table.id1 == empty) | (table.id2 == empty)))
        raise InputError(f"a row of gene {_pair(table, row)[0]} has an empty SNP id", path=table.path)
    if "" in table.genes:
        raise InputError("a row has an empty gene id", path=table.path, column="GENE")


def _runs(table: Covariances) -> Runs:
    rows, gene_starts = len(table.id1), table.offsets[:-1]
    begins = np.empty(rows, dtype=bool)
    begins[:1] = True
    np.not_equal(table.id1[1:], table.id1[:-1], out=begins[1:])
    begins[gene_starts] = True
    starts = np.flatnonzero(begins)
    runs, lengths = np.arange(len(starts), dtype=np.int32), np.diff(starts, append=rows)
    of_row = np.repeat(runs, lengths)
    partner = np.arange(rows, dtype=np.int32)
    partner += np.repeat(runs - starts.astype(np.int32), lengths)
    behind = np.append(np.searchsorted(starts, gene_starts[1:]), len(starts))  # first run of the next gene
    fits = partner < np.repeat(behind[: len(gene_starts)].astype(np.int32), np.diff(table.offsets))
    if not fits.all():
        partner[~fits] = 0
    fits &= table.id1[starts][partner] == table.id2
    if not fits.all():
        partner[~fits] = -1
    return Runs(starts, of_row, partner)


def _is_triangle(table: Covariances) -> bool:
    """Whether every row is of an upper triangle whose SNPs are all different, so that no pair can repeat."""
    runs = table.runs
    if np.any(runs.partner < 0):
        return False
    gene = np.repeat(np.arange(len(table.genes)), np.diff(table.offsets))[runs.starts]
    key = np.sort(gene * max(len(table.snps), 1) + table.id1[runs.starts])
    return not np.any(key[1:] == key[:-1])


def _refuse_repeats(table: Covariances) -> None:
    if _is_triangle(table):
        return
    low = np.minimum(table.id1, table.id2).astype(np.int64)
    high = np.maximum(table.id1, table.id2).astype(np.int64)
    gene = np.repeat(np.arange(len(table.genes)), np.diff(table.offsets))
    size = max(len(table.snps), 1)
    if len(table.genes) * size**2 < 2**63:
        key = (gene * size + low) * size + high
    else:  # so many ids that the triple does not fit: number the pairs first
        key = gene * len(low) + np.unique(low * size + high, return_inverse=True)[1]
    ordered = np.sort(key)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return
    rows = np.flatnonzero(np.isin(key, again))
    key, first, values = key[rows], table.id1[rows], table.values[rows]

    order = np.lexsort((values, first, key))  # NaN sorts last, so equal rows are neighbours
    a, b = order[:-1], order[1:]
    value_a, value_b = values[a], values[b]
    same_value = (value_a == value_b) | (np.isnan(value_a) & np.isnan(value_b))
    _refuse(table, rows[b[(key[a] == key[b]) & (first[a] == first[b]) & same_value]], "is repeated")

    order = np.lexsort((values, key))
    a, b = order[:-1], order[1:]
    apart = np.abs(values[a] - values[b]) > _ROUNDING * np.maximum(np.abs(values[a]), np.abs(values[b]))
    _refuse(table, rows[b[(key[a] == key[b]) & apart]], "is given twice with different values")


def _refuse(table: Covariances, rows: np.ndarray, what: str) -> None:
    if len(rows):
        gene, snps = _pair(table, int(rows.min()))
        raise InputError(
            f"the covariance of {snps} in gene {gene} {what}",
            path=table.path,
            remedy="Remove the surplus rows; nothing says which is right.",
        )
