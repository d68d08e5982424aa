"""The model store: what goes in comes out, memory-mapped; what contradicts itself is refused."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.stores.models import (
    ModelSet,
    check_model_set,
    models_store_is_current,
    read_models_store,
    write_models_store,
)
from tests.stores.examples import MODEL_INPUTS, make_models, make_panel, same_table

ARRAYS = ("offsets", "variants", "weights", "n_in_ld", "ld_offsets", "ld")


def write(folder: Path, models: ModelSet, **options: Any) -> None:
    write_models_store(folder, models, **({"inputs": MODEL_INPUTS, "parameters": {"key": "rsid"}} | options))


def assert_same(found: ModelSet, expected: ModelSet) -> None:
    assert same_table(found.panel, expected.panel)
    assert same_table(found.models, expected.models)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


@pytest.mark.parametrize("genes", [(3, 0, 5, 1), (1,), (7, 7)])
def test_round_trip(tmp_path: Path, genes: tuple[int, ...]) -> None:
    models = make_models(3, genes)
    write(tmp_path / "m", models)
    found = read_models_store(tmp_path / "m")
    assert_same(found, models)
    for name in ARRAYS:
        assert not getattr(found, name).flags.owndata, f"{name} was copied"
        assert not getattr(found, name).flags.writeable


def test_no_models_at_all(tmp_path: Path) -> None:
    some = make_models()
    none = some.subset([])
    write(tmp_path / "m", none)
    assert_same(read_models_store(tmp_path / "m"), none)
    assert none.n_models == 0
    assert none.tissues == []
    assert none.offsets.tolist() == none.ld_offsets.tolist() == [0]


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    models = make_models(3)
    write(tmp_path / "m", models)
    found = read_models_store(tmp_path / "m")
    assert found.digest == models.digest == make_models(3).digest
    assert dataclasses.replace(found).digest == models.digest  # computed from the map, not from the manifest
    for name in ("weights", "ld", "variants"):
        changed = getattr(models, name).copy()
        changed[-1] += 1
        assert dataclasses.replace(models, **{name: changed}).digest != models.digest
    renamed = models.models.set_column(0, "tissue", pa.array(["T"] * models.n_models))
    assert dataclasses.replace(models, models=renamed).digest != models.digest


def test_tissues_and_their_rows() -> None:
    models = make_models(genes=(3, 0, 5, 1))
    assert models.tissues == ["Tissue_0", "Tissue_2", "Tissue_3"]
    assert [models.tissue_slice(t) for t in models.tissues] == [slice(0, 3), slice(3, 8), slice(8, 9)]
    with pytest.raises(InputError, match=r"found 'Liver'.*Its tissues are Tissue_0, Tissue_2, Tissue_3"):
        models.tissue_slice("Liver")


@pytest.mark.parametrize(
    "tissues", [["Tissue_2"], ["Tissue_3", "Tissue_0"], ["Tissue_0", "Tissue_2", "Tissue_3"]]
)
def test_subset_equals_picking_models_one_by_one(tissues: list[str]) -> None:
    models = make_models(5)
    part = models.subset(tissues)
    check_model_set(part)
    assert part.tissues == sorted(tissues)
    rows = [row for row, t in enumerate(models.models["tissue"].to_pylist()) if t in tissues]
    assert same_table(part.models, models.models.take(rows))
    for new, old in enumerate(rows):
        for name in ("variants", "weights"):
            np.testing.assert_array_equal(
                getattr(part, name)[part.offsets[new] : part.offsets[new + 1]],
                getattr(models, name)[models.offsets[old] : models.offsets[old + 1]],
            )
        np.testing.assert_array_equal(part.ld_matrix(new), models.ld_matrix(old))


def test_subset_of_one_tissue_copies_no_ld(tmp_path: Path) -> None:
    write(tmp_path / "m", make_models(5))
    models = read_models_store(tmp_path / "m")
    part = models.subset(["Tissue_2"])
    assert np.shares_memory(part.ld, models.ld)
    assert np.shares_memory(part.weights, models.weights)


def test_ld_matrix_is_the_unpacked_triangle() -> None:
    models = dataclasses.replace(
        make_models(0, (1,)),
        offsets=np.array([0, 3]), variants=np.arange(3, dtype=np.int32), weights=np.ones(3),
        n_in_ld=np.array([3], np.int32), ld_offsets=np.array([0, 6]), ld=np.array([1.0, 2, 3, 4, 5, 6]),
    )  # fmt: skip
    assert models.ld_matrix(0).tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.ones(3)}, "offsets end at"),
        ({"ld": np.ones(3)}, "LD offsets end at"),
        ({"offsets": np.zeros(3, np.int64)}, "9 models have 3 and 10 offsets and 9 LD sizes"),
        ({"variants": np.zeros(3)}, "variants is float64 .* not a vector of int32"),
        ({"n_in_ld": np.full(9, 100, np.int32)}, "more SNPs in LD than entries"),
        ({"n_in_ld": np.zeros(9, np.int32)}, "triangle does not have"),
        ({"panel": make_panel(5)}, "outside the panel"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "m", dataclasses.replace(make_models(), **changes))
    assert not (tmp_path / "m").exists()


def test_values_that_are_not_finite_are_refused() -> None:
    models = make_models()
    for name in ("weights", "ld"):
        wrong = getattr(models, name).copy()
        wrong[0] = np.nan
        with pytest.raises(ValueError, match=f"{name} hold values that are not finite"):
            check_model_set(dataclasses.replace(models, **{name: wrong}))


def test_scattered_tissue_is_refused() -> None:
    models = make_models()
    mixed = models.models.set_column(0, "tissue", pa.array(list("aabbaccca")))
    with pytest.raises(ValueError, match="not contiguous"):
        check_model_set(dataclasses.replace(models, models=mixed))


@pytest.mark.parametrize("name", ["tissue", "gene"])
def test_nameless_models_are_refused(name: str) -> None:
    models = make_models()
    column = models.models.column_names.index(name)
    without = models.models.set_column(column, name, pa.array([None] * models.n_models, pa.string()))
    with pytest.raises(InputError, match=name):
        check_model_set(dataclasses.replace(models, models=without))
    with pytest.raises(InputError, match="lacks a column"):
        check_model_set(dataclasses.replace(models, models=models.models.drop_columns([name])))


def test_other_inputs_or_parameters_are_refused_and_named(tmp_path: Path) -> None:
    write(tmp_path, make_models())
    other = {"a.db": {"bytes": 3, "xxh3_128": "other"}, "a.txt.gz": MODEL_INPUTS["a.txt.gz"]}
    with pytest.raises(InputError, match=r"a\.db has other contents.*--overwrite.*another folder"):
        write(tmp_path, make_models(), inputs=other)
    with pytest.raises(InputError, match='parameter key was "rsid" and is now "varID"'):
        write(tmp_path, make_models(), parameters={"key": "varID"})
    with pytest.raises(InputError, match="same inputs and parameters but other contents"):
        write(tmp_path, make_models(1))
    assert_same(read_models_store(tmp_path), make_models())
    write(tmp_path, make_models(1), inputs=other, overwrite=True)
    assert_same(read_models_store(tmp_path), make_models(1))


def test_whether_a_store_is_current(tmp_path: Path) -> None:
    question = {"inputs": MODEL_INPUTS, "parameters": {"key": "rsid"}}
    assert not models_store_is_current(tmp_path / "m", **question)
    write(tmp_path / "m", make_models())
    assert models_store_is_current(tmp_path / "m", **question)
    assert not models_store_is_current(tmp_path / "m", inputs={}, parameters={"key": "rsid"})


@pytest.mark.parametrize("file", ["panel", "models", "offsets", "weights", "ld"])
def test_missing_or_torn_files(tmp_path: Path, file: str) -> None:
    write(tmp_path, make_models())
    path = tmp_path / f"{file}.arrow"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=f"{file}.arrow.*damaged"):
        read_models_store(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=f"{file}.arrow.*missing"):
        read_models_store(tmp_path)


def test_files_of_two_stores_do_not_mix(tmp_path: Path) -> None:
    write(tmp_path / "a", make_models(0, (3, 4)))
    write(tmp_path / "b", make_models(1, (5, 5)))
    shutil.copy(tmp_path / "b" / "weights.arrow", tmp_path / "a" / "weights.arrow")
    with pytest.raises(InputError, match="the store is damaged: offsets end at"):
        read_models_store(tmp_path / "a")


def test_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A real one would not stop the superuser, who runs tests in containers.
    def refuse(path: str, exist_ok: bool) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(InputError, match="m: cannot write here, Permission denied"):
        write(tmp_path / "m", make_models())


def test_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write here, Not a directory"):
        write(tmp_path / "file" / "m", make_models())
