"""Alleles of GWAS rows against the panel's: every combination, both modes."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.variants.align import (
    MIN_INFORMATIVE,
    Alignment,
    Reason,
    align,
    count_reasons,
    infer_other_allele,
)

COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}
PAIRS = [p for p in itertools.permutations("ACGT", 2)]
PLAIN = [p for p in PAIRS if COMPLEMENT[p[0]] != p[1]]


def run(rows, **options) -> Alignment:
    """`rows`: (panel effect, panel other, GWAS effect, GWAS other)."""
    columns = (
        [pa.array(c, pa.string()) for c in zip(*rows, strict=True)]
        if rows
        else [pa.array([], pa.string())] * 4
    )
    return align(*columns, **options)


def reasons(rows, **options) -> list[Reason]:
    return [Reason(r) for r in run(rows, **options).reason]


def filler(reverse: bool = False, n: int = MIN_INFORMATIVE):
    """Rows that tell the strand."""
    return [("A", "G", "T", "C") if reverse else ("A", "G", "A", "G")] * n


def by_hand(pe, po, ge, go, strand):
    """Strict alignment of one SNP, written as a plain decision list."""
    if ge == go:
        return Reason.SAME_ALLELES
    palindromic = COMPLEMENT[ge] == go
    if {pe, po} != {ge, go} and {pe, po} != {COMPLEMENT[ge], COMPLEMENT[go]}:
        return Reason.ALLELE_MISMATCH
    if palindromic:
        if strand == "unknown":
            return Reason.PALINDROMIC
        if strand == "reverse":
            return Reason.STRAND if COMPLEMENT[ge] == pe else Reason.STRAND_SWAPPED
        return Reason.MATCHED if ge == pe else Reason.SWAPPED
    if {pe, po} == {ge, go}:
        return Reason.MATCHED if ge == pe else Reason.SWAPPED
    return Reason.STRAND if COMPLEMENT[ge] == pe else Reason.STRAND_SWAPPED


@pytest.mark.parametrize("strand", ["forward", "reverse", "unknown"])
def test_all_snp_combinations_agree_with_a_decision_list(strand):
    mixture = filler(False, 100) + filler(True, 100)
    telling = {"forward": filler(False, 10**4), "reverse": filler(True, 10**4), "unknown": mixture}[strand]
    rows = [(*p, ge, go) for p in PAIRS for ge in "ACGT" for go in "ACGT"]
    found = run(rows + telling)
    assert found.strand == strand
    assert [Reason(r) for r in found.reason[: len(rows)]] == [by_hand(*r, strand) for r in rows]


@pytest.mark.parametrize("mode", ["parity", "strict"])
def test_sign_follows_the_reason(mode):
    rows = [(*p, *g) for p in PAIRS for g in PAIRS]
    found = run(rows, mode=mode)
    expected = {Reason.MATCHED: 1, Reason.STRAND: 1, Reason.SWAPPED: -1, Reason.STRAND_SWAPPED: -1}
    assert found.sign.tolist() == [expected.get(Reason(r), 0) for r in found.reason]
    assert found.sign.dtype == np.int8 and found.reason.dtype == np.uint8


def test_parity_knows_only_the_unordered_pair():
    rows = [(*p, *g) for p in PAIRS for g in itertools.product("ACGT", repeat=2)]
    for row, reason in zip(rows, reasons(rows, mode="parity"), strict=True):
        if row[2] == row[3]:
            assert reason is Reason.SAME_ALLELES
        elif {*row[:2]} == {*row[2:]}:
            assert reason is (Reason.MATCHED if row[0] == row[2] else Reason.SWAPPED)
        else:
            assert reason is Reason.ALLELE_MISMATCH


def test_indels_match_as_written_and_are_never_complemented():
    rows = [
        ("AT", "A", "AT", "A"), ("AT", "A", "A", "AT"), ("AT", "A", "TA", "T"), ("AT", "A", "AC", "A"),
        ("D", "I", "I", "D"), ("AT", "TA", "AT", "TA"),
    ]  # fmt: skip
    expected = [
        Reason.MATCHED, Reason.SWAPPED, Reason.ALLELE_MISMATCH, Reason.ALLELE_MISMATCH, Reason.SWAPPED,
        Reason.MATCHED,
    ]  # fmt: skip
    assert reasons(rows) == expected == reasons(rows, mode="parity")


def test_indels_do_not_tell_the_strand():
    found = run([("AT", "A", "AT", "A")] * 50 + [("A", "T", "A", "T")])
    assert found.strand == "unknown" and found.reason[-1] == Reason.PALINDROMIC


def test_missing_alleles():
    rows = [("A", "G", None, "G"), ("A", "G", "A", None), ("A", "G", None, None), (None, "G", "A", "G")]
    for mode in ("parity", "strict"):
        assert reasons(rows, mode=mode) == [Reason.MISSING_ALLELE] * 4


def test_the_strand_is_told_without_the_complement_occurring_anywhere():
    # Only A and G are in the arrays: an implementation that looks complements up among them sees no SNP.
    assert run([("A", "G", "A", "G")] * MIN_INFORMATIVE).strand == "forward"


@pytest.mark.parametrize(
    ("forward", "reverse", "strand"),
    [
        (20, 0, "forward"), (19, 0, "unknown"), (99, 1, "forward"), (98, 2, "unknown"),
        (1, 99, "reverse"), (0, 20, "reverse"), (0, 0, "unknown"), (50, 50, "unknown"),
    ],
)  # fmt: skip
def test_strand_rule(forward, reverse, strand):
    assert run(filler(False, forward) + filler(True, reverse) + [("A", "T", "A", "T")]).strand == strand


def test_palindromes_can_be_taken_or_left():
    rows = [("A", "T", "A", "T"), ("C", "G", "G", "C")]
    assert reasons(rows) == [Reason.PALINDROMIC] * 2
    assert reasons(rows, palindromes="forward") == [Reason.MATCHED, Reason.SWAPPED]
    assert reasons(rows + filler(), palindromes="drop")[:2] == [Reason.PALINDROMIC] * 2
    assert reasons(rows + filler(True))[:2] == [Reason.STRAND_SWAPPED, Reason.STRAND]


def test_empty_and_unequal_input():
    assert run([]).sign.tolist() == []
    with pytest.raises(ValueError, match="differ in length"):
        align(pa.array(["A"]), pa.array(["G"]), pa.array(["A"]), pa.array([], pa.string()))
    with pytest.raises(ValueError, match="parity or strict"):
        run(filler(), mode="loose")
    with pytest.raises(ValueError, match="infer, forward or drop"):
        run(filler(), palindromes="guess")


def test_sliced_and_large_string_arrays():
    padded = pa.array(["X", "A", "C", "X"]).slice(1, 2)
    other = pa.array(["G", "T"], pa.large_string())
    found = align(padded, other, pa.array(["G", "C"]), pa.array(["A", "T"]))
    assert found.sign.tolist() == [-1, 1]


def test_counts_carry_plain_names():
    reason = np.array([0, 0, 4, 10], np.uint8)
    assert count_reasons(reason) == {"matched": 2, "allele_mismatch": 1, "not_in_panel": 1}


snp_rows = st.lists(
    st.tuples(st.sampled_from(PAIRS), st.sampled_from(PAIRS), st.booleans(), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(snp_rows, st.sampled_from(["parity", "strict"]))
def test_turning_alleles_together_with_z_changes_nothing(rows, mode):
    before = run([(*p, *g) for p, g, _, _ in rows], mode=mode)
    after = run([(*p, *(g[::-1] if turn else g)) for p, g, turn, _ in rows], mode=mode)
    z = np.arange(1.0, len(rows) + 1)
    turned = np.array([turn for _, _, turn, _ in rows])
    np.testing.assert_array_equal(before.sign * z, after.sign * np.where(turned, -z, z))


@given(snp_rows)
def test_complementing_non_palindromic_rows_changes_nothing_for_them(rows):
    plain = [(p, g, c) for p, g, _, c in rows if g in PLAIN]
    before = run([(*p, *g) for p, g, _ in plain])
    after = run([(*p, *((COMPLEMENT[g[0]], COMPLEMENT[g[1]]) if c else g)) for p, g, c in plain])
    assert before.sign.tolist() == after.sign.tolist()


@given(snp_rows, st.randoms())
def test_order_of_rows_changes_nothing(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    flat = [(*p, *g) for p, g, _, _ in rows]
    assert run([flat[i] for i in order]).reason.tolist() == run(flat).reason[order].tolist()


def test_other_allele_from_the_panel_where_the_file_has_none():
    rows = [  # panel effect, panel other, GWAS effect, what the GWAS' other allele must have been
        ("A", "G", "A", "G"), ("A", "G", "G", "A"), ("A", "G", "T", "C"), ("A", "G", "C", "T"),
        ("A", "T", "T", "A"), ("A", "C", "AT", "?"), ("AT", "A", "A", "AT"), ("A", "C", None, "?"),
    ]  # fmt: skip
    effect, other, gwas, want = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    got = infer_other_allele(effect, other, gwas)
    assert got.to_pylist() == want.to_pylist()
    found = align(effect, other, gwas, got, palindromes="forward")
    assert [Reason(r).name for r in found.reason] == [
        "MATCHED", "SWAPPED", "STRAND", "STRAND_SWAPPED",
        "SWAPPED", "ALLELE_MISMATCH", "SWAPPED", "MISSING_ALLELE",
    ]  # fmt: skip
