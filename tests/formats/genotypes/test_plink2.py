"""PLINK 2: dosages, lists in all their forms, and files that contradict themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes
from tests.formats.genotypes.writers import random_truth, write_plink2

pgenlib = pytest.importorskip("pgenlib")

PVAR = "#CHROM\tPOS\tID\tREF\tALT\n1\t10\trs1\tA\tG\n"
PSAM = "#FID\tIID\tSEX\nF1\tS1\t1\nF2\tS2\t2\nF3\tS3\t2\n"
DOSAGES = np.array([0.25, np.nan, 1.5])


def write(folder: Path, pvar: str = PVAR, psam: str = PSAM) -> Path:
    path = folder / "panel.pgen"
    writer = pgenlib.PgenWriter(bytes(path), 3, variant_ct=1, nonref_flags=False, dosage_present=True)
    writer.append_dosages(np.where(np.isnan(DOSAGES), -9, DOSAGES))
    writer.close()
    (folder / "panel.pvar").write_text(pvar)
    (folder / "panel.psam").write_text(psam)
    return path


def test_dosages(tmp_path: Path) -> None:
    panel = open_genotypes(write(tmp_path))
    np.testing.assert_allclose(
        panel.dosages([0, 0]), [DOSAGES, DOSAGES], atol=1 / 32_768
    )  # steps of 1 / 16,384
    assert open_genotypes(tmp_path / "panel", ["S1", "S3"]).dosages([0]).tolist() == [[0.25, 1.5]]


@pytest.mark.parametrize(
    "pvar",
    [
        "##contig=<ID=1>\n#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT CM\n1 10 rs1 a g . . . GT 0\n",
        "#CHROM\tPOS\tID\tREF\tALT\tFILTER\tINFO\n1\t 10\trs1\ta\tg \tPASS\tNOTE=blanks in a note\n",
        "1 rs1 0 10 G A\n",
        "1 rs1 10 G A\n",
    ],
)
def test_variant_list_with_and_without_header(tmp_path: Path, pvar: str) -> None:
    row = open_genotypes(write(tmp_path, pvar=pvar)).variants.to_pylist()
    expected = {"chromosome": "1", "position": 10, "effect_allele": "G", "other_allele": "A"}
    assert row == [{"variant_id": "rs1"} | expected]


def test_compressed_variant_list(tmp_path: Path) -> None:
    write(tmp_path)
    text = (tmp_path / "panel.pvar").read_bytes()
    with pa.CompressedOutputStream(str(tmp_path / "panel.pvar.zst"), "zstd") as file:
        file.write(text)
    (tmp_path / "panel.pvar").unlink()
    panel = open_genotypes(tmp_path / "panel.pvar.zst")
    assert panel.paths[1] == str(tmp_path / "panel.pvar.zst")
    assert panel.variants["variant_id"].to_pylist() == ["rs1"]


@pytest.mark.parametrize(
    "psam", ["#IID\nS1\nS2\nS3\n", "##note\n#IID SID\nS1 1\nS2 1\nS3 1\n", "F1 S1 0 0 0 -9\nF2 S2\nF3 S3\n"]
)
def test_sample_list_in_other_forms(tmp_path: Path, psam: str) -> None:
    assert open_genotypes(write(tmp_path, psam=psam)).samples == ["S1", "S2", "S3"]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (
            {"pvar": PVAR + "1\t20\trs2\tA\tC\n"},
            r"number of variants contradicts .*panel\.pvar .found 1; expected 2",
        ),
        ({"psam": "#IID\nS1\n"}, r"number of samples contradicts .*panel\.psam .found 3; expected 1"),
        ({"pvar": PVAR.replace("ALT", "A1")}, r"panel\.pvar, line 1: the variant list has no column ALT"),
        ({"pvar": PVAR + "1\t20\n"}, "line 3: malformed row"),
        ({"pvar": "1 2 3\n"}, "line 1: malformed row"),
        ({"pvar": PVAR.splitlines()[0]}, "lists no variant"),
        ({"psam": "#SID\nS1\n"}, r"panel\.psam, line 1: the header of the sample list is unknown"),
        ({"psam": "#FID IID SEX\nF1 S1\n"}, "line 2: malformed row"),
        ({"psam": "#IID\n"}, "lists no sample"),
        ({"psam": "#IID\nS1\nS1\nS2\n"}, "sample id is repeated"),
    ],
)
def test_bad_lists(tmp_path: Path, lists: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_genotypes(write(tmp_path, **lists))


@pytest.mark.parametrize("end", ["pvar", "psam"])
def test_missing_sibling_is_named(tmp_path: Path, end: str) -> None:
    path = write(tmp_path)
    (tmp_path / f"panel.{end}").unlink()
    with pytest.raises(InputError, match=rf"panel\.{end}: no such file"):
        open_genotypes(path)


@pytest.mark.parametrize("start", [b"", b"\x6c\x1b\x01\xff\xff\xff\xff\xff\xff\xff\xff", b"no genotypes"])
def test_other_files(tmp_path: Path, start: bytes) -> None:
    path = write(tmp_path)
    path.write_bytes(start)
    with pytest.raises(InputError, match="is not a PLINK 2 genotype file"):
        open_genotypes(path)


def test_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_plink2(random_truth(5, 400, 90), tmp_path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"panel\.pgen: the genotypes cannot be read"):
        panel = open_genotypes(path)
        panel.dosages(np.arange(panel.variants.num_rows))
