"""The `gputwas` command: global flags, logging, exit codes, and the list of subcommands.

In: the command line. Out: an exit code (0 done, 2 usage, 3 bad input, 4 not enough resources, 1
anything else). Only the command that is asked for is put together, and what it needs is imported when it
runs, so that every command begins at once.
"""

from __future__ import annotations

import copy
import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gputwas.cli.reporting import Verbosity, report_error, start_logging

__all__ = ["commands", "main", "run"]

# In the order of --help: module, and the commands and groups that it brings.
_MODULES = {
    "models": ("models",),
    "gwas": ("gwas",),
    "associations": ("associate", "fdr", "export", "compare"),
    "multixcan": ("multixcan", "export"),
    "dropin": ("spredixcan", "smultixcan"),
    "study": ("plot", "demo", "simulate", "doctor"),
    "variants": ("variants",),
}
_COMPLETION = "_GPUTWAS_COMPLETE"  # set by a shell that asks how a word may go on


def _root(
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


def commands(words: Sequence[str] = ()) -> typer.Typer:
    """All commands, or only the one that these words name: each one more takes time to put together."""
    app = typer.Typer(
        name="gputwas",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_root)
    wanted = [module for module, names in _MODULES.items() if words and words[0] in names]
    for module in (wanted if _COMPLETION not in os.environ else []) or _MODULES:
        importlib.import_module(f"gputwas.cli.{module}").register(app)
    if wanted and _COMPLETION not in os.environ:
        _prune(app, words)
    return app


def _prune(app: typer.Typer, words: Sequence[str]) -> None:
    """Leave only the command that the words name; a group keeps all of its own if the next word is none."""
    commands = [command for command in app.registered_commands if command.name == words[0]]
    groups = [copy.copy(group) for group in app.registered_groups if group.name == words[0]]
    if not commands and not groups:
        return
    app.registered_commands, app.registered_groups = commands, groups
    for group in groups:
        group.typer_instance = copy.copy(group.typer_instance)  # its module's own stays whole
        if group.typer_instance is not None and len(words) > 1:
            _prune(group.typer_instance, words[1:])


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
        code = commands(words)(args=words, prog_name="gputwas", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Exception as error:
        return report_error(error, verbosity)
    except KeyboardInterrupt:
        logging.getLogger("gputwas").error("interrupted; run the same command again to go on")
        return 130


def run() -> None:
    """Entry point of the console script."""
    gc.set_threshold(50_000)  # imports leave many objects and hardly any garbage to look for
    sys.exit(main())
