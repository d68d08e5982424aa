"""Any number of GWAS into one store.

In: traits (a name, its files, how to read them), a panel, and the folder of the store. Out: the store, and a
report with one row per trait.

Traits are independent of each other, so they are read by as many processes as asked for; one process, the
caller's, writes. Neither the number of processes nor the order of traits changes a bit of what is stored. A
run that was interrupted goes on with the traits that are missing.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import GputwasError, InputError, ResourceError, UsageError
from gputwas.formats.sumstats.reader import open_sumstats, resolve_paths
from gputwas.ingest.pool import run_jobs
from gputwas.ingest.report import import_report
from gputwas.ingest.trait import MIN_FOUND, ROLES_USED, PanelFilter, PanelIndex, TraitStatistics, read_trait
from gputwas.ingest.zscores import PVALUE_FIX
from gputwas.progress import progress
from gputwas.stores.gwas import GwasStore
from gputwas.stores.hashing import ContentHash, hash_file
from gputwas.stores.manifest import to_plain
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
    paths : its file, or several that are read one after the other (one per chromosome).
    n, h2, h2_se : sample size, heritability and its standard error, if known.
    build : genome build of the positions, if known.
    dialect : name of the file's dialect; None = told from the header.
    columns : role -> header name; None = as the dialect has it.
    separator, skip_until_header, handle_empty_columns : how to read an unusual file.
    effect : "beta" or "log_odds": what the effect sizes are to be called; None = told from the file.
    annotation : anything else that is to be kept with the trait (modality, atlas ...).
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
    workers : processes that read; 1 reads in this one.
    keep_going : read the other traits although one failed; the report then says what failed.
    overwrite : empty the store first, but only once the header of every file is known to be readable (with
        `keep_going`: of any file).

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
    traits = [_as_input(entry, options) for entry in entries]
    _check_before(traits, options, keep_going=keep_going, overwrite=overwrite)
    table = _panel_table(panel)
    with GwasStore.create(out, table, parameters=asdict(options), overwrite=overwrite) as store:
        try:
            stored = set(store.traits)
            known = {t.trait: store.metadata(t.trait) for t in traits if t.trait in stored}
            for trait in traits:
                if trait.trait in stored:
                    _check_same_input(trait, known[trait.trait], out)
            updated = {t.trait for t in traits if t.trait in stored and _update(store, t, known[t.trait])}
            todo = [trait for trait in traits if trait.trait not in stored]
            if len(todo) < len(traits):
                log.info("%s of %s traits are in the store already", len(traits) - len(todo), len(traits))
            failures = _import_missing(todo, table, store, options, min_found, workers, keep_going)
            metadata = {t.trait: store.metadata(t.trait) for t in traits if t.trait not in failures}
        finally:
            store.discard_if_empty()
    status = {t.trait: "present" if t.trait in stored else "imported" for t in traits}
    status |= dict.fromkeys(updated, "updated") | dict.fromkeys(failures, "failed")
    return import_report(
        [t.trait for t in traits], status, metadata, {k: str(v) for k, v in failures.items()}
    )


def _check_before(
    traits: Sequence[TraitInput], options: GwasOptions, *, keep_going: bool, overwrite: bool
) -> None:
    """What can be told before hours of reading, and before an old store is given up."""
    _check_names(traits)
    if not keep_going:
        for path in (path for trait in traits for path in trait.paths):
            _file_state(path)
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


def _check_same_input(trait: TraitInput, metadata: Mapping[str, Any], out: str | os.PathLike[str]) -> None:
    """Refuse a stored trait whose files or reading options are others now.

    Files that have the size and time of change that they had are not read again to compare them.
    """
    known = metadata.get("files", [])
    now = [_file_state(path) for path in trait.paths]
    before, how = metadata.get("how") or {}, _how(trait)
    same = [(f["path"], f["bytes"], f["modified_ns"]) for f in known] == now
    same = same or metadata["input_hash"] == _input_hash(trait.paths, before)
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
        found=", ".join(f"{path} ({size:,} bytes)" for path, size, _ in now[:3]),
        expected=", ".join(f"{f['path']} ({f['bytes']:,} bytes)" for f in known[:3]) + ", as they were read",
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


def _file_state(path: str) -> tuple[str, int, int]:
    try:
        state = os.stat(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "does not exist" if missing else f"cannot be read, {error.strerror}"
        raise InputError(problem, path=path, remedy="Check the path.") from error
    return path, state.st_size, state.st_mtime_ns


def _check_heads(traits: Sequence[TraitInput], options: GwasOptions, keep_going: bool) -> None:
    """Raise what opening a file raises; with `keep_going` only if no trait can be opened."""
    first = None
    for trait in traits:
        try:
            open_sumstats(list(trait.paths), parity=options.mode == "parity", **_how(trait))
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


def _input_hash(paths: Sequence[str], how: Mapping[str, Any]) -> str:
    """Digest of the files' contents, in order, and of how they are read; names and places do not count."""
    digest = ContentHash()
    for path in paths:
        digest.add_text(hash_file(path))
    for name, value in sorted(how.items()):
        digest.add_text(f"{name} {sorted(value.items()) if isinstance(value, dict) else value!r}")
    return digest.hexdigest()


