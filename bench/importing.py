"""In: flags. Out: processor time of importing one GWAS file, against ``gzip -dc FILE > /dev/null``.

The cost of a file is a difference of whole commands in one worker process: the first file's is that of the
whole file less that of a stub of it, in proportion to the rows that the stub lacks; a known layout's is that
of K files less that of one. What a process costs once (Python, modules, panel) is so told apart.
"""

from __future__ import annotations

import argparse
import logging
import statistics
from pathlib import Path

from bench import floors
from bench.inputs import BIG40_ROWS, MANY, Sizes, make_study
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, at_least_two, begin

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
STUB_ROWS = 250_000  # above 4 MiB, so that it is read in the same way as the whole file
FIRST, KNOWN = 1.25, 0.6  # asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench import``."""
    add_common(parser)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[1_000_000, BIG40_ROWS], help="rows of the files"
    )
    parser.add_argument(
        "--files", type=at_least_two, default=5, help="files of one layout (3 above 5 million rows)"
    )
    parser.add_argument("--tissues", type=int, default=5, help="tissues whose models make the panel")


def main(options: argparse.Namespace) -> int:
    """Measure each length of file and write the results."""
    rows = [60_000] if options.quick else options.rows
    measurements: list[Measurement] = []
    ratios: list[Ratio] = []
    figures: dict[str, float] = {}
    with begin(options) as session:
        for count in rows:
            case = f"{count:,} rows"
            files = 3 if count > 5_000_000 or session.quick else options.files
            shape = (500, 6_000, files, 1) if session.quick else (*MANY, files, options.tissues)
            found, megabytes = _case(case, session, Sizes(count, *shape))
            measurements += found
            costs = _costs(case, found, files, count)
            ratios += _ratios(case, costs)
            figures |= {f"{name}_{count}": value for name, value in (costs | megabytes).items()}
        notes = [
            "One worker process (`--workers 1`), models of "
            f"{1 if session.quick else options.tissues} tissues. *First file*: the whole file less a stub of "
            f"its first {_stub_rows(rows[0]):,} rows, scaled to all rows. *Once a process*: the stub less "
            "its share of that: starting Python, loading modules, reading the panel. *Known "
            "layout*: K files less one, by K - 1. gzip is the whole command, ISA-L the decompression alone. "
            "Files are in the page cache.",
        ]
        notes += [
            f"{case}: first file {figures[f'first_cpu_s_{n}']:.2f} s, known layout "
            f"{figures[f'known_cpu_s_{n}']:.2f} s, once a process {figures[f'start_cpu_s_{n}']:.2f} s, "
            f"gzip -dc {figures[f'gzip_cpu_s_{n}']:.2f} s of processor time."
            for case, n in ((f"{n:,} rows", n) for n in rows)
        ]
        parameters = {"rows": rows, "files": options.files, "tissues": options.tissues, "seed": session.seed}
        title = "Importing a GWAS file against decompressing it"
        session.keep(
            Record(
                "import",
                title,
                session.quick,
                session.about,
                parameters,
                notes,
                measurements,
                ratios,
                figures,
            )
        )
    return 0


def _case(case: str, session: Session, sizes: Sizes) -> tuple[list[Measurement], dict[str, float]]:
    """Commands and floors in turn on files of one length."""
    log.info("%s: writing inputs, %s", case, sizes)
    folder = session.folder("input")
    study = make_study(folder, sizes, session.seed)
    models = folder / "store"
    session.gputwas("models", "import", *[tissue.model for tissue in study.tissues], "--out", models)
    stub = _stub(study.gwas[0], folder / "stub.txt.gz", _stub_rows(sizes.rows))
    runs = {"a stub": [stub], "1 file": study.gwas[:1], f"{len(study.gwas)} files": study.gwas}
    found = []
    for repeat in range(0 if session.quick else -1, session.repeats):
        for step, files in runs.items():
            log.info("%s: %s, repeat %d", case, step, repeat)
            out = session.folder("out") / "gwas"
            words = ("gwas", "import", *files, "--models", models, "--out", out, "--workers", 1)
            found.append(Measurement(case, "gputwas", step, repeat, session.gputwas(*words)))
        found.append(Measurement(case, "gzip", "-dc", repeat, floors.gzip_to_null(study.gwas[0])))
        found.append(Measurement(case, "floor", "ISA-L inflate", repeat, floors.inflate(study.gwas[:1])))
    packed = study.gwas[0].stat().st_size
    return [item for item in found if item.repeat >= 0], {"file_megabytes": packed / 1e6}


def _stub_rows(rows: int) -> int:
    return min(STUB_ROWS, rows // 4)


def _stub(source: Path, path: Path, rows: int) -> Path:
    """The first rows of a file, a file of its own."""
    from isal import igzip

    with igzip.open(source, "rt") as file, igzip.open(path, "wt") as out:
        for _ in range(rows + 1):
            out.write(file.readline())
    return path


def _costs(case: str, found: list[Measurement], files: int, rows: int) -> dict[str, float]:
    """Processor seconds, medians over repeats of the differences within one."""
    stub_share = _stub_rows(rows) / rows
    cpu = {
        step: {item.repeat: item.usage.cpu_s for item in found if item.step == step}
        for step in ("a stub", "1 file", f"{files} files")
    }
    stub, one, several = cpu.values()
    first = statistics.median((one[k] - stub[k]) / (1 - stub_share) for k in one)
    return {
        "first_cpu_s": first,
        "start_cpu_s": statistics.median(stub.values()) - stub_share * first,
        "known_cpu_s": statistics.median((several[k] - one[k]) / (files - 1) for k in one),
        "gzip_cpu_s": median(found, "cpu_s", case=case, program="gzip"),
        "inflate_cpu_s": median(found, "cpu_s", case=case, program="floor"),
    }


def _ratios(case: str, costs: dict[str, float]) -> list[Ratio]:
    def over(name: str, base: str) -> float:
        return costs[name] / costs[base]

    return [
        Ratio(f"{case}: first file, processor time relative to gzip -dc", over("first_cpu_s", "gzip_cpu_s"),
              FIRST, at_least=False),
        Ratio(f"{case}: known layout, relative to gzip -dc", over("known_cpu_s", "gzip_cpu_s"), KNOWN,
              at_least=False),
        Ratio(f"{case}: known layout, relative to ISA-L inflating", over("known_cpu_s", "inflate_cpu_s"),
              at_least=False),
    ]  # fmt: skip
