"""How every store begins, goes on and is written over: one protocol for all kinds.

In: a path, the kind of store, its parameters and inputs. Out: the lock, and the manifest of what is already
there if it may be continued. A folder without a manifest is unfinished and is emptied; one with a manifest is
continued if parameters and inputs are the same, and refused otherwise.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gputwas
from gputwas.errors import InputError
from gputwas.files import TEMPORARY_PREFIX, check_target, disk_errors, fsync_folder, remove_leftovers
from gputwas.stores.lock import LOCK_NAME, StoreLock
from gputwas.stores.manifest import MANIFEST_NAME, Manifest, differences, read_manifest

__all__ = ["Claim", "check_claim", "claim", "make_folders", "remove_leftovers_below"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Claim:
    """A folder that this process may write to; `manifest` is None where the store has to be begun."""

    path: str
    lock: StoreLock
    manifest: Manifest | None
    contents: tuple[str, ...]
    created_folder: bool

    def abandon(self) -> None:
        """Remove what was written, and the folder if it was made here, and release the lock."""
        _wipe(self.path, self.contents)
        self.lock.release(remove=True)
        if self.created_folder and not os.listdir(self.path):
            os.rmdir(self.path)


def claim(
    path: str | os.PathLike[str],
    format: str,
    *,
    contents: Sequence[str],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    overwrite: bool = False,
) -> Claim:
    """Take the lock of a new or existing store and find out whether it may be continued.

    Parameters
    ----------
    format : kind of store, a key of `FORMAT_VERSIONS`.
    contents : names of the files and folders that make up such a store; nothing else is ever removed.
    overwrite : begin anew, whatever parameters and inputs the existing store has.

    Raises
    ------
    InputError
        If the folder holds something else, is locked by another process, was written by a newer version, or
        (without `overwrite`) from other inputs or parameters, which are named.
    """
    folder = os.fspath(path)
    existed = os.path.isdir(folder)
    _check_folder(folder, format)
    try:
        with disk_errors(folder):
            os.makedirs(folder, exist_ok=True)
            lock = StoreLock(folder)
    except OSError as error:
        raise InputError(f"cannot write here, {error.strerror}", path=folder) from error
    try:
        manifest = _continued(folder, format, contents, parameters, inputs, overwrite)
    except BaseException:
        lock.release()
        raise
    return Claim(folder, lock, manifest, tuple(contents), created_folder=not existed)


def check_claim(
    path: str | os.PathLike[str],
    format: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    overwrite: bool = False,
) -> None:
    """Refuse what `claim` would refuse, before long work; changes nothing, and looks at no lock.

    Raises
    ------
    InputError
        As `claim`, or if the folder cannot be made.
    """
    folder = os.fspath(path)
    _check_folder(folder, format)
    check_target(os.path.join(folder, MANIFEST_NAME), folder_is_made=True)
    if os.path.exists(os.path.join(folder, MANIFEST_NAME)) and not overwrite:
        _check_same(folder, read_manifest(folder, format), parameters, inputs)


def _check_same(
    folder: str, manifest: Manifest, parameters: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]
) -> None:
    found = differences(manifest, parameters, inputs)
    if found:
        raise InputError(
            f"the store was written differently: {'; '.join(found)}",
            path=folder,
            remedy="Use --overwrite to write it anew, or name another folder.",
        )


def _check_folder(folder: str, format: str) -> None:
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise InputError(
            "a file is in the way of the store's folder", path=folder, remedy="Name another folder."
        )
    if not os.path.isdir(folder):
        return
    names = set(os.listdir(folder))
    if MANIFEST_NAME in names:
        read_manifest(folder, format)
    elif LOCK_NAME not in names and any(not name.startswith(TEMPORARY_PREFIX) for name in names):
        raise InputError(
            "the folder is not empty and not a gputwas store",
            path=folder,
            found=", ".join(sorted(names)[:3]),
            remedy="Name a new or empty folder.",
        )


def _continued(
    folder: str,
    format: str,
    contents: Sequence[str],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    overwrite: bool,
) -> Manifest | None:
    if not os.path.exists(os.path.join(folder, MANIFEST_NAME)):
        _wipe(folder, contents)
        return None
    manifest = read_manifest(folder, format)
    if overwrite:
        _wipe(folder, contents)
        return None
    _check_same(folder, manifest, parameters, inputs)
    if manifest.program_version != gputwas.__version__:
        log.warning("%s was begun by gputwas %s and is continued by %s", folder, manifest.program_version,
                    gputwas.__version__)  # fmt: skip
    removed = sum(remove_leftovers_below(os.path.join(folder, name)) for name in contents)
    removed += len(remove_leftovers(folder))
    if removed:
        log.info("%s: removed %d temporary files of an interrupted run", folder, removed)
    return manifest


def _wipe(folder: str, contents: Sequence[str]) -> None:
    """Remove the store in a folder, the manifest first, so that a kill on the way leaves no half store."""
    for name in (MANIFEST_NAME, *contents):
        target = os.path.join(folder, name)
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target)
        elif os.path.lexists(target):
            os.unlink(target)
        if name == MANIFEST_NAME:
            fsync_folder(folder)
    remove_leftovers(folder)


def remove_leftovers_below(folder: str) -> int:
    """Remove what killed processes left anywhere in a folder; returns how many files.

    Only for a caller that holds the store's lock, and when no worker of it writes: see `remove_leftovers`.
    """
    return sum(len(remove_leftovers(below)) for below, _, _ in os.walk(folder))


def make_folders(folder: str, names: Sequence[str]) -> None:
    """Make folders inside a store where they are missing."""
    with disk_errors(folder):
        for name in names:
            os.makedirs(os.path.join(folder, name), exist_ok=True)
    fsync_folder(folder)
