"""In: flags. Out: gputwas, MetaXcan and pytwas timed in turn on the same files, once their answers agree.

Two questions. *One trait in one tissue*: the drop-in command, same flags, all programs read everything anew.
*Many traits in several tissues*: the peers start once per pair, as their users do; gputwas imports the models
once, each GWAS once, and scores all pairs together.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import agree, peers, report, turns
from bench.inputs import Sizes, make_study

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
RESULTS = Path(__file__).resolve().parent / "results"
Z_BOUND = 5e-6  # the peers round the GWAS z to float32
BUSY = "Other work ran on the machine meanwhile: wall times are rough, processor time is the steadier figure."
STORE_BOUND = 1e-5  # relative, of the float32 stores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench spredixcan``."""
    command = Path(sys.executable).parent / "gputwas"
    parser.add_argument(
        "--gputwas", type=Path, default=command, help="gputwas command (default: %(default)s)"
    )
    parser.add_argument("--metaxcan", type=Path, help="folder with SPrediXcan.py; left out if not given")
    parser.add_argument(
        "--metaxcan-python", type=Path, default=Path("python3"), help="interpreter for MetaXcan"
    )
    parser.add_argument("--pytwas", action="store_true", help="let pytwas take part")
    parser.add_argument("--pytwas-python", type=Path, help="interpreter of the environment that has pytwas")
    parser.add_argument("--case", choices=("one", "many", "both"), default="both", help="which question")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each GWAS (BIG40: 17,103,079)")
    parser.add_argument("--genes", type=int, default=9_200, help="models per tissue")
    parser.add_argument("--weights", type=int, default=83_000, help="weights per tissue")
    parser.add_argument("--traits", type=int, default=20, help="traits of the second question")
    parser.add_argument("--tissues", type=int, default=2, help="tissues of the second question")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats of the first question")
    parser.add_argument("--repeats-many", type=int, default=1, help="timed repeats of the second question")
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat: shows that all works")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, help="folder for the inputs (default: a temporary one, removed after)"
    )
    parser.add_argument("--name", default="spredixcan", help="results go to bench/results/NAME-CASE.*")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")


def main(options: argparse.Namespace) -> int:
    """Make the inputs, compare the answers, time the programs, write the results."""
    if options.quick:
        options.rows, options.genes, options.weights = 60_000, 900, 8_000
        options.traits, options.tissues, options.repeats, options.repeats_many = 3, 2, 1, 1
    if options.pytwas and options.pytwas_python is None:
        raise SystemExit("--pytwas needs --pytwas-python: the interpreter of an environment that has it")
    programs = peers.Programs(
        options.gputwas,
        options.metaxcan,
        options.metaxcan_python,
        options.pytwas_python if options.pytwas else None,
    )
    about = {"machine": peers.machine(), "versions": peers.versions(programs), "seed": options.seed}
    work = Path(tempfile.mkdtemp(prefix="gputwas-bench-")) if options.work is None else options.work
    try:
        for case in _cases(options.case):
            page = _heading(about) + _run_case(case, options, programs, work / case, about)
            (options.results / f"{options.name}-{case}.md").write_text(page)
            print(page)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


def _cases(case: str) -> list[str]:
    """The questions asked."""
    return ["one", "many"] if case == "both" else [case]


def _run_case(
    case: str, options: argparse.Namespace, programs: peers.Programs, work: Path, about: dict[str, Any]
) -> str:
    """Measure one question; write its JSON lines; return its page."""
    many = case == "many"
    shape = (options.traits, options.tissues) if many else (1, 1)
    sizes = Sizes(options.rows, options.genes, options.weights, *shape)
    log.info("%s: writing inputs, %s", case, sizes)
    study = make_study(work / "input", sizes, options.seed)
    wanted = turns.expected(study)
    measurements = [report.Measurement(case, "floor", *turns.floor(study))]
    differences: dict[str, float | str] = {}
    names = programs.names()
    # Repeat -1 is untimed: it warms the file cache and finds wrong answers before anything is measured.
    for repeat in range(
        0 if many or options.quick else -1, options.repeats_many if many else options.repeats
    ):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            log.info("%s: %s, repeat %d", case, name, repeat)
            out = work / f"out-{name}"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            steps, answers = turns.take(name, programs, study, out, together=many and name == "gputwas")
            differences[name] = _check(
                name, answers, wanted, STORE_BOUND if many and name == "gputwas" else 0.0
            )
            if repeat >= 0:
                measurements += [report.Measurement(case, name, step, repeat, used) for step, used in steps]
    detail = {**about, "sizes": asdict(sizes), "largest_z_difference": differences}
    report.write_lines(options.results / f"{options.name}-{case}.jsonl", measurements, detail)
    return _page(case, sizes, measurements, differences)


def _check(name: str, answers: turns.Answers, wanted: turns.Answers, relative: float) -> float | str:
    """Largest difference of a program's z-scores from the formula.

    Only pytwas may be wrong without ending the run; then the page says what was wrong.
    """
    try:
        return max(agree.compare(name, answers[pair], wanted[pair], Z_BOUND, relative) for pair in wanted)
    except agree.Disagreement as error:
        if name != "pytwas":
            raise
        return str(error)


def _heading(about: dict[str, Any]) -> str:
    """First lines of the results' page: what ran where."""
    machine = about["machine"]
    lines = [
        "# S-PrediXcan side by side",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
        f"load before the start {machine['load_before']}; commit {machine['commit']}.",
        "",
    ]
    if machine["load_before"] > machine["cores"] / 4:
        lines += [BUSY, ""]
    for program, found in about["versions"].items():
        lines.append(f"- {program}: " + ", ".join(f"{name} {version}" for name, version in found.items()))
    return "\n".join(lines) + "\n"


def _page(
    case: str, sizes: Sizes, measurements: list[report.Measurement], differences: dict[str, float | str]
) -> str:
    """Section of one question."""
    title = "One trait, one tissue" if case == "one" else f"{sizes.traits} traits, {sizes.tissues} tissues"
    base = "MetaXcan" if "MetaXcan" in differences else "gputwas"
    lines = [
        f"\n## {title}",
        "",
        f"GWAS of {sizes.rows:,} rows; {sizes.genes:,} models with {sizes.weights:,} weights per tissue; "
        f"{sizes.found:.0%} of the model SNPs are in the GWAS. Times relative to {base}.",
        "",
        report.markdown(measurements, base),
        "Largest difference of a z-score from the formula in float64: "
        + "; ".join(
            f"{name} {value:.1e}" if isinstance(value, float) else value
            for name, value in differences.items()
        )
        + ".",
        "",
    ]
    return "\n".join(lines)
