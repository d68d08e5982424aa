"""In: flags. Out: time per position of liftover beside pyliftover, on a made chain, all answers compared."""

from __future__ import annotations

import argparse
import logging
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.agree import Disagreement
from bench.measure import Usage
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin

__all__ = ["add_arguments", "check", "main", "make_chain"]

log = logging.getLogger(__name__)
CASE = "random positions"
FASTER = 200.0  # asked for
_MEGABASES = "249 243 198 191 180 171 159 146 141 135 135 133 115 107 102 90 81 78 59 63 48 51 155 59"
SIZES = {  # of GRCh37's chromosomes, rounded
    f"chr{name}": int(size) * 1_000_000
    for name, size in zip([*range(1, 23), "X", "Y"], _MEGABASES.split(), strict=True)
}
CALLS = 10  # of ours in one timing: a single one takes a few hundredths of a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench lift``."""
    add_common(parser)
    parser.add_argument("--positions", type=int, default=1_000_000, help="random positions (%(default)s)")
    parser.add_argument("--blocks", type=int, default=100_000, help="blocks of the made chain (%(default)s)")


def main(options: argparse.Namespace) -> int:
    """Measure and write the results."""
    with begin(options) as session:
        positions = 20_000 if session.quick else options.positions
        blocks = 3_000 if session.quick else options.blocks
        path = session.work / f"made-{blocks}-seed{session.seed}.over.chain"
        found = make_chain(path, blocks, session.seed)
        measurements, figures = _measure(session, path, positions)
        counts = ", ".join(f"{number:,} {name}" for name, number in figures["counts"].items())
        notes = [
            f"{positions:,} random positions on chromosomes of human size, through a made chain file with "
            f"{found['chains']:,} chains and {found['blocks']:,} blocks: inversions, gaps, chains that "
            "overlap (some of equal score) and chains to other chromosomes. Both programs run in one process "
            "on one core, in turns. Before any time counts, every answer is compared: for each position all "
            "targets that pyliftover lists, in its order (chromosome, position, strand, score), and the one "
            "that is taken.",
            f"What became of the positions: {counts}.",
            "pyliftover is asked position by position, as it can only be: a loop over `convert_coordinate`. "
            "*coded* takes and gives chromosomes as codes, as a dictionary column of a table has them; "
            "*names* takes and gives columns of strings, which must be encoded and written. Times of gputwas "
            f"are means over {CALLS} calls.",
        ]
        session.keep(
            Record(
                "lift", "Liftover of positions", session.quick, session.about,
                {"positions": positions, "seed": session.seed, **found}, notes, measurements,
                _ratios(measurements, positions), figures,
            )
        )  # fmt: skip
    return 0


