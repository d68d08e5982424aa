"""`gputwas models fusion`: FUSION's weights into a model store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gputwas.cli.models import group
from gputwas.cli.options import ExecutorOption
from gputwas.cli.reporting import print_table

__all__ = ["fusion"]


@group.command("fusion")
def fusion(
    lists: Annotated[list[Path], typer.Argument(metavar="POS...", help="FUSION's lists of weights (.pos).")],
    ld: Annotated[
        list[str],
        typer.Option(
            "--ld",
            help="LD reference: genotypes (PLINK, VCF, BGEN), one file set or one per chromosome, as in "
            "LDREF/1000G.EUR.{chromosome}. May be given several times.",
        ),
    ],
    weights_dir: Annotated[
        Path | None,
        typer.Option("--weights-dir", help="Folder that the column WGT starts from (default: the list's)."),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            help="Samples of the LD reference to use: a file with an id, or family and id, on each line.",
        ),
    ] = None,
    force_model: Annotated[
        str | None,
        typer.Option(
            "--force-model",
            metavar="NAME",
            help="Use this model of every gene (lasso, enet, blup, top1 ...), not the one with the least "
            "cross-validated p.",
        ),
    ] = None,
    per: Annotated[
        str,
        typer.Option(
            "--per",
            help="Unit of the weights in the store: dosage (as in PredictDB's) or sd (of the genotype, as in "
            "FUSION's files). z is the same.",
        ),
    ] = "dosage",
    executor: ExecutorOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model store to write.")] = Path("models"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing store.")] = False,
) -> None:
    """Read FUSION's weights, with the LD that they need, into a model store.

    Of every gene the model is taken that FUSION.assoc_test.R would take, and `gputwas associate` then gives
    FUSION's z wherever the GWAS has all SNPs; SNPs that it lacks are left out, where FUSION imputes them.

    FUSION's weights w are of standardised genotypes and their covariance is the correlation R of the LD
    reference; PredictDB's are of dosages, with covariance D R D and weights w / sd. Both give the same z and
    var_g. What differs is the effect size: with --per dosage it is right for the usual betas per allele, with
    --per sd for a GWAS whose betas are per standard deviation of the genotype.

    Examples:

        gputwas models fusion WEIGHTS/GTEx.Whole_Blood.pos --ld LDREF/1000G.EUR.{chromosome} --out models

        gputwas models fusion WEIGHTS/*.pos --ld LDREF/1000G.EUR. --force-model lasso --executor local
    """
    from gputwas.cli.lean import without_pandas
    from gputwas.errors import UsageError

    if per not in ("sd", "dosage"):
        raise UsageError(f"--per is sd or dosage, not {per!r}")
    without_pandas()
    from gputwas.ingest.fusion import import_fusion

    report = import_fusion(
        lists,
        ld,
        out,
        weights_dir=weights_dir,
        samples=samples,
        force_model=force_model,
        per=per,  # type: ignore[arg-type]
        executor=executor,
        overwrite=overwrite,
    )
    columns, rows = report.as_rows()
    print_table(columns, rows)
