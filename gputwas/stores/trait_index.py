"""The list of traits of a GWAS store, derived from the files of the traits themselves.

In: the folder with one Arrow file per trait. Out: a table of their metadata. The table is kept in
`traits.arrow` and brought up to date from those files that changed, so listing thousands of traits costs one
look at the folder.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gputwas.errors import GputwasError, InputError
from gputwas.files import TEMPORARY_PREFIX
from gputwas.stores.arrow import open_table, read_schema, write_table

__all__ = ["INDEX_NAME", "METADATA_KEY", "read_index", "read_metadata"]

log = logging.getLogger(__name__)

INDEX_NAME = "traits.arrow"
METADATA_KEY = b"gputwas"
SUFFIX = ".arrow"
_SCHEMA = pa.schema(
    {
        "trait": pa.string(),
        "file": pa.string(),
        "bytes": pa.int64(),
        "modified_ns": pa.int64(),
        "metadata": pa.string(),
    }
)

_Stamp = tuple[str, int, int]  # file name, size in bytes, time of modification in ns


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Metadata of one trait's file.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a trait of a GWAS store.
    """
    return json.loads(_metadata_text(path))


def read_index(store: str, traits_folder: str) -> pa.Table:
    """Table (traits,) sorted by trait: trait, file, bytes, modified_ns, metadata (JSON).

    Parameters
    ----------
    store : folder of the store, where the derived table is kept; one that cannot be written to is no error.
    traits_folder : folder with one file per trait.
    """
    stamps = _stamps(traits_folder)
    known = _known(os.path.join(store, INDEX_NAME))
    rows = [known.get(stamp) or _row(traits_folder, stamp) for stamp in stamps]
    rows.sort(key=lambda row: row["trait"])
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    if len(rows) != len(known) or any(stamp not in known for stamp in stamps):
        _keep(os.path.join(store, INDEX_NAME), table)
    return table


def _stamps(folder: str) -> list[_Stamp]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.name.startswith(TEMPORARY_PREFIX):
                state = entry.stat()
                found.append((entry.name, state.st_size, state.st_mtime_ns))
    return found


def _known(path: str) -> dict[_Stamp, Mapping[str, Any]]:
    try:
        table = open_table(path)
    except InputError:
        return {}
    if table.schema != _SCHEMA:
        return {}
    return {(row["file"], row["bytes"], row["modified_ns"]): row for row in table.to_pylist()}


def _row(folder: str, stamp: _Stamp) -> dict[str, Any]:
    name, size, modified = stamp
    text = _metadata_text(os.path.join(folder, name))
    trait = json.loads(text)["trait"]
    return {"trait": trait, "file": name, "bytes": size, "modified_ns": modified, "metadata": text}


def _metadata_text(path: str | os.PathLike[str]) -> str:
    text = (read_schema(path).metadata or {}).get(METADATA_KEY)
    if text is None:
        raise InputError(
            "the file is not a trait of a GWAS store", path=path, remedy="Remove it from the store."
        )
    return text.decode()


def _keep(path: str, table: pa.Table) -> None:
    try:
        write_table(path, table)
    except (OSError, GputwasError) as error:
        # Only a short cut for the next reader: a read-only store is as good without it.
        log.debug("cannot keep %s: %s", path, error)
