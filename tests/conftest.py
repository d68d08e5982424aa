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


def _backend_names() -> list[object]:
    return ["numpy", "array_api_strict", "jax", pytest.param("cupy", marks=pytest.mark.gpu)]


@pytest.fixture(scope="session", params=_backend_names())
def backend(request: pytest.FixtureRequest):
    """Every backend in turn; a missing one skips with its own message, or fails if a GPU is required."""
    from gputwas.backends.choose import choose_backend
    from gputwas.errors import ResourceError

    try:
        return choose_backend(request.param)
    except ResourceError as error:
        if request.param == "cupy" and os.environ.get("GPUTWAS_REQUIRE_GPU") == "1":
            pytest.fail(f"GPUTWAS_REQUIRE_GPU=1 but {error}")
        pytest.skip(str(error))
