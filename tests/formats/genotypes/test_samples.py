"""Which samples are kept."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes
from gputwas.formats.genotypes.samples import keep, wanted_samples
from tests.formats.genotypes.writers import random_truth, write_plink1

IDS = ["a", "b", "c", "d"]
FAMILIES = ["1", "1", "2", "2"]


def kept_by(text: str, tmp_path: Path, families: list[str] | None = FAMILIES) -> list[str]:
    path = tmp_path / "keep.txt"
    path.write_text(text)
    kept = keep("panel", IDS, families, wanted_samples(path))
    assert all("IID" not in name.upper() for name in kept.not_found)  # a header is nobody
    return kept.names


@pytest.mark.parametrize(
    "text",
    [
        "c\nb\n",
        "2 c\n1 b\n",
        "2\tc\tmore\n\n1\tb\tmore\n",
        "#FID IID\n2 c\n1 b\n",
        "#IID\nc\nb\n",
        "#IID SEX\nc 2\nb 1\n",
        "FID IID\n2 c\n1 b\n",
        "iid\nc\nb\n",
        "# chosen by hand\n2 c\n# 2 d\n1 b\n",
        "# chosen by hand\n#IID SEX\nc 2\nb 1\n",
        "\ufeffb\r\nc\r\nb\r\n",
    ],
)
def test_keep_files(text: str, tmp_path: Path) -> None:
    assert kept_by(text, tmp_path) == ["b", "c"]


def test_family_must_agree_where_the_panel_has_one(tmp_path: Path) -> None:
    assert kept_by("1 a\n1 c\n", tmp_path) == ["a"]
    assert kept_by("1 a\n1 c\n", tmp_path, families=None) == ["a", "c"]
    with pytest.raises(
        InputError, match=r"none of the samples to keep .*such as '9 a'.*Family and sample id"
    ):
        kept_by("9 a\n", tmp_path)


def test_all_samples_by_name_are_everything() -> None:
    kept = keep("panel", IDS, None, wanted_samples(IDS[::-1]))
    assert kept.everything
    np.testing.assert_array_equal(kept.index, range(4))


@pytest.mark.parametrize("families", [None, ["1", "1", "1", "1"]])
def test_repeated_ids(families: list[str] | None) -> None:
    with pytest.raises(InputError, match=r"panel: a sample id is repeated: '(1_)?b' stands there 2 times"):
        keep("panel", ["a", "b", "b", "c"], families, None)


def test_nothing_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no sample"):
        wanted_samples([])
    with pytest.raises(InputError, match="names no sample"):
        kept_by("#FID IID\n", tmp_path)
    with pytest.raises(InputError, match=r"absent\.txt: no such file of samples"):
        wanted_samples(tmp_path / "absent.txt")


def test_keep_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "keep.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00\xff")
    with pytest.raises(InputError, match="is not a text file"):
        wanted_samples(path)


def test_absent_samples_are_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("bed_reader")
    truth = random_truth(1)
    parts = []
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        parts.append(write_plink1(truth, tmp_path / name))
    with caplog.at_level(logging.WARNING):
        panel = open_genotypes(parts, ["S2", "nobody", "S1", "noone"])
    assert panel.samples == ["S1", "S2"]
    assert panel.not_found == ("nobody", "noone")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "2 of 4 samples to keep are not in the genotypes, such as nobody; 2 are used" in warnings[0]
