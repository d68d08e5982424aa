"""In: paths of programs and of a study's files. Out: command lines that score it, and versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Programs", "big40_columns", "machine", "versions"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Programs:
    """Where the programs are; None = not taking part.

    Attributes
    ----------
    gputwas
        The `gputwas` command.
    metaxcan, metaxcan_python
        Folder that holds SPrediXcan.py, and the interpreter with the packages it needs.
    pytwas_python
        Interpreter of an environment where pytwas is installed.
    """

    gputwas: Path
    metaxcan: Path | None
    metaxcan_python: Path
    pytwas_python: Path | None

    def names(self) -> list[str]:
        """Programs that can run one trait in one tissue from the same flags, in the order they take turns."""
        present = {"MetaXcan": self.metaxcan, "pytwas": self.pytwas_python, "gputwas": self.gputwas}
        return [name for name, path in present.items() if path is not None]

    def spredixcan(self, name: str, model: Path, covariance: Path, gwas: Path, output: Path) -> list[str]:
        """Command line of one trait in one tissue; the flags are the same for every program."""
        starts: dict[str, list[str]] = {
            "MetaXcan": [str(self.metaxcan_python), str(self.metaxcan and self.metaxcan / "SPrediXcan.py")],
            "pytwas": [str(self.pytwas_python), "-c", "from pytwas.cli import main; main()", "spredixcan"],
            "gputwas": [str(self.gputwas), "spredixcan"],
        }
        return [
            *starts[name],
            *("--model_db_path", str(model)),
            *("--covariance", str(covariance)),
            *("--gwas_file", str(gwas)),
            *big40_columns(),
            *("--output_file", str(output)),
        ]


def big40_columns() -> list[str]:
    """Column flags for a BIG40 file, shared by all programs; a2 is the effect allele."""
    flags = {"snp": "rsid", "effect_allele": "a2", "non_effect_allele": "a1", "beta": "beta", "se": "se"}
    return [word for role, column in flags.items() for word in (f"--{role}_column", column)]


def _ask(command: Sequence[str], cwd: Path | None = None) -> str | None:
    """First line a command prints, or None if it cannot answer."""
    try:
        answer = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else ""


def _packages(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Versions of installed packages as the interpreter `python` sees them."""
    code = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {'python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))\n"
    )
    answer = _ask([str(python), "-c", code, *names])
    return json.loads(answer) if answer else {}


def versions(programs: Programs) -> dict[str, dict[str, str]]:
    """Versions of every program that takes part and of the packages that do its work."""
    common = ["numpy", "scipy", "pandas"]
    beside = programs.gputwas.parent / "python"
    python = beside if beside.is_file() else Path(sys.executable)
    found = {"gputwas": _packages(python, ["gputwas", *common, "pyarrow", "isal", "cupy-cuda13x"])}
    if programs.metaxcan:
        found["MetaXcan"] = _packages(programs.metaxcan_python, common)
        code = "import metax; print(metax.__version__)"
        found["MetaXcan"]["MetaXcan"] = (
            _ask([str(programs.metaxcan_python), "-c", code], programs.metaxcan) or "?"
        )
    if programs.pytwas_python:
        found["pytwas"] = _packages(programs.pytwas_python, ["pytwas", *common])
    return found


def machine() -> dict[str, str | int | float | None]:
    """What the figures depend on besides the programs: processor, cores, memory, system, load, commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    dirty = _ask(["git", "status", "--porcelain", "--untracked-files=no"], ROOT)
    commit = _ask(["git", "rev-parse", "--short=12", "HEAD"], ROOT)
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "commit": f"{commit}+changes" if commit and dirty else commit,
    }


def _cpu_model() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
