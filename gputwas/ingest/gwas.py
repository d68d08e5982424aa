"""Any number of GWAS into one store.

In: traits (a name, its files, how to read them), a panel, and the folder of the store. Out: the store, and a
report with one row per trait.

Traits are independent of each other, so they are read by as many processes as asked for, on one machine or on
many, and each is stored by the process that read it; the caller's process holds the store's lock. Neither the
number of processes nor the order of traits changes a bit of what is stored. A run that was interrupted goes
on with the traits that are missing.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import GputwasError, InputError, ResourceError, UsageError
from gputwas.executors.choose import open_executor
from gputwas.executors.jobs import kept_in_process, run_jobs, shared_folder, this_process
from gputwas.formats.sumstats.checksums import Checksum
from gputwas.formats.sumstats.reader import SumstatsReader, open_sumstats, resolve_paths
from gputwas.formats.sumstats.sources import is_url
from gputwas.ingest.panel import worth_scanning
from gputwas.ingest.report import import_report
from gputwas.ingest.sources import FileState, FileStates, InputFiles, input_hash, same_by_state
from gputwas.ingest.trait import MIN_FOUND, ROLES_USED, PanelFilter, PanelIndex, TraitStatistics, read_trait
from gputwas.ingest.zscores import PVALUE_FIX
from gputwas.progress import progress
from gputwas.stores.gwas import GwasStore
from gputwas.stores.manifest import Manifest, to_plain
from gputwas.variants.align import Mode, Palindromes

__all__ = [
    "GwasOptions",
    "PanelFilter",
    "PanelIndex",
    "TraitInput",
    "TraitStatistics",
    "import_gwas",
    "read_trait",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TraitInput:
    """One trait to import.

    Attributes
    ----------
    trait : its name, unique in the store.
    paths : its file or URL, or several that are read one after the other (one per chromosome).
    n, h2, h2_se : sample size, heritability and its standard error, if known.
    build : genome build of the positions, if known.
    dialect : name of the file's dialect; None = told from the header.
    columns : role -> header name; None = as the dialect has it.
    separator, skip_until_header, handle_empty_columns : how to read an unusual file.
    effect : "beta" or "log_odds": what the effect sizes are to be called; None = told from the file.
    annotation : anything else that is to be kept with the trait (modality, atlas ...).
    checksums : by path, what the bytes of a file must add up to.
    """

    trait: str
    paths: tuple[str, ...]
    n: float | None = None
    h2: float | None = None
    h2_se: float | None = None
    build: str | None = None
    dialect: str | None = None
    columns: Mapping[str, str] | None = None
    separator: str | None = None
    skip_until_header: str | None = None
    handle_empty_columns: bool = False
    effect: str | None = None
    annotation: Mapping[str, Any] = field(default_factory=dict)
    checksums: Mapping[str, tuple[Checksum, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class GwasOptions:
    """How rows become statistics; the same for all traits of a store, see `read_trait`."""

    mode: Mode = "strict"
    keep_non_rsid: bool | None = None
    pvalue_fix: float = PVALUE_FIX
    palindromes: Palindromes = "infer"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mode", self.mode, ("strict", "parity")),
            ("palindromes", self.palindromes, ("infer", "forward", "drop")),
        ):
            if value not in known:
                raise UsageError(f"{name} is {' or '.join(known)}, not {value!r}")
        if not 0 <= self.pvalue_fix <= 1:
            raise UsageError(f"the stand-in for p = 0 must be between 0 and 1, not {self.pvalue_fix}")


def import_gwas(
    entries: Sequence[Any],
    panel: pa.Table | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    mode: Mode = "strict",
    keep_non_rsid: bool | None = None,
    pvalue_fix: float = PVALUE_FIX,
    palindromes: Palindromes = "infer",
    min_found: float = MIN_FOUND,
    workers: int = 1,
    executor: Executor | str | None = None,
    keep_going: bool = False,
    overwrite: bool = False,
) -> pa.Table:
    """Read traits and store them.

    Parameters
    ----------
    entries : traits; `TraitInput`, or anything with its attributes (only trait and paths are needed).
    panel : the panel's table, or the folder of a model store whose panel is to be used.
    out : folder of the GWAS store, new or to be continued.
    mode, keep_non_rsid, pvalue_fix, palindromes, min_found : see `read_trait`.
    workers : processes that read; 1 reads in this one. Short for the executor "local:N".
    executor : where traits are read: "local:N", "dask:ADDRESS", or an executor of `concurrent.futures`, whose
        workers must see the files and the store under the same paths.
    keep_going : read the other traits although one failed; the report then says what failed. Stored traits
        whose URL does not answer any more stay as they are.
    overwrite : empty the store first, but only once the header of every file is known to be readable (of
        URLs, whose headers would have to be downloaded for that: of the first; with `keep_going`: of any).

    Returns
    -------
    Table with one row per trait in the order of `entries`, see `gputwas.ingest.report.import_report`. A trait
    whose column `error` is not null failed (`keep_going` only): the caller decides the exit code. A trait
    that is in the store from the same files is not read again, but n, h2, h2_se, build, effect and annotation
    are replaced where others are given.

    Raises
    ------
    InputError
        If two traits have one name, a stored trait has other inputs, or (without `keep_going`) a trait cannot
        be read; traits completed by then stay in the store, and a store begun here without any is removed.
    """
    options = GwasOptions(mode, keep_non_rsid, pvalue_fix, palindromes)
    if workers < 1:
        raise UsageError(f"the number of workers must be 1 or more, not {workers}")
    if workers > 1 and executor is not None:
        raise UsageError("give a number of workers or an executor, not both")
    traits = [_as_input(entry, options) for entry in entries]
    states = FileStates(lenient=keep_going)
    _check_before(traits, options, states, keep_going=keep_going, overwrite=overwrite)
    table = _panel_table(panel)
    with (
        open_executor(f"local:{min(workers, len(traits))}" if executor is None else executor) as pool,
        GwasStore.create(out, table, parameters=asdict(options), overwrite=overwrite) as store,
    ):
        try:
            stored = set(store.traits)
            known = {t.trait: store.metadata(t.trait) for t in traits if t.trait in stored}
            states.look(path for t in traits if t.trait in stored for path in t.paths)
            for trait in traits:
                if trait.trait in stored:
                    _check_same_input(trait, known[trait.trait], out, states)
            updated = {t.trait for t in traits if t.trait in stored and _update(store, t, known[t.trait])}
            todo = [trait for trait in traits if trait.trait not in stored]
            if len(todo) < len(traits):
                log.info("%s of %s traits are in the store already", len(traits) - len(todo), len(traits))
            failures = _import_missing(todo, store, options, min_found, pool, keep_going)
            metadata = {t.trait: store.metadata(t.trait) for t in traits if t.trait not in failures}
        finally:
            store.discard_if_empty()
    status = {t.trait: "present" if t.trait in stored else "imported" for t in traits}
    status |= dict.fromkeys(updated, "updated") | dict.fromkeys(failures, "failed")
    return import_report(
        [t.trait for t in traits], status, metadata, {k: str(v) for k, v in failures.items()}
    )


def _check_before(
    traits: Sequence[TraitInput],
    options: GwasOptions,
    states: FileStates,
    *,
    keep_going: bool,
    overwrite: bool,
) -> None:
    """What can be told before hours of reading, and before an old store is given up."""
    _check_names(traits)
    if not keep_going:
        states.look(path for trait in traits for path in trait.paths)
    if overwrite:
        _check_heads(traits, options, keep_going)


def _as_input(entry: Any, options: GwasOptions) -> TraitInput:
    """Fill in what an entry lacks, and replace patterns by the files that match."""
    values = {name: getattr(entry, name, None) for name in TraitInput.__dataclass_fields__}
    given = {name: value for name, value in values.items() if value is not None}
    paths = resolve_paths(given["paths"], parity=options.mode == "parity")
    return TraitInput(**{**given, "paths": tuple(paths)})


def _check_names(traits: Sequence[TraitInput]) -> None:
    if not traits:
        raise InputError("there are no traits to import", remedy="Name at least one file.")
    for name, count in Counter(trait.trait for trait in traits).items():
        if count > 1:
            files = [trait.paths[0] for trait in traits if trait.trait == name]
            raise InputError(
                f"{count} traits have the name {name!r}",
                found=", ".join(files[:3]),
                remedy="Give every trait a name of its own; several files of one trait, say one per "
                "chromosome, belong into one entry.",
            )


def _panel_table(panel: pa.Table | str | os.PathLike[str]) -> pa.Table:
    if isinstance(panel, pa.Table):
        return panel
    from gputwas.stores.models import read_models_store

    return read_models_store(panel).panel


def _check_same_input(
    trait: TraitInput, metadata: Mapping[str, Any], out: str | os.PathLike[str], states: FileStates
) -> None:
    """Refuse a stored trait whose files or reading options are others now.

    Files that have the size and time of change that they had are not read again to compare them.
    """
    known = metadata.get("files", [])
    now = [states.of(path) for path in trait.paths]
    before, how = metadata.get("how") or {}, _how(trait)
    same = same_by_state(known, now, trait.checksums)
    if same is None:
        same = metadata["input_hash"] == input_hash(trait.paths, before)
    if same and before == how:
        return
    if same:
        raise InputError(
            f"the trait {trait.trait!r} is in the store, read with other options",
            path=out,
            found=_changed_options(before, how),
            remedy="Give the options it was read with, give the trait another name, or begin the store anew "
            "with --overwrite.",
        )
    raise InputError(
        f"the trait {trait.trait!r} is in the store from other inputs",
        path=out,
        found=", ".join(map(str, now[:3])),
        expected=", ".join(str(FileState.stored(said)) for said in known[:3]) + ", as they were read",
        remedy="Give the trait another name, or import into a new store.",
    )


def _changed_options(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The reading options that differ, each as `name was -> is`."""
    names = [name for name in now if before.get(name) != now[name]]
    return "; ".join(f"{name} {before.get(name)!r} -> {now[name]!r}" for name in names)


