"""Options that several commands share, each with its flag and help, so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Alpha",
    "Correction",
    "ExecutorOption",
    "Family",
    "H2Threshold",
    "Heritable",
    "KeepUnknownH2",
    "Memory",
    "Store",
    "Tissues",
    "Traits",
]

Store = Annotated[Path, typer.Argument(help="Association store.")]
Traits = Annotated[
    list[str] | None, typer.Option("--trait", help="Only this trait; may be given several times.")
]
Tissues = Annotated[
    list[str] | None, typer.Option("--tissue", help="Only this tissue; may be given several times.")
]
Memory = Annotated[
    str | None, typer.Option("--memory", help="Memory budget, e.g. 4GB (default: half of what is free).")
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="WHERE",
        help="Where the work is done: local:N (N processes here), dask:tcp://HOST:PORT or dask:FILE.json (a "
        "dask cluster whose workers see the same files; pip install 'gputwas[cluster]').",
    ),
]
Alpha = Annotated[float, typer.Option("--alpha", help="Adjusted p at most this.", min=0.0, max=1.0)]
Family = Annotated[
    str, typer.Option("--family", help="Tests corrected together: study, tissue, or a column of the traits.")
]
Correction = Annotated[str, typer.Option("--method", help="bh or bonferroni.")]
Heritable = Annotated[
    bool, typer.Option("--heritable", help="Only traits whose heritability is significant.")
]
H2Threshold = Annotated[
    float | None,
    typer.Option("--h2-z", help="With --heritable: h2 / se(h2) must be above this (default 1.645)."),
]
KeepUnknownH2 = Annotated[
    bool, typer.Option("--keep-unknown-h2", help="With --heritable: keep traits without h2.")
]
