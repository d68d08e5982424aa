"""Cells -> numbers: missing codes, decimal commas, and the checks that stop nonsense early.

In: Arrow strings (or numbers, from Parquet) of the rows that are kept. Out: float64 arrays where null means
missing. A cell that cannot be read raises InputError with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.detect import MISSING

__all__ = ["Cells", "check", "chromosomes", "nlog10_of", "positions", "signs", "to_float", "without_missing"]

PARITY_MISSING = frozenset(["", "na", ".", "\\n", "nan"])
"""What MetaXcan takes as missing ("NA", "\\N" and so on); compared in lower case."""

_NO_POSITION = 2.0**53  # from here on float64 skips whole numbers

_NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)([ed][+-]?\d+)?|inf(inity)?|nan)$"
_COMMA_NUMBER = r"^[-+]?\d*,\d+([eE][-+]?\d+)?$"
_THOUSANDS = r"^\d{1,3}(,\d{3})+$"


@dataclass(frozen=True)
class Cells:
    """Where some cells stand in their file.

    Attributes
    ----------
    column : name in the header. line_of : position in the array -> 1-based line.
    parity : missing codes and tolerance of MetaXcan.
    """

    path: str
    column: str
    line_of: Callable[[int], int]
    parity: bool = False

    def error(
        self, problem: str, row: int, values: pa.Array, expected: str, remedy: str | None = None
    ) -> InputError:
        """Build the error for the cell at `row`."""
        return InputError(
            problem,
            path=self.path,
            line=self.line_of(row),
            column=self.column,
            found=repr(values[row].as_py()),
            expected=expected,
            remedy=remedy,
        )


def without_missing(values: pa.Array, parity: bool = False) -> pa.Array:
    """Return strings with every missing code replaced by null; blanks around them are no part of a cell."""
    text = pc.utf8_trim_whitespace(values)
    codes = PARITY_MISSING if parity else MISSING
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(sorted(codes)))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)


def to_float(values: pa.Array, cells: Cells, *, thousands: bool = False, lenient: bool = False) -> pa.Array:
    """Return float64 with null for missing.

    Parameters
    ----------
    thousands : 33,992 is thirty-three thousand (sample sizes), not 33.992.
    lenient : text that is no number is missing instead of an error (columns no result depends on).
    """
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return _finite(pc.cast(values, pa.float64(), safe=False), cells.parity)
    try:
        return _finite(pc.cast(values, pa.float64()), cells.parity)
    except pa.ArrowInvalid:
        pass
    text = without_missing(values, cells.parity)
    try:
        return _finite(pc.cast(text, pa.float64()), cells.parity)
    except pa.ArrowInvalid:
        pass
    if thousands:
        grouped = pc.match_substring_regex(text, _THOUSANDS)
        text = pc.if_else(pc.fill_null(grouped, False), pc.replace_substring(text, ",", ""), text)
    comma = pc.fill_null(pc.match_substring_regex(text, _COMMA_NUMBER), False)
    text = pc.if_else(comma, pc.replace_substring(text, ",", "."), text)
    readable = pc.fill_null(pc.match_substring_regex(text, _NUMBER), True)
    if not lenient and not pc.all(readable, min_count=0).as_py():
        row = int(np.flatnonzero(~readable.to_numpy(zero_copy_only=False))[0])
        raise cells.error(
            "is not a number",
            row,
            values,
            "a number or a missing code: NA, ., empty",
            "Correct the cell, or check that this is the right column.",
        )
    text = pc.if_else(readable, text, pa.scalar(None, pa.string()))
    return _finite(pc.cast(pc.replace_substring_regex(text, "[dD]", "e"), pa.float64()), cells.parity)


def _finite(values: pa.Array, parity: bool) -> pa.Array:
    """NaN is missing; so is an infinity, except where MetaXcan's behaviour is wanted."""
    bad = pc.is_nan(values) if parity else pc.invert(pc.is_finite(values))
    if not pc.any(bad, min_count=0).as_py():
        return values
    return pc.if_else(bad, pa.scalar(None, pa.float64()), values)


_BOUNDED = ("p", "nlog10_p", "se", "odds_ratio")


