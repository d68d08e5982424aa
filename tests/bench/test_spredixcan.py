"""The benchmark as a command: results appear when answers agree, and nothing appears when they do not."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from bench.__main__ import main

SMALL = [
    "--rows",
    "6000",
    "--genes",
    "60",
    "--weights",
    "500",
    "--traits",
    "2",
    "--tissues",
    "2",
    "--repeats",
    "1",
]

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
    assert bench(tmp_path, "--name", "x") == 0
    assert "## One trait, one tissue" in (tmp_path / "x-one.md").read_text()
    assert "## 2 traits, 2 tissues" in (tmp_path / "x-many.md").read_text()
    one, many = (
        [json.loads(line) for line in (tmp_path / f"x-{case}.jsonl").read_text().splitlines()]
        for case in ("one", "many")
    )
    assert [(r["program"], r["step"]) for r in one] == [
        ("floor", "decompress each input once"),
        ("gputwas", "spredixcan"),
    ]
    assert [r["step"] for r in many[1:]] == ["models import", "gwas import", "associate"]
    for record in one + many:
        assert record["wall_s"] > 0 and record["peak_rss_bytes"] > 1_000_000
        assert record["versions"]["gputwas"]["numpy"] and record["machine"]["cores"] >= 1
    assert one[0]["largest_z_difference"]["gputwas"] <= 5e-6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(WRONG, "genes missing"), (SILENT, "gputwas wrote nothing")],
    ids=["wrong", "silent"],
)
def test_no_times_without_right_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    fake = program(tmp_path / "gputwas", text)
    assert bench(tmp_path, "--case", "one", "--gputwas", str(fake)) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.glob("*.md")) and not list(tmp_path.glob("*.jsonl"))


def test_pytwas_needs_its_interpreter(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--pytwas-python"):
        bench(tmp_path, "--pytwas")
