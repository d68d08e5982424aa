"""A GWAS with ids of its own, led to the models by a map."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from gputwas.errors import InputError
from gputwas.study.snp_map import gwas_side, read_snp_map
from tests.study.small_gwas import (
    EFFECT,
    FLAGS,
    OTHER,
    SNPS,
    Z,
    assert_result,
    gwas_row,
    spredixcan,
    write_covariance,
    write_database,
    write_gwas_table,
)

HEADER = (
    "rsid",
    "chromosome",
    "a0",
    "a1",
    "panel_variant_id",
    "panel_variant_a0",
    "panel_variant_a1",
    "swap",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models, covariance, and a GWAS whose ids are rs1001 for rs1 and so on."""
    write_database(tmp_path / "models.db")
    write_covariance(tmp_path / "covariance.txt")
    write_gwas_table(tmp_path / "gwas.txt", [[own(row[0]), *row[1:]] for row in map(gwas_row, SNPS)])
    return tmp_path


def own(snp: str) -> str:
    """The GWAS's id of a model SNP."""
    return f"rs100{snp[2:]}"


def map_row(snp: str) -> list[str]:
    """Row of the map of a SNP with the same alleles on both sides."""
    return [own(snp), "1", OTHER[snp], EFFECT[snp], snp, OTHER[snp], EFFECT[snp], "1"]


