"""z-scores of GWAS rows, from whatever statistics the file has.

In: the numeric columns of the rows of one trait. Out: one z per row, rounded to single precision, and from
which columns it came.

Parity has the order of MetaXcan, one source for the whole file: z column, else p with the sign of the
effect, else beta/se. Strict takes for every row the first of these that gives a finite number: z column,
beta/se, -log10 p, p (the last two with the sign of the effect, both inverted in log space).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gputwas.errors import InputError, UsageError
from gputwas.stats.normal import z_from_nlog10_p
from gputwas.variants.align import Mode

__all__ = ["PVALUE_FIX", "ZScores", "z_scores"]

PVALUE_FIX = 1e-50
"""Parity mode's stand-in for a p of 0, MetaXcan's default of --input_pvalue_fix."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ZScores:
    """Statistics of one trait's rows, in the orientation of the file.

    Attributes
    ----------
    z : float32 (rows,); NaN or infinite where there is none.
    sources : source ("z", "beta/se", "-log10 p", "p") -> rows whose z came from it.
    warnings : what a person must know about the numbers.
    """

    z: npt.NDArray[np.float32]
    sources: dict[str, int]
    warnings: tuple[str, ...]


def z_scores(
    columns: Mapping[str, Values], *, mode: Mode = "strict", pvalue_fix: float = PVALUE_FIX
) -> ZScores:
    """Compute the z-score of every row.

    Parameters
    ----------
    columns : role -> float64 (rows,), NaN = missing; those that the file has among z, beta (for odds ratios
        their natural logarithm), se, p, nlog10_p, sign (only the sign counts).
    mode : "parity" or "strict", see the module's first lines.
    pvalue_fix : parity mode, z from p: an infinite z (p = 0) is replaced by that of
        min(pvalue_fix, smallest p in the rows that has a finite z); 0 leaves it infinite.

    Raises
    ------
    InputError
        If the columns hold no statistic from which z can be had.
    UsageError
        If `pvalue_fix` is no probability.
    """
    if not 0 <= pvalue_fix <= 1:
        raise UsageError(f"the stand-in for p = 0 must be between 0 and 1, not {pvalue_fix}")
    if not _possible_sources(columns):
        raise _no_source(columns)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if mode == "parity":
            return _parity(columns, pvalue_fix)
        return _strict(columns)


def _possible_sources(columns: Mapping[str, Values]) -> list[str]:
    signed = "beta" in columns or "sign" in columns
    have = {
        "z": "z" in columns,
        "beta/se": "beta" in columns and "se" in columns,
        "-log10 p": signed and "nlog10_p" in columns,
        "p": signed and "p" in columns,
    }
    return [source for source, there in have.items() if there]


def _no_source(columns: Mapping[str, Values]) -> InputError:
    found = ", ".join(sorted(columns)) or "no statistic"
    if "p" in columns or "nlog10_p" in columns:
        remedy = "A p-value has no direction: name the column of the effect or its sign, --column beta=NAME."
    elif "beta" in columns:
        remedy = "Name the column of its standard error or of p, --column se=NAME or --column p=NAME."
    else:
        remedy = "Name the columns, for example --column beta=NAME --column se=NAME, or --column z=NAME."
    return InputError(
        "no z-score can be had from the columns",
        found=found,
        expected="z; or beta and se; or p (or -log10 p) and beta, odds ratio or sign",
        remedy=remedy,
    )


def _parity(columns: Mapping[str, Values], pvalue_fix: float) -> ZScores:
    possible = _possible_sources(columns)
    source = next(s for s in ("z", "p", "beta/se", "-log10 p") if s in possible)
    warnings: tuple[str, ...] = ()
    if source == "z":
        z = columns["z"]
    elif source == "p":
        z, warnings = _parity_from_p(columns["p"], _sign(columns), pvalue_fix)
    elif source == "beta/se":
        z = columns["beta"] / columns["se"]
    else:
        z = z_from_nlog10_p(columns["nlog10_p"]) * _sign(columns)
    single = z.astype(np.float32)
    return ZScores(single, {source: int(np.isfinite(single).sum())}, warnings)


