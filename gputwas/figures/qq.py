"""QQ picture of -log10 p with its 95 % band.

In: a table of quantiles (expected, observed), thinned by `thin_quantiles` where there are many tests, and
λ_GC as the caller computed it. Out: a figure, one series of points per group.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import special

from gputwas.errors import UsageError
from gputwas.figures.legend import title_above
from gputwas.figures.names import modality_label, number_label
from gputwas.figures.scale import LinearLog, linear_log
from gputwas.figures.style import (
    SINGLE_COLOURS,
    message_figure,
    modality_colour,
    new_figure,
    plain,
    require_columns,
    styled,
)
from gputwas.figures.tables import floats, strings

__all__ = ["concentration_band", "qq", "thin_quantiles"]

RASTER_ABOVE = 20_000
_LEFT_MM, _RIGHT_MM, _BOTTOM_MM = 11.0, 3.0, 9.5


@styled
def qq(
    table: pa.Table,
    *,
    n_tests: int | Mapping[str, int],
    lambda_gc: float | Mapping[str, float] | None = None,
    cap: float | str | None = "auto",
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
    width_mm: float = 86.0,
    height_mm: float = 80.0,
) -> Figure:
    """Draw observed against expected -log10 p.

    Parameters
    ----------
    table : columns `expected` and `observed` (float, -log10 p), any order; with `group` (str) one series per
        group, in the fixed colours where groups are modalities.
    n_tests : tests behind the quantiles, per group where there are groups; sets the band.
    lambda_gc : genomic control factor(s) to write into the picture.
    cap : see `scale.linear_log`: above it the vertical axis is logarithmic, and its label says so.

    Returns
    -------
    A figure with the diagonal and the band that holds 95 % of each order statistic of independent uniform p
    (`concentration_band`). Tests of neighbouring genes and of alike traits depend on each other, so a real
    study leaves the band more easily than 5 % of the time.
    """
    require_columns(table.column_names, ["expected", "observed"], "QQ picture")
    expected, observed = floats(table, "expected"), floats(table, "observed")
    drawn = np.isfinite(expected) & np.isfinite(observed)
    if not drawn.any():
        return message_figure("no tests to draw", width_mm=width_mm, height_mm=height_mm, title=title)
    groups = strings(table, "group", missing="other")
    names = sorted(set(groups[drawn]), key=lambda name: -_of(n_tests, name))
    figure = new_figure(width_mm, height_mm)
    top = title_above(figure, title, left_mm=_LEFT_MM)
    axes = figure.add_axes((
        _LEFT_MM / width_mm, _BOTTOM_MM / height_mm,
        1 - (_LEFT_MM + _RIGHT_MM) / width_mm, 1 - (_BOTTOM_MM + top) / height_mm,
    ))  # fmt: skip
    scale = _set_axes(axes, expected[drawn], observed[drawn], cap)
    handles = []
    for name in names:
        colour = modality_colour(name, colours) if name else SINGLE_COLOURS[0]
        expected_rank, low, high = concentration_band(_of(n_tests, name))
        axes.fill_between(
            expected_rank,
            low,
            high,
            color="#888888",
            alpha=0.22 / len(names) ** 0.5,
            lw=0,
            zorder=1,
            gid="band",
        )
        rows = drawn & (groups == name)
        axes.scatter(
            expected[rows], observed[rows], s=5, c=colour, linewidths=0, zorder=3, clip_on=False,
            rasterized=bool(rows.sum() > RASTER_ABOVE), gid="quantiles",
        )  # fmt: skip
        handles.append(_legend_entry(name, colour, _of(n_tests, name), lambda_gc))
    end = axes.get_xlim()[1]
    line = np.linspace(0, end, 200)
    axes.plot(line, line, color="#444444", lw=0.6, ls=(0, (4, 2)), zorder=2, gid="diagonal")
    axes.legend(handles=handles, loc="upper left", handlelength=0.9, borderaxespad=0.8, labelspacing=0.5)
    axes.set_gid("linear" if scale.is_linear else "linear-log")
    return figure


def concentration_band(
    n_tests: int, *, level: float = 0.95, points: int = 200
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Band of the order statistics of `n_tests` independent uniform p.

    The k-th smallest of n follows Beta(k, n + 1 - k), with mean k / (n + 1) (David & Nagaraja 2003, Order
    Statistics, doi:10.1002/0471722162, section 2.3).

    Returns
    -------
    expected, low, high : float64 (points,) each, in -log10 p, at ranks spread evenly in log rank.
    """
    rank = np.unique(np.rint(np.geomspace(1, n_tests, points)))
    tail = (1 - level) / 2
    low, high = special.betaincinv(rank, n_tests + 1 - rank, np.array([[1 - tail], [tail]]))
    return -np.log10(rank / (n_tests + 1)), -np.log10(low), -np.log10(high)


