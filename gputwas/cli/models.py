"""`gputwas models`: import prediction models, list what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gputwas.cli.reporting import print_table

__all__ = ["register"]

group = typer.Typer(no_args_is_help=True, help="Prediction models: import them, list them.")


def register(app: typer.Typer) -> None:
    """Hang the group under the main command."""
    app.add_typer(group, name="models")


@group.command("import")
def import_(
    models: Annotated[list[Path], typer.Argument(help="PredictDB/JTI databases (.db), one per tissue.")],
    covariance: Annotated[
        list[Path] | None,
        typer.Option(
            "--covariance",
            "-c",
            help="Covariance files (.txt, .txt.gz) or folders of them, paired with the databases by tissue. "
            "By default the folder of each database is searched. May be given several times.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model store to write.")] = Path("models"),
    snp_key: Annotated[
        str | None,
        typer.Option(
            "--model-db-snp-key",
            help="Column of the databases that identifies SNPs, e.g. varID (default rsid).",
        ),
    ] = None,
    genes: Annotated[
        Path | None,
        typer.Option("--genes", help="Gene positions: TSV with gene, chromosome, start, end [, gene_name]."),
    ] = None,
    allow_missing_ld: Annotated[
        bool,
        typer.Option("--allow-missing-ld", help="Leave out SNPs that the covariance lacks, and count them."),
    ] = False,
    single_snp_model: Annotated[
        bool, typer.Option("--single-snp-model", help="Every gene has one SNP: no covariance is needed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing store.")] = False,
) -> None:
    """Read prediction models and their LD into a model store.

    Examples:

        gputwas models import JTI_*.db --out models

        gputwas models import mashr_*.db -c covariances/ --model-db-snp-key varID -o models
    """
    from gputwas.cli.lean import without_pandas

    without_pandas()
    from gputwas.ingest.models import import_models

    report = import_models(
        models,
        covariance,
        out,
        snp_key=snp_key,
        gene_table=genes,
        allow_missing_ld=allow_missing_ld,
        single_snp_model=single_snp_model,
        overwrite=overwrite,
    )
    columns, rows = report.as_rows()
    print_table(columns, rows)


@group.command("list")
def list_(store: Annotated[Path, typer.Argument(help="Model store.")] = Path("models")) -> None:
    """List the tissues of a model store: models, SNPs, and models without variance.

    Example: gputwas models list models
    """
    import numpy as np

    from gputwas.stores.models import read_models_store

    model_set = read_models_store(store)
    var_g = model_set.models["var_g"].to_numpy()
    rows = []
    for tissue in model_set.tissues:
        inside = model_set.tissue_slice(tissue)
        entries = slice(int(model_set.offsets[inside.start]), int(model_set.offsets[inside.stop]))
        rows.append(
            (
                tissue,
                inside.stop - inside.start,
                entries.stop - entries.start,
                len(np.unique(model_set.variants[entries])),
                int((~(var_g[inside] > 0)).sum()),
            )
        )
    print_table(("tissue", "models", "weights", "snps", "models_without_variance"), rows)
