"""Content hashes: of foreign files (provenance of inputs) and of our own tables and arrays (identity).

In: paths, Arrow tables, NumPy arrays. Out: hexadecimal XXH3-128 digests. A digest of a table depends on
names, types and values only, never on chunks, padding or byte order: it is the same on every machine.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from gputwas.errors import InputError

__all__ = ["ContentHash", "describe_inputs", "hash_file"]

_CHUNK = 4 << 20  # bytes read at a time


def hash_file(path: str | os.PathLike[str]) -> str:
    """Digest of a file's bytes, read as a stream; computed once per file and process.

    A file is taken for unchanged while its inode, size and modification time are.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    name = os.path.abspath(os.fspath(path))
    try:
        state = os.stat(name)
        return _hash_file(name, state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "does not exist" if missing else f"cannot be read, {error.strerror}"
        raise InputError(problem, path=path, remedy="Check the path.") from error


@functools.lru_cache(maxsize=65_536)
def _hash_file(name: str, inode: int, size: int, modified: int) -> str:
    digest = xxhash.xxh3_128()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with open(name, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def describe_inputs(paths: Iterable[str | os.PathLike[str]]) -> dict[str, dict[str, Any]]:
    """Size and digest of each file, as manifests record them: ``{path: {"bytes": ..., "xxh3_128": ...}}``."""
    described = {}
    for path in paths:
        digest = hash_file(path)
        described[os.fspath(path)] = {"bytes": os.path.getsize(path), "xxh3_128": digest}
    return described


class ContentHash:
    """A digest built up from named parts; the order of the parts counts."""

    def __init__(self) -> None:
        self._state = xxhash.xxh3_128()

    def add_text(self, text: str) -> ContentHash:
        """Add a string, with its length so that neighbours cannot run into each other."""
        data = text.encode()
        self._state.update(f"text {len(data)}:".encode())
        self._state.update(data)
        return self

    def add_array(self, name: str, array: np.ndarray) -> ContentHash:
        """Add an array of numbers: name, dtype, shape and values in C order."""
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        self.add_text(f"{name} {little.dtype.str} {little.shape}")
        self._state.update(little.reshape(-1).view(np.uint8).data if little.size else b"")
        return self

    def add_table(self, name: str, table: pa.Table) -> ContentHash:
        """Add a table of strings, numbers and booleans: column names, types, null masks and values."""
        self.add_text(f"table {name} {table.num_rows} {table.num_columns}")
        for column in table.column_names:
            self._add_column(column, table[column])
        return self

    def hexdigest(self) -> str:
        """Digest of all parts so far, 32 hexadecimal digits."""
        return self._state.hexdigest()

    def _add_column(self, name: str, column: pa.ChunkedArray) -> None:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_null(column.type):
            self.add_text(f"{name} null")
            return
        self.add_array(f"{name} is null", _numpy(column.is_null()))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            self._add_strings(name, column.cast(pa.large_string()))
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            self.add_array(name, _numpy(column.fill_null(0)))
        elif pa.types.is_boolean(column.type):
            self.add_array(name, _numpy(column.fill_null(False)))
        else:
            raise TypeError(f"column {name!r} of type {column.type} has no content hash")

    def _add_strings(self, name: str, column: pa.ChunkedArray) -> None:
        import pyarrow.compute as pc  # which takes as long to load as all stores

        filled = column.fill_null("")
        self.add_array(name, _numpy(pc.binary_length(filled)))
        for chunk in filled.chunks:
            if len(chunk) == 0:
                continue
            _, offset_buffer, data = chunk.buffers()
            offsets = np.frombuffer(offset_buffer, dtype=np.int64)[
                chunk.offset : chunk.offset + len(chunk) + 1
            ]
            if offsets[-1] > offsets[0]:
                self._state.update(memoryview(data)[offsets[0] : offsets[-1]])


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy()
