"""Maps of identifiers: text tables of which two columns name the same variant in two ways.

In: a TSV, plain or compressed, such as GTEx's lookup table (variant_id ... rs_id_dbSNP151_GRCh38p7
variant_id_b37). Out: its header, and pairs of identifiers in blocks of bounded memory. "." and the other
codes of a missing value are no identifier; a cell may list several, separated by commas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.blocks import TextRules, text_blocks
from gputwas.formats.sumstats.head import read_head
from gputwas.formats.sumstats.inflate import blocks, compression_of, read_start
from gputwas.formats.sumstats.sources import SourceFile
from gputwas.formats.sumstats.values import without_missing

__all__ = ["IdMap"]

_HEAD_BYTES = 1 << 18


class IdMap:
    """A map of identifiers, read as a stream.

    Attributes
    ----------
    path : the file. names : its columns, as written.

    Raises
    ------
    InputError : the file is missing, no table of text, or has fewer than two columns.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        file = SourceFile(path)
        try:
            self._compression = compression_of(file)
            if self._compression == "parquet":
                raise InputError("is a Parquet file", path=path, expected="a text table, plain or gzipped")
            start = read_start(file, self._compression, _HEAD_BYTES)
            whole = start[: start.rfind(b"\n") + 1] if len(start) == _HEAD_BYTES else start
            self._head = read_head(whole, path, separator=None, skip_until_header=None, parity=False)
        finally:
            file.close()
        self.names = self._head.names
        if len(self.names) < 2:
            raise InputError(
                "has one column only",
                path=path,
                line=self._head.body_line - 1,
                found=" ".join(self.names)[:200],
                expected="two columns with identifiers, separated by tabs",
            )

    def column(self, name: str, option: str) -> int:
        """Place of a column.

        Raises
        ------
        InputError : there is none, or more than one, of that name; `option` is what named it.
        """
        if (count := self.names.count(name)) != 1:
            raise InputError(
                "there is no such column" if not count else "two columns have this name",
                path=self.path,
                line=self._head.body_line - 1,
                column=name,
                found=f"the header {' '.join(self.names)!r}",
                remedy=f"Name one of them with {option}.",
            )
        return self.names.index(name)

    def blocks(self, columns: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Blocks of rows: for each of the columns a string array, null where no identifier is given."""
        file = SourceFile(self.path)
        wanted = {str(column): column for column in columns}
        try:
            stream = blocks(file, self._compression, skip=self._head.body, first_line=self._head.body_line)
            with closing(stream):  # type: ignore[type-var]
                for raw in text_blocks(stream, self._head, wanted, TextRules(), self.path):
                    yield [without_missing(raw.columns[str(column)]) for column in columns]
        finally:
            file.close()

    def pairs(self, source: int, target: int) -> Iterator[tuple[pa.Array, pa.Array]]:
        """Blocks of pairs of identifiers, string arrays of one length; lists are taken apart."""
        for one, two in self.blocks([source, target]):
            one, rows = _single(one)
            two = two.take(pa.array(rows))
            two, rows = _single(two)
            yield one.take(pa.array(rows)), two


def _single(ids: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Identifiers one by one, and the row of each; missing ones are left out."""
    rows = np.flatnonzero(np.asarray(pc.is_valid(ids)))
    ids = ids.take(pa.array(rows))
    if not pc.any(pc.match_substring(ids, ","), min_count=0).as_py():
        return ids, rows
    lists = pc.split_pattern(ids, ",")
    parents = np.asarray(pc.list_parent_indices(lists))
    apart = without_missing(pc.list_flatten(lists))
    there = np.flatnonzero(np.asarray(pc.is_valid(apart)))
    return apart.take(pa.array(there)), rows[parents[there]]
