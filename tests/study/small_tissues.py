"""A made trait in several tissues, and the joint test of a gene written out plainly.

Genes of six SNPs each; every tissue has weights for some of a gene's SNPs, and an S-PrediXcan result. The
test is computed here as the reference does it, with dictionaries, an SVD and scipy: slowly, and independently
of the package.
"""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats

from gputwas.cli.main import main

TISSUES = ("Blood", "Brain", "Colon", "Liver", "Lung", "Skin")
SNPS_PER_GENE = 6
ALLELES = ("A", "C")


@dataclass
class Trait:
    """Everything that the files of a study say.

    Attributes
    ----------
    weights : gene -> tissue -> SNP -> weight. covariance : gene -> pair of SNPs -> value, each pair once.
    z : tissue -> gene -> z-score. names : gene -> its name.
    """

    weights: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    covariance: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    z: dict[str, dict[str, float]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def snps(self) -> list[str]:
        """All SNPs, in order."""
        return sorted({snp for pairs in self.covariance.values() for pair in pairs for snp in pair})


def made_trait(genes: int = 8, seed: int = 1) -> Trait:
    """Genes G00.1, G01.1, ... in all six tissues."""
    rng = np.random.default_rng(seed)
    trait = Trait(z={tissue: {} for tissue in TISSUES})
    for number in range(genes):
        gene = f"G{number:02d}.1"
        trait.names[gene] = f"N{number}"
        snps = [f"rs{number}{i}" for i in range(SNPS_PER_GENE)]
        samples = rng.normal(size=(40, 3)) @ rng.normal(size=(3, SNPS_PER_GENE)) + rng.normal(
            size=(40, SNPS_PER_GENE)
        )
        cov = np.cov(samples.T)
        trait.covariance[gene] = {
            (snps[i], snps[j]): float(cov[i, j])
            for i in range(SNPS_PER_GENE)
            for j in range(i, SNPS_PER_GENE)
        }
        shared = rng.normal(size=SNPS_PER_GENE)
        trait.weights[gene] = {}
        for tissue in TISSUES:
            chosen = rng.permutation(SNPS_PER_GENE)[: rng.integers(2, 5)]
            trait.weights[gene][tissue] = {
                snps[i]: float(shared[i] + 0.3 * rng.normal()) for i in sorted(chosen)
            }
            trait.z[tissue][gene] = float(rng.normal() * 3)
    return trait


def write_trait(folder: Path, trait: Trait) -> None:
    """Write models/TW_<tissue>_0.5.db, results/t_TW_<tissue>.csv, covariance.txt.gz, snps.txt, gwas.txt."""
    (folder / "models").mkdir()
    (folder / "results").mkdir()
    for tissue in sorted({tissue for by_tissue in trait.weights.values() for tissue in by_tissue}):
        write_models(folder / "models" / f"TW_{tissue}_0.5.db", trait, tissue)
    for tissue, scores in trait.z.items():
        write_results(folder / "results" / f"t_TW_{tissue}.csv", scores)
    lines = ["GENE RSID1 RSID2 VALUE"]
    for gene, pairs in trait.covariance.items():
        lines += [f"{gene} {a} {b} {'NA' if v != v else repr(v)}" for (a, b), v in pairs.items()]
    (folder / "covariance.txt.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    (folder / "snps.txt").write_text("\n".join(["rsid", *trait.snps]) + "\n")
    (folder / "gwas.txt").write_text(
        "\n".join(["SNP\tA1\tA2\tZ", *(f"{snp}\tA\tC\t1.5" for snp in trait.snps)]) + "\n"
    )


def write_models(path: Path, trait: Trait, tissue: str) -> None:
    """The models of a tissue; every gene of the trait that has a name is in table extra."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "create table weights (rsid text, gene text, weight real, ref_allele text, eff_allele text)"
        )
        rows = [
            (snp, gene, weight, *ALLELES)
            for gene, by_tissue in trait.weights.items()
            for snp, weight in by_tissue.get(tissue, {}).items()
        ]
        connection.executemany("insert into weights values (?, ?, ?, ?, ?)", rows)
        connection.execute(
            'create table extra (gene text, genename text, "n.snps.in.model" integer, "pred.perf.R2" real, '
            '"pred.perf.pval" real, "pred.perf.qval" real)'
        )
        extra = [(gene, name, 3, 0.1, 0.01, 0.02) for gene, name in trait.names.items()]
        connection.executemany("insert into extra values (?, ?, ?, ?, ?, ?)", extra)
        connection.commit()


def write_results(path: Path, scores: dict[str, float]) -> None:
    """An S-PrediXcan result with these z; NaN is NA."""
    rows = [f"{gene},N,{'NA' if z != z else repr(z)},0.1,0.2,0.3" for gene, z in scores.items()]
    path.write_text("\n".join(["gene,gene_name,zscore,effect_size,pvalue,var_g", *rows]) + "\n")


def smultixcan(folder: Path, *words: str | Path, cutoff: bool = True, snps: bool = True,
               covariance: bool = True, out: str = "out.tsv") -> int:  # fmt: skip
    """Exit code of the drop-in command on the files of a folder."""
    given = ["--models_folder", folder / "models", "--metaxcan_folder", folder / "results"]
    given += ["--output", folder / out]
    given += ["--cutoff_condition_number", "30"] if cutoff else []
    given += ["--snp_covariance", folder / "covariance.txt.gz"] if covariance else []
    given += ["--cleared_snps", folder / "snps.txt"] if snps else []
    return main([str(word) for word in ("smultixcan", "--quiet", *given, *words)])


def table(path: Path) -> dict[str, dict[str, str]]:
    """Rows by gene, as text, in the order of the file."""
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines}


def correlation(trait: Trait, gene: str, tissues: list[str], snps: set[str]) -> np.ndarray:
    """Correlation of the predictions of tissues, over the SNPs given."""
    cov = trait.covariance[gene] | {(b, a): v for (a, b), v in trait.covariance[gene].items()}
    own = [
        {s: w for s, w in trait.weights[gene][tissue].items() if s in snps and (s, s) in cov}
        for tissue in tissues
    ]
    product = np.array(
        [[sum(u * v * cov[s, t] for s, u in a.items() for t, v in b.items()) for b in own] for a in own]
    )
    sd = np.sqrt(np.diagonal(product))
    return product / np.outer(sd, sd)


def joint(r: np.ndarray, z: np.ndarray, condition_number: float = 30) -> tuple[float, int]:
    """p of the joint test, and components kept: by a truncated SVD."""
    u, s, vt = np.linalg.svd(r)
    n = max(1, int((s >= s[0] / condition_number).sum()))
    statistic = z @ (vt[:n].T / s[:n]) @ u[:, :n].T @ z
    return float(stats.chi2.sf(statistic, n)), n
