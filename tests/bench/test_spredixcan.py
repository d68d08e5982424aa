"""The benchmark as a command: results appear when answers agree, and nothing appears when they do not."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from bench.__main__ import SUBJECTS, main
from bench.measure import CommandFailed
from bench.peers import Programs
from bench.record import read_records
from bench.session import Session

SMALL = ["--case", "jti", "--rows", "6000", "--genes", "60", "--weights", "500", "--repeats", "1"]

# Stands in for the drop-in command: writes the csv at --output_file with one wrong gene.
WRONG = """#!{python}
import sys
out = sys.argv[sys.argv.index("--output_file") + 1]
open(out, "w").write("gene,zscore\\nENSG00000000000,0.25\\n")
"""
SILENT = "#!{python}\nprint('something went wrong, and the exit status is 0')\n"


def bench(tmp_path: Path, *flags: str) -> int:
    """Run the benchmark with its results under `tmp_path`."""
    return main(["spredixcan", *SMALL, "--results", str(tmp_path), *flags])


def program(path: Path, text: str) -> Path:
    """Write a stand-in for gputwas."""
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_times_come_with_agreeing_answers(tmp_path: Path) -> None:
    assert bench(tmp_path) == 0
    text = (tmp_path / "spredixcan.md").read_text()
    assert "# One trait in one tissue" in text and "## jti" in text
    found = read_records(tmp_path)["spredixcan"]
    assert {(item.program, item.step) for item in found.measurements} == {
        ("gputwas", "spredixcan"),
        ("floor", "inflate"),
    }
    assert all(item.usage.wall_s > 0 for item in found.measurements)
    assert found.about["versions"]["gputwas"]["numpy"] and found.about["machine"]["cores"] >= 1
    assert "formula in float64: gputwas" in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(WRONG, "genes missing"), (SILENT, "gputwas wrote nothing")],
    ids=["wrong", "silent"],
)
def test_no_times_without_right_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    fake = program(tmp_path / "gputwas", text)
    assert bench(tmp_path, "--gputwas", str(fake)) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.glob("*.md")) and not list(tmp_path.glob("*.json"))


def test_a_checkout_that_is_not_installed_runs_too(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "no-such-command", None, Path("python3"), None)
    session = Session(programs, {}, tmp_path, tmp_path, True, 1, 1)
    assert session.gputwas("--version").wall_s > 0
    with pytest.raises(CommandFailed, match="no-such-verb"):
        session.gputwas("no-such-verb")


def test_unknown_flags_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["spredixcan", "--no-such-flag"])
    assert "--no-such-flag" in capsys.readouterr().err


@pytest.mark.slow
def test_every_subject_runs_quickly_on_small_sizes(tmp_path: Path) -> None:
    assert main(["all", "--quick", "--results", str(tmp_path)]) == 0
    found = read_records(tmp_path)
    assert found.keys() >= SUBJECTS.keys() - {"gpu"}
    assert all(record.quick for record in found.values())
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")
