"""Chooses by what a GWAS is matched to the models' variants.

In: what the user asked for, the first rows of the file, and the panel. Out: a `Key`, which says in words how
rows are matched, or the error that says why it cannot be done as asked.

Of its own accord (`auto`) a file is matched by the text of its identifiers where it names variants as the
models do; where both tell the place and only spell it differently, by the models' identifiers written the
file's way; else by chromosome and position, if both know them on one build or a chain file joins the two.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.ingest.diagnose import LIFT
from gputwas.ingest.keys import Key, PlaceKey
from gputwas.ingest.lifted_gwas import BuildLift, check_target, lift_between
from gputwas.ingest.mapped_key import mapped_key
from gputwas.ingest.panel import PanelIndex
from gputwas.ingest.spelled_key import spelled_key
from gputwas.stores.hashing import hash_file
from gputwas.variants.identifiers import Spelling, Style, build_name, places_of, spelling_of, style_of

__all__ = ["FirstRows", "Match", "MatchOptions", "choose_key", "possible_keys"]

log = logging.getLogger(__name__)

Match = Literal["auto", "id", "position", "map"]

_SPELLED_ALIKE = 0.95  # share of a file's identifiers that must be of one spelling to be matched as text
_SOME_RS = 0.05  # share of them that are not there by accident


@dataclass(frozen=True)
class MatchOptions:
    """By what GWAS are to be matched.

    Attributes
    ----------
    match : "auto", "id", "position" or "map". map : file that leads from the GWAS's identifiers to the
        models'; map_from, map_to : its columns, None = told. chain : chain file from a trait's build to the
        models'. to : build of the models, None = told from their identifiers.
    map_digest, chain_digest : of the files' contents, see `with_digests`.

    Raises
    ------
    UsageError : options that contradict each other.
    """

    match: Match = "auto"
    map: str | None = None
    map_from: str | None = None
    map_to: str | None = None
    chain: str | None = None
    to: str | None = None
    map_digest: str = ""
    chain_digest: str = ""

    def __post_init__(self) -> None:
        if self.match not in ("auto", "id", "position", "map"):
            raise UsageError(f"match is auto, id, position or map, not {self.match!r}")
        if self.match == "map" and self.map is None:
            raise UsageError("--match map needs the map: --map FILE")
        if self.map is not None and self.match not in ("auto", "map"):
            raise UsageError(f"--map FILE and --match {self.match} contradict each other")
        if self.map is None and (self.map_from or self.map_to):
            raise UsageError("--map-from and --map-to name columns of a map: give it with --map FILE")
        if self.map_from is not None and self.map_from == self.map_to:
            raise UsageError("--map-from and --map-to name one column; a map leads from one to another")
        if self.to is not None and self.chain is None:
            raise UsageError("--to needs a chain file that leads there: --chain FILE")
        if self.chain is not None and (self.map is not None or self.match == "id"):
            other = "--map" if self.map is not None else "--match id"
            raise UsageError(f"--chain moves positions, which {other} does not look at; give one of them")

    def check_mode(self, mode: str) -> None:
        """Refuse what parity mode does not know.

        Raises
        ------
        UsageError : rows are to be matched otherwise than MetaXcan does.
        """
        plain = (MatchOptions(), MatchOptions("id"))
        if mode == "parity" and self not in plain:
            raise UsageError(
                "--mode parity matches identifiers only, as MetaXcan does: leave out --match, --map, "
                "--chain and --to"
            )

    def leading_to(self, build: str | None) -> MatchOptions:
        """The same with this build of the models where a chain file was given and no build named."""
        return replace(self, to=build) if self.chain is not None and self.to is None and build else self

    def with_digests(self) -> MatchOptions:
        """The same with absolute paths and digests, so that workers anywhere can tell the files.

        Raises
        ------
        InputError : a file is not there.
        """
        given = {name: value for name, value in self.__dict__.items() if not name.endswith("_digest")}
        for name in ("map", "chain"):
            if given[name] is not None:
                given[f"{name}_digest"] = hash_file(given[name])
                given[name] = os.path.abspath(given[name])
        return MatchOptions(**given)

    def kept(self, build: str | None) -> dict[str, Any]:
        """What decides by what a trait of this build is matched, defaults left out."""
        said: dict[str, Any] = {} if self.match == "auto" else {"match": self.match}
        if self.map is not None:
            said |= {"map": self.map_digest, "map_from": self.map_from, "map_to": self.map_to}
        there = build_name(self.to) is not None and build_name(self.to) == build_name(build)
        if self.chain is not None and not there:
            said |= {"chain": self.chain_digest, "build": build_name(build) or build}
            said["to"] = build_name(self.to) or self.to
        return {"matching": said} if said else {}


class _Reader(Protocol):
    layout: Any
    paths: Any

    def first_rows(self) -> pa.RecordBatch: ...


class FirstRows:
    """What the first rows of a file tell of how it names variants.

    Attributes
    ----------
    ids : string array, identifiers. columns : names of the columns of chromosome and position, or None.
    made : the file has no identifiers, these were put together from its other columns.
    """

    def __init__(self, reader: _Reader) -> None:
        rows = reader.first_rows()
        self.path = str(reader.paths[0])
        self.layout = reader.layout
        self.ids = pc.drop_null(rows["variant_id"])
        self.made = not {"variant_id", "variant_key"} & set(reader.layout.columns)
        self.columns: tuple[str, str] | None = None
        if {"chromosome", "position"} <= set(rows.schema.names):
            taken = reader.layout.columns
            whole = taken.get("variant_key", "")
            self.columns = taken.get("chromosome", whole), taken.get("position", whole)

    @cached_property
    def style(self) -> Style:
        """Style of most identifiers."""
        return style_of(self.ids)

    @cached_property
    def spelling(self) -> Spelling | None:
        """How nearly all identifiers are spelled; None if they are not positional or not of one spelling.

        Without columns of places only those that tell one count: text finds the others, rs numbers, as well.
        """
        if self.made:
            return None
        ids = self.ids
        if self.columns is None:
            ids = ids.filter(pc.is_valid(places_of(ids)[1]))
        found = spelling_of(ids)
        return found[0] if found is not None and found[1] >= _SPELLED_ALIKE else None

    @property
    def rs_share(self) -> float:
        """Share of the identifiers that are rs numbers."""
        rs = pc.match_substring_regex(self.ids, "^rs[0-9]+$")
        return float(pc.mean(rs).as_py() or 0.0)

    @property
    def placed(self) -> bool:
        """Whether columns or identifiers tell the place of variants."""
        return self.columns is not None or self.style.positional


def choose_key(panel: PanelIndex, reader: _Reader, options: MatchOptions, build: str | None) -> Key:
    """Choose the key of one trait.

    Parameters
    ----------
    build : genome build of the file as the user or a manifest says, None = unknown.

    Raises
    ------
    InputError : the file, the panel or the chain file lack what is needed.
    UsageError : options contradict each other or the models.
    """
    check_target(options.to, panel.style.build, panel.style.example)
    if options.match == "id":
        return panel.key
    first = FirstRows(reader)
    if options.map is not None:
        given = options.map, options.map_digest or hash_file(options.map), first.ids
        return mapped_key(panel, *given, options.map_from, options.map_to)
    _check_build(first, build)
    lift = _lift(panel, first, options, build)
    if options.match == "position":
        _require_places(panel, first)
        if lift is None:
            _require_one_build(panel, first, build)
        return PlaceKey(panel.place_index, first.columns, lift)
    return _automatic(panel, first, lift, build)


def possible_keys(panel: PanelIndex, reader: _Reader, options: MatchOptions, build: str | None) -> list[Key]:
    """All keys that could serve, the panel's own identifiers first; parameters as in `choose_key`."""
    first = FirstRows(reader)
    keys: list[Key] = [panel.key]
    if panel.placed and first.spelling is not None:
        keys.append(spelled_key(panel, first.spelling, first.style.example))
    if panel.placed and first.placed:
        keys.append(PlaceKey(panel.place_index, first.columns, _lift(panel, first, options, build)))
    if options.map is not None:
        keys.append(choose_key(panel, reader, options, build))
    return keys


