"""Looks shared by all pictures, and writing them to disk.

In: sizes in millimetres, names of modalities. Out: a `Figure` with an Agg canvas, colours with a fixed
meaning, PNG, SVG and PDF files that are the same bytes every time. No `pyplot`: nothing outlives a call.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterable, Mapping
from typing import ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from gputwas.errors import InputError, UsageError
from gputwas.figures.names import modality_key
from gputwas.files import atomic_path

__all__ = [
    "BRAIN_COLOUR",
    "MM",
    "MODALITY_COLOURS",
    "MUTED",
    "OTHER_TISSUE_COLOUR",
    "SINGLE_COLOURS",
    "message_figure",
    "modality_colour",
    "new_figure",
    "plain",
    "png_bytes",
    "require_columns",
    "save",
    "styled",
    "text_sizes",
]

# Chosen so that any two differ by at least 22 in CIELAB, as seen with normal sight and with the three kinds
# of dichromacy as simulated by Machado et al. 2009, doi:10.1109/TVCG.2009.113 (a test holds them to it).
MODALITY_COLOURS: Mapping[str, str] = {
    "T1": "#1347C2",
    "dMRI": "#D8651A",
    "rfMRI": "#0A7D48",
    "rfMRI_amplitudes": "#68B0F5",
    "tfMRI": "#B554A8",
    "T2star": "#FBAE17",
    "T2_FLAIR": "#64107F",
    "QC": "#9A9A9A",
    "other": "#3A3A3A",
}
SINGLE_COLOURS = ("#1347C2", "#6C93DE")  # chromosomes in turn, where there is no modality to tell
BRAIN_COLOUR = "#1347C2"
OTHER_TISSUE_COLOUR = "#A7A9AC"
MUTED = "#666666"
MM = 1 / 25.4  # inches

_STYLE_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gputwas.mplstyle")
_METADATA: Mapping[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

P = ParamSpec("P")
R = TypeVar("R")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the house's style, whatever the user's matplotlibrc says."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.style.context(["default", _STYLE_FILE]):
            return function(*args, **kwargs)

    return inner


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Make an empty figure of that size with its own Agg canvas."""
    figure = Figure(figsize=(width_mm * MM, height_mm * MM), dpi=300)
    FigureCanvasAgg(figure)
    return figure


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG (300 dpi), SVG or PDF, by the end of the name; whole or not at all.

    Dates and program names are left out, so the same figure gives the same bytes.

    Raises
    ------
    UsageError
        If the name ends in none of the three.
    """
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _METADATA:
        raise UsageError(
            f"{os.fspath(path)}: a picture's name must end in .png, .svg or .pdf, not in {ending!r}."
        )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=300, format=ending[1:], metadata=dict(_METADATA[ending]))


@styled
def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as the PNG file that `save` would write."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=300, format="png", metadata=dict(_METADATA[".png"]))
    return buffer.getvalue()


def modality_colour(modality: str | None, colours: Mapping[str, str] | None = None) -> str:
    """Colour of a modality; an unknown one has the colour of "other". `colours` overrides by exact name."""
    if colours and modality is not None and modality in colours:
        return colours[modality]
    return MODALITY_COLOURS[modality_key(modality)]


@styled
def message_figure(message: str, *, width_mm: float, height_mm: float, title: str | None = None) -> Figure:
    """Make a picture that says why there is nothing to draw."""
    figure = new_figure(width_mm, min(height_mm, 60))
    figure.text(0.5, 0.5, message, ha="center", va="center", fontsize=9, color=MUTED, gid="message")
    if title:
        figure.text(3 / width_mm, 0.94, plain(title), ha="left", va="top", fontsize=8, weight="bold")
    return figure


def plain(text: str) -> str:
    """Guard a name against being read as mathematics, as matplotlib reads what stands between dollars."""
    return text.replace("$", r"\$")


def text_sizes(figure: Figure, texts: Iterable[str], *, fontsize: float, italic: bool = False) -> np.ndarray:
    """Measure texts: float64 (texts, 2), width and height in the figure's pixels."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    font = FontProperties(family="DejaVu Sans", size=fontsize, style="italic" if italic else "normal")
    # A line of text is at least as high as "lp", whatever its letters: that is how matplotlib lays it out.
    line = renderer.get_text_width_height_descent("lp", font, False)[1]
    sizes = [renderer.get_text_width_height_descent(text, font, False)[:2] for text in texts]
    return np.array([(width, max(height, line)) for width, height in sizes], dtype=np.float64).reshape(-1, 2)


def require_columns(names: Iterable[str], needed: Iterable[str], picture: str) -> None:
    """Refuse a table that lacks a column the picture cannot do without."""
    present = list(names)
    for column in needed:
        if column not in present:
            raise InputError(
                f"the table for the {picture} lacks a column",
                column=column,
                found=", ".join(present) or "no columns",
                remedy="Pass the table of associations as the analysis made it.",
            )
