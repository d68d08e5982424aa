"""What cannot be a GWAS is refused: each message names the file and, where there is one, line and column."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.sumstats import open_sumstats, sniff

HEADER = "SNP\tA1\tA2\tBETA\tSE\tP\n"
GOOD = [f"rs{i}\tA\tG\t0.{i}\t0.1\t0.5\n" for i in range(1, 10)]


def refused(path: Path, **options) -> InputError:
    with pytest.raises(InputError) as caught:
        list(open_sumstats(path, **options))
    error = caught.value
    assert str(path) in str(error), "the message names the file"
    assert error.exit_code == 3
    return error


def written(tmp_path: Path, text: str | bytes, name: str = "trait.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    return written(tmp_path, header + "".join(GOOD) + "".join(row + "\n" for row in rows))


def test_truncated_gzip(tmp_path):
    whole = gzip.compress((HEADER + "".join(GOOD) * 50).encode())
    error = refused(written(tmp_path, whole[: len(whole) // 2], "trait.txt.gz"))
    assert "cut short" in str(error) and "gzip -t" in str(error)


def test_truncated_gzip_far_into_the_file(tmp_path):
    effects = np.random.default_rng(1).normal(size=80_000)
    rows = "".join(f"rs{i}\tA\tG\t{x:.9f}\t0.1\t0.5\n" for i, x in enumerate(effects))
    whole = gzip.compress((HEADER + rows).encode(), 1)
    error = refused(written(tmp_path, whole[:-1000], "trait.txt.gz"))
    assert "cut short" in str(error)


def test_damaged_gzip(tmp_path):
    whole = bytearray(gzip.compress((HEADER + "".join(GOOD) * 50).encode()))
    whole[len(whole) // 2] ^= 0xFF
    assert re.search("damaged|cut short", str(refused(written(tmp_path, bytes(whole), "trait.txt.gz"))))


def test_not_a_gzip(tmp_path):
    error = refused(written(tmp_path, "these are not the rows\nyou are looking for\n", "trait.txt.gz"))
    assert "is not a gzip file in spite of its name" in str(error)


def test_web_page_of_a_failed_download(tmp_path):
    error = refused(written(tmp_path, "<!DOCTYPE html>\n<html><body>403</body></html>\n", "trait.txt.gz"))
    assert "is a web page, not a table" in str(error)


def test_empty_file(tmp_path):
    assert "is empty" in str(refused(written(tmp_path, "")))
    assert "is empty" in str(refused(written(tmp_path, "\n\n")))
    assert "is empty" in str(refused(written(tmp_path, gzip.compress(b""), "trait.gz")))


def test_header_only(tmp_path):
    error = refused(written(tmp_path, HEADER))
    assert "has a header only" in str(error) and error.line == 1


def test_comments_only(tmp_path):
    assert "comment lines only" in str(refused(written(tmp_path, "## nothing\n## here\n")))


def test_no_header(tmp_path):
    error = refused(written(tmp_path, "".join(GOOD)))
    assert "has no header line" in str(error) and error.line == 1


def test_binary_file(tmp_path):
    noise = np.random.default_rng(3).integers(0, 255, 4096, dtype=np.uint8)
    error = refused(written(tmp_path, bytes(noise)))
    assert "is a binary file" in str(error)


def test_archives_and_databases(tmp_path):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("trait.txt", HEADER)
    assert "ZIP archive" in str(refused(written(tmp_path, held.getvalue(), "trait.zip")))
    assert "SQLite database" in str(
        refused(written(tmp_path, b"SQLite format 3\x00" + bytes(100), "models.db"))
    )


def test_utf16(tmp_path):
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        error = refused(written(tmp_path, (HEADER + "".join(GOOD)).encode(encoding)))
        assert "is UTF-16 text" in str(error) and "iconv" in str(error)


def test_old_macintosh_lines(tmp_path):
    text = (HEADER + "".join(GOOD)).replace("\n", "\r")
    assert "bare carriage return" in str(refused(written(tmp_path, text)))


def test_wrong_separator_given(tmp_path):
    error = refused(table(tmp_path), separator=",")
    assert "the header is a single cell" in str(error) and "tabs" in str(error) and error.line == 1


def test_header_and_rows_separated_differently(tmp_path):
    error = refused(written(tmp_path, HEADER + "".join(GOOD).replace("\t", ",")))
    assert "no row has as many cells as the header" in str(error) and error.line == 2
    assert "6 names and 1 cells" in str(error)


def test_missing_effect_column(tmp_path):
    error = refused(written(tmp_path, "SNP\tA1\tA2\tSE\tP\nrs1\tA\tG\t0.1\t0.5\n"))
    assert "no column found for the effect" in str(error) and "--column beta=NAME" in str(error)
    assert error.line == 1


def test_missing_columns_of_other_kinds(tmp_path):
    for header, lacking in (
        ("A1\tA2\tBETA\tSE", "variant id"),
        ("SNP\tBETA\tSE\tP", "effect allele"),
        ("SNP\tA1\tBETA\tSE", "other allele"),
        ("SNP\tA1\tA2\tBETA", "standard error or p"),
    ):
        path = written(tmp_path, header + "\n" + "\t".join("x" * len(header.split())) + "\n")
        assert f"no column found for the {lacking}" in str(refused(path))


def test_non_numeric_effect_in_row_n(tmp_path):
    error = refused(table(tmp_path, "rs10\tA\tG\tabc\t0.1\t0.5"))
    assert (error.line, error.column) == (11, "BETA")
    assert "is not a number" in str(error) and "'abc'" in str(error)


def test_line_is_right_after_comments_blank_and_malformed_lines_and_over_blocks(tmp_path):
    text = "## one\n\n" + HEADER + "".join(GOOD) * 200 + "short\trow\n\n" + "".join(GOOD) * 200
    text += "rs10\tA\tG\tabc\t0.1\t0.5\n"
    path = written(tmp_path, text, "trait.txt")
    line = text.splitlines().index("rs10\tA\tG\tabc\t0.1\t0.5") + 1
    for size in (512, 4096, 1 << 20):
        assert refused(path, block_bytes=size).line == line
    keep = lambda ids: [i == "rs10" for i in ids.to_pylist()]  # noqa: E731
    assert refused(path, keep=keep, block_bytes=700).line == line


def test_line_is_right_in_whitespace_and_crlf_files(tmp_path):
    text = (HEADER + "".join(GOOD) + "rs10\tA\tG\tabc\t0.1\t0.5\n").replace("\t", "   ")
    assert refused(written(tmp_path, text)).line == 11
    assert refused(written(tmp_path, text.replace("\n", "\r\n"))).line == 11
    assert refused(written(tmp_path, text.replace("   ", ",").replace("\n", "\r\n"))).line == 11


def test_negative_standard_error(tmp_path):
    error = refused(table(tmp_path, "rs10\tA\tG\t0.1\t-0.1\t0.5"))
    assert (error.line, error.column) == (11, "SE") and "negative" in str(error) and "-0.1" in str(error)


def test_standard_errors_mostly_zero(tmp_path):
    path = table(tmp_path, *(f"rs{i}\tA\tG\t0.1\t0\t0.5" for i in range(20, 30)))
    error = refused(path)
    assert error.column == "SE" and "more than half of the standard errors are 0" in str(error)
    assert "10 of 19" in str(error)


def test_a_few_zero_standard_errors_are_missing_and_counted(tmp_path):
    reader = open_sumstats(table(tmp_path, "rs10\tA\tG\t0.1\t0\t0.5"))
    (batch,) = reader
    assert batch["se"].null_count == 1 and reader.counts.zero_se == 1


@pytest.mark.parametrize("value", ["1.5", "-0.2", "7.3"])
def test_p_outside_0_1(value, tmp_path):
    error = refused(table(tmp_path, f"rs10\tA\tG\t0.1\t0.1\t{value}"))
    assert (error.line, error.column) == (11, "P")
    assert "p is outside [0, 1]" in str(error) and value in str(error)


def test_nlog10_p_given_as_p(tmp_path):
    path = table(tmp_path, "rs10\tA\tG\t0.1\t0.1\t6.24")
    error = refused(path, columns={"p": "P"})
    assert (error.line, error.column) == (11, "P") and "--column nlog10_p=P" in str(error)
    columns = {"variant_id": "SNP", "effect_allele": "A1", "other_allele": "A2", "beta": "BETA", "p": "P"}
    assert "--column nlog10_p=P" in str(refused(path, columns=columns))


def test_p_given_as_nlog10_p(tmp_path):
    values = np.random.default_rng(4).uniform(size=300)
    path = table(tmp_path, *(f"rs{i}\tA\tG\t0.1\t0.1\t{p:.5f}" for i, p in enumerate(values, 20)))
    error = refused(path, columns={"nlog10_p": "P"})
    assert error.column == "P" and "--column p=P" in str(error)


def test_negative_nlog10_p(tmp_path):
    error = refused(table(tmp_path, "rs10\tA\tG\t0.1\t0.1\t-3"), columns={"nlog10_p": "P"})
    assert (error.line, error.column) == (11, "P") and "-log10 p is negative" in str(error)


def test_negative_odds_ratio(tmp_path):
    path = table(tmp_path, "rs10\tA\tG\t-0.1\t0.1\t0.5", header=HEADER.replace("BETA", "OR"))
    error = refused(path)
    assert (error.line, error.column) == (11, "OR") and "--column beta=OR" in str(error)


def test_duplicated_header_names(tmp_path):
    error = refused(written(tmp_path, "SNP\tA1\tA2\tBETA\tSE\tP\tBETA\nrs1\tA\tG\t1\t1\t.5\t2\n"))
    assert (error.line, error.column) == (1, "BETA")
    assert "two columns have one name" in str(error) and "column 4 and as column 7" in str(error)


def test_two_columns_for_one_role(tmp_path):
    error = refused(written(tmp_path, "SNP\tA1\tA2\tBETA\tEFFECT\tSE\nrs1\tA\tG\t1\t1\t1\n"))
    assert "two columns could be the beta" in str(error) and "--column beta=NAME" in str(error)


def test_no_such_file_folder_url(tmp_path):
    assert "does not exist" in str(refused(tmp_path / "nowhere.txt"))
    assert "is a folder" in str(refused(tmp_path))
    with pytest.raises(InputError, match="ftp:// addresses are not read"):
        sniff("ftp://example.org/0001.txt.gz")
    with pytest.raises(InputError, match="no file matches this pattern"):
        sniff(tmp_path / "chr*.gz")
    path = table(tmp_path)
    with pytest.raises(InputError, match="given twice"):
        open_sumstats([path, path])


def test_files_of_one_trait_with_different_headers(tmp_path):
    one = written(tmp_path, HEADER + "".join(GOOD), "chr1.txt")
    two = written(tmp_path, HEADER.replace("BETA", "b") + "".join(GOOD), "chr2.txt")
    with pytest.raises(InputError) as caught:
        open_sumstats([one, two])
    assert str(two) in str(caught.value) and str(one) in str(caught.value)


def test_explicit_column_that_is_not_there(tmp_path):
    error = refused(table(tmp_path), columns={"beta": "BETTA"})
    assert error.column == "BETTA" and "Did you mean 'BETA'?" in str(error)


def test_latin1_in_a_column_that_is_used(tmp_path):
    path = written(tmp_path, HEADER.encode() + b"rs\xe91\tA\tG\t0.1\t0.1\t0.5\n")
    assert "not UTF-8" in str(refused(path))


def test_a_line_that_never_ends(tmp_path):
    path = written(tmp_path, b"SNP A1 A2 BETA SE\n" + b"rs1 A G 1 1\n" + b"x" * 3000, "trait.txt")
    reader = open_sumstats(path, block_bytes=512)
    assert sum(batch.num_rows for batch in reader) == 1 and reader.rows_malformed == 1


def test_an_error_in_the_middle_leaves_no_thread_behind(tmp_path):
    import threading

    path = written(tmp_path, HEADER + "".join(GOOD) * 100 + "rs\tA\tG\tabc\t1\t1\n" + "".join(GOOD) * 5000)
    refused(path, block_bytes=1024)
    assert not [thread for thread in threading.enumerate() if thread.name == "inflate"]
