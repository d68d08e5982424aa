"""Stores that are written in one go and only read afterwards: prediction models, LD of genes.

In: what decides a store's content, and a function that writes its files. Out: a folder that holds all of it,
its manifest last, or nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from gputwas.errors import InputError
from gputwas.stores.folder import Claim, claim
from gputwas.stores.manifest import differences, new_manifest, read_manifest

__all__ = ["is_current", "write_whole"]

Described = Mapping[str, Mapping[str, Any]]


def is_current(
    path: str | os.PathLike[str], store_format: str, *, inputs: Described, parameters: Mapping[str, Any]
) -> bool:
    """Whether a finished store from these inputs and parameters is there, so making it can be skipped."""
    if not os.path.isfile(os.path.join(path, "manifest.json")):
        return False
    return not differences(read_manifest(path, store_format), parameters, inputs)


def write_whole(
    path: str | os.PathLike[str],
    store_format: str,
    write_files: Callable[[str], None],
    *,
    files: tuple[str, ...],
    content: Mapping[str, Any],
    inputs: Described,
    parameters: Mapping[str, Any],
    overwrite: bool,
) -> None:
    """Write a store; the manifest comes last, so a store with a manifest is whole.

    A finished store from the same inputs and parameters with the same content is left as it is.

    Parameters
    ----------
    write_files : writes `files` into the folder that it is given.
    content : what the manifest says of the content, its ``digest`` among it.
    inputs : from `describe_inputs`. parameters : everything else that decides the content.
    overwrite : write anew over any store of this format.

    Raises
    ------
    InputError
        If the folder holds something else, is being written by another process, or holds a store from other
        inputs or parameters, or from the same with another content.
    ResourceError
        If the disk is full; what was begun is removed.
    """
    held = claim(
        path, store_format, contents=files, parameters=parameters, inputs=inputs, overwrite=overwrite
    )  # fmt: skip
    with held.lock:
        if held.manifest is not None:
            _check_same_content(held, content["digest"])
            return
        try:
            write_files(held.path)
            new_manifest(store_format, parameters, inputs, dict(content)).write(held.path)
        except BaseException:
            held.abandon()
            raise


def _check_same_content(held: Claim, digest: str) -> None:
    assert held.manifest is not None
    if held.manifest.content.get("digest") != digest:
        raise InputError(
            "the store has the same inputs and parameters but other contents, it was written by gputwas "
            f"{held.manifest.program_version}",
            path=held.path,
            remedy="Use --overwrite to write it anew, or name another folder.",
        )
