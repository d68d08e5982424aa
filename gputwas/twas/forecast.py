"""What a run will hold, move and take, told before it starts.

In: a `Selection`, a `Plan`, where the results go. Out: a `Forecast`: counts, bytes, and a time measured on
this machine just now, by scoring a few of the very traits, reading some of their files past the page cache
(which forgets them), and writing a file to the folder of the results, which is removed.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gputwas.files import disk_errors
from gputwas.twas.patterns import PatternBook
from gputwas.twas.plan import PATTERN_BYTES, Plan
from gputwas.twas.scoring import Scoring
from gputwas.twas.selection import Selection
from gputwas.twas.settings import SetUp
from gputwas.twas.spredixcan import Scorer
from gputwas.twas.streams import SLOTS

__all__ = ["Forecast", "forecast"]

PROBE_BYTES = 64 << 20  # read and written to see how fast the disk is


@dataclass(frozen=True)
class Forecast:
    """A run as it is expected to be.

    Attributes
    ----------
    traits, tissues, models, weights, variants, variants_found : sizes.
    device, method : where and how sums are made. plan : batches, memory, bytes.
    blocks, blocks_there : files of traits per tissue, and those that an earlier run has left.
    free_bytes : on the disk of the results.
    setup_seconds : to ready the models, measured. seconds_per_trait : to score one, measured, all threads
        at work. patterns : of missing SNPs that are expected, each of which takes seconds_per_pattern of one
        thread for var_g of all models. read_rate, write_rate : bytes per second of the disk, measured; the
        read rate without the page cache.
    """

    traits: int
    tissues: int
    models: int
    weights: int
    variants: int
    variants_found: int
    device: str
    method: str
    plan: Plan
    blocks: int
    blocks_there: int
    free_bytes: int
    setup_seconds: float
    seconds_per_trait: float
    patterns: int
    seconds_per_pattern: float
    read_rate: float
    write_rate: float

    @property
    def share_left(self) -> float:
        """Share of the work that is still to be done."""
        return 1 - self.blocks_there / self.blocks

    @property
    def bytes_left(self) -> int:
        """Bytes still to be written: results, and what each pattern makes of the models."""
        patterns = self.patterns * self.models * PATTERN_BYTES
        return round((self.plan.bytes_written + patterns) * self.share_left)

    @property
    def seconds(self) -> tuple[float, float]:
        """Least and most time: all stages side by side and statistics in the page cache, or nothing of it."""
        variances = self.patterns * self.seconds_per_pattern / self.plan.threads
        score = (self.traits * self.seconds_per_trait + variances) * self.share_left
        read = self.plan.bytes_read / self.read_rate * self.share_left
        write = self.bytes_left / self.write_rate
        return self.setup_seconds + max(score, write), self.setup_seconds + score + read + write

    def rows(self) -> list[tuple[str, str]]:
        """What a person wants to know, as (name, value)."""
        plan = self.plan
        low, high = self.seconds
        left = f", {self.blocks_there} of {self.blocks} blocks there already" if self.blocks_there else ""
        return [
            ("traits", f"{self.traits:,}{left}"),
            ("models", f"{self.models:,} in {self.tissues} tissues, {self.weights:,} weights"),
            ("variants", f"{self.variants_found:,} of {self.variants:,} in the panel of the GWAS store"),
            ("device", f"{self.device}, method {self.method}"),
            ("batches", f"{plan.width} traits x {plan.threads} at once, {plan.block_size} to a file"),
            ("memory", _size(plan.memory)),
            (
                "to read",
                f"{_size(plan.bytes_read * self.share_left)} at {_size(self.read_rate)}/s if not cached",
            ),
            ("to write", f"{_size(self.bytes_left)} at {_size(self.write_rate)}/s"),
            ("disk", f"{_size(self.free_bytes)} free" + (" - NOT ENOUGH" if self.lacks_space else "")),
            (
                "scoring",
                f"{1e3 * self.seconds_per_trait:.2f} ms a trait, measured on {plan.batch_size} traits",
            ),
            (
                "patterns",
                f"{self.patterns:,} of missing SNPs, {self.seconds_per_pattern:.2f} s each for var_g",
            ),
            ("time", _span(low, high)),
        ]

    @property
    def lacks_space(self) -> bool:
        """Whether the results do not fit the disk."""
        return self.bytes_left > self.free_bytes


def forecast(
    chosen: Selection,
    set_up: SetUp,
    scorer: Scorer,
    out: str | os.PathLike[str],
    *,
    dtype: type[np.floating],
    setup_seconds: float,
    blocks_there: int = 0,
) -> Forecast:
    """Measure on a few traits what all will take; takes seconds.

    Parameters
    ----------
    set_up, scorer : with what the run computes. out : folder of the results, which need not be there yet.
    dtype : of the results. setup_seconds : what it took to come this far.
    blocks_there : blocks that need no computing.
    """
    folder, models, plan = _nearest_folder(out), chosen.models, set_up.plan
    read_rate = _read_rate(chosen)  # before the probe below maps files: mapped pages stay in memory
    scored = _probe(chosen, plan, scorer, dtype)
    return Forecast(
        traits=len(chosen.traits), tissues=len(models.tissues), models=models.n_models,
        weights=int(models.offsets[-1]), variants=chosen.n_variants, variants_found=chosen.variants_found,
        device=set_up.device, method=set_up.method, plan=plan,
        blocks=-(-len(chosen.traits) // plan.block_size), blocks_there=blocks_there,
        free_bytes=shutil.disk_usage(folder).free, setup_seconds=setup_seconds,
        seconds_per_trait=scored.seconds_per_trait, patterns=scored.patterns,
        seconds_per_pattern=scored.seconds_per_pattern,
        read_rate=read_rate, write_rate=_write_rate(folder),
    )  # fmt: skip


@dataclass(frozen=True)
class _Probe:
    """A few traits scored: seconds for one, patterns of missing SNPs expected of all, seconds for one."""

    seconds_per_trait: float
    patterns: int
    seconds_per_pattern: float


def _probe(chosen: Selection, plan: Plan, scorer: Scorer, dtype: type[np.floating]) -> _Probe:
    """Score some groups twice: the first time readies libraries, files, arrays and patterns."""
    groups = 2 * SLOTS if plan.way == "streamed" else 1
    traits = chosen.traits[: groups * plan.batch_size]
    models = chosen.models
    results = {}
    for tissue in models.tissues:
        rows = models.tissue_slice(tissue)
        shape = (rows.stop - rows.start, len(traits))
        results[tissue] = (np.empty(shape, dtype, order="F"), np.empty(shape, dtype, order="F"))
    scoring = Scoring(chosen, scorer, plan, dtype, PatternBook(None, scorer.variance))
    with ThreadPoolExecutor(plan.pool_size) as pool:
        for _ in range(2):
            started = time.perf_counter()
            keys = scoring.score(traits, results, pool)
            seconds = time.perf_counter() - started
    started = time.perf_counter()
    scorer.variance(~np.isnan(chosen.columns(traits[:1])[0][0]))
    of_pattern = time.perf_counter() - started
    distinct = len(set(keys))
    # One pattern of many traits is that of a cohort; otherwise they are taken to go on coming at this rate.
    expected = 1 if distinct == 1 else -(-distinct * len(chosen.traits) // len(traits))
    return _Probe(seconds / len(traits), expected, of_pattern)


def _read_rate(chosen: Selection) -> float:
    """Bytes per second of the last traits' files, which are dropped from the page cache before."""
    done, started = 0, time.perf_counter()
    buffer = bytearray(8 << 20)
    for trait in reversed(chosen.traits):
        with open(chosen.gwas.file_of(trait), "rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while count := file.readinto(buffer):
                done += count
        if done >= PROBE_BYTES:
            break
    return done / max(time.perf_counter() - started, 1e-9)


def _write_rate(folder: str) -> float:
    """Bytes per second of a file written to the folder and brought to the disk; the file is removed."""
    piece = os.urandom(min(8 << 20, PROBE_BYTES))  # zeros would cost a compressing file system nothing
    started = time.perf_counter()
    with disk_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(PROBE_BYTES // len(piece)):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return PROBE_BYTES / max(time.perf_counter() - started, 1e-9)


def _nearest_folder(path: str | os.PathLike[str]) -> str:
    """The folder itself or the nearest one above it that is there."""
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _size(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _span(low: float, high: float) -> str:
    """Two times as people say them, rounded up: the estimate is not better than that."""
    short, long = _clock(low), _clock(high)
    return f"about {short}" if short == long else f"{short} to {long}"


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds < 5400:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
