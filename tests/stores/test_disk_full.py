"""A full disk: exit code 4, the folder named, nothing half-written, and the run goes on once there's room."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from gputwas.errors import ResourceError
from gputwas.files import TEMPORARY_PREFIX
from gputwas.stores import arrow
from gputwas.stores.gwas import GwasStore
from tests.stores.examples import WRITERS, create_example_associations, fingerprint, make_panel

SIZE = 128 << 10  # bytes of the small disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of `SIZE` bytes; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "ballast").write_bytes(b"\0" * max(free - leave, 0))
    return folder / "ballast"


def temporary_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


@pytest.mark.parametrize("foreseen", [True, False], ids=["foreseen", "by surprise"])
def test_traits_that_were_written_stay(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, foreseen: bool
) -> None:
    if not foreseen:
        monkeypatch.setattr(arrow, "require_space", lambda folder, needed: None)
    z = np.ones(1000, np.float32)
    written = []
    with (
        pytest.raises(ResourceError, match=f"{small_disk}.*(are needed and|is full)") as caught,
        GwasStore.create(small_disk / "s", make_panel(1000), {}) as store,
    ):
        for trait in range(100):
            store.add(f"t{trait:03d}", z, z, {"effect": "beta", "input_hash": "1"})
            written.append(f"t{trait:03d}")
    assert caught.value.exit_code == 4
    assert len(written) > 2
    assert not temporary_files(small_disk)
    assert GwasStore.open(small_disk / "s").traits == written


@pytest.mark.parametrize("foreseen", [True, False], ids=["foreseen", "by surprise"])
@pytest.mark.parametrize("kind", sorted(WRITERS))
@pytest.mark.parametrize("leave", [0, 8 << 10, 20 << 10])
def test_run_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, leave: int, foreseen: bool
) -> None:
    WRITERS[kind](str(tmp_path / "undisturbed"))
    ballast = fill(small_disk, leave)
    with monkeypatch.context() as patch:
        if not foreseen:
            patch.setattr(arrow, "require_space", lambda folder, needed: None)
        with pytest.raises(ResourceError, match=str(small_disk)):
            WRITERS[kind](str(small_disk / "s"))
    assert not temporary_files(small_disk)
    if kind == "models":
        assert os.listdir(small_disk) == ["ballast"]
    ballast.unlink()
    WRITERS[kind](str(small_disk / "s"))
    assert fingerprint(str(small_disk / "s")) == fingerprint(str(tmp_path / "undisturbed"))


def test_message_says_what_is_needed_and_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    with create_example_associations(str(tmp_path)) as store:
        monkeypatch.setattr(arrow.shutil, "disk_usage", lambda path: Usage(free=100))
        z = np.zeros((3, 2), np.float32)
        folder = tmp_path / "shards" / "Tissue_0"
        with pytest.raises(ResourceError, match=f"^{folder}: .* 128 bytes are needed and 100 are free"):
            store.write_block("Tissue_0", 0, z, z)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_disk_full_when_forcing_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: int
) -> None:
    # Network file systems and quotas report a full disk as late as fsync.
    calls = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match=str(tmp_path / "s")):
            WRITERS[kind](str(tmp_path / "s"))
    assert not temporary_files(tmp_path)
    WRITERS[kind](str(tmp_path / "s"))
    WRITERS[kind](str(tmp_path / "undisturbed"))
    assert fingerprint(str(tmp_path / "s")) == fingerprint(str(tmp_path / "undisturbed"))
