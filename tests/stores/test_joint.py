"""The joint store: blocks and patterns come back as they were, and another run does not mix with this one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.stores.joint import JointPattern, JointStatus, JointStore

GENES = pa.table({"gene": ["g1", "g2", "g3"], "gene_name": ["A", "B", None]})
MODELS = pa.table({"tissue": ["s", "s", "t"], "gene": ["g1", "g2", "g1"]})
TRAITS = pa.table({"trait": ["t1", "t2", "t3"], "n": [1, 2, 3]})
INPUTS = {"models": {"xxh3_128": "aa"}}


def create(path: Path, **changes: Any) -> JointStore:
    given: dict[str, Any] = {
        "genes": GENES, "models": MODELS, "traits": TRAITS, "block_size": 2, "kinds": ("statistic", "acat"),
        "parameters": {"cutoff": 30}, "inputs": INPUTS,
    }  # fmt: skip
    return JointStore.create(path, **(given | changes))


def pattern(seed: int = 0) -> JointPattern:
    rng = np.random.default_rng(seed)
    floats = {name: rng.random(3) for name in ("eigen_max", "eigen_min", "eigen_min_kept", "tmi")}
    return JointPattern(
        n_indep=np.array([1, 0, 2], np.int32), n_tissues=np.array([2, 0, 2], np.int32),
        status=np.array([0, -2, 0], np.int8), tested=np.array([True, False, True]), **floats,
    )  # fmt: skip


def fill(
    store: JointStore, blocks: tuple[int, ...] = (0, 1), dtype: type = np.float32
) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(1)
    written = {}
    store.write_pattern("ab", pattern())
    for block in blocks:
        count = len(store.block_traits(block))
        values = rng.random((3, count)).astype(dtype)
        values[1] = np.nan
        store.write_block_patterns(block, ["ab"] * count)
        store.write_block(block, {"statistic": values, "acat": -values})
        written[block] = values
    return written


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(tmp_path: Path, dtype: type) -> None:
    with create(tmp_path / "j") as store:
        written = fill(store, dtype=dtype)
        store.finish({"seconds": 1.0})
    found = JointStore.open(tmp_path / "j")
    assert found.is_complete
    assert found.trait_names == ["t1", "t2", "t3"]
    for block, values in written.items():
        np.testing.assert_array_equal(found.read_block(block), values, strict=True)
        np.testing.assert_array_equal(found.read_block(block, "acat"), -values, strict=True)
    np.testing.assert_array_equal(found.read_trait("t3"), written[1][:, 0])
    again = found.read_pattern(found.pattern_of("t2"))
    for name in JointPattern.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(pattern(), name), strict=True)
    assert again.status[1] == JointStatus.NO_RESULT


def test_a_store_of_acat_alone(tmp_path: Path) -> None:
    with create(tmp_path / "j", kinds=("acat",)) as store:
        store.write_block(0, {"acat": np.ones((3, 2))})
        assert store.has_block(0)
        with pytest.raises(ValueError, match="not 'statistic'"):
            store.read_block(0, "statistic")
        with pytest.raises(ValueError, match="a block has"):
            store.write_block(1, {"statistic": np.ones((3, 1)), "acat": np.ones((3, 1))})


def test_goes_on_where_it_was(tmp_path: Path) -> None:
    with create(tmp_path / "j") as store:
        fill(store, (0,))
        with pytest.raises(RuntimeError, match="block 1 is missing"):
            store.finish({})
    with create(tmp_path / "j") as store:
        assert [store.has_block(k) for k in (0, 1)] == [True, False]
        with pytest.raises(InputError, match=r"not computed yet.*goes on where it was"):
            store.read_block(1)
        with pytest.raises(InputError, match=r"not computed yet.*goes on where it was"):
            store.pattern_of(store.block_traits(1)[0])
        with pytest.raises(InputError, match="not computed yet"):
            store.read_trait("t3", "acat")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"cutoff": 10}}, "parameter cutoff was 30 and is now 10"),
        ({"inputs": {"models": {"xxh3_128": "bb"}}}, "models has other contents"),
        ({"traits": TRAITS.slice(0, 2)}, "other traits"),
        ({"genes": GENES.slice(0, 2)}, "other genes"),
        ({"block_size": 3}, "other block_size"),
        ({"kinds": ("acat",)}, "other kinds"),
    ],
)
def test_other_runs_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    create(tmp_path / "j").close()
    with pytest.raises(InputError, match=message):
        create(tmp_path / "j", **changes)
    create(tmp_path / "j", overwrite=True, **changes).close()


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with create(tmp_path / "j"), pytest.raises(InputError, match="process"):
        create(tmp_path / "j")


def test_wrong_shapes_and_readers(tmp_path: Path) -> None:
    with create(tmp_path / "j") as store:
        with pytest.raises(ValueError, match="not float32 or float64"):
            store.write_block(0, {"statistic": np.ones((3, 1)), "acat": np.ones((3, 2))})
        with pytest.raises(ValueError, match="status is"):
            wrong = pattern()
            object.__setattr__(wrong, "status", wrong.status.astype(int))
            store.write_pattern("ab", wrong)
        with pytest.raises(IndexError):
            store.block_traits(2)
        with pytest.raises(InputError, match="no trait named 't9'"):
            store.locate("t9")
        with pytest.raises(ValueError, match="not a hexadecimal digest"):
            store.has_pattern("../x")
    with pytest.raises(RuntimeError, match="opened for reading"):
        JointStore.open(tmp_path / "j").write_block_patterns(0, ["ab", "ab"])


def test_torn_block(tmp_path: Path) -> None:
    with create(tmp_path / "j") as store:
        fill(store)
    path = tmp_path / "j" / "shards" / "00000.statistic.arrow"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="damaged"):
        JointStore.open(tmp_path / "j").read_block(0)
