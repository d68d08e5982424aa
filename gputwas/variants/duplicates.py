"""Decides between several GWAS rows for one panel variant.

In: for each row the panel variant, z as the file has it, and the row's alignment. Out: an alignment in which
at most one row per variant is kept, and the others carry the reason why not.

Parity: the last usable row wins, as in MetaXcan. Strict: repeats that agree are one row; repeats that
contradict each other are all dropped, since nothing tells which is right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gputwas.variants.align import Alignment, Mode, Reason

__all__ = ["AGREEMENT", "resolve_duplicates"]

AGREEMENT = 0.01
"""Repeats agree if their z differ by no more than this times max(1, largest |z|): room for rounding only."""


def resolve_duplicates(
    panel_index: npt.NDArray[np.integer],
    z: npt.NDArray[np.floating],
    alignment: Alignment,
    *,
    mode: Mode = "strict",
    beta: npt.NDArray[np.floating] | None = None,
) -> Alignment:
    """Keep at most one row per panel variant.

    Parameters
    ----------
    panel_index : integer (rows,); the panel variant of each row.
    z : float (rows,); in the orientation of the file (the alignment's sign is applied here).
    alignment : verdicts so far. Rows in file order.
    mode : "parity" or "strict".
    beta : float (rows,), orientation of the file; strict mode prefers, among rows that agree, one with a
        finite beta.

    Returns
    -------
    Alignment in which kept rows (sign != 0) have a finite z and different `panel_index`. A row without a
    finite z gets MISSING_VALUE first, and so never beats nor contradicts a usable one.

    Notes
    -----
    Strict mode does not depend on the order of rows: of those that agree the one with the smallest |z| is
    kept, and only among fully equal ones the first.
    """
    sign, reason = alignment.sign.copy(), alignment.reason.copy()
    missing = (sign != 0) & ~np.isfinite(z)
    reason[missing] = Reason.MISSING_VALUE
    sign[missing] = 0
    usable = _of_repeated(panel_index, np.flatnonzero(sign))
    if usable.size:
        losers, conflicts = (_last_wins if mode == "parity" else _agreeing_one)(
            panel_index[usable],
            z[usable] * sign[usable],
            None if beta is None else beta[usable] * sign[usable],
        )
        reason[usable[losers]] = Reason.DUPLICATE
        reason[usable[conflicts]] = Reason.DUPLICATE_CONFLICT
        sign[usable[losers | conflicts]] = 0
    return replace(alignment, sign=sign, reason=reason)


def _of_repeated(panel_index: npt.NDArray[np.integer], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Those rows whose variant has several: mostly few or none, so that only they need sorting."""
    variant = panel_index[rows].astype(np.intp)
    if (variant[1:] > variant[:-1]).all():  # a file in the panel's order
        return rows[:0]
    return rows[np.bincount(variant)[variant] > 1]


_Masks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _last_wins(
    panel_index: npt.NDArray[np.integer], z: npt.NDArray[np.floating], beta: npt.NDArray[np.floating] | None
) -> _Masks:
    order = np.argsort(panel_index, kind="stable")
    ordered = panel_index[order]
    losers = np.zeros(len(order), bool)
    losers[order[:-1]] = ordered[:-1] == ordered[1:]
    return losers, np.zeros(len(order), bool)


def _agreeing_one(
    panel_index: npt.NDArray[np.integer], z: npt.NDArray[np.floating], beta: npt.NDArray[np.floating] | None
) -> _Masks:
    effect = np.zeros(len(z)) if beta is None else beta
    absent = ~np.isfinite(effect)
    order = np.lexsort((np.where(absent, 0.0, effect), z, np.abs(z), absent, panel_index))
    first = np.ones(len(order), bool)
    ordered = panel_index[order]
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    sorted_z = z[order].astype(np.float64)
    high, low = np.maximum.reduceat(sorted_z, starts), np.minimum.reduceat(sorted_z, starts)
    size = np.maximum(np.maximum(np.abs(high), np.abs(low)), 1.0)
    contradicting = (high - low > AGREEMENT * size)[group]
    conflicts, losers = np.zeros(len(order), bool), np.zeros(len(order), bool)
    conflicts[order] = contradicting
    losers[order] = ~first & ~contradicting
    return losers, conflicts
