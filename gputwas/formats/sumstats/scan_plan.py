"""Whether and how a file can be read the fast way.

In: the head of a file, the columns that its layout knows and those that are read. Out: a `ScanPlan`, or None
for a file of which more has to be known than where its lines and cells end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gputwas.formats.sumstats.blocks import TextRules
from gputwas.formats.sumstats.head import Head
from gputwas.kernels.scan import Columns

__all__ = ["IDENTITY", "NUMBERS", "ScanPlan", "plan_scan"]

NUMBERS = frozenset(
    ["beta", "odds_ratio", "se", "z", "p", "nlog10_p", "n", "effect_allele_frequency", "info"]
)
"""Roles whose cells are read as numbers without becoming text first."""

IDENTITY = (
    "variant_id",
    "chromosome",
    "position",
    "effect_allele",
    "other_allele",
    "ref_allele",
    "alt_allele",
)
"""Roles that say which variant a row is about: two files in which these columns are equal match alike."""

_ORDINARY = frozenset(["test", "variant_key", "sample"])  # roles that decide about rows in ways of their own
_DELIMITERS = frozenset("\t,;| ")


@dataclass(frozen=True)
class ScanPlan:
    """How the bytes of one file are cut.

    Attributes
    ----------
    separator : one character, or "" for runs of white space. width : cells of a row.
    wanted : role -> column. spans : first and last column of each run of columns that identify the row.
    kind : equal for files of the same shape that begin with the same variants.
    """

    separator: str
    width: int
    wanted: Mapping[str, int]
    spans: tuple[tuple[int, int], ...]
    kind: tuple[Any, ...]

    def columns(self, roles: Sequence[str], *, named: bool) -> Columns:
        """What the scan has to know, if these roles are to be read; `named`: chromosomes are to be noted."""
        return Columns(
            width=self.width,
            blanks=not self.separator,
            identifier=self.wanted.get("variant_id", self.wanted.get("position", 0)),
            chromosome=self.wanted.get("chromosome", -1) if named else -1,
            take=tuple((self.wanted[role], role in NUMBERS) for role in roles),
            spans=self.spans,
        )


def plan_scan(
    head: Head,
    columns: Mapping[str, str],
    needed: Mapping[str, str],
    rules: TextRules,
    *,
    watched: bool = False,
) -> ScanPlan | None:
    """Return how to scan a file with this head, or None if only the ordinary way will do.

    Parameters
    ----------
    columns : role -> name, of all columns that the file's layout knows. needed : those of them that are read.
    watched : the file is to be watched, which also does for one without identifiers.
    """
    separator = "" if head.delimiter == "whitespace" else head.delimiter
    named = "variant_id" in needed or (watched and {"chromosome", "position"} <= set(needed))
    plain = not (head.quoted or head.padded or rules.every_blank) and named
    if separator:
        plain = plain and separator in _DELIMITERS and not rules.strip
    if not plain or _ORDINARY & set(needed):
        return None
    identity = sorted({head.names.index(columns[role]) for role in IDENTITY if role in columns})
    first_rows = hash(tuple(tuple(row[i] for i in identity) for row in head.sample[:100]))
    wanted = {role: head.names.index(name) for role, name in needed.items()}
    kind = (separator, head.names, tuple(wanted.items()), tuple(identity), first_rows)
    return ScanPlan(separator, len(head.names), wanted, _runs(identity), kind)


def _runs(columns: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """First and last of each run of consecutive numbers."""
    firsts = [c for c in columns if c - 1 not in columns]
    lasts = [c for c in columns if c + 1 not in columns]
    return tuple(zip(firsts, lasts, strict=True))
