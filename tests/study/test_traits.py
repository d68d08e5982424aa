"""Which traits are imported, from files, a folder, a manifest, and BIG40's table of phenotypes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gputwas.errors import InputError, UsageError
from gputwas.study.traits import collect_traits


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files; what is in them is not looked at."""
    (tmp_path / "gwas").mkdir()
    paths = [tmp_path / "gwas" / name for name in ("0001.txt.gz", "0002.txt.gz", "height.chr1.tsv")]
    for path in paths:
        path.write_text("x\n")
    return paths


def manifest(folder: Path, *lines: str) -> Path:
    """A manifest with the cells separated by blanks in `lines`."""
    path = folder / "traits.tsv"
    path.write_text("".join("\t".join(line.split(" ")) + "\n" for line in lines))
    return path


PHENOTYPES = (
    "Pheno,IDP short name,Category name,IDP description,N(all),h2,h2 se\n"
    "0001,vol_a,regional volume,Volume of A,30000,0.4,0.03\n"
    "0002,vol_b,regional volume,Volume of B,31000,0.2,0.02\n"
)


def test_files_are_traits_named_after_them(files: list[Path]) -> None:
    got = collect_traits(files[:2])
    assert [(entry.trait, entry.paths) for entry in got] == [
        ("0001", (str(files[0]),)), ("0002", (str(files[1]),)),
    ]  # fmt: skip


def test_files_of_one_trait(files: list[Path]) -> None:
    (entry,) = collect_traits(files, trait="height", dialect="metal", build="hg19", separator=",")
    assert entry.trait == "height"
    assert entry.paths == tuple(map(str, files))
    assert (entry.dialect, entry.build, entry.separator) == ("metal", "hg19", ",")


def test_columns_go_to_every_trait(files: list[Path]) -> None:
    columns = {"variant_id": "SNP", "beta": "B"}
    assert [entry.columns for entry in collect_traits(files[:2], columns=columns)] == [columns, columns]


def test_folder_with_a_pattern(files: list[Path]) -> None:
    got = collect_traits([], folder=files[0].parent, pattern="0*.gz")
    assert [entry.trait for entry in got] == ["0001", "0002"]
    assert len(collect_traits([], folder=files[0].parent)) == 3


def test_manifest_rows_say_more_and_win(files: list[Path], tmp_path: Path) -> None:
    path = manifest(
        tmp_path, "trait path n h2 h2_se dialect build modality",
        "a gwas/0001.txt.gz 5000 0.3 0.05 metal hg38 T1",
        "b gwas/0002.txt.gz . . . . . dMRI",
    )  # fmt: skip
    first, second = collect_traits([], manifest=path, dialect="big40", build="hg19")
    assert (first.trait, first.n, first.h2, first.h2_se) == ("a", 5000, 0.3, 0.05)
    assert (first.dialect, first.build) == ("metal", "hg38")
    assert first.annotation == {"modality": "T1"}
    assert (second.n, second.h2, second.dialect, second.build) == (None, None, "big40", "hg19")
    assert second.paths == (str(files[1]),)


def test_phenotypes_fill_what_is_not_said(files: list[Path], tmp_path: Path) -> None:
    table = tmp_path / "phenotypes.csv"
    table.write_text(PHENOTYPES)
    path = manifest(
        tmp_path, "trait path n h2 description", "0001 gwas/0001.txt.gz 5000 . mine",
        "vol_b gwas/0002.txt.gz . 0.9 .",
    )  # fmt: skip
    by_number, by_name = collect_traits([], manifest=path, phenotypes=table)
    assert (by_number.n, by_number.h2, by_number.h2_se) == (5000, 0.4, 0.03)
    assert by_number.annotation["description"] == "mine", "the manifest's own word stands"
    assert by_number.annotation["category_name"] == "regional volume"
    assert by_number.annotation["short_name"] == "vol_a"
    assert (by_name.n, by_name.h2) == (31000, 0.9)
    assert by_name.annotation["description"] == "Volume of B"


def test_h2_and_its_error_come_from_one_source(files: list[Path], tmp_path: Path) -> None:
    """An h2 of the manifest with the error of another estimate would decide wrongly who is heritable."""
    table = tmp_path / "phenotypes.csv"
    table.write_text(PHENOTYPES)
    path = manifest(tmp_path, "trait path h2", "0001 gwas/0001.txt.gz 0.9")
    (entry,) = collect_traits([], manifest=path, phenotypes=table)
    assert (entry.h2, entry.h2_se) == (0.9, None)


def test_traits_that_the_phenotypes_lack_are_warned_of(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "phenotypes.csv"
    table.write_text(PHENOTYPES)
    with caplog.at_level(logging.WARNING):
        got = collect_traits(files, phenotypes=table)
    assert len(got) == 3 and got[2].n is None
    assert "1 of 3 traits are not in" in caplog.text and "height" in caplog.text


@pytest.mark.parametrize(
    "given", ["nothing", "files and manifest", "files and folder", "manifest and folder"]
)
def test_exactly_one_source_of_traits(files: list[Path], tmp_path: Path, given: str) -> None:
    path = manifest(tmp_path, "trait path", "a gwas/0001.txt.gz")
    every = {"manifest": path, "folder": tmp_path / "gwas"}
    options = {name: value for name, value in every.items() if name in given}
    with pytest.raises(UsageError, match="one of them"):
        collect_traits(files if "files" in given else [], **options)


def test_options_that_belong_to_another_source(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pattern needs --folder"):
        collect_traits(files, pattern="*.gz")
    with pytest.raises(UsageError, match="--trait"):
        collect_traits([], folder=tmp_path / "gwas", trait="height")


def test_unusable_sources_are_refused(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(InputError, match="absent"):
        collect_traits([], folder=tmp_path / "absent")
    with pytest.raises(InputError, match="absent"):
        collect_traits([], manifest=tmp_path / "absent.tsv")
    with pytest.raises(InputError, match="absent"):
        collect_traits(files, phenotypes=tmp_path / "absent.csv")
