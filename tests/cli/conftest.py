"""The small study that all tests of the command line share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gputwas import progress
from tests.cli.studies import Study, build_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Files and stores of a simulated study, made once; not to be written to."""
    log = logging.getLogger("gputwas")
    before = (log.handlers[:], log.propagate, log.level, progress._style)
    made = build_study(tmp_path_factory.mktemp("cli_study"))
    log.handlers[:], log.propagate = before[0], before[1]
    log.setLevel(before[2])
    progress._style = before[3]
    yield made
