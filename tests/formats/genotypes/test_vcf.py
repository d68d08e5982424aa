"""VCF: ploidy, dosages, what is missing, and files that are damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes
from tests.formats.genotypes.writers import bgzf_block, random_truth, vcf_lines, write_indexed_vcf

pytest.importorskip("cyvcf2")

NAN = float("nan")
HEADER = """##fileformat=VCFv4.2
##contig=<ID=X>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\ts2\ts3\ts4
"""


def panel_of(folder: Path, *records: str) -> Path:
    path = folder / "panel.vcf"
    path.write_text(HEADER + "".join("\t".join(record.split()) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("X 1 . A C . . . GT 0/0 0|1 1/1 ./.", [[0, 1, 2, NAN]]),
        ("X 1 . A C . . . GT 1 0 . 0/1", [[2, 0, NAN, 1]]),  # haploid calls among diploid ones
        ("X 1 . A C . . . GT 1 0 . 1", [[2, 0, NAN, 2]]),  # haploid calls only
        ("X 1 . A C . . . GT ./1 1|. 1/1 0/0", [[NAN, NAN, 2, 0]]),
        ("X 1 . A C,G . . . GT 1/2 2/2 0/0 1", [[1, 0, 0, 2], [1, 2, 0, 0]]),
        ("X 1 . A . . . . GT 0/0 ./. 0 0/0", [[0, NAN, 0, 0]]),
        ("X 1 . A C . . . DS 0.25 1.5 . 2", [[0.25, 1.5, NAN, 2]]),
        ("X 1 . A C . . . GT:DS 0/0:0.25 0/1:. ./.:. 1:0.75", [[0.25, 1, NAN, 1.5]]),
        ("X 1 . A C . . . GT:DS .:1.25 0/1:1 .:. 1:0.75", [[1.25, 1, NAN, 1.5]]),  # ploidy is not known
        ("X 1 . A C . . . GT:DS .:1.25 .:0 .:1 .:2", [[1.25, 0, 1, 2]]),
        ("X 1 . A C,G . . . GT:DS 0/0:0.25,0.5 . 2|2:. 0/1:1,0", [[0.25, NAN, 0, 1], [0.5, NAN, 2, 0]]),
        ("X 1 . A C . . . GQ:GT 9:0/0 9:0/1 9:1/1 9:./.", [[0, 1, 2, NAN]]),
    ],
)
def test_dosages(tmp_path: Path, record: str, expected: list[list[float]]) -> None:
    panel = open_genotypes(panel_of(tmp_path, record))
    np.testing.assert_array_equal(panel.dosages(np.arange(len(expected))), expected)
    assert panel.variants["effect_allele"].to_pylist() == [
        None if allele == "." else allele for allele in record.split()[4].split(",")
    ]


def test_dosages_that_are_whole_numbers(tmp_path: Path) -> None:
    records = ("X 1 . A C . . . DS . 0 1 2", "X 2 . A C,G . . . GT:DS 0/0:0,0 0/2:. ./.:1 2/2:0,2")
    path = panel_of(tmp_path, *records)
    path.write_text(path.read_text().replace("Type=Float", "Type=Integer"))
    expected = [[NAN, 0, 1, 2], [0, 0, 1, 0], [0, 1, NAN, 2]]
    np.testing.assert_array_equal(open_genotypes(path).dosages([0, 1, 2]), expected)


def test_a_comma_in_a_samples_id(tmp_path: Path) -> None:
    path = panel_of(tmp_path, "X 1 . A C . . . GT 0/0 0/1 0/0 1/1")
    path.write_text(path.read_text().replace("\ts2", "\ts1,s2"))
    assert open_genotypes(path, ["s4", "s1"]).dosages([0]).tolist() == [[0, 2]]
    np.testing.assert_array_equal(open_genotypes(path).dosages([0]), [[0, 1, 0, 2]])
    with pytest.raises(InputError, match=r"comma in their id cannot be chosen .found 's1,s2'"):
        open_genotypes(path, ["s1,s2", "s4"])


def test_no_genotypes_in_a_record(tmp_path: Path) -> None:
    path = panel_of(tmp_path, "X 1 . A C . . . GT 0/0 0|1 1/1 ./.", "X 2 . A C . . . GQ 1 2 3 4")
    panel = open_genotypes(path)
    assert panel.dosages([0])[0, 1] == 1
    with pytest.raises(InputError, match=r"record X:2 has neither GT nor DS .found GQ"):
        panel.dosages([1])


def test_dosages_that_are_no_numbers(tmp_path: Path) -> None:
    path = panel_of(tmp_path, "X 7 . A C . . . GT:DS 0/0:0 0|1:x 1/1:2 ./.:.")
    path.write_text(path.read_text().replace("ID=DS,Number=A,Type=Float", "ID=DS,Number=1,Type=String"))
    with pytest.raises(
        InputError, match=r"panel\.vcf: the VCF or BCF file cannot be read: the genotypes at X:7"
    ):
        open_genotypes(path).dosages([0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rsid\tchromosome\n", "cannot be read"),
        (HEADER, "lists no variant"),
        ("\t".join(HEADER.split("\t")[:8]) + "\nX\t1\t.\tA\tC\t.\t.\t.\n", "has no samples, only sites"),
        (HEADER.replace("s2", "s1"), "cannot be read|sample id is repeated"),
    ],
)
def test_files_that_hold_no_genotypes(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "panel.vcf").write_text(text)
    with pytest.raises(InputError, match=words):
        open_genotypes(tmp_path / "panel.vcf")


def test_line_that_is_cut_off(tmp_path: Path) -> None:
    path = panel_of(tmp_path, "X 1 . A C . . . GT 0/0 0|1 1/1 ./.", "X 2 . A C . . . GT 0/0 0/1")
    with pytest.raises(InputError, match="cannot be read"):
        open_genotypes(path).dosages([0, 1])


def test_compressed_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_indexed_vcf(random_truth(2), tmp_path)
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(InputError, match="cut off: its end mark is missing"):
        open_genotypes(path)


def test_gzip_that_is_not_bgzf(tmp_path: Path) -> None:
    truth = random_truth(3, n_records=400)
    header, lines = vcf_lines(truth)
    path = tmp_path / "panel.vcf.gz"
    whole = gzip.compress((header + "".join(lines)).encode())
    path.write_bytes(whole)
    panel = open_genotypes(path)
    np.testing.assert_array_equal(panel.dosages(np.arange(panel.variants.num_rows)), truth.dosages())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        open_genotypes(path)


def test_index_of_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = random_truth(4)
    path = write_indexed_vcf(truth, tmp_path)
    header, lines = vcf_lines(truth)
    data = b"".join(bgzf_block(line.encode()) for line in lines[5:])
    path.write_bytes(bgzf_block(header.encode()) + data + bgzf_block(b""))
    monkeypatch.setattr("gputwas.formats.genotypes.vcf._WORTH_A_JUMP", 0)
    panel = open_genotypes(path)
    with pytest.raises(InputError):
        panel.dosages(np.arange(panel.variants.num_rows)[::-3])
