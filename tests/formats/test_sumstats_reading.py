"""Bytes to batches: compression, blocks, several files, rows kept, columns wanted, layouts given by hand."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats import open_sumstats, sniff
from gputwas.formats.sumstats.inflate import blocks, compression_of
from gputwas.formats.sumstats.layout import STATISTIC_ROLES

HEADER = "SNP CHR BP A1 A2 BETA SE P\n"


def rows(count: int, first: int = 1) -> str:
    return "".join(
        f"rs{i} {1 + i % 22} {i * 10} A G {i / 1000} 0.1 0.5\n" for i in range(first, first + count)
    )


def bgzip(data: bytes, size: int = 5000) -> bytes:
    """Many gzip members, the last one empty, as bgzip writes them."""
    return b"".join(gzip.compress(data[i : i + size]) for i in range(0, len(data), size)) + gzip.compress(b"")


def zstandard(data: bytes) -> bytes:
    half = len(data) // 2
    return b"".join(pa.compress(part, "zstd", asbytes=True) for part in (data[:half], data[half:]))


WAYS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bgzip": bgzip,
    "zstd": zstandard,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def table(path, **options) -> pa.Table:
    reader = open_sumstats(path, **options)
    return pa.Table.from_batches(list(reader)).combine_chunks()


@pytest.mark.parametrize("way", WAYS)
def test_compression_is_told_by_the_bytes_not_by_the_name(way, tmp_path):
    path = tmp_path / "trait.dat"
    text = (HEADER + rows(3000)).encode()
    path.write_bytes(WAYS[way](text))
    assert compression_of(str(path)) == {"bgzip": "gzip"}.get(way, way)
    assert b"".join(b.data.tobytes() for b in blocks(str(path), compression_of(str(path)), size=1000)) == text
    found = table(path, block_bytes=4096)
    assert found["variant_id"].to_pylist() == [f"rs{i}" for i in range(1, 3001)]
    assert found["beta"].to_pylist() == [i / 1000 for i in range(1, 3001)]


def test_plain_text_named_gz_is_read_with_a_warning(tmp_path, caplog):
    path = tmp_path / "trait.txt.gz"
    path.write_text(HEADER + rows(3))
    assert table(path).num_rows == 3
    assert "not compressed in spite of its name" in caplog.text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 200),
    size=st.integers(1, 3000),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    gap=st.sampled_from([" ", "\t", "   ", " \t ", ","]),
    first=st.sampled_from(["", "## x\n\n", "\ufeff"]),
)
def test_blocks_line_ends_and_separators_change_nothing(count, size, newline, last, gap, first, tmp_path):
    text = HEADER + rows(count)
    expected = tmp_path / "one.txt"
    expected.write_text(text)
    text = first + text.replace(" ", gap)
    text = text if last else text.rstrip("\n")
    path = tmp_path / "two.txt"
    path.write_bytes(text.replace("\n", newline).encode())
    assert table(path, block_bytes=size).equals(table(expected))


def test_blocks_are_bounded_and_numbered(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(HEADER + rows(2000))
    found = list(blocks(str(path), "plain", size=4096))
    assert len(found) > 5 and max(len(b.data) for b in found) <= 4096 + 100
    lines = np.cumsum([0] + [int(np.count_nonzero(b.data == 10)) for b in found])
    assert [b.first_line for b in found] == list(lines[:-1] + 1)


def test_a_reader_left_early_stops_its_thread(tmp_path):
    import threading

    path = tmp_path / "trait.txt"
    path.write_text(HEADER + rows(5000))
    for _ in open_sumstats(path, block_bytes=1000):
        break
    import gc

    gc.collect()
    assert not [t for t in threading.enumerate() if t.name == "inflate"]


def test_several_files_are_one_trait_in_natural_order(tmp_path):
    for chromosome in (10, 2, 1):
        (tmp_path / f"chr{chromosome}.txt").write_text(HEADER + rows(5, chromosome * 100))
    reader = open_sumstats(str(tmp_path / "chr*.txt"))
    found = pa.Table.from_batches(list(reader))
    assert found["variant_id"].to_pylist()[::5] == ["rs100", "rs200", "rs1000"]
    assert reader.rows_read == 15 and len(reader.paths) == 3
    assert pa.Table.from_batches(list(reader)).num_rows == 15 and reader.rows_read == 15, "read anew"


@pytest.mark.parametrize("kind", ["arrow", "numpy", "nulls"])
def test_keep_filters_before_numbers_are_parsed(tmp_path, kind):
    path = tmp_path / "trait.txt"
    path.write_text(HEADER + rows(100) + "rs_bad 1 5 A G abc def ghi\n")
    wanted = pa.array([f"rs{i}" for i in range(0, 100, 7)])

    def keep(ids):
        mask = pc.is_in(ids, value_set=wanted)
        if kind == "nulls":
            return pc.if_else(mask, mask, pa.scalar(None, pa.bool_()))
        return mask if kind == "arrow" else mask.to_numpy(zero_copy_only=False)

    reader = open_sumstats(path, keep=keep, block_bytes=700)
    found = pa.Table.from_batches(list(reader))
    assert found["variant_id"].to_pylist() == wanted.to_pylist()[1:]
    assert found["beta"].to_pylist() == [i / 1000 for i in range(7, 100, 7)]
    assert reader.rows_read == 101


def test_roles_wanted(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(HEADER.replace("BETA", "OR") + rows(3))
    found = table(path, roles=["variant_id", "effect_allele", "other_allele", "beta", "nlog10_p"])
    assert found.column_names == ["variant_id", "effect_allele", "other_allele", "beta", "nlog10_p"]
    assert table(path, roles=["variant_id", "beta"])["beta"].to_pylist() == [
        pytest.approx(np.log(i / 1000)) for i in (1, 2, 3)
    ]


def test_ids_are_made_from_place_and_alleles_where_there_are_none(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text("chrom pos ref alt beta se\nchr01 100 a g 0.1 0.2\n")
    assert table(path)["variant_id"].to_pylist() == ["1_100_A_G"]
    assert table(path, roles=["variant_id", "se"]).to_pylist() == [{"variant_id": "1_100_A_G", "se": 0.2}]


def test_malformed_rows_are_counted_and_reported(tmp_path, caplog):
    path = tmp_path / "trait.txt"
    path.write_text(HEADER + rows(5) + "rs9 1\n" + rows(2, 50) + "a b c d e f g h i j\n")
    reader = open_sumstats(path)
    assert sum(batch.num_rows for batch in reader) == 7
    assert (reader.rows_read, reader.rows_malformed) == (7, 2) and "2 of 9 rows" in caplog.text


def test_headers_repeated_in_the_middle_are_passed_over(tmp_path):
    path = tmp_path / "all.txt"
    path.write_text(HEADER + rows(3) + HEADER + rows(3, 10))
    reader = open_sumstats(path)
    assert sum(batch.num_rows for batch in reader) == 6 and reader.rows_malformed == 1


def test_quoted_tables_with_row_names_as_r_writes_them(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text('"SNP" "A1" "A2" "BETA" "SE"\n"1" "rs1" "A" "G" 0.1 0.2\n"2" "rs2" "A" "G" NA 0.2\n')
    assert table(path)["variant_id"].to_pylist() == ["rs1", "rs2"]
    path.write_text('"SNP","A1","A2","BETA","SE"\n"rs,1","A","G",0.1,0.2\n')
    assert table(path)["variant_id"].to_pylist() == ["rs,1"]


def test_blanks_around_cells_are_no_part_of_them(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("SNP, A1, A2, BETA, SE\nrs1, a, g , 0.1, 0.2\nrs2 , c, t,  NA, 0.2\n")
    kept = table(path, keep=lambda ids: pc.is_in(ids, value_set=pa.array(["rs1", "rs2"])))
    assert kept["variant_id"].to_pylist() == ["rs1", "rs2"]
    assert kept["effect_allele"].to_pylist() == ["A", "C"] and kept["beta"].to_pylist() == [0.1, None]


def test_a_header_behind_many_comment_lines_and_a_very_wide_one(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("## remark\n" * 40_000 + HEADER + rows(3))
    assert table(path).num_rows == 3
    wide = [f"column{i}" for i in range(40_000)]
    path.write_text("\t".join([*HEADER.split(), *wide]) + "\n" + "\t".join([*rows(1).split(), *wide]) + "\n")
    assert table(path)["variant_id"].to_pylist() == ["rs1"]


def test_a_separator_at_the_end_of_rows(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("SNP\tA1\tA2\tBETA\tSE\nrs1\tA\tG\t0.1\t0.2\t\nrs2\tA\tG\t\t0.2\t\n")
    assert table(path)["beta"].to_pylist() == [0.1, None]


def test_generic_synonyms_and_a_note_on_the_effect_allele(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(
        "rsID\tchr\tpos\tTested_Allele\tOther_Allele\tFreq_Tested_Allele\tBETA\tSE\tPvalue\n"
        "rs1\tchr01\t100\ta\tg\t.3\t.1\t.2\t.5\n"
    )
    layout = sniff(path)
    assert layout.dialect == "generic" and layout.notes == ()
    assert table(path).to_pylist()[0]["chromosome"] == "1"
    path.write_text("ID\tREF\tALT\tZ\nrs1\tA\tG\t3\n")
    layout = sniff(path)
    assert layout.columns["effect_allele"] == "ALT" and "check" in layout.describe()


@pytest.mark.parametrize("name", ["OR_SE", "or.se", "SE_OR"])
def test_a_standard_error_of_unknown_scale_is_not_used(tmp_path, name):
    path = tmp_path / "x.txt"
    path.write_text(f"SNP A1 A2 OR {name} P\nrs1 A G 0.5 0.2 0.01\n")
    layout = sniff(path)
    assert "se" not in layout.columns and f"{name} is not used" in layout.describe()
    (row,) = table(path).to_pylist()
    assert row["beta"] == pytest.approx(math.log(0.5)) and row["p"] == 0.01 and "se" not in row
    path.write_text(f"SNP A1 A2 OR SE {name} P\nrs1 A G 0.5 0.3 0.2 0.01\n")
    layout = sniff(path)
    assert layout.columns["se"] == "SE" and name not in layout.describe()


EXPLICIT = {"variant_id": "id", "effect_allele": "x", "other_allele": "y", "beta": "v1", "se": "v2"}


def test_explicit_columns_are_read_exactly(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("id x y v1 v2 BETA P\nrs1 a g 0.1 0.2 9 9\n")
    layout = sniff(path, columns=EXPLICIT)
    assert (layout.dialect, dict(layout.columns)) == ("custom", EXPLICIT)
    (row,) = table(path, columns=EXPLICIT).to_pylist()
    assert row == {"variant_id": "rs1", "effect_allele": "A", "other_allele": "G", "beta": 0.1, "se": 0.2}


def test_explicit_columns_amend_a_dialect(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("chr rsid pos a1 a2 beta se pval(-log10) beta2 se2\n01 rs1 5 A G 1 1 1 0.1 0.2\n")
    layout = sniff(path, columns={"beta": "beta2", "se": "se2"})
    assert layout.dialect == "big40" and "nlog10_p" not in layout.columns
    (row,) = table(path, columns={"beta": "beta2", "se": "se2"}).to_pylist()
    assert (row["effect_allele"], row["beta"], row["se"]) == ("G", 0.1, 0.2)
    flipped = sniff(path, columns={"effect_allele": "a1", "other_allele": "a2"})
    assert (flipped.columns["effect_allele"], flipped.columns["beta"]) == ("a1", "beta")


@pytest.mark.parametrize(
    ("header", "given", "expected"),
    [
        ("BETA P MYSE", {"se": "MYSE"}, {"beta": "BETA", "se": "MYSE", "p": "P"}),
        ("OR OR_SE P", {"se": "OR_SE"}, {"odds_ratio": "OR", "se": "OR_SE", "p": "P"}),
        ("MYEFF P", {"beta": "MYEFF"}, {"beta": "MYEFF", "p": "P"}),
        ("MYEFF P", {"odds_ratio": "MYEFF"}, {"odds_ratio": "MYEFF", "p": "P"}),
        ("MYEFF SE P", {"beta": "MYEFF"}, {"beta": "MYEFF", "se": "SE", "p": "P"}),
        ("OR SE P MYEFF", {"beta": "MYEFF"}, {"beta": "MYEFF", "se": "SE", "p": "P"}),
        ("BETA OR P", {"odds_ratio": "OR"}, {"odds_ratio": "OR", "p": "P"}),
        ("BETA P DIR", {"sign": "DIR"}, {"p": "P", "sign": "DIR"}),
        ("BETA SE MYSE", {"se": "MYSE"}, {"beta": "BETA", "se": "MYSE"}),
        ("BETA SE P LP", {"nlog10_p": "LP"}, {"beta": "BETA", "se": "SE", "nlog10_p": "LP"}),
        # a detected z would be taken before the columns named
        ("BETA Z P MYSE", {"se": "MYSE"}, {"beta": "BETA", "se": "MYSE", "p": "P"}),
        ("Z P MYEFF", {"beta": "MYEFF"}, {"beta": "MYEFF", "p": "P"}),
        # unless nothing could be scored without it
        ("Z MYEFF", {"beta": "MYEFF"}, {"beta": "MYEFF", "z": "Z"}),
        # those named suffice for a z-score: no other is read
        ("BETA SE P Z ZZ", {"z": "ZZ"}, {"z": "ZZ"}),
        ("BETA SE Z P B2 S2", {"beta": "B2", "se": "S2"}, {"beta": "B2", "se": "S2"}),
        # one of two that could be the effect is named; it need not be told from the other
        ("EFFECT BETA SE", {"beta": "BETA"}, {"beta": "BETA", "se": "SE"}),
    ],
)
def test_a_named_statistic_replaces_its_own_kind_only(tmp_path, header, given, expected):
    path = tmp_path / "x.txt"
    path.write_text(f"SNP A1 A2 {header}\nrs1 A G {' '.join('1' for _ in header.split())}\n")
    layout = sniff(path, columns=given)
    found = {role: name for role, name in layout.columns.items() if role in STATISTIC_ROLES}
    assert found == expected
    assert "not used" not in layout.describe()


def test_a_named_statistic_does_not_settle_which_of_two_is_another(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("SNP A1 A2 BETA EFFECT P MYSE\nrs1 A G 1 1 1 1\n")
    with pytest.raises(InputError, match="two columns could be the beta"):
        sniff(path, columns={"se": "MYSE"})


def test_minus_log10_p_under_a_plain_name_keeps_the_rest(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("SNP A1 A2 BETA SE P\nrs1 A G 0.1 0.02 6.24\n")
    (row,) = table(path, columns={"nlog10_p": "P"}).to_pylist()
    assert (row["nlog10_p"], row["beta"], "p" in row) == (6.24, 0.1, False)


def test_covariate_rows_are_left_out_with_explicit_columns_too(tmp_path):
    path = tmp_path / "x.glm.linear"
    path.write_text(
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\n"
        "1\t5\trs1\tA\tG\tG\tADD\t9\t.1\t.1\t1\t.3\n"
        "1\t5\trs1\tA\tG\tG\tSEX\t9\t9\t.1\t1\t.3\n"
    )
    columns = {"variant_id": "ID", "effect_allele": "A1", "other_allele": "REF", "beta": "BETA", "se": "SE"}
    assert table(path, columns=columns)["beta"].to_pylist() == [0.1]
    assert table(path, columns=columns, parity=True)["beta"].to_pylist() == [0.1, 9]


def test_unknown_role_is_a_usage_error(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(HEADER + rows(2))
    with pytest.raises(UsageError, match="did you mean beta"):
        open_sumstats(path, columns={"betta": "BETA"})


def test_importing_the_package_is_light():
    code = "import sys, gputwas.formats.sumstats as s\n"
    code += "assert not {'numpy', 'pyarrow'} & set(sys.modules); s.ROLES"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_what_all_says():
    import gputwas.formats.sumstats as package

    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.nothing  # type: ignore[attr-defined]


def test_memory_is_bounded_by_the_blocks(tmp_path):
    path = tmp_path / "trait.txt"
    path.write_text(HEADER + rows(20_000))
    reader = open_sumstats(path, block_bytes=16_384)
    assert max(batch.num_rows for batch in reader) < 1000


# --- Parquet ---------------------------------------------------------------------------------------------


def test_parquet_with_native_types(tmp_path):
    path = tmp_path / "trait.parquet"
    native = pa.table(
        {
            "rsid": pa.array(["rs1", "rs2", None]).dictionary_encode(),
            "chromosome": pa.array([1, 23, 2]),
            "base_pair_location": pa.array([5, 6, 7], pa.int32()),
            "effect_allele": pa.array(["a", "c", "g"], pa.large_string()),
            "other_allele": ["g", "t", "a"],
            "beta": pa.array([0.1, None, 0.3], pa.float32()),
            "standard_error": [0.1, 0.2, float("nan")],
            "p_value": [0.3, 1e-310, 0.0],
        }
    )
    pa.parquet.write_table(native, path)
    layout = sniff(path)
    assert layout.dialect == "gwas_ssf" and layout.delimiter == ""
    found = table(path)
    assert found["chromosome"].to_pylist() == ["1", "X", "2"] and found["effect_allele"].to_pylist() == [
        "A",
        "C",
        "G",
    ]
    assert found["variant_id"].to_pylist() == ["rs1", "rs2", None]
    assert found["beta"].to_pylist() == [pytest.approx(0.1), None, pytest.approx(0.3)]
    assert found["se"].to_pylist() == [0.1, 0.2, None]
    assert found["nlog10_p"].to_pylist() == [pytest.approx(-np.log10(0.3)), pytest.approx(310), None]
    assert table(path, keep=lambda ids: pc.equal(ids, "rs2"))["position"].to_pylist() == [6]


def test_parquet_bad_value_and_bad_file(tmp_path):
    path = tmp_path / "trait.parquet"
    good = {"SNP": ["rs1", "rs2"], "A1": ["A", "A"], "A2": ["G", "G"], "BETA": [0.1, 0.2], "SE": [0.1, -0.1]}
    pa.parquet.write_table(pa.table(good), path)
    with pytest.raises(InputError) as caught:
        table(path)
    assert (caught.value.line, caught.value.column) == (2, "SE")
    pa.parquet.write_table(pa.table({name: pa.array([], pa.string()) for name in good}), path)
    with pytest.raises(InputError, match="header only"):
        sniff(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        sniff(path)


# --- GWAS-VCF --------------------------------------------------------------------------------------------

VCF = (
    "##fileformat=VCFv4.2\n##META=<ID=StudyType>\n"
    "##SAMPLE=<ID=ieu-a-2,TotalControls=5000,StudyType=Continuous>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tieu-a-2\n"
)
VCF_ROWS = (
    "1\t1000\trs1\tA\tG\t.\tPASS\tAF=0.3\tES:SE:LP:AF:SS:ID\t0.1:0.02:6.24:0.3:5000:rs1\n"
    "X\t2000\trs2\tC\tCT\t.\tPASS\t.\tSE:ES:LP\t0.05:-0.2:4\n"
    "2\t3000\trs3\tA\tC,G\t.\tPASS\t.\tES:SE\t0.1,0.2:0.1,0.1\n"
    "2\t4000\trs4\tA\tC\t.\tPASS\t.\tES:SE:LP:AF\t.:0.1\n"
)


def test_gwas_vcf_with_formats_that_change_from_row_to_row(tmp_path):
    path = tmp_path / "ieu-a-2.vcf.gz"
    path.write_bytes(bgzip((VCF + VCF_ROWS).encode()))
    layout = sniff(path)
    assert (layout.dialect, layout.effect_kind) == ("gwas_vcf", "beta")
    assert layout.columns["beta"] == "FORMAT/ES" and "ALT is the effect allele" in layout.describe()
    reader = open_sumstats(path)
    found = pa.Table.from_batches(list(reader)).to_pylist()
    assert [row["variant_id"] for row in found] == ["rs1", "rs2", "rs4"] and reader.rows_malformed == 1
    assert found[0] == {
        "variant_id": "rs1",
        "chromosome": "1",
        "position": 1000,
        "effect_allele": "G",
        "other_allele": "A",
        "beta": 0.1,
        "se": 0.02,
        "nlog10_p": 6.24,
        "n": 5000,
        "effect_allele_frequency": 0.3,
    }
    assert (found[1]["beta"], found[1]["se"], found[1]["n"]) == (-0.2, 0.05, None)
    assert (found[2]["beta"], found[2]["se"], found[2]["nlog10_p"]) == (None, 0.1, None)
    kept = table(path, keep=lambda ids: pc.equal(ids, "rs4"), block_bytes=64)
    assert kept["position"].to_pylist() == [4000]


def test_gwas_vcf_case_control_z_and_samples(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(VCF.replace("StudyType=Continuous", "StudyType=CaseControl") + VCF_ROWS)
    assert sniff(path).effect_kind == "log_odds"
    two = VCF.replace("\tieu-a-2\n", "\tone\ttwo\n") + "1\t1000\trs1\tA\tG\t.\tPASS\t.\tEZ\t3\t-4\n"
    path.write_text(two)
    with pytest.raises(InputError, match=r"has 2 samples.*one, two.*--column sample=NAME"):
        sniff(path)
    assert table(path, columns={"sample": "two"})["z"].to_pylist() == [-4]


def test_gwas_vcf_errors_name_the_line(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(VCF + VCF_ROWS + "2\t5000\trs5\tA\tC\t.\tPASS\t.\tES:SE:LP\t0.1:abc:1\n")
    with pytest.raises(InputError) as caught:
        table(path)
    assert (caught.value.line, caught.value.column) == (9, "FORMAT/SE")
    path.write_text(VCF + "1\t1000\trs1\tA\tG\t.\tPASS\t.\tGT\t0/1\n")
    with pytest.raises(InputError, match="VCF without effects"):
        sniff(path)


def test_gwas_vcf_fields_named_by_the_caller(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(VCF + "1\t1000\trs1\tA\tG\t.\tPASS\t.\tES:SE:ZZ\t0.1:0.2:-4\n")
    assert table(path, columns={"z": "ZZ"})["z"].to_pylist() == [-4]
    for columns in ({"z": "QQ"}, {"variant_id": "ID"}):
        with pytest.raises(InputError, match="ES, SE, ZZ"):
            sniff(path, columns=columns)
