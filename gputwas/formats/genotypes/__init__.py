"""Individual genotypes of a reference panel, whatever file they are in.

In: PLINK 1 (.bed), PLINK 2 (.pgen), VCF, BCF or BGEN files, one file set or one per chromosome, and the
samples to keep. Out: one panel with its samples, its variants and the dosages of any rows (`open`).
"""
