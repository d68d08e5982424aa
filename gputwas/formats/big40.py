"""BIG40's own table of phenotypes: names, categories, sample sizes and heritabilities of imaging traits.

In: the page IDPs.html, as a browser saves it or by its address, or the same table as CSV or TSV. Out: an
Arrow table with one row per phenotype, or a manifest of the GWAS files of all of them where they lie on the
web. The wording of the header is taken loosely (case, blanks, several header rows).
Source: Smith et al. 2021, doi:10.1038/s41593-021-00826-4; https://open.win.ox.ac.uk/ukbiobank/big40/.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pyarrow as pa

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats.sources import open_source

__all__ = ["COHORTS", "COLUMNS", "PAGE", "manifest_table", "read_phenotypes"]

PAGE = "https://open.win.ox.ac.uk/ukbiobank/big40/BIG40-IDPs_v4/IDPs.html"
"""Where the table of phenotypes is."""

_FILES = "https://open.win.ox.ac.uk/ukbiobank/big40/release2/"
COHORTS = {
    "33k": (f"{_FILES}stats33k/{{}}.txt.gz", "n"),
    "22k": (f"{_FILES}stats/{{}}.txt.gz", "n_discovery"),
    "11k": (f"{_FILES}repro/{{}}.txt.gz", "n_replication"),
}
"""Whole cohort, discovery, replication: address of a phenotype's file, and the column with its size."""

COLUMNS = {
    "pheno": pa.string(), "ukb_id": pa.string(), "short_name": pa.string(), "units": pa.string(),
    "type": pa.string(), "category": pa.string(), "category_name": pa.string(), "description": pa.string(),
    "n": pa.float64(), "n_discovery": pa.float64(), "n_replication": pa.float64(),
    "h2": pa.float64(), "h2_se": pa.float64(),
}  # fmt: skip
"""Columns of the result; those the table lacks are all null."""

_NUMBERS = ("n", "n_discovery", "n_replication", "h2", "h2_se")
_MISSING = ("", "na", "n/a", "nan", "-", ".")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def read_phenotypes(path: str | os.PathLike[str]) -> pa.Table:
    """Read BIG40's table of phenotypes.

    Returns
    -------
    One row per phenotype, columns as in `COLUMNS`: `pheno` is the four-digit number that names its file
    ("0001"); `n` is the size of the whole cohort (discovery and replication added where the table does not
    give it); h2 and h2_se are null where the table has none.

    Raises
    ------
    InputError : no such table in the file, a phenotype twice, or a number that cannot be read.
    """
    name = os.fspath(path)
    text = _text(name)
    tables = _html_tables(text) if re.search(r"<t[rdh]\b", text, re.IGNORECASE) else [_delimited(text)]
    for rows in tables:
        start = _first_data_row(rows)
        if start is not None:
            columns = _columns(rows[:start])
            if "pheno" in columns:
                return _table(rows[start:], columns, name)
    raise InputError(
        "has no table of phenotypes",
        path=name,
        found=f"{len(tables)} tables" if tables else "no table",
        expected="a header with Pheno, IDP short name, N, Heritability and rows that begin with a number",
        remedy="Save BIG40's page IDPs.html from a browser, or export the table as CSV.",
    )


def manifest_table(phenotypes: pa.Table, cohort: str = "33k", address: str | None = None) -> pa.Table:
    """Make a manifest for `gputwas gwas import` of a table that `read_phenotypes` gave.

    Parameters
    ----------
    cohort : one of `COHORTS`.
    address : where the files are, with {} for the four-digit number; by default BIG40's server.

    Returns
    -------
    One row per phenotype: trait (its four-digit number), path, n, dialect, build, h2, h2_se, effect, and
    short_name, category_name and description as annotation.

    Raises
    ------
    UsageError : no such cohort, or an address without {}.
    """
    if cohort not in COHORTS:
        raise UsageError(f"the cohort is {', '.join(COHORTS)}, not {cohort!r}")
    pattern, size = COHORTS[cohort]
    if address is not None:
        pattern = address
    if pattern.count("{}") != 1:
        raise UsageError(f"the address needs {{}} once, where the phenotype's number stands, not {pattern!r}")
    numbers = phenotypes["pheno"].to_pylist()
    rows = len(numbers)
    return pa.table({
        "trait": numbers,
        "path": [pattern.replace("{}", number) for number in numbers],
        "n": phenotypes[size],
        "dialect": ["big40"] * rows,
        "build": ["GRCh37"] * rows,
        "h2": phenotypes["h2"],
        "h2_se": phenotypes["h2_se"],
        "effect": ["beta"] * rows,
        **{name: phenotypes[name] for name in ("short_name", "category_name", "description")},
    })  # fmt: skip


