"""gputwas: transcriptome-wide association studies of every trait in every tissue, on one machine."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gputwas")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
