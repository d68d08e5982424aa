"""Writing a file so that it is either whole or not there at all.

In: the final path. Out: a temporary path in the same folder, to be written by any library; when the block
ends well the bytes are forced to disk and the file takes its name in one step, otherwise nothing stays. A
full disk becomes a `ResourceError` that names the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator

from gputwas.errors import InputError, ResourceError

__all__ = [
    "TEMPORARY_PREFIX",
    "atomic_path",
    "check_target",
    "disk_errors",
    "fsync_folder",
    "is_disk_full",
    "remove_leftovers",
]

TEMPORARY_PREFIX = ".gputwas-tmp-"
_LONGEST_NAME = 255  # bytes, on every file system in common use
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give a temporary path to write to, and move it to `path` when the block succeeds.

    The temporary file lies in the folder of `path` (a rename is atomic only within one file system) and keeps
    the end of its name, so writers that look at the suffix (``.gz``, ``.db``) behave. On any exception it is
    removed and a file that was at `path` before is untouched. The block must close what it opened.

    Raises
    ------
    InputError
        If the folder does not exist or may not be written to, or `path` is a folder.
    ResourceError
        If the disk or the quota is full.
    """
    final = os.fspath(path)
    folder, name = os.path.split(os.path.abspath(final))
    check_target(final)
    temporary = os.path.join(folder, _temporary_name(name))
    try:
        with disk_errors(folder):
            yield temporary
            _fsync(temporary)
            os.replace(temporary, final)
            fsync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def disk_errors(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" inside the block into a `ResourceError` naming `folder`."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise ResourceError(_full_message(os.fspath(folder), error)) from error


def is_disk_full(error: OSError) -> bool:
    """Whether the system says that the disk, the quota or the largest file size is used up."""
    return error.errno in _DISK_FULL


def fsync_folder(folder: str | os.PathLike[str]) -> None:
    """Force a folder's own entries to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: str | os.PathLike[str]) -> list[str]:
    """Remove temporary files that a killed run left in `folder`; returns their names.

    Only for a caller that holds the folder's lock: a temporary file of a living writer looks the same.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(TEMPORARY_PREFIX))
    for name in names:
        os.unlink(os.path.join(folder, name))
    return names


def check_target(path: str | os.PathLike[str], *, folder_is_made: bool = False) -> None:
    """Refuse a path that no file can be written to; call it before long work.

    Parameters
    ----------
    folder_is_made : the caller makes the folder if it is absent, so only what exists above it counts.

    Raises
    ------
    InputError
        If the folder does not exist or may not be written to, or `path` is a folder.
    """
    final = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(final))
    while folder_is_made and not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if os.path.isdir(final):
        raise InputError("cannot write a file here, it is a folder", path=final, remedy="Name a file in it.")
    if not os.path.isdir(folder):
        if os.path.exists(folder):
            raise InputError(
                "cannot write, what should be its folder is a file", path=final, remedy="Name another folder."
            )
        raise InputError(
            "cannot write, the folder does not exist",
            path=final,
            remedy=f"Create it first: mkdir -p '{folder}'.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            "cannot write, the folder is read-only for this user", path=final, remedy="Name another folder."
        )


def _temporary_name(name: str) -> str:
    head = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-"
    room = _LONGEST_NAME - len(head)
    return head + os.fsdecode(os.fsencode(name)[-room:])


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full_message(folder: str, error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return f"{folder}: the file system does not take a file this large."
    try:
        left = f"{shutil.disk_usage(folder).free:,} bytes are free there"
    except OSError:
        left = "free space unknown"
    what = "the user's quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return f"{folder}: {what} ({left}). Free some space or write elsewhere; nothing half-written was kept."
