"""`--executor` on the command line: what it takes, and workers that the kernel kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from tests.cli.studies import Study, no_leftovers, nothing_written, refused, run
from tests.small_stores import contents

# Every spawned process reads this before anything else; the process that runs the test does not.
DIES = """
import os, signal, sys
if "--multiprocessing-fork" in sys.orig_argv:
    true_replace = os.replace
    def replace(source, target):
        if {name!r} in str(target):
            os.kill(os.getpid(), signal.SIGKILL)
        true_replace(source, target)
    os.replace = replace
"""


def workers_die_writing(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill every worker process that is about to put a file with this name in place."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(DIES.format(name=name))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")


def import_words(study: Study, out: Path) -> list[str]:
    return ["gwas", "import", "-m", str(study.manifest), "--models", str(study.models), "--out", str(out)]


def associate_words(study: Study, out: Path) -> list[str]:
    stores = ["--models", str(study.models), "--gwas", str(study.gwas), "--out", str(out)]
    return ["associate", *stores, "--backend", "numpy"]


def test_wrong_executors_are_usage_errors(study, tmp_path, capsys):
    out = tmp_path / "out"
    words = import_words(study, out)
    for text in ("local:0", "slurm:4", "dask:host", ""):
        refused(run(capsys, *words, "--executor", text), f"there is no executor '{text}'", "local:N", code=2)
    refused(run(capsys, *words, "--executor", "local:2", "-j", "2"), "give one of them", code=2)
    words = associate_words(study, out)
    refused(run(capsys, *words, "--executor", "local:0"), "there is no executor 'local:0'", code=2)
    refused(run(capsys, *words, "--executor", "local:2", "--dry-run"), "leave --executor out", code=2)
    nothing_written(out)


def test_no_scheduler_where_the_file_should_be(study, tmp_path, capsys):
    pytest.importorskip("distributed")
    out = tmp_path / "out"
    outcome = run(capsys, *import_words(study, out), "--executor", f"dask:{tmp_path}/scheduler.json")
    refused(outcome, tmp_path / "scheduler.json", "dask scheduler --scheduler-file", code=4)
    nothing_written(out)


@pytest.mark.slow
def test_associate_in_processes_and_out_of_memory(study, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as context:
        workers_die_writing("z.arrow", tmp_path / "site", context)
        outcome = run(capsys, *associate_words(study, out), "--executor", "local:2")
    refused(outcome, "block 0 of the traits", "killed 3 times", "memory", "fewer workers", code=4)
    assert not AssociationStore.open(out).is_complete
    no_leftovers(tmp_path)
    outcome = run(capsys, *associate_words(study, out), "--executor", "local:2")
    assert outcome.code == 0 and contents(out) == contents(study.associations)


@pytest.mark.slow
def test_as_many_processes_as_are_of_use(monkeypatch):
    from gputwas.cli.gwas import _workers

    monkeypatch.setattr("gputwas.executors.choose.available_cores", lambda: 4)
    assert [_workers(None, traits) for traits in (1, 7, 8, 100)] == [1, 1, 2, 4]
    assert [_workers(8, traits) for traits in (1, 7, 100)] == [1, 7, 8], "one file is read in this process"


def test_import_whose_workers_run_out_of_memory(study, tmp_path, capsys, monkeypatch):
    """Exit 4, the trait named; what was finished is kept and the same command ends the work."""
    out, whole = tmp_path / "out", GwasStore.open(study.gwas)
    victim = whole.traits[len(whole.traits) // 2]
    with monkeypatch.context() as context:
        workers_die_writing(f"{victim}.arrow", tmp_path / "site", context)
        outcome = run(capsys, *import_words(study, out), "--executor", "local:2")
    refused(outcome, f"trait '{victim}'", "killed 3 times", "memory", "fewer workers", code=4)
    done = GwasStore.open(out).traits
    assert victim not in done and 0 < len(done) < len(whole.traits)
    no_leftovers(tmp_path)
    outcome = run(capsys, *import_words(study, out), "--executor", "local:2")
    assert outcome.code == 0 and GwasStore.open(out).traits == whole.traits
    for path in (study.gwas / "traits").iterdir():
        assert (out / "traits" / path.name).read_bytes() == path.read_bytes(), path.name
