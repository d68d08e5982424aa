"""OpenBLAS has one thread inside the block and its own number behind it."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.backends import blas_threads
from gputwas.backends.blas_threads import one_blas_thread


def counts() -> list[int]:
    return [get_threads() for get_threads, _ in blas_threads._libraries()]


def test_one_thread_inside_and_as_before_behind() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    libraries = blas_threads._libraries()
    if not libraries:
        pytest.skip("NumPy has no OpenBLAS here")
    before = counts()
    for _, set_threads in libraries:
        set_threads(2)
    try:
        with one_blas_thread():
            assert set(counts()) == {1}
        assert set(counts()) == {2}
        with pytest.raises(RuntimeError), one_blas_thread():
            raise RuntimeError
        assert set(counts()) == {2}
    finally:
        for (_, set_threads), count in zip(libraries, before, strict=True):
            set_threads(count)


def test_no_such_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas_threads, "_libraries", lambda: ())
    with one_blas_thread():
        assert (np.ones((2, 2)) @ np.ones((2, 2)))[0, 0] == 2
