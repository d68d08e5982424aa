"""The GWAS store: one file per trait, whole or absent; a list derived from them."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.stores import trait_index
from gputwas.stores.gwas import GwasStore
from gputwas.stores.panel import panel_digest
from tests.stores.examples import TRAITS, make_panel, trait_arrays, write_example_gwas

FACTS = {"effect": "beta", "input_hash": "1"}


def vector(value: float, variants: int = 40) -> np.ndarray:
    return np.full(variants, value, np.float32)


def create(folder: Path, **options: Any) -> GwasStore:
    return GwasStore.create(folder, make_panel(), {"mode": "strict"}, **options)


def test_round_trip(tmp_path: Path) -> None:
    write_example_gwas(str(tmp_path))
    store = GwasStore.open(tmp_path)
    assert store.traits == sorted(TRAITS)
    assert store.panel.equals(make_panel())
    assert store.panel_digest == panel_digest(make_panel())
    assert store.n_variants == 40
    for trait in TRAITS:
        z, beta = store.read(trait)
        expected_z, expected_beta = trait_arrays(trait)
        np.testing.assert_array_equal(z, expected_z, strict=True)
        assert not z.flags.owndata
        assert not z.flags.writeable
        if trait == "volume":
            assert beta is None
        else:
            np.testing.assert_array_equal(beta, expected_beta, strict=True)
        facts = store.metadata(trait)
        assert facts["trait"] == trait
        assert facts["source"] == [f"{trait}.gz"]


def test_content_hash_tells_contents_apart(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        for trait, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
            store.add(trait, vector(value), vector(0), FACTS)
        a, b, c = (store.metadata(trait)["content_hash"] for trait in "abc")
    assert a == b != c


def test_blocks_are_copied_into_what_is_given(tmp_path: Path) -> None:
    write_example_gwas(str(tmp_path))
    store = GwasStore.open(tmp_path)
    wanted = ["volume", "ü", "IDP 0001"]
    large = np.zeros((5, 40), np.float32)
    z = store.read_block(wanted, out=large[:3])
    assert np.shares_memory(z, large)
    np.testing.assert_array_equal(z, [trait_arrays(trait)[0] for trait in wanted])
    beta = store.read_block(wanted, "beta")
    assert np.isnan(beta[0]).all()
    np.testing.assert_array_equal(beta[1:], [trait_arrays(trait)[1] for trait in wanted[1:]])
    with pytest.raises(ValueError, match="not float32"):
        store.read_block(wanted, out=np.zeros((3, 40)))


def test_same_inputs_are_skipped_other_inputs_refused(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        assert store.add("IDP", vector(1), vector(1), FACTS | {"source": ["first.gz"]})
        assert not store.add("IDP", vector(2), vector(2), FACTS)
        assert store.read("IDP")[0][0] == 1
        with pytest.raises(
            InputError, match=r"'IDP' is in the store already, read from first\.gz.*--overwrite"
        ):
            store.add("IDP", vector(3), vector(3), FACTS | {"input_hash": "2"})
        assert store.read("IDP")[0][0] == 1
        assert store.add("IDP", vector(3), vector(3), FACTS | {"input_hash": "2"}, replace=True)
        assert store.read("IDP")[0][0] == 3
        assert store.has("IDP")
        assert store.has("IDP", "2")
        assert not store.has("IDP", "1")
        assert not store.has("idp")


def test_the_lock_is_given_up_whatever_goes_wrong_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(self: GwasStore) -> None:
        raise OSError(28, "No space left on device")

    store = create(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(GwasStore, "_before_release", full_disk)
        with pytest.raises(OSError, match="No space"):
            store.close()
    create(tmp_path).close()


def test_unknown_trait(tmp_path: Path) -> None:
    create(tmp_path).close()
    store = GwasStore.open(tmp_path)
    for ask in (store.read, store.metadata, lambda trait: store.traits_table([trait])):
        with pytest.raises(InputError, match=r"no trait named 'nobody'.*gwas list"):
            ask("nobody")


def test_later_traits_are_added_to_the_same_store(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        store.add("a", vector(1), vector(1), FACTS)
    with create(tmp_path) as store:
        store.add("b", vector(2), vector(2), FACTS)
    assert GwasStore.open(tmp_path).traits == ["a", "b"]


def test_other_panel_or_parameters_are_refused(tmp_path: Path) -> None:
    write_example_gwas(str(tmp_path))
    with pytest.raises(InputError, match=r"another panel.*40 variants in the store.*30 variants"):
        GwasStore.create(tmp_path, make_panel(30), {"mode": "strict"})
    with pytest.raises(InputError, match='mode was "strict" and is now "parity"'):
        GwasStore.create(tmp_path, make_panel(), {"mode": "parity"})
    with GwasStore.create(tmp_path, make_panel(30), {"mode": "parity"}, overwrite=True) as store:
        assert store.traits == []
        assert store.n_variants == 30


@pytest.mark.parametrize(
    ("z", "beta", "facts", "message"),
    [
        (np.zeros(40), None, {"effect": "none"}, r"z is float64 \(40,\), not float32"),
        (vector(1, 39), None, {"effect": "none"}, r"z is float32 \(39,\), not float32 \(40,\)"),
        (vector(1), vector(1, 41), {}, r"beta is float32 \(41,\)"),
        (vector(1), None, {}, "effect is 'beta' and beta absent"),
        (vector(1), vector(1), {"effect": "none"}, "effect is 'none' and beta given"),
        (vector(1), vector(1), {"effect": "odds_ratio"}, "effect is 'odds_ratio'"),
        (vector(1), vector(1), {"input_hash": None}, "input_hash"),
    ],
)
def test_wrong_arrays(
    tmp_path: Path, z: np.ndarray, beta: np.ndarray | None, facts: dict[str, Any], message: str
) -> None:
    with create(tmp_path) as store:
        with pytest.raises(ValueError, match=message):
            store.add("a", z, beta, FACTS | facts)
        assert store.traits == []


def test_unusable_panel_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks a column"):
        GwasStore.create(tmp_path / "s", make_panel().drop_columns(["effect_allele"]), {})
    assert not (tmp_path / "s").exists()


def test_reading_handle_cannot_add_and_worker_can(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        with pytest.raises(RuntimeError, match="for reading"):
            GwasStore.open(tmp_path).add("a", vector(1), vector(1), FACTS)
        worker = pickle.loads(pickle.dumps(store))
        worker.add("a", vector(1), vector(1), FACTS)
        worker.close()
    assert GwasStore.open(tmp_path).traits == ["a"]


def test_list_is_derived_and_read_only_where_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_example_gwas(str(tmp_path))
    opened: list[str] = []
    real = trait_index.read_schema
    monkeypatch.setattr(trait_index, "read_schema", lambda path: (opened.append(str(path)), real(path))[1])
    store = GwasStore.open(tmp_path, as_worker=True)
    assert store.traits == sorted(TRAITS)
    assert opened == []
    store.add("AAA", vector(1), vector(1), FACTS)
    assert store.traits == ["AAA", *sorted(TRAITS)]
    assert [os.path.basename(path) for path in opened] == ["AAA.arrow"]
    (tmp_path / "traits" / "AAA.arrow").unlink()
    assert store.traits == sorted(TRAITS)
    for damaged in (b"", b"no Arrow file"):
        (tmp_path / "traits.arrow").write_bytes(damaged)
        assert store.traits == sorted(TRAITS)
    (tmp_path / "traits.arrow").unlink()
    opened.clear()
    assert store.traits == sorted(TRAITS)
    assert len(opened) == len(TRAITS)


def test_replaced_trait_is_seen_by_the_list(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        store.add("a", vector(1), vector(1), FACTS | {"n": 10})
        assert store.traits_table()["n"].to_pylist() == [10]
        store.add("a", vector(2), vector(2), FACTS | {"n": 20, "input_hash": "2"}, replace=True)
        assert store.traits_table()["n"].to_pylist() == [20]


def test_list_of_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_example_gwas(str(tmp_path))
    (tmp_path / "traits.arrow").unlink()

    def refuse(path: str, table: pa.Table) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trait_index, "write_table", refuse)
    assert GwasStore.open(tmp_path).traits == sorted(TRAITS)
    assert not (tmp_path / "traits.arrow").exists()


def test_metadata_as_a_table(tmp_path: Path) -> None:
    facts = [
        {
            "n": 10,
            "h2": 0.5,
            "counts": {"matched": 3, "swapped": 1},
            "annotation": {"modality": "T1", "n": "x"},
        },
        {"n": 12.5, "h2": float("nan"), "counts": {"matched": 4}, "annotation": {"modality": "dMRI"}},
        {"annotation": None, "source": ["a", "b"]},
    ]
    with create(tmp_path) as store:
        for trait, fact in zip("bca", facts, strict=True):
            store.add(trait, vector(1), vector(1), FACTS | fact)
        table = store.traits_table(["b", "c", "a"])
        assert table["trait"].to_pylist() == ["b", "c", "a"]
        assert table["n"].to_pylist() == [10.0, 12.5, None]
        assert table["h2"].to_pylist() == [0.5, None, None]
        assert table["n_matched"].to_pylist() == [3, 4, None]
        assert table["n_swapped"].to_pylist() == [1, None, None]
        assert table["modality"].to_pylist() == ["T1", "dMRI", None]
        assert table["annotation_n"].to_pylist() == ["x", None, None]
        assert table["source"].to_pylist() == [None, None, ["a", "b"]]
        assert store.traits_table()["trait"].to_pylist() == ["a", "b", "c"]


def test_foreign_file_among_the_traits(tmp_path: Path) -> None:
    write_example_gwas(str(tmp_path))
    table = pa.table({"z": [1.0]})
    with (
        pa.OSFile(str(tmp_path / "traits" / "x.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    with pytest.raises(InputError, match=r"x\.arrow.*not a trait of a GWAS store"):
        GwasStore.open(tmp_path).traits  # noqa: B018


def test_order_of_adding_does_not_change_a_byte(tmp_path: Path) -> None:
    for name, traits in (("a", "xyz"), ("b", "zxy")):
        with create(tmp_path / name) as store:
            for trait in traits:
                store.add(trait, vector(ord(trait)), None, FACTS | {"effect": "none"})
    same = subprocess.run(["diff", "-r", tmp_path / "a" / "traits", tmp_path / "b" / "traits"], check=False)
    assert same.returncode == 0
