"""Every model of a ModelStore against every trait of a GwasStore, written to an AssociationStore.

In: two stores. Out: a third, block of traits by block of traits, so memory is bounded by the budget and not
by the number of traits. A block that is on disk is not computed again: a killed run goes on where it was and
ends in the same bytes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xxhash

from gputwas.backends.choose import Backend, choose_backend
from gputwas.backends.memory import memory_budget, peak_memory
from gputwas.errors import InputError, UsageError
from gputwas.progress import progress
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store
from gputwas.stores.panel import PanelMap
from gputwas.twas.panel import find_panel, on_panel
from gputwas.twas.plan import BLOCK_SIZE, Plan, StudySize, make_plan
from gputwas.twas.products import way_of_multiplying
from gputwas.twas.provenance import association_inputs
from gputwas.twas.spredixcan import Scorer, distinct_patterns, prepare_scorer
from gputwas.twas.variance import PatternVariance

__all__ = ["AssociateReport", "AssociateSettings", "associate"]

log = logging.getLogger(__name__)

PRECISIONS = ("float32", "float64")
MODEL_COLUMNS_LEFT_OUT = ("phi",)


@dataclass(frozen=True)
class AssociateSettings:
    """How to compute; nothing here changes a result beyond the precision asked for.

    Attributes
    ----------
    backend : see `gputwas.backends.choose.BACKENDS`. method : see `gputwas.twas.products.METHODS`.
    precision : of the stored results. Sums are float64 in either case.
    memory : budget such as "4GB"; None is half of what is free, at most 4 GB.
    workers : threads over tissues; None is one per core.
    block_size : traits per file of the store. overwrite : begin anew over an existing store.
    """

    backend: str = "auto"
    method: str = "auto"
    precision: str = "float32"
    memory: str | None = None
    workers: int | None = None
    block_size: int = BLOCK_SIZE
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision is {' or '.join(PRECISIONS)}, not {self.precision!r}")
        if self.block_size < 1 or (self.workers is not None and self.workers < 1):
            raise UsageError("block size and number of workers must be at least 1")


@dataclass(frozen=True)
class AssociateReport:
    """What a run did."""

    n_traits: int
    n_tissues: int
    n_models: int
    n_patterns: int
    blocks_computed: int
    blocks_kept: int
    variants_found: int
    n_variants: int
    device: str
    plan: Plan
    seconds: float


@dataclass(frozen=True)
class _Run:
    """Everything a block needs."""

    models: ModelSet
    gwas: GwasStore
    store: AssociationStore
    scorer: Scorer
    rows: PanelMap | None  # None: the panels are the same, row by row
    settings: AssociateSettings
    batch_size: int
    dtype: type[np.floating]


def associate(
    models: str | os.PathLike[str],
    gwas: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    settings: AssociateSettings | None = None,
) -> AssociateReport:
    """Score all models against all traits.

    Parameters
    ----------
    models, gwas : a ModelStore and a GwasStore. out : the AssociationStore to write or to go on with.
    traits, tissues : only these; all by default.

    Returns
    -------
    AssociateReport

    Raises
    ------
    InputError : a store is unusable, a trait or tissue is unknown, or `out` was begun from other inputs.
    ResourceError : one trait does not fit the memory budget, or the disk is full.
    """
    settings = settings or AssociateSettings()
    started = time.monotonic()
    model_set, gwas_store = _chosen_models(models, tissues), GwasStore.open(gwas)
    names = _chosen_traits(gwas_store, traits)
    rows = find_panel(gwas_store.panel, model_set.panel)
    backend = choose_backend(settings.backend)
    plan = _plan(model_set, len(names), settings, backend)
    log.info("plan: %s", plan.describe())
    scorer = prepare_scorer(model_set, backend, settings.method)
    store = _open_store(out, model_set, gwas_store, names, plan, backend, settings, scorer)
    with store:
        run = _Run(
            model_set, gwas_store, store, scorer, rows, settings,
            plan.batch_size, np.dtype(settings.precision).type,
        )  # fmt: skip
        computed = _all_blocks(run)
        seconds = time.monotonic() - started
        report = AssociateReport(
            n_traits=len(names), n_tissues=len(model_set.tissues), n_models=model_set.n_models,
            n_patterns=len({store.pattern_of(name) for name in names}), blocks_computed=computed,
            blocks_kept=store.n_blocks - computed,
            variants_found=model_set.panel.num_rows if rows is None else rows.found,
            n_variants=model_set.panel.num_rows, device=backend.device, plan=plan, seconds=seconds,
        )  # fmt: skip
        if computed or not store.is_complete:
            store.finish(_provenance(report, backend, settings))
    return report


def _plan(models: ModelSet, n_traits: int, settings: AssociateSettings, backend: Backend) -> Plan:
    slices = [models.tissue_slice(tissue) for tissue in models.tissues]
    size = StudySize(
        traits=n_traits, variants=models.panel.num_rows, models=models.n_models,
        entries=int(models.offsets[-1]), triangles=int(models.ld_offsets[-1]),
        largest_tissue=max((rows.stop - rows.start for rows in slices), default=0),
    )  # fmt: skip
    return make_plan(
        size, memory_budget(settings.memory), item_bytes=np.dtype(settings.precision).itemsize,
        block_size=settings.block_size, tissues_at_once=min(_threads(settings, backend), len(slices)),
        padded=way_of_multiplying(backend, settings.method) == "padded", device_budget=backend.free_memory(),
    )  # fmt: skip


def _threads(settings: AssociateSettings, backend: Backend) -> int:
    """Threads over tissues; one where the library runs its own or the device takes one task at a time."""
    return (settings.workers or os.cpu_count() or 1) if backend.name == "numpy" else 1


def _chosen_models(path: str | os.PathLike[str], tissues: Sequence[str] | None) -> ModelSet:
    models = read_models_store(path)
    if tissues is None:
        return models
    if absent := [tissue for tissue in tissues if tissue not in models.tissues]:
        raise InputError(
            "there is no such tissue in the model store",
            path=path,
            found=", ".join(absent[:5]),
            remedy=f"Its tissues are {', '.join(models.tissues)}.",
        )
    return models.subset(tissues)


def _chosen_traits(gwas: GwasStore, traits: Sequence[str] | None) -> list[str]:
    """Traits in the order of the store, so that the same choice gives the same blocks."""
    known = gwas.traits
    if not known:
        raise InputError(
            "the GWAS store holds no trait", path=gwas.path, remedy="Add some: gputwas gwas import."
        )
    if traits is None:
        return known
    wanted = set(traits)
    absent = sorted(wanted - set(known))
    if absent:
        raise InputError(
            "there is no such trait in the GWAS store",
            path=gwas.path,
            found=", ".join(absent[:5]),
            remedy=f"See what is there: gputwas gwas list {gwas.path}.",
        )
    return [name for name in known if name in wanted]


def _open_store(
    out: str | os.PathLike[str],
    models: ModelSet,
    gwas: GwasStore,
    traits: list[str],
    plan: Plan,
    backend: Backend,
    settings: AssociateSettings,
    scorer: Scorer,
) -> AssociationStore:
    table = gwas.traits_table(traits)
    kept = [name for name in models.models.column_names if name not in MODEL_COLUMNS_LEFT_OUT]
    return AssociationStore.create(
        out,
        models=models.models.select(kept),
        traits=table,
        block_size=plan.block_size,
        parameters={
            "precision": settings.precision,
            "backend": backend.name,
            "method": type(scorer.products).__name__.strip("_"),
        },
        inputs=association_inputs(models, gwas, traits),
        overwrite=settings.overwrite,
    )


def _all_blocks(run: _Run) -> int:
    """Compute the blocks that are not on disk yet; returns how many."""
    computed = 0
    with (
        progress("associate", len(run.store.trait_names), "traits") as shown,
        ThreadPoolExecutor(max_workers=_threads(run.settings, run.scorer.backend)) as pool,
    ):
        for block in range(run.store.n_blocks):
            left = [tissue for tissue in run.models.tissues if not run.store.has_block(tissue, block)]
            if left:
                _one_block(run, block, left, pool)
                computed += 1
            shown.advance(len(run.store.block_traits(block)))
    return computed


def _one_block(run: _Run, block: int, tissues: list[str], pool: ThreadPoolExecutor) -> None:
    """Score one block of traits in batches and write it, the patterns first and tissue by tissue after."""
    traits = run.store.block_traits(block)
    z = np.empty((run.models.n_models, len(traits)), dtype=run.dtype, order="F")
    effect = np.empty_like(z)
    patterns: dict[str, PatternVariance] = {}
    digests: list[str] = []
    for start in range(0, len(traits), run.batch_size):
        inside = slice(start, min(start + run.batch_size, len(traits)))
        found = _one_batch(run, traits[inside], tissues, z[:, inside], effect[:, inside], patterns, pool)
        digests.extend(found)
    for digest, pattern in patterns.items():
        run.store.write_pattern(digest, pattern.n_snps_used, pattern.var_g, pattern.status)
    run.store.write_block_patterns(block, digests)
    for tissue in tissues:
        rows = run.models.tissue_slice(tissue)
        run.store.write_block(tissue, block, z[rows], effect[rows])


def _one_batch(
    run: _Run,
    traits: list[str],
    tissues: list[str],
    z_out: np.ndarray,
    effect_out: np.ndarray,
    patterns: dict[str, PatternVariance],
    pool: ThreadPoolExecutor,
) -> list[str]:
    """Score a batch of traits into the given (models, traits) arrays; returns each trait's pattern."""
    z, beta = _load(run, traits)
    rows, pattern_of = distinct_patterns(~np.isnan(z))
    keys = [xxhash.xxh3_128_hexdigest(np.packbits(row).tobytes()) for row in rows]
    for key, row in zip(keys, rows, strict=True):
        if key not in patterns:
            patterns[key] = _pattern(run, key, row)
    of_batch = [patterns[key] for key in keys]
    batch = run.scorer.products.load(z, beta)
    del z, beta

    def score(tissue: str) -> None:
        models = run.models.tissue_slice(tissue)
        scores, effects = run.scorer.score(batch, models, of_batch, pattern_of)
        z_out[models], effect_out[models] = scores, effects

    list(pool.map(score, tissues))
    return [keys[k] for k in pattern_of]