def write_map(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    """Write a map."""
    text = "".join("\t".join(row) + "\n" for row in [header, *rows])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def score(folder: Path, rows: Sequence[Sequence[str]], *more: str) -> int:
    """Exit code with such a map."""
    return spredixcan(folder, *FLAGS, "--snp_map_file", write_map(folder / "map.txt", rows), *more)


def test_ids_are_mapped(folder: Path) -> None:
    assert score(folder, [map_row(snp) for snp in SNPS]) == 0
    assert_result(folder / "out.csv")


def test_a_compressed_map_with_columns_in_another_order(folder: Path) -> None:
    rows = [list(reversed(map_row(snp))) for snp in SNPS]
    path = write_map(folder / "map.txt.gz", rows, tuple(reversed(HEADER)))
    assert spredixcan(folder, *FLAGS, "--snp_map_file", path) == 0
    assert_result(folder / "out.csv")


def test_alleles_are_oriented_on_both_sides(folder: Path) -> None:
    """rs1: the map names the GWAS's alleles the other way round. rs2: the panel's, with swap -1."""
    rows = [map_row(snp) for snp in SNPS]
    rows[0][2:4] = [EFFECT["rs1"], OTHER["rs1"]]
    rows[0][7] = "-1"
    rows[1][5:7] = [EFFECT["rs2"], OTHER["rs2"]]
    rows[1][7] = "-1"
    assert score(folder, rows) == 0
    assert_result(folder / "out.csv")


def test_swap_is_taken_at_its_word(folder: Path) -> None:
    rows = [map_row(snp) for snp in SNPS]
    rows[3][7] = "-1"
    assert score(folder, rows) == 0
    assert_result(folder / "out.csv", Z | {"rs4": -4.0})


def test_panel_alleles_on_the_other_strand(folder: Path) -> None:
    """The map is how a lab brings strands together: GWAS alleles are those of a0 and a1 only."""
    complement = str.maketrans("ACGT", "TGCA")
    rows = [gwas_row(snp) for snp in SNPS]
    write_gwas_table(
        folder / "gwas.txt",
        [[own(row[0]), row[1], *(cell.translate(complement) for cell in row[2:4]), *row[4:]] for row in rows],
    )
    mapping = [map_row(snp) for snp in SNPS]
    for row in mapping:
        row[2:4] = [cell.translate(complement) for cell in row[2:4]]
    assert score(folder, mapping) == 0
    assert_result(folder / "out.csv")


def test_snps_whose_alleles_do_not_fit_are_dropped(folder: Path) -> None:
    rows = [map_row(snp) for snp in SNPS]
    rows[0][2] = "T" if "T" not in rows[0][2:4] else "C"  # not the GWAS's alleles
    rows[4][5] = "T" if "T" not in rows[4][5:7] else "C"  # not the models' alleles
    assert score(folder, rows) == 0
    assert_result(folder / "out.csv", {snp: z for snp, z in Z.items() if snp not in ("rs1", "rs5")})


def test_snps_that_the_map_lacks_are_dropped(folder: Path) -> None:
    assert score(folder, [map_row(snp) for snp in SNPS if snp != "rs6"]) == 0
    assert_result(folder / "out.csv", {snp: z for snp, z in Z.items() if snp != "rs6"})


def test_one_snp_may_lead_to_several_variants(folder: Path) -> None:
    """Also where the map names its alleles both ways, and where rows are repeated."""
    rows = [map_row(snp) for snp in SNPS if snp != "rs4"]
    rows.append([own("rs1"), "1", EFFECT["rs1"], OTHER["rs1"], "rs4", OTHER["rs4"], EFFECT["rs4"], "-1"])
    assert score(folder, [*rows, rows[2], rows[2]]) == 0
    assert_result(folder / "out.csv", Z | {"rs4": Z["rs1"]})


def test_lower_case_alleles(folder: Path) -> None:
    rows = [[cell.lower() if len(cell) == 1 else cell for cell in map_row(snp)] for snp in SNPS]
    assert score(folder, rows) == 0
    assert_result(folder / "out.csv")


def test_rows_of_the_map_without_a_variant_are_passed_over(folder: Path) -> None:
    rows = [map_row(snp) for snp in SNPS]
    unmapped = [["rs777", "1", "A", "G", "NA", "NA", "NA", "NA"], ["rs778", "1", "A", "G", "", "", "", ""]]
    assert score(folder, unmapped + rows + unmapped) == 0
    assert_result(folder / "out.csv")


def test_map_that_leads_nowhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [map_row(snp) for snp in SNPS]
    for row in rows:
        row[4] = f"chr1_{row[4]}"
    assert score(folder, rows) == 3
    message = capsys.readouterr().err
    assert "chr1_rs1" in message and "rs1" in message
    assert not (folder / "out.csv").exists()


def test_map_of_other_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(folder, [[f"rs99{row[0]}", *row[1:]] for row in map(map_row, SNPS)]) == 3
    assert not (folder / "out.csv").exists()
    assert "rs1001" in capsys.readouterr().err


def test_unusable_maps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        read_snp_map(tmp_path / "absent.txt")
    rows = [map_row("rs1")]
    for column in ("swap", "panel_variant_id", "a0"):
        header = tuple("other" if name == column else name for name in HEADER)
        with pytest.raises(InputError, match=column):
            read_snp_map(write_map(tmp_path / "map.txt", rows, header))
    with pytest.raises(InputError, match="panel_variant_a0"):
        read_snp_map(
            write_map(tmp_path / "map.txt", rows, [name.replace("\t", ",") for name in [",".join(HEADER)]])
        )
    rows[0][7] = "yes"
    with pytest.raises(InputError, match="yes"):
        read_snp_map(write_map(tmp_path / "map.txt", rows))
    (tmp_path / "map.txt").write_text("")
    with pytest.raises(InputError, match=r"map\.txt"):
        read_snp_map(tmp_path / "map.txt")
    with pytest.raises(InputError, match="no rows"):
        read_snp_map(write_map(tmp_path / "map.txt", []))


def test_each_snp_is_read_once(tmp_path: Path) -> None:
    rows = [map_row("rs1"), map_row("rs1"), map_row("rs2")]
    rows.append([own("rs1"), "1", EFFECT["rs1"], OTHER["rs1"], "rs9", "A", "G", "1"])
    table = read_snp_map(write_map(tmp_path / "map.txt", rows))
    assert table.num_rows == 3
    assert gwas_side(table)["variant_id"].to_pylist() == [own("rs1"), own("rs2")]
