"""A run of `associate` that is killed goes on where it was and ends in the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gputwas.stores.associations import AssociationStore
from gputwas.twas.associate import AssociateSettings, associate
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import contents, write_gwas, write_models

# The parent imports once; every child does a whole run and is killed, by itself or by the parent.
DRIVER = """
import json, os, signal, sys, threading, time
from gputwas.twas.associate import AssociateSettings, associate

folder, how = sys.argv[1], json.loads(sys.argv[2])
settings = AssociateSettings(backend="numpy", block_size=2, workers=1)
import gputwas.kernels.tiles  # noqa: E402  imported late by the run; before the fork it costs once

def run(out):
    associate(f"{folder}/models", f"{folder}/gwas", out, settings=settings)

def child(out, replacements, after):
    left = replacements
    true_replace = os.replace
    one_at_a_time = threading.Lock()  # files are put in place by several threads
    def replace(source, target):
        nonlocal left
        with one_at_a_time:
            left -= 1
            if left == 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            true_replace(source, target)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    os.replace = replace
    run(out)

codes = []
for out, moment, after in how:
    process = os.fork()
    if process == 0:
        try:
            child(out, moment if isinstance(moment, int) else -1, after)
        except BaseException:
            os._exit(9)
        os._exit(0)
    if isinstance(moment, float):
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
print(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of seven traits with three patterns in four blocks and three tissues, and a whole run."""
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(3)
    models = write_models(folder / "models", random_model_set(rng, tissues=3))
    z, beta = random_gwas(rng, 7, 40)
    z[[1, 4], 3:9] = np.nan
    z[6, 20:] = np.nan
    beta[np.isnan(z)] = np.nan
    write_gwas(folder / "gwas", models.panel, z, beta)
    finish(folder, folder / "undisturbed")
    return folder


def finish(folder: Path, out: Path) -> None:
    """Run to the end in this process."""
    settings = AssociateSettings(backend="numpy", block_size=2, workers=2)
    associate(folder / "models", folder / "gwas", out, settings=settings)


def kill(folder: Path, how: list[tuple[Path, int | float, bool]]) -> list[int]:
    """Begin runs and kill each; returns their exit codes (negative: the signal)."""
    words = [sys.executable, "-W", "ignore", "-c", DRIVER, str(folder)]
    listed = json.dumps([(str(out), moment, after) for out, moment, after in how])
    done = subprocess.run([*words, listed], capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def count_replacements(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many files an undisturbed run puts in place."""
    import os

    calls = 0
    true_replace = os.replace

    def replace(*paths: str) -> None:
        nonlocal calls
        calls += 1
        true_replace(*paths)

    monkeypatch.setattr(os, "replace", replace)
    finish(folder, tmp_path / "counted")
    monkeypatch.undo()
    return calls


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_when_a_file_is_put_in_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    files = count_replacements(folder, tmp_path, monkeypatch)
    assert files == 3 + 3 + 4 * (1 + 3 * 2) + 1  # begin, patterns, blocks, run.json
    moments = [(n, n % 2 == 0) for n in range(1, files + 1, step)]
    outs = [tmp_path / f"{n}" for n, _ in moments]
    codes = kill(folder, [(out, n, after) for out, (n, after) in zip(outs, moments, strict=True)])
    assert codes == [-9] * len(moments)
    whole = contents(folder / "undisturbed")
    for out in outs:
        finish(folder, out)
        assert contents(out) == whole, f"killed at replacement {out.name}"
        assert AssociationStore.open(out).is_complete


@pytest.mark.slow
def test_killed_again_and_again(folder: Path, tmp_path: Path) -> None:
    """Every life puts five files in place, fewer than a block has; the run still comes to its end."""
    out = tmp_path / "out"
    codes = kill(folder, [(out, 5, True)] * 16)
    assert codes[0] == -9
    assert codes[-1] == 0, "the run never came to its end"
    assert contents(out) == contents(folder / "undisturbed")


def test_killed_at_random_times(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng()  # another moment each time
    moments = rng.uniform(0.0, 0.12, 6).tolist()
    outs = [tmp_path / f"{i}" for i in range(len(moments))]
    kill(folder, [(out, moment, False) for out, moment in zip(outs, moments, strict=True)])
    whole = contents(folder / "undisturbed")
    for out, moment in zip(outs, moments, strict=True):
        finish(folder, out)
        assert contents(out) == whole, f"killed after {moment} s"
