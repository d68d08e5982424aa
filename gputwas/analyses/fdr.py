"""Associations that stay significant after correction for the number of tests in a family.

In: an AssociationStore of any size, read block by block. Out: one table of significant associations, which
`gputwas.analyses.findings` puts together, and one of the families with their numbers of tests. Memory follows
the number of associations found, not the number of tests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import pyarrow as pa

from gputwas.analyses.findings import STUDY, TISSUE, Found, decoded, look_up
from gputwas.analyses.survivors import Selection, find_survivors
from gputwas.backends.memory import memory_budget
from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.stats.fdr import METHODS, significant_tests
from gputwas.stats.normal import nlog10_p_from_z
from gputwas.stores.associations import AssociationStore

__all__ = ["SignificantAssociations", "adjust"]

log = logging.getLogger(__name__)

NO_VALUE = "(none)"  # family of the traits without a value in the family's column
BYTES_PER_FOUND = 400  # a row of the table while it is put together


@dataclass(frozen=True)
class SignificantAssociations:
    """Result of `adjust`.

    Attributes
    ----------
    families : family, n_tests, n_significant, one row per family, those without a finding included.
    alpha, family, method : as asked for.
    """

    families: pa.Table
    alpha: float
    family: str
    method: str
    _look_up: Callable[[], pa.Table] = field(repr=False)

    @cached_property
    def coded(self) -> pa.Table:
        """`table` with its texts as dictionary columns: quicker to make and to write."""
        return self._look_up()

    @cached_property
    def table(self) -> pa.Table:
        """One row per significant association, largest -log10 p first; looked up when first asked for.

        Columns trait, tissue, gene, gene_name, chromosome, start, end (the last three where the store has
        them), z, effect_size, nlog10_p, nlog10_q, p, q (adjusted p), n_snps_used, var_g, family, and the
        annotation of the trait.
        """
        return decoded(self.coded)

    @property
    def n_tests(self) -> int:
        """Number of tests in all families together."""
        return int(self.families["n_tests"].to_numpy().sum())


def adjust(
    store: AssociationStore,
    *,
    alpha: float = 0.05,
    family: str = STUDY,
    method: str = "bh",
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    memory: str | None = None,
) -> SignificantAssociations:
    """Correct all tests of a store, exactly, and give what is significant at `alpha`.

    Parameters
    ----------
    family : what one correction covers: "study" (all tests chosen), "tissue", or a column of the store's
        traits such as "modality", "atlas" or "trait".
    method : "bh" (Benjamini-Hochberg) or "bonferroni".
    traits, tissues : only these count, as tests and as findings; all by default.
    memory : budget such as "4GB"; it must hold the associations found, not the tests.

    Raises
    ------
    UsageError
        If `alpha`, `method` or `family` makes no sense.
    InputError
        If the store lacks a trait, a tissue, or results that were never computed.
    ResourceError
        If the significant associations themselves do not fit the memory.
    """
    if not 0 < alpha <= 1:
        raise UsageError(f"alpha is {alpha!r}; it must lie above 0 and be at most 1.")
    if method not in METHODS:
        raise UsageError(f"no correction is called {method!r}; there are {', '.join(sorted(METHODS))}.")
    chosen = _select(store, family, traits, tissues)
    budget = memory_budget(memory)
    found = _correct(chosen, alpha, method, budget)
    if found is None:
        raise ResourceError(
            f"{store.path}: the associations significant at {alpha:g} do not fit {budget:,} bytes of memory. "
            "Use a smaller alpha, or more --memory."
        )
    families_table = pa.table({
        "family": pa.array(chosen.family_names, pa.string()),
        "n_tests": pa.array(found.n_tests.tolist(), pa.int64()),  # an array of NumPy would load numpy.ma
        "n_significant": pa.array(found.n_significant.tolist(), pa.int64()),
    })  # fmt: skip
    log.info("%s of %s tests significant", f"{found.model.size:,}", f"{found.n_tests.sum():,}")
    return SignificantAssociations(
        families_table, alpha, family, method, partial(look_up, chosen, found, family)
    )


def _select(
    store: AssociationStore, family: str, traits: Sequence[str] | None, tissues: Sequence[str] | None
) -> Selection:
    """Resolve names to places; every refusal happens here, before anything is read."""
    for tissue in tissues or ():
        store.tissue_slice(tissue)
    chosen = [name for name in store.tissues if tissues is None or name in set(tissues)]
    names = store.trait_names if traits is None else list(dict.fromkeys(traits))
    columns: dict[int, list[int]] = {}
    for name in names:
        block, column = store.locate(name)
        columns.setdefault(block, []).append(column)
    places = {block: np.array(sorted(columns[block])) for block in sorted(columns)}
    if not chosen or not places:
        raise InputError("no trait or no tissue is left to correct", path=store.path)
    if family == STUDY:
        return Selection(store, chosen, places, [STUDY], None)
    if family == TISSUE:
        return Selection(store, chosen, places, chosen, None)
    if family not in store.traits.column_names:
        known = ", ".join([STUDY, TISSUE, *_grouping_columns(store.traits)])
        raise UsageError(
            f"no family is called {family!r}; there are {known}. Any column of the traits can be one: "
            "give it in the manifest of `gputwas gwas import`"
        )
    import pyarrow.compute as pc  # which takes as long to load as a small store to read

    values = store.traits[family].cast(pa.string()).combine_chunks().fill_null(NO_VALUE)
    used = np.concatenate([block * store.block_size + places[block] for block in places])
    present = values.take(pa.array(used)).unique()
    family_names = sorted(present.to_pylist())
    codes = pc.index_in(values, pa.array(family_names, pa.string())).fill_null(-1)
    return Selection(store, chosen, places, family_names, np.asarray(codes, dtype=np.int64))


def _grouping_columns(traits: pa.Table) -> list[str]:
    """Columns of words by which traits fall into groups, for a message."""
    texts = [field.name for field in traits.schema if pa.types.is_string(field.type)]
    return [name for name in texts if 1 < len(traits[name].unique()) < traits.num_rows]


def _correct(chosen: Selection, alpha: float, method: str, budget: int) -> Found | None:
    """Adjust the tests that can be significant; None if they or the table do not fit the budget."""
    survivors = find_survivors(chosen, alpha, budget)
    if survivors is None:
        return None
    nlog10_p = nlog10_p_from_z(survivors.z)
    tests = significant_tests(nlog10_p, survivors.family, survivors.n_tests, alpha, method=method)
    if tests.place.size * BYTES_PER_FOUND > budget:
        return None
    place = tests.place
    model, trait = np.divmod(survivors.key[place], len(chosen.store.trait_names))
    return Found(
        model, trait, survivors.family[place], survivors.z[place],
        nlog10_p[place], tests.nlog10_q, survivors.n_tests, tests.n_significant,
    )  # fmt: skip
