"""gputwas: transcriptome-wide association studies of every trait in every tissue, on one machine."""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: finding it costs more than the rest of `gputwas --help`."""
    if name != "__version__":
        raise AttributeError(f"module 'gputwas' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gputwas")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
