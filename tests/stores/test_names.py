"""File names for any trait name."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.stores.names import file_stem

PORTABLE = set(string.ascii_letters + string.digits + "_-.%~")
NAMES = st.text(min_size=1, max_size=400) | st.text("ab./~%", min_size=1, max_size=6)


@given(NAMES)
@example(".")
@example("..")
@example("/")
@example("\0")
@example("x" * 100_000)
def test_portable(name: str) -> None:
    stem = file_stem(name)
    assert set(stem) <= PORTABLE
    assert not stem.startswith(".")
    assert 0 < len(stem) <= 180


@given(NAMES, NAMES)
@example("a~b", "a%7Eb")
@example("x" * 181, "x" * 182)
@example("x" * 200, file_stem("x" * 200))
def test_different_names_have_different_files(first: str, second: str) -> None:
    assert (file_stem(first) == file_stem(second)) == (first == second)


def test_plain_names_stay_readable() -> None:
    assert file_stem("aparc-Desikan_lh_area.0001") == "aparc-Desikan_lh_area.0001"


def test_empty_name() -> None:
    with pytest.raises(InputError, match="empty"):
        file_stem("")
