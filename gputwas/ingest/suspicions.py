"""What looks wrong in a GWAS that can be read all the same.

In: a reader of summary statistics that was read to its end. Out: sentences a person must see.
"""

from __future__ import annotations

from typing import Any

from gputwas.errors import GputwasError
from gputwas.formats.sumstats.detect import choose_layout

__all__ = ["suspicions"]

_ALLELES = ("effect_allele", "other_allele")


def suspicions(reader: Any) -> list[str]:
    """Alleles named the other way round than the file's format has them, and standard errors of 0.

    Parameters
    ----------
    reader : has `layout` (columns, header) and `counts` (zero_se), where it knows them.
    """
    found = []
    if (turned := _turned_alleles(reader.layout)) is not None:
        found.append(turned)
    if zero := int(getattr(getattr(reader, "counts", None), "zero_se", 0)):
        found.append(
            f"{zero:,} {'row has' if zero == 1 else 'rows have'} a standard error of 0, which was taken as "
            "missing; z comes from another column there, if the file has one"
        )
    return found


def _turned_alleles(layout: Any) -> str | None:
    """Swapped alleles turn every sign and no number shows it; only the header of a known format can."""
    header = getattr(layout, "header", ())
    named = [layout.columns.get(role) for role in _ALLELES] if header else []
    if not header or None in named:
        return None
    try:
        known = choose_layout(header, [], "", "")
    except GputwasError:
        return None
    if known.dialect == "generic" or named[::-1] != [known.columns.get(role) for role in _ALLELES]:
        return None
    return (
        f"the header is that of {known.dialect}, where {named[1]} is the effect allele, but {named[0]} was "
        "named as that: if this is a mistake, every sign is turned"
    )
