"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def gtex_v6p() -> Path:
    """Folder of real GTEx v6p models with the reference program's results; skips where it is absent."""
    data = Path(os.environ.get("GPUTWAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = data / "gtex_v6p"
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no reference data at {folder}; set GPUTWAS_TEST_DATA to the folder that holds gtex_v6p")
    return folder
