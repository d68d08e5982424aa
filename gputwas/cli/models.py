"""`gputwas models`: import prediction models, compute their LD from genotypes, list what a store holds."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from gputwas.cli.options import Memory
from gputwas.cli.reporting import print_table

__all__ = ["register"]

group = typer.Typer(no_args_is_help=True, help="Prediction models: import, compute LD, list.")


def register(app: typer.Typer) -> None:
    """Hang the group under the main command, with the command that has a module of its own."""
    importlib.import_module("gputwas.cli.fusion")
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
    from gputwas.cli.lean import with_one_blas_thread, with_plain_memory, without_pandas

    with_one_blas_thread()
    without_pandas()
    with_plain_memory()  # Arrow's own allocator takes fresh memory where NumPy's has some
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


Databases = Annotated[
    list[Path], typer.Argument(help="PredictDB/JTI databases (.db), one per tissue, or folders of them.")
]
Genotypes = Annotated[
    list[str],
    typer.Option(
        "--genotypes",
        "-g",
        help="Reference panel: PLINK 1 (.bed), PLINK 2 (.pgen), VCF/BCF or BGEN. For a file per chromosome a "
        "pattern, {chromosome} in the name, or the option several times.",
    ),
]
Samples = Annotated[
    Path | None,
    typer.Option(
        "--samples", help="Only these individuals, e.g. of one ancestry: a file of ids, as PLINK's --keep."
    ),
]
Maf = Annotated[
    float,
    typer.Option("--maf", help="Leave out SNPs whose minor allele is rarer among them.", min=0.0, max=0.5),
]
MaxMissing = Annotated[
    float,
    typer.Option(
        "--max-missing",
        help="Leave out SNPs of which a larger share has no genotype; other gaps take the SNP's mean.",
        min=0.0,
        max=1.0,
    ),
]
SnpKey = Annotated[
    str | None,
    typer.Option(
        "--model-db-snp-key", help="Column of the databases that identifies SNPs, e.g. varID (default rsid)."
    ),
]
MatchOption = Annotated[
    Literal["auto", "id", "position"],
    typer.Option("--match", help="How SNPs are found in the panel; auto takes what finds more."),
]
Genes = Annotated[
    Path | None,
    typer.Option("--genes", help="Gene positions: TSV with gene, chromosome, start, end [, gene_name]."),
]


@group.command("covariance")
def covariance(
    models: Databases,
    genotypes: Genotypes,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Model store to write (default: models, unless other output is named)."
        ),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", help="Folder for MetaXcan's covariance files, <tissue>.txt.gz.")
    ] = None,
    cross_tissue: Annotated[
        Path | None,
        typer.Option(
            "--cross-tissue",
            help="S-MultiXcan's covariance, of each gene's SNPs in all tissues: a folder for a store, or "
            "FILE.txt.gz for MetaXcan's text.",
        ),
    ] = None,
    samples: Samples = None,
    maf: Maf = 0.0,
    max_missing: MaxMissing = 0.1,
    snp_key: SnpKey = None,
    match: MatchOption = "auto",
    genes: Genes = None,
    min_found: Annotated[
        float,
        typer.Option(
            "--min-found",
            help="Least share of SNPs to be found: fewer by id are warned of, fewer by position refused.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.25,
    allow_missing_chromosomes: Annotated[
        bool,
        typer.Option("--allow-missing-chromosomes", help="Go on if the panel has nothing of a chromosome."),
    ] = False,
    digits: Annotated[
        str, typer.Option("--digits", help="Significant digits in text; full gives the same numbers again.")
    ] = "full",
    backend: Annotated[str, typer.Option("--backend", help="auto, numpy, jax or cupy.")] = "auto",
    memory: Memory = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing stores.")] = False,
) -> None:
    """Compute the LD of prediction models from genotypes, for models that come without a covariance.

    Covariances are of the numbers of effect alleles (as numpy.cov and R's cov compute them), whichever allele
    the panel counts. SNPs that cannot be used are left out and counted by reason.

    Examples:

        gputwas models covariance JTI_*.db --genotypes 1000G_EUR.bed --out models

        \b
        gputwas models covariance mashr_*.db --model-db-snp-key varID --samples eur.txt --maf 0.01 \\
          --genotypes '1000G.chr{chromosome}.vcf.gz' --out models --cross-tissue gene_ld

        \b
        gputwas models covariance JTI_*.db -g 1000G_EUR.bed --text covariances \\
          --cross-tissue snp_covariance.txt.gz
    """
    from gputwas.cli.lean import without_pandas

    without_pandas()
    from gputwas.ingest.ld_genotypes import LdOutputs, Quality, covariance_from_genotypes

    if out is None and text is None and cross_tissue is None:
        out = Path("models")
    report = covariance_from_genotypes(
        models,
        genotypes,
        LdOutputs(out, text, cross_tissue, _digits(digits), overwrite),
        samples=samples,
        snp_key=snp_key,
        gene_table=genes,
        match=match,
        quality=Quality(maf, max_missing),
        min_found=min_found,
        allow_missing_chromosomes=allow_missing_chromosomes,
        backend=backend,
        memory=memory,
    )
    columns, rows = report.as_rows()
    print_table(columns, rows)


def _digits(text: str) -> int | None:
    """A number of digits, or None for `full`."""
    from gputwas.errors import UsageError

    if text == "full":
        return None
    if not text.isdecimal():
        raise UsageError(f"--digits takes a number or full, not {text!r}")
    return int(text)


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
