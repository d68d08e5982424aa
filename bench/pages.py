"""In: the JSON of all subjects. Out: their pages, and the table in bench/README.md, written anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.record import read_records
from bench.report import overview, page
from bench.session import RESULTS

__all__ = ["add_arguments", "main", "with_table"]

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench page``."""
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--readme", type=Path, default=README, help="page whose table is written anew")


def main(options: argparse.Namespace) -> int:
    """Write every page."""
    records = read_records(options.results)
    for name, record in records.items():
        (options.results / f"{name}.md").write_text(page(record))
    options.readme.write_text(with_table(options.readme.read_text(), overview(records)))
    return 0


def with_table(text: str, table: str) -> str:
    """`text` with what lies between the two marks replaced.

    Raises
    ------
    ValueError
        If a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page lacks the marks of its table")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