def thin_quantiles(nlog10_p: np.ndarray, *, n_tests: int | None = None, points: int = 2000) -> pa.Table:
    """Choose the quantiles a QQ picture needs from many -log10 p: all of the highest, then ever fewer.

    Parameters
    ----------
    nlog10_p : float (tests,), any order; missing ones (NaN) are left out. May be the smallest p only, where
        `n_tests` says how many tests there were.
    points : about how many rows to keep.

    Returns
    -------
    Table with `expected` = -log10(rank / (n_tests + 1)) and `observed`, float64, both falling.
    """
    values = np.asarray(nlog10_p, dtype=np.float64)
    values = values[~np.isnan(values)]
    total = len(values) if n_tests is None else n_tests
    if total < len(values):
        raise UsageError(
            f"n_tests is {total:,}, but there are {len(values):,} p values: state all tests made."
        )
    if not len(values):
        return pa.table({"expected": pa.array([], pa.float64()), "observed": pa.array([], pa.float64())})
    values = np.sort(values)[::-1]
    rank = np.arange(1, len(values) + 1)
    if len(values) > points:
        rank = np.unique(np.rint(np.geomspace(1, len(values), points)).astype(np.int64))
    return pa.table({"expected": -np.log10(rank / (total + 1)), "observed": values[rank - 1]})


def _set_axes(axes: Axes, expected: np.ndarray, observed: np.ndarray, cap: float | str | None) -> LinearLog:
    right, top = float(expected.max()), float(max(observed.max(), 1.12 * expected.max()))
    scale = linear_log(np.append(observed, right), cap if cap != "auto" else _bulk_cap(right, top))
    axes.set_xlim(0, right * 1.03)
    axes.set_yscale("function", functions=(scale.forward, scale.inverse))
    axes.set_ylim(0, float(scale.inverse(scale.forward(np.array(top)) * 1.04)))
    axes.yaxis.set_major_locator(FixedLocator(scale.ticks(top)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(r"Expected $-\log_{10}\,p$")
    text = r"Observed $-\log_{10}\,p$"
    if not scale.is_linear:
        text += f"   (log scale above {scale.cap:g})"
        axes.axhline(scale.cap, color="#999999", lw=0.5, ls=(0, (1, 2)), zorder=1, gid="cap")
    axes.set_ylabel(text)
    return scale


def _bulk_cap(right: float, top: float) -> float | None:
    """Linear up to twice the expected range; not compressed where the top is below five times that."""
    return None if top < 5 * right else float(np.ceil(2 * right / 5) * 5)


def _legend_entry(
    name: str, colour: str, n_tests: int, lambda_gc: float | Mapping[str, float] | None
) -> Line2D:
    parts = []
    if lambda_gc is not None:
        value = lambda_gc if isinstance(lambda_gc, (int, float)) else lambda_gc.get(name)
        if value is not None:
            parts.append(rf"$\lambda_{{GC}}$ = {value:.3f}")
    parts.append(f"{number_label(n_tests)} tests")
    label = (f"{plain(modality_label(name))}:  " if name else "") + ", ".join(parts)
    return Line2D([], [], ls="", marker="o", ms=3.4, mew=0, color=colour, label=label)


def _of(value: int | Mapping[str, int], name: str) -> int:
    if isinstance(value, Mapping):
        if name not in value:
            raise UsageError(f"n_tests has no number for the group {name!r} of the QQ table.")
        return value[name]
    return value
