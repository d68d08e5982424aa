"""Every dialect of the table is told from its header, and its columns are understood."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats import DIALECTS, open_sumstats, sniff

# name -> text of a file with one variant: rs1 on chromosome 1 at 1000, effect allele G, other allele A,
# effect 0.1 (odds ratio 1.25), standard error 0.02
FILES = {
    "big40": "chr rsid pos a1 a2 beta se pval(-log10)\n01 rs1 1000 A G 0.1 0.02 6.24\n",
    "metal": (
        "MarkerName\tAllele1\tAllele2\tFreq1\tEffect\tStdErr\tP-value\tDirection\n"
        "rs1\tg\ta\t0.3\t0.1\t0.02\t5.7e-07\t++-\n"
    ),
    "gwas_ssf": (
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\t"
        "effect_allele_frequency\tp_value\tvariant_id\trsid\n"
        "1\t1000\tG\tA\t0.1\t0.02\t0.3\t5.7e-07\t1_1000_A_G\trs1\n"
    ),
    "gwas_catalog_harmonised": (
        "hm_variant_id\thm_rsid\thm_chrom\thm_pos\thm_other_allele\thm_effect_allele\thm_beta\thm_odds_ratio\t"
        "hm_code\tchromosome\tbase_pair_location\tother_allele\teffect_allele\tbeta\tstandard_error\tp_value\n"
        "1_1000_A_G\trs1\t1\t1000\tA\tG\t0.1\tNA\t5\t1\t999\tC\tT\t-0.1\t0.02\t5.7e-07\n"
    ),
    "enigma": "SNP A1 A2 FREQ1 BETA1 SE P N MARKER CHR BP\nrs1 g a 0.3 0.1 0.02 5.7e-7 33992 1:1000 1 1000\n",
    "plink1": (
        " CHR   SNP     BP   A1  TEST   NMISS   BETA   SE   L95   U95   STAT   P \n"
        "   1   rs1   1000    G   ADD    5000    0.1 0.02  0.06  0.14      5   5.7e-07 \n"
        "   1   rs1   1000    G   COV1   5000    9.9 0.02  0.06  0.14    495   0 \n"
    ),
    "plink1_assoc": (
        " CHR  SNP   BP  A1   F_A   F_U  A2  CHISQ        P    OR    SE\n"
        "   1  rs1 1000   G   0.3   0.2   A     25  5.7e-07  1.25  0.02\n"
    ),
    "plink2": (
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE\n"
        "1\t1000\trs1\tG\tA\tG\tADD\t5000\t0.1\t0.02\t5\t5.7e-07\t.\n"
        "1\t1000\trs1\tG\tA\tG\tSEX\t5000\t9.9\t0.02\t495\t0\t.\n"
    ),
    "regenie": (
        "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA\n"
        "1 1000 rs1 A G 0.3 0.99 5000 ADD 0.1 0.02 25 6.24 NA\n"
    ),
    "saige": (
        "CHR\tPOS\tMarkerID\tAllele1\tAllele2\tAC_Allele2\tAF_Allele2\tMissingRate\t"
        "BETA\tSE\tTstat\tvar\tp.value\n"
        "1\t1000\trs1\tA\tG\t600\t0.3\t0\t0.1\t0.02\t250\t2500\t5.7e-07\n"
    ),
    "bolt_lmm": (
        "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\tA1FREQ\tINFO\tBETA\tSE\tP_BOLT_LMM_INF\tP_BOLT_LMM\n"
        "rs1\t1\t1000\t0.1\tG\tA\t0.3\t0.99\t0.1\t0.02\t6e-7\t5.7e-07\n"
    ),
    "fastgwa": "CHR\tSNP\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP\n"
    "1\trs1\t1000\tG\tA\t5000\t0.3\t0.1\t0.02\t5.7e-07\n",
    "daner": (
        "CHR\tSNP\tBP\tA1\tA2\tFRQ_A_100\tFRQ_U_200\tINFO\tOR\tSE\tP\tngt\tDirection\n"
        "1\trs1\t1000\tG\tA\t0.31\t0.3\t0.99\t1.25\t0.02\t5.7e-07\t0\t++\n"
    ),
    "pgc": (
        "##fileformat=PGCsumstatsV1.0\n##note=\"A1 is the effect allele\"\n"
        "CHROM\tID\tPOS\tA1\tA2\tFCAS\tFCON\tIMPINFO\tBETA\tSE\tPVAL\tNCAS\tNCON\tNEFF\n"
        "1\trs1\t1000\tG\tA\t0.31\t0.3\t0.99\t0.1\t0.02\t5.7e-07\t100\t200\t133\n"
    ),
    "ldsc": "SNP\tA1\tA2\tZ\tN\nrs1\tG\tA\t5\t5000\n",
    "cojo": "SNP A1 A2 freq b se p N\nrs1 G A 0.3 0.1 0.02 5.7e-07 5000\n",
    "neale_ukb": (
        "variant\tminor_allele\tminor_AF\tlow_confidence_variant\tn_complete_samples\tAC\tytx\t"
        "beta\tse\ttstat\tpval\n"
        "1:1000:A:G\tA\t0.3\tfalse\t5000\t3000\t12\t0.1\t0.02\t5\t5.7e-07\n"
    ),
    "finngen": (
        "#chrom\tpos\tref\talt\trsids\tnearest_genes\tpval\tmlogp\tbeta\tsebeta\taf_alt\n"
        "1\t1000\tA\tG\trs1,rs2\tGENE\t5.7e-07\t6.24\t0.1\t0.02\t0.3\n"
    ),
    "gemma": (
        "chr\trs\tps\tn_miss\tallele1\tallele0\taf\tbeta\tse\tlogl_H1\tl_remle\tp_wald\n"
        "1\trs1\t1000\t0\tG\tA\t0.3\t0.1\t0.02\t-1\t1\t5.7e-07\n"
    ),
    "snptest": (
        "alternate_ids rsid chromosome position alleleA alleleB info frequentist_add_pvalue "
        "frequentist_add_beta_1 frequentist_add_se_1\n"
        "x rs1 01 1000 A G 0.99 5.7e-07 0.1 0.02\n"
    ),
}  # fmt: skip
ODDS = {"daner", "plink1_assoc"}


def read(path: Path, **options) -> list[dict]:
    return [row for batch in open_sumstats(path, **options) for row in batch.to_pylist()]


def test_every_dialect_of_the_table_is_tried_here():
    assert set(FILES) == {dialect.name for dialect in DIALECTS}


@pytest.mark.parametrize("name", FILES)
def test_dialect_is_detected_and_understood(name, tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(FILES[name])
    layout = sniff(path)
    row = read(path)[0]
    assert layout.dialect == name
    assert row["effect_allele"] == "G"
    assert row.get("other_allele", "A") == "A"
    assert row["variant_id"] == ("1:1000:A:G" if name == "neale_ukb" else "rs1")
    if "beta" in row:
        assert row["beta"] == pytest.approx(math.log(1.25) if name in ODDS else 0.1, rel=1e-15)
        assert row["se"] == 0.02
    else:
        assert row["z"] == 5
    if "chromosome" in row:
        assert (row["chromosome"], row["position"]) == ("1", 1000)
    if "nlog10_p" in row:
        assert row["nlog10_p"] == pytest.approx(6.24, abs=0.005)
    if "effect_allele_frequency" in row:
        assert row["effect_allele_frequency"] == 0.3
    expected = "none" if name == "ldsc" else "log_odds" if name in ODDS else "beta"
    assert layout.effect_kind == expected


@pytest.mark.parametrize("name", FILES)
def test_describe_names_every_column_taken(name, tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(FILES[name])
    layout = sniff(path)
    text = layout.describe()
    assert text.startswith(name) and "\n" not in text
    assert all(f"{role} = {column!r}" in text for role, column in layout.columns.items())


def test_big40_says_what_is_easily_got_wrong(tmp_path):
    path = tmp_path / "0001.txt"
    path.write_text(FILES["big40"] + "0X X:2700_C_CT 2700 C CT -0.5 0.1 6.3\n")
    text = sniff(path).describe()
    assert "a2 is the effect allele" in text and "p is -log10" in text
    last = read(path)[1]
    assert last["chromosome"] == "X" and last["effect_allele"] == "CT" and last["variant_id"] == "X:2700_C_CT"


def test_covariate_rows_are_left_out_and_counted(tmp_path):
    for name in ("plink1", "plink2"):
        path = tmp_path / name
        path.write_text(FILES[name])
        reader = open_sumstats(path)
        assert [batch.num_rows for batch in reader] == [1]
        assert (reader.rows_read, reader.counts.other_test) == (2, 1)


def test_a_file_without_additive_rows_is_refused(tmp_path):
    path = tmp_path / "dominant.glm.linear"
    path.write_text(FILES["plink2"].replace("ADD", "DOM"))
    with pytest.raises(InputError, match=r"no row is of an additive test.*ADD"):
        list(open_sumstats(path))


def test_plink2_other_allele_is_the_one_that_is_not_a1_in_each_row(tmp_path):
    header = "#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\n"
    rows = [("rs1", "A", "G", "G"), ("rs2", "A", "G", "A"), ("rs3", "C", "T", "C")]
    path = tmp_path / "x.glm.linear"
    path.write_text(
        header + "".join(f"1\t5\t{i}\t{r}\t{a}\t{e}\tADD\t9\t1\t1\t1\t.5\n" for i, r, a, e in rows)
    )
    assert [(r["effect_allele"], r["other_allele"]) for r in read(path)] == [
        ("G", "A"),
        ("A", "G"),
        ("C", "T"),
    ]


def test_plink2_omitted_column_is_used_where_present(tmp_path):
    header = "#CHROM\tPOS\tID\tREF\tALT\tA1\tOMITTED\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\n"
    path = tmp_path / "x.glm.linear"
    path.write_text(header + "1\t5\trs1\tA\tG,T\tT\tG\tADD\t9\t1\t1\t1\t.5\n")
    assert read(path)[0]["other_allele"] == "G"


def test_plink2_logistic_and_log10(tmp_path):
    path = tmp_path / "x.glm.logistic.hybrid"
    path.write_text(
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tFIRTH?\tTEST\tOBS_CT\tOR\tLOG(OR)_SE\tZ_STAT\tLOG10_P\tERRCODE\n"
        "1\t5\trs1\tA\tG\tG\tN\tADD\t9\t2\t0.1\t6.9\t11.4\t.\n"
    )
    row = read(path)[0]
    assert sniff(path).effect_kind == "log_odds"
    assert (row["beta"], row["se"], row["nlog10_p"]) == (pytest.approx(math.log(2)), 0.1, 11.4)


def test_finngen_lists_of_rs_numbers_stand_once_each(tmp_path):
    path = tmp_path / "finngen.tsv"
    path.write_text(FILES["finngen"] + "1\t2000\tC\tT\t\tGENE\t0.5\t0.3\t0.2\t0.3\t0.3\n")
    assert [r["variant_id"] for r in read(path)] == ["rs1", "rs2", None]
    only = read(path, keep=lambda ids: [i == "rs2" for i in ids.to_pylist()])
    assert [(r["variant_id"], r["beta"]) for r in only] == [("rs2", 0.1)]


def test_daner_header_gives_n_and_may_differ_between_chromosomes(tmp_path):
    (tmp_path / "daner_chr1").write_text(FILES["daner"])
    (tmp_path / "daner_chr2").write_text(FILES["daner"].replace("FRQ_A_100", "FRQ_A_90"))
    assert sniff(tmp_path / "daner_chr1").n == 300
    assert len(read(tmp_path / "daner_chr*")) == 2


def test_ssf_takes_the_odds_ratio_where_beta_is_empty(tmp_path):
    header = "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\todds_ratio\t"
    header += "standard_error\tp_value\n"
    path = tmp_path / "x.tsv"
    path.write_text(header + "1\t1000\tG\tA\t#NA\t1.25\t0.02\t1e-7\n")
    layout = sniff(path)
    assert layout.effect_kind == "log_odds" and any("beta is empty" in note for note in layout.notes)
    row = read(path)[0]
    assert row["beta"] == pytest.approx(math.log(1.25))
    assert row["variant_id"] == "1_1000_A_G"  # made, as the file has no id column


def test_ssf_takes_variant_id_where_rsid_is_empty(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(FILES["gwas_ssf"].replace("\trs1\n", "\t#NA\n"))
    assert read(path)[0]["variant_id"] == "1_1000_A_G"


def test_forced_dialect_that_does_not_fit_names_what_is_lacking(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(FILES["cojo"])
    with pytest.raises(InputError, match=r"not of the dialect metal.*markername"):
        open_sumstats(path, dialect="metal")
    with pytest.raises(UsageError, match="did you mean metal"):
        open_sumstats(path, dialect="metall")


def test_real_files_are_detected(gtex_v6p):
    expected = {
        "big40.txt.gz": "big40", "daner.gz": "daner", "enigma.txt.gz": "enigma",
        "gwas_ssf.tsv.gz": "gwas_ssf",
        "metal.tbl.gz": "metal", "plink2.glm.linear.gz": "plink2",
    }  # fmt: skip
    assert {name: sniff(gtex_v6p / "gwas" / name).dialect for name in expected} == expected


def test_real_files_give_all_their_rows(gtex_v6p):
    for path in sorted((gtex_v6p / "gwas").glob("*.gz")):
        reader = open_sumstats(path)
        assert sum(batch.num_rows for batch in reader) == 4199
        assert (reader.rows_read, reader.rows_malformed) == (4199, 0)
