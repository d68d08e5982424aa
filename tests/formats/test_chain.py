"""Reading chain files."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.chain import chain_builds, read_chain

GOOD = """##matrix=1
# a comment

chain 900 chr1 1000 + 100 230 chr2 500 - 20 145 1
50 10 0
30 0 5
40

chain 5000000000 chr1 1000 + 0 60 chr1 800 + 0 60
60
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="a.chain"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_blocks_are_sorted_by_where_they_begin(written):
    chain = read_chain(written(GOOD))
    assert chain.source_names == ("chr1",) and chain.target_names == ("chr2", "chr1")
    assert chain.source_sizes.tolist() == [1000] and chain.target_sizes.tolist() == [500, 800]
    assert chain.n_chains == 2 and len(chain) == 4
    assert chain.start.tolist() == [0, 100, 160, 190] and chain.end.tolist() == [60, 150, 190, 230]
    assert chain.target.tolist() == [1, 0, 0, 0] and chain.target_start.tolist() == [0, 20, 70, 105]
    assert chain.target_strand.tolist() == [1, -1, -1, -1]
    assert chain.score.tolist() == [5_000_000_000, 900, 900, 900] and chain.order.tolist() == [3, 0, 1, 2]


def test_gzip_is_told_by_the_bytes_not_by_the_name(written, caplog):
    plain = read_chain(written(GOOD))
    packed = read_chain(written(gzip.compress(GOOD.encode()), "a.chain"))
    members = read_chain(
        written(gzip.compress(GOOD[:60].encode()) + gzip.compress(GOOD[60:].encode()), "b.gz")
    )
    assert not caplog.records
    misnamed = read_chain(written(GOOD, "c.chain.gz"))
    assert "not compressed in spite of its name" in caplog.text
    for other in (packed, members, misnamed):
        np.testing.assert_array_equal(other.target_start, plain.target_start)


def test_windows_line_ends(written):
    assert len(read_chain(written(GOOD.replace("\n", "\r\n")))) == 4


def test_blocks_without_a_base_are_left_out(written):
    chain = read_chain(written("chain 1 1 99 + 0 20 1 99 + 0 20 1\n10 0 0\n0 0 0\n10\n"))
    assert chain.start.tolist() == [0, 10]


HEADER = "chain 900 chr1 1000 + 100 230 chr2 500 - 20 150 1"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "holds no chain"),
        ("# nothing\n\n", None, "holds no chain"),
        ("rsid\tchr\tpos\nrs1\t1\t2\n", 1, "is no chain file"),
        ("<!DOCTYPE html>\n", 1, "is no chain file"),
        (HEADER + "\n50 10 10\n", 1, "truncated"),
        (HEADER + "\n50 10 10\n30 0 0\n", 1, "truncated"),
        (HEADER + "\n50 10 10\n\n30\n", 3, "not a block"),
        (HEADER + "\n50 10\n", 2, "not a block"),
        (HEADER + "\n50 -10 10\n70\n", 2, "not a block"),
        (HEADER + "\nfifty\n", 2, "not a block"),
        (HEADER + "\n129\n", 2, "do not match"),
        (HEADER + "\n60 10 10\n60\n" + "\n60\n", 5, "is no chain file"),
        (HEADER.replace("+ 100 230", "- 100 230") + "\n130\n", 1, "strand"),
        (HEADER.replace("500 -", "500 *") + "\n130\n", 1, "strand"),
        (HEADER.replace("chr2 500", "chr2 149") + "\n130\n", 1, "target do not fit its size"),
        (HEADER.replace("100 230", "230 100") + "\n130\n", 1, "source do not fit its size"),
        (HEADER.replace("chr2 500 -", "chr2") + "\n130\n", 1, "header of a chain"),
        (HEADER.replace(" 1000 ", " 1k ") + "\n130\n", 1, "is no number"),
        (HEADER.replace("chr2", "chr²") + "\n130\n", 1, "header of a chain"),
        (HEADER.replace("900", "9" * 30) + "\n130\n", 1, "score"),
        (f"{HEADER}\n130\n\n{HEADER.replace('1000', '1001')}\n130\n", 4, "another size"),
        (f"{HEADER}\n130\n\n{HEADER.replace('500', '501')}\n130\n", 4, "another size"),
    ],
)
def test_bad_files_name_the_line(written, text, line, words):
    with pytest.raises(InputError, match=words) as caught:
        read_chain(path := written(text))
    assert caught.value.path == str(path)
    if line is not None or "holds" not in words:
        assert caught.value.line == line


def test_damaged_gzip(written):
    whole = gzip.compress(GOOD.encode())
    for damaged in (whole[:-12], whole[:30] + b"\xff\xff\xff" + whole[33:], whole[:3]):
        with pytest.raises(InputError, match=r"damaged or truncated"):
            read_chain(written(damaged, "a.chain.gz"))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_chain(tmp_path / "hg19ToHg38.over.chain.gz")
    with pytest.raises(InputError, match="cannot be read"):
        read_chain(tmp_path)


@pytest.mark.parametrize(
    ("name", "builds"),
    [
        ("hg19ToHg38.over.chain.gz", ("hg19", "hg38")),
        ("/data/hg38ToHg19.over.chain", ("hg38", "hg19")),
        ("mm10ToMm39.over.chain.gz", ("mm10", "mm39")),
        ("hg38ToCanFam3.over.chain.gz", ("hg38", "canFam3")),
        ("GRCh37_to_GRCh38.chain.gz", ("GRCh37", "GRCh38")),
        ("chain.gz", None),
        ("my.chain", None),
    ],
)
def test_builds_are_in_the_name(name, builds):
    assert chain_builds(name) == builds
