"""Settings of a simulated study, checked when they are built.

In: numbers. Out: a frozen `StudyConfig`, or a `UsageError` that names the setting, what it is and what it may
be. `preset` gives the two named sizes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

from gputwas.errors import UsageError

__all__ = ["PRESETS", "StudyConfig", "preset"]

N_CHROMOSOMES = 22
_LOWEST = {
    "seed": 0, "n_genes": 1, "n_tissues": 1, "n_traits": 1, "n_blocks": 1, "n_empty_blocks": 0,
    "n_variants_per_block": 2, "n_haplotypes": 20, "n_expression": 20, "n_reference": 0, "null_every": 0,
    "n_patterns": 1,
}  # fmt: skip
_SHARES = (
    "phenotypic_correlation", "missing_share", "swap_share", "strand_share", "palindromic_share",
    "model_flip_share", "non_rs_share",
)  # fmt: skip


@dataclass(frozen=True)
class StudyConfig:
    """What a simulated study consists of.

    Attributes
    ----------
    seed : every random number of the study follows from it.
    n_genes, n_tissues, n_traits : sizes; a gene has a model in a tissue only where training found one.
    n_blocks : LD blocks that hold genes, at most `n_genes`; the surplus genes share blocks.
    n_empty_blocks : further blocks, without genes, so that the GWAS files hold variants no model knows.
    n_variants_per_block : variants in each block.
    n_haplotypes : haplotypes of the population; they define the LD exactly.
    n_samples_gwas : people in the two independent cohorts; the third one is both together.
    n_expression : people each tissue's models are trained in.
    n_reference : people each tissue's covariance is computed from; 0 takes the population's own.
    covariance_decimals : decimals of the covariance files, None for all (JTI's files have 3).
    causal_genes : genes with an effect on a trait, by level: shared by all traits of one modality and
        measurement, shared by the traits of one region, the trait's own.
    effect_variance : range of the trait variance that one causal gene explains.
    direct_variance : trait variance of one further variant in each causal block, not through expression.
    null_every : every so-many-th trait has no effect at all and no heritability; 0 for none, 1 for all.
    phenotypic_correlation : correlation of the noise of traits of one region (the same people).
    n_patterns : patterns of missing variants, orientations and strands among the GWAS files.
    missing_share, swap_share, strand_share : shares of variants that a pattern (from the second on) lacks,
        has the other way round, or has on the other strand.
    palindromic_share : share of A/T and C/G variants.
    model_flip_share : share of variants whose effect allele in one tissue's models differs from the others'.
    non_rs_share : share of the variants outside all models that carry no rs number.
    """

    seed: int = 1
    n_genes: int = 300
    n_tissues: int = 5
    n_traits: int = 24
    n_blocks: int = 220
    n_empty_blocks: int = 30
    n_variants_per_block: int = 30
    n_haplotypes: int = 200
    n_samples_gwas: tuple[int, int] = (11_000, 22_000)
    n_expression: int = 400
    n_reference: int = 500
    covariance_decimals: int | None = None
    causal_genes: tuple[int, int, int] = (2, 4, 2)
    effect_variance: tuple[float, float] = (6e-4, 3e-3)
    direct_variance: float = 0.0
    null_every: int = 12
    phenotypic_correlation: float = 0.4
    n_patterns: int = 3
    missing_share: float = 0.03
    swap_share: float = 0.10
    strand_share: float = 0.01
    palindromic_share: float = 0.05
    model_flip_share: float = 0.05
    non_rs_share: float = 0.10

    def __post_init__(self) -> None:
        for name, low in _LOWEST.items():
            _whole(name, getattr(self, name), low)
        for name in _SHARES:
            _share(name, getattr(self, name))
        self._check_blocks()
        self._check_effects()
        if self.n_samples_gwas[0] < 10 or self.n_samples_gwas[1] < 10 or len(self.n_samples_gwas) != 2:
            raise _refusal("n_samples_gwas", self.n_samples_gwas, "two cohorts of at least 10 people")
        if self.n_reference == 1:
            raise _refusal("n_reference", 1, "0 (the population's LD) or at least 2 people")
        if self.covariance_decimals is not None:
            _whole("covariance_decimals", self.covariance_decimals, 1)

    def _check_blocks(self) -> None:
        if self.n_blocks > self.n_genes:
            raise _refusal("n_blocks", self.n_blocks, f"at most n_genes = {self.n_genes} (no gene, no block)")
        if self.n_haplotypes <= self.n_variants_per_block:
            raise _refusal(
                "n_haplotypes", self.n_haplotypes,
                f"more than n_variants_per_block = {self.n_variants_per_block}, or LD has no full rank",
            )  # fmt: skip

    def _check_effects(self) -> None:
        low, high = self.effect_variance
        if not 0 < low <= high < 1:
            raise _refusal("effect_variance", self.effect_variance, "0 < lowest <= highest < 1")
        if len(self.causal_genes) != 3 or min(self.causal_genes) < 0 or max(self.causal_genes) > self.n_genes:
            raise _refusal("causal_genes", self.causal_genes, f"three numbers in 0..n_genes = {self.n_genes}")
        explained = sum(self.causal_genes) * (high + self.direct_variance)
        if not (math.isfinite(self.direct_variance) and self.direct_variance >= 0 and explained < 0.5):
            raise _refusal(
                "effect_variance", self.effect_variance,
                f"at most half of a trait's variance explained in all, not {explained:g}",
            )  # fmt: skip

    @property
    def n_total(self) -> int:
        """People in both cohorts together."""
        return sum(self.n_samples_gwas)

    @property
    def n_variants(self) -> int:
        """Variants of the study, those outside the models included."""
        return (self.n_blocks + self.n_empty_blocks) * self.n_variants_per_block

    def as_dict(self) -> dict[str, object]:
        """Settings as plain values, for the study's own record."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def preset(name: str, **changes: object) -> StudyConfig:
    """Give the settings called `name` ("demo" or "test"), with some of them changed."""
    if name not in PRESETS:
        raise UsageError(f"no simulated study is called {name!r}; there are {', '.join(sorted(PRESETS))}.")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]


def _whole(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise _refusal(name, value, f"a whole number of at least {low}")


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise _refusal(name, value, "at least 0 and below 1")


def _refusal(name: str, found: object, expected: str) -> UsageError:
    return UsageError(f"simulated study: {name} is {found!r}; it must be {expected}.")


PRESETS: dict[str, StudyConfig] = {
    "demo": StudyConfig(direct_variance=2e-5, strand_share=0.004),
    "test": StudyConfig(
        n_genes=24, n_tissues=2, n_traits=5, n_blocks=18, n_empty_blocks=4, n_variants_per_block=12,
        n_haplotypes=60, causal_genes=(0, 2, 1), effect_variance=(3e-3, 6e-3), null_every=5,
    ),
}  # fmt: skip