def check(role: str, numbers: pa.Array, raw: pa.Array, cells: Cells) -> None:
    """Refuse values that cannot be of their role; nulls pass."""
    if role not in _BOUNDED or not len(numbers) - numbers.null_count:
        return
    values, name = numbers.to_numpy(zero_copy_only=False), cells.column
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    if role == "p" and (low < 0 or high > 1):
        remedy = f"If the column holds -log10 p, say so: --column nlog10_p={name}."
        raise cells.error("p is outside [0, 1]", _first_row(numbers, 0, 1), raw, "a p-value", remedy)
    if role == "nlog10_p" and low < 0:
        remedy = f"If the column holds p itself, say so: --column p={name}."
        raise cells.error("-log10 p is negative", _first_row(numbers, 0, np.inf), raw, "a value >= 0", remedy)
    if role == "se" and low < 0:
        remedy = "Check that the column is the standard error and not the effect or z."
        raise cells.error(
            "a standard error is negative", _first_row(numbers, 0, np.inf), raw, "a value > 0", remedy
        )
    if role == "odds_ratio" and low < 0:
        remedy = f"If the column holds ln(OR), say so: --column beta={name}."
        raise cells.error(
            "an odds ratio is negative", _first_row(numbers, 0, np.inf), raw, "a value > 0", remedy
        )


def _first_row(numbers: pa.Array, low: float, high: float) -> int:
    values = numbers.to_numpy(zero_copy_only=False)
    return int(np.flatnonzero((values < low) | (values > high))[0])


def nlog10_of(p: pa.Array, raw: pa.Array) -> pa.Array:
    """Return -log10 of p-values, exact also where the text is below what float64 holds (3.2e-412).

    A p printed as 0 has no known logarithm: null.
    """
    values = p.to_numpy(zero_copy_only=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = -np.log10(values)
    for row in np.flatnonzero(values < 1e-300):  # the few rows where float64 loses digits or everything
        result[row] = _nlog10_of_text(str(raw[int(row)].as_py()))
    result = np.abs(result)  # -log10(1) is -0.0
    return pa.array(result, mask=~np.isfinite(result))


def _nlog10_of_text(text: str) -> float:
    match = re.fullmatch(r"\s*\+?(\d+[.,]?\d*|[.,]\d+)(?:[eEdD]([+-]?\d+))?\s*", text)
    mantissa = float(match.group(1).replace(",", ".")) if match else 0.0
    if match is None or mantissa == 0:
        return float("nan")
    return -(float(np.log10(mantissa)) + int(match.group(2) or 0))


def signs(values: pa.Array, cells: Cells) -> pa.Array:
    """Return +1 or -1 (float64) of a column of + and -, of numbers, or of words (positive, negative)."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return pc.cast(pc.sign(values), pa.float64())
    text = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    plus = pc.is_in(text, value_set=pa.array(["+", "positive", "pos", "up", "increase"]))
    minus = pc.is_in(text, value_set=pa.array(["-", "negative", "neg", "down", "decrease"]))
    rest = pc.if_else(pc.or_(plus, minus), pa.scalar(None, pa.string()), values)
    if cells.parity:
        # MetaXcan: everything that is not a plus counts as minus; here numbers keep their own sign
        numbers = pc.fill_null(pc.sign(to_float(rest, cells, lenient=True)), -1.0)
    else:
        numbers = pc.sign(to_float(rest, cells))
    return pc.if_else(plus, 1.0, pc.if_else(minus, -1.0, numbers))


_CHROMOSOMES = {
    "23": "X",
    "24": "Y",
    "25": "X",
    "26": "MT",
    "M": "MT",
    "XY": "X",
    "PAR": "X",
    "PAR1": "X",
    "PAR2": "X",
}


def _chromosome(text: str) -> str | None:
    name = re.sub(r"^chr(om(osome)?)?_?", "", text.strip(), flags=re.IGNORECASE).upper()
    name = re.sub(r"\.0$", "", name).lstrip("0")
    return _CHROMOSOMES.get(name, name) or None


def chromosomes(values: pa.Array) -> pa.Array:
    """Return "1".."22", "X", "Y", "MT" for 01, chr1, 0X, 23 and so on; others are kept, missing is null."""
    if not pa.types.is_string(values.type):
        values = pc.cast(values, pa.string())
    coded = values.dictionary_encode()
    names = [
        None if v is None or v.lower() in MISSING else _chromosome(v) for v in coded.dictionary.to_pylist()
    ]
    return pc.take(pa.array(names, pa.string()), coded.indices)


def positions(values: pa.Array, cells: Cells) -> pa.Array:
    """Return int64 positions; 1e+06 is one million, and what is no number, or larger than any, is null."""
    if pa.types.is_integer(values.type):
        return pc.cast(values, pa.int64())
    if pa.types.is_string(values.type):
        try:
            return pc.cast(values, pa.int64())
        except pa.ArrowInvalid:
            pass
    numbers = to_float(values, cells, thousands=True, lenient=True)
    possible = pc.and_(pc.equal(pc.round(numbers), numbers), pc.less(pc.abs(numbers), _NO_POSITION))
    whole = pc.fill_null(possible, False)
    return pc.cast(pc.if_else(whole, numbers, pa.scalar(None, pa.float64())), pa.int64())
