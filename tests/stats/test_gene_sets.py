"""Counting common genes by bits against a matrix product, on every backend, on the host and on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend, choose_backend
from gputwas.kernels import launch
from gputwas.kernels.bits import count_bits
from gputwas.stats import gene_sets
from gputwas.stats.gene_sets import count_overlaps, pack_membership
from tests.kernels.on_host import HostDevice

SHAPES = [(1, 1, 1), (3, 5, 32), (2, 4, 33), (65, 70, 1100), (0, 4, 40), (4, 0, 40), (3, 2, 0)]


def membership(sets: int, lists: int, genes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two boolean matrices, and the counts by a product of integers."""
    rng = np.random.default_rng(genes)
    a, b = rng.random((sets, genes)) < 0.3, rng.random((lists, genes)) < 0.6
    return a, b, a.astype(np.int32) @ b.T.astype(np.int32)


@pytest.mark.parametrize(("sets", "lists", "genes"), SHAPES)
def test_counts_equal_a_matrix_product(backend: Backend, sets: int, lists: int, genes: int) -> None:
    a, b, want = membership(sets, lists, genes)
    packed = [pack_membership(backend.asarray(array)) for array in (a, b)]
    assert packed[0].shape == (sets, -(-genes // 32))
    got = backend.to_numpy(count_overlaps(*packed))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, want)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, want = membership(7, 9, 100)
    packed = pack_membership(a), pack_membership(b)
    for most in (1, 10, 100):
        monkeypatch.setattr(gene_sets, "MOST_WORDS", most)
        np.testing.assert_array_equal(count_overlaps(*packed), want)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_bits_are_counted_as_python_does(words: list[int]) -> None:
    got = count_bits(np.array(words, dtype=np.uint32))
    np.testing.assert_array_equal(got, [word.bit_count() for word in words])


@given(st.lists(st.booleans(), max_size=70))
def test_bits_lie_where_they_are_said_to_lie(flags: list[bool]) -> None:
    (words,) = pack_membership(np.array([flags], dtype=bool).reshape(1, -1))
    value = sum(int(word) << (32 * at) for at, word in enumerate(words))
    assert value == sum(1 << g for g, flag in enumerate(flags) if flag)


@pytest.mark.parametrize(("sets", "lists", "genes"), SHAPES)
def test_kernel_on_the_host_counts_exactly(
    host_device: HostDevice, sets: int, lists: int, genes: int
) -> None:
    a, b, want = membership(sets, lists, genes)
    for seed in (0, 9):
        host_device.seed = seed
        np.testing.assert_array_equal(launch.bitset_counts(pack_membership(a), pack_membership(b)), want)


def test_cuda_arrays_are_counted_by_the_kernel(
    host_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gene_sets, "is_cupy_namespace", lambda xp: True)
    a, b, want = membership(4, 5, 70)
    np.testing.assert_array_equal(count_overlaps(pack_membership(a), pack_membership(b)), want)
    assert host_device.launched == ["bitset_counts"]


def test_what_cannot_be_counted_is_refused(host_device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.zeros((2, 3), dtype=np.uint32)
    with pytest.raises(ValueError, match="boolean matrix"):
        pack_membership(np.zeros((2, 2)))
    for function in (count_overlaps, launch.bitset_counts):
        with pytest.raises(ValueError, match="3 words and lists 2"):
            function(words, words[:, :2].copy())
        with pytest.raises(ValueError, match="lists must be"):
            function(words, words.astype(np.int64))
    monkeypatch.setattr(launch, "MOST_GRID_Y", 0)
    with pytest.raises(ValueError, match="sets at once"):
        launch.bitset_counts(words, words)


@pytest.mark.gpu
def test_gpu_kernel_counts_exactly() -> None:
    cuda = choose_backend("cupy")
    a, b, want = membership(300, 500, 20_000)
    packed = [pack_membership(cuda.asarray(array)) for array in (a, b)]
    np.testing.assert_array_equal(cuda.to_numpy(count_overlaps(*packed)), want)
