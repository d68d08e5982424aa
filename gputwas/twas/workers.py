"""Blocks of an association run computed by other processes, of this machine or of others.

In: where the stores are, and an executor. Out: the files of the AssociationStore, each written by the process
that computed it. Only paths and numbers travel; no array does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from gputwas.backends.choose import choose_backend
from gputwas.backends.memory import memory_budget, peak_memory
from gputwas.errors import InputError, ResourceError
from gputwas.executors.choose import Share, share_of_worker
from gputwas.executors.jobs import kept_in_process, run_jobs, shared_folder
from gputwas.progress import progress
from gputwas.stores.associations import AssociationStore
from gputwas.stores.hashing import hash_file
from gputwas.stores.manifest import MANIFEST_NAME
from gputwas.twas.blocks import BlockRun
from gputwas.twas.plan import Plan
from gputwas.twas.products import way_of_scoring
from gputwas.twas.scoring import method_name, ready_models, settle_method
from gputwas.twas.selection import Selection, select
from gputwas.twas.settings import AssociateSettings, SetUp, plan_selection
from gputwas.twas.spredixcan import Scorer

__all__ = ["WorkerEngine"]


@dataclass(frozen=True)
class _Place:
    """Where a worker finds what is to be scored, and how it is to do it."""

    models: str  # this and `gwas` are absolute paths
    gwas: str
    tissues: tuple[str, ...] | None
    backend: str
    method: str

    def check(self) -> None:
        for path in (self.models, self.gwas):
            shared_folder(path)

    @property
    def key(self) -> tuple[object, ...]:
        """Says which place it is and what is there."""
        return self, _identity(self.models), _identity(self.gwas)


class WorkerEngine:
    """Scores through an executor; the process that has it holds the store's lock and computes nothing.

    Parameters
    ----------
    chosen : what is scored. tissues : those asked for, None for all.
    executor : where blocks are computed. Its workers must see the stores under the same paths.

    Attributes
    ----------
    set_up : what the workers compute with, as one of them says. peak_memory : bytes, of the largest worker.
    """

    def __init__(
        self,
        models: str | os.PathLike[str],
        chosen: Selection,
        tissues: Sequence[str] | None,
        settings: AssociateSettings,
        executor: Executor,
    ) -> None:
        place = _Place(
            os.path.abspath(models), os.path.abspath(chosen.gwas.path),
            None if tissues is None else tuple(tissues), settings.backend, settings.method,
        )  # fmt: skip
        share = share_of_worker(executor, -(-len(chosen.traits) // settings.block_size))
        question = _Question(place, tuple(chosen.traits), settings, share)
        [(_, self.set_up)] = run_jobs(_answer, [question], executor)
        self.peak_memory = 0
        # "auto" was settled by the first worker that was asked: all have to compute alike.
        self._place = replace(place, backend=self.set_up.backend)
        self._precision, self._executor = settings.precision, executor

    def all_blocks(self, store: AssociationStore) -> int:
        """Have the blocks computed that are not on disk yet; returns how many were."""
        out = os.path.abspath(store.path)
        jobs = [
            _Job(self._place, out, _identity(out), self.set_up.plan, self._precision, block)
            for block in range(store.n_blocks)
            if not all(store.has_block(tissue, block) for tissue in store.tissues)
        ]
        with progress("associate", len(store.trait_names), "traits") as shown:
            there = set(range(store.n_blocks)) - {job.block for job in jobs}
            shown.advance(sum(len(store.block_traits(block)) for block in there))
            for position, memory in run_jobs(_score_block, jobs, self._executor):
                self.peak_memory = max(self.peak_memory, memory)
                shown.advance(len(store.block_traits(jobs[position].block)))
        return len(
            jobs
        )  # a cluster may lose an answer with a worker and ask for a block that is there by then


@dataclass(frozen=True)
class _Question:
    """With what a worker would compute."""

    place: _Place
    traits: tuple[str, ...]
    settings: AssociateSettings
    share: Share

    def __str__(self) -> str:
        return "preparing the models"


@dataclass(frozen=True)
class _Job:
    """One block of traits to compute and to write."""

    place: _Place
    out: str  # absolute
    identity: str  # of this store and no other that lies there later
    plan: Plan
    precision: str
    block: int

    def __str__(self) -> str:
        first = self.block * self.plan.block_size + 1
        return f"block {self.block} of the traits (from number {first:,})"

    def open_store(self) -> AssociationStore:
        """The store, to add to it; refused if it is not, or not any more, the one of this run."""
        store = AssociationStore.open(shared_folder(self.out), as_worker=True)
        if _identity(self.out) != self.identity:
            raise InputError("another process began the store anew", path=self.out)
        return store


def _answer(question: _Question) -> SetUp:
    """Prepare this process, and say with what it computes and in which portions."""
    share, settings = question.share, question.settings
    budget = memory_budget(settings.memory) // share.parts
    settings = replace(settings, memory=str(budget), workers=settings.workers or share.threads)
    try:
        chosen, scorer = _prepared(question.place)
        chosen = replace(chosen, traits=list(question.traits))
        plan = plan_selection(
            chosen, settings, scorer.backend, scorer.method, device_parts=share.device_parts
        )
    except MemoryError as error:
        raise _out_of_memory(question) from error
    backend = scorer.backend
    return SetUp(backend.name, backend.device, backend.reason, method_name(plan, scorer), plan)


def _score_block(job: _Job) -> int:
    """Compute a block here and write its files; returns the most bytes that this process held so far."""
    store = job.open_store()
    key = job.place.key, job.out, job.identity, job.plan, job.precision
    try:
        run, lock = kept_in_process("association run", key, lambda: _run(job, store))
        with lock:  # a block uses all threads and the memory that are planned for a process
            run.one_block(job.block)
    except MemoryError as error:
        raise _out_of_memory(job) from error
    return peak_memory()


def _run(job: _Job, store: AssociationStore) -> tuple[BlockRun, threading.Lock]:
    chosen, scorer = _prepared(job.place)
    way = way_of_scoring(scorer.backend, scorer.method)
    if way != job.plan.way:  # its sums would differ in the last bits
        raise ResourceError(
            f"this worker would score {way} and the run is {job.plan.way}: the compiled part of gputwas is "
            "on some machines only; install it alike on all of them"
        )
    return BlockRun(chosen, store, scorer, job.plan, job.precision), threading.Lock()


def _prepared(place: _Place) -> tuple[Selection, Scorer]:
    """Open the stores and ready the models, once in this process."""
    place.check()
    backend = choose_backend(place.backend)
    place = replace(place, backend=backend.name)  # asked with "auto", told afterwards what that is here

    def prepare() -> tuple[Selection, Scorer]:
        chosen = select(place.models, place.gwas, tissues=place.tissues)
        return chosen, ready_models(chosen, backend, settle_method(chosen, backend, place.method))

    return kept_in_process("models", place.key, prepare)


def _identity(store: str) -> str:
    """Digest of a store's manifest: with its inputs, its parameters and when it was begun."""
    return hash_file(os.path.join(store, MANIFEST_NAME))


def _out_of_memory(job: object) -> ResourceError:
    return ResourceError(f"{job}: memory ran out; use fewer workers, or a smaller --memory for each")
