"""`gputwas demo`, `simulate`, `plot`, `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gputwas.cli.options import (
    Alpha,
    Correction,
    Family,
    H2Threshold,
    Heritable,
    KeepUnknownH2,
    Store,
    Tissues,
    Traits,
)
from gputwas.cli.reporting import print_table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Hang the commands under the main one."""
    for command in (plot, demo, simulate, doctor):
        app.command(command.__name__)(command)


def plot(
    store: Store = Path("associations"),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("figures"),
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="png, svg or pdf; may be given several times.")
    ] = None,
    alpha: Alpha = 0.05,
    family: Family = "study",
    method: Correction = "bh",
    trait: Traits = None,
    tissue: Tissues = None,
    heritable: Heritable = False,
    h2_z: H2Threshold = None,
    keep_unknown_h2: KeepUnknownH2 = False,
) -> None:
    """Draw Manhattan, QQ, and counts per tissue and modality.

    Example: gputwas plot associations --out figures --format png --format pdf
    """
    from gputwas.analyses.quantiles import study_quantiles
    from gputwas.stores.associations import AssociationStore
    from gputwas.study.correct import correct
    from gputwas.study.pictures import draw_study, save_figures

    found = correct(
        store, None, alpha=alpha, family=family, method=method, traits=trait, tissues=tissue,
        heritable=heritable, h2_z=h2_z, keep_unknown_h2=keep_unknown_h2,
    )  # fmt: skip
    opened = AssociationStore.open(store)
    quantiles = study_quantiles(opened, traits=found.traits, tissues=tissue or None)
    for path in save_figures(draw_study(opened, found.result, quantiles), out, formats or ["png"]):
        typer.echo(str(path))


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another study.")] = 1,
    backend: Annotated[str, typer.Option("--backend", help="auto, numpy, jax or cupy.")] = "auto",
    workers: Annotated[int, typer.Option("--workers", "-j", help="Processes that read.", min=1)] = 1,
) -> None:
    """The whole road on a small synthetic study: files, stores, results, pictures, one HTML page.

    Example: gputwas demo --out demo
    """
    from gputwas.simulate.config import preset
    from gputwas.study.demo import run_demo

    report = run_demo(out, config=preset("demo", seed=seed), workers=workers, backend=backend)
    truth = report.recovery
    typer.echo(
        f"{report.run.n_traits} traits x {report.run.n_models:,} models in {report.run.n_tissues} tissues, "
        f"scored in {report.run.seconds:.2f} s (everything: {report.seconds:.1f} s)\n"
        f"{truth.n_found:,} significant associations at FDR 0.05; {truth.planted_found:,} of the "
        f"{truth.planted:,} planted ones are among them; {truth.n_false} are false ({truth.false_share:.1%})"
    )
    print_table(
        ("what", "where"),
        [
            ("page", report.page),
            ("significant associations", report.significant),
            ("association store", report.folder / "associations"),
            *(("picture", path) for path in report.pictures),
        ],
    )


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("study"),
    name: Annotated[str, typer.Option("--preset", help="demo or test.")] = "demo",
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed, another study.")] = None,
    genes: Annotated[int | None, typer.Option("--genes", help="Number of genes.")] = None,
    tissues: Annotated[int | None, typer.Option("--tissues", help="Number of tissues.")] = None,
    traits: Annotated[int | None, typer.Option("--traits", help="Number of traits.")] = None,
) -> None:
    """Write a synthetic study in the real file formats, with the truth beside it.

    Example: gputwas simulate --out study --traits 100 --tissues 10
    """
    from gputwas.simulate.config import preset
    from gputwas.simulate.study import simulate_study

    changes = {"seed": seed, "n_genes": genes, "n_tissues": tissues, "n_traits": traits}
    if genes is not None:
        changes["n_blocks"] = max(1, genes * 11 // 15)  # some genes share an LD block
    config = preset(name, **{key: value for key, value in changes.items() if value is not None})
    truth = simulate_study(out, config)
    typer.echo(
        f"{out}: {config.n_traits} traits, {len(truth.tissues)} tissues, {sum(truth.n_models):,} models, "
        f"{truth.associations.num_rows:,} true associations"
    )


def doctor() -> None:
    """Say what is installed, which devices work, what is missing and how to get it."""
    from gputwas.study.doctor import examine

    findings = examine()
    print_table(("what", "state", "remark"), [(f.name, f.state, f.remark) for f in findings])
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)
