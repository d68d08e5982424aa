"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gputwas.errors import InputError, ResourceError
from gputwas.files import TEMPORARY_PREFIX, atomic_path, disk_errors, remove_leftovers


def test_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "table.csv.gz"
    with atomic_path(target) as temporary:
        assert os.path.dirname(temporary) == str(tmp_path)
        assert temporary.endswith("table.csv.gz")
        Path(temporary).write_text("a")
        assert not target.exists()
    assert target.read_text() == "a"
    assert os.listdir(tmp_path) == ["table.csv.gz"]


@pytest.mark.parametrize("failure", [ValueError("bad"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file_and_no_temporary(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(failure)), atomic_path(target) as temporary:
        Path(temporary).write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EFBIG, "this large")],
)
def test_full_disk_names_the_folder(tmp_path: Path, number: int, words: str) -> None:
    with (
        pytest.raises(ResourceError, match=words) as caught,
        atomic_path(tmp_path / "table.csv") as temporary,
    ):
        Path(temporary).write_text("half")
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_full_device_is_a_resource_error() -> None:
    with (
        pytest.raises(ResourceError, match="bytes are free"),
        disk_errors("/dev"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        open(tmp_path / "absent").close()


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mkdir -p"), atomic_path(tmp_path / "no" / "table.csv"):
        pytest.fail("the block must not start")


def test_target_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"), atomic_path(tmp_path):
        pytest.fail("the block must not start")


def test_long_names_fit(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 126 + ".gz")
    with atomic_path(target) as temporary:
        Path(temporary).write_text("a")
    assert target.read_text() == "a"


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_PREFIX}0-z.arrow").write_text("half")
    (tmp_path / "z.arrow").write_text("whole")
    assert remove_leftovers(tmp_path) == [f"{TEMPORARY_PREFIX}0-z.arrow"]
    assert os.listdir(tmp_path) == ["z.arrow"]
