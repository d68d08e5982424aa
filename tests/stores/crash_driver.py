"""Kills writers of stores with SIGKILL and writes again; run as a program by test_crash.py.

In: a scratch folder, a kind of store, a way to kill, how much of it. Out: how many runs were killed, as JSON;
a failure names the files in which the store that a second run completed differs from one that was written
undisturbed. A process of its own, because it forks and the test runner has threads.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable

from gputwas.files import TEMPORARY_PREFIX
from tests.stores.examples import WRITERS, fingerprint

DEADLY = ("fsync", "replace", "unlink", "rmdir", "makedirs")  # os functions before which a run may be killed


def in_child(action: Callable[[], None]) -> int:
    """Run in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def die_at(moment: int, folder: str) -> Callable[[], int]:
    """Make this process kill itself before the `moment`-th deadly call, leaving a torn temporary file.

    Returns what tells the number of calls so far.
    """
    calls = 0

    def deadly(real: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls == moment:
                tear_temporary_files(folder)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return wrapped

    for name in DEADLY:
        setattr(os, name, deadly(getattr(os, name)))
    return lambda: calls


def tear_temporary_files(folder: str) -> None:
    """Cut unfinished files in half, as a crash of the machine may leave them."""
    for below, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(below, name)
            if name.startswith(TEMPORARY_PREFIX):
                os.truncate(path, os.path.getsize(path) // 2)


def killed_run(folder: str, write: Callable[[str], None], moment: int) -> bool:
    """Whether a run that dies at a moment got that far; any other failure ends this program."""

    def action() -> None:
        die_at(moment, folder)
        write(folder)

    return was_killed(in_child(action))


def was_killed(status: int) -> bool:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        sys.exit(f"a run failed with status {status}")
    return False


def moments_of(scratch: str, folder: str, write: Callable[[str], None]) -> int:
    """Number of deadly calls in a whole run."""
    note = os.path.join(scratch, "calls")

    def action() -> None:
        calls = die_at(-1, folder)
        write(folder)
        with open(note, "w") as file:
            file.write(str(calls()))

    was_killed(in_child(action))
    with open(note) as file:
        return int(file.read())


def chosen_moments(
    scratch: str, write: Callable[[str], None], prepare: Callable[[str], None], most: int
) -> int:
    """Kill at moments spread at random over a run, always from the same beginning; complete, compare."""

    def begin(name: str) -> str:
        folder = os.path.join(scratch, name)
        shutil.rmtree(folder, ignore_errors=True)
        was_killed(in_child(lambda: prepare(folder)))
        return folder

    total = moments_of(scratch, begin("counted"), write)
    moments = random.Random(total).sample(range(1, total + 1), min(most, total))
    for moment in moments:
        folder = begin("killed")
        if not killed_run(folder, write, moment):
            sys.exit(f"a run of {total} moments did not come to moment {moment}")
        check_what_is_there(scratch, folder, f"moment {moment} of {total}")
        complete_and_compare(scratch, folder, write, f"moment {moment} of {total}")
    return len(moments)


def again_and_again(scratch: str, write: Callable[[str], None], step: int) -> int:
    """One store, each run killed a little later than the one before it."""
    folder = os.path.join(scratch, "killed")
    kills = 0
    while killed_run(folder, write, 1 + kills * step):
        kills += 1
        check_what_is_there(scratch, folder, f"kill {kills}")
    complete_and_compare(scratch, folder, write, "the last run")
    return kills


def any_time(scratch: str, write: Callable[[str], None], kills: int) -> int:
    """Kill from outside after a random time, each store anew, until so many were hit."""
    start = time.monotonic()
    was_killed(in_child(lambda: write(os.path.join(scratch, "timed"))))
    longest = time.monotonic() - start
    chance = random.Random(17)
    count = 0
    while count < kills:
        folder = os.path.join(scratch, "killed")
        shutil.rmtree(folder, ignore_errors=True)
        child = os.fork()
        if child == 0:
            write(folder)
            os._exit(0)
        time.sleep(chance.random() * longest)
        os.kill(child, signal.SIGKILL)
        if was_killed(os.waitpid(child, 0)[1]):
            count += 1
            check_what_is_there(scratch, folder, f"random kill {count}")
        else:
            longest *= 0.9  # it was faster than that: come earlier
        complete_and_compare(scratch, folder, write, f"random kill {count}")
    return count


def check_what_is_there(scratch: str, folder: str, when: str) -> None:
    """After a kill: a file that exists is complete, and one with a manifest has what its readers need."""
    expected = fingerprint(os.path.join(scratch, "undisturbed"))
    found = fingerprint(folder, killed=True) if os.path.isdir(folder) else {}
    derived = "traits.arrow" if "panel.arrow" in expected else ""  # of a GWAS store: brought up to date later
    torn = sorted(key for key in found if key != derived and found[key] != expected.get(key))
    if torn:
        sys.exit(f"killed at {when}: {torn} are there and not complete")
    needed = {key for key in expected if os.sep not in key} - {derived, "run.json"}
    if "manifest.json" in found and needed - found.keys():
        sys.exit(f"killed at {when}: there is a manifest, but no {sorted(needed - found.keys())}")


def complete_and_compare(scratch: str, folder: str, write: Callable[[str], None], when: str) -> None:
    was_killed(in_child(lambda: write(folder)))
    expected, found = fingerprint(os.path.join(scratch, "undisturbed")), fingerprint(folder)
    wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if wrong:
        sys.exit(f"killed at {when}: {wrong} differ")


def main(scratch: str, kind: str, way: str, amount: str) -> None:
    write = WRITERS[kind]
    # Not in a child: what Arrow sets up on first use is then there for all children.
    write(os.path.join(scratch, "undisturbed"))
    if way == "anew":
        killed = chosen_moments(scratch, write, lambda folder: None, int(amount))
    elif way == "overwrite":
        killed = chosen_moments(scratch, lambda folder: write(folder, overwrite=True), write, int(amount))
    elif way == "chain":
        killed = again_and_again(scratch, write, int(amount))
    else:
        killed = any_time(scratch, write, int(amount))
    sys.stdout.write(json.dumps({"killed": killed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
