"""The account of covariances from genotypes: what became of every tissue's SNPs.

In: counts. Out: rows a person reads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["LdReport", "TissueLdReport"]


@dataclass(frozen=True)
class TissueLdReport:
    """Counts of one tissue; None where a store that was there already does not tell.

    `weights` is the sum of `used` and of those left out by reason.

    Attributes
    ----------
    tissue : its name. models : genes with weights. weights : SNPs of all models, each as often as it occurs.
    used : of which covariances are computed.
    not_in_panel : the panel has no such id, or nothing at the position.
    no_chromosome : the panel has nothing of the chromosome.
    other_alleles : the panel's alleles are others, on both strands.
    duplicate : several variants of the panel fit.
    missing : too many samples have no genotype.
    no_variance : all samples have the same genotype.
    below_maf : the minor allele is too rare.
    models_without_ld : models of which no SNP is left.
    turned : used SNPs of which the panel counts the model's other allele.
    other_strand : used SNPs that the panel writes on the other strand.
    """

    tissue: str
    models: int
    weights: int
    used: int
    not_in_panel: int | None = None
    no_chromosome: int | None = None
    other_alleles: int | None = None
    duplicate: int | None = None
    missing: int | None = None
    no_variance: int | None = None
    below_maf: int | None = None
    models_without_ld: int | None = None
    turned: int | None = None
    other_strand: int | None = None


@dataclass(frozen=True)
class LdReport:
    """Counts of all tissues.

    Attributes
    ----------
    tissues : one report each, in the order of the databases.
    variants : different SNPs of the models; found : of these, those with a row in the panel.
    samples : individuals of the panel that were used.
    by : "id" or "position", how SNPs were found; None if nothing had to be done.
    genes : genes of the cross-tissue covariance, None if none was asked for.
    already_there : all that was asked for was there from the same inputs, and nothing was written.
    """

    tissues: tuple[TissueLdReport, ...]
    variants: int
    found: int | None
    samples: int
    by: str | None
    genes: int | None = None
    already_there: bool = False

    def as_rows(self) -> tuple[list[str], list[list[object]]]:
        """Column names and one row per tissue."""
        names = [field.name for field in fields(TissueLdReport)]
        return names, [[getattr(tissue, name) for name in names] for tissue in self.tissues]
