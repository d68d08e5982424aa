"""Reading as MetaXcan reads: which rows count, what is missing, and what ends the run."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from gputwas.errors import InputError
from gputwas.formats.sumstats import open_sumstats

COLUMNS = {"variant_id": "SNP", "effect_allele": "A1", "other_allele": "A2", "beta": "BETA", "se": "SE"}
NAMES = ["SNP", "A1", "A2", "BETA", "SE"]


def by_the_rules(text: str, separator: str | None, every_blank: bool = False) -> list[list[str]]:
    """The rows that count, read the slow way straight from the rules of the reference."""
    lines = text.split("\n")
    header = lines[0].strip().split(separator)
    rows = []
    for line in lines[1:]:
        cells = (
            re.split(r"\s" if separator is None else separator, line)
            if every_blank
            else line.strip().split(separator)
        )
        if len(cells) == len(header):
            rows.append(cells)
    return rows


def read(path: Path, **options) -> list[dict]:
    options = {"columns": COLUMNS, "parity": True} | options
    return [row for batch in open_sumstats(path, **options) for row in batch.to_pylist()]


cell = st.sampled_from(["rs1", "A", "", "0.5", "1e-3", "x y", "-", "."])
gap = st.sampled_from(["\t", " ", "  ", "\t\t", " \t"])
messy_line = st.tuples(
    st.sampled_from(["", " ", "\t"]), st.lists(cell, max_size=7), gap, st.sampled_from(["", " ", "\t"])
)


@st.composite
def files(draw):
    lines = ["\t".join(NAMES), "rs0\tA\tG\t0.1\t0.2"]
    for before, cells, between, after in draw(st.lists(messy_line, max_size=12)):
        lines.append(before + between.join(cells) + after)
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=files(), separator=st.sampled_from([None, "\t"]), every_blank=st.booleans())
@example(text="\t".join(NAMES) + "\nrs0\tA\tG\t0.1\t0.2\nrs1\tA\t\tG\t0.5", separator=None, every_blank=False)
@example(text="\t".join(NAMES) + "\nrs0\tA\tG\t0.1\t0.2\nrs1\tA\tG\t0.5\t", separator="\t", every_blank=False)
@example(text="\t".join(NAMES) + "\nrs0\tA\tG\t0.1\t0.2\nrs1\tA\tG\t0.5\t", separator="\t", every_blank=True)
def test_the_same_rows_count_as_by_the_rules(text, separator, every_blank, tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(text)
    roles = {"variant_id": "SNP", "effect_allele": "A1", "other_allele": "A2"}
    expected = by_the_rules(text, separator, every_blank)
    for size in (64, 1 << 20):
        found = read(
            path, columns=roles, separator=separator, handle_empty_columns=every_blank, block_bytes=size
        )
        ids = [None if row[0].strip() in ("", ".") else row[0].strip() for row in expected]
        assert [row["variant_id"] for row in found] == ids


def test_missing_codes_and_decimal_commas(tmp_path):
    path = tmp_path / "trait.txt"
    cells = ["NA", ".", "\\N", "nan", "NaN", "0,05", "-1,5e-3", "+0.5", ",5"]
    path.write_text("SNP A1 A2 BETA SE\n" + "".join(f"rs{i} A G {c} 0.1\n" for i, c in enumerate(cells)))
    assert [row["beta"] for row in read(path)] == [None] * 5 + [0.05, -0.0015, 0.5, 0.5]


@pytest.mark.parametrize("text", ["#NA", "n/a", "-", "NULL", "abc", "1,234,5"])
def test_any_other_text_ends_the_run_with_its_line(tmp_path, text):
    path = tmp_path / "trait.txt"
    path.write_text(f"SNP A1 A2 BETA SE\nrs1 A G 0.1 0.1\nrs2 A G {text} 0.1\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert (caught.value.line, caught.value.column) == (3, "BETA")
    kept = read(path, keep=lambda ids: [i == "rs1" for i in ids.to_pylist()])
    assert len(kept) == 1, "rows that are not kept are not looked at"


def test_standard_errors_of_0_and_infinities_are_not_judged(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 BETA SE P\nrs1 A G 0.1 1 1\nrs2 a g 0.1 0 0.5\nrs3 A G inf 0.1 0\n")
    rows = read(path, columns=COLUMNS | {"p": "P"})
    assert [row["se"] for row in rows] == [1, 0, 0.1] and [row["p"] for row in rows] == [1, 0.5, 0]
    assert rows[1]["effect_allele"] == "A" and rows[2]["beta"] == math.inf
    assert "nlog10_p" not in rows[0]


def test_p_above_1_is_refused_although_the_reference_turns_the_sign(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 BETA SE P\nrs1 A G 0.1 1 1.5\n")
    with pytest.raises(InputError, match=r"line 2, column 'P'.*outside \[0, 1\]"):
        read(path, columns=COLUMNS | {"p": "P"})


def test_a_negative_standard_error_is_refused_although_the_reference_turns_the_sign(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 BETA SE P\nrs1 A G 0.1 1 0.5\nrs2 A G 0.1 -1 0.5\n")
    with pytest.raises(InputError, match=r"line 3, column 'SE'.*a standard error is negative"):
        read(path)


def test_a_column_that_is_used_and_there_twice_is_refused(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 BETA SE BETA POS POS\nrs1 A G 0.1 1 0.2 7 8\n")
    with pytest.raises(InputError, match=r"line 1, column 'BETA'.*column 4 and as column 6"):
        read(path)
    z_only = {role: name for role, name in COLUMNS.items() if role not in ("beta", "se")} | {"z": "SE"}
    assert [row["z"] for row in read(path, columns=z_only)] == [1]


def test_an_odds_ratio_goes_before_beta_and_zero_is_minus_infinity(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 BETA SE OR\nrs1 A G 9 0.1 2\nrs2 A G 9 0.1 0\n")
    rows = read(path, columns=COLUMNS | {"odds_ratio": "OR"})
    assert [row["beta"] for row in rows] == [pytest.approx(math.log(2)), -math.inf]


def test_sign_column(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP A1 A2 P S\nrs1 A G .1 +\nrs2 A G .1 -\nrs3 A G .1 NA\nrs4 A G .1 2\nrs5 A G .1 -2\n")
    roles = {"variant_id": "SNP", "effect_allele": "A1", "other_allele": "A2", "p": "P", "sign": "S"}
    assert [row["sign"] for row in read(path, columns=roles)] == [1, -1, -1, 1, -1]
    assert [r["sign"] for b in open_sumstats(path, columns=roles) for r in b.to_pylist()] == [
        1,
        -1,
        None,
        1,
        -1,
    ]


def test_only_the_columns_named_are_read(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP CHR A1 A2 BETA SE beta TEST\nrs1 1 A G 0.1 0.1 7 SEX\n")
    assert list(read(path)[0]) == ["variant_id", "effect_allele", "other_allele", "beta", "se"]


def test_skip_until_header(tmp_path):
    path = tmp_path / "trait.txt.gz"
    path.write_bytes(gzip.compress(b"\x00\xff junk\nmore junk\n\xff\xfeSNP A1 A2 BETA SE\nrs1 A G 0.1 x\n"))
    with pytest.raises(InputError) as caught:
        read(path, skip_until_header="SNP A1")
    assert (caught.value.line == 4 and caught.value.column == "BETA") or caught.value.column == "SE"
    path.write_bytes(gzip.compress(b"\x00\xff junk\n\xff\xfeSNP A1 A2 BETA SE\nrs1 A G 0.1 0.2\n"))
    assert read(path, skip_until_header="SNP A1")[0]["se"] == 0.2
    with pytest.raises(InputError, match="no line with the given header"):
        read(path, skip_until_header="MarkerName")


def test_separators_of_several_characters_and_spelled_out(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("SNP::A1::A2::BETA::SE\nrs1::A::G::0.1::0.2\n")
    assert read(path, separator="::")[0]["se"] == 0.2
    path.write_text("SNP\tA1\tA2\tBETA\tSE\nrs1\tA\tG\t0.1\t0.2\n")
    for separator in ("\\t", "tab", "ANY_WHITESPACE"):
        assert read(path, separator=separator)[0]["se"] == 0.2


def test_files_are_read_in_plain_order_of_names(tmp_path):
    for name in ("chr10.txt", "chr2.txt"):
        (tmp_path / name).write_text(f"SNP A1 A2 BETA SE\n{name} A G 0.1 0.2\n")
    assert [row["variant_id"] for row in read(tmp_path / "chr*.txt")] == ["chr10.txt", "chr2.txt"]
    strict = open_sumstats(tmp_path / "chr*.txt")
    assert [Path(p).name for p in strict.paths] == ["chr2.txt", "chr10.txt"]


FLAGS = {
    "--snp_column": "variant_id",
    "--effect_allele_column": "effect_allele",
    "--beta_column": "beta",
    "--non_effect_allele_column": "other_allele",
    "--se_column": "se",
    "--or_column": "odds_ratio",
    "--pvalue_column": "p",
    "--zscore_column": "z",
}


def test_real_files_give_the_rows_and_numbers_of_the_rules(gtex_v6p):
    runs = [
        (gtex_v6p / "gwas" / t["file"], flags)
        for t in _manifest(gtex_v6p)["traits"]
        for flags in t["runs"].values()
    ]
    cases = json.loads((gtex_v6p / "edge" / "cases.json").read_text())
    runs += [(gtex_v6p / case["gwas"], case["flags"]) for case in cases if case["name"] != "p_out_of_range"]
    for path, flags in runs:
        options = dict(itertools.pairwise(flags))
        columns = {role: options[flag] for flag, role in FLAGS.items() if flag in options}
        separator = options.get("--separator")
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
        header = text.split("\n")[0].strip().split(separator)
        expected = by_the_rules(text, separator)
        found = read(path, columns=columns, separator=separator)
        assert len(found) == len(expected) > 100
        for role in columns:
            at = header.index(columns[role])
            name = "beta" if role == "odds_ratio" else role
            assert [row[name] for row in found] == [_value(role, row[at].strip()) for row in expected], (
                path,
                role,
            )


def _manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def _value(role: str, text: str) -> str | float | None:
    if role == "variant_id":
        return None if text in ("NA", ".", "") else text
    if role.endswith("allele"):
        return text.upper()
    if text in ("", "NA", ".", "\\N", "nan"):
        return None
    number = float(text)
    return pytest.approx(math.log(number), rel=1e-14) if role == "odds_ratio" else number
