"""Bars of significant associations per tissue and per modality (after NeuroimaGene, Fig. 1d, e).

In: the table of significant associations, or its tally. Out: a figure of three small bar charts side by side
that share their rows: associations, unique genes, unique traits, and on request the share of tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gputwas.errors import UsageError
from gputwas.figures.legend import legend_above
from gputwas.figures.names import is_brain, modality_label, number_label, tissue_label
from gputwas.figures.style import (
    BRAIN_COLOUR,
    MM,
    MUTED,
    OTHER_TISSUE_COLOUR,
    message_figure,
    modality_colour,
    new_figure,
    plain,
    require_columns,
    styled,
    text_sizes,
)

__all__ = ["counts_by_modality", "counts_by_tissue", "tally"]

_ROW_MM, _GAP_MM, _EDGE_MM, _HEAD_MM = 3.7, 5.0, 3.0, 4.8
_SHARES = {
    "associations": 0.0,
    "share": 0.12,
    "genes": 0.45,
    "traits": 0.45,
}  # how much paler than full colour
_WIDTHS = {"associations": 1.5, "share": 1.0, "genes": 1.0, "traits": 1.0}
_HEADS = {
    "associations": "Associations", "share": "Share of tests", "genes": "Unique genes",
    "traits": "Unique traits",
}  # fmt: skip


def tally(table: pa.Table, by: str) -> pa.Table:
    """Count significant associations: columns `by`, associations, and genes, traits where the table has them.

    Rows are ordered by falling number of associations, then by name. Null counts as "other".
    """
    require_columns(table.column_names, [by], "counts")
    extra = {"genes": "gene", "traits": "trait"}
    present = {new: old for new, old in extra.items() if old in table.column_names}
    index = table.column_names.index(by)
    filled = table.set_column(index, by, table[by].cast(pa.string()).fill_null("other"))
    grouped = filled.group_by(by).aggregate(
        [([], "count_all"), *((old, "count_distinct") for old in present.values())]
    )
    names = {"count_all": "associations"} | {f"{old}_count_distinct": new for new, old in present.items()}
    grouped = grouped.rename_columns([names.get(name, name) for name in grouped.column_names])
    return grouped.select([by, "associations", *present]).sort_by(
        [("associations", "descending"), (by, "ascending")]
    )


@styled
def counts_by_tissue(
    table: pa.Table,
    *,
    tests: Mapping[str, int] | None = None,
    all_tissues: Sequence[str] = (),
    group_brain: bool = False,
    title: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Draw associations, unique genes and unique traits per tissue.

    Parameters
    ----------
    table : significant associations with `tissue` (and `gene`, `trait`), or what `tally` made of them.
    tests : tests per tissue; adds a chart of the share of them that is significant.
    all_tissues : tissues to list even if they have no association.
    group_brain : brain tissues first, then the others, instead of one order by count.
    """
    rows = _rows(table, "tissue", all_tissues, tests)
    if group_brain:
        rows.sort(key=lambda row: not is_brain(row.name))
    brain = [is_brain(row.name) for row in rows]
    legend = (
        {"Brain": BRAIN_COLOUR, "Other tissue": OTHER_TISSUE_COLOUR} if any(brain) and not all(brain) else {}
    )
    return _draw(
        rows, tissue_label, lambda name: BRAIN_COLOUR if is_brain(name) else OTHER_TISSUE_COLOUR,
        legend=legend, title=title, width_mm=width_mm,
    )  # fmt: skip


