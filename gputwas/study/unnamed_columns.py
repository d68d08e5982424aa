"""Columns of a GWAS that no flag names and SPrediXcan.py uses all the same.

In: the columns that flags name, and the header. Out: the columns that the reference program reads. It renames
the named columns to its own words and then looks for these words, so a column that bears one of them from the
beginning is used too: a z-score named zscore wins over the β and se that were asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

__all__ = ["DEFAULT_ALLELES", "with_unnamed_columns"]

log = logging.getLogger(__name__)

DEFAULT_ALLELES = {"effect_allele": "A1", "other_allele": "A2"}  # what the flags say when they are not given
_OWN_WORDS = {
    "effect_allele": "effect_allele",
    "other_allele": "non_effect_allele",
    "z": "zscore",
    "beta": "beta",
    "odds_ratio": "or",
    "sign": "beta_sign",
    "se": "se",
    "p": "pvalue",
}


def with_unnamed_columns(columns: Mapping[str, str], header: Collection[str]) -> dict[str, str]:
    """Role -> column as the reference program takes them; what is added is said in a warning.

    Parameters
    ----------
    columns : role -> column, of the flags. header : the columns of the file.
    """
    taken = dict(columns)
    for role, word in _OWN_WORDS.items():
        by_default = role in DEFAULT_ALLELES and columns.get(role) == DEFAULT_ALLELES[role]
        replaceable = role not in columns or (by_default and columns[role] not in header)
        if replaceable and word in header and word not in taken.values():
            taken[role] = word
    added = [name for role, name in taken.items() if columns.get(role) != name]
    if added:
        log.warning(
            "column %s %s used although no flag names %s, as SPrediXcan.py does by the name",
            ", ".join(added),
            "is" if len(added) == 1 else "are",
            "it" if len(added) == 1 else "them",
        )
    return taken
