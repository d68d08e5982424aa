"""One trait against a panel: rows, alleles, duplicates, counts, and what is said when nothing fits."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError, UsageError
from gputwas.ingest.trait import PanelIndex, read_trait
from tests.ingest.fakes import FakeReader, panel_of, random_panel

NAN = np.nan
COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


def gwas(rows, **more):
    """Rows of (id, effect allele, other allele, beta, se)."""
    names = ("variant_id", "effect_allele", "other_allele", "beta", "se")
    return FakeReader(dict(zip(names, (list(c) for c in zip(*rows, strict=True)), strict=True)), **more)


def test_columns_reach_the_panel_in_its_orientation():
    panel = panel_of([("rs1", "A", "G"), ("rs2", "C", "T"), ("rs3", "A", "C"), ("rs4", "AT", "A")])
    rows = [
        ("rs9", "A", "G", 1.0, 1.0),
        ("rs2", "T", "C", 0.2, 0.1),
        ("rs1", "A", "G", 0.3, 0.1),
        ("rs4", "A", "AT", 1, 2),
    ]
    for size in (1, 2, 1000):
        for mode in ("parity", "strict"):
            found = read_trait(gwas(rows, size=size, malformed=3), panel, mode=mode)
            np.testing.assert_array_equal(
                found.z, np.array([0.3 / 0.1, -0.2 / 0.1, NAN, -0.5]).astype(np.float32)
            )
            np.testing.assert_array_equal(found.beta, [0.3, -0.2, NAN, -1.0])
            np.testing.assert_array_equal(found.se, [0.1, 0.1, NAN, 2.0])
            assert found.z.dtype == np.float32 and found.beta.dtype == np.float64
            assert found.counts == {"matched": 1, "swapped": 2, "not_in_panel": 1}
            assert (found.rows_read, found.rows_malformed, found.found_share) == (4, 3, 0.75)
            assert (found.effect, found.n, found.sources) == ("beta", None, {"beta/se": 3})
            assert found.dialect == "made up" and "beta" in found.layout


def test_odds_ratios_z_only_and_sample_size():
    panel = panel_of([("rs1", "A", "G")])
    assert read_trait(gwas([("rs1", "A", "G", 0.1, 0.1)], odds=True), panel).effect == "log_odds"
    columns = {
        "variant_id": ["rs1", "rs1"],
        "effect_allele": ["G", "G"],
        "other_allele": ["A", "A"],
        "z": [2, 2],
        "n": [7, 9],
    }
    found = read_trait(FakeReader(columns), panel)
    assert found.effect == "none" and found.beta is None and found.se is None and found.z[0] == -2
    assert found.n == 7 and found.counts == {"swapped": 1, "duplicate": 1}


def test_multi_allelic_variants_are_matched_by_their_alleles():
    panel = panel_of([("rs1", "A", "G"), ("rs1", "A", "C"), ("rs2", "A", "G")])
    rows = [
        ("rs1", "C", "A", 1, 1),
        ("rs1", "A", "G", 2, 1),
        ("rs2", "A", "C", 3, 1),
        ("rs2", "A", "G", 4, 1),
    ]
    for mode in ("parity", "strict"):
        found = read_trait(gwas(rows), panel, mode=mode)
        np.testing.assert_array_equal(found.z, np.float32([2, -1, 4]))
        assert found.counts == {"matched": 2, "swapped": 1, "allele_mismatch": 1}


def test_modes_differ_on_strand_and_duplicates():
    panel = panel_of([("rs1", "A", "G"), ("rs2", "A", "G"), ("rs3", "A", "G"), ("rs4", "A", "T")])
    rows = [
        ("rs1", "T", "C", 1, 1), ("rs2", "A", "G", 1, 1), ("rs2", "A", "G", 2, 1), ("rs3", "A", "G", 1, 1),
        ("rs3", "A", "G", NAN, 1), ("rs4", "A", "T", 1, 1),
    ]  # fmt: skip
    parity, strict = (read_trait(gwas(rows), panel, mode=mode) for mode in ("parity", "strict"))
    np.testing.assert_array_equal(parity.z, np.float32([NAN, 2, 1, 1]))
    assert parity.counts == {"matched": 3, "allele_mismatch": 1, "missing_value": 1, "duplicate": 1}
    np.testing.assert_array_equal(strict.z, np.float32([1, NAN, 1, NAN]))
    assert strict.counts == {
        "matched": 1, "strand": 1, "palindromic": 1, "missing_value": 1, "duplicate_conflict": 2,
    }  # fmt: skip
    assert strict.strand == "unknown" and "1 A/T or C/G rows were dropped" in strict.warnings[-1]
    assert read_trait(gwas(rows), panel, palindromes="forward").z[3] == 1


def test_whole_file_decides_the_strand_of_palindromes():
    panel = panel_of([(f"rs{i}", "A", "G") for i in range(40)] + [("rs99", "C", "G")])
    reverse = [(f"rs{i}", "T", "C", 1, 1) for i in range(40)]
    found = read_trait(gwas([("rs99", "C", "G", 1, 1), *reverse], size=3), panel)
    assert found.strand == "reverse" and found.z[-1] == -1
    assert found.counts == {"strand": 40, "strand_swapped": 1}


def test_non_rsids():
    panel = panel_of([("rs1", "A", "G"), ("1:5", "A", "G"), ("xrs2", "A", "G")])
    rows = [(name, "A", "G", 1, 1) for name in ("rs1", "1:5", "xrs2", "7")]
    assert np.isfinite(read_trait(gwas(rows), panel, mode="strict").z).tolist() == [True, True, True]
    parity = read_trait(gwas(rows), panel, mode="parity")
    assert np.isfinite(parity.z).tolist() == [True, False, True]
    assert parity.counts == {"matched": 2, "not_in_panel": 1, "not_rsid": 1}
    assert np.isfinite(read_trait(gwas(rows), panel, mode="parity", keep_non_rsid=True).z).all()


def test_parity_smallest_p_is_that_of_the_panel_whatever_the_alleles():
    columns = {
        "variant_id": ["rs1", "rs2", "rs8"], "effect_allele": ["A"] * 3, "other_allele": ["G", "T", "G"],
        "beta": [1, 1, 1], "p": [0, 1e-310, 1e-320],
    }  # fmt: skip
    panel = panel_of([("rs1", "A", "G"), ("rs2", "A", "G")])
    assert read_trait(FakeReader(columns), panel, mode="parity").z[0] == pytest.approx(37.6814, abs=1e-3)


def test_share_found_is_of_the_chromosomes_in_the_file(caplog):
    panel = panel_of([(f"rs{i}", "A", "G") for i in range(10)], ["1"] * 4 + ["2"] * 6)
    reader = gwas([("rs1", "A", "G", 1, 1), ("rs2", "A", "G", 1, 1)])
    reader.columns["chromosome"] = ["1", "1"]
    assert read_trait(reader, panel).found_share == 0.5
    with caplog.at_level(logging.WARNING):
        assert read_trait(reader, panel, min_found=0.6).warnings
    assert "less than 60%" in caplog.text and "made_up.txt" in caplog.text
    assert not read_trait(reader, panel, min_found=0.5).warnings
    with pytest.raises(UsageError):
        read_trait(reader, panel, min_found=25)


def test_other_chromosomes_altogether():
    reader = gwas([("rs1", "A", "G", 1, 1)])
    reader.columns["chromosome"] = ["22"]
    with pytest.raises(InputError, match=r"no variant on the file's chromosomes \(22\)"):
        read_trait(reader, panel_of([("rs7", "A", "G")], ["6"]))


def test_a_panel_index_is_used_again():
    index = PanelIndex(random_panel(5))
    ids, effect, other = index.ids.to_pylist(), index.effect.to_pylist(), index.other.to_pylist()
    for z in (1.0, 2.0):
        assert (
            read_trait(
                gwas([(i, e, o, z, 1) for i, e, o in zip(ids, effect, other, strict=True)]), index
            ).z.sum()
            == 5 * z
        )


def positions(form, shift=0, n=30):
    return [form.format(c=i % 22 + 1, p=1_000_000 + 1000 * i + shift) for i in range(n)]


V8 = "chr{c}_{p}_A_G_b38"


RSIDS = [f"rs{i}" for i in range(30)]
CASES = [
    (positions("{c}:{p}"), RSIDS, "by chromosome and position, such as '1:1000000', the models by rs numbers",
     "--column variant_id=NAME"),
    (RSIDS, positions(V8), "by rs numbers, such as 'rs0', the models by chromosome, position and alleles",
     "gputwas models import --model-db-snp-key rsid"),
    (positions("{c}_{p}_A_G_b38"), positions(V8),
     "differ only in the `chr` prefix, which only the models have", "as the models do"),
    (positions("chr{c}:{p}:A:G"), positions("{c}_{p}_A_G"),
     "the `chr` prefix, which only the file has and the separator", "chr1:1000000"),
    (positions("chr{c}_{p}_G_A_b38"), positions(V8), "two alleles in the other order", "as the models do"),
    (positions("{c}:{p}"), positions(V8), "only the models' ids have alleles", "as the models do"),
    (positions("chr{c}_{p}_A_G_b37", 777), positions(V8),
     r"another genome build \(GRCh37\) than the models \(GRCh38\)", "Lift the file over first to GRCh38"),
    (positions("chr{c}_{p}_A_G", 777), positions(V8),
     "most likely on another genome build", "Lift the file over first"),
    (["chr9_5_A_G_b38"] * 30, ["chr8_5_A_G_b38"], "no chromosome in common", "other chromosomes"),
    (["0.1", "0.25"] * 15, RSIDS, "bare numbers", "--column variant_id=NAME"),
    ([f"{rsid}:A:G" for rsid in RSIDS], RSIDS, "something behind them", "cut off"),
    (RSIDS, [f"rs{i}" for i in range(100, 130)], "share none", "right models"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "models", "cause", "remedy"), CASES)
@pytest.mark.parametrize("mode", ["parity", "strict"])
def test_nothing_found_is_diagnosed(file, models, cause, remedy, mode):
    reader = gwas([(name, "A", "G", 1, 1) for name in file])
    with pytest.raises(InputError, match=cause) as caught:
        read_trait(reader, panel_of([(name, "A", "G") for name in models]), mode=mode, keep_non_rsid=True)
    message = str(caught.value)
    assert remedy in message and "made_up.txt" in message and caught.value.exit_code == 3


def test_build_given_by_the_user_is_believed():
    reader = gwas([(name, "A", "G", 1, 1) for name in positions("chr{c}_{p}_A_G", 5)])
    with pytest.raises(InputError, match=r"another genome build \(GRCh37\)"):
        read_trait(reader, panel_of([(name, "A", "G") for name in positions(V8)]), build="hg19")


def test_few_found_are_diagnosed_but_not_refused():
    ids = [*positions("{c}_{p}_A_G_b38"), "chr1_1000000_A_G_b38"]
    found = read_trait(
        gwas([(name, "A", "G", 1, 1) for name in ids]), panel_of([(n, "A", "G") for n in positions(V8)])
    )
    assert "only 1 of the models' variants (3.3%)" in found.warnings[0] and "chr` prefix" in found.warnings[0]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (("A", "A", 1, 1), "effect allele and other allele are the same in every row"),
        (("A", "C", 1, 1), "other alleles than the models"),
        ((None, "G", 1, 1), "an allele missing"),
        (("A", "G", NAN, 1), "no usable statistic"),
        (("A", "G", 1, 0), "no usable statistic"),
    ],
)
def test_found_but_unusable_is_refused_with_the_reason(row, cause):
    panel = random_panel(30)
    panel = panel_of([(i, "A", "G") for i in panel["variant_id"].to_pylist()])
    for mode in ("parity", "strict"):
        with pytest.raises(InputError, match=cause):
            read_trait(gwas([(i, *row) for i in panel["variant_id"].to_pylist()]), panel, mode=mode)


def test_non_rsids_in_parity_mode_are_named_as_the_reason():
    with pytest.raises(InputError, match="without 'rs' in it"):
        read_trait(gwas([("1:5", "A", "G", 1, 1)]), panel_of([("1:5", "A", "G")]), mode="parity")


def test_missing_columns_and_rows():
    panel = panel_of([("rs1", "A", "G")])
    for name in ("variant_id", "effect_allele"):
        reader = gwas([("rs1", "A", "G", 1, 1)])
        del reader.columns[name]
        with pytest.raises(InputError, match=f"--column {name}=NAME"):
            read_trait(reader, panel)
    empty = FakeReader({"variant_id": [], "effect_allele": [], "other_allele": [], "z": []})
    with pytest.raises(InputError, match="no data rows"):
        read_trait(empty, panel)
    reader = gwas([("rs1", "A", "G", 1, 1)])
    del reader.columns["se"]
    with pytest.raises(InputError, match="no z-score can be had"):
        read_trait(reader, panel)


@st.composite
def files(draw):
    """A panel without palindromes, and rows for it with dirt."""
    panel = random_panel(6, draw(st.integers(0, 3)))
    alleles = list(
        zip(*(panel[c].to_pylist() for c in ("variant_id", "effect_allele", "other_allele")), strict=True)
    )
    row = st.tuples(st.sampled_from([*alleles, ("rs999", "A", "G"), ("rs1", "A", "T")]),
                    st.sampled_from([-2.0, 0.5, 1.0, NAN]), st.sampled_from([0.0, 0.5, 1.0]))  # fmt: skip
    rows = [(*alleles[0], 1.0, 1.0)] + [(*a, beta, se) for a, beta, se in draw(st.lists(row, max_size=14))]
    return panel, rows


def outcome(panel, rows, mode="strict"):
    try:
        found = read_trait(gwas(rows), panel, mode=mode, min_found=0)
    except InputError:
        return None
    return found.z.tobytes(), found.beta.tobytes()


@given(files(), st.data())
def test_turned_alleles_order_and_strand_change_nothing(case, data):
    panel, rows = case
    flags = data.draw(
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=len(rows), max_size=len(rows))
    )
    turned = [
        (i, o, e, -b, s) if t else (i, e, o, b, s)
        for (i, e, o, b, s), (t, _) in zip(rows, flags, strict=True)
    ]
    for mode in ("parity", "strict"):
        assert outcome(panel, turned, mode) == outcome(panel, rows, mode)
    shuffled = data.draw(st.permutations(turned))
    assert outcome(panel, shuffled) == outcome(panel, rows)
    other = [
        (i, COMPLEMENT[e], COMPLEMENT[o], b, s) if c and COMPLEMENT[e] != o else (i, e, o, b, s)
        for (i, e, o, b, s), (_, c) in zip(rows, flags, strict=True)
    ]
    assert outcome(panel, other) == outcome(panel, rows)


def test_nulls_of_arrow_are_missing_values():
    found = read_trait(gwas([("rs1", "A", "G", None, 1), ("rs2", "A", "G", 2, 1), (None, None, None, 1, 1)]),
                       panel_of([("rs1", "A", "G"), ("rs2", "A", "G")]))  # fmt: skip
    assert found.counts == {"matched": 1, "missing_value": 1, "not_in_panel": 1}
    assert pa.array(found.z, from_pandas=True).null_count == 1


def test_a_file_without_other_alleles_takes_them_from_the_models():
    """PLINK 1's association files name the effect allele only."""
    panel = panel_of([("rs1", "A", "G"), ("rs2", "C", "T"), ("rs3", "A", "C")])
    columns = {
        "variant_id": ["rs1", "rs2", "rs3"],
        "effect_allele": ["A", "T", "AT"],
        "beta": [0.3, 0.2, 0.1],
        "se": [0.1, 0.1, 0.1],
    }
    found = read_trait(FakeReader(columns), panel)
    np.testing.assert_array_equal(found.z, np.array([0.3 / 0.1, -0.2 / 0.1, NAN]).astype(np.float32))
    assert found.counts == {"matched": 1, "swapped": 1, "allele_mismatch": 1}
    assert any("no other allele" in warning for warning in found.warnings)
    with pytest.raises(InputError, match="other alleles"):
        read_trait(FakeReader(columns), panel, mode="parity")


