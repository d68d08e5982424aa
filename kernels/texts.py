"""A table of texts that many others are looked up in, see texts.c.

In: texts as bytes, one after the other, and where each begins. Out: a `TextTable`, and pairs of a text and
one of the table that is equal; or numbers for texts, the same for equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gputwas.kernels.library import INTEGER, array, filled, of_library

__all__ = ["NO_TEXTS", "Names", "TextTable", "number_texts"]

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_BITS_PER_TEXT = 8  # of the bit set, or up to twice as many: it lets 6 to 12 % of strangers through
_SLOTS_PER_TEXT = 2
_SMALLEST = 64
_MOST = (1 << 31) - 1

_i4, _i8, _u1, _u8 = np.int32, np.int64, np.uint8, np.uint64
_fill_table = of_library(
    "fill_table", INTEGER, array(_u1), INTEGER, array(_i8), array(np.bool_), INTEGER, filled(_u8), INTEGER,
    filled(_u8), filled(_i4), returns=INTEGER,
)  # fmt: skip
_find_texts = of_library(
    "find_texts", INTEGER, array(_u8), INTEGER, array(_u8), array(_u1), array(_i8), array(_i4), INTEGER,
    array(_u1), INTEGER, array(_i8), INTEGER, filled(_i8), filled(_i8), returns=INTEGER,
)  # fmt: skip
_number_texts = of_library(
    "number_texts", INTEGER, array(_u1), INTEGER, array(_i8), INTEGER, filled(_u8), filled(_i4), filled(_i8),
    returns=INTEGER,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Names:
    """Texts one after the other: uint8 (bytes,), and int64 (texts + 1,), where each begins, and the end."""

    text: Bytes
    ends: Numbers

    def check(self) -> None:
        """Refuse what would lead outside the bytes."""
        text, ends = self.text, self.ends
        if ends[0] < 0 or ends[-1] > len(text) or (ends[1:] < ends[:-1]).any():
            raise ValueError(f"{len(ends) - 1} texts do not lie within {len(text)} bytes")


def number_texts(text: Bytes, ends: Numbers) -> tuple[npt.NDArray[np.int32], Numbers]:
    """Number texts, given as to `TextTable`, in the order in which different ones first appear.

    Returns
    -------
    int32 (texts,), the same number for equal texts; int64 (numbers,), the first text of each.
    """
    Names(text, ends).check()
    count = len(ends) - 1
    if count > _MOST:
        raise ValueError(f"{count} texts, at most {_MOST}")
    slots = np.zeros(_power_of_two(count * _SLOTS_PER_TEXT), _u8)
    numbers, first = np.empty(count, _i4), np.empty(count, _i8)
    different = _number_texts(count, text, len(text), ends, len(slots), slots, numbers, first)
    return numbers, first[:different]


@dataclass(frozen=True, eq=False)
class TextTable:
    """Texts that others can be looked up in. The answer is exact: what a hash finds is compared byte by byte.

    Attributes
    ----------
    present : uint64 (a power of two,), a bit set of some bits of the hashes.
    slots : uint64 (a power of two above texts,), open addressing; 0 = free, else half of a hash, and in the
        lower half the number of the first of the texts that are equal, from 1.
    text : uint8, all texts one after the other. ends : int64 (texts + 1,), where each begins, and the end.
    following : int32 (texts,), the next text that is equal, -1 = none.
    repeats : texts that are equal to one before.
    """

    present: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.uint64]
    text: Bytes
    ends: Numbers
    following: npt.NDArray[np.int32]
    repeats: int

    @classmethod
    def of(cls, text: Bytes, ends: Numbers, valid: npt.NDArray[np.bool_]) -> TextTable:
        """The table of those texts that are valid, bool (texts,)."""
        Names(text, ends).check()
        count = len(ends) - 1
        if len(valid) != count or count > _MOST:
            raise ValueError(f"{count} texts, {len(valid)} marks of which are valid; at most {_MOST}")
        present = np.zeros(_power_of_two(count * _BITS_PER_TEXT) // 64, _u8)
        slots = np.zeros(_power_of_two(count * _SLOTS_PER_TEXT), _u8)
        following = np.empty(count, _i4)
        repeats = _fill_table(
            count, text, len(text), ends, valid, len(present), present, len(slots), slots, following
        )
        return cls(present, slots, text, ends, following, repeats)

    def find(self, text: Bytes, ends: Numbers) -> tuple[Numbers, Numbers]:
        """Pair texts, given as the table's are, with those of the table.

        Returns
        -------
        rows, found : int64 (pairs,), ascending by row, then by number in the table. A text that is k times in
            the table appears k times, one that is not there not at all.
        """
        Names(text, ends).check()
        room = len(ends) - 1
        while True:
            rows, found = np.empty(room, _i8), np.empty(room, _i8)
            pairs = _find_texts(
                len(self.present), self.present, len(self.slots), self.slots, self.text, self.ends,
                self.following, len(ends) - 1, text, len(text), ends, room, rows, found,
            )  # fmt: skip
            if pairs <= room:
                return rows[:pairs], found[:pairs]
            room = pairs


def _power_of_two(least: int) -> int:
    return 1 << (max(least, _SMALLEST) - 1).bit_length()


NO_TEXTS = TextTable(
    np.zeros(1, _u8), np.zeros(1, _u8), np.zeros(1, _u1), np.zeros(1, _i8), np.zeros(0, _i4), 0
)
"""A table in which nothing is found."""
