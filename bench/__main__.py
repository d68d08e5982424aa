"""In: a subcommand and its flags. Out: files under ``bench/results`` and pages on the screen."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys

from bench.agree import Disagreement
from bench.measure import CommandFailed

# name -> module, what it measures
SUBJECTS = {
    "spredixcan": ("bench.spredixcan", "one trait in one tissue against MetaXcan and pytwas"),
    "many": ("bench.many", "many traits in several tissues against MetaXcan"),
    "import": ("bench.importing", "importing a GWAS file against decompressing it"),
    "models": ("bench.models", "importing models against MetaXcan's loading of them"),
    "associate": ("bench.associating", "scoring at paper scale on the CPU against a plain copy"),
    "growth": ("bench.growth", "time and memory against the number of traits"),
    "fdr": ("bench.correcting", "Benjamini-Hochberg over all tests against one read of them"),
    "lift": ("bench.lift", "liftover of a million positions against pyliftover"),
    "multixcan": ("bench.multixcan", "joint tests of all genes and traits against SMulTiXcan.py"),
    "gpu": ("bench.gpu", "kernels and scoring on a CUDA device against its ceilings"),
    "road": ("bench.road", "core-hours of the paper's study, computed from the other results"),
}
TOOLS = {
    "stores": ("bench.stores", "write stores of the paper's shape, to try things on"),
    "page": ("bench.pages", "write the pages anew from the JSON of the results"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``python -m bench``; 0 if measured, 1 if a program failed or answers differ."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    subcommands = parser.add_subparsers(dest="subject", required=True)
    for name, (module, text) in (SUBJECTS | TOOLS).items():
        subject = subcommands.add_parser(name, help=text)
        loaded = importlib.import_module(module)
        loaded.add_arguments(subject)
        subject.set_defaults(run=loaded.main)
    everything = subcommands.add_parser("all", help="every subject in turn; other flags go to each of them")
    everything.set_defaults(run=None)
    options, rest = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if options.run is None:
        return _all(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return options.run(options)
    except (CommandFailed, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _all(flags: list[str]) -> int:
    """Run every subject; the first failure is what is returned, at the end."""
    statuses = {}
    for name in SUBJECTS:
        logging.getLogger(__name__).info("== %s", name)
        statuses[name] = main([name, *flags, *(["--allow-missing"] if name == "gpu" else [])])
    failed = [name for name, status in statuses.items() if status]
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
