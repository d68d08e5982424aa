"""Maps of identifiers: columns, lists, missing values, and files that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.formats.id_map import IdMap

GTEX = """chr\tvariant_id\trs_id_dbSNP151_GRCh38p7\tvariant_id_b37
chr1\tchr1_5_A_G_b38\trs1\t1_4_A_G_b37
chr1\tchr1_6_A_G_b38\t.\t1_5_A_G_b37
chr1\tchr1_7_A_G_b38\trs2,rs3\tNA
chr1\tchr1_8_A_G_b38\trs4,.,\t1_7_A_G_b37
"""


@pytest.fixture(params=["map.txt", "map.txt.gz"])
def gtex(request: pytest.FixtureRequest, tmp_path: Path) -> IdMap:
    path = tmp_path / request.param
    data = GTEX.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return IdMap(str(path))


def pairs(table: IdMap, *columns: str) -> list[tuple[str, str]]:
    found = list(table.pairs(*(table.column(name, "--map-to") for name in columns)))
    assert all(len(one) == len(two) for one, two in found)
    return [pair for block in found for pair in zip(*(a.to_pylist() for a in block), strict=True)]


def test_lists_are_taken_apart_on_either_side_and_missing_ids_left_out(gtex: IdMap) -> None:
    expected = [(f"rs{i}", f"chr1_{place}_A_G_b38") for i, place in ((1, 5), (2, 7), (3, 7), (4, 8))]
    assert pairs(gtex, "rs_id_dbSNP151_GRCh38p7", "variant_id") == expected
    assert pairs(gtex, "variant_id", "rs_id_dbSNP151_GRCh38p7") == [pair[::-1] for pair in expected]
    assert pairs(gtex, "variant_id_b37", "rs_id_dbSNP151_GRCh38p7") == [
        ("1_4_A_G_b37", "rs1"), ("1_7_A_G_b37", "rs4"),
    ]  # fmt: skip


def test_columns_as_they_are(gtex: IdMap) -> None:
    assert gtex.names == ("chr", "variant_id", "rs_id_dbSNP151_GRCh38p7", "variant_id_b37")
    (block,) = list(gtex.blocks([2, 3]))
    assert [values.null_count for values in block] == [1, 1]
    assert all(values.type == pa.string() for values in block)


def test_unknown_columns_are_told_with_the_header(gtex: IdMap) -> None:
    with pytest.raises(
        InputError, match=r"line 1, column 'rsid': there is no such column.*variant_id_b37.*--map-to"
    ):
        gtex.column("rsid", "--map-to")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"id\nrs1\n", "has one column only"),
        (b"\x00\x01\x02\x03 binary \n\x00", "binary"),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ],
)
def test_what_is_no_map(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        IdMap(str(path))
    assert str(path) in str(caught.value)
