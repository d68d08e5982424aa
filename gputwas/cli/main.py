"""The `gputwas` command: global flags, logging, exit codes, and the list of subcommands.

In: the command line. Out: an exit code (0 done, 2 usage, 3 bad input, 4 not enough resources, 1
anything else). Commands are imported when this module is, but what they need is imported when they run, so
that `--help` answers at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gputwas.cli import associations, dropin, fusion, gwas, models, multixcan, study, variants
from gputwas.cli.reporting import Verbosity, report_error, start_logging

__all__ = ["app", "main"]

app = typer.Typer(
    name="gputwas",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Errors and warnings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more of what is done.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log one JSON object per line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
) -> None:
    """Transcriptome-wide association studies of every trait in every tissue, on one machine.

    A study in four commands:

        gputwas models import JTI_*.db --covariance . --out models

        gputwas gwas import --manifest traits.tsv --models models --out gwas

        gputwas associate --models models --gwas gwas --out associations

        gputwas fdr associations --out significant.tsv

    `gputwas demo` runs the whole of it on a synthetic study. The flags below may stand anywhere.
    """
    del context, version, quiet, verbose, log_json, debug  # taken from anywhere on the line by `main`


models.register(app)
fusion.register()
gwas.register(app)
associations.register(app)
multixcan.register(app)
dropin.register(app)
study.register(app)
variants.register(app)

_FLAGS = {
    "--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose",
    "--log-json": "log_json", "--debug": "debug",
}  # fmt: skip


def _global_flags(arguments: Sequence[str]) -> tuple[list[str], Verbosity]:
    """Take the global flags out of a command line, wherever they stand before a lone `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    chosen = {_FLAGS[word]: True for word in arguments[:end] if word in _FLAGS}
    rest = [word for word in arguments[:end] if word not in _FLAGS]
    return rest + list(arguments[end:]), Verbosity(**chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : words after the program's name; those of the process by default.
    """
    words, verbosity = _global_flags(sys.argv[1:] if arguments is None else list(arguments))
    if words == ["--version"]:
        from gputwas import __version__

        typer.echo(f"gputwas {__version__}")
        return 0
    start_logging(verbosity)
    try:
        code = app(args=words, prog_name="gputwas", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Exception as error:
        return report_error(error, verbosity)
    except KeyboardInterrupt:
        logging.getLogger("gputwas").error("interrupted; run the same command again to go on")
        return 130


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())
