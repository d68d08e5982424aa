"""The byte loop behind the fast way of reading: lines, cells, wanted rows and fingerprint in one pass.

In: a block of whole lines as bytes, where its columns are, and either a table of wanted identifiers or the
numbers of the wanted lines. Out, in arrays of the caller: where the cells of wanted rows begin and end,
counts, and a running fingerprint of the columns that identify a row.

Separators are found 64 bytes at a time: a vector comparison gives one bit per byte, and the loop goes from
bit to bit (as Langdale and Lemire do, VLDB Journal 28:941 (2019), doi:10.1007/s00778-019-00578-5).

What runs for every row takes few arrays and returns in one place: otherwise numba counts references to them.
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
_WAITING = 64  # rows that are looked up together
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
def _first_word(data: Bytes, place: Any, stop: Any) -> Any:
    """The first eight bytes of data[place:stop] as uint64, zeros above if there are fewer."""
    return word_at(data, place) if place + 8 <= stop else _short_word(data, place, stop)


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
def _begin_of(column: Any, begin: Any, ends: Array, row: Any) -> Any:
    """Where a cell begins, in a line that begins at `begin` and whose cells end at ends[row]."""
    return begin if column == 0 else ends[row, column - 1] + 1


@compiled
def _mixed(data: Bytes, begin: Any, ends: Array, row: Any, spans: Array, one: Any, two: Any) -> Any:
    """Take the columns `spans` of a line into two independent running hashes."""
    for i in range(len(spans)):
        place, stop = _begin_of(spans[i, 0], begin, ends, row), ends[row, spans[i, 1]]
        size = np.uint64(stop - place)
        one, two = (one ^ size) * _K1, (two + size) * _K2
        while place < stop:
            word = _first_word(data, place, stop)
            one, two = (one ^ word) * _K1, (two + word) * _K2
            one ^= one >> _HALF
            two ^= two >> _HALF
            place += 8
    return one, two


@compiled
def _has_room(word: Any, names: Array, state: Array) -> bool:
    """Remember the name of a chromosome; False where there is no room for it."""
    known = state[CHROMOSOMES]
    at = 0
    while at < known and names[at] != word:
        at += 1
    if at == known < len(names):
        names[at] = word
        state[CHROMOSOMES] = at + 1
    return at < len(names)


@compiled
def _odd_blanks(newline: Any, cut: Any, before: Any, separated: Any) -> bool:
    """Whether there are runs of separators, or separators at an end of a line, in 64 bytes.

    `before` is 1 if the byte before them is a separator or ends a line, `separated` if it is a separator.
    """
    return (cut & (((newline | cut) << _ONE) | before)) | (newline & ((cut << _ONE) | separated)) != 0


@compiled
def _record(
    data: Bytes, begin: Any, ends: Array, row: Any, take: Array, kept: Any, cells: Array, numbers: Array
) -> None:
    """Write down where the cells of a wanted row are, and the numbers in them."""
    for i in range(len(take)):
        place, stop = _begin_of(take[i, 0], begin, ends, row), ends[row, take[i, 0]]
        cells[kept, 2 * i], cells[kept, 2 * i + 1] = place, stop
        if take[i, 1]:
            numbers[i, kept] = number_of(data, place, stop)


@compiled
def _settle(
    data: Bytes, waiting: Any, queue: Any, column: Any, table: Any, take: Array, kept: Any, out: Any
) -> Any:
    """Record those of the waiting rows that are wanted; returns how many rows are recorded now.

    Looked up together, the processor waits for many places of the table at a time. The bit set, which mostly
    is in its cache, answers most no, the first slot most of the rest.

    Parameters
    ----------
    queue : of each row where it begins, where its cells end, its line and hash, and room to sort rows.
    column : of the identifier. out : lines, cells and numbers of `scan_lines`.
    """
    begins, ends, numbered, hashes, maybe = queue
    present, slots, id_bytes, id_ends = table
    lines, cells, numbers = out
    bits, last = np.uint64(len(present) * 64 - 1), np.uint64(len(slots) - 1)
    found: Any = 0
    likely: Any = 0
    for row in range(waiting):
        bit = (hashes[row] >> _MIDDLE) & bits
        maybe[found] = row
        found += np.int64((present[bit >> _SIX] >> (bit & _LAST_SIX)) & _ONE)
    for i in range(found):
        row = maybe[i]
        maybe[likely] = row
        likely += slots[hashes[row] & last] != 0
    for i in range(likely):
        row = maybe[i]
        place, stop = _begin_of(column, begins[row], ends, row), ends[row, column]
        if slots[_slot_of(data, place, stop, hashes[row], slots, id_bytes, id_ends)]:
            lines[kept] = numbered[row]
            _record(data, begins[row], ends, row, take, kept, cells, numbers)
            kept += 1
    return kept


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
    ends, begins = np.empty((_WAITING, width + 1), np.int64), np.empty(_WAITING, np.int64)
    numbered, hashes, maybe = np.empty_like(begins), np.empty(_WAITING, np.uint64), np.empty_like(begins)
    queue, out, newest = (begins, ends, numbered, hashes, maybe), (lines, cells, numbers), ~np.uint64(0)
    line, picked, row, malformed, kept, passed = state[LINES], state[PICKED], 0, 0, 0, 0
    begin, found, waiting, returns, stripped = 0, 0, 0, 0, 0
    one, two, before, separated = marks[0], marks[1], _ONE, np.uint64(0)  # what precedes ends a line
    for base in range(0, len(data), LANES):
        chunk, place, valid = data, base, ~np.uint64(0)
        if base + LANES > len(data):
            chunk, place, valid = tail, 0, (_ONE << np.uint64(len(data) - base)) - _ONE
        newline, cut = equal(chunk, place, _LF), equal(chunk, place, separator)
        mask, back = newline | cut, equal(chunk, place, _CR)
        returns += bits_set(back)
        if blanks:
            other = at_most(chunk, place, _SPACE) & valid != mask | back  # white space of another kind
            if other or _odd_blanks(newline, cut, before, separated):
                return False
            before, separated = mask >> _LAST_SIX, cut >> _LAST_SIX
        while mask:
            bit, mask = lowest_bit(mask), mask & (mask - _ONE)
            stop = base + bit
            ends[waiting, min(found, width)] = stop
            found += 1
            if not (newline >> np.uint64(bit)) & _ONE:
                continue
            following = stop + 1
            if returns and stop > begin and data[stop - 1] == _CR:
                stop -= 1
                stripped += 1
                if blanks and data[stop - 1] == separator:
                    return False  # a blank at the end of the line, once the carriage return is gone
            if found != width:
                blank = found == 1 and stop == begin
                malformed += not blank
                word = _BLANK_LINE if blank else _MALFORMED_LINE
                one, two = (one ^ word) * _K1, (two + word) * _K2
            else:
                ends[waiting, width - 1] = stop
                one, two = _mixed(data, begin, ends, waiting, spans, one, two)
                if rules[5]:
                    if picked < len(picks) and picks[picked] == line:
                        lines[kept] = line
                        _record(data, begin, ends, waiting, take, kept, cells, numbers)
                        kept += 1
                        picked += 1
                else:
                    place, stop = _begin_of(rules[3], begin, ends, waiting), ends[waiting, rules[3]]
                    if len(ids):
                        ids[row, 0], ids[row, 1] = place, stop
                    begins[waiting], numbered[waiting] = begin, line
                    hashes[waiting] = hash_text(data, place, stop)
                    if rules[4] >= 0:
                        place, stop = _begin_of(rules[4], begin, ends, waiting), ends[waiting, rules[4]]
                        before_it, newest = newest, _first_word(data, place, stop)
                        if stop - place > 8 or not (newest == before_it or _has_room(newest, names, state)):
                            return False  # chromosomes with long names, or very many
                    waiting += 1
                row += 1
            line += 1
            if waiting == _WAITING or following == len(data):
                kept, waiting = _settle(data, waiting, queue, rules[3], table, take, kept, out), 0
            if line & (CHECKED_LINES - 1) == 0:
                checks[passed, 0], checks[passed, 1] = one, two
                passed += 1
            begin, found = following, 0
    marks[0], marks[1] = one, two
    state[LINES], state[PICKED] = line, picked
    state[ROWS], state[MALFORMED], state[KEPT], state[CHECKS] = row, malformed, kept, passed
    return returns == stripped  # else a carriage return ends no line
