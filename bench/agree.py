"""In: result tables and the right answer. Out: the largest difference, or an error naming the worst gene."""

from __future__ import annotations

import csv
import math
from pathlib import Path

__all__ = ["Disagreement", "compare", "read_z"]


class Disagreement(RuntimeError):
    """Two programs gave different numbers, so their times must not be compared."""


def read_z(path: Path) -> dict[str, float]:
    """Gene -> zscore of a MetaXcan csv; genes without a finite value are left out."""
    with open(path, newline="") as handle:
        values = {row["gene"]: float(row["zscore"].replace("NA", "nan")) for row in csv.DictReader(handle)}
    return {gene: z for gene, z in values.items() if math.isfinite(z)}


def compare(
    name: str, got: dict[str, float], wanted: dict[str, float], bound: float, relative: float = 0.0
) -> float:
    """Largest |difference| between `got` and `wanted`.

    Parameters
    ----------
    bound, relative
        Allowed is ``max(bound, relative * |wanted|)`` for every gene.

    Raises
    ------
    Disagreement
        If a gene is missing, superfluous or differs by more than that.
    """
    if got.keys() != wanted.keys():
        missing, extra = sorted(wanted.keys() - got.keys()), sorted(got.keys() - wanted.keys())
        raise Disagreement(
            f"{name}: {len(missing)} genes missing {missing[:3]}, {len(extra)} superfluous {extra[:3]}"
        )
    if not wanted:
        raise Disagreement(f"{name}: no gene has a z-score, nothing was compared")
    difference = {gene: abs(got[gene] - value) for gene, value in wanted.items()}
    excess = {gene: difference[gene] - max(bound, relative * abs(value)) for gene, value in wanted.items()}
    worst = max(excess, key=excess.__getitem__)
    if excess[worst] > 0:
        raise Disagreement(f"{name}: z of {worst} is {got[worst]!r}, expected {wanted[worst]!r}")
    return max(difference.values())