def make_chain(path: Path, n_blocks: int, seed: int) -> dict[str, int]:
    """Write a chain file over chromosomes of human size; returns how many chains and blocks it has.

    Chains follow one another along each chromosome and some begin before the last has ended; one in eight is
    inverted, one in ten leads to another chromosome, and scores are few, so that overlapping chains tie.
    """
    rng = np.random.default_rng(seed)
    names, spacing = list(SIZES), int(sum(SIZES.values()) / n_blocks)
    chains = blocks = 0
    with open(path, "w") as file:
        for source, size in SIZES.items():
            at = 10_000
            while at < size - 10 * spacing:
                n = int(rng.integers(1, max(2, min(120, size // spacing // 4))))
                length = rng.integers(spacing // 4, spacing * 2, n)
                gaps = rng.integers(0, spacing // 8, (2, n)) * (rng.random((2, n)) < 0.6)
                gaps[:, -1] = 0
                spans = length.sum() + gaps.sum(axis=1)
                target = source if rng.random() < 0.9 else names[int(rng.integers(len(names)))]
                if at + spans[0] > size or spans[1] >= SIZES[target]:
                    break
                to = int(np.clip(at + rng.integers(-(10**6), 10**6), 0, SIZES[target] - spans[1]))
                strand = "-" if rng.random() < 0.125 else "+"
                file.write(
                    f"chain {rng.integers(1, 40) * 1000} {source} {size} + {at} {at + spans[0]} "
                    f"{target} {SIZES[target]} {strand} {to} {to + spans[1]} {chains + 1}\n"
                )
                rows = np.column_stack([length, gaps[0], gaps[1]])[:-1].tolist()
                file.writelines(f"{one}\t{two}\t{three}\n" for one, two, three in rows)
                file.write(f"{length[-1]}\n\n")
                chains, blocks = chains + 1, blocks + n
                at = max(0, at + int(spans[0]) + int(rng.integers(-6, 4)) * spacing)
    return {"chains": chains, "blocks": blocks}


def _measure(session: Session, path: Path, n: int) -> tuple[list[Measurement], dict[str, Any]]:
    """Time both programs in turns, after a look at every answer."""
    from pyliftover import LiftOver

    from gputwas.formats.chain import read_chain
    from gputwas.variants.liftover import Liftover

    found: list[Measurement] = []

    def keep(program: str, step: str, repeat: int, used: Usage) -> None:
        found.append(Measurement(CASE, program, step, repeat, used))

    peer, used = _timed(lambda: LiftOver(str(path)))
    keep("pyliftover", "read the chain file", 0, used)
    ours, used = _timed(lambda: Liftover(read_chain(path)))
    keep("gputwas", "read the chain file", 0, used)
    rng = np.random.default_rng(session.seed + 1)
    names = pa.array(ours.chain.source_names)
    codes = rng.integers(0, len(names), n)
    positions = rng.integers(1, np.asarray(ours.chain.source_sizes)[codes] + 1)
    chromosomes = names.take(pa.array(codes))
    pairs = list(zip(chromosomes.to_pylist(), (positions - 1).tolist(), strict=True))
    log.info("comparing %d answers", n)
    check(ours, peer, codes, positions)
    for repeat in range(session.repeats):
        log.info("repeat %d", repeat)
        _, used = _timed(lambda: _loop(peer, pairs))
        keep("pyliftover", "lift", repeat, used)
        _, used = _timed(lambda: ours.lift(codes, positions), CALLS)
        keep("gputwas", "lift, coded", repeat, used)
        _, used = _timed(lambda: ours.lift(chromosomes, positions).chromosome, CALLS)
        keep("gputwas", "lift, names", repeat, used)
    return found, {"positions": n, "counts": ours.lift(codes, positions).counts}


def _loop(peer: Any, pairs: list[tuple[str, int]]) -> None:
    """pyliftover over all positions, answers dropped at once."""
    convert = peer.convert_coordinate
    for name, position in pairs:
        convert(name, position)


def check(ours: Any, peer: Any, codes: np.ndarray, positions: np.ndarray) -> None:
    """Compare every answer with pyliftover's, all targets in their order, and the first one.

    Parameters
    ----------
    ours : a `Liftover`. peer : pyliftover's `LiftOver` of the same file.
    codes : source chromosomes (rows,). positions : (rows,), from 1.

    Raises
    ------
    Disagreement : names the first position whose answer differs.
    """
    names, targets = ours.chain.source_names, ours.chain.target_names
    hits = ours.hits(codes, positions)
    flat = list(
        zip(
            [targets[code] for code in hits.code.tolist()],
            (hits.position - 1).tolist(),
            ["-" if strand < 0 else "+" for strand in hits.strand.tolist()],
            hits.score.tolist(),
            strict=True,
        )
    )
    lifted = ours.lift(codes, positions)
    best = zip(lifted.code.tolist(), lifted.position.tolist(), lifted.strand.tolist(), strict=True)
    end = 0
    rows = zip(codes.tolist(), (positions - 1).tolist(), hits.count.tolist(), best, strict=True)
    for code, position, count, (to, place, strand) in rows:
        begin, end = end, end + count
        answer = peer.convert_coordinate(names[code], position)
        first = (targets[to], place - 1, "-" if strand < 0 else "+") if to >= 0 else None
        if flat[begin:end] != answer or first != (answer[0][:3] if answer else None):
            raise Disagreement(
                f"{names[code]}:{position + 1} is lifted to {flat[begin:end]} (first: {first}), "
                f"by pyliftover to {answer}"
            )


def _timed(work: Callable[[], Any], calls: int = 1) -> tuple[Any, Usage]:
    """What some work gives, and what one call of it costs in this process (memory is not told apart: 0)."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(calls):
        result = work()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return result, Usage(wall / calls, user / calls, system / calls, 0)


def _ratios(found: list[Measurement], positions: int) -> list[Ratio]:
    """Processor time per position of one program over the other's, the median over the repeats of one run."""

    def cpu(step: str, program: str = "gputwas") -> np.ndarray:
        mine = [item for item in found if (item.program, item.step) == (program, step)]
        return np.array([item.usage.cpu_s for item in mine])

    theirs = cpu("lift", "pyliftover")
    ratios = []
    for step, what, asked in (
        ("lift, coded", "chromosomes coded", FASTER),
        ("lift, names", "chromosomes as strings, encoded and written", None),
    ):
        quotient = statistics.median((theirs / np.maximum(cpu(step), 1e-9)).tolist())
        ratios.append(Ratio(f"processor time of pyliftover relative to gputwas, {what}", quotient, asked))
    for step, program in (("lift", "pyliftover"), ("lift, coded", "gputwas"), ("lift, names", "gputwas")):
        spent = median(found, "cpu_s", case=CASE, program=program, step=step)
        label = f"{program}, {step}: nanoseconds of processor time per position"
        ratios.append(Ratio(label, spent / positions * 1e9, at_least=False))
    return ratios
