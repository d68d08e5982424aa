"""PLINK 1 genotypes against plain unpacking of the bytes, and files that contradict themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes

pytest.importorskip("bed_reader")

# two bits per sample, lowest first: homozygous A1, missing, heterozygous, homozygous A2 (PLINK 1.9 manual)
COPIES_OF_A1 = np.array([2.0, np.nan, 1.0, 0.0])
ALL_CODES = bytes([0b11_10_01_00])  # four samples: 0, 1, 2, 3


def unpack(bed: bytes, n_samples: int) -> np.ndarray:
    """Dosages (variants, samples) of A1 from the bytes of a SNP-major file."""
    assert bed[:3] == b"\x6c\x1b\x01"
    per_variant = -(-n_samples // 4)
    packed = np.frombuffer(bed, np.uint8, offset=3).reshape(-1, per_variant)
    codes = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], axis=2).reshape(len(packed), -1)
    return COPIES_OF_A1[codes[:, :n_samples]]


def write(folder: Path, bed: bytes, bim: str, fam: str, name: str = "panel") -> Path:
    (folder / f"{name}.bed").write_bytes(bed)
    (folder / f"{name}.bim").write_text(bim, encoding="latin-1")
    (folder / f"{name}.fam").write_text(fam)
    return folder / name


FAM = "".join(f"F{i} S{i} 0 0 0 -9\n" for i in range(4))
BIM = "1\trs1\t0\t100\tA\tG\n"
BED = b"\x6c\x1b\x01" + ALL_CODES


def test_counts_a1_and_missing_is_nan(tmp_path: Path) -> None:
    panel = open_genotypes(write(tmp_path, BED, BIM, FAM))
    np.testing.assert_array_equal(panel.dosages([0]), [[2.0, np.nan, 1.0, 0.0]])
    assert panel.samples == ["S0", "S1", "S2", "S3"]
    assert panel.paths == tuple(str(tmp_path / f"panel.{end}") for end in ("bed", "bim", "fam"))
    assert panel.variants.to_pylist() == [
        {
            "variant_id": "rs1",
            "chromosome": "1",
            "position": 100,
            "effect_allele": "A",
            "other_allele": "G",
        }
    ]


def test_chromosome_codes_case_and_missing_words(tmp_path: Path) -> None:
    codes = ["chr1", "01", "23", "24", "25", "26", "XY", "chrM", "0", "GL000192.1"]
    bim = "".join(f"{code} . 0.0   {place} a 0\n" for place, code in enumerate(codes))
    panel = open_genotypes(write(tmp_path, BED[:3] + ALL_CODES * len(codes), bim, FAM))
    assert panel.variants["chromosome"].to_pylist() == [
        "1", "1", "X", "Y", "X", "MT", "X", "MT", None, "GL000192.1",
    ]  # fmt: skip
    assert panel.variants["effect_allele"].to_pylist() == ["A"] * len(codes)
    assert panel.variants["other_allele"].null_count == panel.variants["variant_id"].null_count == len(codes)
    assert panel.variants["position"].to_pylist() == list(range(len(codes)))


@pytest.mark.parametrize(
    "row", ["1 rs1 0 100 A G", "  1  rs1 0 100 A G ", "1\trs1 0\t100 A G", "1 rs1 0 100 A G\r"]
)
@pytest.mark.parametrize("end", ["\n", "", "\n\n", "\n 1 rs2 0 200 C T\n"])
def test_white_space_of_any_kind(tmp_path: Path, row: str, end: str) -> None:
    n_rows = 2 if "rs2" in end else 1
    panel = open_genotypes(write(tmp_path, BED[:3] + ALL_CODES * n_rows, row + end, FAM))
    cells = [list(variant.values()) for variant in panel.variants.to_pylist()]
    assert cells == [["rs1", "1", 100, "A", "G"], ["rs2", "1", 200, "C", "T"]][:n_rows]
    with pytest.raises(InputError, match="malformed row"):  # a cell that is lacking is not an empty one
        open_genotypes(write(tmp_path, BED, " 1 rs1 0 100 A\n", FAM))


def test_empty_cells_are_missing(tmp_path: Path) -> None:
    panel = open_genotypes(write(tmp_path, BED, "1\t\t0\t100\t\t\n", FAM))
    names = ("variant_id", "effect_allele", "other_allele")
    assert [panel.variants[name].to_pylist() for name in names] == [[None]] * 3


@pytest.mark.parametrize("end", ["bed", "bim", "fam"])
def test_missing_sibling_is_named(tmp_path: Path, end: str) -> None:
    write(tmp_path, BED, BIM, FAM)
    (tmp_path / f"panel.{end}").unlink()
    with pytest.raises(InputError, match=rf"panel\.{end}: no such file"):
        open_genotypes(tmp_path / "panel.bed")


@pytest.mark.parametrize(
    ("bed", "words"),
    [
        (BED[:-1], "found 3 bytes; expected 4 bytes"),
        (BED + b"\x00", "found 5 bytes; expected 4 bytes"),
        (b"\x6c\x1b\x00" + ALL_CODES, "individual-major"),
        (b"chr1\t10\t20\n", "is not a PLINK 1 genotype file"),
        (b"", "is not a PLINK 1 genotype file"),
    ],
)
def test_bad_bed(tmp_path: Path, bed: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        open_genotypes(write(tmp_path, bed, BIM, FAM))
    assert caught.value.path == str(tmp_path / "panel.bed")


@pytest.mark.parametrize(
    ("bim", "fam", "words"),
    [
        (BIM + "1\trs2\t0\t200\tA\n", FAM, "panel.bim, line 2: malformed row .found 5 cells; expected 6"),
        (BIM.replace("100", "1e2"), FAM, "line 1, column 'position'.*found '1e2'"),
        (BIM + "1\trs2\t0\t99999999999999999999\tA\tG\n", FAM, "line 2, column 'position'.*found '9{20}'"),
        (BIM + "1\trs\xe9\t0\t200\tA\tG\n", FAM, "panel.bim, line 2: is not UTF-8 text .found a byte 0xe9"),
        ("", FAM, "panel.bim: is empty"),
        (BIM, "", "panel.fam: lists no sample"),
        (BIM, FAM + "alone\n", "panel.fam, line 5: malformed row"),
        (BIM, FAM.replace("F1 S1", "F0 S0"), "sample id is repeated: 'F0_S0' stands there 2 times"),
    ],
)
def test_bad_lists(tmp_path: Path, bim: str, fam: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_genotypes(write(tmp_path, BED, bim, fam))


def test_samples_of_two_families_with_the_same_id(tmp_path: Path) -> None:
    panel = open_genotypes(write(tmp_path, BED, BIM, FAM.replace("S1", "S0")), ["F1_S0"])
    assert panel.samples == ["F1_S0"]
    assert np.isnan(panel.dosages([0])).all()


def test_rows_outside_of_the_panel(tmp_path: Path) -> None:
    panel = open_genotypes(write(tmp_path, BED, BIM, FAM))
    for row in (-1, 1):
        with pytest.raises(IndexError, match=f"row {row} of a panel of 1 variants"):
            panel.dosages([row])
    assert panel.dosages([]).shape == (0, 4)


def test_real_genotypes(kg_eur: Path) -> None:
    panel = open_genotypes(kg_eur / "kg_eur")
    assert (len(panel.samples), panel.variants.num_rows) == (489, 82_448)
    rows = np.random.default_rng(1).permutation(82_448)[:3_000]
    expected = unpack((kg_eur / "kg_eur.bed").read_bytes(), 489)
    np.testing.assert_array_equal(panel.dosages(rows), expected[rows])
    frequency = np.concatenate(
        [np.nanmean(panel.dosages(part), axis=1) for part in np.array_split(np.arange(82_448), 9)]
    )
    np.testing.assert_allclose(frequency, np.nanmean(expected, axis=1), rtol=1e-13)
    half = panel.samples[::-2]
    subset = open_genotypes(kg_eur / "kg_eur.bed", half)
    assert subset.samples == half[::-1]
    np.testing.assert_array_equal(subset.dosages(rows[:50]), expected[rows[:50], ::2])
