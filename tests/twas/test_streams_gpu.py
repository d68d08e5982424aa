"""Scoring by groups on a CUDA device: groups and a lack of memory change no bit of the results."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gputwas.stores.associations import AssociationStore
from gputwas.twas.associate import AssociateReport, AssociateSettings, associate
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import contents, write_gwas, write_models

pytestmark = pytest.mark.gpu


def write_stores(folder: Path, traits: int, variants: int) -> None:
    """Traits that miss SNPs each in its own way, one of them without effects."""
    rng = np.random.default_rng(43)
    models = write_models(folder / "models", random_model_set(rng, n_variants=variants, tissues=3))
    z, beta = random_gwas(rng, traits, variants, 0.2)
    write_gwas(folder / "gwas", models.panel, z, beta, without_effect=["trait_04"])


def run(folder: Path, out: str, backend: str = "cupy") -> AssociateReport:
    options = AssociateSettings(backend=backend, block_size=128)
    return associate(folder / "models", folder / "gwas", folder / out, settings=options)


@pytest.mark.parametrize("width", [2, 3])
def test_groups_of_traits_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Nine traits on two streams; of groups of two, the last one fills half of its slot."""
    write_stores(tmp_path, 9, 40)
    plan = run(tmp_path, "wide").plan
    assert (plan.way, plan.width) == ("streamed", 9)
    monkeypatch.setattr("gputwas.twas.streams.WIDTH", width)
    assert run(tmp_path, "narrow").plan.width == width
    assert contents(tmp_path / "narrow") == contents(tmp_path / "wide")
    run(tmp_path, "processor", "numpy")
    got, want = (AssociationStore.open(tmp_path / name) for name in ("narrow", "processor"))
    for tissue in want.tissues:
        for kind in ("z", "effect"):
            np.testing.assert_allclose(
                got.read_block(tissue, 0, kind), want.read_block(tissue, 0, kind), rtol=1e-6, atol=1e-7
            )


@pytest.fixture
def room_for_26_mb() -> Iterator[None]:
    """CuPy may take so much beyond what it holds already."""
    import cupy

    pool = cupy.get_default_memory_pool()
    gc.collect()
    pool.free_all_blocks()
    before = pool.get_limit()
    pool.set_limit(size=pool.total_bytes() + 26_000_000)
    yield
    pool.set_limit(size=before)


def test_a_device_that_fills_up_gets_smaller_groups(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """Columns of 64 traits take 10 MB, and turned as much again: two groups are too much."""
    write_stores(tmp_path, 128, 20_000)
    assert run(tmp_path, "roomy").plan.width == 64
    request.getfixturevalue("room_for_26_mb")
    with caplog.at_level("WARNING"):
        assert run(tmp_path, "tight").plan.width == 64
    said = [record.message.split("; ")[1] for record in caplog.records if "memory ran out" in record.message]
    assert said == ["going on with 32 traits at a time"]
    assert contents(tmp_path / "tight") == contents(tmp_path / "roomy")