def _parity_from_p(p: Values, sign: Values, pvalue_fix: float) -> tuple[Values, tuple[str, ...]]:
    """-Φ^-1(p/2) with the sign; as in MetaXcan 1 < p < 2 turns the sign and p = 2 counts as infinite."""
    from scipy.special import ndtri  # here, as few files need it and it takes long to load

    size = -ndtri(p / 2)
    infinite = np.isinf(size)
    if not infinite.any() or not pvalue_fix:
        return size * sign, ()
    usable = p[np.isfinite(size) & (p != 0)]
    stand_in = min(pvalue_fix, float(usable.min())) if usable.size else pvalue_fix
    size = np.where(infinite, -ndtri(stand_in / 2), size)
    text = (
        f"{int(infinite.sum()):,} rows print p = 0; their z was set to that of p = {stand_in:.3g}, "
        "so it is too small. Use the columns of effect and standard error instead if the file has them."
    )
    return size * sign, (text,)


def _strict(columns: Mapping[str, Values]) -> ZScores:
    rows = len(next(iter(columns.values())))
    z = np.full(rows, np.nan, np.float32)
    sources: dict[str, int] = {}
    warnings = _strict_warnings(columns)
    missing = np.arange(rows)
    for source in _possible_sources(columns):
        if not missing.size:
            break
        # The later sources are the slow ones, and few rows if any need them.
        left = columns if missing.size == rows else {name: v[missing] for name, v in columns.items()}
        candidate = _strict_source(source, left).astype(np.float32)
        use = np.isfinite(candidate)
        if use.any():
            z[missing[use]] = candidate[use]
            sources[source] = int(use.sum())
            missing = missing[~use]
    if "p" in columns and (lost := int((~np.isfinite(z) & (columns["p"] == 0)).sum())):
        warnings.append(
            f"{lost:,} rows for variants of the models are lost because the file prints p = 0 there and has "
            "nothing better: they are often the strongest. Name a column with the standard error "
            "(--column se=NAME) or -log10 p (--column nlog10_p=NAME) if there is one, or ask for more digits."
        )
    return ZScores(z, sources, tuple(warnings))


def _strict_source(source: str, columns: Mapping[str, Values]) -> Values:
    if source == "z":
        return columns["z"]
    if source == "beta/se":
        return columns["beta"] / np.where(columns["se"] > 0, columns["se"], np.nan)
    nlog10_p = columns["nlog10_p"] if source == "-log10 p" else -np.log10(columns["p"])
    # p = 0 gives infinity here, and so no z; p > 1 gives a negative value, which is none either.
    return z_from_nlog10_p(np.where(nlog10_p >= 0, nlog10_p, np.nan)) * _sign(columns)


def _strict_warnings(columns: Mapping[str, Values]) -> list[str]:
    warnings = []
    impossible = {
        "se": ("a standard error below 0", lambda v: v < 0),
        "p": ("a p outside 0 to 1", lambda v: (v < 0) | (v > 1)),
        "nlog10_p": ("a -log10 p below 0", lambda v: v < 0),
    }
    for role, (text, wrong) in impossible.items():
        if role in columns and (count := int(wrong(columns[role]).sum())):
            warnings.append(
                f"{count:,} rows have {text}, which was taken as missing: is it the right column?"
            )
    return warnings


def _sign(columns: Mapping[str, Values]) -> Values:
    """-1, 0, 1 or NaN: the sign of the effect, or where there is no effect that of the sign column."""
    if "beta" not in columns:
        return np.sign(columns["sign"])
    sign = np.sign(columns["beta"])
    return np.where(np.isnan(sign), np.sign(columns["sign"]), sign) if "sign" in columns else sign
