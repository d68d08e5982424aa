"""Which traits are heritable enough to be studied.

In: a table of traits with h2 and its standard error. Out: the names kept and the numbers left out by reason.

The rule: a trait is kept if its heritability is nominally significant, that is h2 / h2_se > z with z the
standard normal quantile of a one-sided test at `alpha` (1.645 at 0.05; one-sided, for a heritability cannot
be negative). NeuroimaGene (Bledsoe et al.) keeps 3,546 of 3,935 traits as nominally heritable; `sides=2`
gives the stricter reading of "nominally" (1.960).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.errors import UsageError

__all__ = ["HeritabilityRule", "HeritableTraits", "heritable_traits"]


@dataclass(frozen=True)
class HeritabilityRule:
    """When a trait counts as heritable.

    Attributes
    ----------
    alpha : level of the test of h2 > 0. sides : 1 or 2.
    lowest : h2 itself must also be at least this.
    keep_unknown : keep traits whose h2 or h2_se is missing.
    """

    alpha: float = 0.05
    sides: int = 1
    lowest: float = 0.0
    keep_unknown: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(
                f"alpha of the heritability rule is {self.alpha!r}; it must lie between 0 and 1."
            )
        if self.sides not in (1, 2):
            raise UsageError(f"the heritability rule has 1 or 2 sides, not {self.sides!r}.")
        if not 0 <= self.lowest < 1:
            raise UsageError(
                f"the lowest heritability is {self.lowest!r}; it must be at least 0 and below 1."
            )

    @property
    def threshold(self) -> float:
        """h2 / h2_se must be above this."""
        from scipy.special import ndtri

        return float(-ndtri(self.alpha / self.sides))

    def describe(self) -> str:
        """The rule in words, for logs and reports."""
        text = (
            f"h2 / h2_se > {self.threshold:.3f} (p < {self.alpha:g}, {('one', 'two')[self.sides - 1]}-sided)"
        )
        if self.lowest:
            text += f" and h2 >= {self.lowest:g}"
        return f"{text}; traits without h2 are {'kept' if self.keep_unknown else 'left out'}"


@dataclass(frozen=True)
class HeritableTraits:
    """The outcome of a rule.

    Attributes
    ----------
    kept : names of the traits kept, in the order of the table.
    rule : the rule applied.
    n_heritable, n_not_heritable, n_unknown : numbers of traits; the last lack h2 or a positive h2_se.
    """

    kept: tuple[str, ...]
    rule: HeritabilityRule
    n_heritable: int
    n_not_heritable: int
    n_unknown: int


def heritable_traits(traits: pa.Table, rule: HeritabilityRule | None = None) -> HeritableTraits:
    """Apply a rule to a table with the columns trait, h2 and h2_se (the latter two may be missing).

    A standard error of 0 or below, or a value that is not finite, counts as unknown.
    """
    rule = rule or HeritabilityRule()
    h2, se = _numbers(traits, "h2"), _numbers(traits, "h2_se")
    known = np.isfinite(h2) & np.isfinite(se) & (se > 0)
    ratio = np.divide(h2, se, out=np.zeros(h2.size), where=known)
    heritable = known & (ratio > rule.threshold) & (h2 >= rule.lowest)
    keep = heritable | (~known & rule.keep_unknown)
    names = traits["trait"].to_pylist()
    return HeritableTraits(
        kept=tuple(names[place] for place in np.flatnonzero(keep)),
        rule=rule,
        n_heritable=int(heritable.sum()),
        n_not_heritable=int((known & ~heritable).sum()),
        n_unknown=int((~known).sum()),
    )


def _numbers(traits: pa.Table, name: str) -> np.ndarray:
    """Column as float64 (traits,), NaN where missing."""
    if name not in traits.column_names:
        return np.full(traits.num_rows, np.nan)
    return np.asarray(traits[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
