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
        nulls = _nulls(column)
        self.add_array(f"{name} is null", nulls)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            self._add_strings(name, column, nulls)
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            self.add_array(name, np.where(nulls, 0, _values(column)).astype(_dtype(column), copy=False))
        elif pa.types.is_boolean(column.type):
            self.add_array(name, column.fill_null(False).to_numpy())
        else:
            raise TypeError(f"column {name!r} of type {column.type} has no content hash")

    def _add_strings(self, name: str, column: pa.ChunkedArray, nulls: np.ndarray) -> None:
        """The length of each, 0 of a null, and all their bytes."""
        lengths = _lengths(column)
        if lengths[nulls].any():  # bytes that nobody sees
            column = column.fill_null("")
            lengths = _lengths(column)
        self.add_array(name, lengths)
        for chunk in column.chunks:
            ends = _ends(chunk)
            if ends[-1] > ends[0]:
                self._state.update(memoryview(chunk.buffers()[2])[ends[0] : ends[-1]])


# Arrow's own functions for these load pyarrow.compute, which takes longer than the hashing of most tables.


def _dtype(column: pa.ChunkedArray) -> np.dtype:
    return np.dtype(column.type.to_pandas_dtype())


def _nulls(column: pa.ChunkedArray) -> np.ndarray:
    """Which values are missing, bool (rows,)."""
    found = np.zeros(len(column), dtype=bool)
    begin = 0
    for chunk in column.chunks:
        if chunk.null_count:
            bits = np.unpackbits(np.frombuffer(chunk.buffers()[0], np.uint8), bitorder="little")
            found[begin : begin + len(chunk)] = bits[chunk.offset : chunk.offset + len(chunk)] == 0
        begin += len(chunk)
    return found


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers (rows,); those that are missing say nothing."""
    dtype = _dtype(column)
    chunks = [
        np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * dtype.itemsize)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([np.empty(0, dtype), *chunks])


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    """Bytes of each string, int64 (rows,)."""
    return np.concatenate([np.empty(0, np.int64), *(np.diff(_ends(chunk)) for chunk in column.chunks)])


def _ends(chunk: pa.Array) -> np.ndarray:
    """Where each string of a chunk begins in its bytes, and the end."""
    if not len(chunk):
        return np.zeros(1, np.int64)
    dtype = np.dtype(np.int64 if pa.types.is_large_string(chunk.type) else np.int32)
    ends = np.frombuffer(chunk.buffers()[1], dtype, len(chunk) + 1, chunk.offset * dtype.itemsize)
    return ends.astype(np.int64, copy=False)
