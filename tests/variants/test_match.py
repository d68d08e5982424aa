"""Looking identifiers up in a panel."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.variants.align import Reason
from gputwas.variants.match import HashIndex, PlaceIndex, VariantIndex, best_candidates

ids = st.lists(
    st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["rs1", "rs12", "rs123", "1_2_A_G", "", "\0"]))
)


def by_hand(panel, wanted):
    return [(r, p) for r, w in enumerate(wanted) for p, x in enumerate(panel) if w is not None and w == x]


@pytest.mark.parametrize("index", [VariantIndex, HashIndex])
@given(panel=ids, wanted=ids)
def test_finds_what_a_double_loop_finds(index, panel, wanted):
    rows, panel_rows = index(pa.array(panel, pa.string())).find(pa.array(wanted, pa.string()))
    assert list(zip(rows.tolist(), panel_rows.tolist(), strict=True)) == by_hand(panel, wanted)


def test_many_ids_with_slices_chunks_and_large_strings():
    numbers = np.random.default_rng(1).permutation(200_000)
    panel = pa.array([f"rs{i}" for i in numbers[:50_000]])
    index = VariantIndex(panel)
    queries = pa.array([f"rs{i}" for i in numbers])
    for form in (queries, queries.cast(pa.large_string()), pa.chunked_array([queries[:7], queries[7:]])):
        rows, panel_rows = index.find(form)
        np.testing.assert_array_equal(rows, np.arange(50_000))
        np.testing.assert_array_equal(panel_rows, rows)
    rows, panel_rows = index.find(queries.slice(49_990, 100))
    assert rows.tolist() == list(range(10)) and panel_rows.tolist() == list(range(49_990, 50_000))
    assert index.contains(queries).sum() == 50_000 and len(index) == 50_000


def test_colliding_hashes_are_told_apart_by_the_text(monkeypatch):
    monkeypatch.setattr("gputwas.variants.match.hash_texts", lambda t: np.zeros(len(t), np.uint64))
    rows, panel_rows = HashIndex(pa.array(["a", "b", "a", "c"])).find(pa.array(["c", "x", "a"]))
    assert (rows.tolist(), panel_rows.tolist()) == ([0, 2, 2], [3, 0, 2])


def test_without_the_compiled_library_hashes_are_looked_up(monkeypatch):
    monkeypatch.setenv("GPUTWAS_COMPILED", "0")
    index = VariantIndex(pa.array(["a", None, "a", ""]))
    assert index.table is None
    rows, panel_rows = index.find(pa.array([None, "", "a"]))
    assert (rows.tolist(), panel_rows.tolist()) == ([1, 2, 2], [3, 0, 2])


def test_best_candidate_of_a_multi_allelic_site():
    rows = np.array([0, 0, 1, 2, 2, 2, 3, 3])
    reason = np.array([4, 1, 4, 4, 4, 4, Reason.STRAND, Reason.SWAPPED], np.uint8)
    assert best_candidates(rows, reason).tolist() == [1, 2, 3, 7]
    assert best_candidates(rows[:0], reason[:0]).tolist() == []


def test_other_types_are_looked_up_as_text():
    assert VariantIndex(pa.array([12, 7])).find(pa.array([7]))[1].tolist() == [1]
    with pytest.raises(pa.ArrowException):
        VariantIndex(pa.array([[1]]))


places = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "X", None]), st.one_of(st.none(), st.integers(-1, 6), st.just(1 << 40))
    )
)


@given(places, places)
def test_places_are_found_as_a_double_loop_finds_them(panel, wanted):
    def columns(rows):
        return pa.array([r[0] for r in rows], pa.string()), pa.array([r[1] for r in rows], pa.int64())

    def usable(row):
        return None not in row and 0 < row[1] < 1 << 32

    index = PlaceIndex(*columns(panel))
    codes = index.codes(*columns(wanted))
    rows, panel_rows = index.find(codes)
    by_loop = [(r, p) for r, w in enumerate(wanted) for p, x in enumerate(panel) if usable(w) and w == x]
    assert list(zip(rows.tolist(), panel_rows.tolist(), strict=True)) == by_loop
    assert np.flatnonzero(index.contains(codes)).tolist() == sorted({row for row, _ in by_loop})
    assert len(index) == sum(map(usable, panel))
