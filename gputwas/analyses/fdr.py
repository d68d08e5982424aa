"""Associations that stay significant after correction for the number of tests in a family.

In: an AssociationStore of any size, read block by block. Out: one table of significant associations with
adjusted p, gene positions and the traits' annotation, and one of the families with their numbers of tests.
Memory follows the number of associations found, not the number of tests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.backends.memory import memory_budget
from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.progress import progress
from gputwas.stats.fdr import METHODS, TIE, AdjustedTests, StreamingFdr, SurvivorBound
from gputwas.stats.normal import nlog10_p_from_z, z_from_nlog10_p
from gputwas.stores.associations import AssociationStore

__all__ = ["ANNOTATION_COLUMNS", "SignificantAssociations", "adjust"]

log = logging.getLogger(__name__)

STUDY, TISSUE = "study", "tissue"  # families that are no column of the traits
ANNOTATION_COLUMNS = (
    "modality", "atlas", "side", "primary", "secondary", "region", "measurement",
    "fMRI_node_1", "fMRI_node_2",
)  # fmt: skip
NO_VALUE = "(none)"  # family of the traits without a value in the family's column
BYTES_PER_KEPT = 96  # a test kept and the copies made while ranking
BYTES_PER_FOUND = 400  # a row of the table while it is put together


@dataclass(frozen=True)
class SignificantAssociations:
    """Result of `adjust`.

    Attributes
    ----------
    table : one row per significant association, largest -log10 p first: trait, tissue, gene, gene_name,
        chromosome, start, end (the last three where the store has them), z, effect_size, nlog10_p, nlog10_q,
        p, q (adjusted p), n_snps_used, var_g, family, and the annotation of the trait.
    families : family, n_tests, n_significant, one row per family, those without a finding included.
    alpha, family, method : as asked for.
    """

    table: pa.Table
    families: pa.Table
    alpha: float
    family: str
    method: str

    @property
    def n_tests(self) -> int:
        """Number of tests in all families together."""
        return int(pc.sum(self.families["n_tests"]).as_py() or 0)


@dataclass(frozen=True)
class _Selection:
    """What of the store is corrected, and which family each test is in."""

    store: AssociationStore
    tissues: list[str]
    columns: dict[int, np.ndarray]  # block -> columns of the traits chosen
    family_names: list[str]
    family_of_trait: np.ndarray | None  # None: families are tissues, or all is one

    def families(self, tissue: int, block: int) -> np.ndarray:
        """Family of each column chosen, int64."""
        columns = self.columns[block]
        if self.family_of_trait is None:
            return np.full(columns.size, tissue if len(self.family_names) > 1 else 0)
        return self.family_of_trait[block * self.store.block_size + columns]


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
    memory : budget such as "4GB". If the tests with p <= alpha do not fit, the store is read twice: first to
        learn where significant p-values can lie, then to collect them. The result is the same.

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
    found = None
    if _fewest_kept(chosen, alpha) * BYTES_PER_KEPT <= budget:
        found = _correct(chosen, alpha, method, budget, None)
    if found is None:
        found = _correct(chosen, alpha, method, budget, _cutoffs(chosen, alpha))
    if found is None or found.key.size * BYTES_PER_FOUND > budget:
        raise ResourceError(
            f"{store.path}: the associations significant at {alpha:g} do not fit {budget:,} bytes of memory. "
            "Use a smaller alpha, or more --memory."
        )
    families_table = pa.table({
        "family": pa.array(chosen.family_names, pa.string()),
        "n_tests": found.n_tests,
        "n_significant": found.n_significant,
    })  # fmt: skip
    log.info("%s of %s tests significant", f"{found.key.size:,}", f"{found.n_tests.sum():,}")
    return SignificantAssociations(_table(chosen, found, family), families_table, alpha, family, method)


def _select(
    store: AssociationStore, family: str, traits: Sequence[str] | None, tissues: Sequence[str] | None
) -> _Selection:
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
        return _Selection(store, chosen, places, [STUDY], None)
    if family == TISSUE:
        return _Selection(store, chosen, places, chosen, None)
    if family not in store.traits.column_names:
        known = ", ".join([STUDY, TISSUE, *_grouping_columns(store.traits)])
        raise UsageError(
            f"no family is called {family!r}; there are {known}. Any column of the traits can be one: "
            "give it in the manifest of `gputwas gwas import`"
        )
    values = store.traits[family].cast(pa.string()).combine_chunks().fill_null(NO_VALUE)
    used = np.concatenate([block * store.block_size + places[block] for block in places])
    present = values.take(pa.array(used)).unique()
    family_names = sorted(present.to_pylist())
    codes = pc.index_in(values, pa.array(family_names, pa.string())).fill_null(-1)
    return _Selection(store, chosen, places, family_names, np.asarray(codes, dtype=np.int64))


def _grouping_columns(traits: pa.Table) -> list[str]:
    """Columns of words by which traits fall into groups, for a message."""
    texts = [field.name for field in traits.schema if pa.types.is_string(field.type)]
    return [name for name in texts if 1 < len(traits[name].unique()) < traits.num_rows]


def _correct(
    chosen: _Selection, alpha: float, method: str, budget: int, cutoffs: np.ndarray | None
) -> AdjustedTests | None:
    """Collect and adjust the tests that can be significant; None if they do not fit the budget."""
    stream = StreamingFdr(alpha, len(chosen.family_names), method=method, cutoffs=cutoffs)
    for keys, values, families, counts in _tests(chosen, alpha, "correcting"):
        stream.update(values, families, key=keys, n_tests=counts)
        if stream.n_kept * BYTES_PER_KEPT > budget:
            return None
    return stream.result()


def _cutoffs(chosen: _Selection, alpha: float) -> np.ndarray:
    """Lowest -log10 p that can be significant, per family, from one pass that keeps nothing."""
    bound = SurvivorBound(alpha, len(chosen.family_names))
    for _, values, families, counts in _tests(chosen, alpha, "counting"):
        bound.update(values, families, n_tests=counts)
    return bound.cutoffs()


def _fewest_kept(chosen: _Selection, alpha: float) -> float:
    """Number of tests a single pass would keep if no association were real; it keeps the real ones too."""
    rows = sum(_n_rows(chosen.store, tissue) for tissue in chosen.tissues)
    return alpha * rows * sum(columns.size for columns in chosen.columns.values())


def _n_rows(store: AssociationStore, tissue: str) -> int:
    rows = store.tissue_slice(tissue)
    return int(rows.stop - rows.start)


def _tests(
    chosen: _Selection, alpha: float, label: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Tests with p <= alpha, block by block: key, -log10 p, family; and the tests made per family.

    A key is (row of the model table) x (number of traits) + (place of the trait).
    """
    store, n_families = chosen.store, len(chosen.family_names)
    n_traits = len(store.trait_names)
    # Comparing |z| spares the logarithm of the tail for most tests; the ranking looks at -log10 p again.
    lowest = float(z_from_nlog10_p(np.array(max(-np.log10(alpha) - 2 * TIE, 0.0)))) * (1.0 - 1e-9)
    with progress(f"FDR, {label}", len(chosen.tissues) * len(chosen.columns), "blocks") as shown:
        for tissue, name in enumerate(chosen.tissues):
            first = store.tissue_slice(name).start
            for block, columns in chosen.columns.items():
                z = store.read_block(name, block, "z")
                if columns.size < z.shape[1]:
                    z = z[:, columns]
                families = chosen.families(tissue, block)
                made = np.count_nonzero(~np.isnan(z), axis=0)
                counts = np.bincount(families, weights=made, minlength=n_families).astype(np.int64)
                with np.errstate(invalid="ignore"):
                    row, column = np.nonzero(np.abs(z) >= lowest)
                keys = (first + row) * n_traits + block * store.block_size + columns[column]
                values = nlog10_p_from_z(z[row, column].astype(np.float64))
                yield keys, values, families[column], counts
                shown.advance()


