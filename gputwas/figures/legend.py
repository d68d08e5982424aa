"""Title and legend in a strip above the axes, where they can cover no data.

In: legend handles. Out: the strip's height, for the caller to leave free.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from gputwas.figures.style import MM, plain

__all__ = ["legend_above", "title_above"]

_TITLE_MM = 5.0
_EDGE_MM = 2.0
_ROW_GAP_MM = 1.0


def legend_above(
    figure: Figure, handles: Sequence[Artist], title: str | None, *, left_mm: float, right_mm: float
) -> float:
    """Write the title and, below it, the legend in as few rows as fit the width.

    Returns
    -------
    Height taken from the top edge of the figure, in mm.
    """
    width, height = _size_mm(figure)
    used = title_above(figure, title, left_mm=left_mm)
    if not handles:
        return used
    room = (width - left_mm - right_mm) * MM * figure.dpi
    rest = list(handles)
    while rest:
        row = _row(figure, rest, room, left_mm / width, 1 - used / height)
        used += float(row.get_window_extent().height) / figure.dpi / MM + _ROW_GAP_MM
        rest = rest[len(row.get_texts()) :]
    return used + 0.5


def title_above(figure: Figure, title: str | None, *, left_mm: float) -> float:
    """Write the title, if any; returns the height taken from the top edge of the figure, in mm."""
    if not title:
        return _EDGE_MM
    width, height = _size_mm(figure)
    figure.text(
        left_mm / width, 1 - _EDGE_MM / height, plain(title), va="top", fontsize=8, weight="bold", gid="title"
    )
    return _EDGE_MM + _TITLE_MM


def _size_mm(figure: Figure) -> tuple[float, float]:
    width, height = figure.get_size_inches()
    return float(width) / MM, float(height) / MM


def _row(figure: Figure, handles: Sequence[Artist], room: float, left: float, top: float) -> Legend:
    """Draw as many of the handles, at least one, as fit `room` pixels side by side."""
    for columns in range(len(handles), 0, -1):
        legend = Legend(
            figure, list(handles[:columns]), [str(handle.get_label()) for handle in handles[:columns]],
            loc="upper left", bbox_to_anchor=(left, top), ncols=columns, handlelength=0.9,
        )  # fmt: skip
        if columns == 1 or legend.get_window_extent().width <= room:
            break
    legend.set_gid("legend")
    figure.add_artist(legend)
    return legend
