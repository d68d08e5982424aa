"""Covariance files of upper triangles: the fast way reads what the ordinary way reads, or leaves it alone."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats import triangles as module
from gputwas.formats.covariance import read_covariances, write_covariances
from gputwas.formats.triangles import read_triangles

HEADER = "GENE RSID1 RSID2 VALUE\n"
TRIANGLE = "g1 rs1 rs1 0.5\ng1 rs1 rs22 -1e-3\ng1 rs22 rs22 0.25\n"

names = st.text("abrs0123456789._:", min_size=1, max_size=20)
numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.decimals(-2, 2, places=3).map(float)


def write(folder: Path, text: str, name: str = "c.txt") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@st.composite
def tissues(draw: st.DrawFn) -> list[tuple[str, list[str], list[float]]]:
    genes = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    found = []
    for gene in genes:
        snps = draw(st.lists(names, min_size=1, max_size=7, unique=True))
        count = len(snps) * (len(snps) + 1) // 2
        found.append((gene, snps, draw(st.lists(numbers, min_size=count, max_size=count))))
    return found


def as_text(tissue: list[tuple[str, list[str], list[float]]], separator: str) -> str:
    lines = [HEADER.replace(" ", separator)]
    for gene, snps, values in tissue:
        upper = ((i, j) for i in range(len(snps)) for j in range(i, len(snps)))
        lines += [
            separator.join((gene, snps[i], snps[j], repr(value))) + "\n"
            for (i, j), value in zip(upper, values, strict=True)
        ]
    return "".join(lines)


@pytest.mark.library
@given(tissues(), st.sampled_from(" \t"), st.sampled_from([48, 200, 1 << 20]))
def test_reads_what_the_ordinary_way_reads(
    tmp_path_factory: pytest.TempPathFactory, tissue: list, separator: str, block: int
) -> None:
    path = write(tmp_path_factory.mktemp("c"), as_text(tissue, separator), "c.txt.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block)  # so that genes and rows fall on two blocks
        found = read_triangles(path)
    assert found is not None
    assert found.genes.to_pylist() == [gene for gene, _, _ in tissue]
    assert found.sizes.tolist() == [len(snps) for _, snps, _ in tissue]
    listed = found.snps.take(module.pa.array(found.members)).to_pylist()
    assert listed == [snp for _, snps, _ in tissue for snp in snps]
    assert found.values.tolist() == [value for _, _, values in tissue for value in values]
    assert np.array_equal(found.values, read_covariances(path).values)


@pytest.mark.library
def test_reads_what_is_written(tmp_path: Path) -> None:
    values = np.cov(np.random.default_rng(0).normal(size=(4, 9)))
    path = tmp_path / "c.txt.gz"
    write_covariances(path, ["g"], [(["a", "b", "c", "d"], values)])
    found = read_triangles(path)
    assert found is not None
    assert np.array_equal(found.values, values[np.triu_indices(4)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEADER + TRIANGLE + TRIANGLE, "a gene twice"),
        (HEADER + TRIANGLE.replace("g1 rs1 rs22", "g1 rs22 rs1"), "a lower triangle"),
        (HEADER + "g1 rs1 rs1 1\ng1 rs1 rs2 0\ng1 rs2 rs1 0\ng1 rs2 rs2 1\n", "a square"),
        (HEADER + "g1 rs1 rs1 1\ng1 rs1 rs1 0\ng1 rs1 rs1 1\n", "a SNP twice"),
        (HEADER + TRIANGLE.replace("0.25", "NA"), "a missing value"),
        (HEADER + TRIANGLE.replace("0.25", "inf"), "an infinite value"),
        (HEADER + TRIANGLE.replace("0.25", "x"), "no number"),
        (HEADER + TRIANGLE.replace("0.25", ""), "an empty value"),
        (HEADER + TRIANGLE.replace("g1 rs22", "g1  rs22"), "two blanks"),
        (HEADER + TRIANGLE.replace("\n", "\r\n"), "line ends of another system"),
        (HEADER + TRIANGLE + "g2 rs1 rs1 1\ng2 rs1 rs2 0\n", "the last gene is not complete"),
        (HEADER + "g2 rs1 rs1 1\ng2 rs1 rs2 0\n" + TRIANGLE, "the first gene is not complete"),
        (HEADER + TRIANGLE + "g1 rs3 rs3 1\n", "a row too many"),
        (HEADER + TRIANGLE + "\n", "an empty line"),
        (HEADER + TRIANGLE.replace("0.25", "0.25 5"), "a cell too many"),
        (HEADER + "g1 rs1\n", "a line cut short"),
        (HEADER.replace(" ", "\t") + TRIANGLE.replace(" ", "\t ").replace("g1\t ", "g1\t"), "padded cells"),
        ("RSID1 GENE RSID2 VALUE\n" + TRIANGLE, "columns in another order"),
        (HEADER.strip() + " N\n" + TRIANGLE, "a further column"),
        ("", "an empty file"),
    ],
)
def test_leaves_alone_what_is_not_plain_triangles(tmp_path: Path, text: str, why: str) -> None:
    try:
        found = read_triangles(write(tmp_path, text))
    except InputError:
        assert not text, why  # what no reader can read
    else:
        assert found is None, why


def test_not_utf8_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes((HEADER + TRIANGLE).encode().replace(b"rs22", b"rs\xff"))
    assert read_triangles(path) is None


def test_without_the_compiled_library_all_is_left_to_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEADER + TRIANGLE)
    monkeypatch.setenv("GPUTWAS_COMPILED", "0")
    assert read_triangles(path) is None and len(read_covariances(path).values) == 3


@pytest.mark.library
def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column VALUE"):
        read_triangles(write(tmp_path, "GENE RSID1 RSID2 COV\n" + TRIANGLE))


@pytest.mark.library
def test_a_header_alone_has_no_genes(tmp_path: Path) -> None:
    found = read_triangles(write(tmp_path, HEADER))
    assert found is not None
    assert (len(found.genes), len(found.values)) == (0, 0)
