"""In: numbers of a chunk of GWAS rows. Out: its bytes as text, and the numbers as a reader parses them.

Formatting three numbers a row is most of the cost of writing a GWAS file, so it is compiled. Importing this
module loads Numba.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["LONGEST_NUMBERS", "render"]

LONGEST_NUMBERS = 48  # bytes of " beta se p\n"
DIGITS = 5
SPACE, MINUS, PLUS, POINT, ZERO, EXPONENT, NEWLINE = b" -+.0e\n"


@numba.njit(cache=True)
def _mantissa(digits, length, before, out, at):  # type: ignore[no-untyped-def]
    """Write `length` decimal digits with a point after the first `before`; give the next place."""
    for k in range(length):
        if k == before:
            out[at] = POINT
            at += 1
        out[at] = ZERO + digits // 10 ** (length - 1 - k) % 10
        at += 1
    return at


@numba.njit(cache=True)
def _number(value, out, at):  # type: ignore[no-untyped-def]
    """Write a space and `value` as "%.5g" does; give the next place and the number written.

    The number is that of a correctly rounding reader for values between 1e-17 and 1e22.
    """
    out[at] = SPACE
    at += 1
    if value == 0.0:
        out[at] = ZERO
        return at + 1, 0.0
    size = abs(value)
    if value < 0:
        out[at] = MINUS
        at += 1
    exponent = int(np.floor(np.log10(size)))
    digits = int(np.rint(size * 10.0 ** (DIGITS - 1 - exponent)))
    if digits >= 10**DIGITS:
        digits, exponent = digits // 10, exponent + 1
    shift = DIGITS - 1 - exponent
    written = digits / 10.0**shift if shift >= 0 else digits * 10.0**-shift
    length = DIGITS
    while length > 1 and digits % 10 == 0:
        digits, length = digits // 10, length - 1
    if exponent < -4 or exponent >= DIGITS:
        at = _mantissa(digits, length, 1, out, at)
        out[at], out[at + 1] = EXPONENT, MINUS if exponent < 0 else PLUS
        at = _mantissa(abs(exponent), 2 if abs(exponent) < 100 else 3, 3, out, at + 2)
    elif exponent < 0:
        out[at], out[at + 1] = ZERO, POINT
        for k in range(-exponent - 1):
            out[at + 2 + k] = ZERO
        at = _mantissa(digits, length, length, out, at + 1 - exponent)
    else:
        while length < exponent + 1:
            digits, length = digits * 10, length + 1
        at = _mantissa(digits, length, exponent + 1, out, at)
    return at, -written if value < 0 else written


@numba.njit(cache=True)
def render(variants, offsets, beta, se, p, beta_printed, se_printed, out):  # type: ignore[no-untyped-def]
    """Write rows of text; give the number of bytes.

    Parameters
    ----------
    variants : uint8, text of the variant columns; offsets : int64 (rows + 1,), where each row's begins.
    beta, se, p : float64 (rows,). beta_printed, se_printed : float64 (rows,), filled with what was written.
    out : uint8, room for the text and `LONGEST_NUMBERS` a row.
    """
    at = 0
    for row in range(offsets.size - 1):
        for k in range(offsets[row], offsets[row + 1]):
            out[at] = variants[k]
            at += 1
        at, beta_printed[row] = _number(beta[row], out, at)
        at, se_printed[row] = _number(se[row], out, at)
        at, _ = _number(p[row], out, at)
        out[at] = NEWLINE
        at += 1
    return at
