"""Fixtures that every room's tests share."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

from gputwas.backends.choose import Backend, choose_backend
from gputwas.errors import ResourceError
from gputwas.kernels import library

REPOSITORY = Path(__file__).resolve().parent.parent

# On a busy machine anything may take its time. The fast suite tries fewer examples of a property, the slow
# one comes back to it (`make test-slow`).
settings.register_profile("fast", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=150)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(autouse=True)
def log_as_at_first() -> None:
    """Undo what the command line, called by another test or a fixture, has done to the package's log."""
    log = logging.getLogger("gputwas")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.NOTSET)


def _data_folder(name: str, file: str) -> Path:
    data = Path(os.environ.get("GPUTWAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = data / name
    if not (folder / file).is_file():
        pytest.skip(f"no reference data at {folder}; set GPUTWAS_TEST_DATA to the folder that holds {name}")
    return folder


@pytest.fixture(scope="session")
def gtex_v6p() -> Path:
    """Folder of real GTEx v6p models with the reference program's results; skips where it is absent."""
    return _data_folder("gtex_v6p", "manifest.json")


@pytest.fixture(scope="session")
def kg_eur() -> Path:
    """Folder of real genotypes of 489 Europeans (PLINK 1) with a GWAS of the same variants, or skips."""
    return _data_folder("kg_eur", "kg_eur.bed")


@pytest.fixture(
    scope="session",
    params=[
        "numpy",
        "array_api_strict",
        pytest.param("jax", marks=pytest.mark.slow),  # which compiles every shape that a test comes with
        pytest.param("cupy", marks=pytest.mark.gpu),
    ],
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend in turn; one whose library is missing skips with the library's own message."""
    try:
        return choose_backend(request.param)
    except ResourceError as error:
        pytest.skip(str(error))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of hypothesis can be asked for by `-m property`."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked gpu skips without a working CUDA device, or fails if GPUTWAS_REQUIRE_GPU is 1.

    One marked library skips without the C library; where there is a compiler, another test misses it.
    """
    if item.get_closest_marker("library") is not None and not library.is_there():
        pytest.skip("the C library was not compiled, or is switched off")
    if item.get_closest_marker("gpu") is None:
        return
    try:
        choose_backend("cupy")
    except ResourceError as error:
        if os.environ.get("GPUTWAS_REQUIRE_GPU") == "1":
            pytest.fail(f"GPUTWAS_REQUIRE_GPU=1 but {error}")
        pytest.skip(str(error))
