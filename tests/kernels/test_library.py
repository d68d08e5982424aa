"""The C library is found, loaded, checked and done without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import ResourceError
from gputwas.kernels import library
from gputwas.kernels.library import INTEGER, REAL, addresses, array, filled, of_library


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler on this machine")
@pytest.mark.skipif(os.environ.get(library.OFF) == "0", reason="switched off")
def test_it_is_there_where_a_compiler_is() -> None:
    assert library.is_there()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.OFF, "0")
    assert not library.is_there()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the library is looked for: a folder that has none yet."""
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    library._opened.cache_clear()
    yield tmp_path / f"_cpu{EXTENSION_SUFFIXES[0]}"
    library._opened.cache_clear()


def test_what_is_missing_says_how_to_get_it(elsewhere: Path) -> None:
    assert not library.is_there()
    with pytest.raises(ResourceError, match=r"was not compiled .* apt install gcc"):
        of_library("quadratic_forms")()


def test_a_file_that_is_no_library_is_as_good_as_none(elsewhere: Path) -> None:
    elsewhere.write_bytes(b"\x7fELF, or so it says")
    assert not library.is_there()
    assert "cannot be loaded" in str(library.problem())


@pytest.mark.library
def test_a_library_of_another_version_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "VERSION", -1)
    library._opened.cache_clear()
    try:
        assert not library.is_there()
        assert "another version" in str(library.problem())
    finally:
        library._opened.cache_clear()


@pytest.mark.library
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(3, np.float32),
        np.zeros((3, 1)),
        np.zeros(6)[::2],
        np.zeros(3, np.dtype(np.float64).newbyteorder()),
        np.frombuffer(bytes(25), np.float64, 3, 1),
        [0.0, 0.0, 0.0],
    ],
    ids=["type", "dimensions", "gaps", "byte order", "alignment", "list"],
)
def test_arrays_of_another_kind_are_refused(wrong: object) -> None:
    whole = array(np.int64)
    forms = of_library(
        "quadratic_forms", INTEGER, whole, array(np.float64), whole, array(np.float64), whole, REAL,
        filled(np.float64),
    )  # fmt: skip
    none = np.zeros(1, np.int64)
    forms(0, none, np.zeros(1), none, np.zeros(1), none, 0.0, np.zeros(1))
    with pytest.raises(Exception, match=r"argument (3|8)"):
        forms(0, none, wrong, none, np.zeros(1), none, 0.0, np.zeros(1))
    read_only = np.zeros(1)
    read_only.flags.writeable = False
    with pytest.raises(Exception, match="argument 8"):
        forms(0, none, np.zeros(1), none, np.zeros(1), none, 0.0, read_only)


def test_only_contiguous_columns_of_their_type_have_an_address() -> None:
    with pytest.raises(ValueError, match="contiguous float32"):
        addresses([np.zeros(4)], np.float32)
    with pytest.raises(ValueError, match="contiguous float32"):
        addresses([np.zeros(8, np.float32)[::2]], np.float32)
    with pytest.raises(ValueError, match="read-only"):
        addresses([np.frombuffer(bytes(8), np.float32)], np.float32, written=True)
    assert addresses([None], np.float32).tolist() == [0]
