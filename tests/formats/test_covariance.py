"""Covariances come out as written; whatever would make a matrix ambiguous is refused with the gene's name."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.covariance import Covariances, read_covariances, write_covariances

HEADER = "GENE RSID1 RSID2 VALUE\n"
ROWS = "g2 rs1 rs1 0.5\ng2 rs1 rs2 -0.1\ng2 rs2 rs2 NA\ng1 rs3 rs3 1e-3\n"


def write(folder: Path, text: str, name: str = "TW_Liver.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def rows(table: Covariances) -> list[tuple[str, str, str, float]]:
    gene = np.repeat(np.array(table.genes, dtype=object), np.diff(table.offsets))
    ids = table.snps.to_numpy(zero_copy_only=False)
    return list(zip(gene, ids[table.id1], ids[table.id2], table.values, strict=True))


EXPECTED = [
    ("g2", "rs1", "rs1", 0.5),
    ("g2", "rs1", "rs2", -0.1),
    ("g2", "rs2", "rs2", np.nan),
    ("g1", "rs3", "rs3", 1e-3),
]


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS,
        (HEADER + ROWS).rstrip("\n"),
        (HEADER + ROWS).replace(" ", "\t"),
        (HEADER + ROWS).replace("\n", "\r\n"),
        (HEADER + ROWS).replace(" ", "  \t"),
        HEADER + ROWS.replace("\n", "  \n  "),
        HEADER + ROWS.replace("\n", "\n\n"),
        "\ufeff" + HEADER.lower() + ROWS,
    ],
    ids=["spaces", "no last newline", "tabs", "crlf", "runs", "padded", "blank lines", "mark and lower case"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_separators_and_line_ends(tmp_path: Path, text: str, name: str) -> None:
    table = read_covariances(write(tmp_path, text, name))
    assert table.genes == ["g2", "g1"]
    assert (table.offsets.dtype, table.offsets.tolist()) == (np.dtype(np.int64), [0, 3, 4])
    assert table.id1.dtype == table.id2.dtype == np.int32
    assert sorted(table.snps.to_pylist()) == ["rs1", "rs2", "rs3"]
    found = rows(table)
    assert [row[:3] for row in found] == [row[:3] for row in EXPECTED]
    np.testing.assert_array_equal([row[3] for row in found], [row[3] for row in EXPECTED])


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "VALUE extra RSID2 GENE RSID1\n0.5 x rs2 g1 rs1\n"
    assert rows(read_covariances(write(tmp_path, text))) == [("g1", "rs1", "rs2", 0.5)]


def test_header_only_is_an_empty_table(tmp_path: Path) -> None:
    table = read_covariances(write(tmp_path, HEADER))
    assert (table.genes, table.offsets.tolist(), len(table.snps), len(table.values)) == ([], [0], 0, 0)


def test_full_square_matrix_is_fine(tmp_path: Path) -> None:
    text = HEADER + "g a a 1\ng a b 0.1\ng b a 0.10000000000000001\ng b b 2\n"
    assert len(read_covariances(write(tmp_path, text)).values) == 4


def test_missing_value_completed_by_the_other_order(tmp_path: Path) -> None:
    text = HEADER + "g a b NA\ng b a 0.1\n"
    assert len(read_covariances(write(tmp_path, text)).values) == 2


def test_one_snp_in_two_genes_is_no_repeat(tmp_path: Path) -> None:
    text = HEADER + "g1 a a 1\ng2 a a 1\n"
    assert len(read_covariances(write(tmp_path, text)).values) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("g a a 1\nh a a 1\ng b b 1\n", "rows of gene g are not contiguous"),
        ("h a a 1\ng a b 1\ng a b 1\n", "a and b in gene g is repeated"),
        ("h a a 1\ng a b NA\ng b b 1\ng a b NA\n", "a and b in gene g is repeated"),
        ("h a a 1\ng a b 1\ng c c 1\ng a b 2\n", "a and b in gene g is given twice with different values"),
        ("h a a 1\ng a b 1\ng c c 1\ng b a 2\n", "b and a in gene g is given twice with different values"),
        ("g a a inf\n", "a and a in gene g is infinite"),
    ],
)
def test_ambiguous_matrices_name_the_gene(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_covariances(write(tmp_path, HEADER + body))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("g2 rs9 rs9", "3 cells.*expected 4"),
        ("g2 rs9 rs9 0.1 0.2", "5 cells"),
        ("g2 rs9 rs9 abc", "gene g2 is not a number.*'abc'"),
        ("g2 rs9 rs9 0,1", "not a number"),
    ],
)
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
def test_malformed_row_is_named_by_its_line(tmp_path: Path, bad: str, words: str, separator: str) -> None:
    text = (HEADER + ROWS + "\n" + bad + "\ng3 rs3 rs3 1\n").replace(" ", separator)
    with pytest.raises(InputError, match=words) as caught:
        read_covariances(write(tmp_path, text))
    assert caught.value.line == 7


def test_malformed_row_deep_in_a_large_file(tmp_path: Path) -> None:
    lines = [f"ENSG{i:011d} rs{i} rs{i} 0.123456789\n" for i in range(300_000)]  # several blocks
    lines[-2] = "ENSG rs1 0.5\n"
    with pytest.raises(InputError, match="3 cells") as caught:
        read_covariances(write(tmp_path, HEADER + "".join(lines)))
    assert caught.value.line == 300_000


def test_ids_agree_across_blocks_of_a_large_file(tmp_path: Path) -> None:
    count = 300_000
    text = HEADER + "".join(f"ENSG{i:011d} rs{i % 7} rs{i % 5} {i}\n" for i in range(count))
    table = read_covariances(write(tmp_path, text))
    ids = table.snps.to_numpy(zero_copy_only=False)
    assert len(ids) == 7
    assert len(table.genes) == count
    np.testing.assert_array_equal(table.values, np.arange(count))
    np.testing.assert_array_equal(
        ids[table.id1], np.array([f"rs{i % 7}" for i in range(count)], dtype=object)
    )
    np.testing.assert_array_equal(
        ids[table.id2], np.array([f"rs{i % 5}" for i in range(count)], dtype=object)
    )


def test_empty_id_between_tabs(tmp_path: Path) -> None:
    text = "GENE\tRSID1\tRSID2\tVALUE\ng1\ta\ta\t1\ng2\t\tb\t1\n"
    with pytest.raises(InputError, match="gene g2 has an empty SNP id"):
        read_covariances(write(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GENE RSID1 VALUE\n", "no column RSID2.*columns GENE RSID1 VALUE"),
        (b"g1 rs1 rs1 0.5\n", "no column GENE"),
        (HEADER.encode("utf-16"), "not a text table"),
        (bytes(range(256)) * 10, "not a text table"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"", "empty"),
    ],
)
def test_not_a_covariance(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_covariances(path)


def test_truncated_gzip(tmp_path: Path) -> None:
    lines = [f"g{i} rs{i} rs{i} {i / 7}\n" for i in range(50_000)]
    path = write(tmp_path, HEADER + "".join(lines), "a.txt.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut short"):
        read_covariances(path)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt"):
        read_covariances(tmp_path / "a.txt")


@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(0, 6), max_size=5), gz=st.booleans())
def test_written_matrices_are_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int], gz: bool
) -> None:
    rng = np.random.default_rng(seed)
    matrices = []
    for size in sizes:
        matrix = rng.normal(size=(size, size)) * 10.0 ** rng.integers(-12, 12)
        matrix[rng.random((size, size)) < 0.1] = np.nan
        matrices.append(np.triu(matrix) + np.triu(matrix, 1).T)
    names = [[f"rs{g}_{i}" for i in range(size)] for g, size in enumerate(sizes)]
    path = tmp_path_factory.mktemp("cov") / ("c.txt.gz" if gz else "c.txt")
    write_covariances(path, [f"g{g}" for g in range(len(sizes))], zip(names, matrices, strict=True))
    table = read_covariances(path)
    wanted = [
        (f"g{g}", ids[i], ids[j], matrix[i, j])
        for g, (ids, matrix) in enumerate(zip(names, matrices, strict=True))
        for i in range(len(ids))
        for j in range(i, len(ids))
    ]
    found = rows(table)
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    np.testing.assert_array_equal([row[3] for row in found], [row[3] for row in wanted])


def test_writing_is_repeatable_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def blocks() -> list[tuple[list[str], np.ndarray]]:
        return [(["a", "b"], np.eye(2))]

    for name in ("1.txt.gz", "2.txt.gz"):
        write_covariances(tmp_path / name, ["g"], blocks())
    assert (tmp_path / "1.txt.gz").read_bytes() == (tmp_path / "2.txt.gz").read_bytes()
    assert gzip.decompress((tmp_path / "1.txt.gz").read_bytes()).startswith(HEADER.encode())
    with pytest.raises(ValueError, match="zip"):
        write_covariances(tmp_path / "3.txt", ["g", "h"], blocks())
    assert sorted(os.listdir(tmp_path)) == ["1.txt.gz", "2.txt.gz"]


def test_real_covariances(gtex_v6p: Path) -> None:
    paths = sorted((gtex_v6p / "covariances").glob("*.txt.gz"))
    assert len(paths) == 22
    for path in paths:
        table = read_covariances(path)
        with gzip.open(path, "rt") as stream:
            next(stream)
            wanted = [line.split() for line in stream]
        found = rows(table)
        assert [list(row[:3]) for row in found] == [row[:3] for row in wanted]
        values = [float("nan" if row[3] == "NA" else row[3]) for row in wanted]
        np.testing.assert_array_equal(table.values, values)


def triangles(sizes: list[int], *, square: bool = False) -> str:
    """Genes of so many SNPs each; neighbouring genes share a SNP at their border."""
    lines = []
    for gene, size in enumerate(sizes):
        ids = [f"rs{gene * 3 + k}" for k in range(size)]
        for i in range(size):
            for j in range(0 if square else i, size):
                lines.append(f"g{gene} {ids[i]} {ids[j]} {min(i, j) + max(i, j) / 100}\n")
    return HEADER + "".join(lines)


@pytest.mark.parametrize("block_bytes", [1, 40, 100, 333])
@pytest.mark.parametrize("square", [False, True])
def test_blocks_of_any_size_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, square: bool
) -> None:
    path = write(tmp_path, triangles([4, 1, 7, 2, 2, 12], square=square))
    whole = read_covariances(path)
    monkeypatch.setattr("gputwas.formats.covariance.BLOCK_BYTES", block_bytes)
    in_blocks = read_covariances(path)
    assert whole.genes == in_blocks.genes == [f"g{k}" for k in range(6)]
    assert whole.offsets.tolist() == in_blocks.offsets.tolist()
    assert rows(whole) == rows(in_blocks)


def test_runs_of_a_triangle_lead_to_the_second_snp(tmp_path: Path) -> None:
    table = read_covariances(write(tmp_path, triangles([3, 1, 2])))
    runs = table.runs
    assert runs.starts.tolist() == [0, 3, 5, 6, 7, 9]
    assert runs.of_row.tolist() == [0, 0, 0, 1, 1, 2, 3, 4, 4, 5]
    assert runs.partner.tolist() == [0, 1, 2, 1, 2, 2, 3, 4, 5, 5]
    np.testing.assert_array_equal(table.id1[runs.starts][runs.partner], table.id2)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), unique=True, max_size=14))
def test_a_partner_is_the_second_snp_or_there_is_none(keys: list[tuple[int, int, int]]) -> None:
    keys = sorted(keys, key=lambda key: key[0])
    gene, id1, id2 = (np.array([key[k] for key in keys], np.int32) for k in range(3))
    starts = np.flatnonzero(np.diff(gene, prepend=-1))
    table = Covariances(
        "x", [str(k) for k in starts], np.append(starts, len(keys)), pa.array(list("abcd")), id1, id2,
        np.ones(len(keys)),
    )  # fmt: skip
    runs = table.runs
    assert len(runs.of_row) == len(runs.partner) == len(keys)
    for row, (run, partner) in enumerate(zip(runs.of_row, runs.partner, strict=True)):
        first_row = runs.starts[run]
        assert (gene[first_row], id1[first_row]) == (gene[row], id1[row])
        assert row == first_row or run == runs.of_row[row - 1]
        if partner >= 0:
            there = runs.starts[partner]
            assert partner >= run and (gene[there], id1[there]) == (gene[row], id2[row])


def test_a_pair_that_comes_again_is_found_behind_a_triangle(tmp_path: Path) -> None:
    text = triangles([2]) + "g0 rs0 rs0 0.0\ng0 rs0 rs1 0.01\n"
    with pytest.raises(InputError, match="of rs0 and rs0 in gene g0 is repeated"):
        read_covariances(write(tmp_path, text))
