"""Small random model sets and GWAS arrays, and the formula of S-PrediXcan written as plainly as possible."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from gputwas.stores.models import ModelSet


def random_model_set(
    rng: np.random.Generator,
    *,
    n_variants: int = 40,
    lengths: tuple[int, ...] = (1, 2, 3, 3, 7, 12, 0),
    extra_without_ld: int = 1,
    tissues: int = 2,
) -> ModelSet:
    """Models of the given lengths in each tissue, each with some SNPs that have no LD."""
    n_in_ld = np.array(lengths * tissues, dtype=np.int32)
    sizes = n_in_ld + extra_without_ld
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    variants = np.concatenate([rng.choice(n_variants, size, replace=False) for size in sizes]).astype(
        np.int32
    )
    triangles, starts = [], [0]
    for n in n_in_ld:
        samples = rng.normal(size=(n + 3, n))
        gamma = samples.T @ samples / max(n + 3, 1)
        triangles.append(gamma[np.triu_indices(n)])
        starts.append(starts[-1] + n * (n + 1) // 2)
    genes = [f"ENSG{i:011d}" for i in range(len(lengths))]
    models = pa.table(
        {
            "tissue": np.repeat([f"Tissue_{t}" for t in range(tissues)], len(lengths)),
            "gene": genes * tissues,
            "gene_name": [f"G{i}" for i in range(len(lengths))] * tissues,
            "n_snps_in_model": pa.array(sizes, pa.int64()),
            "n_snps_in_cov": pa.array([int(n) if n else None for n in n_in_ld], pa.int64()),
        }
    )
    panel = pa.table(
        {
            "variant_id": [f"rs{i}" for i in range(n_variants)],
            "chromosome": pa.array([None] * n_variants, pa.string()),
            "position": pa.array([None] * n_variants, pa.int64()),
            "effect_allele": ["A"] * n_variants,
            "other_allele": ["G"] * n_variants,
        }
    )
    return ModelSet(
        panel=panel,
        models=models,
        offsets=offsets,
        variants=variants,
        weights=rng.normal(size=variants.size),
        n_in_ld=n_in_ld,
        ld_offsets=np.array(starts, dtype=np.int64),
        ld=np.concatenate(triangles),
    )


def random_gwas(
    rng: np.random.Generator, n_traits: int, n_variants: int, missing: float = 0.0, dtype: type = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """z and beta, (traits, variants), with a share of SNPs missing in each trait."""
    z = rng.normal(size=(n_traits, n_variants)).astype(dtype)
    beta = (z * 0.01).astype(dtype)
    gone = rng.random(z.shape) < missing
    z[gone] = np.nan
    beta[gone] = np.nan
    return z, beta


def plain_spredixcan(
    models: ModelSet, model: int, z: np.ndarray, beta: np.ndarray
) -> tuple[float, float, float, int]:
    """z, effect size, var_g and SNPs used of one model in one trait, SNP by SNP as the paper writes it."""
    n = int(models.n_in_ld[model])
    start, ld_start = int(models.offsets[model]), int(models.ld_offsets[model])
    variants, weights = models.variants[start : start + n], models.weights[start : start + n]
    gamma = np.zeros((n, n))
    gamma[np.triu_indices(n)] = models.ld[ld_start : ld_start + n * (n + 1) // 2]
    gamma = gamma + gamma.T - np.diag(np.diag(gamma))
    used = ~np.isnan(z[variants])
    if not used.any():
        return np.nan, np.nan, np.nan, 0
    w, g = weights[used], gamma[np.ix_(used, used)]
    var_g = float(w @ g @ w)
    z_used = z[variants][used].astype(np.float64)
    beta_used = beta[variants][used].astype(np.float64)
    score = float(np.sum(w * np.sqrt(np.diag(g)) * z_used) / np.sqrt(var_g))
    return score, float(np.sum(w * np.diag(g) * beta_used) / var_g), var_g, int(used.sum())
