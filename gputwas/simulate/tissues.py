"""Names of the simulated tissues: those of GTEx v8, brain first.

In: a number. Out: that many names.
"""

from __future__ import annotations

__all__ = ["tissue_names"]

# The 49 tissues of GTEx v8 with models (GTEx Consortium 2020, doi:10.1126/science.aaz1776).
GTEX = (
    "Brain_Frontal_Cortex_BA9", "Brain_Hippocampus", "Brain_Cerebellum", "Whole_Blood", "Liver",
    "Brain_Amygdala", "Brain_Caudate_basal_ganglia", "Brain_Cortex", "Brain_Anterior_cingulate_cortex_BA24",
    "Brain_Hypothalamus", "Brain_Nucleus_accumbens_basal_ganglia", "Brain_Putamen_basal_ganglia",
    "Brain_Cerebellar_Hemisphere", "Brain_Spinal_cord_cervical_c-1", "Brain_Substantia_nigra", "Pituitary",
    "Nerve_Tibial", "Adrenal_Gland", "Thyroid", "Adipose_Subcutaneous", "Adipose_Visceral_Omentum",
    "Artery_Aorta", "Artery_Coronary", "Artery_Tibial", "Breast_Mammary_Tissue",
    "Cells_Cultured_fibroblasts", "Cells_EBV-transformed_lymphocytes", "Colon_Sigmoid", "Colon_Transverse",
    "Esophagus_Gastroesophageal_Junction", "Esophagus_Mucosa", "Esophagus_Muscularis",
    "Heart_Atrial_Appendage", "Heart_Left_Ventricle", "Kidney_Cortex", "Lung", "Minor_Salivary_Gland",
    "Muscle_Skeletal", "Ovary", "Pancreas", "Prostate", "Skin_Not_Sun_Exposed_Suprapubic",
    "Skin_Sun_Exposed_Lower_leg", "Small_Intestine_Terminal_Ileum", "Spleen", "Stomach", "Testis", "Uterus",
    "Vagina",
)  # fmt: skip


def tissue_names(n_tissues: int) -> tuple[str, ...]:
    """Give `n_tissues` names; beyond those of GTEx they are numbered."""
    numbered = (f"Tissue_{number + 1}" for number in range(len(GTEX), n_tissues))
    return (*GTEX[:n_tissues], *numbered)
