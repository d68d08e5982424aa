"""BIG40's table of phenotypes: from the saved page, from CSV and TSV, with loose header wording."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputwas.errors import InputError, UsageError
from gputwas.formats.big40 import COLUMNS, manifest_table, read_phenotypes
from gputwas.formats.manifest import read_manifest
from gputwas.formats.tables import write_table

PAGE = """<!DOCTYPE html><html><head><title>IDPs</title></head><body>
<table><tr><td>Search</td><td><input></td></tr></table>
<table class="sortable"><thead>
<tr><th rowspan=2>Pheno<th rowspan=2>UKB ID<th rowspan=2>IDP<br>short name<th rowspan=2>Units
<th rowspan=2>Type
<th rowspan=2>Cat.<th rowspan=2>Category name<th rowspan=2>IDP description
<th colspan=3>disc<th colspan=3>rep<th colspan=3>all
<th rowspan=2>Heritability<th rowspan=2>Heritability(SE)</tr>
<tr><th>N<th>Npar<th>Nnonpar<th>N<th>Npar<th>Nnonpar<th>N<th>Npar<th>Nnonpar</tr></thead>
<tbody>
<tr><td><a href="x">0001</a></td><td>25000-2.0</td><td>IDP_T1_SIENAX_peripheral_GM</td>
<td>mm&sup3;</td><td>int</td>
<td>1</td><td>regional and tissue volume</td><td>Volume of grey &amp; white</td>
<td>22,138</td><td>1</td><td>2</td><td>11,086</td><td>1</td><td>2</td><td>33,224</td><td>1</td><td>2</td>
<td>0.31</td><td>0.021</td></tr>
<tr><td>12<td>25001-2.0<td>IDP_T1_FIRST<td><td>int<td>1<td>regional and tissue volume<td>Left thalamus
<td>22138<td>1<td>2<td>11086<td>1<td>2<td>33224<td>1<td>2<td>NA<td></tr>
</tbody></table></body></html>
"""


def written(tmp_path: Path, text: str, name: str = "IDPs.html", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding=encoding)
    return path


def test_saved_page(tmp_path):
    table = read_phenotypes(written(tmp_path, PAGE))
    assert table.column_names == list(COLUMNS) and table.schema.types == list(COLUMNS.values())
    one, two = table.to_pylist()
    assert one == {
        "pheno": "0001", "ukb_id": "25000-2.0", "short_name": "IDP_T1_SIENAX_peripheral_GM", "units": "mm³",
        "type": "int", "category": "1", "category_name": "regional and tissue volume",
        "description": "Volume of grey & white", "n": 33224, "n_discovery": 22138, "n_replication": 11086,
        "h2": 0.31, "h2_se": 0.021,
    }  # fmt: skip
    assert (two["pheno"], two["units"], two["h2"], two["h2_se"]) == ("0012", None, None, None)


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_exported_table(tmp_path, delimiter):
    rows = [
        ["PHENO", "UKB_ID", "IDP Short Name", "Category Name", "N(all)", "heritability", "Heritability (se)"],
        [
            "7",
            "25006-2.0",
            '"IDP one, left"' if delimiter == "," else "IDP one, left",
            "volume",
            "33000",
            "0.2",
            "0.03",
        ],
    ]
    table = read_phenotypes(written(tmp_path, "\n".join(map(delimiter.join, rows)), "IDPs.csv"))
    (row,) = table.to_pylist()
    assert (row["pheno"], row["short_name"], row["category_name"]) == ("0007", "IDP one, left", "volume")
    assert (row["n"], row["h2"], row["h2_se"], row["units"]) == (33000, 0.2, 0.03, None)


def test_n_is_the_sum_of_the_cohorts_where_not_given(tmp_path):
    table = read_phenotypes(written(tmp_path, "Pheno\tN disc\tN rep\n1\t22000\t11000\n2\t22000\t\n", "x.tsv"))
    assert table["n"].to_pylist() == [33000, None]


def test_repeated_headers_and_footnotes_are_no_phenotypes(tmp_path):
    table = read_phenotypes(
        written(tmp_path, "Pheno\th2\n1\t0.1\nPheno\th2\n2\t0.2\n* see text\t\n", "x.tsv")
    )
    assert table["pheno"].to_pylist() == ["0001", "0002"]


def test_utf16_and_latin1_exports(tmp_path):
    text = "Pheno\tUnits\n1\tmm³\n"
    for encoding in ("utf-16", "latin-1"):
        assert read_phenotypes(written(tmp_path, text, "x.txt", encoding))["units"].to_pylist() == ["mm³"]


def test_bad_tables(tmp_path):
    with pytest.raises(InputError, match="no table of phenotypes"):
        read_phenotypes(written(tmp_path, "<html><table><tr><td>404</td></tr></table></html>"))
    with pytest.raises(InputError, match="no table of phenotypes"):
        read_phenotypes(written(tmp_path, "a,b\nx,y\n", "x.csv"))
    with pytest.raises(InputError, match=r"stands twice.*0001"):
        read_phenotypes(written(tmp_path, "Pheno\th2\n1\t0.1\n0001\t0.2\n", "x.tsv"))
    with pytest.raises(InputError, match=r"h2 of phenotype 0003 is not a number.*high"):
        read_phenotypes(written(tmp_path, "Pheno\th2\n3\thigh\n", "x.tsv"))
    with pytest.raises(InputError, match="does not exist"):
        read_phenotypes(tmp_path / "nowhere.html")
    with pytest.raises(InputError, match="is a folder"):
        read_phenotypes(tmp_path)


def test_a_manifest_of_all_files_where_they_are(tmp_path):
    """Page -> manifest -> entries to import, as the two commands of the command line do it."""
    table = manifest_table(read_phenotypes(written(tmp_path, PAGE)))
    write_table(table, tmp_path / "big40.tsv")
    one, two = read_manifest(tmp_path / "big40.tsv")
    base = "https://open.win.ox.ac.uk/ukbiobank/big40/release2/stats33k"
    assert (one.trait, one.paths) == ("0001", (f"{base}/0001.txt.gz",))
    assert (two.trait, two.paths) == ("0012", (f"{base}/0012.txt.gz",))
    assert (one.n, one.h2, one.h2_se, one.effect, one.dialect) == (33224, 0.31, 0.021, "beta", "big40")
    assert (two.n, two.h2, two.h2_se) == (33224, None, None)
    assert one.annotation == {
        "short_name": "IDP_T1_SIENAX_peripheral_GM",
        "category_name": "regional and tissue volume",
        "description": "Volume of grey & white",
    }


@pytest.mark.parametrize(("cohort", "folder", "n"), [("22k", "stats", 22138), ("11k", "repro", 11086)])
def test_manifests_of_the_two_samples(tmp_path, cohort, folder, n):
    row = manifest_table(read_phenotypes(written(tmp_path, PAGE)), cohort).to_pylist()[0]
    assert row["path"].endswith(f"/release2/{folder}/0001.txt.gz") and row["n"] == n


def test_a_manifest_of_a_mirror(tmp_path):
    phenotypes = read_phenotypes(written(tmp_path, PAGE))
    assert manifest_table(phenotypes, address="s3://b/x{}.gz")["path"].to_pylist() == [
        "s3://b/x0001.gz",
        "s3://b/x0012.gz",
    ]
    with pytest.raises(UsageError, match=r"the address needs \{\} once"):
        manifest_table(phenotypes, address="s3://b/x.gz")
    with pytest.raises(UsageError, match="the cohort is 33k, 22k, 11k"):
        manifest_table(phenotypes, "44k")
