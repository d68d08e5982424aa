"""Tables of the report as HTML.

In: Arrow tables as the analyses made them. Out: HTML text with every value escaped, one header button per
column (the page's script sorts by `data-v` where a cell has it, by text where not).
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from gputwas.figures.genome import chromosome_codes
from gputwas.figures.names import modality_label, p_value_parts, tissue_label
from gputwas.figures.style import modality_colour

__all__ = ["associations_table", "escape", "imports_table"]

MINUS = "\N{MINUS SIGN}"
_ON_PAPER = 100  # rows that the style sheet prints
_DETAILS = ("atlas", "side", "region", "measurement")
# Reasons of variants/align.py and what a reader should understand by them.
_REASONS = {
    "matched": ("Matched", "alleles as in the models"),
    "swapped": ("Swapped", "effect and other allele exchanged, sign turned"),
    "strand": ("Strand", "alleles read from the other strand"),
    "strand_swapped": ("Strand, swapped", "other strand, and alleles exchanged"),
    "allele_mismatch": ("Other alleles", "dropped: the alleles are not those of the models"),
    "palindromic": ("Palindromic", "dropped: A/T or C/G, the strand cannot be told"),
    "same_alleles": ("Same alleles", "dropped: both alleles are the same"),
    "missing_value": ("No value", "dropped: the statistic is missing or not finite"),
    "duplicate": ("Duplicate", "dropped: agrees with or is beaten by another row of the variant"),
    "duplicate_conflict": ("Contradicting", "dropped: rows of one variant contradict each other"),
    "not_in_panel": ("Not in models", "no model uses the variant"),
    "rows_malformed": ("Malformed", "dropped: the line could not be read"),
}


@dataclass(frozen=True)
class _Column:
    head: str
    cells: Sequence[str]  # whole <td> or <th> elements
    number: bool = False
    first: str = "ascending"  # direction of the first click
    hint: str = ""


def escape(value: object) -> str:
    """Text safe inside an element and inside a quoted attribute."""
    return html.escape(str(value), quote=True)


def associations_table(table: pa.Table) -> str:
    """Table of associations in the order given; columns that `table` lacks are left out."""
    records = table.to_pylist()
    has = table.column_names
    columns = [_Column("Gene", [_gene(record) for record in records])]
    if "chromosome" in has and "start" in has:
        codes = chromosome_codes(table["chromosome"]).tolist()
        cells = [_place(record, code) for record, code in zip(records, codes, strict=True)]
        columns.append(_Column("Position", cells, number=True))
    if "tissue" in has:
        cells = [f"<td>{escape(tissue_label(record['tissue'] or '', organ=True))}</td>" for record in records]
        columns.append(_Column("Tissue", cells))
    if "trait" in has:
        columns.append(_Column("Trait", [_trait(record) for record in records]))
    for name, head, digits in (("z", "z", ".2f"), ("effect_size", "Effect", ".3g")):
        if name in has:
            cells = [_number(record[name], digits) for record in records]
            columns.append(_Column(head, cells, number=True, first="descending"))
    for name, head in (("nlog10_p", "p"), ("nlog10_q", "Adjusted p")):
        if name in has:
            columns.append(_Column(head, [_p_value(record[name]) for record in records], number=True))
    return _table(columns, "Top associations", "Filter by gene, tissue, trait or region")


def imports_table(table: pa.Table) -> str:
    """Table of what became of each trait's rows: `trait`, `rows_read`, `found_share`, a column per reason.

    Reasons that never occurred are not given a column; a line below the table names them.
    """
    records = table.to_pylist()
    columns = [_Column("Trait", [f'<th scope="row" class="id">{escape(r["trait"])}</th>' for r in records])]
    if "rows_read" in table.column_names:
        columns.append(_Column("Rows read", [_count(r["rows_read"]) for r in records], True, "descending"))
    if "found_share" in table.column_names:
        hint = "share of the variants of the models that the trait has"
        columns.append(
            _Column("Found", [_share(r["found_share"]) for r in records], True, "descending", hint)
        )
    absent = []
    for name in table.column_names:
        if name in ("trait", "rows_read", "found_share") or not pa.types.is_integer(table[name].type):
            continue
        head, hint = _REASONS.get(name, (name.replace("_", " ").capitalize(), ""))
        if not any(record[name] for record in records):
            absent.append(head.lower())
            continue
        cells = [_count(record[name]) for record in records]
        columns.append(_Column(head, cells, True, "descending", hint))
    text = _table(columns, "Rows of each trait by what became of them", "Filter by trait")
    if absent:
        text += f'<p class="after">No rows at all: {escape(", ".join(absent))}.</p>'
    return text


def _table(columns: Sequence[_Column], caption: str, filter_label: str) -> str:
    heads = "".join(
        f'<th scope="col" aria-sort="none" data-first="{column.first}"{" class=n" if column.number else ""}>'
        f'<button type="button"{_title(column.hint)}>{escape(column.head)}</button></th>'
        for column in columns
    )
    rows = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*(c.cells for c in columns), strict=True))
    count = len(columns[0].cells)
    note = (
        f'<p class="paper-note">On paper: the first {_ON_PAPER} of {count:,} rows.</p>'
        if count > _ON_PAPER
        else ""
    )
    return (
        '<div data-table><div class="tools" hidden>'
        f'<label>{escape(filter_label)} <input type="search" autocomplete="off" spellcheck="false"></label>'
        '<output aria-live="polite"></output></div>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>{note}</div>"
    )


def _title(hint: str) -> str:
    return f' title="{escape(hint)}"' if hint else ""


def _gene(record: dict[str, object]) -> str:
    gene, name = record.get("gene"), record.get("gene_name")
    shown = escape(name or gene or "")
    sub = f'<span class="sub">{escape(gene)}</span>' if gene and name and gene != name else ""
    return f'<th scope="row"><span class="gene">{shown}</span>{sub}</th>'


def _place(record: dict[str, object], code: int) -> str:
    chromosome, start = record["chromosome"], record["start"]
    if chromosome is None or not isinstance(start, int):
        return '<td class="n" data-v="NaN">–</td>'
    key = (code if code >= 0 else 99) * 10**10 + start
    return f'<td class="n" data-v="{key}">{escape(chromosome)}: {start / 1e6:,.2f} Mb</td>'


def _trait(record: dict[str, object]) -> str:
    details = [escape(record[name]) for name in _DETAILS if record.get(name)]
    modality = record.get("modality")
    if modality:
        colour = escape(modality_colour(str(modality)))
        dot = f'<span class="dot" style="--c:{colour}" aria-hidden="true"></span>'
        details.insert(0, dot + escape(modality_label(str(modality))))
    sub = f'<span class="sub">{" · ".join(details)}</span>' if details else ""
    return f'<td class="id">{escape(record["trait"])}{sub}</td>'


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _number(value: object, digits: str) -> str:
    if not _is_number(value):
        return '<td class="n" data-v="NaN">–</td>'
    return f'<td class="n" data-v="{value!r}">{format(value, digits).replace("-", MINUS)}</td>'


def _count(value: object) -> str:
    if not _is_number(value):
        return '<td class="n" data-v="NaN">–</td>'
    return f'<td class="n" data-v="{value}">{value:,}</td>'


def _share(value: object) -> str:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return '<td class="n" data-v="NaN">–</td>'
    width = min(max(100 * value, 0), 100)
    return f'<td class="n share" style="--w:{width:.1f}%" data-v="{value!r}">{100 * value:.1f} %</td>'


def _p_value(nlog10_p: object) -> str:
    """p from its logarithm, so 10^-400 is written and sorted as such; sorted by p, so smallest first."""
    if not isinstance(nlog10_p, (int, float)) or not math.isfinite(nlog10_p):
        return '<td class="n" data-v="NaN">–</td>'
    mantissa, exponent = p_value_parts(nlog10_p)
    power = "" if exponent is None else f" × 10<sup>{MINUS}{abs(exponent)}</sup>"
    return f'<td class="n" data-v="{-nlog10_p!r}">{mantissa}{power}</td>'