def _update(store: GwasStore, trait: TraitInput, metadata: Mapping[str, Any]) -> bool:
    """Bring what is said about a stored trait up to date with what is given; returns whether it was not.

    What is not given stays as it is; z and effects stay as they are in any case.
    """
    given: dict[str, Any] = {name: getattr(trait, name) for name in ("n", "h2", "h2_se", "build")}
    if metadata.get("effect") != "none":
        given["effect"] = trait.effect
    given["annotation"] = dict(metadata.get("annotation") or {})
    given["annotation"] |= {name: value for name, value in trait.annotation.items() if value is not None}
    given = {name: value for name, value in to_plain(given).items() if value is not None}
    changed = [name for name, value in given.items() if metadata.get(name) != value]
    if changed:
        store.add(trait.trait, *store.read(trait.trait), {**metadata, **given}, replace=True)
        log.info("%s: %s brought up to date", trait.trait, ", ".join(changed))
    return bool(changed)


def _check_heads(traits: Sequence[TraitInput], options: GwasOptions, keep_going: bool) -> None:
    """Raise what opening a file raises; with `keep_going` only if no trait can be opened."""
    first = None
    downloads = 0
    for trait in traits:
        remote = any(map(is_url, trait.paths))
        downloads += remote
        if remote and downloads > 1 and not keep_going:
            continue  # that they are there is known already
        try:
            with InputFiles(trait.paths) as files:
                _opened(trait, trait.paths, options, opener=files.opener)
        except GputwasError as error:
            if not keep_going:
                raise
            first = first or error
        else:
            if keep_going:
                return
    if first is not None:
        raise first


