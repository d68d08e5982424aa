"""How a list of variants is named."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gputwas.variants.identifiers import build_name, common_spelling, style_of


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