def _automatic(panel: PanelIndex, first: FirstRows, lift: BuildLift | None, build: str | None) -> Key:
    if _named_alike(panel, first) or not first.placed or not panel.placed:
        if lift is not None:
            log.info("%s: is matched by identifier; the chain file is not needed", first.path)
        return panel.key
    if lift is None:
        if _builds(panel, first, build) is not None:
            if not first.style.positional:
                _require_one_build(panel, first, build)
            return panel.key  # finds nothing, and says why
        if first.spelling is not None:
            return spelled_key(panel, first.spelling, first.style.example)
    return PlaceKey(panel.place_index, first.columns, lift)


def _named_alike(panel: PanelIndex, first: FirstRows) -> bool:
    """Whether panel and file have names of one kind that tell no place.

    Also where the file has rs numbers for a part of its variants, the panel for its own, and no column tells
    places: what the file names by place has no rs number, and nothing would show it to be on another build.
    """
    kind = panel.style.kind
    if panel.style.positional:
        return False
    if kind == "rsid" and first.columns is None and first.rs_share >= _SOME_RS:
        return True
    return first.style.kind == kind and (kind == "rsid" or bool(panel.index.contains(first.ids).any()))


def _check_build(first: FirstRows, build: str | None) -> None:
    """Refuse a build that the identifiers contradict, where they alone tell places."""
    shown, given = first.style.build, build_name(build)
    if first.columns is None and shown and given and shown != given:
        raise InputError(
            f"the build of the file is said to be {build}, but its identifiers show {shown}",
            path=first.path,
            found=first.style.describe(),
            remedy=f"Say --build {shown}, or leave it out; of a manifest, correct its column.",
        )


