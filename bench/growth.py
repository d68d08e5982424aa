"""In: flags. Out: time and memory of `gputwas associate` at 1, 2, 4 and 8 times the traits, and a picture."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path

from bench.associating import Inputs, prepare, run_once
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin

__all__ = ["add_arguments", "draw", "main"]

log = logging.getLogger(__name__)
CASE = "paper"
TIMES = (1, 2, 4, 8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench growth``."""
    add_common(parser)
    parser.add_argument("--traits", type=int, default=123, help="traits of the smallest run")


def main(options: argparse.Namespace) -> int:
    """Measure, draw, and write the results."""
    base = 8 if options.quick else options.traits
    with begin(options) as session:
        log.info("writing stores, %d traits", base * TIMES[-1])
        inputs = prepare(session, "quick" if session.quick else CASE, base * TIMES[-1])
        measurements = _measured(session, inputs, base)
        figures = _figures(measurements, base)
        draw(session.results / "growth.svg", figures)
        notes = [
            f"`gputwas associate` on {base} x 1, 2, 4 and 8 traits of one store, sizes of the *{CASE}* case "
            "(19 tissues, 180,500 models, 2.5 million weights). Time per further trait, between the smaller "
            "and between the larger runs: linear growth makes both alike.",
            "![time and memory by traits](growth.svg)",
        ]
        session.keep(
            Record(
                "growth", "Cost of more traits", session.quick, session.about,
                {"traits": base, "times": list(TIMES), "seed": session.seed}, notes, measurements,
                _ratios(figures), figures,
            )
        )  # fmt: skip
    return 0


def _measured(session: Session, inputs: Inputs, base: int) -> list[Measurement]:
    found = []
    names = [path.stem for path in inputs.files]
    for repeat in range(0 if session.quick else -1, session.repeats):
        for times in TIMES:
            log.info("%d traits, repeat %d", base * times, repeat)
            used = run_once(session, inputs, names[: base * times])
            found.append(Measurement("growth", "gputwas", f"{base * times} traits", repeat, used))
    return [item for item in found if item.repeat >= 0]


def _figures(found: list[Measurement], base: int) -> dict[str, list[float]]:
    def medians(quantity: str) -> list[float]:
        return [
            median(found, quantity, case="growth", program="gputwas", step=f"{base * times} traits")
            for times in TIMES
        ]

    return {
        "traits": [base * times for times in TIMES],
        "wall_s": medians("wall_s"),
        "cpu_s": medians("cpu_s"),
        "peak_rss_bytes": medians("peak_rss_bytes"),
    }


def _ratios(figures: dict[str, list[float]]) -> list[Ratio]:
    traits, cpu, memory = (figures[name] for name in ("traits", "cpu_s", "peak_rss_bytes"))
    early = (cpu[2] - cpu[0]) / (traits[2] - traits[0])
    late = (cpu[3] - cpu[2]) / (traits[3] - traits[2])
    return [
        Ratio(
            "processor time of one further trait, later relative to earlier",
            late / early if early > 0 else math.nan, 1.25, at_least=False, note="1 is linear",
        ),
        Ratio("peak memory at 8 times the traits relative to once", memory[3] / memory[0], at_least=False),
        Ratio(
            "peak memory at 8 times the traits relative to 4 times", memory[3] / memory[2], 1.1,
            at_least=False, note="1 is flat; smaller runs do not fill a batch",
        ),
    ]  # fmt: skip


def draw(path: Path, figures: dict[str, list[float]]) -> None:
    """Time and memory against the number of traits, as SVG without dates: redrawing changes nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    traits = figures["traits"]
    with pyplot.rc_context({"svg.hashsalt": "gputwas", "svg.fonttype": "none", "font.size": 9}):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
        left.plot(traits, figures["wall_s"], "o-", color="#0b5394", label="wall time")
        left.plot(traits, figures["cpu_s"], "s--", color="#b45f06", label="processor time")
        right.plot(traits, [size / 1e9 for size in figures["peak_rss_bytes"]], "o-", color="#0b5394")
        left.set_ylabel("seconds")
        right.set_ylabel("peak memory, GB")
        left.legend(frameon=False)
        for axes in (left, right):
            axes.set_xlabel("traits")
            axes.set_xlim(left=0)
            axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
