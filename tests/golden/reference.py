"""The reference program's results on real models, and how ours are compared with them."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

SMALLEST_P = 1e-307  # below it p has lost digits, or is 0
Z_FROM_FLOAT32 = 1e-9  # what is left when z is rounded to float32 as the reference does it


@dataclass(frozen=True)
class Run:
    """One way of calling the reference on one GWAS file."""

    name: str
    gwas: Path
    flags: tuple[str, ...]


def runs(folder: Path) -> list[Run]:
    """The nine runs over six GWAS files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        Run(name, folder / "gwas" / trait["file"], tuple(flags))
        for trait in manifest["traits"]
        for name, flags in trait["runs"].items()
    ]


def tissues(folder: Path) -> list[str]:
    """The 22 tissues."""
    return json.loads((folder / "manifest.json").read_text())["tissues"]


def database(folder: Path, tissue: str) -> Path:
    """Models of a tissue."""
    return folder / "models" / f"TW_{tissue}_0.5.db"


def covariance(folder: Path, tissue: str) -> Path:
    """LD of a tissue's models."""
    return folder / "covariances" / f"TW_{tissue}.txt.gz"


def expected(folder: Path, run: str, tissue: str) -> Path:
    """The csv that the reference wrote, or did not."""
    return folder / "expected" / "spredixcan" / run / f"{run}_TW_{tissue}.csv"


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """Rows by gene, as text; the order of genes is kept."""
    with open(path, newline="") as file:
        return {row["gene"]: row for row in csv.DictReader(file)}


def assert_same(
    got: Path, want: Path, *, relative: float = 1e-6, z_bound: float | None = None, text: bool = True
) -> None:
    """Same genes, columns, order and values.

    Parameters
    ----------
    relative : bound of all real numbers; p is compared on the log scale.
    z_bound : if given, z may differ by z_bound max(1, |z|), and p and effect size accordingly.
    text : counts and names must be spelled the same.
    """
    ours, theirs = read_rows(got), read_rows(want)
    assert list(ours) == list(theirs), f"{got.name}: other genes or another order"
    for gene, reference in theirs.items():
        mine = ours[gene]
        assert list(mine) == list(reference), f"{got.name}: other columns"
        for column, value in reference.items():
            found = mine[column]
            where = f"{got.name}, {gene}, {column}: {found} against {value}"
            if value == "NA" or found == "NA" or column in ("gene", "gene_name"):
                assert found == value, where
            elif column.startswith("n_snps"):
                assert found == value if text else float(found) == float(value), where
            else:
                bound = relative if z_bound is None or column == "var_g" else max(relative, z_bound)
                assert _close(float(found), float(value), column, reference, bound, z_bound), where


def _close(
    found: float, value: float, column: str, row: dict[str, str], relative: float, z_bound: float | None
) -> bool:
    if column in ("pvalue", "best_gwas_p"):
        if found < SMALLEST_P and value < SMALLEST_P:
            return True
        # d log10 p = 0.43 |z| dz for large z, so the bound on z is widened by |z|^2 ~ 4.6 |log10 p|
        slack = 1e-6 if z_bound is None else z_bound
        size = abs(math.log10(value)) if value > 0 else 308.0
        return abs(math.log10(found) - math.log10(value)) <= slack * max(1.0, 5 * size)
    if column == "effect_size" and z_bound is not None:
        z = abs(float(row["zscore"]))  # effect and z cancel alike, so the bound is on the scale of z = 1
        return abs(found - value) <= z_bound * abs(value) * max(1.0, z) / max(z, 1e-9)
    if column == "zscore" and z_bound is not None:
        return abs(found - value) <= z_bound * max(1.0, abs(value))
    return math.isclose(found, value, rel_tol=relative, abs_tol=1e-12)
