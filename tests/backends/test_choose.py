"""Choice of backend and memory budget."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from gputwas.backends.choose import BACKENDS, choose_backend
from gputwas.backends.memory import available_memory, memory_budget, parse_bytes, units_that_fit
from gputwas.errors import ResourceError, UsageError


def test_auto_says_what_it_took_and_why() -> None:
    chosen = choose_backend("auto")
    assert chosen.name in ("numpy", "cupy")
    assert chosen.reason
    assert chosen.device


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(UsageError, match=r"numpy.*jax.*cupy"):
        choose_backend("tensorflow")
    assert "auto" in BACKENDS


def test_absent_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ResourceError, match=r"pip install 'gputwas\[cuda13\]'") as caught:
        choose_backend("cupy")
    assert caught.value.exit_code == 4
    assert choose_backend("auto").name == "numpy"


def test_jax_keeps_double_precision() -> None:
    pytest.importorskip("jax")
    backend = choose_backend("jax")
    assert backend.to_numpy(backend.asarray(np.array([1.0 + 1e-12])))[0] == 1.0 + 1e-12


@pytest.mark.parametrize(
    ("text", "value"),
    [("4GB", 4 * 10**9), ("512 MiB", 512 * 2**20), ("2e9", 2 * 10**9), ("1.5g", 15 * 10**8)],
)
def test_sizes_as_people_write_them(text: str, value: int) -> None:
    assert parse_bytes(text) == value
    assert memory_budget(text) == value


@pytest.mark.parametrize("text", ["", "four", "-1GB", "0", "4XB"])
def test_nonsense_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="memory"):
        parse_bytes(text)


def test_budget_is_bounded_and_too_little_is_said() -> None:
    assert available_memory() > 0
    assert 0 < memory_budget() <= 4 * 10**9
    assert units_that_fit(100, 20, 30, most=10) == 2
    assert units_that_fit(10**6, 20, 30, most=10) == 10
    with pytest.raises(ResourceError, match="--memory"):
        units_that_fit(100, 90, 30, most=10)
