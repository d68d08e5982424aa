"""In: a CUDA machine. Out: its ceilings, each kernel's share of them, `associate` on it beside a plain copy.

Results go to gpu-DEVICE.json and .md. Without a device it says so and fails, unless that is allowed.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import floors
from bench.associating import PAPER_TRAITS, Inputs, prepare
from bench.ceilings import Ceilings, bound, measure_ceilings
from bench.kernels import Row, kernel_rows
from bench.record import Measurement, Ratio, Record
from bench.report import number
from bench.session import Session, add_common, begin
from gputwas.stores.models import read_models_store

__all__ = ["add_arguments", "main", "roofline"]

log = logging.getLogger(__name__)
CASE = "paper"
TMPFS = Path("/dev/shm")
BATCH, SMALL_BATCH = 1_024, 256  # traits of the kernels' rows; the smaller where memory is
ROOMY = 40e9  # bytes free on the device
ASSOCIATION = ("csr_gather", "score_gather")
SLOWER, WHOLE_S = 2.0, 20.0  # asked for
DISK_SHARE = 0.7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench gpu``."""
    add_common(parser)
    parser.add_argument("--allow-missing", action="store_true", help="no device is no failure")
    parser.add_argument(
        "--traits", type=int, help=f"of the whole command (default: {PAPER_TRAITS:,}, or what fits)"
    )
    parser.add_argument("--kernels-only", action="store_true", help="leave out the whole command")


def main(options: argparse.Namespace) -> int:
    """Measure the device and write the results."""
    os.environ["CUPY_TF32"] = "0"  # before CuPy is loaded
    device, missing = _device()
    if device is None:
        print(f"no CUDA device: {missing}; nothing was measured", file=sys.stderr)
        return 0 if options.allow_missing else 1
    with begin(options) as session:
        traits = options.traits or (16 if session.quick else _traits_that_fit(session.work))
        inputs = prepare(session, "quick" if session.quick else CASE, 0 if options.kernels_only else traits)
        ceilings = measure_ceilings(quick=session.quick)
        models = read_models_store(inputs.models)
        batch = 32 if session.quick else _batch()
        rows = list(kernel_rows(models, traits=batch, seed=session.seed))
        measurements = [] if options.kernels_only else _whole_command(session, inputs)
        notes = [f"Device: {device}.", _ceilings_table(ceilings), roofline(rows, ceilings)]
        if measurements:
            notes.append(_about(inputs, _output_place(session, inputs)))
        name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
        session.keep(
            Record(
                f"gpu-{name}", f"On a CUDA device: {device}", session.quick, session.about,
                {"traits": inputs.traits, "batch": batch, "seed": session.seed, "device": device}, notes,
                measurements, _ratios(rows, ceilings, measurements, inputs.traits),
                {"ceilings": asdict(ceilings), "rows": [asdict(row) for row in rows]},
            )
        )  # fmt: skip
    return 0


def _device() -> tuple[str | None, str]:
    """Name of the device, or why there is none."""
    try:
        import cupy

        cupy.zeros(1).sum().item()
        return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode(), ""
    except Exception as error:  # CuPy raises a class of its own per CUDA layer
        return None, str(error).splitlines()[0] if str(error) else type(error).__name__


def _batch() -> int:
    """Traits of the kernels' rows: many, so that kernels outlast their launches."""
    import cupy

    return BATCH if cupy.cuda.runtime.memGetInfo()[0] > ROOMY else SMALL_BATCH


