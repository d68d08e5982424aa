"""The byte loop behind the fast way of reading: lines, cells, wanted rows and fingerprint in one pass.

In: a block of whole lines as bytes, where its columns are, and either a table of wanted identifiers or the
numbers of the wanted lines. Out, in arrays of the caller: where the cells of wanted rows begin and end,
counts, and a running fingerprint of the columns that identify a row.

Separators are found 64 bytes at a time: a vector comparison gives one bit per byte, and the loop goes from
bit to bit (as Langdale and Lemire do, VLDB Journal 28:941 (2019), doi:10.1007/s00778-019-00578-5).

This module imports numba, which takes a third of a second: only what reads many rows may import it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gputwas.formats.sumstats.scan_lanes import LANES, at_most, bits_set, compiled, equal, lowest_bit, word_at
from gputwas.formats.sumstats.scan_numbers import number_of

__all__ = [
    "CHECKED_LINES",
    "CHECKS",
    "CHROMOSOMES",
    "KEPT",
    "LINES",
    "MALFORMED",
    "PICKED",
    "ROWS",
    "hash_text",
    "insert_ids",
    "scan_lines",
]

CHECKED_LINES = 65_536
"""Lines between two checkpoints of the fingerprint; a power of two."""

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

_K1 = np.uint64(0x9E3779B97F4A7C15)
_K2 = np.uint64(0xD6E8FEB86659FD93)
_BLANK_LINE, _MALFORMED_LINE = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
_ONE, _SIX, _MIDDLE, _HALF, _LAST_SIX = (np.uint64(n) for n in (1, 6, 24, 32, 63))
_LOW = np.uint64(0xFFFFFFFF)
_LF, _CR, _SPACE = np.uint8(10), np.uint8(13), np.uint8(32)


LINES, PICKED, CHROMOSOMES, ROWS, MALFORMED, KEPT, CHECKS = range(7)
"""Places in the array `state` of `scan_lines`: of the file so far lines, used picks and names of chromosomes;
of the block well-formed rows, rows with another number of cells, wanted rows, and checkpoints passed."""


@compiled
def _short_word(data: Bytes, place: Any, stop: Any) -> Any:
    """The fewer than eight bytes of data[place:stop] as uint64, zeros above."""
    if place + 8 <= len(data):
        return word_at(data, place) & ((_ONE << np.uint64(8 * (stop - place))) - _ONE)
    word = np.uint64(0)
    for i in range(stop - place):
        word |= np.uint64(data[place + i]) << np.uint64(8 * i)
    return word


@compiled
def hash_text(data: Bytes, place: Any, stop: Any) -> Any:
    """64-bit hash of the bytes data[place:stop]."""
    h = _K1 ^ np.uint64(stop - place)
    while place + 8 <= stop:
        h = (h ^ word_at(data, place)) * _K2
        h ^= h >> _HALF
        place += 8
    h = (h ^ _short_word(data, place, stop)) * _K1
    return h ^ (h >> _HALF)


@compiled
def _same(one: Bytes, at: Any, other: Bytes, begin: Any, size: Any) -> bool:
    """Whether one[at:at + size] are the bytes other[begin:begin + size]."""
    for i in range(size):  # noqa: SIM110 (the loop is compiled)
        if one[at + i] != other[begin + i]:
            return False
    return True


@compiled
def _slot_of(
    data: Bytes, place: Any, stop: Any, h: Any, slots: Array, id_bytes: Bytes, id_ends: Array
) -> Any:
    """Slot that holds the identifier data[place:stop] with hash h, or the free one where it would go."""
    last = np.uint64(len(slots) - 1)
    at = h & last
    while slots[at]:
        if slots[at] >> _HALF == h >> _HALF:
            which = slots[at] & _LOW
            begin = id_ends[which - _ONE]
            size = id_ends[which] - begin
            if size == stop - place and _same(data, place, id_bytes, begin, size):
                return at
        at = (at + _ONE) & last
    return at


@compiled
def insert_ids(id_bytes: Bytes, id_ends: Array, valid: Array, present: Array, slots: Array) -> None:
    """Fill the table of identifiers.

    Parameters
    ----------
    id_bytes : uint8, all identifiers one after the other. id_ends : int64 (ids + 1,), where each begins, and
        the end. valid : bool (ids,), those to insert.
    present : uint64 (a power of two,), zeros: becomes a bit set of some bits of the hashes.
    slots : uint64 (a power of two above ids,), zeros: becomes an open-addressing table; the upper half of the
        hash, and in the lower half the number of the identifier, from 1.
    """
    bits = np.uint64(len(present) * 64 - 1)
    for i in range(len(valid)):
        if valid[i]:
            h = hash_text(id_bytes, id_ends[i], id_ends[i + 1])
            bit = (h >> _MIDDLE) & bits
            present[bit >> _SIX] |= _ONE << (bit & _LAST_SIX)
            at = _slot_of(id_bytes, id_ends[i], id_ends[i + 1], h, slots, id_bytes, id_ends)
            if not slots[at]:
                slots[at] = (h >> _HALF) << _HALF | np.uint64(i + 1)


@compiled
def _is_wanted(data: Bytes, place: Any, stop: Any, table: Any) -> Any:
    """Whether data[place:stop] is in the table; the bit set, which stays in the cache, answers most no."""
    present, slots, id_bytes, id_ends = table
    h = hash_text(data, place, stop)
    bit = (h >> _MIDDLE) & np.uint64(len(present) * 64 - 1)
    if not (present[bit >> _SIX] >> (bit & _LAST_SIX)) & _ONE:
        return False
    return slots[_slot_of(data, place, stop, h, slots, id_bytes, id_ends)] != 0


@compiled
def _begin_of(column: Any, begin: Any, ends: Array) -> Any:
    """Where a cell begins, in a line that begins at `begin` and whose cells end at `ends`."""
    return begin if column == 0 else ends[column - 1] + 1


@compiled
def _mixed(data: Bytes, begin: Any, ends: Array, spans: Array, one: Any, two: Any) -> Any:
    """Take the columns `spans` of a line into two independent running hashes."""
    for i in range(len(spans)):
        place, stop = _begin_of(spans[i, 0], begin, ends), ends[spans[i, 1]]
        size = np.uint64(stop - place)
        one, two = (one ^ size) * _K1, (two + size) * _K2
        while place < stop:
            word = word_at(data, place) if place + 8 <= stop else _short_word(data, place, stop)
            one, two = (one ^ word) * _K1, (two + word) * _K2
            one ^= one >> _HALF
            two ^= two >> _HALF
            place += 8
    return one, two


@compiled
def _has_room(data: Bytes, place: Any, stop: Any, names: Array, state: Array) -> bool:
    """Remember the chromosome data[place:stop]; False where that cannot be done."""
    if stop - place > 8:
        return False
    word = _short_word(data, place, stop) if stop - place < 8 else word_at(data, place)
    known = state[CHROMOSOMES]
    for i in range(known - 1, -1, -1):
        if names[i] == word:
            return True
    if known == len(names):
        return False
    names[known] = word
    state[CHROMOSOMES] = known + 1
    return True


@compiled
def _record(data: Bytes, begin: Any, ends: Array, take: Array, cells: Array, numbers: Array) -> None:
    """Write down where the cells of a wanted row are, and the numbers in them."""
    for i in range(len(take)):
        place, stop = _begin_of(take[i, 0], begin, ends), ends[take[i, 0]]
        cells[2 * i], cells[2 * i + 1] = place, stop
        if take[i, 1]:
            numbers[i] = number_of(data, place, stop)


@compiled
def scan_lines(
    data: Bytes, tail: Bytes, rules: Array, take: Array, spans: Array, table: Any, picks: Array,
    state: Array, marks: Array, names: Array, ids: Array, lines: Array, cells: Array, numbers: Array,
    checks: Array,
) -> bool:  # fmt: skip
    """Go through the lines of a block.

    Parameters
    ----------
    data : uint8 (bytes,), whole lines. tail : uint8 (64,), the last bytes % 64 of them, then zeros.
    rules : int64 (6,): separator; 1 if every byte up to a blank counts as white space; cells of a row; column
        of the identifier; column of the chromosome or -1; 1 if `picks` say which rows are wanted.
    take : int64 (columns, 2), columns whose places are given back, and 1 for those that are numbers.
    spans : int64 (spans, 2), first and last column of each run of columns in the fingerprint.
    table : present, slots, id_bytes, id_ends, see `insert_ids`.
    picks : int32, ascending: the wanted lines, counted from 0 through the file.
    state : int64 (7,), see the constants. marks : uint64 (2,), the running fingerprint.
    names : uint64, chromosomes seen so far, of up to eight bytes each.
    ids : int32 (rows, 2), out: begin and end of the identifier of each row; (0, 2) if it is not asked for.
    lines : int32 (rows,), out: line of each wanted row, counted as in `picks`.
    cells : int32 (rows, 2 columns), out: begin and end of the wanted rows' cells.
    numbers : float64 (columns, rows), out: the numbers in them, see `number_of`.
    checks : uint64 (checkpoints, 2), out: the fingerprint at each checkpoint.

    Returns
    -------
    Whether the block is of the plain kind; if not, what was written means nothing.
    """
    separator, blanks, width = np.uint8(rules[0]), rules[1] != 0, rules[2]
    ends = np.empty(width + 1, np.int64)  # of the cells of this line; one place for all that are too many
    one, two = marks[0], marks[1]
    line, picked, row, malformed, kept, passed = state[LINES], state[PICKED], 0, 0, 0, 0
    begin, found, returns, stripped = 0, 0, 0, 0
    before, separated = _ONE, np.uint64(0)  # what precedes the block is the end of a line
    for base in range(0, len(data), LANES):
        chunk, place, valid = data, base, ~np.uint64(0)
        if base + LANES > len(data):
            chunk, place, valid = tail, 0, (_ONE << np.uint64(len(data) - base)) - _ONE
        newline, cut = equal(chunk, place, _LF), equal(chunk, place, separator)
        mask, back = newline | cut, equal(chunk, place, _CR)
        if back:
            returns += bits_set(back)
        if blanks:
            if at_most(chunk, place, _SPACE) & valid != mask | back:
                return False  # white space of another kind
            if (cut & ((mask << _ONE) | before)) | (newline & ((cut << _ONE) | separated)):
                return False  # runs of separators, or separators at an end of a line
            before, separated = mask >> _LAST_SIX, cut >> _LAST_SIX
        while mask:
            bit = lowest_bit(mask)
            stop = base + bit
            mask &= mask - _ONE
            ends[min(found, width)] = stop
            found += 1
            if not (newline >> np.uint64(bit)) & _ONE:
                continue
            following = stop + 1
            if returns and stop > begin and data[stop - 1] == _CR:
                stop -= 1
                stripped += 1
            if found == 1 and stop == begin:
                one, two = (one ^ _BLANK_LINE) * _K1, (two + _BLANK_LINE) * _K2
            elif found != width:
                malformed += 1
                one, two = (one ^ _MALFORMED_LINE) * _K1, (two + _MALFORMED_LINE) * _K2
            else:
                if blanks and data[stop - 1] == separator:
                    return False  # the last cell is empty once the carriage return is gone
                ends[width - 1] = stop
                one, two = _mixed(data, begin, ends, spans, one, two)
                if rules[5]:
                    wanted = picked < len(picks) and picks[picked] == line
                    picked += wanted
                else:
                    place = _begin_of(rules[3], begin, ends)
                    if len(ids):
                        ids[row, 0], ids[row, 1] = place, ends[rules[3]]
                    wanted = _is_wanted(data, place, ends[rules[3]], table)
                    if rules[4] >= 0:
                        place = _begin_of(rules[4], begin, ends)
                        if not _has_room(data, place, ends[rules[4]], names, state):
                            return False  # chromosomes with long names, or very many
                if wanted:
                    lines[kept] = line
                    _record(data, begin, ends, take, cells[kept], numbers[:, kept])
                    kept += 1
                row += 1
            line += 1
            if line & (CHECKED_LINES - 1) == 0:
                checks[passed, 0], checks[passed, 1] = one, two
                passed += 1
            begin, found = following, 0
    marks[0], marks[1] = one, two
    state[LINES], state[PICKED] = line, picked
    state[ROWS], state[MALFORMED], state[KEPT], state[CHECKS] = row, malformed, kept, passed
    return returns == stripped  # else a carriage return ends no line
