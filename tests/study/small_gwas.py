"""One tissue of three genes and a GWAS over its six SNPs, small enough to compute every number by hand.

G1 has rs1, rs2; G2 has rs3; G3 has rs4, rs5, rs6. Γ has sd 0.5 everywhere and correlation 0.2 between SNPs
of one gene. The GWAS names the model's effect allele, and z = β / se = 1, 2, ... 6.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from gputwas.cli.main import main
from gputwas.formats.metaxcan import read_associations

GENES = {"G1.1": ("rs1", "rs2"), "G2.1": ("rs3",), "G3.1": ("rs4", "rs5", "rs6")}
WEIGHTS = {"rs1": 0.5, "rs2": -0.75, "rs3": 2.0, "rs4": 1.0, "rs5": 0.5, "rs6": -1.0}
SNPS = tuple(WEIGHTS)
EFFECT, OTHER = dict(zip(SNPS, "ACAGAC", strict=True)), dict(zip(SNPS, "GTCTGA", strict=True))
Z = dict(zip(SNPS, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
SE = 0.01
HEADER = ("snp_id", "chr", "ea", "oa", "b", "s")
FLAGS = [
    "--snp_column", "snp_id", "--effect_allele_column", "ea", "--non_effect_allele_column", "oa",
    "--beta_column", "b", "--se_column", "s",
]  # fmt: skip


def gwas_row(snp: str) -> list[str]:
    """A SNP's row: rs1 to rs3 lie on chromosome 1, the others on 2."""
    return [snp, "1" if snp < "rs4" else "2", EFFECT[snp], OTHER[snp], repr(Z[snp] * SE), repr(SE)]


def write_gwas_table(
    path: Path,
    rows: Iterable[Sequence[str]] | None = None,
    *,
    header: Sequence[str] = HEADER,
    separator: str = "\t",
) -> Path:
    """Write the GWAS, or other rows, as text."""
    chosen = [gwas_row(snp) for snp in SNPS] if rows is None else rows
    path.write_text("".join(separator.join(row) + "\n" for row in [header, *chosen]))
    return path


def write_database(
    path: Path,
    *,
    key: Callable[[str], str] = str,
    phi: Sequence[float | None] | None = None,
    genes: dict[str, tuple[str, ...]] = GENES,
) -> Path:
    """Write the models; `key` makes the column varID of an rs number."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "create table weights "
            "(rsid text, varID text, gene text, weight real, ref_allele text, eff_allele text)"
        )
        connection.executemany(
            "insert into weights values (?, ?, ?, ?, ?, ?)",
            [
                (snp, key(snp), gene, WEIGHTS[snp], OTHER[snp], EFFECT[snp])
                for gene, snps in genes.items()
                for snp in snps
            ],
        )
        connection.execute(
            'create table extra (gene text, genename text, "n.snps.in.model" integer, "pred.perf.R2" real, '
            '"pred.perf.pval" real, "pred.perf.qval" real' + (", phi real)" if phi else ")")
        )
        extra = [(gene, f"N{gene}", len(snps), 0.1, 0.01, 0.02) for gene, snps in genes.items()]
        for i, row in enumerate(extra):
            values = (*row, phi[i]) if phi else row
            connection.execute(f"insert into extra values ({', '.join('?' * len(values))})", values)
        connection.commit()
    return path


def write_covariance(path: Path, *, key: Callable[[str], str] = str) -> Path:
    """Write Γ of every gene."""
    lines = ["GENE RSID1 RSID2 VALUE"]
    for gene, snps in GENES.items():
        for i, first in enumerate(snps):
            lines += [
                f"{gene} {key(first)} {key(other)} {0.25 if other == first else 0.05}" for other in snps[i:]
            ]
    path.write_text("\n".join(lines) + "\n")
    return path


def expected(gene: str, z: dict[str, float] = Z) -> tuple[float, float, float]:
    """z, effect size and var_g of a gene over the SNPs that `z` has, from the formula."""
    used = [snp for snp in GENES[gene] if snp in z]
    w = np.array([WEIGHTS[snp] for snp in used])
    scores = np.array([z[snp] for snp in used])
    gamma = np.full((len(used), len(used)), 0.05) + np.eye(len(used)) * 0.2
    var_g = float(w @ gamma @ w)
    return float(w @ (0.5 * scores)) / math.sqrt(var_g), float(w @ (0.25 * scores * SE)) / var_g, var_g


def spredixcan(folder: Path, *words: str | Path, out: str = "out.csv", gwas: str | None = "gwas.txt",
               covariance: bool = True) -> int:  # fmt: skip
    """Exit code of the drop-in command on the files of a folder."""
    given = ["--model_db_path", folder / "models.db", "--output_file", folder / out]
    given += ["--covariance", folder / "covariance.txt"] if covariance else []
    given += ["--gwas_file", folder / gwas] if gwas else []
    return main([str(word) for word in ("spredixcan", "--quiet", *given, *words)])


def result(path: Path) -> dict[str, dict]:
    """Rows of a csv by gene."""
    return {row["gene"]: row for row in read_associations(path).to_pylist()}


def assert_result(path: Path, z: dict[str, float] = Z, *, genes: Sequence[str] = tuple(GENES)) -> None:
    """The csv has these genes, each with the numbers of the formula over the SNPs that `z` has."""
    rows = result(path)
    assert sorted(rows) == sorted(genes)
    for gene, row in rows.items():
        want = expected(gene, z)
        got = (row["zscore"], row["effect_size"], row["var_g"])
        assert np.allclose(got, want, rtol=2e-7, atol=0), f"{gene}: {got}, not {want}"
        assert row["n_snps_used"] == sum(snp in z for snp in GENES[gene])
