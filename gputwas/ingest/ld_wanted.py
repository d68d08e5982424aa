"""What is to be made of genotypes, and where.

In: paths as a person gives them. Out: the same, told apart (store or text) and refused where they cannot be.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gputwas.errors import InputError, UsageError
from gputwas.files import check_target
from gputwas.formats.covariance_text import check_digits
from gputwas.ingest.models_pairs import PathLike

__all__ = ["TEXT_SUFFIXES", "LdOutputs"]

TEXT_SUFFIXES = (".txt", ".txt.gz")


@dataclass(frozen=True)
class LdOutputs:
    """What is to be written; at least one of the three.

    Attributes
    ----------
    store : folder of a model store.
    text : folder of covariance files, ``<tissue>.txt.gz`` each; made if it is absent.
    cross_tissue : a file of MetaXcan's cross-tissue covariance if its name ends in .txt or .txt.gz, otherwise
        the folder of a store of `GeneLd`.
    digits : significant digits in text; None for as many as give the same numbers again.
    overwrite : replace stores made from other files or options.
    """

    store: PathLike | None = None
    text: PathLike | None = None
    cross_tissue: PathLike | None = None
    digits: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.store is None and self.text is None and self.cross_tissue is None:
            raise UsageError("nothing is to be written: give --out, --text or --cross-tissue")
        check_digits(self.digits)

    @property
    def of_models(self) -> bool:
        """Whether the covariances of the models themselves are wanted."""
        return self.store is not None or self.text is not None

    @property
    def cross_tissue_text(self) -> str | None:
        """File of the cross-tissue covariance, if it is to be text."""
        name = None if self.cross_tissue is None else os.fspath(self.cross_tissue)
        return name if name is not None and name.endswith(TEXT_SUFFIXES) else None

    @property
    def cross_tissue_store(self) -> str | None:
        """Folder of the cross-tissue covariance, if it is to be a store."""
        if self.cross_tissue is None or self.cross_tissue_text is not None:
            return None
        return os.fspath(self.cross_tissue)

    @property
    def disk(self) -> str:
        """A folder that is there already, on the disk of an output: for files while it is being made."""
        folder = os.path.abspath(next(p for p in (self.cross_tissue, self.store, self.text) if p is not None))
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        return folder

    def text_file(self, tissue: str) -> str:
        """Covariance file of a tissue."""
        assert self.text is not None
        return os.path.join(self.text, f"{tissue}.txt.gz")

    def check(self, tissues: Sequence[str], read: Sequence[PathLike] = ()) -> None:
        """Refuse what cannot be written, before long work.

        Parameters
        ----------
        tissues : their names. read : files that are read and must not be written over.

        Raises
        ------
        UsageError
            If two outputs are one file, one is a file that is read, or text would lie in a store's folder.
        InputError
            If a place cannot be written to.
        """
        self._check_apart(tissues, {_real(path) for path in read})
        if self.text is not None:
            for tissue in tissues:
                check_target(self.text_file(tissue), folder_is_made=True)
        if self.cross_tissue_text is not None:
            check_target(self.cross_tissue_text)
        for folder in (self.store, self.cross_tissue_store):
            if folder is not None and os.path.isfile(folder):
                raise InputError(
                    "cannot write a store here, it is a file",
                    path=folder,
                    remedy="Name a folder; MetaXcan's text of the cross-tissue covariance ends in .txt.gz.",
                )

    def _check_apart(self, tissues: Sequence[str], read: set[str]) -> None:
        text, of_genes = self.text, self.cross_tissue_text
        stores = [_real(path) for path in (self.store, self.cross_tissue_store) if path is not None]
        texts = [] if text is None else [_real(text)]
        texts += [] if of_genes is None else [os.path.dirname(_real(of_genes))]
        for folder in stores:
            if stores.count(folder) > 1 or folder in texts:
                raise UsageError(f"{folder}: a store needs a folder of its own; name another for the rest")
        files = [] if text is None else [_real(self.text_file(tissue)) for tissue in tissues]
        if of_genes is not None and _real(of_genes) in files:
            raise UsageError(f"{of_genes}: is the file of a tissue in --text; give --cross-tissue another")
        for path in files + ([] if of_genes is None else [_real(of_genes)]):
            if path in read:
                raise UsageError(
                    f"{path}: is read, and would be written over; name another place for the text"
                )


def _real(path: PathLike) -> str:
    return os.path.realpath(path)
