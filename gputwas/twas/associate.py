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
from dataclasses import dataclass

import numpy as np

from gputwas.backends.choose import Backend, choose_backend
from gputwas.backends.memory import memory_budget, peak_memory
from gputwas.errors import InputError, UsageError
from gputwas.stores.associations import AssociationStore
from gputwas.twas.blocks import BlockRun
from gputwas.twas.forecast import Forecast, forecast
from gputwas.twas.plan import BLOCK_SIZE, Plan, StudySize, make_plan
from gputwas.twas.products import way_of_multiplying
from gputwas.twas.provenance import association_inputs
from gputwas.twas.scoring import method_name
from gputwas.twas.selection import Selection, select
from gputwas.twas.spredixcan import Scorer, prepare_scorer

__all__ = ["AssociateReport", "AssociateSettings", "associate", "dry_run", "plan_selection"]

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
    workers : threads that score tiles of traits; None is one per core.
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
    chosen = select(models, gwas, traits=traits, tissues=tissues)
    backend = choose_backend(settings.backend)
    plan = plan_selection(chosen, settings, backend)
    log.info("plan: %s", plan.describe())
    scorer = prepare_scorer(chosen.models, backend, settings.method)
    store = _open_store(out, chosen, plan, backend, settings, scorer)
    with store:
        computed = BlockRun(chosen, store, scorer, plan, settings.precision).all_blocks()
        report = AssociateReport(
            n_traits=len(chosen.traits), n_tissues=len(chosen.models.tissues),
            n_models=chosen.models.n_models,
            n_patterns=len({store.pattern_of(name) for name in chosen.traits}), blocks_computed=computed,
            blocks_kept=store.n_blocks - computed, variants_found=chosen.variants_found,
            n_variants=chosen.n_variants, device=backend.device, plan=plan,
            seconds=time.monotonic() - started,
        )  # fmt: skip
        if computed or not store.is_complete:
            store.finish(_provenance(report, backend, settings))
    return report


def dry_run(
    models: str | os.PathLike[str],
    gwas: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    settings: AssociateSettings | None = None,
) -> Forecast:
    """What `associate` with the same arguments would do and take; writes nothing, errors alike."""
    settings = settings or AssociateSettings()
    chosen = select(models, gwas, traits=traits, tissues=tissues)
    backend = choose_backend(settings.backend)
    plan = plan_selection(chosen, settings, backend)
    there = 0 if settings.overwrite else _blocks_there(out)
    dtype = np.dtype(settings.precision).type
    return forecast(chosen, plan, backend, settings.method, out, dtype=dtype, blocks_there=there)


def _blocks_there(out: str | os.PathLike[str]) -> int:
    """Blocks that an earlier run has left whole; 0 if there is no such store, which the run itself judges."""
    try:
        store = AssociationStore.open(out)
    except InputError:
        return 0
    return sum(
        all(store.has_block(tissue, block) for tissue in store.tissues) for block in range(store.n_blocks)
    )


def plan_selection(chosen: Selection, settings: AssociateSettings, backend: Backend) -> Plan:
    """How the work is cut for this backend and these settings; raises as `make_plan`."""
    models = chosen.models
    slices = [models.tissue_slice(tissue) for tissue in models.tissues]
    size = StudySize(
        traits=len(chosen.traits), variants=chosen.n_variants, models=models.n_models,
        entries=int(models.offsets[-1]), triangles=int(models.ld_offsets[-1]),
        largest_tissue=max((rows.stop - rows.start for rows in slices), default=0),
    )  # fmt: skip
    way = way_of_multiplying(backend, settings.method)
    return make_plan(
        size, memory_budget(settings.memory), item_bytes=np.dtype(settings.precision).itemsize,
        block_size=settings.block_size, threads=settings.workers or os.cpu_count() or 1,
        way="tiled" if (backend.name, way) == ("numpy", "csr") else way, device_budget=backend.free_memory(),
    )  # fmt: skip


def _open_store(
    out: str | os.PathLike[str],
    chosen: Selection,
    plan: Plan,
    backend: Backend,
    settings: AssociateSettings,
    scorer: Scorer,
) -> AssociationStore:
    models, table = chosen.models.models, chosen.gwas.traits_table(chosen.traits)
    kept = [name for name in models.column_names if name not in MODEL_COLUMNS_LEFT_OUT]
    return AssociationStore.create(
        out,
        models=models.select(kept),
        traits=table,
        block_size=plan.block_size,
        parameters={
            "precision": settings.precision,
            "backend": backend.name,
            "method": method_name(plan, scorer),
        },
        inputs=association_inputs(chosen.models, chosen.gwas, chosen.traits),
        overwrite=settings.overwrite,
    )


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
