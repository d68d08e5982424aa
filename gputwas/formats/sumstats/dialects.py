"""The one table of dialects: which headers a format has, and which column plays which role.

In: nothing. Out: `DIALECTS`; adding a format is adding an entry here. Names are in normal form (lower
case, no leading #); one that begins with ^ is a pattern.
Sources: BIG40 (Smith et al. 2021, doi:10.1038/s41593-021-00826-4, and its page), METAL documentation,
GWAS-SSF (Hayhurst et al. 2022, doi:10.1101/2022.07.15.500230), PLINK 1.9 and 2.0 format pages, REGENIE,
SAIGE, BOLT-LMM and GCTA manuals, PGC daner description, LDSC wiki, Neale lab UKB round 2, FinnGen release
notes, GWAS-VCF (Lyon et al. 2021, doi:10.1186/s13059-020-02248-0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DIALECTS", "Dialect"]


@dataclass(frozen=True)
class Dialect:
    """One format of summary statistics.

    Attributes
    ----------
    name : as in `--dialect`.
    signature : names that must all be in the header; a tuple stands for "any one of these". Of several
        dialects that fit, the one with the longest signature is taken.
    columns : role -> name or names, the first that the header has is taken.
    notes : what a person should know.
    id_list : ids may be a comma-separated list of names of one variant.
    tests : values of the role "test" that mark the additive effect; other rows are of covariates.
    """

    name: str
    signature: tuple[str | tuple[str, ...], ...]
    columns: Mapping[str, str | tuple[str, ...]]
    notes: tuple[str, ...] = ()
    id_list: bool = False
    tests: tuple[str, ...] = field(default=("ADD",))


def _names(text: str) -> str | tuple[str, ...]:
    names = tuple(text.split("|"))
    return names if len(names) > 1 else text


def _dialect(name: str, signature: str, columns: str, *notes: str, id_list: bool = False) -> Dialect:
    """Read an entry of the table: words, alternatives separated by a bar, `role=name` in the columns."""
    pairs = (pair.partition("=") for pair in columns.split())
    return Dialect(
        name,
        tuple(_names(word) for word in signature.split()),
        {role: _names(value) for role, _, value in pairs},
        notes,
        id_list,
    )


DIALECTS: tuple[Dialect, ...] = (
    _dialect(
        "big40",
        """
        chr rsid pos a1 a2 beta se pval(-log10)
        """,
        """
        variant_id=rsid chromosome=chr position=pos effect_allele=a2 other_allele=a1 beta=beta se=se
        nlog10_p=pval(-log10) effect_allele_frequency=af info=info
        """,
        "a2 is the effect allele",
        "p is -log10",
        "chromosomes are 01..22 and 0X",
        "not every id is an rs number",
    ),
    _dialect(
        "metal",
        """
        markername allele1 allele2 p-value effect|zscore
        """,
        """
        variant_id=markername chromosome=chromosome|chr position=position|pos|bp effect_allele=allele1
        other_allele=allele2 beta=effect se=stderr z=zscore p=p-value n=weight|totalsamplesize|n|total_n
        effect_allele_frequency=freq1
        """,
        "Allele1 is the effect allele",
    ),
    _dialect(
        "gwas_ssf",
        """
        chromosome base_pair_location effect_allele other_allele beta|odds_ratio|hazard_ratio|z_score
        p_value|neg_log_10_p_value
        """,
        """
        variant_id=rsid|rs_id|variant_id chromosome=chromosome position=base_pair_location
        effect_allele=effect_allele other_allele=other_allele beta=beta odds_ratio=odds_ratio|hazard_ratio
        se=standard_error z=z_score p=p_value nlog10_p=neg_log_10_p_value n=n
        effect_allele_frequency=effect_allele_frequency info=info
        """,
    ),
    _dialect(
        "gwas_catalog_harmonised",
        """
        hm_effect_allele hm_other_allele hm_rsid|hm_variant_id hm_chrom hm_pos hm_code hm_beta|hm_odds_ratio
        """,
        """
        variant_id=hm_rsid|hm_variant_id chromosome=hm_chrom position=hm_pos
        effect_allele=hm_effect_allele other_allele=hm_other_allele beta=hm_beta odds_ratio=hm_odds_ratio
        se=standard_error p=p_value nlog10_p=neg_log_10_p_value n=n
        effect_allele_frequency=hm_effect_allele_frequency
        """,
        "the harmonised (hm_) columns are taken, on GRCh38",
    ),
    _dialect(
        "enigma",
        """
        snp a1 a2 freq1 beta1|beta se p n marker
        """,
        """
        variant_id=snp chromosome=chr position=bp effect_allele=a1 other_allele=a2 beta=beta1|beta se=se
        p=p n=n effect_allele_frequency=freq1
        """,
        "A1 is the effect allele",
    ),
    _dialect(
        "plink1",
        """
        chr snp bp a1 test nmiss beta|or stat p
        """,
        """
        variant_id=snp chromosome=chr position=bp effect_allele=a1 other_allele=a2 beta=beta odds_ratio=or
        se=se z=stat p=p n=nmiss test=test
        """,
        "A1 is the effect allele",
        "rows with TEST other than ADD are left out",
    ),
    _dialect(
        "plink1_assoc",
        """
        chr snp bp a1 f_a f_u a2 chisq p or
        """,
        """
        variant_id=snp chromosome=chr position=bp effect_allele=a1 other_allele=a2 odds_ratio=or se=se p=p
        """,
        "A1 is the effect allele",
    ),
    _dialect(
        "plink2",
        """
        chrom pos id ref alt a1 test obs_ct
        """,
        """
        variant_id=id chromosome=chrom position=pos effect_allele=a1 other_allele=omitted|ax
        ref_allele=ref alt_allele=alt beta=beta odds_ratio=or se=se|log(or)_se
        z=t_stat|z_stat|z_or_f_stat|t_or_f_stat|z_or_chisq_stat|t_or_chisq_stat p=p
        nlog10_p=log10_p|neg_log10_p n=obs_ct test=test effect_allele_frequency=a1_freq
        info=mach_r2|minimac3_r2
        """,
        "A1 is the effect allele",
        "rows with TEST other than ADD are left out",
    ),
    _dialect(
        "regenie",
        """
        chrom genpos id allele0 allele1 beta se log10p
        """,
        """
        variant_id=id chromosome=chrom position=genpos effect_allele=allele1 other_allele=allele0
        beta=beta se=se nlog10_p=log10p n=n test=test effect_allele_frequency=a1freq info=info
        """,
        "ALLELE1 is the effect allele",
        "LOG10P is -log10 p",
        "rows with TEST other than ADD are left out",
    ),
    _dialect(
        "saige",
        """
        markerid|snpid allele1 allele2 af_allele2 beta se p.value
        """,
        """
        variant_id=rsid|markerid|snpid chromosome=chr position=pos effect_allele=allele2
        other_allele=allele1 beta=beta se=se p=p.value n=n effect_allele_frequency=af_allele2
        info=imputationinfo|imputation_info
        """,
        "Allele2 is the effect allele",
    ),
    _dialect(
        "bolt_lmm",
        """
        snp allele1 allele0 a1freq beta se p_bolt_lmm|p_bolt_lmm_inf|p_linreg
        """,
        """
        variant_id=snp chromosome=chr position=bp effect_allele=allele1 other_allele=allele0 beta=beta
        se=se p=p_bolt_lmm|p_bolt_lmm_inf|p_linreg effect_allele_frequency=a1freq info=info
        """,
        "ALLELE1 is the effect allele",
        "beta and se are of the infinitesimal model",
    ),
    _dialect(
        "fastgwa",
        """
        chr snp pos a1 a2 n af1 beta se p
        """,
        """
        variant_id=snp chromosome=chr position=pos effect_allele=a1 other_allele=a2 beta=beta se=se p=p
        n=n effect_allele_frequency=af1 info=info
        """,
        "A1 is the effect allele",
    ),
    _dialect(
        "daner",
        r"""
        chr snp bp a1 a2 ^frq_a_\d+$ ^frq_u_\d+$ or se p
        """,
        r"""
        variant_id=snp chromosome=chr position=bp effect_allele=a1 other_allele=a2 odds_ratio=or se=se p=p
        info=info effect_allele_frequency=^frq_u_\d+$
        """,
        "A1 is the effect allele",
        "SE is of ln(OR)",
        "the allele frequency is that of the controls",
    ),
    _dialect(
        "pgc",
        """
        chrom pos id a1 a2 beta|or se pval fcas|ngt|ncas|neff|neffdiv2
        """,
        """
        variant_id=id chromosome=chrom position=pos effect_allele=a1 other_allele=a2 beta=beta
        odds_ratio=or se=se p=pval info=impinfo effect_allele_frequency=fcon n=neff
        """,
        "A1 is the effect allele",
        "SE is of ln(OR)",
    ),
    _dialect(
        "ldsc",
        """
        snp a1 a2 z n
        """,
        """
        variant_id=snp chromosome=chr position=bp effect_allele=a1 other_allele=a2 z=z n=n
        """,
        "A1 is the effect allele",
    ),
    _dialect(
        "cojo",
        """
        snp a1 a2 freq b se p n
        """,
        """
        variant_id=snp chromosome=chr position=bp|pos effect_allele=a1 other_allele=a2 beta=b se=se p=p
        n=n effect_allele_frequency=freq
        """,
        "A1 is the effect allele",
    ),
    _dialect(
        "neale_ukb",
        """
        variant minor_allele n_complete_samples beta se pval
        """,
        """
        variant_key=variant beta=beta se=se z=tstat p=pval n=n_complete_samples
        """,
        "variant is chromosome:position:ref:alt and alt is the effect allele, whatever minor_allele says",
    ),
    _dialect(
        "finngen",
        """
        chrom pos ref alt rsids pval beta sebeta
        """,
        """
        variant_id=rsids chromosome=chrom position=pos effect_allele=alt other_allele=ref beta=beta
        se=sebeta p=pval nlog10_p=mlogp effect_allele_frequency=af_alt|af info=info
        """,
        "alt is the effect allele",
        "a variant with several rs numbers stands once for each",
        id_list=True,
    ),
    _dialect(
        "gemma",
        """
        rs ps allele1 allele0 af beta se p_wald|p_lrt|p_score
        """,
        """
        variant_id=rs chromosome=chr position=ps effect_allele=allele1 other_allele=allele0 beta=beta
        se=se p=p_wald|p_lrt|p_score effect_allele_frequency=af
        """,
        "allele1 is the effect allele",
    ),
    _dialect(
        "snptest",
        r"""
        rsid chromosome position allelea alleleb ^frequentist_add_beta_1 ^frequentist_add_se_1
        """,
        r"""
        variant_id=rsid chromosome=chromosome position=position effect_allele=alleleb other_allele=allelea
        beta=^frequentist_add_beta_1 se=^frequentist_add_se_1 p=^frequentist_add_(\w+_)?pvalue info=info
        """,
        "alleleB is the effect allele",
    ),
)
