"""`gputwas gwas`: check and import summary statistics, list what a store holds and what BIG40 offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gputwas.cli.options import ExecutorOption
from gputwas.cli.reporting import print_table

if TYPE_CHECKING:
    import pyarrow as pa

    from gputwas.ingest.choose_key import Match, MatchOptions

__all__ = ["parse_columns", "register"]

group = typer.Typer(no_args_is_help=True, help="GWAS summary statistics: check, import, list.")

Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="role=NAME: which column is what, for files of no known dialect; may be given several times. "
        "Roles: variant_id, effect_allele, other_allele, beta, odds_ratio, se, z, p, nlog10_p, sign, n, "
        "chromosome, position.",
    ),
]
Dialect = Annotated[
    str | None, typer.Option("--dialect", help="Name of the file's dialect (default: detect).")
]


Files = Annotated[
    list[str] | None,  # a Path would make one slash of a URL's two
    typer.Argument(
        help="GWAS files or http(s) or s3 URLs, one trait each (with --trait: the files of one trait).",
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest", "-m", help="TSV of traits: trait, path (or glob or URL), n, dialect, h2, h2_se, md5 ..."
    ),
]
Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of GWAS files, one trait each.")]
Pattern = Annotated[
    str | None, typer.Option("--pattern", help="Which files of --folder, as a wildcard (default: all).")
]
Trait = Annotated[str | None, typer.Option("--trait", help="Name of the one trait that all files belong to.")]
Models = Annotated[Path, typer.Option("--models", help="Model store whose variants are wanted.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="GWAS store to write or to add to.")]
ModeOption = Annotated[
    Literal["strict", "parity"],
    typer.Option(
        "--mode",
        help="strict: strand and palindromes handled, contradicting duplicates dropped; "
        "parity: exactly as MetaXcan reads.",
    ),
]
Separator = Annotated[str | None, typer.Option("--separator", help="Cell separator (default: detect).")]
Phenotypes = Annotated[
    str | None,
    typer.Option(
        "--phenotypes", help="BIG40's table of phenotypes (HTML or TSV, file or URL): names, n, h2."
    ),
]
ChecksumOption = Annotated[
    str | None,
    typer.Option("--checksum", help="What the one file must add up to: md5:... or sha256:..."),
]
PalindromesOption = Annotated[
    Literal["infer", "forward", "drop"],
    typer.Option(
        "--palindromes", help="A/T and C/G SNPs: infer the file's strand, take it as forward, or drop."
    ),
]
MinFound = Annotated[
    float, typer.Option("--min-found", help="Warn below this share of the models' variants.")
]
KeepNonRsid = Annotated[
    bool | None,
    typer.Option(
        "--keep-non-rsid/--rsid-only",
        help="Use rows whose id is no rs number, where ids are matched as they are (parity: no).",
    ),
]
PvalueFix = Annotated[
    float, typer.Option("--pvalue-fix", help="Parity mode: stand-in for p = 0; 0 drops such rows.")
]
Build = Annotated[
    str | None,
    typer.Option("--build", help="Genome build of the files, such as hg19; a manifest's column goes first."),
]
To = Annotated[
    str | None, typer.Option("--to", help="Genome build of the models (default: as their ids show).")
]
ChainOption = Annotated[
    Path | None,
    typer.Option("--chain", help="Chain file from --build to --to: positions are lifted, strands turned."),
]
MatchOption = Annotated[
    Literal["auto", "id", "position", "map"],
    typer.Option(
        "--match",
        help="By what rows are matched to the models' variants: text of the id, chromosome and position, or "
        "a map; auto looks at how file and models name them, and says what it took.",
    ),
]
MapOption = Annotated[
    Path | None,
    typer.Option(
        "--map", help="Table that leads from the files' ids to the models', as GTEx's lookup table."
    ),
]
MapFrom = Annotated[
    str | None, typer.Option("--map-from", help="Its column with the files' ids (default: told).")
]
MapTo = Annotated[
    str | None, typer.Option("--map-to", help="Its column with the models' ids (default: told).")
]
_WORKERS_HELP = (
    "Short for --executor local:N; never more than traits (default: one per 4 traits, at most one per core)."
)
Workers = Annotated[int | None, typer.Option("--workers", "-j", help=_WORKERS_HELP, min=1)]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Read the other traits although one failed; exit 3 at the end.")
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Begin the store anew, once all files' headers are found readable."),
]
Report = Annotated[Path | None, typer.Option("--report", help="Also write the report as TSV.")]


def register(app: typer.Typer) -> None:
    """Hang the group under the main command."""
    app.add_typer(group, name="gwas")


def parse_columns(pairs: list[str] | None) -> dict[str, str] | None:
    """role -> name from `--column role=NAME`; None if there is none.

    Raises
    ------
    UsageError : a pair has no "=", or a role is given twice.
    """
    from gputwas.errors import UsageError

    if not pairs:
        return None
    columns: dict[str, str] = {}
    for pair in pairs:
        role, sign, name = pair.partition("=")
        if not sign or not role or not name:
            raise UsageError(f"--column takes role=NAME, for example beta=BETA1, not {pair!r}")
        if role in columns:
            raise UsageError(f"--column names {role} twice")
        columns[role] = name
    return columns


@group.command("import")
def import_(
    files: Files = None,
    manifest: Manifest = None,
    folder: Folder = None,
    pattern: Pattern = None,
    trait: Trait = None,
    models: Models = Path("models"),
    out: Out = Path("gwas"),
    mode: ModeOption = "strict",
    dialect: Dialect = None,
    column: Column = None,
    separator: Separator = None,
    phenotypes: Phenotypes = None,
    checksum: ChecksumOption = None,
    palindromes: PalindromesOption = "infer",
    min_found: MinFound = 0.25,
    keep_non_rsid: KeepNonRsid = None,
    pvalue_fix: PvalueFix = 1e-50,
    match: MatchOption = "auto",
    map_: MapOption = None,
    map_from: MapFrom = None,
    map_to: MapTo = None,
    build: Build = None,
    to: To = None,
    chain: ChainOption = None,
    workers: Workers = None,
    executor: ExecutorOption = None,
    keep_going: KeepGoing = False,
    overwrite: Overwrite = False,
    report: Report = None,
) -> None:
    """Read GWAS files, align them to the models' variants, and keep z and effect of each trait.

    What is dropped is counted by reason. A run that was interrupted goes on where it was. URLs are read as
    they are downloaded and take no disk.

    Examples:

        gputwas gwas import --manifest traits.tsv --out gwas -j 8

        gputwas gwas import https://example.org/height.txt.gz --checksum md5:0123456789abcdef0123456789abcdef

        gputwas gwas import --manifest traits.tsv --executor dask:tcp://node01:8786

        gputwas gwas import height.txt.gz --build hg19 --to hg38 --chain hg19ToHg38.over.chain.gz

        gputwas gwas import height.txt.gz --map GTEx_v8.lookup_table.txt.gz

        \b
        gputwas gwas import height_chr*.txt.gz --trait height --column variant_id=SNP \\
          --column effect_allele=A1 --column other_allele=A2 --column beta=B --column se=SE
    """
    from gputwas.cli.lean import with_one_blas_thread, without_pandas
    from gputwas.errors import UsageError
    from gputwas.formats.tables import check_table_path, write_table

    with_one_blas_thread()
    without_pandas()
    from gputwas.ingest.gwas import import_gwas
    from gputwas.study.traits import collect_traits

    if workers is not None and executor is not None:
        raise UsageError("--workers N is short for --executor local:N; give one of them")
    if report is not None:
        check_table_path(report)  # before hours of reading
    matching = _matching(match, map_, map_from, map_to, chain, to)
    entries = collect_traits(
        files or [], manifest=manifest, folder=folder, pattern=pattern, trait=trait, dialect=dialect,
        columns=parse_columns(column), separator=separator, build=build, phenotypes=phenotypes,
        checksum=checksum,
    )  # fmt: skip
    if executor is None:
        executor = f"local:{_workers(workers, len(entries))}"
    table = import_gwas(
        entries, models, out, mode=mode, keep_non_rsid=keep_non_rsid, pvalue_fix=pvalue_fix,
        palindromes=palindromes, min_found=min_found, executor=executor, keep_going=keep_going,
        overwrite=overwrite, matching=matching,
    )  # fmt: skip
    if report is not None:
        write_table(table, report)
    _show_report(table)
    if table["error"].null_count < table.num_rows:
        raise typer.Exit(3)


def _matching(
    match: Match,
    map_: Path | None,
    source: str | None,
    target: str | None,
    chain: Path | None,
    to: str | None,
) -> MatchOptions:
    from gputwas.ingest.choose_key import MatchOptions

    files = (None if path is None else str(path) for path in (map_, chain))
    table, lift = files
    return MatchOptions(match, table, source, target, lift, to)


def _workers(asked: int | None, n_traits: int) -> int:
    """Processes that read: as many as asked for, or one per core but none for fewer than four traits.

    More than there are traits would only keep each from using the cores that the others leave idle.
    """
    from gputwas.executors.choose import available_cores

    return max(1, min(available_cores(), n_traits // 4) if asked is None else min(asked, n_traits))


def _show_report(table: pa.Table) -> None:
    """One line per trait, without the columns of reasons that never occurred."""
    import pyarrow.compute as pc

    shown = ["trait", "status", "rows_read", "rows_malformed", "matched", "swapped", "strand"]
    shown += [
        name
        for name in table.column_names
        if name.startswith("dropped_") and name != "dropped_not_in_panel" and pc.sum(table[name]).as_py()
    ]
    shown += [n for n in table.column_names if n.startswith("lift_") and pc.sum(table[n]).as_py()]
    shown += ["matched_by", "found_share"]
    print_table(shown, zip(*(table[name].to_pylist() for name in shown), strict=True))


@group.command("check")
def check(
    files: Annotated[list[str], typer.Argument(help="The file or files of one trait, or their URLs.")],
    models: Annotated[
        Path | None,
        typer.Option("--models", help="Also say how many of this model store's variants are found."),
    ] = None,
    mode: ModeOption = "strict",
    dialect: Dialect = None,
    column: Column = None,
    separator: Separator = None,
    palindromes: PalindromesOption = "infer",
    keep_non_rsid: KeepNonRsid = None,
    match: MatchOption = "auto",
    map_: MapOption = None,
    map_from: MapFrom = None,
    map_to: MapTo = None,
    build: Build = None,
    to: To = None,
    chain: ChainOption = None,
) -> None:
    """Say which columns would be taken for what, and with --models read the file without storing it.

    With --models also: how many of the models' variants are found by identifier, position and map.

    Example: gputwas gwas check 0001.txt.gz --models models
    """
    import functools

    from gputwas.cli.lean import with_one_blas_thread, without_pandas
    from gputwas.executors.choose import available_cores
    from gputwas.formats.sumstats import open_sumstats
    from gputwas.formats.sumstats.sources import SourceFile

    with_one_blas_thread()
    without_pandas()
    from gputwas.ingest.panel import PanelIndex

    matching = _matching(match, map_, map_from, map_to, chain, to)
    matching.check_mode(mode)
    given: dict[str, Any] = {"dialect": dialect, "columns": parse_columns(column), "separator": separator}
    given |= {"opener": functools.cache(SourceFile), "threads": available_cores()}  # URLs: one download
    reader = open_sumstats(files, parity=mode == "parity", **given)
    layout = reader.layout
    print_table(("role", "column"), layout.columns.items())
    for line in (f"dialect: {layout.dialect}", *layout.notes):
        typer.echo(line)
    if models is None:
        return
    from gputwas.ingest.checking import found_by_key, read_as_import
    from gputwas.stores.models import read_models_store

    panel = PanelIndex(read_models_store(models).panel)
    if mode == "strict":
        rows = found_by_key(reader, panel, matching, build)
        print_table(("matched by", "variants of the models", "share"), rows)
    trait = read_as_import(
        reader, panel, matching, build, mode=mode, palindromes=palindromes, keep_non_rsid=keep_non_rsid
    )
    typer.echo(f"matched by {trait.matched_how}")
    typer.echo(f"rows: {trait.rows_read:,} read, {trait.rows_malformed:,} malformed")
    print_table(("reason", "rows"), sorted(trait.counts.items()))
    typer.echo(f"variants of the models found: {trait.found_share:.1%}")


@group.command("manifest")
def manifest_(
    out: Annotated[Path, typer.Argument(help="Manifest to write, a .tsv.")],
    phenotypes: Annotated[
        str, typer.Option("--phenotypes", help="BIG40's table of phenotypes, if it is to be another copy.")
    ] = "",
    cohort: Annotated[
        Literal["33k", "22k", "11k"],
        typer.Option(
            "--cohort", help="All of BIG40's participants, the discovery or the replication sample."
        ),
    ] = "33k",
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="Where the files are, with {} for the number (default: BIG40's server)."
        ),
    ] = None,
) -> None:
    """List all GWAS of BIG40 with their addresses, sample sizes and heritabilities, to be imported.

    Delete the rows you do not want.

    Examples:

        gputwas gwas manifest big40.tsv

        gputwas gwas import --manifest big40.tsv --models models --out gwas -j 8
    """
    from gputwas.errors import UsageError
    from gputwas.formats.big40 import PAGE, manifest_table, read_phenotypes
    from gputwas.formats.tables import check_table_path, write_table

    if check_table_path(out) != ".tsv":
        raise UsageError(f"{out}: a manifest is a .tsv")
    table = manifest_table(read_phenotypes(phenotypes or PAGE), cohort, address)
    write_table(table, out)
    typer.echo(f"{table.num_rows:,} traits: {out}")


@group.command("list")
def list_(store: Annotated[Path, typer.Argument(help="GWAS store.")] = Path("gwas")) -> None:
    """List the traits of a GWAS store.

    Example: gputwas gwas list gwas
    """
    from gputwas.stores.gwas import GwasStore

    table = GwasStore.open(store).traits_table()
    shown = [
        name for name in ("trait", "n", "h2", "h2_se", "effect", "rows_read", "found_share", "dialect")
        if name in table.column_names
    ]  # fmt: skip
    print_table(shown, zip(*(table[name].to_pylist() for name in shown), strict=True))
