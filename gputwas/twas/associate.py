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
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gputwas.backends.choose import choose_backend, device_count
from gputwas.backends.memory import peak_memory
from gputwas.executors.choose import open_executor
from gputwas.stores.associations import AssociationStore
from gputwas.twas.blocks import BlockRun
from gputwas.twas.forecast import Forecast, forecast
from gputwas.twas.plan import Plan
from gputwas.twas.provenance import association_inputs
from gputwas.twas.scoring import method_name, ready_models, settle_method
from gputwas.twas.selection import Selection, select
from gputwas.twas.settings import AssociateSettings, SetUp, plan_selection
from gputwas.twas.workers import WorkerEngine

__all__ = ["AssociateReport", "AssociateSettings", "associate", "dry_run"]

log = logging.getLogger(__name__)

MODEL_COLUMNS_LEFT_OUT = ("phi",)


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
    executor: Executor | str | None = None,
) -> AssociateReport:
    """Score all models against all traits.

    Parameters
    ----------
    models, gwas : a ModelStore and a GwasStore. out : the AssociationStore to write or to go on with.
    traits, tissues : only these; all by default.
    executor : where blocks of traits are computed: "local:N", "dask:ADDRESS", or an executor of
        `concurrent.futures` whose workers see the stores under the same paths; None is this process. It
        changes no bit of the result.

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
    with open_executor(executor, devices=_devices(executor, settings)) as pool:
        engine: _Engine
        if pool is None:
            engine = _OwnEngine(chosen, settings)
        else:
            engine = WorkerEngine(models, chosen, tissues, settings, pool)
        plan = engine.set_up.plan
        log.info("plan: %s", plan.describe())
        with _open_store(out, chosen, engine.set_up, settings) as store:
            computed = engine.all_blocks(store)
            report = AssociateReport(
                n_traits=len(chosen.traits), n_tissues=len(chosen.models.tissues),
                n_models=chosen.models.n_models,
                n_patterns=len({store.pattern_of(name) for name in chosen.traits}), blocks_computed=computed,
                blocks_kept=store.n_blocks - computed, variants_found=chosen.variants_found,
                n_variants=chosen.n_variants, device=engine.set_up.device, plan=plan,
                seconds=time.monotonic() - started,
            )  # fmt: skip
            if computed or not store.is_complete:
                store.finish(_provenance(report, engine, settings))
    return report


class _Engine(Protocol):
    """What computes the blocks of a run, here or elsewhere.

    Attributes
    ----------
    set_up : what it computes with. peak_memory : bytes, of the process that held most so far.
    """

    @property
    def set_up(self) -> SetUp: ...

    @property
    def peak_memory(self) -> int: ...

    def all_blocks(self, store: AssociationStore) -> int:
        """Compute the blocks that are not on disk yet; returns how many."""


class _OwnEngine:
    """Computes in this process."""

    def __init__(self, chosen: Selection, settings: AssociateSettings) -> None:
        backend = choose_backend(settings.backend)
        method = settle_method(chosen, backend, settings.method)
        plan = plan_selection(chosen, settings, backend, method)
        scorer = ready_models(chosen, backend, method)
        self._chosen, self._scorer, self._precision = chosen, scorer, settings.precision
        self.set_up = SetUp(backend.name, backend.device, backend.reason, method_name(plan, scorer), plan)

    @property
    def peak_memory(self) -> int:
        return peak_memory()

    def all_blocks(self, store: AssociationStore) -> int:
        run = BlockRun(self._chosen, store, self._scorer, self.set_up.plan, self._precision)
        return run.all_blocks()


def _devices(executor: Executor | str | None, settings: AssociateSettings) -> int:
    """GPUs that processes of this machine are to share."""
    local = isinstance(executor, str) and executor.startswith("local")
    return device_count() if local and settings.backend in ("auto", "cupy") else 0


def dry_run(
    models: str | os.PathLike[str],
    gwas: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    settings: AssociateSettings | None = None,
) -> Forecast:
    """What `associate` with the same arguments would do and take; errors alike. No result is written."""
    settings = settings or AssociateSettings()
    started = time.perf_counter()
    chosen = select(models, gwas, traits=traits, tissues=tissues)
    backend = choose_backend(settings.backend)
    method = settle_method(chosen, backend, settings.method)
    plan = plan_selection(chosen, settings, backend, method)
    scorer = ready_models(chosen, backend, method)
    seconds = time.perf_counter() - started
    set_up = SetUp(backend.name, backend.device, backend.reason, method_name(plan, scorer), plan)
    there = 0 if settings.overwrite else _blocks_there(out, chosen, set_up, settings)
    dtype = np.dtype(settings.precision).type
    return forecast(chosen, set_up, scorer, out, dtype=dtype, blocks_there=there, setup_seconds=seconds)


def _blocks_there(
    out: str | os.PathLike[str], chosen: Selection, set_up: SetUp, settings: AssociateSettings
) -> int:
    """Blocks that an earlier run has left whole; raises what the run would if it cannot go on there."""
    if not os.path.isdir(out) or not any(not name.startswith(".") for name in os.listdir(out)):
        return 0
    with _open_store(out, chosen, set_up, settings) as store:
        blocks = range(store.n_blocks)
        return sum(all(store.has_block(tissue, block) for tissue in store.tissues) for block in blocks)


def _open_store(
    out: str | os.PathLike[str],
    chosen: Selection,
    set_up: SetUp,
    settings: AssociateSettings,
) -> AssociationStore:
    models, table = chosen.models.models, chosen.gwas.traits_table(chosen.traits)
    kept = [name for name in models.column_names if name not in MODEL_COLUMNS_LEFT_OUT]
    return AssociationStore.create(
        out,
        models=models.select(kept),
        traits=table,
        block_size=set_up.plan.block_size,
        parameters={
            "precision": settings.precision,
            "backend": set_up.backend,
            "method": set_up.method,
        },
        inputs=association_inputs(chosen.models, chosen.gwas, chosen.traits),
        overwrite=settings.overwrite,
    )


def _provenance(report: AssociateReport, engine: _Engine, settings: AssociateSettings) -> dict[str, object]:
    set_up = engine.set_up
    return {
        "backend": set_up.backend,
        "device": set_up.device,
        "reason": set_up.reason,
        "precision": settings.precision,
        "traits": report.n_traits,
        "tissues": report.n_tissues,
        "models": report.n_models,
        "patterns_of_missing_snps": report.n_patterns,
        "variants_of_models": report.n_variants,
        "variants_in_gwas_panel": report.variants_found,
        "seconds": report.seconds,
        "peak_memory_bytes": engine.peak_memory,
    }
