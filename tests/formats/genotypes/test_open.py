"""What the name of a panel may be."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.formats.genotypes.open import open_genotypes
from tests.formats.genotypes.test_plink1 import BED, BIM, FAM, write

pytest.importorskip("bed_reader")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """FUSION's layout: one PLINK 1 file set per chromosome, and files that are none."""
    for chromosome in (1, 2, 10, 22):
        bim = BIM.replace("1\trs1", f"{chromosome}\trs{chromosome}")
        write(tmp_path, BED, bim, FAM, f"1000G.EUR.{chromosome}")
        (tmp_path / f"1000G.EUR.{chromosome}.log").write_text("PLINK v1.90\n")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "1000G.EUR.{chromosome}",
        "1000G.EUR.{chromosome}.bed",
        "1000G.EUR.",
        "1000G.EUR.*",
        "1000G.*.bed",
        "1000G.EUR.[0-9]*",
    ],
)
def test_one_file_set_per_chromosome(layout: Path, name: str) -> None:
    panel = open_genotypes(os.path.join(layout, name))
    assert panel.variants["chromosome"].to_pylist() == ["1", "2", "10", "22"]
    assert len(panel.paths) == 12
    np.testing.assert_array_equal(panel.dosages([3, 0]), np.tile([2.0, np.nan, 1.0, 0.0], (2, 1)))


@pytest.mark.parametrize("name", ["1000G.EUR.1", "1000G.EUR.1.bed", "1000G.EUR.{chromosome}"])
def test_a_folder_whose_name_looks_like_a_pattern(layout: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run [1]"
    folder.mkdir()
    for file in layout.glob("1000G.EUR.*"):
        file.rename(folder / file.name)
    assert open_genotypes(folder / name).paths[0] == str(folder / "1000G.EUR.1.bed")


def test_several_paths_in_the_order_given(layout: Path) -> None:
    panel = open_genotypes([layout / "1000G.EUR.22", layout / "1000G.EUR.1.bim", layout / "1000G.EUR.22.bed"])
    assert panel.variants["chromosome"].to_pylist() == ["22", "1"]


def test_samples_that_differ_between_files(layout: Path) -> None:
    fam = layout / "1000G.EUR.2.fam"
    fam.write_text(FAM.replace("S3", "S4"))
    with pytest.raises(InputError, match=r"same samples.*found sample 4 is S4, not S3") as caught:
        open_genotypes(layout / "1000G.EUR.{chromosome}")
    assert caught.value.path == str(layout / "1000G.EUR.2.bed")
    fam.write_text(FAM + "F4 S4 0 0 0 -9\n")
    (layout / "1000G.EUR.2.bed").write_bytes(BED + b"\x00")
    with pytest.raises(InputError, match="found 5 samples; expected 4 samples"):
        open_genotypes(layout / "1000G.EUR.{chromosome}")
    assert open_genotypes(layout / "1000G.EUR.", ["S0", "S2"]).samples == ["S0", "S2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "no genotypes there"),
        ("1000G.EUR.{chr}", r"no genotypes there.* write \{chromosome\} where their names have"),
        ("absent.{chromosome}", "no genotypes there"),
        ("absent*", "no genotypes there"),
        ("absent.bed", r"absent\.bed: no such file"),
        ("absent.vcf.gz", r"absent\.vcf\.gz: no such file"),
        ("absent.psam", r"absent\.pgen: no such file"),
        ("1000G.EUR.1.log", "is no kind of genotypes"),
        ("", r"This is a folder: name the files in it, such as .*NAME\.\{chromosome\}"),
    ],
)
def test_no_such_genotypes(layout: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_genotypes(layout / name)


def test_two_formats_of_one_name(layout: Path) -> None:
    (layout / "1000G.EUR.1.vcf").write_text("##fileformat=VCFv4.2\n")
    with pytest.raises(InputError, match=r"several sets.*1000G\.EUR\.1\.bed, .*1000G\.EUR\.1\.vcf"):
        open_genotypes(layout / "1000G.EUR.1")
    for pattern in ("1000G.EUR.{chromosome}", "1000G.EUR.*"):
        with pytest.raises(InputError, match="the same genotypes in two formats"):
            open_genotypes(layout / pattern)
    assert open_genotypes(layout / "1000G.EUR.{chromosome}.bed").variants.num_rows == 4


def test_no_path() -> None:
    with pytest.raises(UsageError):
        open_genotypes([])


@pytest.mark.parametrize(
    ("suffix", "library"), [("bed", "bed_reader"), ("pgen", "pgenlib"), ("vcf", "cyvcf2"), ("bgen", "bgen")]
)
def test_library_not_installed(
    tmp_path: Path, suffix: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, BED, BIM, FAM)
    for end in ("pgen", "pvar", "psam", "vcf", "bgen"):
        (tmp_path / f"panel.{end}").write_bytes(b"")
    original = importlib.import_module

    def absent(name: str, package: str | None = None) -> object:
        if name == library:
            raise ModuleNotFoundError(name)
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ResourceError, match=rf"{library}.*pip install 'gputwas\[genotypes\]'"):
        open_genotypes(tmp_path / f"panel.{suffix}")
