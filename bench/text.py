"""In: columns of a table. Out: space-separated gzipped text, a chunk of rows at a time.

All BIG40 files list the same variants in the same order, so the text of the five variant columns is made once
(`Layout`) and only ``beta se pval(-log10)`` are written anew for each trait.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CHUNK", "LEVEL", "Layout", "write_gwas", "write_table"]

HEADER = "chr rsid pos a1 a2 beta se pval(-log10)"
CHUNK = 500_000  # rows held as text at a time
LEVEL = 1  # of ISA-L: text becomes 2.6 times smaller, published files are 2.8 times


class Layout:
    """Text of the variant columns of all rows, in a file that is memory-mapped.

    Parameters
    ----------
    path : file to write.
    chunks : yields the five columns of some rows at a time, as Arrow strings.
    """

    def __init__(self, path: Path, chunks: Iterator[list[pa.Array]]) -> None:
        lengths = []
        with open(path, "wb") as file:
            for columns in chunks:
                ends, text = _joined(columns, "")
                file.write(text)
                lengths.append(np.diff(ends))
        self.offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        self.text = np.memmap(path, np.uint8, "r")

    def __len__(self) -> int:
        return self.offsets.size - 1


def write_gwas(
    path: Path, layout: Layout, beta: np.ndarray, se: np.ndarray, nlog10_p: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Write one trait.

    Parameters
    ----------
    beta, se, nlog10_p : float64 (rows,), written with five significant digits.

    Returns
    -------
    beta, se : float64 (rows,), exactly as a correct reader of the file parses them.
    """
    from isal import igzip

    from bench.render import LONGEST_NUMBERS, render  # loads Numba

    printed = np.empty((2, len(layout)))
    with igzip.IGzipFile(path, "wb", compresslevel=LEVEL, mtime=0) as file:
        file.write(HEADER.encode() + b"\n")
        for begin in range(0, len(layout), CHUNK):
            rows = slice(begin, min(begin + CHUNK, len(layout)))
            offsets = layout.offsets[rows.start : rows.stop + 1]
            variants = np.asarray(layout.text[offsets[0] : offsets[-1]])
            out = np.empty(variants.size + LONGEST_NUMBERS * (rows.stop - rows.start), np.uint8)
            size = render(
                variants, offsets - offsets[0], beta[rows], se[rows], nlog10_p[rows],
                printed[0, rows], printed[1, rows], out,
            )  # fmt: skip
            file.write(out[:size].data)
    return printed[0], printed[1]


def write_table(path: Path, header: str, columns: list[pa.Array]) -> None:
    """Write columns as a space-separated gzip file, header first."""
    from isal import igzip

    with igzip.IGzipFile(path, "wb", compresslevel=LEVEL, mtime=0) as file:
        file.write(header.encode() + b"\n")
        for begin in range(0, len(columns[0]), CHUNK):
            file.write(_joined([column.slice(begin, CHUNK) for column in columns], "\n")[1])


def _joined(columns: list[pa.Array], end: str) -> tuple[np.ndarray, memoryview]:
    """Rows of cells with spaces between and `end` after each: where each ends, and all their bytes."""
    large = pa.large_string()
    lines = pc.binary_join_element_wise(
        *(pc.cast(column, large) for column in columns), pa.scalar(" ", large)
    )
    if end:
        lines = pc.binary_join_element_wise(lines, pa.scalar("", large), pa.scalar(end, large))
    _, ends, data = lines.buffers()
    offsets = np.frombuffer(ends, np.int64, len(lines) + 1, lines.offset * 8)
    return offsets, memoryview(data)[offsets[0] : offsets[-1]]
