"""Manhattan picture of significant gene-trait associations (after NeuroimaGene, Fig. 1f).

In: the table of significant associations, one row per gene, tissue and trait. Out: a figure with one point
per association over the gene's place in the genome, coloured by modality, the best gene of each locus named.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gputwas.figures.genome import CHROMOSOMES, GenomeAxis
from gputwas.figures.labels import pick_leads, place_labels
from gputwas.figures.legend import legend_above
from gputwas.figures.names import modality_label
from gputwas.figures.placed import PlacedAssociations, place_associations
from gputwas.figures.scale import LinearLog, linear_log
from gputwas.figures.style import (
    MM,
    MODALITY_COLOURS,
    MUTED,
    SINGLE_COLOURS,
    message_figure,
    modality_colour,
    new_figure,
    plain,
    require_columns,
    styled,
    text_sizes,
)

__all__ = ["manhattan"]

RASTER_ABOVE = 20_000  # points; more are drawn as one image, so that SVG and PDF stay small
_LABEL_SIZE = 6.0
_LEFT_MM, _RIGHT_MM, _BOTTOM_MM, _TOP_MM = 12.0, 3.0, 10.0, 2.0
_LINE_COLOURS = ("#B00020", "#555555", "#555555")


@styled
def manhattan(
    table: pa.Table,
    *,
    signed: bool = False,
    direction_markers: bool = False,
    lines: Mapping[str, float] | None = None,
    labels: int = 20,
    locus_bp: float = 1e6,
    cap: float | str | None = "auto",
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
    width_mm: float = 180.0,
    height_mm: float = 95.0,
) -> Figure:
    """Draw all significant associations along the genome.

    Parameters
    ----------
    table : columns `chromosome` (str), `start` (int, bases), `nlog10_p` (float); `end`, `gene_name`, `gene`,
        `z` and `modality` are used where they exist. Without `modality` chromosomes take two tones in turn.
    signed : positive z upwards, negative downwards (needs `z`).
    direction_markers : triangles up and down for the sign of z instead of discs (needs `z`).
    lines : name -> -log10 p of horizontal threshold lines.
    labels : name the best gene of at most so many loci; a name that finds no room is left out.
    locus_bp : genes nearer than this to a better one on the chromosome are of its locus.
    cap : see `scale.linear_log`: above it the axis is logarithmic, and its label says so.
    colours : modality -> colour, before the fixed ones.

    Returns
    -------
    A figure. Associations that cannot be placed are counted in a line at its foot. Where there are more than
    20,000, points of one look that fall on the same pixel are drawn once.
    """
    needed = ["chromosome", "start", "nlog10_p"] + (["z"] if signed or direction_markers else [])
    require_columns(table.column_names, needed, "Manhattan picture")
    if table.num_rows == 0:
        return message_figure(
            "no significant associations", width_mm=width_mm, height_mm=height_mm, title=title
        )
    points, axis, footnote = place_associations(
        table, signed=signed, needs_sign=direction_markers, own_colours=colours or ()
    )
    if len(points.x) == 0:
        return message_figure(
            f"no association can be placed\n{footnote}", width_mm=width_mm, height_mm=height_mm, title=title
        )
    figure = new_figure(width_mm, height_mm)
    used = _legend(figure, points, colours, title, direction_markers)
    bottom = _BOTTOM_MM + (2.5 if footnote else 0.0)
    line_texts = list(lines or {})
    widest = text_sizes(figure, line_texts, fontsize=6)[:, 0].max() if line_texts else 0.0
    right = _RIGHT_MM + widest / figure.dpi / MM
    axes = figure.add_axes((
        _LEFT_MM / width_mm, bottom / height_mm,
        1 - (_LEFT_MM + right) / width_mm, 1 - (bottom + used + _TOP_MM) / height_mm,
    ))  # fmt: skip
    scale = _vertical_axis(axes, points.y, lines or {}, cap, signed=signed)
    _chromosomes(figure, axes, axis)
    _lines(figure, axes, lines or {}, signed=signed)
    radius = _scatter(axes, points, colours, direction_markers)
    thresholds = [*(lines or {}).values(), scale.cap]
    _label_loci(figure, axes, points, thresholds, labels=labels, locus_bp=locus_bp, radius=radius)
    if footnote:
        left = _LEFT_MM / width_mm
        figure.text(left, 1.5 / height_mm, footnote, fontsize=6, color=MUTED, va="bottom", gid="footnote")
    axes.set_gid("linear" if scale.is_linear else "linear-log")
    return figure


def _legend(
    figure: Figure,
    points: PlacedAssociations,
    colours: Mapping[str, str] | None,
    title: str | None,
    markers: bool,
) -> float:
    """Draw title and legend above the axes; returns the height they take, mm."""
    handles = []
    counts = dict(zip(points.modalities, np.bincount(points.modality).tolist(), strict=False))
    known = list(MODALITY_COLOURS)
    for name in sorted(counts, key=lambda name: (_rank(name, known), name)):
        if counts[name]:
            label = plain(f"{modality_label(name)} ({counts[name]:,})")
            colour = modality_colour(name, colours)
            handles.append(Line2D([], [], ls="", marker="o", ms=3.6, mew=0, color=colour, label=label))
    if markers:
        for marker, label in (("^", "positive z"), ("v", "negative z")):
            handles.append(Line2D([], [], ls="", marker=marker, ms=3.8, mew=0, color=MUTED, label=label))
    return legend_above(figure, handles, title, left_mm=_LEFT_MM, right_mm=_RIGHT_MM)


def _rank(modality: str, known: list[str]) -> int:
    return known.index(modality) if modality in known else len(known)


def _vertical_axis(
    axes: Axes, values: np.ndarray, lines: Mapping[str, float], cap: float | str | None, *, signed: bool
) -> LinearLog:
    scale = linear_log(values, cap)
    floor = max(*lines.values(), 1.0) if lines else 1.0
    highest = max(float(values.max()), floor)
    lowest = max(float(-values.min()), floor) if signed else 0.0
    # A tenth of the height stays free beyond the highest point for its name.
    room = 0.12 * float(scale.forward(np.array(max(highest, lowest))))
    down, up = (float(scale.inverse(scale.forward(np.array(end)) + room)) for end in (lowest, highest))
    axes.set_yscale("function", functions=(scale.forward, scale.inverse))
    axes.set_ylim(-down if signed else 0.0, up)
    ticks = scale.ticks(max(highest, lowest), wanted=3 if signed else 6)
    every = sorted({-tick for tick in ticks} | set(ticks)) if signed else ticks
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in every if -lowest <= tick <= highest]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
    text = r"$-\log_{10}\,p$"
    if signed:
        text += "   (up: z > 0, down: z < 0)"
        axes.axhline(0, color="#444444", lw=0.6, zorder=1)
    if not scale.is_linear:
        text += f"   (log scale above {scale.cap:g})"
        for side in (1, -1) if signed else (1,):
            axes.axhline(side * scale.cap, color="#999999", lw=0.5, ls=(0, (1, 2)), zorder=1, gid="cap")
    axes.set_ylabel(text)
    return scale


def _chromosomes(figure: Figure, axes: Axes, axis: GenomeAxis) -> None:
    """Shade every second chromosome and name those whose names have room."""
    axes.set_xlim(axis.starts[0] - 8e6, axis.ends[-1] + 8e6)
    for start, end in zip(axis.starts[1::2], axis.ends[1::2], strict=False):
        axes.axvspan(start, end, color="#F1F2F4", lw=0, zorder=0)
    middles = (axis.starts + axis.ends) / 2
    pixels = axes.transData.transform(np.column_stack([middles, np.zeros(len(middles))]))[:, 0]
    widths = text_sizes(figure, CHROMOSOMES, fontsize=6)[:, 0]
    shown: list[tuple[float, str]] = []
    edge = np.inf
    for index in reversed(range(len(CHROMOSOMES))):
        if pixels[index] + widths[index] / 2 < edge:
            shown.append((float(middles[index]), CHROMOSOMES[index]))
            edge = pixels[index] - widths[index] / 2 - 8
    axes.set_xticks([place for place, _ in shown], [name for _, name in shown])
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("Chromosome")


def _lines(figure: Figure, axes: Axes, lines: Mapping[str, float], *, signed: bool) -> None:
    """Draw threshold lines, each named beside its right end; names move up where they would touch."""
    edge = -np.inf
    height = text_sizes(figure, ["Ag"], fontsize=6)[0, 1] * 1.15
    for index, (name, value) in enumerate(sorted(lines.items(), key=lambda item: item[1])):
        colour = _LINE_COLOURS[min(index, len(_LINE_COLOURS) - 1)]
        for side in (1, -1) if signed else (1,):
            axes.axhline(side * value, color=colour, lw=0.6, ls=(0, (4, 2)), zorder=3, gid="threshold")
        pixel = float(axes.transData.transform((0, value))[1])
        edge = max(pixel, edge + height)
        place = axes.transAxes.inverted().transform((0, edge))[1]
        axes.text(
            1.006,
            place,
            plain(name),
            transform=axes.transAxes,
            fontsize=6,
            color=colour,
            va="center",
            ha="left",
        )


def _scatter(
    axes: Axes, points: PlacedAssociations, colours: Mapping[str, str] | None, direction_markers: bool
) -> float:
    """Draw the points; returns a point's radius in pixels."""
    area = float(np.clip(40 * len(points.x) ** -0.25, 3.0, 14.0))  # square points
    chosen, code = _point_colours(points, colours)
    shapes = [("o", np.ones(len(code), dtype=bool))]
    if direction_markers:
        shapes = [("^", points.positive), ("v", ~points.positive)]
    many = len(points.x) > RASTER_ABOVE
    for marker, rows in shapes:
        index = np.flatnonzero(rows)
        if many:
            index = index[_visible(axes, points.x[index], points.y[index], code[index])]
        if not len(index):
            continue
        axes.scatter(
            points.x[index], points.y[index], s=area * (1.5 if marker != "o" else 1), c=chosen[code[index]],
            marker=marker, linewidths=0, zorder=2, rasterized=many, gid="associations",
        )  # fmt: skip
    return float(np.sqrt(area) / 2 * 300 / 72)


