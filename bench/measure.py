"""In: a command. Out: its wall time, processor time, peak memory and exit status, by the kernel's account.

Linux carries the peak memory of a parent over fork and exec into the child's account, so a child of a large
process looks large. ``run`` therefore starts this very file as a small process of its own (no third-party
import here), which starts the command, waits for it with ``wait4`` and reports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CommandFailed", "Usage", "clean_environment", "run"]


@dataclass(frozen=True)
class Usage:
    """What one command cost.

    Attributes
    ----------
    wall_s, user_s, system_s
        Seconds from start to end; of processor time in user and kernel mode (with waited-for children).
    peak_rss_bytes
        Largest resident set of the process or of any one waited-for child, bytes. Processes running side
        by side are not summed.
    """

    wall_s: float
    user_s: float
    system_s: float
    peak_rss_bytes: int

    @property
    def cpu_s(self) -> float:
        """Processor seconds, user and kernel together."""
        return self.user_s + self.system_s


class CommandFailed(RuntimeError):
    """A measured command ended with a non-zero status; carries the end of what it printed."""


def clean_environment() -> dict[str, str]:
    """This environment without what would lead another interpreter to this one's packages.

    Nor may anything keep a program from storing its compiled modules, as installed programs have them.
    """
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if key not in hidden}


def run(
    command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[Usage, str]:
    """Run `command` and return its usage and what it printed (both streams).

    Parameters
    ----------
    command
        Program and arguments; no shell is involved.
    cwd, env
        Working folder; environment instead of `clean_environment`.

    Raises
    ------
    CommandFailed
        If the command cannot be started or ends with a status other than 0.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        report = Path(scratch) / "usage.json"
        printed = Path(scratch) / "printed.txt"
        wrapper = [sys.executable, "-I", "-S", __file__, str(report), str(printed), *command]
        environment = clean_environment() if env is None else env
        subprocess.run(wrapper, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, check=True)
        outcome = json.loads(report.read_text())
        text = printed.read_text(errors="replace")
    status = outcome.pop("status")
    if status != 0:
        raise CommandFailed(f"exit status {status} from: {' '.join(command)}\n{text[-3000:]}")
    return Usage(**outcome), text


def _wrap(report: str, printed: str, command: list[str]) -> None:
    """Start `command`, wait for it, write its usage to `report` as JSON."""
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    begin = time.perf_counter()
    try:
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    except OSError as error:
        os.write(out, f"{command[0]}: {error.strerror}\n".encode())
        usage = {"wall_s": 0.0, "user_s": 0.0, "system_s": 0.0, "peak_rss_bytes": 0, "status": 127}
    else:
        _, status, account = os.wait4(pid, 0)
        usage = {
            "wall_s": time.perf_counter() - begin,
            "user_s": account.ru_utime,
            "system_s": account.ru_stime,
            "peak_rss_bytes": account.ru_maxrss * 1024,  # Linux counts in KiB
            "status": os.waitstatus_to_exitcode(status),
        }
    with open(report, "w") as handle:
        json.dump(usage, handle)


if __name__ == "__main__":
    _wrap(sys.argv[1], sys.argv[2], sys.argv[3:])
