"""Headers of no known dialect: common names of columns, and what each is taken for.

In: a header. Out: a `Layout` called "generic", with a note where the effect allele is a convention only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gputwas.errors import InputError
from gputwas.formats.sumstats.layout import Layout, in_order, normal_name

__all__ = ["SYNONYMS", "Given", "generic_layout"]


def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split()) for group in text.split(" ;"))


SYNONYMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # role -> groups; names of one group mean the same, an earlier group says it more plainly than a later one
    "variant_id": _groups(
        """
        rsid rs_id rsids rs_number rs_numbers rs dbsnp dbsnp_rsid ;
        snp snpid snp_id snp_name rsid_snp ;
        markername marker_name marker markerid marker_id ;
        id variant_id variantid variant uniqid predictor cptid
        """
    ),
    "chromosome": _groups(
        """
        chr chrom chromosome hg19chr hg19_chr chr_id
        """
    ),
    "position": _groups(
        """
        pos bp position base_pair_location bp_hg19 pos_hg19 bp_position base_pair basepair position_b37
        pos_b37 bpos genpos chr_position coordinate
        """
    ),
    "effect_allele": _groups(
        """
        effect_allele effectallele ea tested_allele coded_allele codedallele risk_allele riskallele
        inc_allele a1_effect allele_effect assessed_allele testedallele ;
        a1 allele1 allele_1 al1 ;
        alt alt_allele alternate_allele allele_alt
        """
    ),
    "other_allele": _groups(
        """
        other_allele otherallele oa nea non_effect_allele noneffect_allele noneffectallele noncoded_allele
        non_coded_allele noncodedallele nonrisk_allele other_all dec_allele a2_other allele_other
        nontested_allele ;
        a2 a0 allele2 allele0 allele_2 allele_0 al2 ;
        ref ref_allele reference_allele allele_ref
        """
    ),
    "beta": _groups(
        """
        beta b effect effects effect_size effect_weight log_odds logor log_or ln_or lnor beta_fixed est
        estimate slope all_inv_var_meta_beta effect_beta
        """
    ),
    "odds_ratio": _groups(
        """
        or odds_ratio oddsratio odds-ratio or_fix or(a1)
        """
    ),
    "se": _groups(
        """
        se stderr standard_error sebeta se_beta beta_se std_err std_error std log_or_se logor_se
        standarderror se_fixed all_inv_var_meta_sebeta se_gc
        """
    ),
    "z": _groups(
        """
        z zscore z_score zstat z_stat z-score z_value zvalue z-value gc_zscore
        """
    ),
    "p": _groups(
        """
        p pval pvalue p_value p-value p.value p_val p-val gwas_p p_wald wald_p gc_pvalue
        all_inv_var_meta_p p_bolt_lmm p_fixed pval_nominal
        """
    ),
    "nlog10_p": _groups(
        """
        pval(-log10) nlog10_p nlog10p neg_log_10_p_value neg_log10_p neglog10_pval neglog10p -log10(p)
        -log10p -log10_p mlogp mlog10p logp minus_log10_p neg_log_pvalue neglog10_p
        """
    ),
    "sign": _groups(
        """
        direction_of_effect effect_direction sign beta_sign
        """
    ),
    "n": _groups(
        """
        n totaln n_total total_n ntotal sample_size samplesize n_samples ntot obs_ct totalsamplesize
        n_complete_samples ;
        weight neff n_eff effective_n
        """
    ),
    "effect_allele_frequency": _groups(
        """
        eaf effect_allele_frequency effect_allele_freq freq_effect_allele freq_tested_allele a1freq freq1
        af1 a1_freq freq_a1 coded_af effectallelefreq ;
        freq frq af allele_frequency a1_af
        """
    ),
    "info": _groups(
        """
        info impinfo imp_info info_score imputation_info imputationinfo rsq r2hat
        """
    ),
}


_UNKNOWN_SCALE = ("or_se", "se_or")
"""Standard errors of OR or of ln(OR): the name does not say which, so neither is guessed."""


@dataclass(frozen=True)
class Given:
    """What the caller settles himself: `roles` need not be detected, columns called `names` are taken."""

    roles: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


def generic_layout(
    header: Sequence[str], path: str, delimiter: str, line: int, given: Given | None = None
) -> Layout:
    """Match common synonyms; two columns that could play one role are an error, not a guess.

    `given` : columns the caller names come on top; their roles are left to him.
    """
    given = given or Given()
    columns: dict[str, str] = {}
    notes: list[str] = []
    for role, groups in SYNONYMS.items():
        if role in given.roles:
            continue
        for group in groups:
            hits = [h for h in header if _spellings(h) & set(group)]
            hits = [h for h in hits if h not in columns.values() and h not in given.names]
            if len(hits) > 1 and role != "variant_id":
                raise InputError(
                    f"two columns could be the {role.replace('_', ' ')}",
                    path=path,
                    line=line,
                    found=" and ".join(map(repr, hits)),
                    remedy=f"Say which: --column {role}=NAME.",
                )
            if hits:
                columns[role] = hits[0]
                break
    if "beta" in columns:
        columns.pop("odds_ratio", None)
    if "nlog10_p" in columns:
        columns.pop("p", None)
    plain = columns.get("effect_allele")
    if plain is not None and normal_name(plain) not in SYNONYMS["effect_allele"][0]:
        notes.append(f"{plain} is taken as the effect allele: check this")
    if "se" not in columns and "se" not in given.roles:
        unsure = [h for h in header if _spellings(h) & set(_UNKNOWN_SCALE)]
        notes += [
            f"{h} is not used, its scale is not known (if it is of ln(OR): --column se={h})" for h in unsure
        ]
    return Layout("generic", in_order(columns), delimiter, tuple(notes), None, tuple(header))


def _spellings(name: str) -> set[str]:
    normal = normal_name(name)
    return {normal, normal.replace(" ", "_").replace(".", "_")}
