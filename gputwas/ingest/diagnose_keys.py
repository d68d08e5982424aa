"""Says why a GWAS that is matched by place, or through a map, has few or no variants in common with a panel.

In: what was counted, and which variants the rows were compared with. Out: causes and remedies, and the errors
and warnings that only places can give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.ingest.diagnose import LIFT, Diagnosis
from gputwas.variants.align import Reason
from gputwas.variants.identifiers import Style, style_of

__all__ = ["AllelesIn", "check_same_build", "diagnose_map", "diagnose_places", "lift_warnings"]

_ENOUGH = 20  # variants that rows were compared with
_AGREEING = 0.7  # share of them whose alleles some row must have; on another build by chance a half does
_MANY = 500  # variants that could be met, and some would be
_BY_CHANCE = 0.01  # share of them; 100 million rows are at 3 % of all places, with fitting alleles at 1 %
_WITHOUT_ALLELES = 0.05
_MANY_LOST = 0.05  # share of all rows

AllelesIn = Literal["rows", "ids", "no"]


def diagnose_places(
    panel: Style,
    with_place: int | None,
    lifted: str | None,
    columns: tuple[str, str] | None,
    *,
    agree: bool = False,
) -> Diagnosis:
    """Compare how two lists that were matched by place differ.

    Parameters
    ----------
    with_place : rows that have a chromosome and a position, None = unknown. lifted : between which builds.
    columns : where the place was read, None = from the identifiers. agree : the alleles show that both are on
        one build, see `check_same_build`.
    """
    if agree:
        return Diagnosis(
            "few of the models' variants are in the file; those that are have the models' alleles, so it is "
            "on their genome build",
            "If it is not of a region or of few variants only, give the files of the other chromosomes too.",
        )
    if with_place == 0:
        if columns is None:
            return Diagnosis(
                "no identifier tells a chromosome and a position",
                "Name the columns that do: --column chromosome=NAME --column position=NAME.",
            )
        return Diagnosis(
            f"the columns {columns[0]!r} and {columns[1]!r} hold no chromosome and position in any row",
            "Name the right ones: --column chromosome=NAME --column position=NAME.",
        )
    build = f" (the models are on {panel.build})" if panel.build else ""
    if lifted is not None:
        return Diagnosis(
            f"the positions, lifted from {lifted}, are not those of the models{build}",
            "Check --build and that the chain file leads to the build of the models.",
        )
    return Diagnosis(
        "the positions are not those of the models, so the file is most likely on another genome "
        f"build{build}",
        LIFT,
    )


def diagnose_map(ids: pa.Array, said: str) -> Diagnosis:
    """Say that none of a file's identifiers is in the map's column."""
    return Diagnosis(
        f"the map does not have the file's identifiers ({style_of(ids).describe()}); matched by {said}",
        "Name the column of the map that holds them, --map-from NAME, or the column of the file, "
        "--column variant_id=NAME.",
    )


def check_same_build(
    panel_rows: npt.NDArray[np.int64],
    reason: npt.NDArray[np.uint8],
    possible: int,
    path: str,
    said: str,
    *,
    alleles: AllelesIn = "rows",
) -> bool:
    """Refuse a file whose rows are where the models' variants are by chance only.

    Returns whether the alleles show that they are not; False = the alleles say nothing.

    A variant counts as met if one row at its place has its alleles: sites with several alleles have rows for
    the others too. On the right build nearly all are met; on another one about every second SNP of the few
    at whose place there is a row, as most SNPs are transitions.

    Parameters
    ----------
    panel_rows : int64 (pairs,), variant of each pair. reason : uint8 (pairs,), its verdict, a `Reason`.
    possible : how many could be met, the smaller of the rows and the variants on their chromosomes.
    alleles : what names both alleles: the rows that were paired; the identifiers that they were paired by,
        so that no pair can show others; or nothing, so that nearly all pairs fit.

    Raises
    ------
    InputError : less than 70 % of 20 or more variants are met. Where there are fewer, or alleles say nothing:
        less than 1 % (5 % without alleles) of 500 or more that could be have a row at their place.
    """
    fits = (reason <= Reason.STRAND_SWAPPED) | (reason == Reason.PALINDROMIC)
    told = fits | (reason == Reason.ALLELE_MISMATCH)
    there, met = _different(panel_rows[told]), _different(panel_rows[fits])
    least = _WITHOUT_ALLELES if alleles == "no" else _BY_CHANCE
    if alleles == "rows" and there >= _ENOUGH:
        if met >= _AGREEING * there:
            return True  # few they may be, of a file of a region or of exomes, but they are the right ones
        what = "most rows at the positions of the models' variants have other alleles"
        found, remedy = f"{met:,} of {there:,} variants with the models' alleles", f"{LIFT} Also check "
        remedy += "which columns hold the alleles."
    elif possible >= _MANY and (hit := _different(panel_rows)) < least * possible:
        what = "hardly any row is at the position of a variant of the models"
        found, remedy = f"{hit:,} of {possible:,} variants that could be there", LIFT
        if alleles == "ids":
            remedy += (
                " If it is of some region only: --match position, which looks at the alleles of each row."
            )
    else:
        return False
    raise InputError(
        f"{what}, so the file is on another genome build than the models",
        path=path,
        found=f"{found}, matched by {said}",
        remedy=remedy,
    )


def _different(numbers: npt.NDArray[np.int64]) -> int:
    seen = np.zeros(numbers.max(initial=-1) + 1, bool)
    seen[numbers] = True
    return int(np.count_nonzero(seen))


def lift_warnings(lifted: Mapping[str, int]) -> list[str]:
    """What a person must know of rows that were lifted."""
    warnings = []
    rows = sum(lifted.get(name, 0) for name in ("mapped", "moved", "split", "unmapped"))
    lost = lifted.get("split", 0) + lifted.get("unmapped", 0)
    if rows and lost >= _MANY_LOST * rows:
        warnings.append(
            f"{lost:,} of {rows:,} rows have no place ({lifted.get('unmapped', 0):,}) or several "
            f"({lifted.get('split', 0):,}) in the build of the models and were left out"
        )
    if indels := lifted.get("reversed_indels", 0):
        warnings.append(
            f"{indels:,} insertions and deletions lie on the reverse strand of the models' build and were "
            "left out: how they are written there only the genome's sequence tells"
        )
    return warnings
