"""One process at a time writes to a store; a crash frees it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gputwas.errors import InputError
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.lock import LOCK_NAME, StoreLock
from tests.stores.examples import WRITERS, create_example_associations

HOLD = """
import sys, time
from gputwas.stores.lock import StoreLock
lock = StoreLock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_store_being_written_by_another_process(
    tmp_path: Path, holder: subprocess.Popen[str], kind: str, overwrite: bool
) -> None:
    with pytest.raises(InputError, match=f"being written by process {holder.pid} on .*Wait") as caught:
        WRITERS[kind](str(tmp_path), overwrite=overwrite)
    assert caught.value.exit_code == 3
    assert os.listdir(tmp_path) == [LOCK_NAME]


def test_kill_frees_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    WRITERS["gwas"](str(tmp_path))
    assert len(GwasStore.open(tmp_path).traits) == 5


def test_readers_and_workers_need_no_lock(tmp_path: Path) -> None:
    with create_example_associations(str(tmp_path)) as store:
        assert AssociationStore.open(tmp_path).tissues == store.tissues
        worker = pickle.loads(pickle.dumps(store))
        worker.write_block_patterns(0, ["ab", "cd"])
        worker.close()
        with pytest.raises(InputError, match=f"process {os.getpid()} "):
            create_example_associations(str(tmp_path))
    with pytest.raises(RuntimeError, match="for reading"):
        AssociationStore.open(tmp_path).write_block_patterns(0, ["ab", "cd"])
    create_example_associations(str(tmp_path)).close()


def test_forked_child_cannot_release(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path)
    script = f"from gputwas.stores.lock import StoreLock; StoreLock({str(tmp_path)!r})"
    lock._owner += 1  # as a child sees it: the lock belongs to another process
    duplicate = os.dup(lock._descriptor)  # what the parent still has open
    assert not lock.held
    lock.release()
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 1
    os.close(duplicate)
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_removed_lock_file_is_taken_anew(tmp_path: Path) -> None:
    StoreLock(tmp_path).release(remove=True)
    assert os.listdir(tmp_path) == []
    with StoreLock(tmp_path) as lock:
        assert lock.held
        with pytest.raises(InputError):
            StoreLock(tmp_path)
    assert not lock.held
    lock.release()


def test_empty_lock_file_names_nobody(tmp_path: Path) -> None:
    with StoreLock(tmp_path) as lock:
        os.truncate(lock.path, 0)
        with pytest.raises(InputError, match="written by another process"):
            StoreLock(tmp_path)