def test_a_snp_on_opposite_strands_in_two_panel_rows_fills_both_and_votes_once():
    """One tissue's models write A/G, another's T/C: one SNP, and no sign of a file on the other strand."""
    names = [f"rs{i}" for i in range(30)]
    panel = panel_of(
        [(i, "A", "G") for i in names] + [(i, "C", "T") for i in names[:10]] + [("rs99", "A", "T")]
    )
    rows = [*((i, "A", "G", 2, 1) for i in names), ("rs99", "T", "A", 1, 1)]
    for size in (7, 1000):
        found = read_trait(gwas(rows, size=size), panel)
        np.testing.assert_array_equal(found.z, np.float32([2] * 30 + [-2] * 10 + [-1]))
        assert found.strand == "forward" and found.counts == {"matched": 30, "swapped": 1}
        assert found.found_share == 1.0
    parity = read_trait(gwas(rows), panel, mode="parity")
    np.testing.assert_array_equal(parity.z, np.float32([2] * 30 + [NAN] * 10 + [-1]))


def test_repeats_on_either_strand_are_settled_for_each_panel_row():
    panel = panel_of([("rs1", "A", "G"), ("rs1", "T", "C"), ("rs2", "A", "G")])
    agree = [("rs1", "A", "G", 2, 1), ("rs1", "T", "C", 2, 1), ("rs2", "A", "G", 1, 1)]
    found = read_trait(gwas(agree), panel)
    np.testing.assert_array_equal(found.z, np.float32([2, 2, 1]))
    assert found.counts == {"matched": 2, "duplicate": 1}
    against = read_trait(gwas([agree[0], ("rs1", "T", "C", -2, 1), agree[2]]), panel)
    np.testing.assert_array_equal(against.z, np.float32([NAN, NAN, 1]))
    assert against.counts == {"matched": 1, "duplicate_conflict": 2}


def test_an_other_allele_taken_from_the_models_is_one_per_row():
    """Without a column of other alleles a row must not fill every variant that shares its effect allele."""
    panel = panel_of([("rs1", "A", "G"), ("rs1", "A", "C"), ("rs1", "T", "C")])
    columns = {"variant_id": ["rs1"], "effect_allele": ["A"], "beta": [2.0], "se": [1.0]}
    found = read_trait(FakeReader(columns), panel)
    np.testing.assert_array_equal(found.z, np.float32([2, NAN, 2]))
