"""Which way of multiplying is fastest for a set of models: a rule on shapes, never a stopwatch.

In: the CSR of the models, or the few numbers that the rule needs. Out: "csr", "padded" or "dense".

The cost of a way is a sum of what it moves and multiplies per trait, at the rates of `RATES`, where there
are any. Results do not depend on timings: the same models on one backend are always multiplied in one way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gputwas.twas.dense_blocks import padded_shape, plan_windows

__all__ = [
    "RATES",
    "Rates",
    "WorkShape",
    "choose_method",
    "estimated_seconds",
    "resolve_method",
    "work_shape",
]


@dataclass(frozen=True)
class WorkShape:
    """What the cost of each way depends on.

    Attributes
    ----------
    weights : SNPs of all models together.
    area : elements of all windows of the dense way, padding included.
    rows : rows of z copied for the windows, and once each to make them ready.
    """

    weights: int
    area: int
    rows: int

    @property
    def density(self) -> float:
        """Share of the windows' elements that are weights."""
        return self.weights / self.area if self.area else 1.0


@dataclass(frozen=True)
class Rates:
    """Seconds per trait and statistic on one backend, None for a way that it does not offer.

    Attributes
    ----------
    csr, padded : per weight. area : per element of a dense window.
    row : per row of z that the dense way copies.
    source : where the numbers come from.
    """

    csr: float | None
    padded: float | None
    area: float
    row: float
    source: str


# Measured. CUDA has no entry until figures of a device are here: what a streamed gather and the copies around
# dense products cost there is not a matter of arithmetic alone, so "auto" is the gather, "csr".
RATES = {
    "numpy": Rates(
        csr=1 / 1.9e9,
        padded=1 / 0.17e9,
        area=1 / 1.2e9,
        row=0.0,
        source="measured in CPU seconds on one core of a shared AMD EPYC, 64 traits, NumPy 2.4 with OpenBLAS",
    ),
    "jax": Rates(
        csr=None, padded=1 / 0.15e9, area=1 / 7.7e9, row=0.0, source="as numpy, JAX 0.10 on the processor"
    ),
    "array_api_strict": Rates(
        csr=None, padded=1 / 0.05e9, area=1 / 1.2e9, row=0.0, source="as numpy, through array-api-strict 2.6"
    ),
}


def work_shape(offsets: np.ndarray, variants: np.ndarray, backend_name: str) -> WorkShape:
    """Shape of models over a panel in genome order; CSR offsets (models + 1,) and variants (entries,)."""
    windows = plan_windows(offsets, variants)
    shapes = (padded_shape(window, backend_name) for window in windows)
    return WorkShape(
        weights=int(offsets[-1] - offsets[0]),
        area=sum(rows * columns for rows, columns in shapes),
        rows=sum(window.variants.size for window in windows) + np.unique(variants).size,
    )


def estimated_seconds(shape: WorkShape, backend_name: str) -> dict[str, float]:
    """Estimated seconds per trait and statistic of each way of a backend in `RATES`, the usual way first."""
    rates = RATES[backend_name]
    found = {
        "csr": None if rates.csr is None else shape.weights * rates.csr,
        "padded": None if rates.padded is None else shape.weights * rates.padded,
        "dense": shape.area * rates.area + shape.rows * rates.row,
    }
    return {way: seconds for way, seconds in found.items() if seconds is not None}


def choose_method(shape: WorkShape, backend_name: str) -> str:
    """ "csr", "padded" or "dense", whichever `RATES` estimates to be fastest; of equals the first.

    A backend without rates is CUDA, and multiplies by "csr".
    """
    if backend_name not in RATES:
        return "csr"
    seconds = estimated_seconds(shape, backend_name)
    return min(seconds, key=lambda way: seconds[way])


def resolve_method(method: str, offsets: np.ndarray, variants: np.ndarray, backend_name: str) -> str:
    """What "auto" stands for with these models, CSR as in `work_shape`; any other method as it is.

    Windows are planned for it only where the answer depends on them: not on CUDA, nor on NumPy, whose sparse
    product is faster than its dense one for each element.
    """
    if method != "auto":
        return method
    rates = RATES.get(backend_name)
    if rates is None or (rates.csr is not None and rates.csr <= rates.area):
        return "csr"
    return choose_method(work_shape(offsets, variants, backend_name), backend_name)
