"""Arrow files: aligned, memory-mapped, nothing copied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.stores import arrow
from gputwas.stores.arrow import (
    array_view,
    float_columns,
    joined,
    matrix_view,
    open_batch,
    open_table,
    read_schema,
    write_arrays,
    write_batch,
    write_table,
)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 1001])
@pytest.mark.parametrize("names", [("z",), ("a", "bcdefg", "hi")])
def test_columns_are_aligned_views(tmp_path: Path, rows: int, names: tuple[str, ...]) -> None:
    arrays = {name: np.arange(rows, dtype=np.float32) + i for i, name in enumerate(names)}
    write_arrays(tmp_path / "x.arrow", arrays, {b"key": b"v" * 13})
    batch = open_batch(tmp_path / "x.arrow")
    for name, expected in arrays.items():
        view = array_view(batch[name])
        np.testing.assert_array_equal(view, expected, strict=True)
        assert not view.flags.owndata
        assert not view.flags.writeable
        assert rows == 0 or address(view) % 64 == 0
    assert read_schema(tmp_path / "x.arrow").metadata[b"key"] == b"v" * 13


@pytest.mark.parametrize("rows", [1, 5, 8, 1001])
def test_a_vector_with_zeros_behind_it_is_taken_as_it_is(tmp_path: Path, rows: int) -> None:
    """The same file as from any other vector, whatever stands behind the values."""
    padded = np.zeros(-(-rows // 8) * 8)
    padded[:rows] = np.arange(1, rows + 1)
    write_arrays(tmp_path / "copied.arrow", {"x": padded[:rows].copy()})
    assert arrow._padded(padded[:rows]).buffers()[1].address == address(padded)
    write_arrays(tmp_path / "taken.arrow", {"x": padded[:rows]})
    padded[rows:] = 7
    write_arrays(tmp_path / "other.arrow", {"x": padded[:rows]})
    files = {(tmp_path / f"{name}.arrow").read_bytes() for name in ("copied", "taken", "other")}
    assert len(files) == 1


@pytest.mark.parametrize("rows", [0, 1, 16, 21])
@pytest.mark.parametrize("columns", [1, 2, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_is_a_view_of_the_map(tmp_path: Path, dtype: type, rows: int, columns: int) -> None:
    matrix = np.random.default_rng(1).random((rows, columns), dtype=dtype)
    write_batch(tmp_path / "x.arrow", [f"trait {i}" for i in range(columns)], float_columns(matrix))
    batch = open_batch(tmp_path / "x.arrow")
    view = matrix_view(batch)
    np.testing.assert_array_equal(view, matrix, strict=True)
    if view.size:
        assert address(view) == batch.column(0).buffers()[1].address
        assert address(view) % 64 == 0
        assert view.strides[0] == matrix.itemsize
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1


def test_view_outlives_everything_else(tmp_path: Path) -> None:
    write_batch(tmp_path / "x.arrow", ["a", "b"], float_columns(np.ones((100_000, 2), np.float32)))
    view = matrix_view(open_batch(tmp_path / "x.arrow"))
    (tmp_path / "x.arrow").unlink()
    assert view.sum() == 200_000


@pytest.mark.parametrize("order", ["C", "F"])
def test_source_order_does_not_change_the_file(tmp_path: Path, order: str) -> None:
    matrix = np.random.default_rng(1).random((9, 4), dtype=np.float32)
    for name, values in (("c", matrix), ("other", np.array(matrix, order=order))):
        write_batch(tmp_path / name, list("abcd"), float_columns(values))
    assert (tmp_path / "c").read_bytes() == (tmp_path / "other").read_bytes()


def test_scattered_columns_are_stacked() -> None:
    columns = [pa.array(np.full(5, i, np.float32)) for i in range(4)]
    view = matrix_view(pa.record_batch([columns[2], columns[0], columns[3]], names=list("abc")))
    np.testing.assert_array_equal(view, np.tile(np.array([2, 0, 3], np.float32), (5, 1)))
    assert not view.flags.writeable


def test_columns_in_falling_order_are_stacked(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    write_batch(tmp_path / "x", list("abc"), float_columns(matrix))
    np.testing.assert_array_equal(
        matrix_view(open_batch(tmp_path / "x").select(["c", "b", "a"])), matrix[:, ::-1]
    )


def test_table_round_trip_without_rows(tmp_path: Path) -> None:
    table = pa.table({"gene": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
    write_table(tmp_path / "x", table)
    assert open_table(tmp_path / "x").equals(table)


def test_chunks_do_not_change_the_file(tmp_path: Path) -> None:
    table = pa.table({"gene": ["a", None, "ccc"], "n": [1, 2, None], "x": [0.5, 1.5, 2.5]})
    write_table(tmp_path / "whole", table)
    write_table(tmp_path / "chunks", pa.concat_tables([table.slice(0, 1), table.slice(1)]))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "chunks").read_bytes()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "missing"])
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.arrow"
    write_arrays(path, {"z": np.zeros(1000)})
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": path.read_bytes()[:4000], "empty": b"", "text": b"gene,z\n"}[damage])
    for read in (open_batch, open_table, read_schema):
        with pytest.raises(InputError, match=rf"x\.arrow.*{'missing' if damage == 'missing' else 'damaged'}"):
            read(path)


def test_two_batches_are_not_ours(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    with pa.OSFile(str(tmp_path / "x"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    with pytest.raises(InputError, match="2 record batches"):
        open_batch(tmp_path / "x")


def test_only_vectors_of_numbers(tmp_path: Path) -> None:
    for wrong in (np.zeros((2, 2)), np.array(["a"])):
        with pytest.raises(TypeError, match="one-dimensional array of numbers"):
            write_arrays(tmp_path / "x", {"a": wrong})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 200])
def test_matrix_without_an_object_per_column(tmp_path: Path, dtype: type, rows: int) -> None:
    values = np.random.default_rng(rows).standard_normal((rows, 3)).astype(dtype)
    arrow.write_batch(tmp_path / "m.arrow", ["a", "b", "c"], arrow.float_columns(values))
    view = arrow.open_matrix(tmp_path / "m.arrow", ["a", "b", "c"], rows)
    assert view is not None and view.dtype == dtype and not view.flags.writeable
    assert np.array_equal(view, values)
    assert np.array_equal(view, arrow.matrix_view(arrow.open_batch(tmp_path / "m.arrow")))
    assert view.ctypes.data % 64 == 0 and view.strides[0] == values.itemsize
    assert arrow.open_matrix(tmp_path / "m.arrow", ["a", "c", "b"], rows) is None
    assert arrow.open_matrix(tmp_path / "m.arrow", ["a", "b"], rows) is None
    assert arrow.open_matrix(tmp_path / "m.arrow", ["a", "b", "c"], rows + 1) is None
    assert arrow.open_matrix(tmp_path / "m.arrow", ["a", "b", "c"], max(rows - 1, 0)) is None


def test_matrix_of_another_writer_or_a_damaged_file(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(5.0), "b": np.arange(5.0) * 2})
    arrow.write_table(tmp_path / "t.arrow", table)
    view = arrow.open_matrix(tmp_path / "t.arrow", ["a", "b"], 5)
    assert view is not None and np.array_equal(view[:, 1], np.arange(5.0) * 2)
    whole = (tmp_path / "t.arrow").read_bytes()
    for content in (whole[:-1], whole[:100], b"", b"ARROW1\0\0ARROW1"):
        (tmp_path / "t.arrow").write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            arrow.open_matrix(tmp_path / "t.arrow", ["a", "b"], 5)
    with pytest.raises(InputError, match="missing"):
        arrow.open_matrix(tmp_path / "none.arrow", ["a"], 5)


def test_joined_arrays_are_written_without_a_copy(tmp_path: Path) -> None:
    parts = [np.arange(3.0), np.empty(0), np.arange(70.0)]
    whole = joined(parts)
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.shares_memory(array_view(arrow._padded(whole)), whole)
    write_arrays(tmp_path / "whole.arrow", {"x": whole})
    write_arrays(tmp_path / "copy.arrow", {"x": np.concatenate(parts)})
    assert (tmp_path / "whole.arrow").read_bytes() == (tmp_path / "copy.arrow").read_bytes()
