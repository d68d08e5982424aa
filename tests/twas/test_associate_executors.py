"""`associate` through executors: the same bytes as one process, also if workers are killed on the way."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from gputwas.backends.choose import device_count
from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.executors.choose import open_executor
from gputwas.executors.local import LocalExecutor
from gputwas.files import TEMPORARY_PREFIX
from gputwas.stores.associations import AssociationStore
from gputwas.twas import workers
from gputwas.twas.associate import AssociateReport, AssociateSettings, associate
from gputwas.twas.workers import _identity
from tests.executors.conftest import scheduler_file
from tests.executors.work import Disturbed
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import contents, write_gwas, write_models

__all__ = ["scheduler_file"]  # a fixture

BLOCKS = 8
QUESTION = 1  # the first call asks a worker what it computes with


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of 15 traits with three patterns in eight blocks and three tissues, and a whole run."""
    folder = tmp_path_factory.mktemp("executors")
    rng = np.random.default_rng(8)
    models = write_models(folder / "models", random_model_set(rng, tissues=3))
    z, beta = random_gwas(rng, 15, 40)
    z[[1, 4, 9], 3:9] = np.nan
    z[6, 20:] = np.nan
    beta[np.isnan(z)] = np.nan
    write_gwas(folder / "gwas", models.panel, z, beta)
    run(folder, folder / "undisturbed")
    return folder


@pytest.fixture
def deaths(tmp_path: Path) -> Path:
    (tmp_path / "deaths").mkdir()
    return tmp_path / "deaths"


def run(folder: Path, out: Path, executor: Executor | str | None = None, **options) -> AssociateReport:
    chosen = {name: options.pop(name) for name in ("traits", "tissues") if name in options}
    settings = AssociateSettings(**{"backend": "numpy", "block_size": 2} | options)
    return associate(
        folder / "models", folder / "gwas", out, settings=settings, executor=executor, **chosen
    )  # fmt: skip


def same_as_undisturbed(folder: Path, out: Path) -> None:
    assert contents(out) == contents(folder / "undisturbed")
    store = AssociationStore.open(out)
    assert store.is_complete
    assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))
    whole = AssociationStore.open(folder / "undisturbed")
    assert store.manifest.parameters == whole.manifest.parameters
    assert store.manifest.inputs == whole.manifest.inputs
    differing = {"seconds", "peak_memory_bytes"}
    assert {k: v for k, v in store.run.items() if k not in differing} == {
        k: v for k, v in whole.run.items() if k not in differing
    }


def test_any_executor_gives_the_same_bytes(folder, tmp_path):
    with ThreadPoolExecutor(3) as threads:
        report = run(folder, tmp_path / "threads", threads)
    assert (report.blocks_computed, report.blocks_kept, report.n_patterns) == (BLOCKS, 0, 3)
    same_as_undisturbed(folder, tmp_path / "threads")
    again = run(folder, tmp_path / "threads", "local:2")
    assert (again.blocks_computed, again.blocks_kept) == (0, BLOCKS)


def test_a_worker_readies_the_models_once(folder, tmp_path, monkeypatch):
    readied = []
    true_ready = workers.ready_models
    monkeypatch.setattr(workers, "ready_models", lambda *a: readied.append(a) or true_ready(*a))
    monkeypatch.setattr("gputwas.executors.jobs._kept", {})
    with ThreadPoolExecutor(2) as threads:
        run(folder, tmp_path / "out", threads, backend="auto")
    assert len(readied) == 1


