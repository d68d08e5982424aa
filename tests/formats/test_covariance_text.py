"""Covariances written as text are read again bit by bit."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError, UsageError
from gputwas.files import TEMPORARY_PREFIX
from gputwas.formats import covariance_text
from gputwas.formats.covariance import read_covariances
from gputwas.formats.covariance_text import CovarianceText, triangle_pairs

GENES = pa.array(["g1", "g2", "g3"])
SIZES = np.array([2, 1, 3])
SNPS = pa.array(["rs1", "rs2", "rs9", "rs2", "rs1", "rs5"])
VALUES = np.array([0.5, -0.1, 1 / 3, 2e-17, 1e-5, -0.0, 0.1 + 0.2, 5e-324, 1.7e308, 7.0])


def written(path: Path, **options: object) -> Path:
    with CovarianceText(path, **options) as text:  # type: ignore[arg-type]
        text.write(GENES, SIZES, SNPS, VALUES)
    return path


def test_rows_stand_as_metaxcan_writes_them(tmp_path: Path) -> None:
    lines = written(tmp_path / "c.txt").read_text().splitlines()
    assert lines[0] == "GENE RSID1 RSID2 VALUE"
    cells = [line.split(" ") for line in lines[1:]]
    assert [" ".join(row[:3]) for row in cells] == [
        "g1 rs1 rs1", "g1 rs1 rs2", "g1 rs2 rs2", "g2 rs9 rs9",
        "g3 rs2 rs2", "g3 rs2 rs1", "g3 rs2 rs5", "g3 rs1 rs1", "g3 rs1 rs5", "g3 rs5 rs5",
    ]  # fmt: skip
    assert [float(row[3]) for row in cells] == VALUES.tolist()


@pytest.mark.parametrize("rows_at_a_time", [1, 4, 1 << 18])
@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz"])
def test_read_again_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, rows_at_a_time: int
) -> None:
    monkeypatch.setattr(covariance_text, "_ROWS_AT_A_TIME", rows_at_a_time)
    got = read_covariances(written(tmp_path / name))
    assert got.genes == GENES.to_pylist()
    assert got.offsets.tolist() == [0, 3, 4, 10]
    assert got.values.tobytes() == VALUES.tobytes()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_every_float_survives(values: list[float]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.txt.gz"
        genes = pa.array([f"g{i}" for i in range(len(values))])
        with CovarianceText(path) as text:
            text.write(
                genes, np.ones(len(values), np.int64), pa.array(["rs1"] * len(values)), np.array(values)
            )
        assert read_covariances(path).values.tobytes() == np.array(values).tobytes()


def test_same_values_same_bytes_and_pieces_do_not_matter(tmp_path: Path) -> None:
    one = written(tmp_path / "a.txt.gz").read_bytes()
    with CovarianceText(tmp_path / "b.txt.gz") as text:
        text.write(GENES[:1], SIZES[:1], SNPS[:2], VALUES[:3])
        text.write(GENES[1:1], SIZES[1:1], SNPS[2:2], VALUES[3:3])
        text.write(GENES[1:], SIZES[1:], SNPS[2:], VALUES[3:])
    assert gzip.decompress((tmp_path / "b.txt.gz").read_bytes()) == gzip.decompress(one)
    assert written(tmp_path / "c.txt.gz").read_bytes() == one


def test_digits_and_tabs(tmp_path: Path) -> None:
    lines = written(tmp_path / "c.txt", digits=3, separator="\t").read_text().splitlines()
    assert lines[0] == "GENE\tRSID1\tRSID2\tVALUE"
    assert [line.split("\t")[3] for line in lines[1:4]] == ["0.5", "-0.1", "0.333"]
    assert read_covariances(tmp_path / "c.txt").values[2] == 0.333


@pytest.mark.parametrize("digits", [0, 18])
def test_digits_that_are_none(tmp_path: Path, digits: int) -> None:
    with pytest.raises(UsageError, match="1 to 17"):
        CovarianceText(tmp_path / "c.txt", digits=digits)


def test_ids_with_blanks_leave_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="id of a SNP has a blank"),
        CovarianceText(tmp_path / "c.txt") as text,
    ):
        text.write(pa.array(["g1"]), np.array([1]), pa.array(["rs 1"]), np.array([1.0]))
    assert not list(tmp_path.iterdir())


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), CovarianceText(tmp_path / "c.txt.gz") as text:
        text.write(GENES, SIZES, SNPS, VALUES)
        assert any(path.name.startswith(TEMPORARY_PREFIX) for path in tmp_path.iterdir())
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


@given(st.lists(st.integers(0, 7), max_size=6))
def test_pairs_are_those_of_triu_indices(sizes: list[int]) -> None:
    first, second = triangle_pairs(np.array(sizes, dtype=np.int64))
    starts = np.cumsum([0, *sizes])
    want = [
        (start + i, start + j)
        for start, size in zip(starts[:-1], sizes, strict=True)
        for i, j in zip(*np.triu_indices(size), strict=True)
    ]
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == want
