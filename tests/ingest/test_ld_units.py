"""Covariances of groups in one pass: against numpy.cov, with rows read once, whatever fits into memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend, choose_backend
from gputwas.errors import ResourceError
from gputwas.ingest import ld_units
from gputwas.ingest.ld_align import Fate
from gputwas.ingest.ld_sink import TriangleSink, split_piece
from gputwas.ingest.ld_units import Groups, Quality, group_covariances, ranges
from tests.ingest.made_genotypes import MadePanel, made_dosages, variants

SAMPLES = 40


def made_panel(dosages: np.ndarray) -> MadePanel:
    return MadePanel(dosages, variants([(f"rs{i}", "1", i + 1, "A", "G") for i in range(len(dosages))]))


def made_groups(lists: list[list[int]]) -> Groups:
    lists = [sorted(rows) for rows in lists]
    offsets = np.cumsum([0, *map(len, lists)])
    return Groups(np.array([row for rows in lists for row in rows], dtype=np.int64), offsets)


def matrices(sink: TriangleSink, count: int) -> list[np.ndarray]:
    result = []
    for group in range(count):
        found = sink.of(np.array([group]))
        size = int(found.sizes[0])
        matrix = np.zeros((size, size))
        matrix[np.triu_indices(size)] = found.values
        result.append(np.triu(matrix) + np.triu(matrix, 1).T)
    return result


def plain(dosages: np.ndarray, rows: list[int]) -> np.ndarray:
    filled = np.where(np.isnan(dosages), np.nanmean(dosages, axis=1, keepdims=True), dosages)
    return np.cov(filled[sorted(rows)]).reshape(len(rows), len(rows))


def assert_close(got: np.ndarray, want: np.ndarray) -> None:
    sd = np.sqrt(np.diag(want))
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= 1e-12 * np.outer(sd, sd))


def computed(panel: MadePanel, groups: Groups, backend: Backend, budget: int, **rules: float) -> TriangleSink:
    pieces, _ = group_covariances(panel, groups, Quality(**rules), backend, budget)
    sink = TriangleSink(len(groups.offsets) - 1)
    for piece in pieces:
        sink.add(piece)
    return sink


def test_all_backends_equal_numpy_cov(backend: Backend) -> None:
    rng = np.random.default_rng(4)
    dosages = made_dosages(rng, 80, SAMPLES, missing=0.05)
    dosages[60:] = np.nan_to_num(dosages[60:])  # blocks with and without missing ones
    lists = [rng.choice(range(a, a + 20), size, replace=False).tolist()
             for a, size in [(0, 5), (60, 12), (10, 1), (3, 12), (30, 20), (50, 5), (0, 0)]]  # fmt: skip
    groups = made_groups(lists)
    budget = 8 * SAMPLES * ld_units._COPIES * 25  # 25 rows at a time
    sink = computed(made_panel(dosages), groups, backend, budget, max_missing=1.0)
    for got, rows in zip(matrices(sink, len(lists)), lists, strict=True):
        if rows:
            assert_close(got, plain(dosages, rows))


def test_each_row_is_read_once_where_genes_are_local() -> None:
    rng = np.random.default_rng(5)
    panel = made_panel(made_dosages(rng, 300, SAMPLES))
    lists = [rng.choice(range(a, a + 30), 10, replace=False).tolist() for a in rng.permutation(270)[:120]]
    budget = 8 * SAMPLES * ld_units._COPIES * 60
    computed(panel, made_groups(lists), choose_backend("numpy"), budget)
    assert sorted(panel.read) == sorted({row for rows in lists for row in rows})


def test_a_gene_too_large_for_memory_is_told() -> None:
    panel = made_panel(made_dosages(np.random.default_rng(6), 30, SAMPLES))
    with pytest.raises(ResourceError, match=r"one gene of 30 SNPs needs .*--memory"):
        computed(panel, made_groups([list(range(30))]), choose_backend("numpy"), 8 * SAMPLES * 29)


def test_rules_of_quality() -> None:
    rng = np.random.default_rng(7)
    dosages = made_dosages(rng, 6, 100)
    dosages[1] = 2.0  # the same in all
    dosages[2] = 0.0
    dosages[2, :3] = 1.0  # 1.5 %
    dosages[3, :11] = np.nan  # 11 % missing
    dosages[4] = 2.0
    dosages[4, :2] = 1.0  # the other allele has 1 %
    panel, groups = made_panel(dosages), made_groups([[0, 1, 2, 3, 4, 5]])
    backend = choose_backend("numpy")
    pieces, fates = group_covariances(panel, groups, Quality(maf=0.015, max_missing=0.1), backend, 10**9)
    (piece,) = pieces
    assert [Fate(f).name for f in fates(np.arange(6))] == [
        "USED", "NO_VARIANCE", "USED", "MISSING", "BELOW_MAF", "USED"
    ]  # fmt: skip
    assert piece.entries.tolist() == [0, 2, 5]
    sink = TriangleSink(1)
    sink.add(piece)
    assert_close(matrices(sink, 1)[0], plain(dosages, [0, 2, 5]))
    every = computed(panel, groups, backend, 10**9, max_missing=0.11)
    assert every.of(np.array([0])).entries.tolist() == [0, 2, 3, 4, 5]


def test_the_rarest_that_is_allowed_is_so_whichever_allele_is_counted() -> None:
    """1 of 10, 1 of 20, ... alleles are as many tenths, twentieths: 1 - 0.9 is less in floating point."""
    for samples in (5, 10, 25, 50, 250, 489):
        for copies in range(1, samples + 1):
            counted = np.array([copies, 2 * samples - copies]) / samples
            maf = copies / (2 * samples)
            none = np.zeros(2)
            assert Quality(maf).fates(counted, none, none + 1).tolist() == [Fate.USED] * 2
            assert Quality(maf * (1 + 1e-6)).fates(counted, none, none + 1).tolist() == [Fate.BELOW_MAF] * 2


@given(st.data())
def test_any_groups_in_any_memory(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    snps = data.draw(st.integers(1, 25))
    lists = data.draw(
        st.lists(st.lists(st.integers(0, snps - 1), unique=True, max_size=8), min_size=1, max_size=10)
    )
    most = max(map(len, lists), default=1) + data.draw(st.integers(0, 20))
    dosages = rng.uniform(0, 2, (snps, 9))
    panel = MadePanel(dosages, variants([]))
    groups = made_groups(lists)
    sink = computed(panel, groups, choose_backend("numpy"), 8 * 9 * ld_units._COPIES * max(most, 1))
    for got, rows in zip(matrices(sink, len(lists)), lists, strict=True):
        if rows:
            want = plain(dosages, rows)
            sd = np.sqrt(np.diag(want))
            assert np.all(np.abs(got - want) <= 1e-12 * np.outer(sd, sd))
    blocks = list(ld_units._in_blocks(groups, max(most, 1)))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(len(lists)))
    for block in blocks:
        assert len({row for group in block for row in lists[group]}) <= most


def test_pieces_are_split_into_models_and_genes() -> None:
    dosages = made_dosages(np.random.default_rng(8), 20, SAMPLES)
    lists = [[0, 1, 2], [5], [1, 3, 4, 6], [0, 1]]
    pieces, _ = group_covariances(
        made_panel(dosages), made_groups(lists), Quality(), choose_backend("numpy"), 10**9
    )
    first, second = TriangleSink(2), TriangleSink(2)
    for piece in pieces:
        one, two = split_piece(piece, 2, 4)
        first.add(one)
        second.add(two)
    assert second.of(np.array([0, 1])).entries.tolist() == [0, 1, 2, 3, 4, 5]
    for got, rows in zip([*matrices(first, 2), *matrices(second, 2)], lists, strict=True):
        assert_close(got, plain(dosages, rows))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True)) if pairs else (
        np.empty(0, np.int64), np.empty(0, np.int64)
    )  # fmt: skip
    assert ranges(starts, lengths).tolist() == [i for start, n in pairs for i in range(start, start + n)]
