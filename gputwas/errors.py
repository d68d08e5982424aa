"""Every error a user can cause, with the exit code the command line gives it.

In: what is wrong, where, and what mends it. Out: one message in one shape, so that a lab's log reads the
same whichever room of the program refused. Anything that is not a `GputwasError` is a defect of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["GputwasError", "InputError", "ResourceError", "UsageError"]


class GputwasError(Exception):
    """Base of all errors that are reported without a traceback (exit code 1)."""

    exit_code = 1


class UsageError(GputwasError):
    """The command or call itself makes no sense: contradicting or missing options (exit code 2)."""

    exit_code = 2


class InputError(GputwasError):
    """A file, folder or store cannot be used as it is (exit code 3).

    Parameters
    ----------
    problem : what is wrong, in one clause without a full stop.
    path : the file or folder.
    line : 1-based line in the (decompressed) file.
    column : name of the column or field.
    found, expected : the offending value and what should stand there.
    remedy : what the user can do, a full sentence, ideally a command.
    """

    exit_code = 3

    def __init__(
        self,
        problem: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        column: str | None = None,
        found: object | None = None,
        expected: object | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else os.fspath(path)
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(self._message())

    def _message(self) -> str:
        where = [] if self.path is None else [self.path]
        if self.line is not None:
            where.append(f"line {self.line:,}")
        if self.column is not None:
            where.append(f"column {self.column!r}")
        text = f"{', '.join(where)}: {self.problem}" if where else self.problem
        facts = []
        if self.found is not None:
            facts.append(f"found {self.found}")
        if self.expected is not None:
            facts.append(f"expected {self.expected}")
        if facts:
            text += f" ({'; '.join(facts)})"
        return f"{text}. {self.remedy}" if self.remedy else f"{text}."

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], InputError], tuple[dict[str, Any]]]:
        """Keep the fields when the error crosses a process boundary."""
        return (_rebuild_input_error, (self.__dict__.copy(),))


class ResourceError(GputwasError):
    """The machine lacks memory, disk or a device for what was asked (exit code 4)."""

    exit_code = 4


def _rebuild_input_error(fields: dict[str, Any]) -> InputError:
    return InputError(**fields)
