"""Stores that cannot be used or written, through the command line: newer, locked, wrong, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.studies import Study, no_leftovers, nothing_written, refused, run, snapshot

Words = list[str | Path]
STORES = ("models", "gwas", "associations")


def writing(study: Study, kind: str, out: Path) -> Words:
    """The command that writes a store of this kind, from the study's files and stores."""
    if kind == "models":
        return ["models", "import", *study.databases, "--out", out]
    if kind == "gwas":
        return ["gwas", "import", "--manifest", study.manifest, "--models", study.models, "--out", out]
    return ["associate", "--models", study.models, "--gwas", study.gwas, "--backend", "numpy", "--out", out]


def reading(study: Study, kind: str, store: Path, out: Path) -> list[Words]:
    """Commands that read a store of this kind; those that write do so to `out`."""
    if kind == "models":
        return [
            ["models", "list", store],
            ["gwas", "import", study.gwas_file, "--models", store, "--out", out],
            ["gwas", "check", study.gwas_file, "--models", store],
            ["associate", "--models", store, "--gwas", study.gwas, "--out", out],
        ]
    if kind == "gwas":
        return [
            ["gwas", "list", store],
            ["associate", "--models", study.models, "--gwas", store, "--out", out],
        ]
    of_one = ["--trait", "x", "--tissue", study.tissues[0]]
    return [
        ["fdr", store, "--out", out / "significant.tsv"],
        ["export", "metaxcan", store, *of_one, "--out", out / "x.csv"],
        ["export", "parquet", store, "--out", out / "x.parquet"],
        ["plot", store, "--out", out],
    ]


def first_trait(study: Study) -> str:
    return study.manifest.read_text().splitlines()[1].split("\t")[0]


# Written by a newer version


@pytest.mark.parametrize("kind", STORES)
def test_store_of_a_newer_version(
    kind: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(getattr(study, kind), tmp_path / "newer"))
    manifest = json.loads((store / "manifest.json").read_text())
    manifest |= {"format_version": manifest["format_version"] + 1, "program_version": "99.1"}
    (store / "manifest.json").write_text(json.dumps(manifest))
    before, out = snapshot(store), tmp_path / "out"
    out.mkdir()
    written = [writing(study, kind, store), [*writing(study, kind, store), "--overwrite"]]
    for words in [*reading(study, kind, store, out), *written]:
        message = refused(run(capsys, *words), store, "a newer format, written by gputwas 99.1")
        assert f"found gputwas.{kind} format version 2; expected at most version 1" in message
        assert "pip install --upgrade gputwas" in message
    assert snapshot(store) == before
    assert not list(out.iterdir())
    no_leftovers(tmp_path)


# Being written by another process

HOLD = """
import fcntl, os, sys, time
descriptor = os.open(os.path.join(sys.argv[1], ".lock"), os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.ftruncate(descriptor, 0)
os.pwrite(descriptor, f"{os.getpid()} elsewhere\\n".encode(), 0)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["new", "there"])
def held(
    request: pytest.FixtureRequest, study: Study, tmp_path: Path
) -> Iterator[dict[str, tuple[Path, subprocess.Popen[str]]]]:
    """A folder per kind of store, empty or with the store, locked by another process."""
    found = {}
    for kind in STORES:
        folder = tmp_path / kind
        if request.param == "there":
            shutil.copytree(getattr(study, kind), folder)
        else:
            folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        found[kind] = (folder, process)
    for _, process in found.values():
        assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield found
    for _, process in found.values():
        process.kill()
        process.communicate()


def test_store_being_written_by_another_process(
    held: dict[str, tuple[Path, subprocess.Popen[str]]], study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, (folder, process) in held.items():
        before = snapshot(folder)
        for more in ([], ["--overwrite"]):
            if kind == "models" and before and not more:
                continue  # a complete store of the same files is left as it is without being locked
            outcome = run(capsys, *writing(study, kind, folder), *more)
            words = (f"being written by process {process.pid} on elsewhere", "Wait until it has finished")
            refused(outcome, folder, *words)
        assert snapshot(folder) == before
        no_leftovers(folder)


# On a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Leave so many bytes free on a disk; returns the file that takes the rest."""
    state = os.statvfs(folder)
    (folder / "ballast").write_bytes(b"\0" * max(state.f_bavail * state.f_frsize - leave, 0))
    return folder / "ballast"


