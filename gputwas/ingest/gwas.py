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
from dataclasses import asdict
from threading import Event
from typing import Any

import pyarrow as pa

from gputwas.errors import GputwasError, InputError, UsageError
from gputwas.executors.choose import open_executor, share_of_worker
from gputwas.executors.jobs import run_jobs, this_process
from gputwas.formats.sumstats.reader import resolve_paths
from gputwas.formats.sumstats.sources import is_url
from gputwas.ingest.choose_key import MatchOptions
from gputwas.ingest.jobs import (
    GwasOptions,
    TraitInput,
    TraitJob,
    how_kept,
    import_one,
    open_trait,
    panel_key,
)
from gputwas.ingest.lifted_gwas import check_target
from gputwas.ingest.panel import style_of_panel
from gputwas.ingest.report import import_report
from gputwas.ingest.sources import (
    FileState,
    FileStates,
    InputFiles,
    input_hash,
    same_by_state,
    with_checksums,
)
from gputwas.ingest.trait import MIN_FOUND
from gputwas.ingest.zscores import PVALUE_FIX
from gputwas.progress import progress
from gputwas.stores.gwas import GwasStore
from gputwas.stores.manifest import to_plain
from gputwas.variants.align import Mode, Palindromes

__all__ = ["GwasOptions", "MatchOptions", "TraitInput", "import_gwas"]

log = logging.getLogger(__name__)


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
    matching: MatchOptions | None = None,
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
    matching : by what rows are matched to the models' variants; parity mode knows identifiers only.

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
    matched = _checked_matching(matching, options)
    if workers < 1:
        raise UsageError(f"the number of workers must be 1 or more, not {workers}")
    if workers > 1 and executor is not None:
        raise UsageError("give a number of workers or an executor, not both")
    traits = [_as_input(entry, options) for entry in entries]
    states = FileStates(lenient=keep_going)
    _check_before(traits, options, states, keep_going=keep_going, overwrite=overwrite)
    table = _panel_table(panel)
    if matched.chain is not None:
        style = style_of_panel(table["variant_id"])
        check_target(matched.to, style.build, style.example)
        matched = matched.leading_to(style.build)
    with (
        open_executor(f"local:{min(workers, len(traits))}" if executor is None else executor) as pool,
        GwasStore.create(out, table, parameters=asdict(options), overwrite=overwrite) as store,
    ):
        try:
            stored = set(store.traits)
            before = [t for t in traits if t.trait in stored]
            updated = _stored_before(before, store, states, matched)
            todo = [trait for trait in traits if trait.trait not in stored]
            if len(todo) < len(traits):
                log.info("%s of %s traits are in the store already", len(traits) - len(todo), len(traits))
            failures = _import_missing(todo, store, options, matched, min_found, pool, keep_going)
            metadata = {t.trait: store.metadata(t.trait) for t in traits if t.trait not in failures}
        finally:
            store.discard_if_empty()
    status = {t.trait: "present" if t.trait in stored else "imported" for t in traits}
    status |= dict.fromkeys(updated, "updated") | dict.fromkeys(failures, "failed")
    return import_report(
        [t.trait for t in traits], status, metadata, {k: str(v) for k, v in failures.items()}
    )


def _checked_matching(matching: MatchOptions | None, options: GwasOptions) -> MatchOptions:
    found = MatchOptions() if matching is None else matching.with_digests()
    found.check_mode(options.mode)
    return found


def _stored_before(
    traits: Sequence[TraitInput], store: GwasStore, states: FileStates, matching: MatchOptions
) -> set[str]:
    """Check that stored traits are those meant, all of them before any is touched; returns which changed."""
    known = {t.trait: store.metadata(t.trait) for t in traits}
    states.look(path for t in traits for path in t.paths)
    files = {t.trait: _check_same_input(t, known[t.trait], store.path, states, matching) for t in traits}
    return {t.trait for t in traits if _update(store, t, known[t.trait], files[t.trait])}


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
    trait: TraitInput,
    metadata: Mapping[str, Any],
    out: str | os.PathLike[str],
    states: FileStates,
    matching: MatchOptions,
) -> list[dict[str, Any]]:
    """Refuse a stored trait whose files or reading options are others now.

    Files that have the size and time of change that they had are not read again to compare them, unless a
    checksum is new.

    Returns
    -------
    What is known of the files now: what metadata say, and the checksums that were compared.
    """
    known = metadata.get("files", [])
    now = [states.of(path) for path in trait.paths]
    before, how = metadata.get("how") or {}, to_plain(how_kept(trait, matching))
    same = same_by_state(known, now, trait.checksums)
    if same is None:
        same = metadata["input_hash"] == input_hash(trait.paths, before, trait.checksums)
    if same and before == how:
        return with_checksums(known, trait.paths, trait.checksums)
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
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return "; ".join(f"{name} {before.get(name)!r} -> {now.get(name)!r}" for name in names)


def _update(
    store: GwasStore, trait: TraitInput, metadata: Mapping[str, Any], files: list[dict[str, Any]]
) -> bool:
    """Bring what is said about a stored trait up to date with what is given; returns whether it was not.

    What is not given stays as it is; z and effects stay as they are in any case.
    """
    given: dict[str, Any] = {name: getattr(trait, name) for name in ("n", "h2", "h2_se", "build")}
    given["files"] = files or None  # stores of early versions do not say
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
                open_trait(trait, trait.paths, options, opener=files.opener)
        except GputwasError as error:
            if not keep_going:
                raise
            first = first or error
        else:
            if keep_going:
                return
    if first is not None:
        raise first


def _import_missing(
    todo: list[TraitInput],
    store: GwasStore,
    options: GwasOptions,
    matching: MatchOptions,
    min_found: float,
    executor: Executor | None,
    keep_going: bool,
) -> dict[str, GputwasError]:
    """Read and store traits; returns those that failed, or raises the first failure."""
    failures: dict[str, GputwasError] = {}
    if not todo:
        return failures
    place = os.path.abspath(store.path), store.manifest, os.getcwd()
    # Processes of this machine share its cores; those of others are as busy as their owner wants them to be.
    here = executor is None or hasattr(executor, "n_here")
    threads = share_of_worker(executor, len(todo)).threads if here else 1
    key = panel_key(store)
    jobs = [TraitJob(trait, options, min_found, *place, threads, key, matching) for trait in todo]
    stop = Event()
    layout = ""  # said again only when it changes: thousands of files of one kind are one line
    with progress("reading GWAS", len(todo), "traits") as shown:
        for position, result in run_jobs(import_one, jobs, executor, stop=stop):
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
