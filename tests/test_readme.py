"""Every command and flag that the README and the benchmark's page show exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

ROOT = Path(__file__).resolve().parent.parent


def shell_lines(page: Path) -> Iterator[str]:
    """Command lines of the fenced bash blocks, continuation lines joined."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.strip():
                yield line.strip()


def gputwas_lines() -> list[str]:
    """What the README calls gputwas with."""
    return [line for line in shell_lines(ROOT / "README.md") if line.startswith("gputwas ")]


def test_readme_shows_the_whole_way() -> None:
    shown = {" ".join(line.split()[1:3]) for line in gputwas_lines()}
    assert {"models import", "gwas import", "gwas check", "export metaxcan"} <= shown
    assert {"associate", "fdr", "spredixcan"} <= {words.split()[0] for words in shown}


@pytest.mark.parametrize("line", gputwas_lines())
def test_command_in_readme_exists(line: str) -> None:
    from gputwas.cli.main import commands

    command: Any = typer.main.get_command(commands())
    words = shlex.split(line, comments=True)[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    flags = {word.split("=")[0] for word in words if word.startswith("--")}
    assert flags <= known


def test_make_targets_in_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\(((?!https?://)[^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
