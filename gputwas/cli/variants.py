"""`gputwas variants`: move files of variants to another genome build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gputwas.cli.reporting import print_table

if TYPE_CHECKING:
    from gputwas.study.lift import LiftReport

__all__ = ["register"]

group = typer.Typer(no_args_is_help=True, help="Variants: lift files to another genome build.")

Files = Annotated[
    list[str],
    typer.Argument(
        help="Summary statistics of any dialect, tables with chromosome and position (or identifiers that "
        "hold them), BED or .bim files; plain or compressed."
    ),
]
ChainFile = Annotated[
    Path, typer.Option("--chain", help="UCSC chain file, such as hg19ToHg38.over.chain.gz.")
]
From = Annotated[
    str | None, typer.Option("--from", help="Build of the files (default: as the chain file's name says).")
]
To = Annotated[
    str | None, typer.Option("--to", help="Build wanted (default: as the chain file's name says).")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write, .gz to have it compressed; for several files a folder "
        "(default: NAME.hg38.tsv.gz where you are).",
    ),
]
Unmapped = Annotated[
    Path | None,
    typer.Option(
        "--unmapped", help="Also write the rows left out, with the reason; for several files a folder."
    ),
]
KeepSplit = Annotated[
    bool,
    typer.Option(
        "--keep-split", help="Keep variants that have several places in the other build, at the best one."
    ),
]
Report = Annotated[Path | None, typer.Option("--report", help="Also write the counts as a table (TSV ...).")]
Dialect = Annotated[
    str | None, typer.Option("--dialect", help="Name of the files' dialect (default: detect).")
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="role=NAME: which column is what; may be given several times. Roles: chromosome, position, "
        "variant_id, variant_key, effect_allele, other_allele.",
    ),
]
Separator = Annotated[str | None, typer.Option("--separator", help="Cell separator (default: detect).")]


def register(app: typer.Typer) -> None:
    """Hang the group under the main command."""
    app.add_typer(group, name="variants")


@group.callback()
def variants() -> None:
    """Variants: lift files to another genome build."""


@group.command("lift")
def lift(
    files: Files,
    chain: ChainFile,
    source: From = None,
    target: To = None,
    out: Out = None,
    unmapped: Unmapped = None,
    keep_split: KeepSplit = False,
    report: Report = None,
    dialect: Dialect = None,
    column: Column = None,
    separator: Separator = None,
) -> None:
    """Write files anew with their variants on another genome build: same rows, columns and order.

    Chromosomes and positions are replaced; where the other build has a place on the other strand, the alleles
    are complemented; identifiers such as chr1_123_A_G_b37 are rewritten. Left out and counted are variants
    that have no place in the other build or several, and insertions and deletions on a reversed strand, which
    cannot be written without the sequence.

    Examples:

        gputwas variants lift gwas.txt.gz --chain hg19ToHg38.over.chain.gz

        gputwas variants lift chr*.txt.gz --chain hg19ToHg38.over.chain.gz --out lifted --unmapped lost

        gputwas variants lift snps.bim --chain hg38ToHg19.over.chain.gz -o snps.hg19.bim --keep-split
    """
    from gputwas.cli.gwas import parse_columns
    from gputwas.formats.chain import read_chain
    from gputwas.formats.sumstats.examine import resolve_paths
    from gputwas.formats.tables import check_table_path
    from gputwas.progress import progress
    from gputwas.study.lift import builds_for, check_files, lift_file
    from gputwas.study.lift_tables import open_variants
    from gputwas.variants.liftover import Liftover

    columns = parse_columns(column)
    builds = builds_for(chain, source, target)
    if report is not None:
        check_table_path(report)
    paths = resolve_paths(files)
    outs = _targets(paths, out, builds[1])
    losts: list[str | None] = [None] * len(paths)
    if unmapped is not None:
        losts = [*_targets(paths, unmapped, None if len(paths) == 1 else "unmapped")]
    check_files([*paths, chain], [*outs, *losts, report])
    liftover = Liftover(read_chain(chain))
    tables = [
        open_variants(path, dialect=dialect, columns=columns, separator=separator) for path in paths
    ]  # before anything is written
    reports: list[LiftReport] = []
    try:
        with progress("lifting", len(paths), "files") as shown:
            for table, name, lost in zip(tables, outs, losts, strict=True):
                typer.echo(f"{table.path}: {table.describe()}")
                reports.append(
                    lift_file(
                        table, liftover, name, unmapped=lost, source=builds[0], target=builds[1],
                        keep_split=keep_split,
                    )
                )  # fmt: skip
                shown.advance()
    finally:
        if reports:  # what is written already is told even if a later file is refused
            _show(reports, report)


def _targets(paths: list[str], wanted: Path | None, build: str | None) -> list[str]:
    """One name for the output of each file.

    Raises
    ------
    UsageError : two files would be written to one.
    """
    from gputwas.errors import UsageError
    from gputwas.files import check_target
    from gputwas.formats.sumstats.sources import base_name, is_url
    from gputwas.study.lift import lifted_name

    local = [base_name(path) if is_url(path) else path for path in paths]
    if wanted is None:
        found = [lifted_name(path, build) for path in local]
    elif len(paths) == 1 and not wanted.is_dir():
        found = [str(wanted)]
    else:
        check_target(wanted / "x", folder_is_made=True)
        wanted.mkdir(parents=True, exist_ok=True)
        found = [str(wanted / lifted_name(path, build)) for path in local]
    if len(set(found)) < len(found):
        raise UsageError("two of the files have one name: give --out a folder for each, in turns")
    return found


def _show(reports: list[LiftReport], report: Path | None) -> None:
    """One line per file, without the columns of losses that never occurred."""
    import pyarrow as pa

    from gputwas.formats.tables import write_table

    rows = [one.as_row() for one in reports]
    if report is not None:
        write_table(pa.Table.from_pylist(rows), report)
    always = ("file", "rows", "written", "reversed", "moved", "split")
    shown = [name for name in rows[0] if name in always or (name != "out" and any(row[name] for row in rows))]
    print_table(shown, ([row[name] for name in shown] for row in rows))
    for row in rows:
        typer.echo(f"written: {row['out']}")
