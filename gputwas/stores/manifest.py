"""The manifest of a store: what it is, which program wrote it, from which inputs, with which parameters.

In: a store's folder. Out: a `Manifest`, or an error that says what the folder is instead and what to do.
"""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import gputwas
from gputwas.errors import InputError
from gputwas.files import atomic_path

__all__ = [
    "FORMAT_VERSIONS",
    "MANIFEST_NAME",
    "Manifest",
    "differences",
    "new_manifest",
    "read_json",
    "read_manifest",
    "to_plain",
    "write_json",
]

MANIFEST_NAME = "manifest.json"
FORMAT_VERSIONS = {
    "gputwas.models": 1,
    "gputwas.gwas": 1,
    "gputwas.associations": 1,
    "gputwas.gene_ld": 1,
    "gputwas.joint": 1,
}
_MADE_BY = {
    "gputwas.models": "gputwas models import",
    "gputwas.gwas": "gputwas gwas import",
    "gputwas.associations": "gputwas associate",
    "gputwas.gene_ld": "gputwas models covariance",
    "gputwas.joint": "gputwas multixcan",
}
_NAMED = 3  # differing inputs named in a message


@dataclass(frozen=True)
class Manifest:
    """Contents of manifest.json; `content` holds what only this kind of store needs."""

    format: str
    format_version: int
    program_version: str
    created: str
    parameters: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    content: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write manifest.json in one step."""
        write_json(os.path.join(folder, MANIFEST_NAME), asdict(self))


def new_manifest(
    format: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    content: Mapping[str, Any] | None = None,
) -> Manifest:
    """Manifest of a store that this program begins now."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Manifest(
        format, FORMAT_VERSIONS[format], gputwas.__version__, now,
        to_plain(parameters), to_plain(inputs), to_plain(content or {}),
    )  # fmt: skip


def read_manifest(folder: str | os.PathLike[str], format: str) -> Manifest:
    """Read and check the manifest of a store of kind `format`.

    Raises
    ------
    InputError
        If the folder does not exist, is not a store, is another kind of store, was written by a newer
        program, or its manifest is damaged.
    """
    path = os.path.join(folder, MANIFEST_NAME)
    make = f"Make it with `{_MADE_BY[format]}`, or name another folder."
    if not os.path.isdir(folder):
        what = (
            "this is a file, not the folder of a store"
            if os.path.exists(folder)
            else "there is no such folder"
        )
        raise InputError(what, path=folder, expected=f"a {format} store", remedy=make)
    if not os.path.isfile(path):
        unfinished = os.path.exists(os.path.join(folder, ".lock"))
        what = "the store was begun and not finished" if unfinished else "the folder is not a gputwas store"
        raise InputError(what, path=folder, expected=f"a {format} store with a {MANIFEST_NAME}", remedy=make)
    fields = read_json(path)
    _check_kind(fields, folder, format, make)
    try:
        known = {name: fields[name] for name in Manifest.__dataclass_fields__ if name in fields}
        return Manifest(**known)
    except TypeError as error:
        raise _damaged(path, error) from error


def _check_kind(fields: Any, folder: str | os.PathLike[str], format: str, make: str) -> None:
    found = fields.get("format") if isinstance(fields, dict) else None
    if not isinstance(found, str) or not found.startswith("gputwas."):
        raise InputError("the folder is not a gputwas store", path=folder, expected=format, remedy=make)
    version = fields.get("format_version")
    if not isinstance(version, int):
        raise _damaged(os.path.join(folder, MANIFEST_NAME), f"format_version is {version!r}")
    newest = FORMAT_VERSIONS.get(found, 0)
    if version > newest:
        raise InputError(
            f"the store has a newer format, written by gputwas {fields.get('program_version', '(unknown)')}",
            path=folder,
            found=f"{found} format version {version}",
            expected=f"at most version {newest}, which is all that gputwas {gputwas.__version__} knows",
            remedy="Upgrade this program: pip install --upgrade gputwas.",
        )
    if found != format:
        raise InputError(
            "this is another kind of store", path=folder, found=found, expected=format, remedy=make
        )


def differences(
    manifest: Manifest, parameters: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What differs between a store's manifest and what is asked for now, in words; empty if nothing does.

    Inputs are compared by digest: a file that only moved is the same file.
    """
    found = []
    old, new = manifest.parameters, to_plain(parameters)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name) or (name in old) != (name in new):
            was = json.dumps(old[name]) if name in old else "not set"
            now = json.dumps(new[name]) if name in new else "not set"
            found.append(f"parameter {name} was {was} and is now {now}")
    return found + _input_differences(manifest.inputs, to_plain(inputs))


def _input_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    old_digests = {description.get("xxh3_128") for description in old.values()}
    new_digests = {description.get("xxh3_128") for description in new.values()}
    changed = [path for path in new if path in old and old[path].get("xxh3_128") != new[path].get("xxh3_128")]
    added = [path for path in new if path not in old and new[path].get("xxh3_128") not in old_digests]
    gone = [path for path in old if path not in new and old[path].get("xxh3_128") not in new_digests]
    texts = (
        ("has other contents", changed),
        ("was not an input", added),
        ("was an input and is not now", gone),
    )
    return [f"{_some(paths)} {text}" for text, paths in texts if paths]


def _some(paths: list[str]) -> str:
    named = ", ".join(paths[:_NAMED])
    return named if len(paths) <= _NAMED else f"{named} and {len(paths) - _NAMED:,} more, each"


def to_plain(value: Any) -> Any:
    """Turn tuples, paths, NumPy values and NaN (null) into what JSON gives back, for exact comparing."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [to_plain(item) for item in items]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool | int | float | str) or value is None:
        # A subclass (an enumeration, say) reads back as its plain base.
        return json.loads(json.dumps(value))
    raise TypeError(f"{type(value).__name__} cannot be recorded in a store")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as indented JSON with sorted keys, in one step."""
    text = json.dumps(to_plain(value), indent=1, sort_keys=True, allow_nan=False)
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file of a store.

    Raises
    ------
    InputError
        If it cannot be read as JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: object) -> InputError:
    return InputError(
        f"the file of a store is damaged or cannot be read: {error}",
        path=path,
        remedy="Write the store again into another folder.",
    )
