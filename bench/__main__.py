"""In: a subcommand and its flags. Out: files under ``bench/results`` and a table on the screen."""

from __future__ import annotations

import argparse
import logging
import sys

from bench import spredixcan, stores
from bench.agree import Disagreement
from bench.measure import CommandFailed


def main(arguments: list[str] | None = None) -> int:
    """Run ``python -m bench``; 0 if measured, 1 if a program failed or answers differ."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    subcommands = parser.add_subparsers(dest="subject", required=True)
    subject = subcommands.add_parser("spredixcan", help="S-PrediXcan against MetaXcan and pytwas")
    spredixcan.add_arguments(subject)
    subject.set_defaults(run=spredixcan.main)
    subject = subcommands.add_parser("stores", help="write stores of the paper's shape, to try things on")
    stores.add_arguments(subject)
    subject.set_defaults(run=stores.main)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return options.run(options)
    except (CommandFailed, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
