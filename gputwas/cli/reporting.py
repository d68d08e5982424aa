"""What a person sees beside results: log lines, errors, small tables.

In: a verbosity, errors, rows. Out: text on standard error (log) or standard output (tables).
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Verbosity", "print_table", "report_error", "start_logging"]

log = logging.getLogger("gputwas")


@dataclass(frozen=True)
class Verbosity:
    """How much is said, and in which form."""

    quiet: bool = False
    verbose: bool = False
    log_json: bool = False
    debug: bool = False


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
            }
        )


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))}  {level}{record.getMessage()}"


def start_logging(verbosity: Verbosity) -> None:
    """Send the package's log to standard error and choose how progress is shown."""
    from gputwas.progress import configure

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if verbosity.log_json else _Plain())
    log.handlers[:] = [handler]
    log.propagate = False
    level = logging.WARNING if verbosity.quiet else logging.DEBUG if verbosity.verbose else logging.INFO
    log.setLevel(level)
    configure("silent" if verbosity.quiet else "lines" if verbosity.log_json else None)


def report_error(error: Exception, verbosity: Verbosity) -> int:
    """Say what went wrong, once and without a traceback unless asked for one; returns the exit code."""
    from gputwas.errors import GputwasError

    if verbosity.debug:
        traceback.print_exception(error)
    if isinstance(error, GputwasError):
        log.error("%s", error)
        return error.exit_code
    shown = _usage_error(error)
    if shown is not None:
        return shown
    if isinstance(error, MemoryError):
        log.error("out of memory; give a smaller --memory, or a machine with more")
        return 4
    if isinstance(error, OSError) and error.filename is not None:
        return _system_error(error)
    log.error(
        "unexpected %s: %s (this is a defect of gputwas; run again with --debug and report what it prints)",
        type(error).__name__,
        error,
    )
    return 1


def _system_error(error: OSError) -> int:
    """Say what the system refused about a file that no room had foreseen."""
    from gputwas.files import is_disk_full

    full = is_disk_full(error)
    remedy = "Free some space or write elsewhere" if full else "Check the path and who may use it"
    log.error("%s: %s. %s.", error.filename, error.strerror, remedy)
    return 4 if full else 3


def _usage_error(error: Exception) -> int | None:
    """Exit code of an error of the command-line parser, which shows itself; None for any other error."""
    code = getattr(error, "exit_code", None)
    if code is None:
        return None
    show = getattr(error, "show", None)
    if show is not None:
        show()
    return int(code)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows on standard output: aligned on a terminal, plain tab-separated anywhere else."""
    lines = [list(row) for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *lines):
            sys.stdout.write("\t".join("" if value is None else str(value) for value in line) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        numeric = lines and all(line[i] is None or isinstance(line[i], int | float) for line in lines)
        table.add_column(name, justify="right" if numeric else "left")
    for line in lines:
        table.add_row(*(_cell(value) for value in line))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
