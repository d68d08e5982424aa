"""Decimal numbers from bytes, for code compiled with numba.

In: bytes and where a cell begins and ends. Out: the float64 that is nearest to the number written there, or
NaN where finding it takes more than this.

This module imports numba, see `scan_lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gputwas.formats.sumstats.scan_lanes import compiled, lowest_bit, word_at

__all__ = ["number_of"]

Bytes = npt.NDArray[np.uint8]

_MINUS, _PLUS, _POINT, _ZERO, _SPACE, _LETTER_E = (np.uint8(ord(c)) for c in "-+.0 e")
_TEN, _EXACT = np.uint64(10), np.uint64(1 << 53)
_ZEROS, _UP_TO_NINE, _TOP_BITS = (np.uint64(byte * 0x0101010101010101) for byte in (0x30, 0x76, 0x80))
_EVERY_FOURTH = np.uint64(0x000000FF000000FF)
_HIGH_PAIRS = np.uint64(100 + (1_000_000 << 32))
_LOW_PAIRS = np.uint64(1 + (10_000 << 32))
_TENS = np.array([10**n for n in range(9)], np.uint64)
_POWERS = np.array([10.0**n for n in range(23)])


@compiled
def _eight_digits(word: Any) -> Any:
    """The number of eight digits, as values of bytes from the lowest to the highest.

    Neighbours are joined to pairs, pairs to fours and fours to eight by one multiplication each; see Lemire,
    Software: Practice and Experience 51:1700 (2021), doi:10.1002/spe.2984.
    """
    word = word * _TEN + (word >> np.uint64(8))
    high, low = (word & _EVERY_FOURTH) * _HIGH_PAIRS, ((word >> np.uint64(16)) & _EVERY_FOURTH) * _LOW_PAIRS
    return (high + low) >> np.uint64(32)


@compiled
def _digits(data: Bytes, at: Any, stop: Any, value: Any) -> Any:
    """Go over digits from `at` on; returns where they end and value * 10^digits + what they say.

    The cell ends at `stop`, where there is no digit.
    """
    while at + 8 <= len(data):
        word = word_at(data, at) ^ _ZEROS
        others = ((word + _UP_TO_NINE) | word) & _TOP_BITS  # the lowest of these bits is right
        if not others:
            value = value * _TENS[8] + _eight_digits(word)
            at += 8
            continue
        count = lowest_bit(others) >> 3
        if count:
            value = value * _TENS[count] + _eight_digits(word << np.uint64(64 - 8 * count))
        return at + count, value
    while at < stop and np.uint8(data[at] - _ZERO) < 10:
        value = value * _TEN + np.uint64(np.uint8(data[at] - _ZERO))
        at += 1
    return at, value


@compiled
def _power(data: Bytes, at: Any, stop: Any) -> Any:
    """The exponent that begins at `at`; its end is -1 if there is none."""
    down = at < stop and data[at] == _MINUS
    if at < stop and (down or data[at] == _PLUS):
        at += 1
    end, power = _digits(data, at, stop, np.uint64(0))
    if end == at or end > at + 6:
        return np.int64(-1), np.int64(0)
    return end, (-np.int64(power) if down else np.int64(power))


@compiled
def number_of(data: Bytes, at: Any, stop: Any) -> Any:
    """Read data[at:stop] as a number: -12.5e-3 and the like.

    With at most 53 bits of digits and a power of ten up to 22 both are exact in float64, so that one division
    or product rounds correctly (Clinger, PLDI 1990, doi:10.1145/93542.93557). All else is NaN: a number with
    more digits, a missing code, text.
    """
    negative = at < stop and data[at] == _MINUS
    if negative:
        at += 1
    end, value = _digits(data, at, stop, np.uint64(0))
    if end == at:
        return np.nan
    digits, scale = end - at, np.int64(0)
    if end < stop and data[end] == _POINT:
        at = end + 1
        end, value = _digits(data, at, stop, value)
        if end == at:
            return np.nan
        scale = at - end
        digits -= scale
    if end < stop and data[end] | _SPACE == _LETTER_E:
        end, power = _power(data, end + 1, stop)
        scale += power
    if end != stop or digits > 19 or value > _EXACT or (value and not -22 <= scale <= 22):
        return np.nan
    size = np.float64(value)
    if value and scale:
        size = size * _POWERS[scale] if scale > 0 else size / _POWERS[-scale]
    return -size if negative else size
