"""In: flags. Out: processor time of importing one tissue's models, against MetaXcan's own loading of them."""

from __future__ import annotations

import argparse
import json
import logging
import statistics
from pathlib import Path

from bench import floors, measure
from bench.inputs import MANY, Sizes, Study, make_study
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, at_least_two, begin

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
CASE = "models"
LOADER = Path(__file__).resolve().parent / "metaxcan_load.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench models``."""
    add_common(parser)
    parser.add_argument("--tissues", type=at_least_two, default=5)
    parser.add_argument("--genes", type=int, default=MANY[0], help="models per tissue")
    parser.add_argument("--weights", type=int, default=MANY[1], help="weights per tissue, on average")


def main(options: argparse.Namespace) -> int:
    """Measure and write the results."""
    shape = (600, 7_000, 1, 3) if options.quick else (options.genes, options.weights, 1, options.tissues)
    sizes = Sizes(100_000 if options.quick else 1_000_000, *shape)
    with begin(options) as session:
        log.info("writing inputs, %s", sizes)
        study = make_study(session.folder("input"), sizes, session.seed)
        measurements, loads = _measured(session, study)
        costs = _costs(measurements, loads, sizes.tissues)
        notes = [
            f"{sizes.tissues} tissues of {sizes.genes:,} models with {sizes.weights:,} weights on average. "
            "`gputwas models import` reads database and covariance, packs and writes a store, which every "
            "later run memory-maps; a tissue's cost is that of all tissues less that of the first, by their "
            "number less 1. MetaXcan and the floor take the same tissues, 2 to the last, and their costs are "
            "means. MetaXcan loads models anew in each of its runs: its own functions are called by a small "
            "script that its own interpreter runs, and only the calls are counted, not starting Python; "
            "*context*: with what "
            "SPrediXcan.py then does with the weights (for each it searches a list of genes, so the "
            "time grows with genes times weights). The floor is to decompress each covariance once.",
        ]
        parameters = {
            "tissues": sizes.tissues,
            "genes": sizes.genes,
            "weights": sizes.weights,
            "seed": session.seed,
        }
        session.keep(
            Record(
                "models", "Importing models against loading them", session.quick, session.about, parameters,
                notes, measurements, _ratios(costs), costs,
            )
        )  # fmt: skip
    return 0


def _measured(session: Session, study: Study) -> tuple[list[Measurement], list[dict[str, float]]]:
    runs = {"1 tissue": study.tissues[:1], f"{len(study.tissues)} tissues": study.tissues}
    found, loads = [], []
    for repeat in range(0 if session.quick else -1, session.repeats):
        for step, tissues in runs.items():
            log.info("gputwas: %s, repeat %d", step, repeat)
            words = ("models", "import", *[tissue.model for tissue in tissues])
            used = session.gputwas(*words, "--out", session.folder("out") / "models")
            found.append(Measurement(CASE, "gputwas", step, repeat, used))
        further = study.tissues[1:]  # those whose cost the difference is
        inflated = floors.inflate([tissue.covariance for tissue in further])
        found.append(Measurement(CASE, "floor", "inflate all covariances but the first", repeat, inflated))
        if session.programs.metaxcan is not None:
            log.info("MetaXcan: repeat %d", repeat)
            words = (session.programs.metaxcan_python, LOADER, session.programs.metaxcan)
            each = []
            for tissue in further:
                used, printed = measure.run([str(word) for word in (*words, tissue.model, tissue.covariance)])
                step = f"load {tissue.name}, whole process"
                found.append(Measurement(CASE, "MetaXcan", step, repeat, used))
                each.append(json.loads(printed.strip().splitlines()[-1]))
            if repeat >= 0:
                loads.append({name: statistics.mean(load[name] for load in each) for name in each[0]})
    return [item for item in found if item.repeat >= 0], loads


def _costs(found: list[Measurement], loads: list[dict[str, float]], tissues: int) -> dict[str, float]:
    """Processor seconds of one tissue: means over tissues 2 to the last; `loads` are such means already."""
    one, all_ = (
        median(found, "cpu_s", case=CASE, program="gputwas", step=step)
        for step in ("1 tissue", f"{tissues} tissues")
    )
    costs = {
        "tissue_cpu_s": (all_ - one) / (tissues - 1),
        "inflate_cpu_s": median(found, "cpu_s", case=CASE, program="floor") / (tissues - 1),
    }
    if loads:
        costs["metaxcan_load_cpu_s"] = statistics.median(load["load"] for load in loads)
        both = (load["load"] + load["context"] for load in loads)
        costs["metaxcan_load_context_cpu_s"] = statistics.median(both)
    return costs


def _ratios(costs: dict[str, float]) -> list[Ratio]:
    over = Ratio(
        "one tissue: processor time relative to the floor", costs["tissue_cpu_s"] / costs["inflate_cpu_s"],
        None, at_least=False,
    )  # fmt: skip
    if "metaxcan_load_cpu_s" not in costs:
        return [over]
    less = "one tissue: times less processor time than MetaXcan's loading"
    return [
        Ratio(less, costs["metaxcan_load_cpu_s"] / costs["tissue_cpu_s"], 10.0),
        Ratio(f"{less} and context", costs["metaxcan_load_context_cpu_s"] / costs["tissue_cpu_s"]),
        over,
    ]
