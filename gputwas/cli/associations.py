"""Results: `associate`, `fdr`, `export`, `plot`, `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gputwas.cli.options import (
    Alpha,
    Correction,
    ExecutorOption,
    Family,
    H2Threshold,
    Heritable,
    KeepUnknownH2,
    Memory,
    Store,
    Tissues,
    Traits,
)
from gputwas.cli.reporting import print_table

__all__ = ["register"]

export = typer.Typer(no_args_is_help=True, help="Write results in other programs' formats.")

Models = Annotated[Path | None, typer.Option("--models", help="Model store the results come from.")]
Gwas = Annotated[Path | None, typer.Option("--gwas", help="GWAS store the results come from.")]


def register(app: typer.Typer) -> None:
    """Hang the commands under the main one."""
    app.command("associate")(associate)
    app.command("fdr")(fdr)
    app.add_typer(export, name="export")
    app.command("compare", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
        compare
    )


def associate(
    models: Annotated[Path, typer.Option("--models", help="Model store.")] = Path("models"),
    gwas: Annotated[Path, typer.Option("--gwas", help="GWAS store.")] = Path("gwas"),
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Association store to write or go on with.")
    ] = Path("associations"),
    trait: Traits = None,
    tissue: Tissues = None,
    backend: Annotated[
        str, typer.Option("--backend", help="auto, numpy, jax, cupy or array_api_strict.")
    ] = "auto",
    method: Annotated[str, typer.Option("--method", help="auto, csr, dense or padded.")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="Of stored results: float32 or float64 (sums are float64).")
    ] = "float32",
    memory: Memory = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", help="Threads that score traits (default: cores).", min=1)
    ] = None,
    executor: ExecutorOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing store.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would hold, move and take; write nothing.")
    ] = False,
) -> None:
    """Score every model against every trait (S-PrediXcan).

    A run that was killed goes on where it was, to the same bytes. With --executor, blocks of traits are
    computed and written by other processes, one GPU for each: --workers are the threads of one of them, and
    --memory is what those of this machine take together, or each one of a cluster.

    Examples:

        gputwas associate --models models --gwas gwas --out associations

        gputwas associate --models models --gwas gwas --dry-run

        gputwas associate --tissue Brain_Amygdala --backend cupy --memory 16GB

        gputwas associate --backend cupy --executor local:4

        gputwas associate --executor dask:/shared/scheduler.json
    """
    import logging

    from gputwas.cli.lean import with_one_blas_thread, without_pandas
    from gputwas.errors import UsageError

    if method != "dense":
        with_one_blas_thread()
    without_pandas()
    from gputwas.twas.associate import AssociateSettings
    from gputwas.twas.associate import associate as run

    settings = AssociateSettings(
        backend=backend,
        method=method,
        precision=precision,
        memory=memory,
        workers=workers,
        overwrite=overwrite,
    )
    if dry_run:
        if executor is not None:
            raise UsageError("--dry-run forecasts a run in one process; leave --executor out")
        from gputwas.twas.associate import dry_run as forecast

        expected = forecast(
            models, gwas, out, traits=trait or None, tissues=tissue or None, settings=settings
        )
        print_table(("", "expected"), expected.rows())
        return
    report = run(
        models, gwas, out, traits=trait or None, tissues=tissue or None, settings=settings, executor=executor
    )
    logging.getLogger("gputwas").info(
        "%s: %d traits x %d models in %d tissues (%d blocks computed, %d already there); %.1f s on %s",
        out, report.n_traits, report.n_models, report.n_tissues, report.blocks_computed, report.blocks_kept,
        report.seconds, report.device,
    )  # fmt: skip


def fdr(
    store: Store = Path("associations"),
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Significant associations (.tsv, .tsv.gz, .csv, .parquet).")
    ] = Path("significant.tsv"),
    alpha: Alpha = 0.05,
    family: Family = "study",
    method: Correction = "bh",
    trait: Traits = None,
    tissue: Tissues = None,
    heritable: Heritable = False,
    h2_z: H2Threshold = None,
    keep_unknown_h2: KeepUnknownH2 = False,
    count_only: Annotated[
        bool, typer.Option("--count-only", help="Count what is significant in each family, write nothing.")
    ] = False,
    memory: Memory = None,
) -> None:
    """Correct for multiple testing, exactly and in bounded memory, and write what is significant.

    Examples:

        gputwas fdr associations --out significant.tsv

        gputwas fdr associations --family modality --method bonferroni --heritable --out brain.parquet

        gputwas fdr associations --family tissue --count-only
    """
    from gputwas.cli.lean import with_one_blas_thread, with_ufuncs_alone, without_pandas

    with_one_blas_thread()
    without_pandas()
    with_ufuncs_alone()
    from gputwas.study.correct import correct

    result = correct(
        store, None if count_only else out, alpha=alpha, family=family, method=method, traits=trait,
        tissues=tissue, heritable=heritable, h2_z=h2_z, keep_unknown_h2=keep_unknown_h2, memory=memory,
    )  # fmt: skip
    print_table(("family", "tests", "significant"), result.rows())


@export.command("metaxcan")
def export_metaxcan(
    store: Annotated[Path, typer.Argument(help="Association store.")],
    trait: Annotated[str, typer.Option("--trait", help="Which trait.")],
    tissue: Annotated[str, typer.Option("--tissue", help="Which tissue.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The csv to write.")],
    models: Models = None,
    gwas: Gwas = None,
    standard_errors: Annotated[
        bool, typer.Option("--se", help="Add effect_se, the standard error of the effect.")
    ] = False,
    snps: Annotated[
        Path | None,
        typer.Option("--snps", help="Also write the SNPs with weight, z, alleles (.tsv, .tsv.gz, .parquet)."),
    ] = None,
    remove_ens_version: Annotated[
        bool, typer.Option("--remove-ens-version", help="ENSG1.2 becomes ENSG1.")
    ] = False,
) -> None:
    """One trait x tissue as the csv of SPrediXcan.py.

    With --models and --gwas the columns best_gwas_p and largest_weight are added, as by the reference's
    --additional_output.

    Example:

        \b
        gputwas export metaxcan associations --trait 0001 --tissue Liver --out liver.csv \\
          --models models --gwas gwas --se --snps liver.snps.tsv
    """
    from gputwas.errors import UsageError
    from gputwas.formats.tables import check_table_path
    from gputwas.study.export import SourceStores, export_metaxcan, export_snps

    sources = SourceStores(models, gwas) if models is not None and gwas is not None else None
    if sources is None and (standard_errors or snps is not None or models is not None or gwas is not None):
        raise UsageError("--se, --snps and the additional columns need both --models and --gwas")
    if snps is not None:
        check_table_path(snps)  # before the csv is written
    export_metaxcan(
        store, trait, tissue, out, sources=sources, standard_errors=standard_errors,
        remove_ens_version=remove_ens_version,
    )  # fmt: skip
    if snps is not None and sources is not None:
        export_snps(store, trait, tissue, snps, sources=sources)


@export.command("parquet")
def export_parquet(
    store: Store,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .parquet file to write.")],
    trait: Traits = None,
    tissue: Tissues = None,
    max_p: Annotated[float, typer.Option("--max-p", help="Only associations with p at most this.")] = 1.0,
) -> None:
    """All associations in long form, one row each, as Parquet.

    Example: gputwas export parquet associations --out all.parquet --max-p 0.05
    """
    from gputwas.study.long_table import export_long

    rows = export_long(store, out, traits=trait, tissues=tissue, max_p=max_p)
    typer.echo(f"{out}: {rows:,} associations")


def compare(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="An existing csv of SPrediXcan.py.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write every gene with its verdict (.tsv, .csv).")
    ] = None,
    fail: Annotated[
        bool, typer.Option("--fail-on-difference", help="Exit 3 if any gene does not agree.")
    ] = False,
) -> None:
    """Re-score an existing MetaXcan result from the same inputs and explain every difference.

    All flags of `gputwas spredixcan` but --output_file say what the old result was made from.

    Example:

        \b
        gputwas compare old.csv --model_db_path JTI_Liver.db --covariance JTI_Liver.txt.gz \\
          --gwas_file 0001.txt.gz --snp_column rsid --effect_allele_column a2 \\
          --non_effect_allele_column a1 --beta_column beta --se_column se --out differences.tsv
    """
    from gputwas.cli.dropin import parse_flags
    from gputwas.study.dropin import compare_with

    result = compare_with(old, parse_flags([*context.args, "--output_file", "not-written"]), out)
    for remark in result.remarks:
        typer.echo(remark)
    print_table(("verdict", "genes"), result.counts.items())
    if fail and result.n_different:
        raise typer.Exit(3)
