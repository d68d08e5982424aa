"""Texts as numbers: with the C library and without, the same for equal texts and for no others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.kernels import library
from gputwas.variants.text_numbers import number_texts

words = st.text(max_size=20) | st.sampled_from(["", "rs1", "rs12345678", "rs123456789", "A", "ä"])


@given(st.lists(words, max_size=200), st.integers(0, 3), st.sampled_from(["1", "0"]))
def test_numbers_are_those_of_first_appearances(texts: list[str], skipped: int, compiled: str) -> None:
    strings = pa.array(texts, pa.string())[skipped:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.OFF, compiled)
        numbers, first = number_texts(strings)
    known: dict[str, int] = {}
    wanted = [known.setdefault(text, len(known)) for text in strings.to_pylist()]
    assert numbers.dtype == np.int32 and numbers.tolist() == wanted
    assert strings.take(pa.array(first)).to_pylist() == list(known)


def test_many_texts_keep_their_numbers() -> None:
    ids = [f"rs{number * 7919 % 200_003}" for number in range(150_000)]
    numbers, first = number_texts(pa.array(ids * 2))
    np.testing.assert_array_equal(numbers, np.tile(np.arange(150_000), 2))
    np.testing.assert_array_equal(first, np.arange(150_000))
