"""How a list of variants is named."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gputwas.variants.identifiers import build_name, common_spelling, places_of, spelling_of, style_of


@pytest.mark.parametrize(
    ("text", "kind", "prefix", "separator", "build"),
    [
        ("rs123", "rsid", False, "", None),
        ("rs123:A:G", "rsid_with_more", False, "", None),
        ("1:751756", "position", False, ":", None),
        ("chrX_751756", "position", True, "_", None),
        ("chr1_13550_G_A_b38", "position_alleles", True, "_", "GRCh38"),
        ("1_13550_G_A_b37", "position_alleles", False, "_", "GRCh37"),
        ("01:13550:GTT:A", "position_alleles", False, ":", None),
        ("22:1_A/T", "position_alleles", False, ":", None),
        ("0.0123", "number", False, "", None),
        ("-3e-5", "number", False, "", None),
        ("G", "allele", False, "", None),
        ("Affx-123", "other", False, "", None),
        ("1.0123", "number", False, "", None),
    ],
)
def test_styles(text, kind, prefix, separator, build):
    style = style_of(pa.array([text, None, text, ""]))
    assert (style.kind, style.prefix, style.separator, style.build) == (kind, prefix, separator, build)
    assert style.example == text
    assert style.share == pytest.approx(1.0 if kind == "other" else 2 / 3)
    assert repr(text) in style.describe()
    assert style.positional == kind.startswith("position")


def test_empty_list():
    assert style_of(pa.array([None], pa.string())).kind == "none"


def test_common_spelling():
    ids = pa.array(["chr1_13550_G_A_b38", "01:13550:g:a", "X-5", "rs1", None, "chr22-7-AT-A"])
    assert common_spelling(ids).to_pylist() == ["1_13550_G_A", "1_13550_G_A", "X_5", None, None, "22_7_AT_A"]
    assert common_spelling(ids, sort_alleles=True).to_pylist()[0] == "1_13550_A_G"
    assert common_spelling(ids, alleles=False).to_pylist()[0] == "1_13550"


def test_builds_have_many_names():
    assert [build_name(t) for t in ("hg19", "GRCh37", "b37", "37")] == ["GRCh37"] * 4
    assert [build_name(t) for t in (" HG38", "38", "b38")] == ["GRCh38"] * 3
    assert [build_name(t) for t in ("hg18", "", None)] == [None] * 3


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["chr1_13550_G_A_b38", "chr22_5_T_C_b38"], "chr7_99_A_GT_b38"),
        (["1:13550:G:A", "X:5:T:C"], "7:99:A:GT"),
        (["01:13550_g/a", "09:1_c/t"], "07:99_a/gt"),
        (["CHR1-13550", "CHR2-5"], "CHR7-99"),
        (["chr1:5:A:T:hg19"], "chr7:99:A:GT:hg19"),
    ],
)
def test_places_are_written_as_a_list_writes_its_own(texts, written):
    spelling, share = spelling_of(pa.array([*texts, "rs5", None]))
    assert share == pytest.approx(len(texts) / (len(texts) + 1))
    one = [pa.array([text, None]) for text in ("7", "A", "GT")]
    found = spelling.write(one[0], pa.array([99, 99]), one[1], one[2])
    assert found.to_pylist() == [written, None]
    assert spelling.alleles == ("GT" in written.upper())


def test_zero_stands_in_front_of_single_digits_only():
    spelling, _ = spelling_of(pa.array(["02:1:A:G"]))
    names = pa.array(["2", "12", "X"])
    position, allele = pa.array([1, 1, 1]), pa.array(["A", "A", "A"])
    assert spelling.write(names, position, allele, allele).to_pylist() == ["02:1:A:A", "12:1:A:A", "X:1:A:A"]


def test_lists_without_positions_have_no_spelling():
    for texts in ([], ["rs1", None], ["1:x"]):
        assert spelling_of(pa.array(texts, pa.string())) is None


def test_places():
    ids = pa.array(["chr1_13550_G_A_b38", "01:7", "chrM_5", "MT:6:A:C", "rs1", None, "X-9"])
    chromosome, position = places_of(ids)
    assert chromosome.to_pylist() == ["1", "1", "MT", "MT", None, None, "X"]
    assert position.to_pylist() == [13550, 7, 5, 6, None, None, 9]
    for texts in ([], ["rs1", None]):
        chromosome, position = places_of(pa.array(texts, pa.string()))
        assert chromosome.null_count == position.null_count == len(texts) == len(position)
