"""Arrow IPC files as the stores use them: one uncompressed record batch, memory-mapped when read.

In: tables, or NumPy arrays of equal length. Out: tables and read-only NumPy views of the file, not copies.
Columns of plain arrays begin at multiples of 64 bytes in the file (so in memory too, and at a constant
distance from each other when of one type): vector units and a matrix view can use the map as it is.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.errors import InputError, ResourceError
from gputwas.files import atomic_path

__all__ = [
    "array_view",
    "float_columns",
    "joined",
    "matrix_view",
    "open_batch",
    "open_matrix",
    "open_table",
    "padded_matrix",
    "read_schema",
    "require_space",
    "write_arrays",
    "write_batch",
    "write_table",
]

_ALIGNMENT = 64
_MAGIC_BYTES = 8  # "ARROW1" and padding, before the schema
_MAGIC = b"ARROW1"  # ends a file too
_PADDING_KEY = b"padding"
_OPTIONS = pa.ipc.IpcWriteOptions(compression=None, allow_64bit=True)


def write_table(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write a table as one record batch."""
    whole = table.combine_chunks()
    with _writer(path, whole.schema, whole.nbytes) as writer:
        writer.write_table(whole)


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write one-dimensional numeric arrays of equal length as aligned columns.

    Parameters
    ----------
    arrays : name -> (rows,) array without missing values (NaN is a value).
    metadata : kept in the schema.
    """
    columns = [_padded(array) for array in arrays.values()]
    write_batch(path, list(arrays), columns, metadata)


def padded_matrix(rows: int, columns: int, dtype: npt.DTypeLike) -> np.ndarray:
    """An array (rows, columns) to fill, laid out as `float_columns` needs it to take it without a copy."""
    item = np.dtype(dtype).itemsize
    wide = -(-rows * item // _ALIGNMENT) * _ALIGNMENT // item
    padded = np.empty((columns, wide), dtype=dtype)
    padded[:, rows:] = 0
    return padded[:, :rows].T


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of one type one after the other, laid out so that `write_arrays` takes them without a copy."""
    rows, dtype = sum(map(len, parts)), parts[0].dtype
    whole = np.empty(-(-rows * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT // dtype.itemsize, dtype)
    whole[rows:] = 0
    return np.concatenate(parts, out=whole[:rows])


def float_columns(matrix: np.ndarray) -> list[pa.Array]:
    """Columns of a float32 or float64 (rows, columns) matrix as padded Arrow arrays.

    One copy for all, and none if the matrix is a `padded_matrix`, or the first columns of one.
    """
    rows, count = matrix.shape
    padded = matrix.base
    if padded is None or not _is_padding_of(padded, matrix):
        copy = padded_matrix(rows, count, matrix.dtype)
        copy[...] = matrix
        padded = copy.base
    assert padded is not None
    step = padded.strides[0]
    buffer = pa.py_buffer(padded)
    kind = pa.from_numpy_dtype(matrix.dtype)
    return [
        pa.Array.from_buffers(kind, rows, [None, buffer.slice(column * step, step)])
        for column in range(count)
    ]


def _is_padding_of(base: np.ndarray, matrix: np.ndarray) -> bool:
    """Whether the matrix is all or the first columns of an array that `padded_matrix` made."""
    if base.ndim != 2 or not base.flags.c_contiguous:
        return False
    rows, count = matrix.shape
    item = matrix.dtype.itemsize
    wide = -(-rows * item // _ALIGNMENT) * _ALIGNMENT // item
    return (
        base.dtype == matrix.dtype
        and base.shape[1] == wide
        and base.shape[0] >= count
        and matrix.ctypes.data == base.ctypes.data
        and matrix.strides == (item, wide * item)
        and not base[:count, rows:].any()
    )


def _padded(array: np.ndarray) -> pa.Array:
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"a column is a one-dimensional array of numbers, not {array.dtype} {array.shape}")
    size = -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    whole = array.base if isinstance(array.base, np.ndarray) else array
    if _is_vector_with_padding(whole, array, size):  # perhaps a file that is larger than the memory
        buffer = whole
    else:
        buffer = np.zeros(size, dtype=np.uint8)
        buffer[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8)
    return pa.Array.from_buffers(pa.from_numpy_dtype(array.dtype), len(array), [None, pa.py_buffer(buffer)])


def _is_vector_with_padding(whole: np.ndarray, array: np.ndarray, size: int) -> bool:
    """Whether `array` begins `whole`, which has `size` bytes and zeros behind it."""
    return (
        whole.ndim == 1
        and whole.dtype == array.dtype
        and whole.nbytes == size
        and whole.flags.c_contiguous
        and array.flags.c_contiguous
        and array.ctypes.data == whole.ctypes.data
        and not whole[len(array) :].any()
    )


def write_batch(
    path: str | os.PathLike[str],
    names: Sequence[str],
    columns: Sequence[pa.Array],
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write padded columns (from `float_columns` or alike) so that the first begins at a multiple of 64."""
    fields = [
        pa.field(name, column.type, nullable=False) for name, column in zip(names, columns, strict=True)
    ]
    body = sum(column.buffers()[1].size for column in columns)
    schema = pa.schema(fields, metadata=dict(metadata or {}) | {_PADDING_KEY: b""})
    batch = pa.RecordBatch.from_arrays(list(columns), schema=schema)
    header = pa.ipc.get_record_batch_size(batch) - body
    for missing in range(0, 2 * _ALIGNMENT, 8):
        # The schema is the only part whose length is ours to choose.
        schema = pa.schema(fields, metadata=schema.metadata | {_PADDING_KEY: b" " * missing})
        if (_MAGIC_BYTES + schema.serialize().size + header) % _ALIGNMENT == 0:
            break
    batch = pa.RecordBatch.from_arrays(list(columns), schema=schema)
    with _writer(path, schema, body) as writer:
        writer.write_batch(batch)


@contextlib.contextmanager
def _writer(path: str | os.PathLike[str], schema: pa.Schema, size: int) -> Iterator[pa.RecordBatchWriter]:
    require_space(os.path.dirname(os.path.abspath(path)), size)
    with (
        atomic_path(path) as temporary,
        pa.OSFile(temporary, "wb") as file,
        pa.ipc.new_file(file, schema, options=_OPTIONS) as writer,
    ):
        yield writer


def require_space(folder: str | os.PathLike[str], needed: int) -> None:
    """Stop before writing what cannot fit.

    Parameters
    ----------
    needed : bytes about to be written into `folder`.

    Raises
    ------
    ResourceError
        If the file system has fewer bytes free; names the folder and both numbers.
    """
    if not os.path.isdir(folder):
        return  # the writer says so, with a remedy
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{os.fspath(folder)}: the disk is too full, {needed:,} bytes are needed and {free:,} are free. "
            "Free some space or write elsewhere; nothing half-written was kept."
        )


def open_batch(path: str | os.PathLike[str]) -> pa.RecordBatch:
    """Memory-map the one record batch of a file.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        if reader.num_record_batches != 1:
            raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches instead of one")
        return reader.get_batch(0)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def open_matrix(path: str | os.PathLike[str], names: Sequence[str], rows: int) -> np.ndarray | None:
    """Memory-map a file of `write_batch` whose columns are of one floating type, as `matrix_view` shows it.

    Made without an object per column: opening a block of 128 traits costs a tenth of `open_batch` and
    `matrix_view`, and less than reading it.

    Parameters
    ----------
    names : columns the file must have. rows : rows it must have.

    Returns
    -------
    (rows, columns), read-only; None if the file has other columns or rows. Errors as for `open_batch`.
    """
    count = len(names)
    try:
        with pa.memory_map(os.fspath(path)) as file:
            file.seek(max(file.size() - len(_MAGIC), 0))
            whole = file.read(len(_MAGIC)) == _MAGIC
            file.seek(_MAGIC_BYTES)
            if whole and count and rows:
                schema, found, dtype = _columns(pa.ipc.read_message(file).serialize().to_pybytes())
                message = pa.ipc.read_message(file)
                same = found == tuple(names) and pa.ipc.read_record_batch(message, schema).num_rows == rows
                step = -(-rows * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
                if same and dtype.kind == "f" and message.body.size == step * count:
                    values = np.frombuffer(message.body, dtype).reshape(count, step // dtype.itemsize)
                    return values[:, :rows].T
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    batch = open_batch(path)  # what is no file of ours in the usual form
    if batch.schema.names != list(names) or batch.num_rows != rows:
        return None
    return matrix_view(batch)


@functools.lru_cache(maxsize=256)
def _columns(message: bytes) -> tuple[pa.Schema, tuple[str, ...], np.dtype]:
    """Schema, names and type of the columns of a schema message; of kind "V" if they are not of one type."""
    schema = pa.ipc.read_schema(pa.py_buffer(message))
    types = set(schema.types)
    one = np.dtype(types.pop().to_pandas_dtype()) if len(types) == 1 else np.dtype("V")
    return schema, tuple(schema.names), one


def open_table(path: str | os.PathLike[str]) -> pa.Table:
    """Memory-map a table written by `write_table`; errors as for `open_batch`."""
    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def read_schema(path: str | os.PathLike[str]) -> pa.Schema:
    """Schema with metadata, without touching the data; errors as for `open_batch`."""
    try:
        with pa.memory_map(os.fspath(path)) as file:
            return pa.ipc.open_file(file).schema
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def array_view(column: pa.Array) -> np.ndarray:
    """Read-only view of a numeric column without nulls; it keeps the map open."""
    if column.null_count:
        raise ValueError(f"the column has {column.null_count} nulls")
    dtype = np.dtype(column.type.to_pandas_dtype())
    # Not column.to_numpy(), which loads pandas first.
    values = np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * dtype.itemsize)
    values.flags.writeable = False
    return values


def matrix_view(batch: pa.RecordBatch) -> np.ndarray:
    """Columns of a batch of one floating type side by side.

    Returns
    -------
    (rows, columns) of that type, read-only: a view if the columns lie at a constant distance (as
    `write_batch` leaves them), else a copy. Each column is contiguous; between columns there may be padding.
    """
    rows, count = batch.num_rows, batch.num_columns
    dtype = np.dtype(batch.schema.types[0].to_pandas_dtype()) if count else np.dtype(np.float32)
    item = dtype.itemsize
    starts = np.array([c.buffers()[1].address + item * c.offset for c in batch.columns], dtype=np.int64)
    steps = np.unique(np.diff(starts))
    if rows == 0 or count == 0:
        return np.empty((rows, count), dtype=dtype, order="F")
    if len(steps) > 1 or np.any(steps < item * rows):
        stacked = np.stack([array_view(column) for column in batch.columns]).T
        stacked.flags.writeable = False
        return stacked
    step = int(steps[0]) if len(steps) else item * rows
    buffer = pa.foreign_buffer(int(starts[0]), step * (count - 1) + item * rows, base=batch)
    return np.ndarray((rows, count), dtype=dtype, buffer=buffer, strides=(item, step))


def _damaged(path: str | os.PathLike[str], error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("a file of the store is missing", path=path, remedy="Write the store again.")
    return InputError(
        f"a file of the store is damaged or no Arrow file: {error}",
        path=path,
        remedy="Delete it and run the command that wrote it again.",
    )
