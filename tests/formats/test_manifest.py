"""The manifest of traits, and folders with one trait per file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputwas.errors import InputError
from gputwas.formats.manifest import TraitEntry, read_manifest, trait_name, traits_from_folder
from gputwas.formats.sumstats.checksums import Checksum


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "gwas").mkdir()
    for name in ("0001.txt.gz", "0002.txt.gz", "chr1.tsv", "chr2.tsv", "chr10.tsv"):
        (tmp_path / "gwas" / name).write_text("x\n")
    return tmp_path


def manifest(study: Path, text: str) -> Path:
    path = study / "traits.tsv"
    path.write_text(text)
    return path


def refused(study: Path, text: str) -> InputError:
    path = manifest(study, text)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    return caught.value


def test_all_columns_and_annotation(study):
    path = manifest(
        study,
        "trait\tpath\tn\tdialect\tbuild\th2\th2_se\teffect\tmodality\tregion\n"
        "IDP_1\tgwas/0001.txt.gz\t33224\tbig40\tGRCh37\t0.31\t0.02\tbeta\tT1\t\n"
        "\n## a remark\n"
        "IDP_2\tgwas/0002.txt.gz\tNA\t\t\t-0.01\t\t\tdMRI\tfornix\n",
    )
    one, two = read_manifest(path)
    assert one == TraitEntry(
        "IDP_1",
        (str(study / "gwas/0001.txt.gz"),),
        33224,
        "big40",
        "GRCh37",
        0.31,
        0.02,
        "beta",
        {"modality": "T1"},
    )
    assert (two.n, two.dialect, two.build, two.h2, two.h2_se, two.effect) == (
        None,
        None,
        None,
        -0.01,
        None,
        None,
    )
    assert two.annotation == {"modality": "dMRI", "region": "fornix"}


def test_paths_are_relative_to_the_manifest_and_globs_in_natural_order(study, monkeypatch):
    monkeypatch.chdir("/")
    (entry,) = read_manifest(manifest(study, "trait\tpath\nheight\tgwas/chr*.tsv\n"))
    assert [Path(p).name for p in entry.paths] == ["chr1.tsv", "chr2.tsv", "chr10.tsv"]
    assert all(Path(p).is_file() for p in entry.paths)


def test_several_files_in_one_cell(study):
    text = f"trait\tpath\na\tgwas/chr1.tsv; gwas/chr2.tsv\nc\t{study}/gwas/0001.txt.gz\n"
    a, c = read_manifest(manifest(study, text))
    assert len(a.paths) == 2 and Path(c.paths[0]).is_file()


def test_urls_stand_where_paths_may(study):
    one, two = "https://example.org/stats33k/0003.txt.gz?download=1", "s3://bucket/chr[2].gz"
    a, b = read_manifest(manifest(study, f"trait\tpath\na\t{one}\nb\t{two} ; gwas/chr2.tsv\n"))
    assert a.paths == (one,) and b.paths == (two, str(study / "gwas/chr2.tsv"))


@pytest.mark.parametrize(
    ("url", "words"),
    [("ftp://example.org/3.gz", "try that address"), ("gs://b/3.gz", "gs:// addresses are not read"),
     ("https:///3.gz", "names no host")],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_refused_with_its_line(study, url, words):
    error = refused(study, f"trait\tpath\na\tgwas/chr1.tsv\nb\tgwas/chr2.tsv;{url}\n")
    assert (error.line, error.column) == (3, "path") and words in str(error)


MD5, SHA = "0123456789abcdef" * 2, "0123456789ABCDEF" * 4


def test_checksums_as_several_places_write_them(study):
    text = (
        "trait\tpath\tmd5\tsha256\tchecksum\n"
        f"a\tgwas/0001.txt.gz\t{MD5}\t\t\n"
        f"b\tgwas/0002.txt.gz\tmd5:{MD5}\t{SHA}\t\n"
        f"c\tgwas/chr1.tsv;https://example.org/2.gz\t\t\tmd5:{MD5} ; sha256:{SHA}\n"
        f"d\tgwas/chr*0.tsv\t{MD5}  chr10.tsv\t\t\n"
        "e\tgwas/chr2.tsv\tNA\t\t\n"
        f"f\tgwas/chr1.tsv;;gwas/chr2.tsv;\t\t{SHA}; ;{SHA};\t\n"
    )
    entries = {entry.trait: entry for entry in read_manifest(manifest(study, text))}
    md5, sha = Checksum("md5", MD5), Checksum("sha256", SHA.lower())
    folder = str(study / "gwas") + "/"
    assert entries["a"].checksums == {folder + "0001.txt.gz": (md5,)}
    assert entries["b"].checksums == {folder + "0002.txt.gz": (md5, sha)}
    assert entries["c"].checksums == {folder + "chr1.tsv": (md5,), "https://example.org/2.gz": (sha,)}
    assert entries["d"].checksums == {folder + "chr10.tsv": (md5,)}
    assert entries["f"].checksums == {folder + "chr1.tsv": (sha,), folder + "chr2.tsv": (sha,)}
    assert entries["e"].checksums == {} and not any(entry.annotation for entry in entries.values())


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [("md5", MD5[1:], "32 hexadecimal digits"), ("sha256", MD5, "64 hexadecimal digits"),
     ("md5", f"sha256:{SHA}", "a checksum of the kind md5"), ("checksum", MD5, "md5:... or sha256:..."),
     ("md5", "x" * 32, "32 hexadecimal digits"), ("checksum", f"crc32:{MD5}", "md5:... or sha256:...")],
)  # fmt: skip
def test_what_is_no_checksum(study, column, cell, words):
    error = refused(study, f"trait\tpath\t{column}\na\tgwas/chr1.tsv\t{cell}\n")
    assert (error.line, error.column) == (2, column) and "is no checksum" in str(error)
    assert words in str(error) and cell in str(error)


@pytest.mark.parametrize(("files", "cells"), [("gwas/chr*.tsv", MD5), ("gwas/chr1.tsv", f"{MD5};{MD5}")])
def test_checksums_that_are_not_one_for_each_file(study, files, cells):
    error = refused(study, f"trait\tpath\tmd5\na\t{files}\t{cells}\n")
    assert "is not one checksum for each file" in str(error) and (error.line, error.column) == (2, "md5")


def test_header_spellings_and_byte_order_mark(study):
    (entry,) = read_manifest(manifest(study, "\ufeffTrait\tFile\tN\nx\tgwas/0001.txt.gz\t5\n"))
    assert (entry.trait, entry.n) == ("x", 5)


def test_two_traits_with_one_name(study):
    error = refused(study, "trait\tpath\nx\tgwas/0001.txt.gz\ny\tgwas/chr1.tsv\nx\tgwas/0002.txt.gz\n")
    assert (error.line, error.column) == (4, "trait")
    assert "two traits have one name" in str(error) and "line 2" in str(error)


def test_glob_without_match(study):
    error = refused(study, "trait\tpath\nx\tgwas/0001.txt.gz\ny\tgwas/chr*.txt\n")
    assert (error.line, error.column) == (3, "path") and "no file matches" in str(error)


def test_file_that_is_not_there(study):
    error = refused(study, "trait\tpath\nx\tgwas/9999.txt.gz\n")
    assert error.line == 2 and "there is no such file" in str(error) and str(study) in str(error.remedy)


@pytest.mark.parametrize("column", ["trait", "path"])
def test_missing_column(study, column):
    error = refused(study, "trait\tpath\nx\ty\n".replace(column, "other"))
    assert f"has no column {column}" in str(error) and error.line == 1


def test_manifest_separated_by_commas(study):
    assert "Separate its cells by tabs" in str(refused(study, "trait,path\nx,gwas/0001.txt.gz\n"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("n", "many"), ("n", "0"), ("n", "-5"), ("h2", "high"), ("h2", "inf"), ("h2_se", "-0.1")],
)
def test_bad_numbers(study, column, value):
    error = refused(study, f"trait\tpath\t{column}\nx\tgwas/0001.txt.gz\t{value}\n")
    assert (error.line, error.column) == (2, column) and repr(value) in str(error)


def test_bad_dialect_effect_and_shape(study):
    error = refused(study, "trait\tpath\tdialect\nx\tgwas/0001.txt.gz\tbig41\n")
    assert (error.line, error.column) == (2, "dialect") and "did you mean big40" in str(error)
    assert refused(study, "trait\tpath\teffect\nx\tgwas/0001.txt.gz\tOR\n").column == "effect"
    assert "more cells than the header" in str(refused(study, "trait\tpath\nx\tgwas/0001.txt.gz\textra\n"))
    assert refused(study, "trait\tpath\n\tgwas/0001.txt.gz\n").column == "trait"
    assert refused(study, "trait\tpath\tn\tn\nx\tgwas/0001.txt.gz\t1\t2\n").column == "n"


def test_nothing_in_it(study):
    assert "is empty" in str(refused(study, ""))
    assert "lists no trait" in str(refused(study, "trait\tpath\n"))
    with pytest.raises(InputError, match="does not exist"):
        read_manifest(study / "nowhere.tsv")


def test_folder(study):
    entries = traits_from_folder(study / "gwas", "*.txt.gz")
    assert [entry.trait for entry in entries] == ["0001", "0002"]
    assert [entry.trait for entry in traits_from_folder(study / "gwas")][-3:] == ["chr1", "chr2", "chr10"]


def test_folder_that_cannot_be_used(study):
    with pytest.raises(InputError, match="no file fits the pattern"):
        traits_from_folder(study / "gwas", "*.vcf")
    with pytest.raises(InputError, match="is not a folder"):
        traits_from_folder(study / "nowhere")
    (study / "gwas" / "0001.tsv").write_text("x\n")
    with pytest.raises(InputError, match="two files give the trait name '0001'"):
        traits_from_folder(study / "gwas")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/0001.txt.gz", "0001"), ("x.glm.linear.zst", "x"), ("daner_v1.2.gz", "daner_v1.2"),
        ("trait.vcf.gz", "trait"),
        ("aparc-Desikan_lh_area.sumstats.gz", "aparc-Desikan_lh_area"), (".txt", ".txt"),
    ],
)  # fmt: skip
def test_trait_names(path, name):
    assert trait_name(path) == name
