"""In: sizes and a seed. Out: models, covariances and GWAS files in real formats, and the z they imply.

The shape is that of the published JTI models of Frontal_Cortex_BA9 (9,209 genes, 82,919 weights, 0.63 million
covariance rows, values rounded to 3 decimals) and of BIG40 files (`chr rsid pos a1 a2 beta se pval(-log10)`,
a2 the effect allele, chromosomes 01..22 and 0X). SNPs of the models are neither palindromic nor repeated, so
every way of treating alleles gives one answer and programs can be compared.
"""

from __future__ import annotations

import gzip
import io
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from scipy.signal import lfilter
from scipy.special import log_ndtr

__all__ = ["Sizes", "Study", "Tissue", "make_study"]

# Megabases of the GRCh37 chromosomes 1..22 and X: variants are spread in proportion.
CHROMOSOME_MB = (
    249,
    243,
    198,
    191,
    181,
    171,
    159,
    146,
    141,
    136,
    135,
    134,
    115,
    107,
    103,
    90,
    81,
    78,
    59,
    63,
    48,
    51,
)
X_MB = 155
LD_DECAY = 0.7  # correlation of neighbouring variants
SNPS_SHAPE = 1.64  # gamma shape of SNPs per gene; with mean 9 it gives JTI's 68 covariance rows per gene
WINDOW = 400  # a gene's SNPs lie within this many consecutive variants
PALINDROMES = ("AT", "TA", "CG", "GC")
COHORT = 33_000


@dataclass(frozen=True)
class Sizes:
    """How large the study is: `genes` and `weights` per tissue, `found` = share of model SNPs in the GWAS."""

    rows: int = 1_000_000
    genes: int = 9_200
    weights: int = 83_000
    traits: int = 1
    tissues: int = 1
    found: float = 0.93


@dataclass(frozen=True)
class Tissue:
    """One tissue's files and the arrays behind them; gene g has ``snps[offsets[g]:offsets[g + 1]]``."""

    name: str
    model: Path
    covariance: Path
    genes: np.ndarray  # (genes,) str, sorted
    offsets: np.ndarray  # (genes + 1,) int64
    snps: np.ndarray  # (weights,) int64, index of the variant
    weights: np.ndarray  # (weights,) float64, for the alternative allele


@dataclass(frozen=True)
class Study:
    """Everything written, and what is needed to know the right answer."""

    sizes: Sizes
    tissues: list[Tissue]
    gwas: list[Path]
    in_gwas: np.ndarray  # (variants,) bool
    variance: np.ndarray  # (variants,) float64, of the allele count
    z: list[np.ndarray]  # per trait (variants,) float32, beta / se as printed

    def expected_z(self, tissue: Tissue, trait: int) -> np.ndarray:
        """z-score of every gene, (genes,) float64, straight from the formula; NaN where no SNP is left."""
        expected = np.full(tissue.genes.size, np.nan)
        for gene in range(tissue.genes.size):
            part = slice(tissue.offsets[gene], tissue.offsets[gene + 1])
            snps, w = tissue.snps[part], tissue.weights[part]
            keep = self.in_gwas[snps]
            snps, w = snps[keep], w[keep]
            cov = _covariance(snps[:, None], snps[None, :], self.variance)
            var_g = w @ cov @ w
            if snps.size and var_g > 0:
                expected[gene] = np.sum(w * np.sqrt(np.diag(cov)) * self.z[trait][snps]) / np.sqrt(var_g)
        return expected


def make_study(folder: Path, sizes: Sizes, seed: int = 1) -> Study:
    """Write the study under `folder` (``models/``, ``gwas/``) and return it.

    Every random number is keyed by (seed, what it is for, index), so trait 3 is the same file in a study of
    5 traits and in one of 20.
    """
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "gwas").mkdir(exist_ok=True)
    variants = _draw_variants(sizes, np.random.default_rng([seed, 0]))
    tissues = [
        _write_tissue(folder / "models", f"Tissue_{k + 1:02d}", variants, sizes, seed, k)
        for k in range(sizes.tissues)
    ]
    in_gwas = _choose_rows(variants, tissues, sizes, np.random.default_rng([seed, 1]))
    paths, z = [], []
    for k in range(sizes.traits):
        path = folder / "gwas" / f"{k + 1:04d}.txt.gz"
        z.append(_write_gwas(path, variants, in_gwas, np.random.default_rng([seed, 3, k])))
        paths.append(path)
    return Study(sizes, tissues, paths, in_gwas, variants["variance"], z)


