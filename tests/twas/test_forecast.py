"""`associate --dry-run`, and what a run does when memory runs out after all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError, ResourceError
from gputwas.stores.models import read_models_store
from gputwas.twas import associate as associating
from gputwas.twas.associate import AssociateSettings, associate, dry_run
from gputwas.twas.products import GwasBatch
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import contents, write_gwas, write_models

SETTINGS = AssociateSettings(backend="numpy", block_size=2)
PADDED = AssociateSettings(backend="numpy", method="padded")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stores of seven traits and three tissues."""
    rng = np.random.default_rng(21)
    models = write_models(tmp_path / "models", random_model_set(rng, tissues=3))
    write_gwas(tmp_path / "gwas", models.panel, *random_gwas(rng, 7, 40))
    return tmp_path


def test_a_dry_run_tells_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    expected = dry_run(folder / "models", folder / "gwas", folder / "new" / "out", settings=SETTINGS)
    assert sorted(folder.rglob("*")) == before
    assert (expected.traits, expected.tissues, expected.models, expected.blocks) == (7, 3, 21, 4)
    assert expected.plan.bytes_written == 7 * 21 * 2 * 4
    assert expected.bytes_left == expected.plan.bytes_written + expected.patterns * 21 * (4 + 8 + 1)
    low, high = expected.seconds
    assert 0 < expected.setup_seconds < low <= high < 60
    assert expected.read_rate > 0 and expected.write_rate > 0
    told = dict(expected.rows())
    assert told["models"].startswith("21 in 3 tissues")
    assert "NOT ENOUGH" not in told["disk"]


def test_a_dry_run_counts_what_is_there_already(folder: Path) -> None:
    associate(folder / "models", folder / "gwas", folder / "out", settings=SETTINGS)
    whole = contents(folder / "out")
    expected = dry_run(folder / "models", folder / "gwas", folder / "out", settings=SETTINGS)
    assert (expected.blocks_there, expected.bytes_left) == (4, 0)
    assert "4 of 4 blocks there already" in dict(expected.rows())["traits"]
    assert contents(folder / "out") == whole
    next((folder / "out").rglob("00001.z.arrow")).unlink()
    assert dry_run(folder / "models", folder / "gwas", folder / "out", settings=SETTINGS).blocks_there == 3
    anew = AssociateSettings(backend="numpy", block_size=2, overwrite=True)
    assert dry_run(folder / "models", folder / "gwas", folder / "out", settings=anew).blocks_there == 0


def test_patterns_of_missing_snps_are_counted(folder: Path) -> None:
    assert dry_run(folder / "models", folder / "gwas", folder / "out", settings=SETTINGS).patterns == 1
    models = read_models_store(folder / "models")
    rng = np.random.default_rng(2)
    write_gwas(folder / "own", models.panel, *random_gwas(rng, 7, 40, 0.3))
    assert dry_run(folder / "models", folder / "own", folder / "out", settings=SETTINGS).patterns == 7


def test_a_dry_run_refuses_what_the_run_refuses(folder: Path) -> None:
    associate(folder / "models", folder / "gwas", folder / "there", settings=SETTINGS)
    with pytest.raises(InputError, match="block_size was 2 and is now 7"):
        dry_run(folder / "models", folder / "gwas", folder / "there", settings=AssociateSettings("numpy"))
    (folder / "letters").mkdir()
    (folder / "letters" / "a.txt").write_text("dear")
    with pytest.raises(InputError, match="not a gputwas store"):
        dry_run(folder / "models", folder / "gwas", folder / "letters", settings=SETTINGS)
    with pytest.raises(InputError, match="no such tissue"):
        dry_run(folder / "models", folder / "gwas", folder / "out", tissues=["Liver"])
    with pytest.raises(ResourceError, match="--memory"):
        dry_run(folder / "models", folder / "gwas", folder / "out", settings=AssociateSettings(memory="1MB"))


class Cramped:
    """Products that hold so many traits at most."""

    def __init__(self, products: object, most: int) -> None:
        self._products, self._most = products, most
        self.widths: list[int] = []

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> GwasBatch:
        self.widths.append(len(z))
        if len(z) > self._most:
            raise MemoryError("no room for that many")
        return self._products.load(z, beta)  # type: ignore[attr-defined]

    def sums(self, batch: GwasBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        return self._products.sums(batch, models)  # type: ignore[attr-defined]


def cramp(monkeypatch: pytest.MonkeyPatch, most: int) -> list[Cramped]:
    """Let runs find room for so many traits only; returns the products that were made."""
    import dataclasses

    made: list[Cramped] = []
    true_prepare = associating.ready_models

    def prepare(*arguments: object) -> object:
        scorer = true_prepare(*arguments)  # type: ignore[arg-type]
        made.append(Cramped(scorer.products, most))
        return dataclasses.replace(scorer, products=made[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(associating, "ready_models", prepare)
    return made


def test_less_memory_than_planned_halves_the_groups(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    associate(folder / "models", folder / "gwas", folder / "roomy", settings=PADDED)
    made = cramp(monkeypatch, 2)
    with caplog.at_level("WARNING"):
        associate(folder / "models", folder / "gwas", folder / "cramped", settings=PADDED)
    assert made[0].widths == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert [record.message for record in caplog.records if "memory ran out" in record.message] == [
        f"memory ran out on CPU, {cores()} cores; going on with {width} traits at a time" for width in (3, 1)
    ]
    roomy, cramped = contents(folder / "roomy"), contents(folder / "cramped")
    assert {name: digest for name, digest in cramped.items() if name.endswith("arrow")} == {
        name: digest for name, digest in roomy.items() if name.endswith("arrow")
    }


def cores() -> int:
    import os

    return os.cpu_count() or 1


def test_no_room_for_one_trait_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cramp(monkeypatch, 0)
    with pytest.raises(ResourceError, match=r"with a single trait.*--backend numpy"):
        associate(folder / "models", folder / "gwas", folder / "out", settings=PADDED)