@pytest.mark.parametrize("leave", [0, 8 << 10, 20 << 10])
@pytest.mark.parametrize("kind", STORES)
def test_disk_full_while_writing_a_store(
    kind: str, leave: int, study: Study, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, as for all that the machine lacks; with room the same command ends in the same store."""
    ballast, out = fill(small_disk, leave), small_disk / "store"
    words = writing(study, kind, out)
    refused(run(capsys, *words), small_disk, "Free some space or write elsewhere", code=4)
    no_leftovers(small_disk)
    if kind == "models":
        nothing_written(out)
    ballast.unlink()
    assert run(capsys, *words).code == 0
    for name, digest in snapshot(getattr(study, kind)).items():
        if name.endswith(".arrow") and name not in ("traits.arrow", "models.arrow"):
            assert snapshot(out)[name] == digest


def test_disk_full_before_the_first_trait_leaves_no_store(
    study: Study, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(small_disk, 0)
    out = small_disk / "gwas"
    refused(run(capsys, *study.import_words(study.gwas_file, out=out)), small_disk, code=4)
    nothing_written(out)


def test_disk_full_while_a_csv_is_written(
    study: Study, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(small_disk, 0)
    gwas, trait = study.table(tmp_path / "good.txt"), first_trait(study)
    for out, words in (
        (small_disk / "out.csv", study.spredixcan_words(gwas, small_disk / "out.csv")),
        (small_disk / "fdr.tsv", ["fdr", study.associations, "--out", small_disk / "fdr.tsv"]),
        (
            small_disk / "one.csv",
            ["export", "metaxcan", study.associations, "--trait", trait, "--tissue", study.tissues[0],
             "--out", small_disk / "one.csv"],
        ),
        (
            small_disk / "all.parquet",
            ["export", "parquet", study.associations, "--out", small_disk / "all.parquet"],
        ),
    ):  # fmt: skip
        refused(run(capsys, *words), small_disk, "the disk is full", "Free some space", code=4)
        nothing_written(out)


def test_disk_full_keeps_the_csv_that_was_to_be_replaced(
    study: Study, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "out.csv"
    out.write_text("old")
    fill(small_disk, 0)
    words = study.spredixcan_words(study.table(tmp_path / "good.txt"), out, "--overwrite")
    refused(run(capsys, *words), small_disk, "the disk is full", code=4)
    assert out.read_text() == "old"
    no_leftovers(small_disk)


# The wrong store, or none


@pytest.mark.parametrize("kind", STORES)
def test_what_is_no_store(
    kind: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    other = study.gwas if kind != "gwas" else study.models
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    cases = {
        tmp_path / "nowhere": "there is no such folder",
        tmp_path / "file": "this is a file, not the folder of a store",
        tmp_path / "folder": "the folder is not a gputwas store",
        other: "this is another kind of store",
    }
    for store, what in cases.items():
        before = snapshot(store)
        for words in reading(study, kind, store, out):
            refused(run(capsys, *words), store, what, f"gputwas.{kind}", "Make it with `gputwas ")
        assert snapshot(store) == before
    assert not list(out.iterdir())


@pytest.mark.parametrize("kind", STORES)
def test_folder_that_holds_something_else_is_not_written_to(
    kind: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    other = study.gwas if kind != "gwas" else study.models
    before = snapshot(other)
    for more in ([], ["--overwrite"]):
        outcome = run(capsys, *writing(study, kind, tmp_path / "folder"), *more)
        refused(outcome, tmp_path / "folder", "not empty and not a gputwas store", "notes.txt")
        outcome = run(capsys, *writing(study, kind, tmp_path / "file"), *more)
        refused(outcome, tmp_path / "file", "a file is in the way")
        refused(run(capsys, *writing(study, kind, other), *more), other, "this is another kind of store")
    assert snapshot(other) == before
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("kind", STORES)
def test_damaged_manifest(
    kind: str, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(getattr(study, kind), tmp_path / "store"))
    (store / "manifest.json").write_text('{"format": "gputwas.')
    for words in reading(study, kind, store, tmp_path):
        refused(run(capsys, *words), store / "manifest.json", "damaged")


def test_store_of_other_parameters_is_left_alone(
    study: Study, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for kind, more, words in (
        ("models", ["--allow-missing-ld"], "parameter allow_missing_ld was false and is now true"),
        ("gwas", ["--mode", "parity"], 'parameter mode was "strict" and is now "parity"'),
        (
            "associations",
            ["--precision", "float64"],
            'parameter precision was "float32" and is now "float64"',
        ),
    ):
        store = getattr(study, kind)
        before = snapshot(store)
        outcome = run(capsys, *writing(study, kind, store), *more)
        refused(outcome, store, "the store was written differently", words, "--overwrite")
        assert snapshot(store) == before


# Names and flags of what is computed and exported


def test_unknown_traits_and_tissues(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trait, tissue = first_trait(study), study.tissues[0]
    out, store = tmp_path / "out", study.associations
    csv = ["--out", tmp_path / "out.csv"]
    for words, named in (
        ([*writing(study, "associations", out), "--trait", "nonsense"], (study.gwas, "gputwas gwas list")),
        ([*writing(study, "associations", out), "--tissue", "nonsense"], (study.models, tissue)),
        (["fdr", store, "--trait", "nonsense", "--out", tmp_path / "out.tsv"], (store, "gputwas gwas list")),
        (
            ["fdr", store, "--trait", f"{trait}x", "--out", tmp_path / "out.tsv"],
            (store, f"Did you mean {trait!r}?"),
        ),
        (["fdr", store, "--tissue", "nonsense", "--out", tmp_path / "out.tsv"], (store, tissue)),
        (["export", "metaxcan", store, "--trait", "nonsense", "--tissue", tissue, *csv], (store,)),
        (["export", "metaxcan", store, "--trait", trait, "--tissue", "nonsense", *csv], (store, tissue)),
        (["export", "parquet", store, "--trait", "nonsense", "--out", tmp_path / "out.parquet"], (store,)),
        (["plot", store, "--tissue", "nonsense", "--out", out], (store, tissue)),
    ):  # fmt: skip
        refused(run(capsys, *words), "nonsense" if "nonsense" in words else f"{trait}x", *named)
    assert not list(tmp_path.iterdir())


def test_unknown_family(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["fdr", study.associations, "--out", tmp_path / "out.tsv"], ["plot", study.associations]):
        outcome = run(capsys, *command, "--family", "nonsense")
        message = refused(outcome, "no family is called 'nonsense'", "study, tissue", "modality", code=2)
        assert "content_hash" not in message, "columns that make no families"
    nothing_written(tmp_path / "out.tsv")


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--backend", "nonsense"], "nonsense", 2),
        (["--method", "nonsense"], "nonsense", 2),
        (["--precision", "float16"], "float16", 2),
        (["--memory", "lots"], "'lots' is not an amount of memory", 2),
        (["--memory", "1MB"], "give more with --memory", 4),
        (["--workers", "0"], "--workers", 2),
    ],
)
def test_flags_of_associate(
    words: list[str],
    message: str,
    code: int,
    study: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    refused(run(capsys, *writing(study, "associations", out), *words), message, code=code)
    nothing_written(out)


def test_backend_that_is_not_installed(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # as where the package is absent
    out = tmp_path / "out"
    outcome = run(capsys, *writing(study, "associations", out), "--backend", "cupy")
    refused(outcome, "cupy is not installed; get it with: pip install 'gputwas[cuda", code=4)
    nothing_written(out)


def test_counting_alone_writes_nothing(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = run(capsys, "fdr", study.associations, "--family", "tissue", "--out", tmp_path / "out.tsv")
    (tmp_path / "out.tsv").unlink()
    counted = run(capsys, "fdr", study.associations, "--family", "tissue", "--count-only")
    assert counted.code == 0 and counted.out == listed.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--method", "nonsense"], "nonsense", 2),
        (["--alpha", "3"], "--alpha", 2),
        (["--alpha", "0"], "alpha is 0.0; it must lie above 0", 2),
        (["--h2-z", "2"], "belong to --heritable", 2),
        (["--out", "x.xls"], "x.xls: the name must end in one of", 2),
        (["--out", "nowhere/x.tsv"], "the folder does not exist. Create it first: mkdir -p", 3),
    ],
)
def test_flags_of_fdr(
    words: list[str],
    message: str,
    code: int,
    study: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.tsv"
    outcome = run(capsys, "fdr", study.associations, "--out", out, *words)
    refused(outcome, message, code=code)
    assert "significant" not in outcome.err.replace("significant.tsv", ""), "told before the tests are read"
    nothing_written(out)


def test_flags_of_exports(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    one = ["export", "metaxcan", study.associations, "--trait", first_trait(study),
           "--tissue", study.tissues[0], "--out", out]  # fmt: skip
    both = ["--models", study.models, "--gwas", study.gwas]
    for words in (["--se"], ["--snps", tmp_path / "snps.tsv"], both[:2]):
        refused(run(capsys, *one, *words), "need both --models and --gwas", code=2)
    refused(run(capsys, *one, *both, "--snps", tmp_path / "snps.xls"), "the name must end in one of", code=2)
    outcome = run(capsys, *one, *both, "--snps", tmp_path / "nowhere" / "snps.tsv")
    refused(outcome, "snps.tsv", "the folder does not exist")
    nothing_written(out)
    many = ["export", "parquet", study.associations, "--out"]
    refused(run(capsys, *many, tmp_path / "out.tsv"), "end the name in .parquet", code=2)
    refused(run(capsys, *many, tmp_path / "out.parquet", "--max-p", "7"), "--max-p must be", code=2)
    assert not list(tmp_path.iterdir())


def test_export_from_other_stores(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    assert run(capsys, "models", "import", study.databases[0], "-o", other / "models").code == 0
    words = ["gwas", "import", study.gwas_file, "--models", other / "models", "-o", other / "gwas"]
    assert run(capsys, *words).code == 0
    out = tmp_path / "out.csv"
    one = ["export", "metaxcan", study.associations, "--trait", first_trait(study),
           "--tissue", study.tissues[0], "--out", out, "--models", study.models]  # fmt: skip
    outcome = run(capsys, *one, "--gwas", other / "gwas")
    refused(outcome, other / "gwas", "were not computed from this GWAS store", "gputwas associate")
    nothing_written(out)


def test_folders_of_simulated_studies(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    simulate = ["simulate", "--preset", "test", "--out"]
    refused(run(capsys, *simulate, tmp_path / "folder"), tmp_path / "folder", "the folder is not empty")
    refused(run(capsys, *simulate, tmp_path / "file"), tmp_path / "file", "a study needs a folder")
    refused(run(capsys, "demo", "--out", tmp_path / "file"), tmp_path / "file", "the demo needs a folder")
    refused(run(capsys, "simulate", "--preset", "nonsense", "--out", tmp_path / "x"), "nonsense", code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_the_system_refuses_is_no_defect(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system that no room foresaw names the file, and a full disk has its own exit code."""
    import errno

    import gputwas.study.correct

    remedies = {errno.EACCES: (3, "Check the path"), errno.ENOSPC: (4, "Free some space")}
    for number, (code, remedy) in remedies.items():

        def fail(*arguments: object, number: int = number, **more: object) -> None:
            raise OSError(number, os.strerror(number), str(tmp_path / "out.tsv"))

        monkeypatch.setattr(gputwas.study.correct, "correct", fail)
        outcome = run(capsys, "fdr", study.associations, "--out", tmp_path / "out.tsv")
        refused(outcome, tmp_path / "out.tsv", os.strerror(number), remedy, code=code)


def test_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    refused(run(capsys, "nonsense"), "No such command 'nonsense'", code=2)
    refused(run(capsys, "gwas", "nonsense"), "No such command 'nonsense'", code=2)
