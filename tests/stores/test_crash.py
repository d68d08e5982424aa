"""A run killed with SIGKILL at any moment, and run again, leaves what an undisturbed run leaves, bitwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALL = 1_000_000
KINDS = ("models", "gwas", "associations")


@pytest.fixture
def scratch() -> Iterator[str]:
    """A folder in memory where there is one: these tests force thousands of files to disk."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield folder


def drive(scratch: str, kind: str, way: str, amount: int) -> int:
    run = subprocess.run(
        [sys.executable, "-m", "tests.stores.crash_driver", scratch, kind, way, str(amount)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["killed"]


@pytest.mark.parametrize("way", ["anew", "overwrite"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_chosen_moments(scratch: str, kind: str, way: str) -> None:
    assert drive(scratch, kind, way, 10) == 10


@pytest.mark.slow
@pytest.mark.parametrize("way", ["anew", "overwrite"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_moment(scratch: str, kind: str, way: str) -> None:
    assert drive(scratch, kind, way, ALL) >= 15


@pytest.mark.parametrize("kind", ["gwas", "associations"])
def test_killed_again_and_again(scratch: str, kind: str) -> None:
    assert drive(scratch, kind, "chain", 1) >= 10


@pytest.mark.parametrize("kind", ["models", "associations"])
def test_killed_at_random_times(scratch: str, kind: str) -> None:
    assert drive(scratch, kind, "random", 8) == 8