def _lift(panel: PanelIndex, first: FirstRows, options: MatchOptions, build: str | None) -> BuildLift | None:
    """The way to the panel's build; None if no chain file was given or the file is on that build already."""
    if options.chain is None:
        return None
    build = build or first.style.build
    if build is None:
        raise UsageError(
            f"{first.path}: --chain needs the build of the GWAS: --build hg19, or a manifest's column"
        )
    to = options.to or panel.style.build
    if to is not None and build_name(build) is not None and build_name(build) == build_name(to):
        return None
    digest = options.chain_digest or hash_file(options.chain)
    return lift_between(options.chain, digest, build, to)


def _builds(panel: PanelIndex, first: FirstRows, build: str | None) -> tuple[str, str] | None:
    """Builds of the panel and of the file, if both are known and differ."""
    ours, theirs = panel.style.build, build_name(build) or first.style.build
    return (ours, theirs) if ours and theirs and ours != theirs else None


def _require_one_build(panel: PanelIndex, first: FirstRows, build: str | None) -> None:
    if (builds := _builds(panel, first, build)) is not None:
        raise InputError(
            f"the file is on {builds[1]} and the models are on {builds[0]}, so rows cannot be matched by "
            "position",
            path=first.path,
            found=f"{first.style.describe()}; in the models {panel.style.example!r}",
            remedy=f"{LIFT} Or give a map from the file's ids to the models': --map FILE.",
        )


def _require_places(panel: PanelIndex, first: FirstRows) -> None:
    if not panel.placed:
        raise InputError(
            "the models' variants have no positions, so --match position cannot be done",
            path=first.path,
            found=f"models that name them by {panel.style.describe()}",
            expected="ids such as chr1_13550_G_A_b38",
            remedy="Match by identifier (--match id), through a map (--map FILE), or import the models by "
            "position: gputwas models import --model-db-snp-key varID.",
        )
    if not first.placed:
        raise InputError(
            "there are no columns of chromosome and position, so --match position cannot be done",
            path=first.path,
            found=first.layout.describe(),
            remedy="Name them: --column chromosome=NAME --column position=NAME.",
        )