def _how(trait: TraitInput) -> dict[str, Any]:
    """The part of a trait's entry that decides how its files are read."""
    return {
        "dialect": trait.dialect,
        "columns": dict(trait.columns) if trait.columns is not None else None,
        "separator": trait.separator,
        "skip_until_header": trait.skip_until_header,
        "handle_empty_columns": bool(trait.handle_empty_columns),
    }


@dataclass(frozen=True)
class _Job:
    """What a worker, perhaps on another machine, has to know to import a trait."""

    trait: TraitInput
    options: GwasOptions
    min_found: float
    store: str  # absolute
    manifest: Manifest
    start: str  # the folder that relative paths start from
    threads: int  # that may inflate one file

    def __str__(self) -> str:
        return f"trait {self.trait.trait!r}"

    def open_store(self) -> GwasStore:
        """The store, to add to it; refused if it is not, or not any more, the one of this run."""
        store = GwasStore.open(shared_folder(self.store), as_worker=True)
        if store.manifest != self.manifest:
            raise InputError("another process began the store anew", path=self.store)
        return store

    def paths(self) -> list[str]:
        """The trait's files, wherever the worker was started."""
        if os.getcwd() == self.start:
            return list(self.trait.paths)
        return [path if "://" in path else os.path.join(self.start, path) for path in self.trait.paths]