def _point_colours(
    points: PlacedAssociations, colours: Mapping[str, str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Colours by modality, or by chromosome in turn: float64 (colours, 4) and int64 (points,) into it."""
    if not points.modalities:
        return to_rgba_array(list(SINGLE_COLOURS)), points.code % 2
    return to_rgba_array([modality_colour(name, colours) for name in points.modalities]), points.modality


def _visible(axes: Axes, x: np.ndarray, y: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Rows of which no later one has the same pixel and colour, rising: what a reader can see."""
    pixels = np.rint(axes.transData.transform(np.column_stack([x, y]))).astype(np.int64)
    key = (pixels[:, 0] * 100_000 + pixels[:, 1]) * (int(code.max()) + 1) + code
    _, last = np.unique(key[::-1], return_index=True)
    return np.sort(len(key) - 1 - last)


def _label_loci(
    figure: Figure,
    axes: Axes,
    points: PlacedAssociations,
    thresholds: list[float],
    *,
    labels: int,
    locus_bp: float,
    radius: float,
) -> None:
    heights = np.abs(points.y)
    leads = pick_leads(points.code, points.position, heights, points.name, window=locus_bp, most=labels)
    if not len(leads):
        return
    pixels = axes.transData.transform(np.column_stack([points.x, points.y]))
    texts = [str(points.name[row]) for row in leads]
    sizes = text_sizes(figure, texts, fontsize=_LABEL_SIZE, italic=True)
    box = axes.get_window_extent()
    avoid = np.concatenate([pixels, _along_lines(axes, thresholds)])
    placed = place_labels(
        pixels[leads], sizes, avoid, (box.x0, box.y0, box.x1, box.y1),
        radius=radius, padding=4.0, downward=points.y[leads] < 0,
    )  # fmt: skip
    to_figure = figure.transFigure.inverted()
    for index, row in enumerate(leads):
        x0, y0, x1, y1 = placed.boxes[index]
        if np.isnan(x0):
            continue
        if placed.leaders[index]:
            end = np.clip(pixels[row], (x0, y0), (x1, y1))
            line = to_figure.transform(np.array([pixels[row], end]))
            axes.add_line(
                Line2D(
                    line[:, 0], line[:, 1], transform=figure.transFigure, lw=0.4, color="#777777", zorder=4
                )
            )
        centre = to_figure.transform(((x0 + x1) / 2, (y0 + y1) / 2))
        axes.text(
            float(centre[0]), float(centre[1]), plain(texts[index]), transform=figure.transFigure,
            fontsize=_LABEL_SIZE, style="italic", ha="center", va="center", zorder=5, gid="gene-label",
            clip_on=False, path_effects=[withStroke(linewidth=1.4, foreground="white")],
        )  # fmt: skip


def _along_lines(axes: Axes, heights: list[float]) -> np.ndarray:
    """Pixels float64 (points, 2) along horizontal lines and their mirror images, for labels to keep off."""
    box = axes.get_window_extent()
    x = np.arange(box.x0, box.x1, 12.0)
    levels = np.array([side * height for height in heights if np.isfinite(height) for side in (1, -1)])
    y = axes.transData.transform(np.column_stack([np.zeros(len(levels)), levels]))[:, 1]
    return np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])
