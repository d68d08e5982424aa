"""The store of cross-tissue LD: what goes in comes out, memory-mapped; what contradicts itself is refused."""

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
from gputwas.stores.gene_ld import (
    GeneLd,
    check_gene_ld,
    gene_ld_store_is_current,
    read_gene_ld_store,
    write_gene_ld_store,
)
from tests.stores.examples import make_panel, same_table

INPUTS = {"ld.txt.gz": {"bytes": 5, "xxh3_128": "aa"}}
ARRAYS = ("offsets", "variants", "ld_offsets", "ld")


def make_gene_ld(sizes: tuple[int, ...] = (3, 0, 5, 1), seed: int = 0, variants: int = 12) -> GeneLd:
    rng = np.random.default_rng(seed)
    panel = make_panel(variants)
    chosen = [rng.permutation(variants)[:size] for size in sizes]
    triangles = [size * (size + 1) // 2 for size in sizes]
    return GeneLd(
        panel=panel,
        genes=pa.table({"gene": [f"ENSG{k}" for k in range(len(sizes))]}),
        offsets=np.cumsum([0, *sizes]).astype(np.int64),
        variants=np.concatenate(chosen).astype(np.int32),
        ld_offsets=np.cumsum([0, *triangles]).astype(np.int64),
        ld=rng.normal(size=sum(triangles)),
    )


def write(folder: Path, gene_ld: GeneLd, **options: Any) -> None:
    write_gene_ld_store(folder, gene_ld, **({"inputs": INPUTS, "parameters": {"from": "text"}} | options))


@pytest.mark.parametrize("sizes", [(3, 0, 5, 1), (1,), (0,)])
def test_round_trip(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    made = make_gene_ld(sizes)
    write(tmp_path / "ld", made)
    found = read_gene_ld_store(tmp_path / "ld")
    assert same_table(found.panel, made.panel)
    assert same_table(found.genes, made.genes)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name), strict=True)
        assert not getattr(found, name).flags.owndata, f"{name} was copied"


def test_matrix_is_the_unpacked_triangle_of_its_gene() -> None:
    made = dataclasses.replace(make_gene_ld((1, 3)), ld=np.array([9.0, 1, 2, 3, 4, 5, 6]))
    assert made.matrix(0).tolist() == [[9]]
    assert made.matrix(1).tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]
    assert made.of_gene(1).tolist() == made.variants[1:].tolist()


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    made = make_gene_ld()
    write(tmp_path / "ld", made)
    found = read_gene_ld_store(tmp_path / "ld")
    assert found.digest == made.digest == dataclasses.replace(found).digest
    changed = made.ld.copy()
    changed[-1] += 1
    assert dataclasses.replace(made, ld=changed).digest != made.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ld": np.ones(3)}, "LD offsets end at"),
        ({"offsets": np.zeros(3, np.int64)}, "4 genes have 3 and 5 offsets"),
        ({"variants": np.zeros(9)}, "variants is float64 .* not a vector of int32"),
        ({"variants": np.zeros(9, np.int32)}, "a gene has a variant twice"),
        ({"panel": make_panel(5)}, "outside the panel"),
        ({"ld": np.full(22, np.nan)}, "not finite"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "ld", dataclasses.replace(make_gene_ld(), **changes))
    assert not (tmp_path / "ld").exists()


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ({"name": ["a", "b", "c", "d"]}, "lacks a column"),
        ({"gene": ["a", None, "c", "d"]}, "lacks its name"),
        ({"gene": ["a", "b", "b", "d"]}, "a gene is twice .*b"),
    ],
)
def test_unusable_genes_are_refused(genes: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_gene_ld(dataclasses.replace(make_gene_ld(), genes=pa.table(genes)))


def test_other_inputs_are_refused_and_the_same_are_kept(tmp_path: Path) -> None:
    write(tmp_path, make_gene_ld())
    before = os.stat(tmp_path / "ld.arrow").st_mtime_ns
    write(tmp_path, make_gene_ld())
    assert os.stat(tmp_path / "ld.arrow").st_mtime_ns == before
    with pytest.raises(InputError, match="other contents"):
        write(tmp_path, make_gene_ld(seed=1))
    with pytest.raises(InputError, match="written differently"):
        write(tmp_path, make_gene_ld(), parameters={"from": "genotypes"})
    write(tmp_path, make_gene_ld(seed=1), overwrite=True)
    assert read_gene_ld_store(tmp_path).digest == make_gene_ld(seed=1).digest


def test_whether_a_store_is_current(tmp_path: Path) -> None:
    question = {"inputs": INPUTS, "parameters": {"from": "text"}}
    assert not gene_ld_store_is_current(tmp_path / "ld", **question)
    write(tmp_path / "ld", make_gene_ld())
    assert gene_ld_store_is_current(tmp_path / "ld", **question)
    assert not gene_ld_store_is_current(tmp_path / "ld", inputs={}, parameters={"from": "text"})


@pytest.mark.parametrize("file", ["panel", "genes", "offsets", "variants", "ld"])
def test_missing_or_torn_files(tmp_path: Path, file: str) -> None:
    write(tmp_path, make_gene_ld())
    path = tmp_path / f"{file}.arrow"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=f"{file}.arrow.*damaged"):
        read_gene_ld_store(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=f"{file}.arrow.*missing"):
        read_gene_ld_store(tmp_path)


def test_files_of_two_stores_do_not_mix(tmp_path: Path) -> None:
    write(tmp_path / "a", make_gene_ld((3, 4)))
    write(tmp_path / "b", make_gene_ld((5, 5)))
    shutil.copy(tmp_path / "b" / "variants.arrow", tmp_path / "a" / "variants.arrow")
    with pytest.raises(InputError, match="the store is damaged: offsets end at"):
        read_gene_ld_store(tmp_path / "a")
