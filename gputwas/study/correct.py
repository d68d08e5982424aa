"""`gputwas fdr`: correction for multiple testing, from a store to a file of significant associations.

In: an association store, the family and level, optionally a rule of heritability. Out: a file, and the
numbers of tests and findings per family.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gputwas.analyses.fdr import SignificantAssociations, adjust
from gputwas.analyses.heritability import HeritabilityRule, heritable_traits
from gputwas.errors import InputError, UsageError
from gputwas.formats.tables import check_table_path, write_table
from gputwas.stores.associations import AssociationStore

__all__ = ["CorrectionReport", "correct"]

log = logging.getLogger(__name__)

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class CorrectionReport:
    """The significant associations, and which traits took part."""

    result: SignificantAssociations
    traits: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, int, int]]:
        """Family, tests and significant associations, one row per family."""
        families = self.result.families
        columns = (families[name].to_pylist() for name in ("family", "n_tests", "n_significant"))
        return zip(*columns, strict=True)


def correct(
    store: Path,
    out: Path | None,
    *,
    alpha: float = 0.05,
    family: str = "study",
    method: str = "bh",
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    heritable: bool = False,
    h2_z: float | None = None,
    keep_unknown_h2: bool = False,
    memory: str | None = None,
) -> CorrectionReport:
    """Correct the tests of a store and write what is significant.

    Parameters
    ----------
    out : the file, by its suffix TSV, CSV or Parquet; None writes nothing. alpha, family, method, traits,
        tissues, memory : see `gputwas.analyses.fdr.adjust`. heritable : only traits with
        h2 / se(h2) > `h2_z` (1.645 by default); `keep_unknown_h2` keeps those without h2.

    Raises
    ------
    UsageError : options that make no sense, or a file name of unknown kind.
    InputError : the store is unusable or no trait is left.
    """
    if out is not None:
        check_table_path(out)
    if not heritable and (h2_z is not None or keep_unknown_h2):
        raise UsageError("--h2-z and --keep-unknown-h2 belong to --heritable")
    opened = AssociationStore.open(store)
    chosen = list(traits) if traits else None
    if heritable:
        chosen = _heritable(opened, chosen, h2_z, keep_unknown_h2)
    result = adjust(
        opened, alpha=alpha, family=family, method=method, traits=chosen, tissues=tissues or None,
        memory=memory,
    )  # fmt: skip
    if out is not None:
        write_table(result.coded, out)
        log.info("%s: %s significant associations", os.fspath(out), f"{result.coded.num_rows:,}")
    return CorrectionReport(result, tuple(opened.trait_names if chosen is None else chosen))


def _heritable(
    store: AssociationStore, chosen: list[str] | None, h2_z: float | None, keep_unknown: bool
) -> list[str]:
    rule = HeritabilityRule(keep_unknown=keep_unknown)
    if h2_z is not None:
        from scipy.special import ndtr

        rule = HeritabilityRule(alpha=float(ndtr(-h2_z)), keep_unknown=keep_unknown)
    outcome = heritable_traits(store.traits, rule)
    log.info(
        "heritability: %s; %d traits heritable, %d not, %d unknown",
        rule.describe(), outcome.n_heritable, outcome.n_not_heritable, outcome.n_unknown,
    )  # fmt: skip
    kept = [name for name in outcome.kept if chosen is None or name in set(chosen)]
    if not kept:
        raise InputError(
            "no trait is left after the restriction to heritable ones",
            path=store.path,
            found=f"{outcome.n_unknown} traits without h2 or h2_se, {outcome.n_not_heritable} below",
            remedy="Give h2 and h2_se in the manifest of `gputwas gwas import`, or use --keep-unknown-h2.",
        )
    return kept
