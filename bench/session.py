"""In: the flags that all subjects share. Out: programs, a working folder, and where results go."""

from __future__ import annotations

import argparse
import contextlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure, peers
from bench.record import Record, write_record
from bench.report import page

__all__ = ["RESULTS", "Session", "add_common", "at_least_two", "begin"]

log = logging.getLogger(__name__)
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Session:
    """What one subject needs.

    Attributes
    ----------
    programs : see `bench.peers`. about : machine and versions. work : folder for inputs and outputs.
    results : folder of the results. quick : small sizes. repeats : of each timing. seed : of the inputs.
    """

    programs: peers.Programs
    about: dict[str, Any]
    work: Path
    results: Path
    quick: bool
    repeats: int
    seed: int

    def folder(self, name: str) -> Path:
        """An empty folder in the working folder."""
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def gputwas(self, *words: object) -> measure.Usage:
        """Cost of running the program with some arguments.

        Raises
        ------
        CommandFailed
        """
        program = [str(self.programs.gputwas)]
        if not self.programs.gputwas.is_file():  # a checkout that was not installed
            program = [sys.executable, "-c", "from gputwas.cli.main import run; run()"]
        return measure.run([*program, *map(str, words)])[0]

    def keep(self, record: Record) -> None:
        """Write a record and its page, and show the page."""
        write_record(self.results / f"{record.subject}.json", record)
        text = page(record)
        (self.results / f"{record.subject}.md").write_text(text)
        print(text)


def add_common(parser: argparse.ArgumentParser, *, repeats: int = 3) -> None:
    """Declare the flags that all subjects share."""
    command = Path(sys.executable).parent / "gputwas"
    parser.add_argument("--gputwas", type=Path, default=command, help="gputwas command (%(default)s)")
    parser.add_argument("--metaxcan", type=Path, help="folder with SPrediXcan.py; left out if not given")
    parser.add_argument(
        "--metaxcan-python", type=Path, default=Path("python3"), help="interpreter for MetaXcan"
    )
    parser.add_argument(
        "--pytwas-python", type=Path, help="interpreter that has pytwas; left out if not given"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat: shows that all works")
    parser.add_argument("--repeats", type=int, default=repeats, help="timed repeats (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, help="folder for inputs (default: a temporary one, removed after)"
    )
    parser.add_argument(
        "--results", type=Path, help="folder of the results (bench/results; with --quick bench/results/quick)"
    )


def at_least_two(text: str) -> int:
    """Value of a flag by whose difference to 1 a cost is found, for argparse.

    Raises
    ------
    ArgumentTypeError : it is below 2.
    """
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"{value} is too few: the cost of one is what further ones add")
    return value


@contextlib.contextmanager
def begin(options: argparse.Namespace) -> Iterator[Session]:
    """Open a session; a working folder that was not named is removed at the end."""
    programs = peers.Programs(
        options.gputwas, options.metaxcan, options.metaxcan_python, options.pytwas_python
    )
    about = {"machine": peers.machine(), "versions": peers.versions(programs)}
    results = options.results or (RESULTS / "quick" if options.quick else RESULTS)
    results.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="gputwas-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        repeats = 1 if options.quick else options.repeats
        yield Session(programs, about, work, results, options.quick, repeats, options.seed)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