@styled
def counts_by_modality(
    table: pa.Table,
    *,
    tests: Mapping[str, int] | None = None,
    all_modalities: Sequence[str] = (),
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Draw associations, unique genes and unique traits per modality, in the modality's colour.

    Parameters are those of `counts_by_tissue`; `colours` go before the fixed ones.
    """
    rows = _rows(table, "modality", all_modalities, tests)
    return _draw(
        rows,
        modality_label,
        lambda name: modality_colour(name, colours),
        legend={},
        title=title,
        width_mm=width_mm,
    )


@dataclass(frozen=True)
class _Row:
    name: str
    values: dict[str, float]  # chart -> value; NaN where unknown


def _rows(table: pa.Table, by: str, every: Sequence[str], tests: Mapping[str, int] | None) -> list[_Row]:
    counted = table if "associations" in table.column_names else tally(table, by)
    require_columns(counted.column_names, [by, "associations"], f"counts per {by}")
    charts = [name for name in ("associations", "genes", "traits") if name in counted.column_names]
    rows = [_Row(record[by], {name: record[name] for name in charts}) for record in counted.to_pylist()]
    rows.sort(key=lambda row: (-row.values["associations"], row.name))
    seen = {row.name for row in rows}
    rows += [_Row(name, dict.fromkeys(charts, 0)) for name in every if name not in seen]
    if tests is not None:
        rows = [_Row(row.name, _with_share(row, by, tests)) for row in rows]
    return rows


def _with_share(row: _Row, by: str, tests: Mapping[str, int]) -> dict[str, float]:
    if tests.get(row.name, 0) < max(row.values["associations"], 1):
        raise UsageError(
            f"{by} {row.name!r}: {row.values['associations']:,} significant associations of "
            f"{tests.get(row.name, 0):,} tests. Give the number of tests of every {by}."
        )
    share = row.values["associations"] / tests[row.name]
    return {"associations": row.values["associations"], "share": share} | row.values


def _draw(
    rows: list[_Row],
    label: Callable[[str], str],
    colour: Callable[[str], str],
    *,
    legend: Mapping[str, str],
    title: str | None,
    width_mm: float,
) -> Figure:
    if not rows:
        return message_figure("no significant associations", width_mm=width_mm, height_mm=60, title=title)
    charts = list(rows[0].values)
    labels = [plain(label(row.name)) for row in rows]
    probe = new_figure(width_mm, 60)
    left = _EDGE_MM + float(text_sizes(probe, labels, fontsize=6.5)[:, 0].max()) / probe.dpi / MM + 1.5
    handles = [Patch(color=shade, label=name) for name, shade in legend.items()]
    head = legend_above(probe, handles, title, left_mm=left, right_mm=_EDGE_MM) + _HEAD_MM
    height = head + _ROW_MM * len(rows) + _EDGE_MM
    figure = new_figure(width_mm, height)
    legend_above(figure, handles, title, left_mm=left, right_mm=_EDGE_MM)
    start = left
    unit = (width_mm - left - _EDGE_MM - _GAP_MM * (len(charts) - 1)) / sum(_WIDTHS[name] for name in charts)
    for index, name in enumerate(charts):
        axes = figure.add_axes((
            start / width_mm, _EDGE_MM / height, unit * _WIDTHS[name] / width_mm, _ROW_MM * len(rows) / height
        ))  # fmt: skip
        _chart(figure, axes, name, [row.values[name] for row in rows], [colour(row.name) for row in rows])
        axes.set_yticks(range(len(rows)), labels if index == 0 else [""] * len(rows))
        axes.tick_params(axis="y", length=0, labelsize=6.5, pad=3)
        start += unit * _WIDTHS[name] + _GAP_MM
    return figure


def _chart(figure: Figure, axes: Axes, name: str, values: list[float], colours: list[str]) -> None:
    """Bars with their values written at their ends; no axis, as every value can be read."""
    pale = [_paler(colour, _SHARES[name]) for colour in colours]
    bars = axes.barh(range(len(values)), values, height=0.72, color=pale)
    texts = _share_labels(values) if name == "share" else [number_label(value) for value in values]
    room = float(text_sizes(figure, texts, fontsize=6)[:, 0].max()) + 6
    width = axes.get_window_extent().width
    axes.set_xlim(0, (max(values) or 1) / max(1 - room / width, 0.2))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.bar_label(bars, texts, padding=1.5, fontsize=6, color="#222222", gid="value")
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color("#AAAAAA")
    axes.text(0, -0.75, _HEADS[name], fontsize=6.5, color=MUTED, va="bottom", gid="head")
    axes.set_gid(name)


def _paler(colour: str, share: float) -> tuple[float, float, float]:
    red, green, blue = (channel + (1 - channel) * share for channel in to_rgb(colour))
    return red, green, blue


def _share_labels(shares: list[float]) -> list[str]:
    """Percentages, all with the decimals that give the largest two digits."""
    most = 100 * max(shares)
    decimals = max(0, 1 - math.floor(math.log10(most))) if most > 0 else 0
    return [f"{100 * share:.{decimals}f} %" for share in shares]