def _pattern(run: _Run, digest: str, present: np.ndarray) -> PatternVariance:
    """What a pattern of missing SNPs makes of the models; earlier blocks may have written it already."""
    if not run.store.has_pattern(digest):
        return run.scorer.variance(present)
    known = run.store.read_pattern(digest)
    return PatternVariance(known.n_snps_used, known.var_g, known.status)


def _load(run: _Run, traits: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """z and beta, (traits, variants of the models) float32, NaN where missing."""
    z = np.empty((len(traits), run.models.panel.num_rows), dtype=np.float32)
    beta = np.empty_like(z)
    any_effect = False
    for i, trait in enumerate(traits):
        of_trait, effects = run.gwas.read(trait)
        z[i] = on_panel(of_trait, run.rows)
        beta[i] = np.nan if effects is None else on_panel(effects, run.rows)
        any_effect |= effects is not None
    return z, beta if any_effect else None


def _provenance(report: AssociateReport, backend: Backend, settings: AssociateSettings) -> dict[str, object]:
    return {
        "backend": backend.name,
        "device": backend.device,
        "reason": backend.reason,
        "precision": settings.precision,
        "traits": report.n_traits,
        "tissues": report.n_tissues,
        "models": report.n_models,
        "patterns_of_missing_snps": report.n_patterns,
        "variants_of_models": report.n_variants,
        "variants_in_gwas_panel": report.variants_found,
        "seconds": report.seconds,
        "peak_memory_bytes": peak_memory(),
    }
