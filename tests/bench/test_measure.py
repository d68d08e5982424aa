"""What the kernel says of a command is what we report."""

from __future__ import annotations

import os
import sys

import pytest

from bench import measure


def test_peak_memory_is_the_command_s_and_not_ours() -> None:
    ours = bytearray(300_000_000)  # makes this process large; the command's account must not inherit it
    ours[::4096] = b"x" * len(ours[::4096])
    small, _ = measure.run([sys.executable, "-I", "-c", "pass"])
    large, _ = measure.run([sys.executable, "-I", "-c", "b = bytearray(200_000_000); b[::4096] = b[::4096]"])
    assert small.peak_rss_bytes < 60_000_000
    assert 190_000_000 < large.peak_rss_bytes < 290_000_000


def test_wall_time_includes_sleep_and_processor_time_does_not() -> None:
    used, _ = measure.run([sys.executable, "-I", "-c", "import time; time.sleep(0.5)"])
    assert used.wall_s >= 0.5
    assert used.cpu_s < 0.4


def test_processor_time_is_that_of_the_work() -> None:
    code = "import os\nwhile sum(os.times()[:2]) < 0.5: pass"
    used, _ = measure.run([sys.executable, "-I", "-c", code])
    assert 0.45 <= used.cpu_s <= used.wall_s * os.cpu_count() + 0.1


def test_both_streams_come_back() -> None:
    _, printed = measure.run(
        [sys.executable, "-I", "-c", "import sys; print('a'); print('b', file=sys.stderr)"]
    )
    assert sorted(printed.split()) == ["a", "b"]


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_failure_is_loud(code: str) -> None:
    with pytest.raises(measure.CommandFailed, match=r"exit status (3|-9)"):
        measure.run([sys.executable, "-I", "-c", code])


def test_missing_program_is_loud() -> None:
    with pytest.raises(measure.CommandFailed, match="no-such-program"):
        measure.run(["no-such-program"])
