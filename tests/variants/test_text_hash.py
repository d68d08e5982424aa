"""Hashes depend on the text and on nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gputwas.variants.text_hash import hash_texts

texts = st.lists(st.text(max_size=30), max_size=12)


@given(texts, texts, texts)
def test_equal_texts_have_equal_hashes_wherever_they_stand(
    before: list[str], here: list[str], after: list[str]
) -> None:
    alone = hash_texts(pa.array(here, pa.string()))
    among = pa.array([*before, *here, *after], pa.string())
    np.testing.assert_array_equal(hash_texts(among.slice(len(before), len(here))), alone)
    np.testing.assert_array_equal(hash_texts(among)[len(before) : len(before) + len(here)], alone)
    np.testing.assert_array_equal(
        hash_texts(among.cast(pa.large_string()))[len(before) :][: len(here)], alone
    )
    single = [hash_texts(pa.array([text], pa.string()))[0] for text in here]
    np.testing.assert_array_equal(np.array(single, np.uint64), alone)


def test_different_texts_have_different_hashes() -> None:
    ids = [f"rs{i}" for i in range(100_000)] + [f"chr{i % 22}_{i}_A_G_b38" for i in range(100_000)]
    ids += ["", "\0", "\0\0", "a" * 8, "a" * 16, "a" * 24, "a" * 8 + "\0"]
    ids += ["a" * 7 + letter + "b" * 20 for letter in "bcdef"] + ["a" * 23 + letter for letter in "bcdef"]
    assert len(np.unique(hash_texts(pa.array(ids)))) == len(ids)


def test_nulls_and_nothing_are_no_obstacle() -> None:
    assert len(hash_texts(pa.array([None, None], pa.string()))) == 2
    assert len(hash_texts(pa.array([], pa.string()))) == 0
    mixed = pa.array(["rs1", None, "rs1"])
    assert hash_texts(mixed)[0] == hash_texts(mixed)[2]