def _text(path: str) -> str:
    with io.BufferedReader(open_source(path)) as file:
        data = file.read()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _delimited(text: str) -> list[list[str]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max("\t,;", key=first.count)
    return [
        [cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter) if row
    ]


class _Tables(HTMLParser):
    """Collects the cells of all tables; a cell that spans several columns or rows is repeated in each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span = (1, 1)
        self._hanging: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._end_row()
            self.tables.append([])
            self._hanging = {}
        elif tag == "tr":
            self._end_row()
            self._row = []
        elif tag in ("td", "th"):
            self._end_cell()
            given = dict(attrs)
            self._span = (_whole(given.get("colspan")), _whole(given.get("rowspan")))
            self._cell = []
            if self._row is None:
                self._row = []
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._end_cell()
        elif tag in ("tr", "table", "thead", "tbody"):
            self._end_row()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is None or self._row is None:
            return
        text = " ".join("".join(self._cell).split())
        self._cell = None
        self._fill()
        columns, rows = self._span
        for _ in range(columns):
            if rows > 1:
                self._hanging[len(self._row)] = (rows - 1, text)
            self._row.append(text)

    def _fill(self) -> None:
        """Put in the cells that hang down from earlier rows."""
        assert self._row is not None
        while (place := len(self._row)) in self._hanging:
            left, text = self._hanging.pop(place)
            if left > 1:
                self._hanging[place] = (left - 1, text)
            self._row.append(text)

    def _end_row(self) -> None:
        self._end_cell()
        if self._row is not None:
            self._fill()
            if self._row:
                if not self.tables:
                    self.tables.append([])
                self.tables[-1].append(self._row)
        self._row = None

    def close(self) -> None:
        super().close()
        self._end_row()


def _whole(text: str | None) -> int:
    return max(1, int(text)) if text and text.strip().isdigit() else 1


def _html_tables(text: str) -> list[list[list[str]]]:
    parser = _Tables()
    parser.feed(text)
    parser.close()
    return [table for table in parser.tables if table]


def _first_data_row(rows: Sequence[Sequence[str]]) -> int | None:
    return next((i for i, row in enumerate(rows) if i and row[0].isdigit()), None)


def _columns(header: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return column -> position, from one or several header rows read together."""
    found: dict[str, int] = {}
    for place in range(max(len(row) for row in header)):
        texts = dict.fromkeys(row[place] for row in header if place < len(row))
        column = _meaning(re.findall(r"[a-z]+|\d+", " ".join(texts).lower()))
        if column is not None:
            found.setdefault(column, place)
    return found


_PHRASES: tuple[tuple[set[str], str], ...] = (
    # words that must all be there -> column; the first that fits is taken
    ({"pheno"}, "pheno"),
    ({"phenotype"}, "pheno"),
    ({"ukb", "id"}, "ukb_id"),
    ({"short"}, "short_name"),
    ({"description"}, "description"),
    ({"category", "name"}, "category_name"),
    ({"cat", "name"}, "category_name"),
    ({"cat"}, "category"),
    ({"category"}, "category"),
    ({"unit"}, "units"),
    ({"units"}, "units"),
    ({"type"}, "type"),
    ({"heritability", "se"}, "h2_se"),
    ({"h", "2", "se"}, "h2_se"),
    ({"heritability"}, "h2"),
    ({"h", "2"}, "h2"),
    ({"n", "all"}, "n"),
    ({"nall"}, "n"),
    ({"n", "disc"}, "n_discovery"),
    ({"n", "discovery"}, "n_discovery"),
    ({"ndisc"}, "n_discovery"),
    ({"n", "rep"}, "n_replication"),
    ({"n", "repro"}, "n_replication"),
    ({"n", "replication"}, "n_replication"),
    ({"nrep"}, "n_replication"),
    ({"n"}, "n"),
)  # fmt: skip


def _meaning(words: Sequence[str]) -> str | None:
    said = set(words)
    if {"par", "nonpar"} & said:  # sizes with and without the pseudo-autosomal region
        return None
    return next((column for must, column in _PHRASES if must <= said), None)


def _table(rows: Sequence[Sequence[str]], columns: dict[str, int], path: str) -> pa.Table:
    values: dict[str, list[object]] = {name: [] for name in COLUMNS}
    seen: set[str] = set()
    for row in rows:
        if not row[0].isdigit():
            continue  # a header repeated further down, a heading, a footnote
        pheno = row[columns["pheno"]].zfill(4)
        if pheno in seen:
            raise InputError("a phenotype stands twice", path=path, column="Pheno", found=pheno)
        seen.add(pheno)
        for name in COLUMNS:
            place = columns.get(name)
            cell = row[place].strip() if place is not None and place < len(row) else ""
            values[name].append(_value(name, cell, pheno, path))
        values["pheno"][-1] = pheno
        parts = values["n_discovery"][-1], values["n_replication"][-1]
        if values["n"][-1] is None and all(isinstance(part, float) for part in parts):
            values["n"][-1] = parts[0] + parts[1]  # type: ignore[operator]
    return pa.table({name: pa.array(values[name], kind) for name, kind in COLUMNS.items()})


def _value(name: str, cell: str, pheno: str, path: str) -> object:
    if cell.lower() in _MISSING:
        return None
    if name not in _NUMBERS:
        return cell
    match = _NUMBER.match(cell.replace(",", "") if name.startswith("n") else cell)
    if match is None:
        raise InputError(
            f"the {name} of phenotype {pheno} is not a number", path=path, column=name, found=repr(cell)
        )
    return float(match.group())
