"""Cross-tissue covariances as text: the triangles are what a reader row by row into a dictionary finds."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats import gene_covariance
from gputwas.formats.gene_covariance import GeneCovariances, read_gene_covariances

HEADER = "GENE RSID1 RSID2 VALUE\n"


def row_by_row(text: str) -> dict[str, dict[tuple[str, str], float]]:
    """Both orders of every pair that has a value, gene by gene, as the reference program keeps them."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for line in text.splitlines()[1:]:
        gene, one, two, value = line.split()
        pairs = found.setdefault(gene, {})
        if value != "NA":
            pairs[one, two] = pairs[two, one] = float(value)
    return found


def assert_equal(found: GeneCovariances, text: str) -> None:
    expected = row_by_row(text)
    assert found.genes.to_pylist() == list(expected)
    for g, gene in enumerate(found.genes.to_pylist()):
        names = [found.snps[int(k)].as_py() for k in found.ids[found.offsets[g] : found.offsets[g + 1]]]
        assert set(names) == {one for one, two in expected[gene] if one == two}
        triangle = found.ld[found.ld_offsets[g] : found.ld_offsets[g + 1]]
        wanted = [expected[gene].get((one, two), np.nan) for k, one in enumerate(names) for two in names[k:]]
        np.testing.assert_array_equal(triangle, wanted)


def triangle_text(sizes: tuple[int, ...], seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    rows = []
    for g, size in enumerate(sizes):
        snps = [f"rs{k}" for k in rng.permutation(30)[:size]]
        rows += [f"G{g} {a} {b} {rng.normal():.6f}\n" for k, a in enumerate(snps) for b in snps[k:]]
    return rows


@pytest.mark.parametrize("sizes", [(4, 1, 6), (1,), (2, 2)])
@pytest.mark.parametrize("packed", [False, True])
def test_triangles_in_order(tmp_path: Path, sizes: tuple[int, ...], packed: bool) -> None:
    text = HEADER + "".join(triangle_text(sizes))
    path = tmp_path / "ld.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = read_gene_covariances(path)
    assert_equal(found, text)
    assert np.isfinite(found.ld).all()


@pytest.mark.parametrize("seed", range(5))
def test_rows_in_any_order_absent_pairs_and_missing_values(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = triangle_text((5, 3, 7), seed)
    rows = [row for row in rows if rng.random() > 0.1]
    rows = [row.rsplit(" ", 1)[0] + " NA\n" if rng.random() < 0.1 else row for row in rows]
    by_gene = [[row for row in rows if row.startswith(f"G{g} ")] for g in (2, 0, 1)]
    for part in by_gene:
        rng.shuffle(part)
    text = HEADER + "".join(row for part in by_gene for row in part)
    (tmp_path / "ld.txt").write_text(text)
    found = read_gene_covariances(tmp_path / "ld.txt")
    assert_equal(found, text)


@pytest.mark.library
@pytest.mark.parametrize("seed", range(3))
def test_both_ways_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    text = HEADER + "".join(triangle_text((5, 1, 8, 2), seed))
    (tmp_path / "ld.txt").write_text(text)
    with monkeypatch.context() as patch:
        patch.setenv("GPUTWAS_COMPILED", "0")
        plain = read_gene_covariances(tmp_path / "ld.txt")
    monkeypatch.setattr(gene_covariance, "read_covariances", None)  # is not asked
    fast = read_gene_covariances(tmp_path / "ld.txt")
    assert_equal(fast, text)
    np.testing.assert_array_equal(fast.ld, plain.ld)
    np.testing.assert_array_equal(fast.offsets, plain.offsets)


def test_files_of_another_order_are_read_too(tmp_path: Path) -> None:
    text = HEADER + "G a b 2\nG b b 3\nG a a 1\n"
    (tmp_path / "ld.txt").write_text(text)
    assert_equal(read_gene_covariances(tmp_path / "ld.txt"), text)


def test_a_full_square_is_the_triangle(tmp_path: Path) -> None:
    text = HEADER + "G a a 1\nG a b 2\nG b a 2\nG b b 3\n"
    (tmp_path / "ld.txt").write_text(text)
    found = read_gene_covariances(tmp_path / "ld.txt")
    assert found.ld.tolist() == [1, 2, 3]


def test_header_alone_has_no_gene(tmp_path: Path) -> None:
    (tmp_path / "ld.txt").write_text(HEADER)
    found = read_gene_covariances(tmp_path / "ld.txt")
    assert (len(found.genes), found.offsets.tolist(), found.ld.size) == (0, [0], 0)


def test_scattered_genes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ld.txt").write_text(HEADER + "G a a 1\nH a a 1\nG b b 1\n")
    with pytest.raises(InputError, match="rows of gene G are not contiguous"):
        read_gene_covariances(tmp_path / "ld.txt")


def test_real_file(gtex_v6p: Path) -> None:
    path = gtex_v6p / "snp_covariance.txt.gz"
    assert_equal(read_gene_covariances(path), gzip.decompress(path.read_bytes()).decode())
