"""GWAS whose identifiers lead to the models' through a map."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError, UsageError
from gputwas.ingest.panel import PanelIndex
from tests.ingest.made_gwas import EXPECTED, N, alleles, assert_all, gtex, panel, place, read, write


def write_map(path: Path, header: str, row, n: int = N) -> Path:
    lines = [header.replace(" ", "\t"), *("\t".join(row(i)) for i in range(n))]
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def test_maps_lead_from_one_id_to_another(tmp_path: Path) -> None:
    path = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    lists = [".", "rs{}", "rs{},rs77{}", "rs88{},rs{}", "rs{}, rs{}"]

    def row(i: int) -> tuple[str, ...]:
        text = lists[i % 5].format(i, i)
        return gtex(i), gtex(i, "_b37").replace("chr", ""), text

    table = write_map(tmp_path / "map.tsv.gz", "variant_id variant_id_b37 rs_id", row)
    for options in ({}, {"map_from": "rs_id"}, {"map_to": "variant_id"}, {"match": "map"}):
        for scan in (False, True):
            found = read(path, panel(), scan=scan, map=str(table), **options)
            known = np.arange(N) % 5 > 0
            np.testing.assert_allclose(found.z, np.where(known, EXPECTED, np.nan), rtol=1e-6)
            assert found.matched_by == "map" and "('rs_id' to 'variant_id')" in found.matched_how
    b37 = write(
        tmp_path / "b37.txt", "SNP A1 A2",
        lambda i: "{} {} {}".format(gtex(i, "_b37").replace("chr", ""), *alleles(i)),
    )  # fmt: skip
    assert_all(read(b37, panel(), map=str(table)))


def test_one_id_that_leads_to_several_variants(tmp_path: Path) -> None:
    ids = ["v1", "v2", "v3"]
    table = pa.table({"variant_id": ids, "effect_allele": ["G", "C", "C"], "other_allele": ["A", "A", "T"]})
    rows = [("rs1", "v2"), ("rs1", "v1"), ("rs1", "v1"), ("rs2", "v3"), ("rs3", "v3")]
    path = write_map(tmp_path / "map.tsv", "from to", lambda i: rows[i], len(rows))
    gwas = tmp_path / "t.txt"
    gwas.write_text("SNP A1 A2 BETA SE\nrs1 A C 1 1\nrs1 G A 2 1\nrs2 C T 3 1\nrs3 C T 3 1\n")
    found = read(gwas, table, map=str(path))
    np.testing.assert_array_equal(found.z, np.float32([2, -1, 3]))
    assert found.counts == {"matched": 2, "swapped": 1, "duplicate": 1}


def test_maps_that_do_not_serve(tmp_path: Path) -> None:
    gwas = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    table = write_map(tmp_path / "map.tsv", "id rs", lambda i: (gtex(i), f"rs{i}"))
    for name, option in (("map_from", "--map-from"), ("map_to", "--map-to")):
        with pytest.raises(InputError, match=rf"column 'nope'.*no such column.*the header 'id rs'.*{option}"):
            read(gwas, panel(), map=str(table), **{name: "nope"})
    other = write_map(tmp_path / "other.tsv", "id rs", lambda i: (f"x{i}", f"rs{i}"))
    with pytest.raises(InputError, match=r"no column of this map holds identifiers of the models.*b38"):
        read(gwas, panel(), map=str(other))
    with pytest.raises(InputError, match=r"none of the models' variants is in this map.*60 pairs"):
        read(gwas, panel(), map=str(other), map_from="rs", map_to="id")
    strangers = write_map(tmp_path / "strangers.tsv", "id rs", lambda i: (gtex(i), f"rs5000{i}"))
    with pytest.raises(InputError, match=r"the map does not have the file's identifiers.*--map-from"):
        read(gwas, panel(), map=str(strangers))
    both = write_map(tmp_path / "both.tsv", "id rs rs2", lambda i: (gtex(i), f"rs5{i:09d}", f"rs6{i:09d}"))
    with pytest.raises(UsageError, match=r"rs, rs2 of id, rs, rs2 looks like them.*--map-from"):
        read(gwas, panel(), map=str(both))
    single = tmp_path / "single.tsv"
    single.write_text("id\nx\n")
    with pytest.raises(InputError, match="one column only"):
        read(gwas, panel(), map=str(single))
    with pytest.raises(InputError, match=r"gone\.tsv"):
        read(gwas, panel(), map=str(tmp_path / "gone.tsv"))


def test_columns_are_told_for_each_file_by_itself(tmp_path: Path) -> None:
    """Two files spell their ids alike, on two builds: neither may be read by the other's column."""

    def name(i: int, shift: int) -> str:
        chromosome, position = place(i)
        return f"{chromosome}:{position + shift}:{':'.join(alleles(i))}"

    table = write_map(tmp_path / "map.tsv", "id h19 h38", lambda i: (gtex(i), name(i, 0), name(i, 5_000)))
    files = [
        write(
            tmp_path / f"{shift}.txt", "SNP A1 A2", lambda i, s=shift: f"{name(i, s)} {' '.join(alleles(i))}"
        )
        for shift in (0, 5_000, 0)
    ]
    index = PanelIndex(panel())
    for path, column in zip(files, ("h19", "h38", "h19"), strict=True):
        found = read(path, index, map=str(table))
        assert_all(found)
        assert f"({column!r} to 'id')" in found.matched_how


def test_a_map_without_rows(tmp_path: Path) -> None:
    gwas = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    table = write_map(tmp_path / "map.tsv", "id rs", lambda i: ("", ""), 0)
    for columns in ({}, {"map_from": "rs", "map_to": "id"}):
        with pytest.raises(InputError, match=r"map\.tsv"):
            read(gwas, panel(), map=str(table), **columns)


@pytest.mark.parametrize(
    "row", [lambda i: (f"rs{i + 100}", f"x{i}"), lambda i: (gtex(i), f"x{i}"), lambda i: ("a", f"v{i}")]
)
def test_a_map_that_begins_with_a_pair(tmp_path: Path, row) -> None:
    gwas = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    table = write_map(tmp_path / "map.tsv", " ".join(row(0)), row)
    with pytest.raises(InputError, match=r"map\.tsv, line 1: the map has no header line.*Write one above it"):
        read(gwas, panel(lambda i: f"v{i}"), map=str(table))