@pytest.mark.slow
def test_one_of_two_local_workers_is_killed(folder, tmp_path, deaths):
    with LocalExecutor(2) as local:
        disturbed = Disturbed(local, victim=QUESTION + BLOCKS // 2, folder=deaths)
        report = run(folder, tmp_path / "out", disturbed)
    assert disturbed.deaths == 1 and report.blocks_computed == BLOCKS
    same_as_undisturbed(folder, tmp_path / "out")


@pytest.mark.slow
def test_one_of_two_dask_workers_is_killed(folder, tmp_path, deaths, scheduler_file, monkeypatch):
    """With paths relative to the folder of the coordinator: the workers were started in another."""
    monkeypatch.chdir(tmp_path)
    with open_executor(f"dask:{scheduler_file}") as cluster:
        disturbed = Disturbed(cluster, victim=QUESTION + BLOCKS // 2, folder=deaths)
        here = Path(os.path.relpath(folder, tmp_path))
        report = run(here, Path("out"), disturbed)
    assert disturbed.deaths == 1 and report.blocks_computed == BLOCKS
    same_as_undisturbed(folder, tmp_path / "out")


@pytest.mark.slow
def test_a_worker_that_is_killed_at_every_try(folder, tmp_path, deaths):
    out = tmp_path / "out"
    with LocalExecutor(2) as local:
        disturbed = Disturbed(local, victim=QUESTION + 4, folder=deaths, times=99)
        with pytest.raises(
            ResourceError, match=r"block 4 of the traits \(from number 9\).*killed 3 times"
        ) as e:
            run(folder, out, disturbed)
    assert e.value.exit_code == 4 and disturbed.deaths == 3
    store = AssociationStore.open(out)
    assert not store.is_complete and not list(out.rglob(f"{TEMPORARY_PREFIX}*"))
    done = [b for b in range(BLOCKS) if all(store.has_block(t, b) for t in store.tissues)]
    assert {0, 1} <= set(done) and 4 not in done
    report = run(folder, out)
    assert report.blocks_kept == len(done)
    same_as_undisturbed(folder, out)


def test_tissues_traits_and_settings_reach_the_workers(folder, tmp_path):
    options = {
        "traits": ["trait_03", "trait_01", "trait_06"], "tissues": ["Tissue_1"], "precision": "float64",
        "method": "padded",
    }  # fmt: skip
    run(folder, tmp_path / "one", **options)
    run(folder, tmp_path / "two", "local:2", **options)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert AssociationStore.open(tmp_path / "two").read_block("Tissue_1", 0).dtype == np.float64


def test_memory_is_shared_by_processes_and_threads_are_not_more_than_cores(folder, tmp_path):
    with LocalExecutor(2) as local:
        report = run(folder, tmp_path / "two", local, memory="3GB")
        with pytest.raises(ResourceError, match=r"needs .* and the budget is 0\.15 GB"):
            run(folder, tmp_path / "none", local, memory="300MB")
    assert report.plan.memory <= 1.5e9 and report.plan.threads <= len(os.sched_getaffinity(0))
    assert not (tmp_path / "none").exists()


def test_a_job_that_outlives_its_run_leaves_a_new_store_alone(folder, tmp_path):
    out, jobs = tmp_path / "out", []

    class Keeping(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            if jobs or str(args[1]).startswith("block"):
                jobs.append((fn, args))
                raise KeyboardInterrupt
            return super().submit(fn, *args, **kwargs)

    with Keeping(1) as keeping, pytest.raises(KeyboardInterrupt):
        run(folder, out, keeping)
    before = _identity(str(out))
    run(folder, out, overwrite=True, precision="float64")
    assert _identity(str(out)) != before
    whole = contents(out)
    fn, args = jobs[0]
    with pytest.raises(InputError, match="another process began the store anew"):
        fn(*args)
    assert contents(out) == whole


def test_a_worker_that_does_not_see_the_stores(folder, tmp_path):
    """Simulated by a coordinator that names the store of another machine."""

    class Elsewhere(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            question = args[1]
            place = type(question.place)("/not/here", *list(vars(question.place).values())[1:])
            moved = type(question)(place, *list(vars(question).values())[1:])
            return super().submit(fn, args[0], moved, *args[2:], **kwargs)

    with (
        Elsewhere(1) as elsewhere,
        pytest.raises(ResourceError, match=r"/not/here: there is no such folder on the worker .*shared file"),
    ):
        run(folder, tmp_path / "out", elsewhere)
    assert not (tmp_path / "out").exists()


def test_a_wrong_executor_is_refused_before_anything_is_written(folder, tmp_path):
    for wrong in ("", "local:none", "dask:"):
        with pytest.raises(UsageError, match="there is no executor"):
            run(folder, tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.gpu
def test_workers_with_a_gpu_each_give_the_same_bytes(folder, tmp_path):
    for backend in ("cupy", "auto"):
        run(folder, tmp_path / "one", backend="cupy", overwrite=True)
        report = run(folder, tmp_path / backend, "local:2", backend=backend)
        assert contents(tmp_path / backend) == contents(tmp_path / "one")
        assert "CUDA" in report.device and "(1 of 1)" in report.device, "each worker sees one"


def test_devices_are_counted_only_where_cupy_works(monkeypatch):
    cupy = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 4))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert device_count() == 4
    cupy.cuda.runtime.getDeviceCount = lambda: json.loads("no driver")  # type: ignore[attr-defined]
    assert device_count() == 0
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert device_count() == 0