@dataclass(frozen=True)
class _Imported:
    """What the process that waits has to say about a trait that a worker stored."""

    layout: str
    warnings: tuple[str, ...]
    process: str


def _import_missing(
    todo: list[TraitInput],
    store: GwasStore,
    options: GwasOptions,
    min_found: float,
    executor: Executor | None,
    keep_going: bool,
) -> dict[str, GputwasError]:
    """Read and store traits; returns those that failed, or raises the first failure."""
    failures: dict[str, GputwasError] = {}
    if not todo:
        return failures
    place = os.path.abspath(store.path), store.manifest, os.getcwd()
    threads = (os.cpu_count() or 1) if executor is None else 1  # several processes have the cores already
    jobs = [_Job(trait, options, min_found, *place, threads) for trait in todo]
    stop = Event()
    layout = ""  # said again only when it changes: thousands of files of one kind are one line
    with progress("reading GWAS", len(todo), "traits") as shown:
        for position, result in run_jobs(_import_one, jobs, executor, stop=stop):
            name = todo[position].trait
            if isinstance(result, GputwasError):
                failures[name] = result
                if keep_going:
                    log.error("%s: %s", name, result)
                else:
                    stop.set()  # what is being read is still stored
            else:
                if result.process != this_process():  # where it was read, nobody saw them
                    for warning in result.warnings:
                        log.warning("%s: %s", name, warning)
                log.log(
                    logging.DEBUG if result.layout == layout else logging.INFO, "%s: %s", name, result.layout
                )
                layout = result.layout
            shown.advance()
    if failures and not keep_going:
        raise next(failures[trait.trait] for trait in todo if trait.trait in failures)
    return failures


def _import_one(job: _Job) -> _Imported | GputwasError:
    """Read one trait and store it; an error that its file causes is a result, so that other traits go on."""
    store = job.open_store()
    panel = kept_in_process("panel of GWAS", store.panel_digest, lambda: PanelIndex(store.panel))
    try:
        statistics, metadata = _read_one(job, panel)
    except GputwasError as error:
        return error
    except MemoryError:
        return ResourceError(f"memory ran out while reading {job.trait.paths[0]}; use fewer workers")
    beta = None if statistics.beta is None else statistics.beta.astype(np.float32)
    job.open_store().add(job.trait.trait, statistics.z, beta, metadata)
    return _Imported(statistics.layout, statistics.warnings, this_process())


def _read_one(job: _Job, panel: PanelIndex) -> tuple[TraitStatistics, dict[str, Any]]:
    trait, options, paths = job.trait, job.options, job.paths()
    wanted = PanelFilter(panel, scan=worth_scanning(paths))
    with InputFiles(paths, trait.checksums, trait.paths) as files:
        reader = _opened(
            trait, paths, options, keep=wanted, roles=ROLES_USED, threads=job.threads, opener=files.opener
        )
        statistics = read_trait(
            reader, panel, **asdict(options), min_found=job.min_found, build=trait.build, seen=wanted
        )
        digest = files.hash(_how(trait))
        return statistics, _metadata(trait, statistics, files.states(), digest)


def _opened(trait: TraitInput, paths: Sequence[str], options: GwasOptions, **more: Any) -> SumstatsReader:
    return open_sumstats(list(paths), parity=options.mode == "parity", **_how(trait), **more)


def _metadata(
    trait: TraitInput, found: TraitStatistics, files: list[dict[str, Any]], input_hash: str
) -> dict[str, Any]:
    return {
        "trait": trait.trait,
        "source": list(trait.paths),
        "n": trait.n if trait.n is not None else found.n,
        "build": trait.build,
        "dialect": found.dialect,
        "effect": found.effect if found.effect == "none" else trait.effect or found.effect,
        "h2": trait.h2,
        "h2_se": trait.h2_se,
        "rows_read": found.rows_read,
        "rows_malformed": found.rows_malformed,
        "counts": found.counts,
        "found_share": found.found_share,
        "input_hash": input_hash,
        "annotation": dict(trait.annotation),
        "layout": found.layout,
        "z_from": found.sources,
        "strand": found.strand,
        "warnings": list(found.warnings),
        "files": files,
        "how": _how(trait),
    }
