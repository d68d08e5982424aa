"""A vertical axis for -log10 p: linear up to a cap, logarithmic above it.

In: the values to draw. Out: where the cap lies, the two directions of the transformation, tick positions. A
few associations at p = 10^-300 then neither squash the rest nor leave the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["LinearLog", "linear_log", "nice_ceiling"]

_STEPS = (1.0, 2.0, 5.0, 10.0)
_NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_TOO_LONG = 2.5  # the top must exceed the bulk by this factor before the axis is compressed


@dataclass(frozen=True)
class LinearLog:
    """y below `cap` as it is; above it cap + stretch * ln(y / cap). Odd, so signed values mirror.

    `cap` is infinite where the whole axis is linear; `stretch` is in units of the linear part per e-fold.
    """

    cap: float = math.inf
    stretch: float = 0.0

    @property
    def is_linear(self) -> bool:
        """Whether nothing lies above the cap."""
        return math.isinf(self.cap)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """From -log10 p to height on the axis, any shape."""
        values = np.asarray(values, dtype=np.float64)
        if self.is_linear:
            return values
        size = np.abs(values)
        above = self.cap + self.stretch * np.log(np.maximum(size, self.cap) / self.cap)
        return np.copysign(np.where(size <= self.cap, size, above), values)

    def inverse(self, heights: np.ndarray) -> np.ndarray:
        """From height on the axis back to -log10 p, any shape."""
        heights = np.asarray(heights, dtype=np.float64)
        if self.is_linear:
            return heights
        size = np.abs(heights)
        # A matplotlib margin may ask far beyond the data; exp stays finite.
        above = self.cap * np.exp(np.minimum((np.maximum(size, self.cap) - self.cap) / self.stretch, 600.0))
        return np.copysign(np.where(size <= self.cap, size, above), heights)

    def ticks(self, top: float, *, wanted: int = 6) -> list[float]:
        """Round values from 0 to `top`, not nearer on the axis than about half a linear step."""
        end = min(top, self.cap)
        step = nice_ceiling(end / wanted, leads=_STEPS)
        ticks = [step * index for index in range(int(end / step * (1 + 1e-9)) + 1)]
        if self.is_linear or top <= self.cap:
            return ticks
        if self.cap - ticks[-1] < step / 2:
            ticks.pop()
        ticks.append(self.cap)
        decades = range(math.floor(math.log10(self.cap)), math.ceil(math.log10(top)) + 1)
        for value in (lead * 10.0**decade for decade in decades for lead in (1, 2, 3, 5)):
            height, last = self.forward(np.array([value, ticks[-1]]))
            if self.cap < value <= top and height - last >= step * 0.45:
                ticks.append(value)
        return ticks


def linear_log(values: np.ndarray, cap: float | str | None = "auto", *, share: float = 0.3) -> LinearLog:
    """Choose the axis for `values` (-log10 p, any shape, finite).

    Parameters
    ----------
    cap : where the logarithmic part begins; None for a linear axis; "auto" compresses only if the largest
        value exceeds the 99th percentile (rounded up to a round number) by more than a factor of 2.5.
    share : part of the axis' height that the logarithmic part takes.
    """
    size = np.abs(values)
    top = float(size.max(initial=0.0))
    if cap is None or top == 0:
        return LinearLog()
    if isinstance(cap, str):
        if cap != "auto":
            raise ValueError(f"cap is a number, None or 'auto', not {cap!r}")
        cap = max(nice_ceiling(float(np.quantile(size, 0.99))), 5.0)
        if top < _TOO_LONG * cap:
            return LinearLog()
    if not cap > 0:
        raise ValueError(f"cap must be above 0, not {cap}")
    if top <= cap:
        return LinearLog()
    return LinearLog(float(cap), cap * share / (1 - share) / math.log(top / cap))


def nice_ceiling(value: float, leads: tuple[float, ...] = _NICE) -> float:
    """Round up to a number that reads well on an axis: one of `leads` (from 1 to 10) times a power of ten."""
    if value <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(lead * decade for lead in (*leads, 20.0) if lead * decade >= value * (1 - 1e-12))
