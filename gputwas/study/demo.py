"""`gputwas demo`: the whole road on a synthetic study, ending in pictures and one HTML page.

In: a folder. Out: the simulated files, the three stores, the significant associations, pictures and the page;
and, because the truth is known, how many planted associations were found and how many findings are false.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas import __version__
from gputwas.analyses.fdr import SignificantAssociations
from gputwas.analyses.quantiles import Quantiles, study_quantiles
from gputwas.errors import InputError
from gputwas.figures.report import Picture, StudySummary, write_report
from gputwas.ingest.gwas import import_gwas
from gputwas.ingest.models import import_models
from gputwas.simulate.config import StudyConfig, preset
from gputwas.simulate.study import StudyTruth, simulate_study
from gputwas.stores.associations import AssociationStore
from gputwas.study.correct import correct
from gputwas.study.pictures import draw_study, save_figures
from gputwas.study.traits import collect_traits
from gputwas.twas.associate import AssociateReport, AssociateSettings, associate

__all__ = ["DemoReport", "Recovery", "recovery", "run_demo"]

CAPTIONS = {
    "manhattan": (
        "Significant gene–trait associations along the genome",
        "Each point is a gene in one tissue and one trait; the line is the least significant finding.",
    ),
    "qq": ("All p-values of the study", "Observed against expected, with the band of independent tests."),
    "tissues": ("Associations per tissue", "With the number of different genes and traits behind them."),
    "modalities": ("Associations per modality", "With the number of different genes and traits behind them."),
}


@dataclass(frozen=True)
class Recovery:
    """Findings against the truth.

    Attributes
    ----------
    planted : associations (trait, tissue, gene) of planted causal genes; planted_found : of these, found.
    true : associations with E[z] != 0; n_found, n_false : findings, and those with E[z] = 0.
    """

    planted: int
    planted_found: int
    true: int
    n_found: int
    n_false: int

    @property
    def false_share(self) -> float:
        """Realised false discovery proportion; 0 without findings."""
        return self.n_false / self.n_found if self.n_found else 0.0


@dataclass(frozen=True)
class DemoReport:
    """Where everything is, and how well the truth was found."""

    folder: Path
    page: Path
    significant: Path
    pictures: tuple[Path, ...]
    run: AssociateReport
    recovery: Recovery
    seconds: float


def run_demo(
    out: str | os.PathLike[str], *, config: StudyConfig | None = None, workers: int = 1, backend: str = "auto"
) -> DemoReport:
    """Simulate a study, analyse it, and write its pictures and its page into a folder.

    A run that was interrupted goes on where it was.

    Raises
    ------
    InputError : the folder holds something else.
    """
    started = time.monotonic()
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "this is a file, the demo needs a folder", path=folder, remedy="Name another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    truth = simulate_study(folder / "study", config or preset("demo"))
    source = Path(truth.folder)
    import_models(
        sorted((source / "models").glob("*.db")), None, folder / "models",
        gene_table=source / "gene_table.tsv",
    )  # fmt: skip
    entries = collect_traits([], manifest=source / "manifest.tsv")
    imports = import_gwas(entries, folder / "models", folder / "gwas", workers=workers)
    settings = AssociateSettings(backend=backend)
    run = associate(folder / "models", folder / "gwas", folder / "associations", settings=settings)
    significant = folder / "significant.tsv"
    found = correct(folder / "associations", significant).result
    store = AssociationStore.open(folder / "associations")
    quantiles = study_quantiles(store)
    figures = draw_study(store, found, quantiles)
    pictures = save_figures(figures, folder / "figures")
    shown = [Picture(figure, *CAPTIONS[name]) for name, figure in figures.items()]
    seconds = time.monotonic() - started
    page = folder / "report.html"
    write_report(page, _summary(store, found, quantiles, run, imports, shown, seconds))
    return DemoReport(folder, page, significant, tuple(pictures), run, recovery(found.table, truth), seconds)


def recovery(found: pa.Table, truth: StudyTruth) -> Recovery:
    """Count what was found of the truth; true is E[z] != 0, so a gene in LD with a causal one is no error."""
    findings = _keys(found)
    expected = set(_keys(truth.associations))
    planted = set(_keys(truth.causal)) & expected
    return Recovery(
        planted=len(planted),
        planted_found=len(planted & set(findings)),
        true=len(expected),
        n_found=len(findings),
        n_false=sum(key not in expected for key in findings),
    )


def _keys(table: pa.Table) -> list[tuple[str, str, str]]:
    columns = (table[name].to_pylist() for name in ("trait", "tissue", "gene"))
    return list(zip(*columns, strict=True))


def _summary(
    store: AssociationStore,
    found: SignificantAssociations,
    quantiles: Quantiles,
    run: AssociateReport,
    imports: pa.Table,
    pictures: list[Picture],
    seconds: float,
) -> StudySummary:
    return StudySummary(
        title="Synthetic study",
        subtitle="Made by gputwas demo; every association here was planted or arose by chance.",
        traits=run.n_traits,
        tissues=run.n_tissues,
        models=run.n_models,
        tests=quantiles.n_tests,
        significant=found.table.num_rows,
        genes=int(pc.count_distinct(found.table["gene"]).as_py()),
        alpha=found.alpha,
        pictures=pictures,
        associations=found.table,
        imports=_import_columns(imports),
        provenance={
            "Versions": {"gputwas": __version__, "NumPy": np.__version__, "Arrow": pa.__version__},
            "Run": {
                "device": run.device,
                "patterns of missing SNPs": run.n_patterns,
                "variants of the models in the GWAS panel": f"{run.variants_found:,} of {run.n_variants:,}",
                "λ_GC of all tests": f"{quantiles.lambda_gc:.3f}",
                "seconds, association alone": f"{run.seconds:.2f}",
                "seconds, everything": f"{seconds:.1f}",
            },
            "Parameters": {name: str(value) for name, value in store.manifest.parameters.items()},
        },
    )


def _import_columns(imports: pa.Table) -> pa.Table:
    """The import report as the page shows it: only reasons that occurred, without their prefix."""
    kept = ["trait", "rows_read", "found_share", "matched", "swapped", "strand"]
    dropped = [
        name
        for name in imports.column_names
        if name.startswith("dropped_") and name != "dropped_not_in_panel" and pc.sum(imports[name]).as_py()
    ]
    table = imports.select([*kept, *dropped])
    return table.rename_columns([name.removeprefix("dropped_") for name in table.column_names])
