"""The rule that chooses a way of multiplying: a function of shapes alone."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.backends.choose import BACKENDS
from gputwas.twas import methods
from gputwas.twas.methods import (
    RATES,
    WorkShape,
    choose_method,
    estimated_seconds,
    resolve_method,
    work_shape,
)

PAPER = WorkShape(weights=2_500_400, area=61_700_000, rows=1_217_908)  # 180,500 models of 19 tissues
CROWDED = WorkShape(weights=200_000_000, area=400_000_000, rows=1_200_000)  # hundreds of SNPs in every model


@pytest.mark.parametrize(
    ("shape", "backend_name", "way"),
    [
        (PAPER, "numpy", "csr"),
        (PAPER, "cupy", "csr"),
        (PAPER, "jax", "dense"),
        (CROWDED, "numpy", "csr"),
        (CROWDED, "cupy", "csr"),  # nothing was measured that speaks for the dense way there
        (CROWDED, "jax", "dense"),
        (WorkShape(weights=100, area=1_000_000, rows=100), "jax", "padded"),
        (WorkShape(weights=100, area=1_000_000, rows=100), "array_api_strict", "padded"),
        (WorkShape(weights=0, area=0, rows=0), "cupy", "csr"),
    ],
)
def test_rule(shape: WorkShape, backend_name: str, way: str) -> None:
    assert choose_method(shape, backend_name) == way


def test_every_backend_has_rates_and_says_where_they_come_from() -> None:
    assert set(RATES) == set(BACKENDS) - {"auto", "cupy"}
    for name, rates in RATES.items():
        assert len(rates.source) > 20
        assert ("csr" in estimated_seconds(PAPER, name)) == (name == "numpy")


def test_more_elements_never_make_the_dense_way_cheaper() -> None:
    for name in RATES:
        costs = [
            estimated_seconds(WorkShape(10**6, area, 10**6), name)["dense"] for area in (10**6, 10**7, 10**8)
        ]
        assert costs == sorted(costs)


def test_shape_of_models_counts_padding() -> None:
    offsets = np.array([0, 3, 3, 5])
    variants = np.array([4, 9, 2, 9, 700], dtype=np.int32)
    shape = work_shape(offsets, variants, "numpy")
    assert (shape.weights, shape.area) == (5, 2 * 32 * 64)  # the second model spans 692 variants
    assert shape.rows == (3 + 2) + 4
    assert shape.density == 5 / 4096
    assert work_shape(np.zeros(3, dtype=np.int64), variants[:0], "jax") == WorkShape(0, 0, 0)


def test_auto_is_resolved_by_the_rule_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = np.array([0, 60])
    variants = np.arange(60, dtype=np.int32)  # 60 weights in 32 x 64 elements
    assert resolve_method("auto", offsets, variants, "jax") == "dense"
    assert resolve_method("auto", offsets[:2] // 60, variants[:1], "jax") == "padded"
    assert resolve_method("padded", offsets, variants, "jax") == "padded"
    monkeypatch.setattr(methods, "plan_windows", None)  # here no window is planned
    assert resolve_method("auto", offsets, variants, "numpy") == "csr"
    assert resolve_method("auto", offsets, variants, "cupy") == "csr"
    assert resolve_method("dense", offsets, variants, "cupy") == "dense"
