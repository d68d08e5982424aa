"""`gputwas multixcan`: the tissues of every gene combined in every trait, and `gputwas export multixcan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gputwas.cli.associations import export
from gputwas.cli.options import Memory, Tissues, Traits

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Hang the commands under the main one."""
    app.command("multixcan")(multixcan)


def multixcan(
    associations: Annotated[
        Path, typer.Option("--associations", "-a", help="Association store with the z-scores.")
    ] = Path("associations"),
    models: Annotated[Path, typer.Option("--models", help="Model store it was computed from.")] = Path(
        "models"
    ),
    gwas: Annotated[Path, typer.Option("--gwas", help="GWAS store it was computed from.")] = Path("gwas"),
    snp_covariance: Annotated[
        Path | None,
        typer.Option(
            "--snp-covariance",
            help="Cross-tissue LD: MetaXcan's text (GENE RSID1 RSID2 VALUE, .txt.gz) or a store of "
            "`gputwas models covariance`.",
        ),
    ] = None,
    keep_ld: Annotated[
        Path | None,
        typer.Option("--keep-ld", help="Keep the text's LD as a store here, which is read the next time."),
    ] = None,
    acat_only: Annotated[
        bool, typer.Option("--acat-only", help="No LD at hand: combine p-values (ACAT), nothing else.")
    ] = False,
    condition_number: Annotated[
        float | None,
        typer.Option("--cutoff-condition-number", help="Keep eigenvalues of at least the first / this (30)."),
    ] = None,
    eigen_ratio: Annotated[
        float | None, typer.Option("--cutoff-eigen-ratio", help="... of at least this share of the first.")
    ] = None,
    trace_ratio: Annotated[
        float | None, typer.Option("--cutoff-trace-ratio", help="... of at least this share of their sum.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--cutoff-threshold", help="... that make up 1 - this of the variance."),
    ] = None,
    regularization: Annotated[
        float, typer.Option("--regularization", help="Added to the diagonal of the correlation.")
    ] = 0.0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Joint store to write or go on with.")] = Path(
        "joint"
    ),
    trait: Traits = None,
    tissue: Tissues = None,
    backend: Annotated[
        str, typer.Option("--backend", help="auto, numpy, jax, cupy or array_api_strict.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="Of stored results: float32 or float64 (sums are float64).")
    ] = "float32",
    memory: Memory = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing store.")] = False,
) -> None:
    """Combine the tissues of every gene in every trait: S-MultiXcan, and ACAT beside it.

    The statistic is that of SMulTiXcan.py on the SNPs that have a z-score (its --cleared_snps). ACAT combines
    the p-values of all tissues and needs no LD. A run that was killed goes on where it was.

    Examples:

        \b
        gputwas multixcan --associations associations --models models --gwas gwas \\
          --snp-covariance snp_covariance.txt.gz --out joint

        gputwas multixcan --acat-only --associations associations --out joint

        gputwas export multixcan joint 0001 --out 0001.smultixcan.tsv
    """
    import logging

    from gputwas.cli.lean import without_pandas
    from gputwas.errors import UsageError

    without_pandas()
    cutoffs = {
        "condition_number": condition_number, "eigen_ratio": eigen_ratio, "trace_ratio": trace_ratio,
        "threshold": threshold,
    }  # fmt: skip
    given = {kind: value for kind, value in cutoffs.items() if value is not None}
    if acat_only and (snp_covariance is not None or keep_ld is not None or given or regularization):
        raise UsageError("--acat-only uses no LD; leave --snp-covariance, cut-offs and regularization out")
    if not acat_only and snp_covariance is None:
        raise UsageError("give cross-tissue LD with --snp-covariance, or --acat-only where there is none")
    from gputwas.study.joint import run_multixcan

    report = run_multixcan(
        associations, out, models=models, gwas=gwas, snp_covariance=snp_covariance, keep_ld=keep_ld,
        cutoffs=given, regularization=regularization, traits=trait or None, tissues=tissue or None,
        backend=backend, precision=precision, memory=memory, overwrite=overwrite,
    )  # fmt: skip
    logging.getLogger("gputwas").info(
        "%s: %d genes (%d with cross-tissue LD) x %d traits over %d tissues, %d patterns of missing SNPs "
        "(%d blocks computed, %d already there); %.1f s on %s",
        out, report.n_genes, report.genes_in_ld, report.n_traits, report.n_tissues, report.n_patterns,
        report.blocks_computed, report.blocks_kept, report.seconds, report.device,
    )  # fmt: skip


@export.command("multixcan")
def export_multixcan(
    store: Annotated[Path, typer.Argument(help="Joint store.")],
    trait: Annotated[
        str | None, typer.Argument(help="Which trait; without one, all traits in long form (.parquet).")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The table to write (.tsv, .tsv.gz, .csv, .parquet).")
    ] = Path("joint.tsv"),
    associations: Annotated[
        Path, typer.Option("--associations", "-a", help="Association store it was computed from.")
    ] = Path("associations"),
    additional: Annotated[
        bool, typer.Option("--additional", help="Add nlog10_p, which has no smallest value, and acat_p.")
    ] = False,
    max_p: Annotated[
        float, typer.Option("--max-p", help="Long form: only genes with a p of at most this.")
    ] = 1.0,
) -> None:
    """One trait as the table of SMulTiXcan.py, or all traits in long form as Parquet.

    Examples:

        gputwas export multixcan joint 0001 --associations associations --out 0001.smultixcan.tsv

        gputwas export multixcan joint --max-p 1e-6 --out findings.parquet
    """
    from gputwas.errors import UsageError
    from gputwas.study.export_joint import export_joint, export_joint_long

    if trait is None and additional:
        raise UsageError("--additional is for one trait; the long form has these columns anyway")
    if trait is not None and max_p != 1:
        raise UsageError("--max-p is for the long form; a trait's table has all genes")
    if trait is None:
        rows = export_joint_long(store, out, max_p=max_p)
        typer.echo(f"{out}: {rows:,} genes x traits")
        return
    export_joint(store, trait, out, associations=associations, additional=additional)
