"""Floors do the work that they stand for."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import floors
from bench.measure import CommandFailed
from bench.models import LOADER


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "x.gz"
    digits = np.random.default_rng(1).integers(48, 58, 20_000_000, dtype=np.uint8)
    path.write_bytes(gzip.compress(digits.tobytes(), 1))
    return path


def test_inflating_takes_processor_time_for_each_file(packed: Path) -> None:
    once, often = floors.inflate([packed]), floors.inflate([packed] * 6)
    assert 0.005 < once.cpu_s < 2
    assert often.cpu_s > 2 * once.cpu_s
    assert floors.gzip_to_null(packed).cpu_s > 0.02


def test_a_broken_file_is_loud(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip at all")
    with pytest.raises(CommandFailed, match="a floor could not be measured"):
        floors.inflate([tmp_path / "x.gz"])


def test_copy_writes_as_many_bytes_and_removes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1_000)
    (tmp_path / "out").mkdir()
    left: list[int] = []
    run = subprocess.run

    def watch(*arguments: object, **flags: object) -> object:
        done = run(*arguments, **flags)  # type: ignore[call-overload]
        left.extend(floors.sizes_below(tmp_path / "out"))
        return done

    monkeypatch.setattr(subprocess, "run", watch)
    sizes = [0, 5, 20_000_000]
    assert floors.copy_bytes([tmp_path / "in"], sizes, tmp_path / "out").wall_s > 0
    assert left == sizes and floors.sizes_below(tmp_path / "out") == []


def test_forgotten_files_can_still_be_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    floors.forget([tmp_path / "x"])
    assert (tmp_path / "x").read_bytes() == b"abc"


METAX = {
    "__init__.py": "",
    "PredictionModel.py": "def load_model(path):\n    assert path == 'the.db'\n    return 'model'\n",
    "MatrixManager.py": (
        "import time\n"
        "class Manager:\n    def model_labels(self): return {1, 2, 3}\n"
        "def load_matrix_manager(path):\n"
        "    assert path == 'the.txt.gz'\n"
        "    while time.process_time() < 0.3: pass\n"
        "    return Manager()\n"
    ),
    "metaxcan/__init__.py": "",
    "metaxcan/Utilities.py": "def _prepare_weight_data(model, most):\n    assert model == 'model'\n",
}


def test_loader_calls_the_program_s_own_functions(tmp_path: Path) -> None:
    for name, text in METAX.items():
        path = tmp_path / "metax" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-I", str(LOADER), str(tmp_path), "the.db", "the.txt.gz"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout)
    assert 0.1 < found["load"] < 0.5 and found["context"] < 0.1 and found["genes"] == 3
