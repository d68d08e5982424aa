"""The rows of a table from the pages of an SQLite file, see pages.c.

In: the bytes of the file, the table's root page, and of the columns of a record which are wanted. Out: texts
and numbers of those columns, in the order of the row ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gputwas.kernels.library import INTEGER, addresses, array, filled, of_library

__all__ = ["NUMBER", "TEXT", "UNWANTED", "Texts", "read_pages"]

UNWANTED, TEXT, NUMBER = range(3)
_MOST_BYTES = (1 << 31) - 1
_MOST_COLUMNS = 2000  # as SQLite itself, unless it is compiled with a higher limit
_SMALLEST_PAGE, _SMALLEST_USABLE = 512, 480

_i4, _i8, _u1, _u8 = np.int32, np.int64, np.uint8, np.uint64
_read_pages = of_library(
    "read_pages", array(_u1), INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, array(_i8), INTEGER, array(_u8),
    array(_u8), array(_u8), filled(_i8), returns=INTEGER,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts one after the other: uint8 (bytes,), and int32 (texts + 1,), where each begins, and the end."""

    text: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int32]


def read_pages(
    data: npt.NDArray[np.uint8], page_size: int, reserved: int, root: int, kinds: Sequence[int]
) -> list[Texts | npt.NDArray[np.float64]] | None:
    """Whole columns of a table with row ids.

    Parameters
    ----------
    data : uint8 (bytes,), the file; it may be damaged in any way.
    page_size, reserved : bytes of a page, and those at its end that are not used.
    root : number of the table's root page, from 1.
    kinds : for each column of a record `UNWANTED`, `TEXT` or `NUMBER`; columns behind the last that is wanted
        may be left away.

    Returns
    -------
    Of each wanted column its texts, which need not be valid UTF-8, or float64 (rows,). None if the table is
    not plain: a wanted cell is NULL, of the other kind, missing, no finite number, an integer that float64
    does not hold, or in a row that goes on in further pages; or if the file is damaged.
    """
    if page_size < _SMALLEST_PAGE or not 0 <= reserved <= page_size - _SMALLEST_USABLE:
        raise ValueError(f"pages of {page_size} bytes of which {reserved} are reserved")
    if not 0 < len(kinds) <= _MOST_COLUMNS:
        return None
    what, nothing = np.array(kinds, _i8), np.zeros(len(kinds), _u8)
    sizes = np.full(len(kinds), len(data))
    table = (data, len(data), page_size, page_size - reserved, root, len(kinds), what)
    rows = _read_pages(*table, len(data), nothing, nothing, nothing, sizes)
    if rows < 0 or sizes.max(initial=0) > _MOST_BYTES:
        return None
    texts = [np.empty(sizes[i], _u1) if kind == TEXT else None for i, kind in enumerate(kinds)]
    ends = [np.zeros(rows + 1, _i4) if kind == TEXT else None for kind in kinds]
    numbers = [np.empty(rows) if kind == NUMBER else None for kind in kinds]
    behind = [None if column is None else column[1:] for column in ends]
    counted = sizes.copy()
    again = _read_pages(
        *table, rows, addresses(texts, _u1), addresses(behind, _i4), addresses(numbers, np.float64), sizes
    )
    if again != rows or (sizes != counted).any():  # the file changed meanwhile
        return None
    columns = zip(texts, ends, numbers, strict=True)
    found = [Texts(t, e) if t is not None and e is not None else n for t, e, n in columns]
    return [column for column in found if column is not None]
