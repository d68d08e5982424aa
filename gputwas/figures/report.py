"""One self-contained HTML page about a study.

In: a `StudySummary` with numbers, pictures and tables made by others. Out: one file that opens without a
server and without a network, in light and dark, on paper, and the same bytes for the same summary.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from matplotlib.figure import Figure

from gputwas.figures.names import number_label
from gputwas.figures.report_page import PAGE, SCRIPT, STYLE
from gputwas.figures.report_tables import associations_table, escape, imports_table
from gputwas.figures.style import MM, png_bytes
from gputwas.files import atomic_path

__all__ = ["Picture", "StudySummary", "render_report", "write_report"]

_SMALL_MM = 120  # narrower pictures stand side by side


@dataclass(frozen=True)
class Picture:
    """A figure with its words. `alt` says in a sentence what is seen; without it the caption is read out."""

    figure: Figure
    title: str
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class StudySummary:
    """All that a report shows.

    Attributes
    ----------
    traits, tissues, models, tests, significant, genes : the headline; `genes` are those with a significant
        association, `tests` those that gave a p.
    alpha, correction : what "significant" means, e.g. 0.05 and "Benjamini-Hochberg over the study".
    pictures : in the order of the page.
    associations : top associations, best first, in the columns of the significant table.
    imports : columns `trait`, `rows_read`, `found_share` (0..1) and one integer column per reason (`matched`,
        `swapped`, `strand`, `allele_mismatch` ...).
    provenance : heading -> name -> value, e.g. {"Versions": {"gputwas": "0.1.0"}}.
    notices : warnings a reader must see before the numbers.
    """

    title: str
    traits: int
    tissues: int
    models: int
    tests: int
    significant: int
    genes: int
    alpha: float = 0.05
    correction: str = "Benjamini–Hochberg over the study"
    subtitle: str = ""
    pictures: Sequence[Picture] = ()
    associations: pa.Table | None = None
    imports: pa.Table | None = None
    provenance: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    notices: Sequence[str] = ()


def write_report(path: str | os.PathLike[str], summary: StudySummary, *, most_rows: int = 1000) -> None:
    """Write the page to `path`, whole or not at all. `most_rows` bounds the table of associations."""
    text = render_report(summary, most_rows=most_rows)
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def render_report(summary: StudySummary, *, most_rows: int = 1000) -> str:
    """Make the page's HTML. All text of the summary is escaped, and the page's own policy forbids any
    script but its own and any address but its own bytes."""
    sections = [
        ("pictures", "Results", _pictures(summary.pictures)),
        ("associations", "Top associations", _associations(summary, most_rows)),
        ("imports", "Import of the GWAS", _imports(summary.imports)),
        ("provenance", "Provenance", _provenance(summary.provenance)),
    ]
    shown = [(anchor, head, text) for anchor, head, text in sections if text]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    links = "".join(f'<li><a href="#{anchor}">{head}</a></li>' for anchor, head, _ in shown)
    return PAGE.substitute(
        policy=policy,
        title=escape(summary.title),
        subtitle=f'<p class="subtitle">{escape(summary.subtitle)}</p>' if summary.subtitle else "",
        style=STYLE,
        script=SCRIPT,
        notices="".join(
            f'<p class="notice" role="note"><strong>Note.</strong> {escape(text)}</p>'
            for text in summary.notices
        ),
        headline=_headline(summary),
        contents=f'<nav class="contents" aria-label="Contents"><ul>{links}</ul></nav>' if links else "",
        sections="\n".join(
            f'<section id="{anchor}" aria-labelledby="{anchor}-head">'
            f'<h2 id="{anchor}-head">{head}</h2>\n{text}</section>'
            for anchor, head, text in shown
        ),
    )


def _headline(summary: StudySummary) -> str:
    numbers = (
        ("", summary.traits, "traits"),
        ("", summary.tissues, "tissues"),
        ("", summary.models, "gene models"),
        ("", summary.tests, "tests"),
        ("key", summary.significant, "significant associations"),
        ("key", summary.genes, "associated genes"),
    )
    cells = "".join(
        f'<div class="{css}"><dt>{escape(label)}</dt><dd title="{value:,}">{number_label(value)}</dd></div>'
        for css, value, label in numbers
    )
    meaning = f"Significant: adjusted p ≤ {summary.alpha:g} ({summary.correction})."
    return f'<dl class="numbers">{cells}</dl>\n<p class="meaning">{escape(meaning)}</p>'


def _pictures(pictures: Sequence[Picture]) -> str:
    """Wide pictures one below the other; neighbouring small ones side by side."""
    parts: list[str] = []
    small: list[str] = []
    for picture in [*pictures, None]:
        if picture is not None and picture.figure.get_figwidth() / MM < _SMALL_MM:
            small.append(_picture(picture, "small"))
            continue
        if small:
            parts.append(f'<div class="pair">{"".join(small)}</div>')
            small = []
        if picture is not None:
            parts.append(_picture(picture, "wide"))
    return "\n".join(parts)


def _picture(picture: Picture, css: str) -> str:
    data = base64.b64encode(png_bytes(picture.figure)).decode()
    # Only the ratio matters: the style sheet sets the width, and the page does not jump while it loads.
    width, height = (round(float(size) * 96) for size in picture.figure.get_size_inches())
    alt = picture.alt or f"{picture.title}. {picture.caption}"
    caption = f"<b>{escape(picture.title)}.</b> {escape(picture.caption)}"
    return (
        f'<figure class="{css}">'
        f'<div class="paper" role="group" tabindex="0" aria-label="{escape(picture.title)}">'
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _associations(summary: StudySummary, most_rows: int) -> str:
    table = summary.associations
    if table is None:
        return ""
    if table.num_rows == 0:
        return '<p class="lead">No significant associations.</p>'
    shown = min(table.num_rows, most_rows)
    total = max(table.num_rows, summary.significant)
    which = f"The first {shown:,} of {total:,}" if shown < total else f"All {shown:,}"
    lead = f"{which} significant associations. Choose a column's name to sort by it."
    return f'<p class="lead">{escape(lead)}</p>\n{associations_table(table.slice(0, most_rows))}\n'


def _imports(table: pa.Table | None) -> str:
    if table is None or table.num_rows == 0:
        return ""
    lead = "What became of each trait's rows when they were matched to the variants of the models."
    return f'<p class="lead">{lead}</p>\n{imports_table(table)}\n'


def _provenance(groups: Mapping[str, Mapping[str, object]]) -> str:
    parts = []
    for head, facts in groups.items():
        rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
        parts.append(f"<div><h3>{escape(head)}</h3><dl>{rows}</dl></div>")
    return f'<div class="facts">{"".join(parts)}</div>\n' if parts else ""
