"""Small random studies with cross-tissue LD, and S-MultiXcan written as plainly as possible.

In: a seed. Out: model, GWAS and association stores with a `GeneLd` that belongs to them, whose panel has
another order and some alleles the other way round; and the joint statistic of one gene and trait.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.stores.gene_ld import GeneLd
from gputwas.stores.models import ModelSet
from gputwas.twas.associate import AssociateSettings, associate
from tests.small_stores import write_gwas, write_models

N_VARIANTS, N_GENES, N_TISSUES = 60, 9, 5


@dataclass(frozen=True)
class JointStudy:
    """Stores of a study, the covariance of all its variants (float64, panel order), and its LD."""

    folder: Path
    models: ModelSet
    covariance: np.ndarray
    ld: GeneLd
    traits: list[str]

    def paths(self) -> dict[str, Any]:
        """Arguments of `multixcan` that name stores."""
        return {"models": self.folder / "models", "gwas": self.folder / "gwas"}

    @property
    def associations(self) -> Path:
        return self.folder / "associations"


def joint_study(folder: Path, seed: int = 0, traits: int = 7, block_size: int = 3) -> JointStudy:
    """Genes in one to five tissues; one gene whose tissues all predict the same, two equal SNPs, SNPs without
    cross-tissue LD, a gene outside the LD, and traits of several patterns of missing SNPs."""
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, 0.3, size=(200, N_VARIANTS)).astype(float)
    dosages[:, 1:] += 0.5 * dosages[:, :-1]
    dosages[:, 7] = dosages[:, 6]
    covariance = np.cov(dosages, rowvar=False)
    models = write_models(folder / "models", _models(rng, covariance))
    z = rng.normal(scale=2, size=(traits, N_VARIANTS)).astype(np.float32)
    z[1::3, rng.random(N_VARIANTS) < 0.2] = np.nan
    z[2::3, rng.random(N_VARIANTS) < 0.6] = np.nan
    z[-1, : 6 + 2 * 6] = np.nan  # all SNPs of the first genes
    names = write_gwas(folder / "gwas", models.panel, z, None)
    settings = AssociateSettings(backend="numpy", precision="float64", block_size=block_size)
    associate(folder / "models", folder / "gwas", folder / "associations", settings=settings)
    return JointStudy(folder, models, covariance, _gene_ld(rng, models.panel, covariance), names)


def _snps_of(gene: int) -> np.ndarray:
    return np.arange(6 * gene, 6 * gene + 12)


def _models(rng: np.random.Generator, covariance: np.ndarray) -> ModelSet:
    """Gene g may use SNPs 6 g ... 6 g + 11; gene 2 has the same weights in all tissues."""
    rows, variants, weights, triangles = [], [], [], []
    shared = rng.normal(size=4)
    for tissue in range(N_TISSUES):
        for gene in range(N_GENES):
            if tissue and rng.random() < 0.35:
                continue
            size = int(rng.integers(1, 7))
            chosen = np.sort(rng.choice(_snps_of(gene)[:11], size, replace=False))
            weight = rng.normal(size=size)
            if gene == 2:
                chosen, weight = _snps_of(gene)[:4], shared
            rows.append((f"Tissue_{(tissue * 3) % N_TISSUES}", f"ENSG{gene:03d}", f"G{gene}"))
            variants.append(chosen)
            weights.append(weight)
            triangles.append(covariance[np.ix_(chosen, chosen)][np.triu_indices(len(chosen))])
    sizes = np.array([len(part) for part in variants])
    tissues, genes, names = zip(*rows, strict=True)
    table: dict[str, Any] = {"tissue": tissues, "gene": genes, "gene_name": names}
    table |= {"n_snps_in_model": sizes, "n_snps_in_cov": sizes}
    panel = pa.table({
        "variant_id": [f"rs{k}" for k in range(N_VARIANTS)],
        "chromosome": pa.nulls(N_VARIANTS, pa.string()),
        "position": pa.nulls(N_VARIANTS, pa.int64()),
        "effect_allele": ["A"] * N_VARIANTS,
        "other_allele": ["G"] * N_VARIANTS,
    })  # fmt: skip
    return ModelSet(
        panel=panel, models=pa.table(table), offsets=np.cumsum([0, *sizes]).astype(np.int64),
        variants=np.concatenate(variants).astype(np.int32), weights=np.concatenate(weights),
        n_in_ld=sizes.astype(np.int32),
        ld_offsets=np.cumsum([0, *(sizes * (sizes + 1) // 2)]).astype(np.int64),
        ld=np.concatenate(triangles),
    )  # fmt: skip


def _gene_ld(rng: np.random.Generator, panel: pa.Table, covariance: np.ndarray) -> GeneLd:
    """All genes but the last; the LD lacks SNP 6 g + 3 of odd genes and has others that no model uses."""
    order = rng.permutation(N_VARIANTS)
    turned = rng.random(N_VARIANTS) < 0.4
    other = panel.take(pa.array(order))
    effect, alternative = (pa.array(np.where(turned, a, b)) for a, b in (("G", "A"), ("A", "G")))
    other = other.set_column(3, "effect_allele", effect).set_column(4, "other_allele", alternative)
    row_of = np.argsort(order)
    sign = np.where(turned, -1.0, 1.0)
    variants, triangles = [], []
    genes = rng.permutation(N_GENES - 1)
    for gene in genes:
        snps = rng.permutation([snp for snp in _snps_of(gene) if gene % 2 == 0 or snp != 6 * gene + 3])
        rows = row_of[snps]
        matrix = covariance[np.ix_(snps, snps)] * np.outer(sign[rows], sign[rows])
        variants.append(rows)
        triangles.append(matrix[np.triu_indices(len(snps))])
    sizes = np.array([len(part) for part in variants])
    return GeneLd(
        panel=other, genes=pa.table({"gene": [f"ENSG{gene:03d}" for gene in genes]}),
        offsets=np.cumsum([0, *sizes]).astype(np.int64), variants=np.concatenate(variants).astype(np.int32),
        ld_offsets=np.cumsum([0, *(sizes * (sizes + 1) // 2)]).astype(np.int64),
        ld=np.concatenate(triangles),
    )  # fmt: skip


@dataclass(frozen=True)
class PlainJoint:
    """What a plain computation finds for one gene in one trait; NaN and 0 where there is no statistic."""

    status: int
    tested: tuple[str, ...] = ()
    n_indep: int = 0
    statistic: float = float("nan")
    eigenvalues: tuple[float, ...] = ()
    tmi: float = float("nan")


def plain_smultixcan(
    study: JointStudy,
    gene: str,
    present: np.ndarray,
    z: dict[str, float],
    cutoff: float,
    regularization: float,
) -> PlainJoint:
    """z' R+ z as SMulTiXcan.py computes it (GeneExpressionMatrixManager.py, Math.py), with ``eigen_ratio``.

    Parameters
    ----------
    present : bool (panel,), SNPs of the GWAS. z : finite z-scores by tissue.
    """
    number = int(gene.removeprefix("ENSG"))
    if number == N_GENES - 1:
        return PlainJoint(-1)
    usable = {snp for snp in _snps_of(number) if present[snp] and (number % 2 == 0 or snp != 6 * number + 3)}
    if not usable:
        return PlainJoint(-1)
    if not z:
        return PlainJoint(-2)
    weights = {}
    for m, (tissue, of_gene) in enumerate(
        zip(study.models.models["tissue"].to_pylist(), study.models.models["gene"].to_pylist(), strict=True)
    ):
        if of_gene == gene and tissue in z:
            entries = slice(int(study.models.offsets[m]), int(study.models.offsets[m + 1]))
            w = np.zeros(N_VARIANTS)
            for snp, weight in zip(
                study.models.variants[entries], study.models.weights[entries], strict=True
            ):
                w[snp] = weight if int(snp) in usable else 0.0
            if w @ study.covariance @ w > 0:
                weights[tissue] = w
    if not weights:
        return PlainJoint(-3)
    tested = sorted(weights)
    w = np.array([weights[tissue] for tissue in tested])
    v = w @ study.covariance @ w.T
    r = v / np.sqrt(np.outer(np.diag(v), np.diag(v)))
    u, s, vt = np.linalg.svd(r + regularization * np.eye(len(r)))
    keep = s >= cutoff * np.linalg.eigvalsh(r)[-1]
    keep[0] = True
    keep &= (s > 1e-9) | (np.arange(len(s)) == 0)
    inverse = (vt[keep].T / s[keep]) @ u[:, keep].T
    scores = np.array([z[tissue] for tissue in tested])
    return PlainJoint(
        0,
        tuple(tested),
        int(keep.sum()),
        float(scores @ inverse @ scores),
        tuple(s),
        float(np.trace(r @ inverse)),
    )
