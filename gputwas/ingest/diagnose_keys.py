"""Says why a GWAS that is matched by place, or through a map, has few or no variants in common with a panel.

In: what was counted, and which variants the rows were compared with. Out: causes and remedies, and the errors
and warnings that only places can give.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.ingest.diagnose import LIFT, Diagnosis
from gputwas.variants.align import Reason
from gputwas.variants.identifiers import Style, style_of

__all__ = ["check_same_build", "diagnose_map", "diagnose_places", "lift_warnings"]

_ENOUGH = 20  # variants that rows were compared with
_AGREEING = 0.7  # share of them whose alleles some row must have; on another build by chance a half does
_MANY = 500  # variants that could be met, and some would be
_BY_CHANCE = 0.01
_MANY_LOST = 0.05  # share of all rows


def diagnose_places(
    panel: Style, with_place: int | None, lifted: str | None, columns: tuple[str, str] | None
) -> Diagnosis:
    """Compare how two lists that were matched by place differ.

    Parameters
    ----------
    with_place : rows that have a chromosome and a position, None = unknown. lifted : between which builds.
    columns : where the place was read, None = from the identifiers.
    """
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
) -> None:
    """Refuse a file whose rows are where the models' variants are by chance only.

    A variant counts as met if one row at its place has its alleles: sites with several alleles have rows for
    the others too. On the right build nearly all are met; on another one about every second SNP of the few
    at whose place there is a row, as most SNPs are transitions.

    Parameters
    ----------
    panel_rows : int64 (pairs,), variant of each pair. reason : uint8 (pairs,), its verdict, a `Reason`.
    possible : how many could be met, the smaller of the rows and the variants on their chromosomes.

    Raises
    ------
    InputError : less than 70 % of 20 or more variants are met, or less than 1 % of 500 or more that could be
        have a row at their place.
    """
    fits = (reason <= Reason.STRAND_SWAPPED) | (reason == Reason.PALINDROMIC)
    told = fits | (reason == Reason.ALLELE_MISMATCH)
    there, met = _different(panel_rows[told]), _different(panel_rows[fits])
    if there >= _ENOUGH and met < _AGREEING * there:
        what = "most rows at the positions of the models' variants have other alleles"
        found, remedy = f"{met:,} of {there:,} variants with the models' alleles", f"{LIFT} Also check "
        remedy += "which columns hold the alleles."
    elif possible >= _MANY and (hit := _different(panel_rows)) < _BY_CHANCE * possible:
        what = "hardly any row is at the position of a variant of the models"
        found, remedy = f"{hit:,} of {possible:,} variants that could be there", LIFT
    else:
        return
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
