"""BGEN: probabilities, ploidy, samples beside the file, and files that are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes
from tests.formats.genotypes.writers import random_truth, write_bgen

bgen = pytest.importorskip("bgen")

NAN = float("nan")
SAMPLE = "ID_1 ID_2 missing\n0 0 0\nF1 S1 0\nF2 S2 0\nF3 S3 0\n"


def write(folder: Path, genotypes: Any, alleles: str = "AG", ids: bool = True, **more: Any) -> Path:
    path = folder / "panel.bgen"
    layout, compression = more.pop("layout", 2), more.pop("compression", "zstd")
    samples = {"samples": ["S1", "S2", "S3"]} if ids else {}
    with bgen.BgenWriter(path, 3, layout=layout, compression=compression, **samples) as writer:
        writer.add_variant("id", "rs1", "01", 10, list(alleles), np.array(genotypes, float), **more)
    return path


UNPHASED = [[0.5, 0.25, 0.25], [0, 0, 1], [NAN] * 3]
LAYOUTS = [{}, {"compression": "zlib"}, {"compression": None}, {"layout": 1, "compression": "zlib"}]


@pytest.mark.parametrize("options", LAYOUTS)
def test_expected_dosage_of_the_second_allele(tmp_path: Path, options: dict[str, Any]) -> None:
    panel = open_genotypes(write(tmp_path, UNPHASED, **({"bit_depth": 16} | options)))
    np.testing.assert_allclose(panel.dosages([0]), [[0.75, 2, NAN]], atol=1e-4)
    assert panel.variants.to_pylist() == [
        {
            "variant_id": "rs1",
            "chromosome": "1",
            "position": 10,
            "effect_allele": "G",
            "other_allele": "A",
        }
    ]


@pytest.mark.parametrize(
    ("genotypes", "alleles", "options", "expected"),
    [
        ([[0, 1, 0], [0, 1, NAN], [0.5, 0.5, NAN]], "AG", {"ploidy": [2, 1, 1]}, [[1, 2, 1]]),
        (
            [[0, 1, NAN, NAN], [0, 1, 0, 1], [NAN] * 4],
            "AG",
            {"ploidy": [1, 2, 2], "phased": True},
            [[2, 2, NAN]],
        ),
        (  # genotypes AA AG GG AT GT TT; a haploid has A G T
            [[0, 0, 0, 0, 1, 0], [0.5, 0, 0.5, NAN, NAN, NAN], [NAN] * 6],
            "AGT",
            {"ploidy": [2, 1, 2]},
            [[1, 0, NAN], [1, 1, NAN]],
        ),
        (
            [[0, 1, 0, 0.5, 0, 0.5], [0, 0, 1, NAN, NAN, NAN], [NAN] * 6],
            "AGT",
            {"ploidy": [2, 1, 2], "phased": True},
            [[1, 0, NAN], [0.5, 2, NAN]],
        ),
    ],
)
def test_ploidy_phase_and_several_alleles(
    tmp_path: Path, genotypes: Any, alleles: str, options: dict[str, Any], expected: list[list[float]]
) -> None:
    ploidy = np.array(options.pop("ploidy"), np.uint8)
    path = write(tmp_path, genotypes, alleles, ploidy=ploidy, bit_depth=16, **options)
    panel = open_genotypes(path)
    np.testing.assert_allclose(panel.dosages(np.arange(len(expected))), expected, atol=1e-4)


def test_samples_beside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, UNPHASED, ids=False)
    with pytest.raises(InputError, match=r"panel\.sample: no such file"):
        open_genotypes(path)
    sample = tmp_path / "panel.sample"
    sample.write_text(SAMPLE)
    panel = open_genotypes(path, ["S2", "S1"])
    assert panel.paths == (str(path), str(sample))
    assert panel.samples == ["S1", "S2"]
    sample.write_text("ID sex\n0 D\nS1 1\nS2 2\nS3 2\n")
    assert open_genotypes(path).samples == ["S1", "S2", "S3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SAMPLE + "F4 S4 0\n", "found 4 samples; expected 3 samples"),
        (SAMPLE.replace("F1 S1", "F2 S2"), "a sample id is repeated: 'F2_S2' stands there 2 times"),
        ("S1\nS2\nS3\n", "not a sample file of Oxford's format"),
        ("", "not a sample file of Oxford's format"),
    ],
)
def test_bad_sample_file(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, UNPHASED, ids=False)
    (tmp_path / "panel.sample").write_text(text)
    with pytest.raises(InputError, match=words):
        open_genotypes(path)


def test_without_index(tmp_path: Path) -> None:
    truth = random_truth(7)
    path = write_bgen(truth, tmp_path)
    Path(f"{path}.bgi").unlink()
    rows = np.random.default_rng(7).permutation(len(truth.rows()))
    np.testing.assert_array_equal(open_genotypes(path).dosages(rows), truth.dosages()[rows])


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("lost", [10, 300])
def test_file_that_is_cut_off(tmp_path: Path, indexed: bool, lost: int) -> None:
    path = write_bgen(random_truth(7), tmp_path)
    if not indexed:
        Path(f"{path}.bgi").unlink()
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"panel\.bgen: the (file is cut off|BGEN file cannot be read)"):
        open_genotypes(path)


def test_index_of_another_file(tmp_path: Path) -> None:
    path = write_bgen(random_truth(7), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    index = Path(f"{write_bgen(random_truth(8, n_records=59), other)}.bgi")
    index.replace(f"{path}.bgi")
    with pytest.raises(
        InputError, match=r"panel\.bgen\.bgi: the index contradicts .*found 59 variants; expected 60"
    ):
        open_genotypes(path)


def test_no_bgen_file(tmp_path: Path) -> None:
    (tmp_path / "panel.bgen").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="cannot be read: doesn't appear to be a bgen file"):
        open_genotypes(tmp_path / "panel.bgen")