def _import_missing(
    todo: list[TraitInput],
    panel: pa.Table,
    store: GwasStore,
    options: GwasOptions,
    min_found: float,
    workers: int,
    keep_going: bool,
) -> dict[str, GputwasError]:
    """Read and store traits; returns those that failed, or raises the first failure."""
    failures: dict[str, GputwasError] = {}
    if not todo:
        return failures
    jobs = [(trait, options, min_found) for trait in todo]
    workers = min(workers, len(todo))
    stop = Event()
    layout = ""  # said again only when it changes: thousands of files of one kind are one line
    with progress("reading GWAS", len(todo), "traits") as shown:
        for position, result in run_jobs(_read_one, jobs, _prepare, (panel,), workers, stop):
            name = todo[position].trait
            if isinstance(result, GputwasError):
                failures[name] = result
                if keep_going:
                    log.error("%s: %s", name, result)
                else:
                    stop.set()  # what is being read is still stored
            else:
                _store_one(store, todo[position], result, repeat_warnings=workers > 1)
                level = logging.DEBUG if result.statistics.layout == layout else logging.INFO
                layout = result.statistics.layout
                log.log(level, "%s: %s", name, layout)
            shown.advance()
    if failures and not keep_going:
        raise next(failures[trait.trait] for trait in todo if trait.trait in failures)
    return failures


def _store_one(store: GwasStore, trait: TraitInput, found: _Result, *, repeat_warnings: bool) -> None:
    statistics = found.statistics
    if repeat_warnings:
        for warning in statistics.warnings:
            log.warning("%s: %s", trait.trait, warning)
    beta = None if statistics.beta is None else statistics.beta.astype(np.float32)
    store.add(trait.trait, statistics.z, beta, found.metadata)


@dataclass(frozen=True, eq=False)
class _Result:
    statistics: TraitStatistics
    metadata: dict[str, Any]


_panel: PanelIndex | None = None


def _prepare(panel: pa.Table) -> None:
    """Index the panel once per process."""
    global _panel
    _panel = PanelIndex(panel)


def _read_one(job: tuple[TraitInput, GwasOptions, float]) -> _Result | GputwasError:
    """Read one trait; an error that its file causes is a result, so that other traits go on."""
    trait, options, min_found = job
    assert _panel is not None
    try:
        files = [
            dict(zip(("path", "bytes", "modified_ns"), _file_state(p), strict=True)) for p in trait.paths
        ]
        wanted = PanelFilter(_panel)
        reader = open_sumstats(
            list(trait.paths), parity=options.mode == "parity", keep=wanted, roles=ROLES_USED, **_how(trait)
        )
        statistics = read_trait(
            reader, _panel, **asdict(options), min_found=min_found, build=trait.build, seen=wanted
        )
        return _Result(statistics, _metadata(trait, statistics, files, _input_hash(trait.paths, _how(trait))))
    except GputwasError as error:
        return error
    except MemoryError:
        return ResourceError(f"memory ran out while reading {trait.paths[0]}; use fewer workers")


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