def _draw_variants(sizes: Sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Variants in genome order: more than the GWAS has rows, so that some model SNPs can be missing."""
    count = sizes.rows + int((1 - sizes.found) * sizes.weights * sizes.tissues) + 1
    megabases = np.array([*CHROMOSOME_MB, X_MB], float)
    chromosome = np.sort(rng.choice(megabases.size, size=count, p=megabases / megabases.sum()))
    labels = np.array([f"{c:02d}" for c in range(1, 23)] + ["0X"])[chromosome]
    step = rng.integers(1, 2 * int(megabases.sum() * 1e6) // count, size=count)
    position = np.cumsum(step)
    start = np.searchsorted(chromosome, np.arange(megabases.size))
    position = position - position[np.minimum(start, count - 1)][chromosome] + 10_000
    snv = np.array([a + b for a in "ACGT" for b in "ACGT" if a != b])
    pair = snv[rng.integers(snv.size, size=count)]
    reference, alternative = pair.view("U1")[0::2].astype("U6"), pair.view("U1")[1::2].astype("U6")
    indel = rng.random(count) < 0.08
    alternative[indel] = np.char.add(
        reference[indel], np.array(["A", "TT", "CAC", "GTGT"])[rng.integers(4, size=indel.sum())]
    )
    ids = np.char.add("rs", (np.arange(count) * 37 + 10_019).astype(str))
    nameless = rng.random(count) < 0.03
    coded = [
        f"{c}:{p}_{r}_{a}"
        for c, p, r, a in zip(
            labels[nameless], position[nameless], reference[nameless], alternative[nameless], strict=True
        )
    ]
    ids = ids.astype("U24")
    ids[nameless] = coded
    frequency = rng.uniform(0.01, 0.5, size=count)
    eligible = ~indel & ~nameless & ~np.isin(pair, PALINDROMES) & (chromosome < 22)
    return {
        "chromosome": labels,
        "position": position,
        "reference": reference,
        "alternative": alternative,
        "id": ids,
        "variance": 2 * frequency * (1 - frequency),
        "eligible": eligible,
        "turned": rng.random(count) < 0.5,  # the models' effect allele is the reference
    }


def _covariance(first: np.ndarray, second: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Covariance of pairs of variants, rounded to 3 decimals as in JTI; correlation falls geometrically."""
    correlation = LD_DECAY ** np.abs(first - second)
    return np.round(correlation * np.sqrt(variance[first] * variance[second]), 3)


def _snps_per_gene(sizes: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Numbers of SNPs, (genes,) int64, that sum to the number of weights; skewed as in the JTI models."""
    mean = sizes.weights / sizes.genes - 1
    counts = 1 + rng.poisson(rng.gamma(SNPS_SHAPE, mean / SNPS_SHAPE, size=sizes.genes))
    counts = np.minimum(counts, WINDOW // 4)
    surplus = int(counts.sum() - sizes.weights)
    while surplus:
        movable = np.flatnonzero(counts > 1) if surplus > 0 else np.flatnonzero(counts < WINDOW // 4)
        chosen = rng.choice(movable, size=min(abs(surplus), movable.size), replace=False)
        counts[chosen] -= np.sign(surplus)
        surplus = int(counts.sum() - sizes.weights)
    return counts


def _write_tissue(
    folder: Path, name: str, variants: dict[str, np.ndarray], sizes: Sizes, seed: int, index: int
) -> Tissue:
    """Draw one tissue's models and write the database and the covariance file."""
    rng = np.random.default_rng([seed, 2, index])
    eligible = np.flatnonzero(variants["eligible"])
    counts = _snps_per_gene(sizes, rng)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    window = min(WINDOW, eligible.size)
    starts = np.sort(rng.integers(0, eligible.size - window + 1, size=sizes.genes))
    chosen = [
        start + np.sort(rng.choice(window, size=n, replace=False))
        for start, n in zip(starts, counts, strict=True)
    ]
    snps = eligible[np.concatenate(chosen)]
    weights = np.round(rng.normal(0, 0.1, size=snps.size), 9)
    weights[weights == 0] = 0.05
    genes = np.array([f"ENSG{k:011d}" for k in range(sizes.genes)])
    tissue = Tissue(
        name, folder / f"JTI_{name}.db", folder / f"JTI_{name}.txt.gz", genes, offsets, snps, weights
    )
    _write_model(tissue, variants, rng)
    _write_covariance(tissue, variants)
    return tissue


def _write_model(tissue: Tissue, variants: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Write the SQLite database with JTI's tables; weights of turned variants are per reference allele."""
    turned = variants["turned"][tissue.snps]
    reference, alternative = variants["reference"][tissue.snps], variants["alternative"][tissue.snps]
    gene_of = np.repeat(tissue.genes, np.diff(tissue.offsets))
    rows = zip(
        variants["id"][tissue.snps].tolist(),
        gene_of.tolist(),
        np.where(turned, -tissue.weights, tissue.weights).tolist(),
        np.where(turned, alternative, reference).tolist(),
        np.where(turned, reference, alternative).tolist(),
        strict=True,
    )
    r2 = np.round(rng.uniform(0.01, 0.6, size=tissue.genes.size), 6)
    counts = np.diff(tissue.offsets)
    tissue.model.unlink(missing_ok=True)
    database = sqlite3.connect(tissue.model)
    with database:
        database.execute(
            "CREATE TABLE weights (rsid TEXT, gene TEXT, weight REAL, ref_allele TEXT, eff_allele TEXT)"
        )
        database.execute(
            'CREATE TABLE extra (gene TEXT, genename TEXT, "pred.perf.R2" REAL, "n.snps.in.model" INTEGER,'
            ' "pred.perf.pval" REAL, "pred.perf.qval" REAL)'
        )
        database.execute('CREATE TABLE sample_info ("n.samples" INTEGER)')
        database.executemany("INSERT INTO weights VALUES (?, ?, ?, ?, ?)", rows)
        table = zip(
            tissue.genes.tolist(),
            [f"GENE{k}" for k in range(tissue.genes.size)],
            r2.tolist(),
            counts.tolist(),
            (1e-3 * (1 - r2)).tolist(),
            (2e-3 * (1 - r2)).tolist(),
            strict=True,
        )
        database.executemany("INSERT INTO extra VALUES (?, ?, ?, ?, ?, ?)", table)
        database.execute("INSERT INTO sample_info VALUES (175)")
    database.close()


def _write_covariance(tissue: Tissue, variants: dict[str, np.ndarray]) -> None:
    """Write the upper triangles with diagonal, gene by gene; signs belong to the models' effect alleles."""
    counts = np.diff(tissue.offsets)
    size_of = np.repeat(counts, counts)  # SNPs of the gene that a weight belongs to
    rank = np.arange(tissue.snps.size) - np.repeat(tissue.offsets[:-1], counts)
    partners = size_of - rank  # rows in which this SNP comes first
    first = np.repeat(np.arange(tissue.snps.size), partners)
    begin = np.concatenate([[0], np.cumsum(partners)])[:-1]
    second = first + (np.arange(first.size) - np.repeat(begin, partners))
    value = _covariance(tissue.snps[first], tissue.snps[second], variants["variance"])
    turned = variants["turned"][tissue.snps]
    value = np.where(turned[first] != turned[second], -value, value) + 0.0  # no minus zero
    gene_of = np.repeat(tissue.genes, counts)
    ids = variants["id"][tissue.snps]
    table = pa.table({"GENE": gene_of[first], "RSID1": ids[first], "RSID2": ids[second], "VALUE": value})
    _write_text(tissue.covariance, "GENE RSID1 RSID2 VALUE", table)


def _choose_rows(
    variants: dict[str, np.ndarray], tissues: list[Tissue], sizes: Sizes, rng: np.random.Generator
) -> np.ndarray:
    """Variants the GWAS files have, (variants,) bool: `sizes.rows`, with the wanted share of model SNPs."""
    needed = np.unique(np.concatenate([tissue.snps for tissue in tissues]))
    present = np.ones(variants["id"].size, bool)
    present[rng.choice(needed, size=round((1 - sizes.found) * needed.size), replace=False)] = False
    others = np.setdiff1d(np.flatnonzero(present), needed)
    present[rng.choice(others, size=int(present.sum()) - sizes.rows, replace=False)] = False
    return present


def _write_gwas(
    path: Path, variants: dict[str, np.ndarray], present: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Write one BIG40-like file, neighbours' z correlated as the variants are; return z, (variants,)."""
    noise = rng.normal(size=present.size) * np.sqrt(1 - LD_DECAY**2)
    z = lfilter([1.0], [1.0, -LD_DECAY], noise) * 1.1
    se = _significant(1 / np.sqrt(COHORT * variants["variance"]), 5)
    beta = _significant(z * se, 5)
    nlog10_p = _significant(-(log_ndtr(-np.abs(beta / se)) + np.log(2)) / np.log(10), 5)
    columns = {
        "chr": variants["chromosome"], "rsid": variants["id"], "pos": variants["position"],
        "a1": variants["reference"], "a2": variants["alternative"], "beta": beta, "se": se, "p": nlog10_p,
    }  # fmt: skip
    table = pa.table({name: values[present] for name, values in columns.items()})
    _write_text(path, "chr rsid pos a1 a2 beta se pval(-log10)", table)
    return (beta / se).astype(np.float32)


def _significant(values: np.ndarray, digits: int) -> np.ndarray:
    """Round to a number of significant digits."""
    magnitude = np.floor(np.log10(np.abs(values), where=values != 0, out=np.zeros_like(values)))
    scale = 10.0 ** (digits - 1 - magnitude)
    return np.round(values * scale) / scale


def _write_text(path: Path, header: str, table: pa.Table) -> None:
    """Write a space-separated gzip file, header first."""
    body = io.BytesIO()
    options = pa.csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    pa.csv.write_csv(table, body, options)
    with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as handle:
        handle.write(header.encode() + b"\n")
        handle.write(body.getbuffer())