def _table(chosen: _Selection, found: AdjustedTests, family: str) -> pa.Table:
    """Look up everything about the significant tests, and order them."""
    store = chosen.store
    n_traits = len(store.trait_names)
    order = np.lexsort((found.key, -found.nlog10_p))
    model, trait = np.divmod(found.key[order], n_traits)
    models, traits = store.models.take(pa.array(model)), store.traits.take(pa.array(trait))
    values = _values(store, model, trait)
    nlog10_p, nlog10_q = found.nlog10_p[order], found.nlog10_q[order]
    columns: dict[str, pa.Array | pa.ChunkedArray | np.ndarray] = {"trait": traits["trait"]}
    for name in ("tissue", "gene", "gene_name", "chromosome", "start", "end"):
        if name in models.column_names:
            columns[name] = models[name]
    columns |= {"z": values["z"], "effect_size": values["effect"]}
    columns |= {"nlog10_p": nlog10_p, "nlog10_q": nlog10_q, "p": 10.0**-nlog10_p, "q": 10.0**-nlog10_q}
    columns |= {"n_snps_used": values["n_snps_used"], "var_g": values["var_g"]}
    columns["family"] = pa.array(chosen.family_names, pa.string()).take(pa.array(found.family[order]))
    for name in dict.fromkeys((*ANNOTATION_COLUMNS, family)):
        if name in traits.column_names and name not in columns:
            columns[name] = traits[name]
    return pa.table(columns)


def _values(
    store: AssociationStore, model: np.ndarray, trait: np.ndarray
) -> dict[str, np.ndarray | pa.Array]:
    """z, effect, number of SNPs and var_g of the tests (model, trait), each float or int (tests,)."""
    out = {name: np.full(model.size, np.nan) for name in ("z", "effect", "var_g")}
    n_snps = np.zeros(model.size, dtype=np.int32)
    slices = [store.tissue_slice(name) for name in store.tissues]
    tissue = np.searchsorted([rows.start for rows in slices], model, side="right") - 1
    group = tissue * store.n_blocks + trait // store.block_size
    for rows in _groups(group):
        number, block = divmod(int(group[rows[0]]), store.n_blocks)
        places = (model[rows] - slices[number].start, trait[rows] % store.block_size)
        for kind in ("z", "effect"):
            out[kind][rows] = store.read_block(store.tissues[number], block, kind)[places]  # type: ignore[arg-type]
    for rows in _groups(trait):
        pattern = store.read_pattern(store.pattern_of(store.trait_names[int(trait[rows[0]])]))
        n_snps[rows] = pattern.n_snps_used[model[rows]]
        out["var_g"][rows] = pattern.var_g[model[rows]]
    effect = pa.array(out["effect"], from_pandas=True)  # a trait without effect sizes has none here either
    return {"z": out["z"], "effect": effect, "var_g": out["var_g"], "n_snps_used": n_snps}


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    """Places of each distinct label."""
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order])) + 1
    return [part for part in np.split(order, bounds) if part.size]
