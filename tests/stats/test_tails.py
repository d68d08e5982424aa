"""The tail of the normal distribution against SciPy's, digit by digit."""

from __future__ import annotations

import platform

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from gputwas.stats.tails import lower_tail

# On other machines the compiler may fuse multiply and add in SciPy, which costs or saves a last digit.
ROUNDINGS = 0 if platform.machine() in ("x86_64", "AMD64") else 4
ROOT_TWO = 2**0.5  # where one approximation gives way to the next
EDGES = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, ROOT_TWO, -ROOT_TWO, 8 * ROOT_TWO, -8 * ROOT_TWO, -37.5, -37.7,
     -38.5, -40.0, 1e300, -1e300]
)  # fmt: skip


def agree(x: np.ndarray) -> None:
    np.testing.assert_array_max_ulp(lower_tail(x), ndtr(x), maxulp=ROUNDINGS)


def test_ordinary_and_extreme_arguments() -> None:
    rng = np.random.default_rng(5)
    agree(np.concatenate([EDGES, *(scale * rng.normal(size=20_000) for scale in (0.5, 1.0, 5.0, 20.0))]))


@given(st.floats(-45.0, 45.0))
def test_any_argument(x: float) -> None:
    agree(np.array([x]))


def test_shape_is_kept_and_nothing_is_written_to() -> None:
    x = np.array([[0.0, -1.0], [-3.0, np.nan]])
    x.flags.writeable = False
    assert lower_tail(x).shape == (2, 2)
    assert lower_tail(np.empty(0)).shape == (0,)
    assert float(lower_tail(np.array(0.0))) == 0.5
