"""What a run says it will hold, read and write, and what it really holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import ResourceError
from gputwas.twas.plan import StudySize, make_plan
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import write_gwas, write_models

# The paper's study: 3,935 traits, some 250,000 models of 19 tissues with about 20 SNPs each.
PAPER = StudySize(
    traits=3_935, variants=1_300_000, models=250_000, entries=5_000_000, triangles=60_000_000,
    largest_tissue=16_000,
)  # fmt: skip


def test_plan_of_the_whole_study_is_plausible() -> None:
    plan = make_plan(PAPER, 4 * 10**9, item_bytes=4, threads=4)
    assert (plan.way, plan.threads) == ("tiled", 4) and plan.width == 32
    assert 10**9 < plan.memory <= 2.5 * 10**9
    assert plan.bytes_read == 3_935 * 1_300_000 * 8
    assert plan.bytes_written == 3_935 * 250_000 * 2 * 4
    text = plan.describe()
    assert f"{plan.width} traits at a time in each of 4 threads, blocks of 128" in text
    assert "40.92 GB to read" in text and "7.87 GB to write" in text
    assert f"{plan.memory / 1e9:.2f} GB of memory" in text


def test_small_amounts_are_not_said_to_be_nothing() -> None:
    size = StudySize(traits=2, variants=1000, models=10, entries=40, triangles=100, largest_tissue=10)
    text = make_plan(size, 10**9, item_bytes=4).describe()
    assert "0.02 MB to read" in text
    assert " 0.00 GB" not in text


@given(
    st.integers(10**8, 10**11),
    st.integers(1, 64),
    st.sampled_from(["tiled", "streamed", "csr", "padded", "dense"]),
    st.sampled_from([4, 8]),
)
def test_plan_fits_the_budget_or_is_refused(budget: int, threads: int, way: str, item: int) -> None:
    try:
        plan = make_plan(PAPER, budget, item_bytes=item, threads=threads, way=way)
    except ResourceError as error:
        assert "needs" in str(error) and "--memory" in str(error)
        return
    assert plan.memory <= budget
    assert 1 <= plan.batch_size <= plan.block_size


def test_more_budget_never_means_fewer_traits_at_once() -> None:
    for way, threads, most in (("tiled", 3, 96), ("csr", 3, 128)):
        plans = [make_plan(PAPER, gb * 10**9, item_bytes=4, way=way, threads=threads) for gb in (3, 4, 8, 64)]
        sizes = [plan.batch_size for plan in plans]
        assert sizes == sorted(sizes)
        assert sizes[-1] == most


def test_a_small_device_gets_smaller_batches() -> None:
    roomy = make_plan(PAPER, 10**11, item_bytes=4, way="csr", device_budget=10**11)
    tight = make_plan(PAPER, 10**11, item_bytes=4, way="csr", device_budget=10**9)
    assert roomy.batch_size == 128
    assert 1 <= tight.batch_size < 50
    with pytest.raises(ResourceError, match=r"GB on the device.*--backend numpy"):
        make_plan(PAPER, 10**11, item_bytes=4, way="csr", device_budget=10**8)


def on_device(gb: float, way: str = "streamed", **other: bool) -> int:
    return make_plan(
        PAPER,
        10**12,
        item_bytes=4,
        way=way,
        device_budget=int(gb * 1e9),
        **other,  # type: ignore[arg-type]
    ).batch_size


def test_rows_on_the_device_are_counted_as_they_are_padded() -> None:
    """One trait takes the rows of 32, in each of two groups: 2 x 1.3 million x 33 x 8 bytes."""
    assert on_device(8) == 64
    least = 2 * PAPER.variants * 8 * 33 / 1e9
    fixed = 16 * 0.192 + 0.102  # patterns computed side by side, models
    assert on_device(least + fixed + 0.1) >= 1
    with pytest.raises(ResourceError, match="on the device"):
        on_device(least)


def test_ld_that_stays_on_the_device_takes_room_there() -> None:
    many = replace(PAPER, triangles=600_000_000)  # 4.8 GB
    plans = [
        make_plan(many, 10**12, item_bytes=4, way="streamed", device_budget=6 * 10**9, ld_on_device=there)
        for there in (False, True)
    ]
    assert plans[0].batch_size > plans[1].batch_size


def test_var_g_of_a_pattern_in_every_trait_is_counted() -> None:
    """Many models and few variants: results take 8 bytes of a model and trait, var_g as many again."""
    size = replace(PAPER, variants=1000, models=10_000_000, entries=10_000_000, triangles=1000)
    budget = 4 * 10**9
    plan = make_plan(size, 10**12, item_bytes=4, way="streamed", device_budget=budget)
    assert plan.batch_size * 2 * size.models * 16 < budget < (plan.batch_size + 12) * 2 * size.models * 16


def test_the_dense_way_pays_for_whole_tiles() -> None:
    """A tile takes 128 columns of 35 bytes a variant, filled or not; a quarter is for the matrices."""
    tile = 128 * PAPER.variants * 35 / 1e9
    assert on_device(tile / 0.75 + 0.3, "dense") == 128
    with pytest.raises(ResourceError, match="on the device"):
        on_device(tile / 0.75 - 0.1, "dense")
    on_host = make_plan(PAPER, 10**11, item_bytes=4, way="dense")
    assert on_host.batch_size == 128
    per_tile = 32 * (41 * PAPER.variants + 16 * PAPER.models + 48 * PAPER.largest_tissue)
    cramped = make_plan(PAPER, on_host.memory - 1, item_bytes=4, way="dense")
    assert (cramped.batch_size, on_host.memory - cramped.memory) == (96, per_tile)
    few = replace(PAPER, traits=3)
    with pytest.raises(ResourceError, match="one group of up to 32 traits needs"):
        make_plan(
            few, make_plan(few, 10**11, item_bytes=4, way="dense").memory - 1, item_bytes=4, way="dense"
        )


RUN = """
import json, sys
from gputwas.twas.associate import AssociateSettings, associate
from gputwas.backends.memory import peak_memory
folder, memory = sys.argv[1:]
settings = AssociateSettings(backend="numpy", memory=memory, overwrite=True)
report = associate(f"{folder}/models", f"{folder}/gwas", f"{folder}/out", settings=settings)
print(json.dumps([report.plan.memory, report.plan.batch_size, report.n_patterns, peak_memory()]))
"""


@pytest.fixture(scope="module")
def middle_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 traits, each with its own missing SNPs, 60,000 variants, 6,000 models."""
    folder = tmp_path_factory.mktemp("middle")
    rng = np.random.default_rng(8)
    lengths = tuple(rng.integers(1, 40, 3000).tolist())
    models = write_models(folder / "models", random_model_set(rng, n_variants=60_000, lengths=lengths))
    z, beta = random_gwas(rng, 64, 60_000, 0.05)
    write_gwas(folder / "gwas", models.panel, z, beta)
    return folder


@pytest.mark.slow
def test_peak_memory_is_what_the_plan_says(middle_size: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-c", RUN, str(middle_size), "2GB"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    planned, batch, patterns, peak = json.loads(done.stdout)
    assert (patterns, batch) == (64, 64)
    assert 0.3 * planned < peak < 1.3 * planned, f"planned {planned:,}, was {peak:,} with batches of {batch}"
