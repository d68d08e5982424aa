"""What a folder is, whether it may be continued, and what is said when it may not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gputwas.errors import InputError
from gputwas.files import TEMPORARY_PREFIX
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.manifest import differences, new_manifest, read_manifest, to_plain
from gputwas.stores.models import read_models_store
from tests.stores.examples import WRITERS, fingerprint

READERS: dict[str, Callable[[Any], Any]] = {
    "models": read_models_store,
    "gwas": GwasStore.open,
    "associations": AssociationStore.open,
}
KINDS = sorted(READERS)


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("action", [READERS, WRITERS], ids=["read", "write"])
@pytest.mark.parametrize("kind", KINDS)
def test_store_of_a_newer_version_is_refused(tmp_path: Path, kind: str, action: dict[str, Any]) -> None:
    WRITERS[kind](str(tmp_path / "s"))
    change_manifest(tmp_path / "s", format_version=7, program_version="9.8.7")
    before = fingerprint(str(tmp_path / "s"))
    with pytest.raises(
        InputError, match=r"written by gputwas 9\.8\.7.*version 7.*at most version 1.*--upgrade"
    ):
        action[kind](str(tmp_path / "s"))
    assert fingerprint(str(tmp_path / "s")) == before


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_store_is_refused(tmp_path: Path, kind: str) -> None:
    other = KINDS[KINDS.index(kind) - 1]
    WRITERS[other](str(tmp_path))
    with pytest.raises(InputError, match=f"another kind of store.*gputwas.{other}.*gputwas.{kind}"):
        READERS[kind](tmp_path)
    with pytest.raises(InputError, match="another kind of store"):
        WRITERS[kind](str(tmp_path), overwrite=True)


@pytest.mark.parametrize("kind", KINDS)
def test_no_folder_a_file_and_a_strange_folder(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"no such folder.*gputwas"):
        READERS[kind](tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="this is a file"):
        READERS[kind](tmp_path / "file")
    with pytest.raises(InputError, match="in the way"):
        WRITERS[kind](str(tmp_path / "file"))
    with pytest.raises(InputError, match="not a gputwas store"):
        READERS[kind](tmp_path)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_foreign_files_are_never_touched(tmp_path: Path, kind: str, overwrite: bool) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match=r"not empty and not a gputwas store.*thesis\.docx"):
        WRITERS[kind](str(tmp_path), overwrite=overwrite)
    assert os.listdir(tmp_path) == ["thesis.docx"]


@pytest.mark.parametrize("kind", KINDS)
def test_overwriting_keeps_what_is_not_the_stores(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](str(tmp_path))
    (tmp_path / "notes.txt").write_text("keep")
    before = fingerprint(str(tmp_path))
    WRITERS[kind](str(tmp_path), overwrite=True)
    assert fingerprint(str(tmp_path)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_second_run_writes_nothing(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](str(tmp_path))
    shards = {path: path.stat().st_ino for path in tmp_path.rglob("*.arrow")}
    WRITERS[kind](str(tmp_path))
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*.arrow")} == shards


@pytest.mark.parametrize("kind", KINDS)
def test_leftovers_are_ignored_and_removed(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](str(tmp_path))
    before = fingerprint(str(tmp_path))
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        (folder / f"{TEMPORARY_PREFIX}0123-00000.z.arrow").write_bytes(b"ARROW1 and then the power went")
    READERS[kind](tmp_path)
    if kind == "gwas":
        assert len(GwasStore.open(tmp_path).traits) == 5
    WRITERS[kind](str(tmp_path))
    assert fingerprint(str(tmp_path)) == before  # which refuses temporary files


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": 3}', '{"format": "someone.else"}'])
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError):
        read_manifest(tmp_path, "gputwas.models")


def test_manifest_without_a_field(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": "gputwas.models", "format_version": 1}')
    with pytest.raises(InputError, match=r"damaged.*parameters"):
        read_manifest(tmp_path, "gputwas.models")


def test_unfinished_store_says_so(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1 host\n")
    with pytest.raises(InputError, match="begun and not finished"):
        read_manifest(tmp_path, "gputwas.models")


def test_differences_are_named() -> None:
    inputs = {"a.db": {"xxh3_128": "1"}, "b.db": {"xxh3_128": "2"}, "c.db": {"xxh3_128": "3"}}
    manifest = new_manifest("gputwas.models", {"mode": "strict", "key": None}, inputs)
    assert differences(manifest, {"key": None, "mode": "strict"}, inputs) == []
    moved = {"elsewhere/a.db": {"xxh3_128": "1"}, "b.db": {"xxh3_128": "2"}, "c.db": {"xxh3_128": "3"}}
    assert differences(manifest, {"mode": "strict", "key": None}, moved) == []
    found = differences(
        manifest,
        {"mode": "parity"},
        {"a.db": {"xxh3_128": "9"}, "b.db": {"xxh3_128": "2"}, "d.db": {"xxh3_128": "4"}},
    )
    assert found == [
        "parameter key was null and is now not set",
        'parameter mode was "strict" and is now "parity"',
        "a.db has other contents",
        "d.db was not an input",
        "c.db was an input and is not now",
    ]


def test_many_differences_are_counted() -> None:
    manifest = new_manifest("gputwas.models", {}, {f"t{i:04d}": {"xxh3_128": str(i)} for i in range(2000)})
    (text,) = differences(manifest, {}, {})
    assert text == "t0000, t0001, t0002 and 1,997 more, each was an input and is not now"


def test_parameters_compare_as_json_gives_them_back(tmp_path: Path) -> None:
    class Mode(IntEnum):
        STRICT = 4

    parameters = {
        "tuple": (1, 2), "set": {"b", "a"}, "numpy": np.float32(0.5), "array": np.arange(2), "path": tmp_path,
        "enum": Mode.STRICT, "nan": float("nan"), "bool": np.True_, "none": None,
    }  # fmt: skip
    new_manifest("gputwas.gwas", parameters, {}).write(tmp_path)
    assert differences(read_manifest(tmp_path, "gputwas.gwas"), parameters, {}) == []
    with pytest.raises(TypeError, match="object cannot be recorded"):
        to_plain({"x": object()})
