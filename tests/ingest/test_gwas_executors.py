"""Import through executors: workers that are killed, clusters, folders that a worker does not see."""

from __future__ import annotations

import json
import logging
import os
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from gputwas.errors import ResourceError, UsageError
from gputwas.executors.choose import open_executor
from gputwas.executors.local import LocalExecutor
from gputwas.files import TEMPORARY_PREFIX
from gputwas.ingest.gwas import TraitInput, import_gwas
from gputwas.ingest.layouts import KnownLayout, KnownLayouts
from gputwas.stores.gwas import GwasStore
from gputwas.stores.manifest import MANIFEST_NAME
from tests.executors.conftest import scheduler_file
from tests.executors.work import Disturbed
from tests.ingest.fakes import random_panel
from tests.ingest.test_gwas_import import PANEL, write_trait

__all__ = ["scheduler_file"]  # a fixture

N = 8


@pytest.fixture(scope="module")
def traits(tmp_path_factory: pytest.TempPathFactory) -> list[TraitInput]:
    folder = tmp_path_factory.mktemp("traits")
    return [TraitInput(f"t{i}", (write_trait(folder / f"t{i}.txt.gz", i),), n=100.0 + i) for i in range(N)]


@pytest.fixture(scope="module")
def undisturbed(traits: list[TraitInput], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "store"
    import_gwas(traits, PANEL, out)
    return files(out)


@pytest.fixture
def deaths(tmp_path: Path) -> Path:
    (tmp_path / "deaths").mkdir()
    return tmp_path / "deaths"


def files(store: Path) -> dict[str, bytes]:
    """Every file of a store; the list of traits without the times at which their files were written."""
    found = {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}
    del found[".lock"]
    index = GwasStore.open(store).index().drop_columns("modified_ns")
    found["traits.arrow"] = repr(index.to_pydict()).encode()
    manifest = json.loads(found[MANIFEST_NAME])
    del manifest["created"]
    return found | {MANIFEST_NAME: json.dumps(manifest).encode()}


def test_one_of_two_local_workers_is_killed(traits, undisturbed, tmp_path, deaths):
    with LocalExecutor(2) as local:
        disturbed = Disturbed(local, victim=N // 2, folder=deaths)
        report = import_gwas(traits, PANEL, tmp_path / "store", executor=disturbed)
    assert disturbed.deaths == 1 and set(report["status"].to_pylist()) == {"imported"}
    assert files(tmp_path / "store") == undisturbed


def test_one_of_two_dask_workers_is_killed(
    traits, undisturbed, tmp_path, deaths, scheduler_file, monkeypatch
):
    """Paths are relative to the folder of the coordinator, and the workers were started in another."""
    folder = Path(traits[0].paths[0]).parent
    with open_executor(f"dask:{scheduler_file}") as cluster:
        disturbed = Disturbed(cluster, victim=N // 2, folder=deaths)
        import_gwas(traits, PANEL, tmp_path / "store", executor=disturbed)
        assert disturbed.deaths == 1
        assert files(tmp_path / "store") == undisturbed
        monkeypatch.chdir(folder)
        here = [TraitInput(t.trait, (os.path.basename(t.paths[0]),)) for t in traits]
        import_gwas(here, PANEL, "relative", executor=cluster)
        assert GwasStore.open("relative").metadata("t3")["source"] == ["t3.txt.gz"]
        report = import_gwas(here, PANEL, "relative")
        assert set(report["status"].to_pylist()) == {"present"}


def test_a_worker_that_is_killed_at_every_try(traits, undisturbed, tmp_path, deaths):
    """Nothing half-written can be taken for a trait, what is done stays, and the rest comes in the end."""
    out = tmp_path / "store"
    with LocalExecutor(2) as local:
        disturbed = Disturbed(local, victim=4, folder=deaths, times=99)
        with pytest.raises(ResourceError, match=r"trait 't4': .*killed 3 times.*fewer workers") as caught:
            import_gwas(traits, PANEL, out, executor=disturbed, keep_going=True)
    assert caught.value.exit_code == 4 and disturbed.deaths == 3
    done = GwasStore.open(out).traits
    assert {"t0", "t1"} <= set(done) and "t4" not in done
    assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))
    import_gwas(traits, PANEL, out)
    assert files(out) == undisturbed


def test_any_executor_will_do(traits, undisturbed, tmp_path, caplog):
    with ThreadPoolExecutor(3) as threads:
        import_gwas(traits, PANEL, tmp_path / "threads", executor=threads)
        assert files(tmp_path / "threads") == undisturbed
        short = write_trait(tmp_path / "short.txt", 0, rows=6)
        with caplog.at_level(logging.WARNING):
            import_gwas([TraitInput("short", (short,))], PANEL, tmp_path / "short", executor=threads)
    assert caplog.text.count("only 6 of") == 1, "said where it was read, not twice"
    import_gwas(traits, PANEL, tmp_path / "text", executor="local:2")
    assert files(tmp_path / "text") == undisturbed


def test_threads_share_what_files_have_taught():
    """A worker of a cluster may read with several threads, of which one forgets what another asks for."""
    layouts, layout = KnownLayouts(), KnownLayout((), None, None)  # type: ignore[arg-type]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:

            def work(first: int) -> None:
                for i in range(20_000):
                    layouts.remember((first + i) % 7, layout)
                    layouts.get((first + 5 * i) % 7)

            list(threads.map(work, range(4)))
    finally:
        sys.setswitchinterval(before)


def test_a_store_begun_anew_meanwhile_gets_nothing_of_the_old_run(traits, tmp_path):
    """A job that lived longer than the run that gave it out must not add to what another run began."""
    out = tmp_path / "store"
    jobs = []

    class Keeping(Executor):
        def submit(self, fn, /, *args, **kwargs):
            jobs.append((fn, args))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_gwas(traits, PANEL, out, executor=Keeping())
    import_gwas(traits[:1], random_panel(30), out, overwrite=True)
    fn, args = jobs[0]
    with pytest.raises(Exception, match="another process began the store anew"):
        fn(*args)
    assert GwasStore.open(out).traits == ["t0"] and GwasStore.open(out).n_variants == 30


def test_contradicting_and_wrong_executors(traits, tmp_path):
    with pytest.raises(UsageError, match="not both"):
        import_gwas(traits, PANEL, tmp_path / "store", workers=2, executor="local:2")
    for wrong in ("", "local:x"):
        with pytest.raises(UsageError, match="there is no executor"):
            import_gwas(traits, PANEL, tmp_path / "store", executor=wrong)
    assert not (tmp_path / "store").exists()
