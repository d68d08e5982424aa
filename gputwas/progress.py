"""Progress of long work: a bar with rate and time left on a terminal, plain log lines anywhere else.

In: a label, a unit and a total. Out: nothing but what a person sees. The library never prints by itself:
the command line chooses the style once with `configure`, and until then progress is silent.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Progress", "configure", "progress"]

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0
_style = "silent"


class Progress(Protocol):
    """What long work tells the person who waits."""

    def advance(self, amount: float = 1) -> None:
        """Report that `amount` more units are done."""


def configure(style: str | None = None) -> None:
    """Choose how progress is shown: "bar", "lines", "silent", or None for what suits standard error."""
    global _style
    if style is None:
        style = "bar" if sys.stderr.isatty() else "lines"
    if style not in ("bar", "lines", "silent"):
        raise ValueError(f"progress style is bar, lines or silent, not {style!r}")
    _style = style


@contextmanager
def progress(label: str, total: float, unit: str = "") -> Iterator[Progress]:
    """Show the progress of a block of work of `total` units."""
    if _style == "bar":
        with _bar(label, total, unit) as shown:
            yield shown
    else:
        yield _Lines(label, total, unit, speak=_style == "lines")


class _Lines:
    def __init__(self, label: str, total: float, unit: str, *, speak: bool) -> None:
        self._label, self._total, self._unit, self._speak = label, total, unit, speak
        self._done = 0.0
        self._start = self._last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if not self._speak or (now - self._last < SECONDS_BETWEEN_LINES and self._done < self._total):
            return
        self._last = now
        elapsed = now - self._start
        left = elapsed / self._done * (self._total - self._done) if self._done else float("inf")
        log.info(
            "%s: %g of %g %s, %.1f s, about %.0f s left",
            self._label, self._done, self._total, self._unit, elapsed, left,
        )  # fmt: skip


@contextmanager
def _bar(label: str, total: float, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.completed:,.0f}/{total:,.0f} {unit}, {task.speed or 0:,.1f}/s")

    columns = (
        TextColumn("{task.description}"), BarColumn(), Rate(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total)

        class Bar:
            def advance(self, amount: float = 1) -> None:
                shown.advance(task, amount)

        yield Bar()
