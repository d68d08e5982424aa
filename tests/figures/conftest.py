"""Made-up tables in the shape of the real ones, for drawing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

TISSUES = (
    "Brain_Amygdala", "Brain_Anterior_cingulate_cortex_BA24", "Brain_Caudate_basal_ganglia",
    "Brain_Cerebellar_Hemisphere", "Brain_Cerebellum", "Brain_Cortex", "Brain_Frontal_Cortex_BA9",
    "Brain_Hippocampus", "Brain_Hypothalamus", "Brain_Nucleus_accumbens_basal_ganglia",
    "Brain_Putamen_basal_ganglia", "Brain_Spinal_cord_cervical_c-1", "Brain_Substantia_nigra", "Whole_Blood",
    "Adipose_Subcutaneous", "Artery_Tibial", "Liver", "Cells_EBV-transformed_lymphocytes", "Pituitary",
)  # fmt: skip
MODALITIES = {
    "rfMRI": 1701, "T1": 1319, "dMRI": 675, "QC": 133, "rfMRI_amplitudes": 76, "tfMRI": 16, "T2star": 14,
    "T2_FLAIR": 1,
}  # fmt: skip
LENGTHS = np.array([
    249, 243, 198, 191, 180, 171, 159, 146, 141, 135, 135, 133, 115, 107, 102, 90, 81, 78, 59, 63, 48, 51,
    155,
]) * 10**6  # fmt: skip
NAMES = ("MAPT", "KANSL1", "LRRC37A2", "CRHR1", "HLA-B", "ZIC4", "ADAM11", "DAAM1", "NUFIP2", "AC012213.1")


def make_significant(rows: int, *, genes: int = 700, seed: int = 1, hot: float = 0.002) -> pa.Table:
    """Associations as a study of brain traits yields them: few genes with very many, most with few."""
    rng = np.random.default_rng(seed)
    chromosome = rng.choice(23, genes, p=LENGTHS / LENGTHS.sum())
    start = (rng.random(genes) * LENGTHS[chromosome] * 0.97).astype(np.int64) + 1
    # A third of the genes crowd in a few loci, as at 17q21.31.
    crowd = rng.random(genes) < 0.33
    locus = rng.integers(0, 9, genes)
    chromosome[crowd] = np.array([16, 3, 5, 2, 9, 13, 16, 0, 11])[locus[crowd]]
    start[crowd] = np.array([43, 103, 31, 147, 134, 59, 27, 215, 106])[locus[crowd]] * 10**6
    start[crowd] += rng.integers(0, 1_500_000, int(crowd.sum()))
    name = np.array([NAMES[i] if i < len(NAMES) else f"GENE{i}" for i in range(genes)], dtype=object)
    weight = rng.pareto(0.9, genes) + 0.05
    row = rng.choice(genes, rows, p=weight / weight.sum())
    strength = 3.9 + rng.exponential(2.2, rows) * (1 + 2 * (weight[row] > np.quantile(weight, 0.97)))
    strength[rng.random(rows) < hot] *= rng.uniform(3, 14)
    tissue = rng.choice(len(TISSUES), rows, p=_falling(len(TISSUES)))
    share = np.array(list(MODALITIES.values())) / sum(MODALITIES.values())
    modality = rng.choice(list(MODALITIES), rows, p=share)
    number = rng.integers(0, 3000, rows)
    sign = rng.choice([-1.0, 1.0], genes)[row] * np.where(rng.random(rows) < 0.1, -1, 1)
    return pa.table({
        "trait": [f"{kind}_aparc-Desikan_lh_area_{i}" for kind, i in zip(modality, number, strict=True)],
        "tissue": np.array(TISSUES)[tissue],
        "gene": np.array([f"ENSG{i:011d}" for i in range(genes)])[row],
        "gene_name": pa.array(name[row], pa.string()),
        "chromosome": np.array([*map(str, range(1, 23)), "X"])[chromosome[row]],
        "start": start[row],
        "end": start[row] + rng.integers(2_000, 90_000, rows),
        "z": sign * np.sqrt(2 * np.log(10) * strength),
        "effect_size": sign * rng.random(rows) * 0.2,
        "nlog10_p": strength,
        "nlog10_q": strength * 0.8 - 1.8,
        "modality": modality,
        "atlas": np.full(rows, "Desikan"),
        "side": np.full(rows, "left"),
        "region": np.full(rows, "frontal"),
        "measurement": np.full(rows, "area"),
    })  # fmt: skip


def _falling(count: int) -> np.ndarray:
    share = np.linspace(2, 0.6, count)
    return share / share.sum()


@pytest.fixture(scope="session")
def significant() -> Callable[..., pa.Table]:
    """Factory of made-up tables of significant associations."""
    return make_significant
