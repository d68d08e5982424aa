"""The association store: blocks in any order, from any process; views of the map when read."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.stores.associations import AssociationStore, Status
from tests.stores.examples import (
    TRAITS,
    block_arrays,
    create_example_associations,
    fingerprint,
    make_models,
    same_table,
    write_example_associations,
    write_example_block,
)

QUESTION: dict[str, Any] = {
    "models": make_models().models,
    "traits": pa.table({"trait": list(TRAITS), "n": [100.0] * len(TRAITS)}),
    "block_size": 2,
    "parameters": {"precision": "float32"},
    "inputs": {"models": {"xxh3_128": "cc"}},
}


def test_round_trip(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path))
    store = AssociationStore.open(tmp_path)
    assert store.is_complete
    assert store.run == {"device": "cpu"}
    assert store.tissues == ["Tissue_0", "Tissue_2", "Tissue_3"]
    assert same_table(store.models, make_models().models)
    assert store.traits["trait"].to_pylist() == list(TRAITS)
    assert (store.block_size, store.n_blocks) == (2, 3)
    for tissue in store.tissues:
        whole = {"z": [], "effect": []}
        for block in range(3):
            for kind, expected in zip(("z", "effect"), block_arrays(store, tissue, block), strict=True):
                view = store.read_block(tissue, block, kind)
                np.testing.assert_array_equal(view, expected, strict=True)
                assert not view.flags.owndata
                assert not view.flags.writeable
                assert view[:, 0].flags.contiguous
                whole[kind].append(expected)
        for kind in ("z", "effect"):
            matrix = np.hstack(whole[kind])
            blocks = list(store.iter_tissue(tissue, kind))
            assert [block for block, _, _ in blocks] == [0, 1, 2]
            assert [trait for _, traits, _ in blocks for trait in traits] == list(TRAITS)
            np.testing.assert_array_equal(np.hstack([values for _, _, values in blocks]), matrix)
            for column, trait in enumerate(TRAITS):
                np.testing.assert_array_equal(store.read_trait(tissue, trait, kind), matrix[:, column])


def test_patterns(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path))
    store = AssociationStore.open(tmp_path)
    assert [store.pattern_of(trait) for trait in TRAITS] == ["0000", "0000", "0001", "0001", "0002"]
    pattern = store.read_pattern("0001")
    assert (pattern.n_snps_used.dtype, pattern.var_g.dtype, pattern.status.dtype) == (
        np.int32,
        np.float64,
        np.uint8,
    )
    assert pattern.n_snps_used.tolist() == [1] * 9
    assert pattern.var_g.tolist() == [1.5] * 9
    with pytest.raises(InputError, match="missing"):
        store.read_pattern("ffff")
    with pytest.raises(ValueError, match="hexadecimal"):
        store.read_pattern("../models")


def test_double_precision_is_kept(tmp_path: Path) -> None:
    with create_example_associations(str(tmp_path)) as store:
        z = np.array([[1 / 3, 2 / 3]] * 3)
        store.write_block("Tissue_0", 0, z, -z)
        np.testing.assert_array_equal(store.read_block("Tissue_0", 0, "z"), z, strict=True)
        np.testing.assert_array_equal(store.read_block("Tissue_0", 0, "effect"), -z, strict=True)


def test_status_codes_are_those_in_the_files() -> None:
    assert [(s.name, s.value) for s in Status] == [
        ("OK", 0), ("NO_SNP_IN_GWAS", 1), ("NO_SNP_IN_LD", 2), ("ZERO_VARIANCE", 3), ("NEGATIVE_VARIANCE", 4),
        ("NOT_IN_LD", 5),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
def test_order_of_writing_does_not_change_a_byte(tmp_path: Path, seed: int) -> None:
    write_example_associations(str(tmp_path / "ordered"))
    with create_example_associations(str(tmp_path / "shuffled")) as store:
        work = list(product(store.tissues, range(store.n_blocks)))
        for row in np.random.default_rng(seed).permutation(len(work)):
            write_example_block(store, *work[row])
        store.finish({"device": "cpu"})
    assert fingerprint(str(tmp_path / "shuffled")) == fingerprint(str(tmp_path / "ordered"))


def test_worker_processes_write_the_same_bytes(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path / "alone"))
    spawn = multiprocessing.get_context("spawn")
    with (
        create_example_associations(str(tmp_path / "many")) as store,
        ProcessPoolExecutor(2, mp_context=spawn) as pool,
    ):
        work = list(product(store.tissues, range(store.n_blocks)))
        jobs = [pool.submit(write_example_block, store, tissue, block) for tissue, block in work]
        for job in jobs:
            job.result()
        store.finish({"device": "cpu"})
    assert fingerprint(str(tmp_path / "many")) == fingerprint(str(tmp_path / "alone"))


def test_block_that_is_missing(tmp_path: Path) -> None:
    with create_example_associations(str(tmp_path)) as store:
        assert not store.has_block("Tissue_0", 0)
        for ask in (lambda: store.read_block("Tissue_0", 0), lambda: store.read_trait("Tissue_0", TRAITS[0])):
            with pytest.raises(InputError, match=r"00000\.z\.arrow.*not computed yet.*gputwas associate"):
                ask()
        store.write_block("Tissue_0", 0, *block_arrays(store, "Tissue_0", 0))
        assert store.has_block("Tissue_0", 0)
        assert not store.has_block("Tissue_0", 1)
        assert not store.has_block("Tissue_2", 0)
        (tmp_path / "shards" / "Tissue_0" / "00000.effect.arrow").unlink()
        assert not store.has_block("Tissue_0", 0)


def test_unfinished_run_cannot_be_called_finished(tmp_path: Path) -> None:
    with create_example_associations(str(tmp_path)) as store:
        with pytest.raises(RuntimeError, match="record of patterns of block 0"):
            store.finish({})
        for block in range(store.n_blocks):
            store.write_block_patterns(block, ["ab"] * len(store.block_traits(block)))
        with pytest.raises(RuntimeError, match="pattern ab"):
            store.finish({})
        store.write_pattern("ab", np.zeros(9, np.int32), np.zeros(9), np.zeros(9, np.uint8))
        with pytest.raises(RuntimeError, match="block 0 of Tissue_0"):
            store.finish({})
        assert not store.is_complete
        with pytest.raises(InputError, match=r"run\.json"):
            store.run  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": make_models(1).models}, "the models are others"),
        ({"traits": QUESTION["traits"].slice(1)}, "it has 5 traits, now there are 4"),
        ({"traits": QUESTION["traits"].take([1, 0, 2, 3, 4])}, "or in another order"),
        ({"block_size": 3}, "block_size was 2 and is now 3"),
        ({"parameters": {"precision": "float64"}}, 'precision was "float32" and is now "float64"'),
        ({"inputs": {"models": {"xxh3_128": "dd"}}}, "models has other contents"),
    ],
)
def test_other_work_is_refused_and_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write_example_associations(str(tmp_path))
    before = fingerprint(str(tmp_path))
    with pytest.raises(InputError, match=f"{message}.*--overwrite"):
        AssociationStore.create(tmp_path, **(QUESTION | changes))
    assert fingerprint(str(tmp_path)) == before
    with AssociationStore.create(tmp_path, **(QUESTION | changes), overwrite=True) as store:
        assert not store.is_complete
        assert not store.has_block("Tissue_0", 0)


def test_new_annotations_of_the_same_traits_are_taken_over(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path))
    annotated = QUESTION["traits"].append_column("h2", pa.array([0.5, float("nan"), None, 0.25, 0.125]))
    with AssociationStore.create(tmp_path, **(QUESTION | {"traits": annotated})) as store:
        assert store.has_block("Tissue_3", 2)
    assert same_table(AssociationStore.open(tmp_path).traits, annotated)
    written = (tmp_path / "traits.arrow").stat().st_ino
    AssociationStore.create(tmp_path, **(QUESTION | {"traits": annotated})).close()
    assert (tmp_path / "traits.arrow").stat().st_ino == written


def test_two_traits_with_one_name(tmp_path: Path) -> None:
    traits = pa.table({"trait": ["a", "b", "a"]})
    with pytest.raises(InputError, match=r"two traits have one name.*found a"):
        AssociationStore.create(tmp_path / "s", **(QUESTION | {"traits": traits}))
    assert not (tmp_path / "s").exists()


def test_scattered_tissue_and_empty_block_are_refused(tmp_path: Path) -> None:
    models = make_models().models
    mixed = models.set_column(0, "tissue", pa.array(list("aabbaccca")))
    with pytest.raises(ValueError, match="not contiguous"):
        AssociationStore.create(tmp_path / "s", **(QUESTION | {"models": mixed}))
    with pytest.raises(ValueError, match="block_size is 0"):
        AssociationStore.create(tmp_path / "s", **(QUESTION | {"block_size": 0}))


def test_wrong_questions(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path))
    store = AssociationStore.open(tmp_path)
    with pytest.raises(InputError, match=r"no such tissue.*found 'Liver'.*Its tissues are Tissue_0"):
        store.read_block("Liver", 0)
    with pytest.raises(InputError, match="no trait named 'height'"):
        store.read_trait("Tissue_0", "height")
    with pytest.raises(InputError, match="no trait named 'height'"):
        store.pattern_of("height")
    with pytest.raises(IndexError, match="block 3 of 3"):
        store.block_traits(3)
    with pytest.raises(ValueError, match="kind is one of"):
        store.read_block("Tissue_0", 0, "p")  # type: ignore[arg-type]


def test_wrong_shapes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with create_example_associations(str(tmp_path)) as store:
        right = np.zeros((3, 2), np.float32)
        for z, effect in ((right.T, right), (right, right[:, :1]), (right, right.astype(int))):
            with pytest.raises(ValueError, match=r"not float32 or float64 \(3, 2\)"):
                store.write_block("Tissue_0", 0, z, effect)
        with pytest.raises(ValueError, match="z is float32 and effect float64"):
            store.write_block("Tissue_0", 0, right, right.astype(np.float64))
        with pytest.raises(ValueError, match=r"status is int64 \(9,\), not uint8 \(9,\)"):
            store.write_pattern("ab", np.zeros(9, np.int32), np.zeros(9), np.zeros(9, np.int64))
        with pytest.raises(ValueError, match="shorter"):
            store.write_block_patterns(0, ["ab"])
    assert list(tmp_path.rglob("shards/*/*")) == list(tmp_path.rglob("patterns*/*")) == []


def test_block_of_another_store_is_refused(tmp_path: Path) -> None:
    write_example_associations(str(tmp_path))
    shards = tmp_path / "shards"
    (shards / "Tissue_0" / "00000.z.arrow").write_bytes((shards / "Tissue_2" / "00000.z.arrow").read_bytes())
    with pytest.raises(InputError, match="does not have the models and traits"):
        AssociationStore.open(tmp_path).read_block("Tissue_0", 0)