def _traits_that_fit(folder: Path) -> int:
    """The paper's traits, or as many as disk and memory hold beside the result."""
    per_trait = 600_000 * 8
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 0.6
    room = min(shutil.disk_usage(folder).free * DISK_SHARE, memory)
    return min(PAPER_TRAITS, int(room // per_trait))


def _whole_command(session: Session, inputs: Inputs) -> list[Measurement]:
    """`associate --backend cupy` and a plain copy in turn, output on tmpfs; the first repeat is not kept."""
    found = []
    with tempfile.TemporaryDirectory(prefix="gputwas-bench-", dir=_output_place(session, inputs)) as folder:
        result, copy = Path(folder) / "result", Path(folder) / "copy"
        copy.mkdir()
        for repeat in range(-1, session.repeats):
            log.info("associate --backend cupy, repeat %d", repeat)
            shutil.rmtree(result, ignore_errors=True)
            stores = ("--models", inputs.models, "--gwas", inputs.gwas, "--out", result)
            used = session.gputwas("associate", *stores, "--backend", "cupy")
            found.append(Measurement(CASE, "gputwas", "associate --backend cupy", repeat, used))
            sizes = floors.sizes_below(result)
            shutil.rmtree(result)
            used = floors.copy_bytes(inputs.files, sizes, copy)
            found.append(Measurement(CASE, "floor", "plain copy", repeat, used))
    return [item for item in found if item.repeat >= 0]


def _output_place(session: Session, inputs: Inputs) -> Path:
    """tmpfs where it holds the result and a copy of it, else the working folder."""
    needed = 3 * inputs.traits * read_models_store(inputs.models).n_models * 8
    if TMPFS.is_dir() and os.access(TMPFS, os.W_OK) and shutil.disk_usage(TMPFS).free > needed:
        return TMPFS
    return session.work


def _about(inputs: Inputs, place: Path) -> str:
    where = "on tmpfs" if place == TMPFS else "on disk (tmpfs is too small here)"
    return (
        f"Whole command: {inputs.traits:,} traits, {inputs.bytes_read / 1e9:.1f} GB of z and effect in the "
        f"page cache, output {where}; the plain copy reads and writes as many bytes from and to the same "
        "places, one thread."
    )


def _ceilings_table(ceilings: Ceilings) -> str:
    lines = [
        "| ceiling, measured | per second |",
        "|---|---:|",
        f"| device-to-device copy, bytes read and written | {ceilings.copy / 1e12:.2f} TB |",
        f"| float32 product, TF32 off | {ceilings.float32 / 1e12:.1f} TFLOP |",
        f"| float64 product | {ceilings.float64 / 1e12:.1f} TFLOP |",
        f"| pinned host to device | {ceilings.host_to_device / 1e9:.1f} GB |",
        f"| device to pinned host | {ceilings.device_to_host / 1e9:.1f} GB |",
        f"| bit counts of 32-bit words | {ceilings.popc / 1e12:.2f} T |",
        "| conversions to float64, not measured: multiprocessors x highest clock x rate per clock "
        f"| {f'{ceilings.conversions / 1e12:.2f} T' if ceilings.conversions else 'unknown'} |",
    ]
    return "\n".join(lines)


def roofline(rows: Sequence[Row], ceilings: Ceilings) -> str:
    """Each kernel as a share of the ceiling that binds it."""
    lines = [
        "| kernel | work | ms | least ms | bound by | share of the ceiling |",
        "|---|---|---:|---:|---|---:|",
    ]
    for row in rows:
        least, name = bound(row.work, ceilings)
        lines.append(
            f"| {row.name} | {row.what} | {number(row.seconds * 1e3)} | {number(least * 1e3)} | {name} "
            f"| {least / row.seconds:.0%} |"
        )
    return "\n".join(lines)


def _ratios(
    rows: Sequence[Row], ceilings: Ceilings, measurements: list[Measurement], traits: int
) -> list[Ratio]:
    ratios = [
        Ratio(
            f"{row.name}: time relative to bytes / bandwidth", row.seconds / (row.work.bytes / ceilings.copy),
            SLOWER, at_least=False,
        )
        for row in rows
        if row.name in ASSOCIATION
    ]  # fmt: skip
    if not measurements:
        return ratios
    walls = {
        program: statistics.median(item.usage.wall_s for item in measurements if item.program == program)
        for program in ("gputwas", "floor")
    }
    asked = WHOLE_S if traits == PAPER_TRAITS else None
    return [
        *ratios,
        Ratio(f"whole command, {traits:,} traits, seconds", walls["gputwas"], asked, at_least=False),
        Ratio(
            "whole command relative to a plain copy", walls["gputwas"] / walls["floor"], None, at_least=False
        ),
    ]
