"""What was taken for what: the roles a column can have, and the layout of one file.

In: nothing but names. Out: `ROLES`, the vocabulary shared by dialects, explicit columns and batches, and
`Layout`, which a person can read and check before a study is run on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ROLES", "STATISTIC_ROLES", "Layout", "in_order", "normal_name"]

STATISTIC_ROLES = ("beta", "odds_ratio", "se", "z", "sign", "p", "nlog10_p")
"""Columns of which z and the effect size are made."""

ROLES = (
    "variant_id",
    "chromosome",
    "position",
    "effect_allele",
    "other_allele",
    *STATISTIC_ROLES,
    "n",
    "effect_allele_frequency",
    "info",
    "test",  # PLINK and REGENIE: which term of the model the row is about
    "ref_allele",  # with alt_allele: the other allele is whichever of the two is not the effect allele
    "alt_allele",
    "variant_key",  # chromosome:position:ref:alt in one cell, alt being the effect allele
    "sample",  # GWAS-VCF: the name of the sample column
)
"""Every role a column can be given, by a dialect or by `--column role=NAME`."""

_SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "blank", "whitespace": "whitespace"}


@dataclass(frozen=True)
class Layout:
    """How the cells of one GWAS are to be understood.

    Attributes
    ----------
    dialect : name of the dialect, "generic" (common synonyms) or "custom" (columns named by the caller).
    columns : role -> name in the header, as written there.
    delimiter : "\\t", "," and so on, or "whitespace" for runs of blanks and tabs; "" for binary formats.
    notes : what a person should know, e.g. which allele is the effect allele.
    n : sample size stated by the header itself (PGC daner), or None.
    header : all names of the header, as written.
    log_odds : the format says that beta is the log of an odds ratio (case-control GWAS-VCF).
    """

    dialect: str
    columns: Mapping[str, str]
    delimiter: str
    notes: tuple[str, ...] = ()
    n: float | None = None
    header: tuple[str, ...] = field(default=(), repr=False)
    log_odds: bool = False

    @property
    def effect_kind(self) -> str:
        """ "beta", "log_odds" (the file has odds ratios) or "none" (neither; effect sizes cannot be had)."""
        if self.log_odds or ("odds_ratio" in self.columns and "beta" not in self.columns):
            return "log_odds"
        return "beta" if "beta" in self.columns else "none"

    def describe(self) -> str:
        """One line a person can check: dialect, delimiter, role = column, notes."""
        taken = ", ".join(f"{role} = {name!r}" for role, name in self.columns.items())
        parts = [f"{self.dialect}: {taken}"]
        if self.delimiter:
            parts[0] = (
                f"{self.dialect} ({_SHOWN.get(self.delimiter, repr(self.delimiter))}-separated): {taken}"
            )
        return "; ".join([*parts, *self.notes])


def normal_name(name: str) -> str:
    """Return a header name as dialects spell it: lower case, no leading #, quotes or blanks."""
    return re.sub(r"\s+", " ", name.strip().lstrip("#").strip('"').strip()).lower()


def in_order(columns: Mapping[str, str]) -> dict[str, str]:
    """Return columns in the order of `ROLES`."""
    return {role: columns[role] for role in ROLES if role in columns}
