"""All genes in all traits, tissues combined: S-MultiXcan, and the Cauchy combination that needs no LD.

In: an association store, and for S-MultiXcan the models, the GWAS and the cross-tissue LD behind it. Out: a
joint store, block of traits by block of traits, in memory bounded by the budget. A block that is on disk is
not computed again.

Traits that miss the same SNPs share everything but z: correlations of the tissues and their truncated
inverses are made once per gene and pattern, and every trait is one more column of a product.

z-scores that are stored as float32 are rounded by 6e-8, and z' R+ z amplifies that by at most twice the root
of the condition number that is kept (|z|^2 / l1 <= z' R+ z, and R+ z is at most its root over that of the
smallest eigenvalue): 7e-7 of a statistic at the usual 30.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gputwas.backends.choose import Backend, choose_backend
from gputwas.backends.memory import memory_budget, peak_memory, units_that_fit
from gputwas.errors import UsageError
from gputwas.progress import progress
from gputwas.stats.truncated import Cutoff
from gputwas.stores.arrow import padded_matrix
from gputwas.stores.gene_ld import GeneLd
from gputwas.stores.joint import JointKind, JointPattern, JointStatus, JointStore
from gputwas.twas.multixcan_acat import combine_tissues
from gputwas.twas.multixcan_patterns import TRAITS_AT_ONCE, PatternTests, pattern_bytes, pattern_tests
from gputwas.twas.multixcan_sources import JointSelection, select_joint

__all__ = ["DEFAULT_CUTOFF", "JointReport", "JointSettings", "multixcan"]

log = logging.getLogger(__name__)

Path = str | os.PathLike[str]
DEFAULT_CUTOFF = Cutoff("condition_number", 30.0)  # as in the S-MultiXcan tutorial of MetaXcan's wiki
PRECISIONS = ("float32", "float64")
GENES_AT_ONCE = 1024  # combined by ACAT; fixed, so that a gene's bits do not depend on its neighbours
FLOAT32 = 2.0**-24  # relative rounding of a z-score stored as float32
AMPLIFIED = 1e-6  # share of the largest eigenvalue below which that rounding is more than 1e-4 of a statistic
INTERMEDIATE = 24  # arrays of the values that ACAT holds at a time, at most


@dataclass(frozen=True)
class JointSettings:
    """How to compute. The backend changes the last bits of a result, memory and workers change none.

    Attributes
    ----------
    cutoff, regularization : see `gputwas.stats.truncated.truncate`.
    backend : see `gputwas.backends.choose.BACKENDS`. precision : of the stored results; sums are float64.
    memory : budget such as "4GB". overwrite : begin anew over an existing store.
    """

    cutoff: Cutoff = field(default_factory=lambda: DEFAULT_CUTOFF)
    regularization: float = 0.0
    backend: str = "auto"
    precision: str = "float32"
    memory: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision is {' or '.join(PRECISIONS)}, not {self.precision!r}")
        if not 0 <= self.regularization < np.inf:
            raise UsageError(f"regularization is a number of 0 or above, not {self.regularization}")


@dataclass(frozen=True)
class JointReport:
    """What a run did; `genes_in_ld` is 0 where no LD was given."""

    n_traits: int
    n_tissues: int
    n_genes: int
    genes_in_ld: int
    n_patterns: int
    blocks_computed: int
    blocks_kept: int
    device: str
    seconds: float


def multixcan(
    associations: Path,
    out: Path,
    *,
    models: Path | None = None,
    gwas: Path | None = None,
    ld: GeneLd | None = None,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    settings: JointSettings | None = None,
) -> JointReport:
    """Combine the tissues of every gene in every trait.

    Parameters
    ----------
    associations : store of z-scores. out : the joint store to write or to go on with.
    models, gwas, ld : what the associations were computed from, and cross-tissue LD; all three for
        S-MultiXcan, none for ACAT alone.
    traits, tissues : only these; all by default.

    Raises
    ------
    InputError : stores do not belong together, a trait or tissue is unknown, or `out` was begun from other
        inputs.
    ResourceError : one trait does not fit the memory budget, or the disk is full.
    UsageError : some but not all of `models`, `gwas` and `ld` are given.
    """
    settings = settings or JointSettings()
    started = time.monotonic()
    if len({value is None for value in (models, gwas, ld)}) > 1:
        raise UsageError("S-MultiXcan needs models, GWAS and cross-tissue LD; ACAT alone needs none of them")
    chosen = select_joint(associations, models=models, gwas=gwas, ld=ld, traits=traits, tissues=tissues)
    backend = choose_backend(settings.backend)
    plan = _plan(chosen, settings)
    with _open_store(out, chosen, settings, backend) as store:
        run = _Run(chosen, store, settings, backend, plan)
        computed = run.all_blocks()
        _say_amplified(chosen, run.smallest)
        report = JointReport(
            n_traits=len(chosen.traits), n_tissues=len(chosen.tissues), n_genes=chosen.genes.n_genes,
            genes_in_ld=0 if chosen.design is None else chosen.design.n_in_ld,
            n_patterns=len({chosen.associations.pattern_of(name) for name in chosen.traits}),
            blocks_computed=computed, blocks_kept=store.n_blocks - computed, device=backend.device,
            seconds=time.monotonic() - started,
        )  # fmt: skip
        if computed or not store.is_complete:
            store.finish(
                vars(report) | {"backend": backend.name, "reason": backend.reason,
                                "peak_memory_bytes": peak_memory()}
            )  # fmt: skip
    return report


def _open_store(out: Path, chosen: JointSelection, settings: JointSettings, backend: Backend) -> JointStore:
    joint = chosen.design is not None
    parameters: dict[str, object] = {"precision": settings.precision, "backend": backend.name}
    parameters |= {"tissues": chosen.tissues}
    if joint:
        parameters["cutoff"] = [settings.cutoff.kind, settings.cutoff.value]
        parameters["regularization"] = settings.regularization
    known = chosen.associations.traits
    places = {name: row for row, name in enumerate(chosen.associations.trait_names)}
    return JointStore.create(
        out,
        genes=chosen.genes.table,
        models=chosen.models,
        traits=known.take([places[name] for name in chosen.traits]).combine_chunks(),
        block_size=chosen.associations.block_size,
        kinds=("statistic", "acat") if joint else ("acat",),
        parameters=parameters,
        inputs=chosen.inputs(),
        overwrite=settings.overwrite,
    )


def _say_amplified(chosen: JointSelection, smallest: float) -> None:
    """Warn where the rounding of stored z-scores shows in the statistics; `smallest` as in `_Run`."""
    if smallest < AMPLIFIED and chosen.associations.manifest.parameters["precision"] == "float32":
        log.warning(
            "eigenvalues of down to %.1g of the largest are kept and z-scores are stored as float32: "
            "statistics may be off by %.1g of their value; use `gputwas associate --precision float64` or a "
            "stricter cut-off",
            smallest, 2 * FLOAT32 / np.sqrt(smallest),
        )  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    """Traits whose z-scores are held at once, and bytes for patterns that are kept beside a new one."""

    traits: int
    for_patterns: int


def _plan(chosen: JointSelection, settings: JointSettings) -> _Plan:
    """How the work is cut to fit the budget; a ResourceError if one trait does not fit."""
    budget = memory_budget(settings.memory)
    models, genes, size = chosen.models.num_rows, chosen.genes.n_genes, chosen.associations.block_size
    fixed = genes * size * 2 * np.dtype(settings.precision).itemsize
    fixed += INTERMEDIATE * 8 * min(GENES_AT_ONCE, genes) * TRAITS_AT_ONCE * len(chosen.tissues)
    new = 0 if chosen.design is None else pattern_bytes(chosen.design)
    of_trait = models * 8 + 1
    units_that_fit(budget, fixed + new, of_trait, most=size)  # one trait of one pattern, or an error
    kept = min(budget // 4, budget - fixed - new - of_trait)
    at_once = units_that_fit(budget, fixed + new + kept, of_trait, most=size)
    log.info(
        "plan: %d genes, %d models, %d traits, %d at a time",
        genes, models, len(chosen.traits), min(at_once, len(chosen.traits)),
    )  # fmt: skip
    return _Plan(at_once, kept)


class _Run:
    """One run: what it computes with, and the patterns it keeps from one block to the next."""

    def __init__(
        self,
        chosen: JointSelection,
        store: JointStore,
        settings: JointSettings,
        backend: Backend,
        plan: _Plan,
    ) -> None:
        self._chosen, self._store, self._settings, self._backend = chosen, store, settings, backend
        self._dtype = np.dtype(settings.precision)
        self._kept: OrderedDict[str, PatternTests] = OrderedDict()
        self._for_patterns, self._at_once = plan.for_patterns, plan.traits
        self.smallest = 1.0  # eigenvalue kept, as a share of its gene's largest

    def all_blocks(self) -> int:
        """Compute the blocks that are not on disk yet; returns how many."""
        missing = [block for block in range(self._store.n_blocks) if not self._store.has_block(block)]
        with progress("Joint tests", len(self._chosen.traits), "traits") as shown:
            for block in range(self._store.n_blocks):
                if block in missing:
                    self._block(block)
                shown.advance(len(self._store.block_traits(block)))
        return len(missing)

    def _block(self, block: int) -> None:
        names = self._store.block_traits(block)
        genes = self._chosen.genes.n_genes
        digests = [self._chosen.associations.pattern_of(name) for name in names]
        values: dict[JointKind, np.ndarray] = {}
        for kind in self._store.kinds:
            values[kind] = padded_matrix(genes, len(names), self._dtype)
            values[kind][...] = np.nan
        for start in range(0, len(names), self._at_once):
            part = slice(start, min(start + self._at_once, len(names)))
            z = self._z(names[part])
            _combine_p(self._chosen, z, values["acat"][:, part], self._backend)
            if self._chosen.design is not None:
                self._statistics(names[part], digests[part], z, values["statistic"][:, part])
        for digest in dict.fromkeys(digests):
            if self._chosen.design is None and not self._store.has_pattern(digest):
                self._store.write_pattern(digest, self._without_ld(digest))
        self._store.write_block_patterns(block, digests)
        self._store.write_block(block, values)

    def _z(self, names: Sequence[str]) -> np.ndarray:
        """z-scores of traits, (traits, models), of the precision of the association store."""
        store = self._chosen.associations
        of_block: dict[int, list[tuple[int, int]]] = {}
        for row, name in enumerate(names):
            block, column = store.locate(name)
            of_block.setdefault(block, []).append((row, column))
        z: np.ndarray | None = None
        for block, pairs in of_block.items():
            rows, columns = (list(side) for side in zip(*pairs, strict=True))
            end = 0
            for tissue in self._chosen.tissues:
                found = store.read_block(tissue, block)
                if z is None:
                    z = np.empty((len(names), self._chosen.models.num_rows), found.dtype)
                z[rows, end : end + len(found)] = found.T[columns]
                end += len(found)
        assert z is not None
        return z

    def _statistics(
        self, names: Sequence[str], digests: Sequence[str], z: np.ndarray, out: np.ndarray
    ) -> None:
        """Fill (genes, traits) `out` from (traits, models) z-scores, pattern by pattern."""
        for digest in dict.fromkeys(digests):
            columns = [column for column, found in enumerate(digests) if found == digest]
            tests = self._tests(digest, names[columns[0]])
            for start in range(0, len(columns), TRAITS_AT_ONCE):
                chosen = columns[start : start + TRAITS_AT_ONCE]
                of_chosen = z[chosen]
                for batch in tests.batches:
                    out[batch.genes[:, None], chosen] = batch.statistics(of_chosen, self._backend)

    def _tests(self, digest: str, trait: str) -> PatternTests:
        """Truncated inverses of a pattern, of which `trait` is an example."""
        if digest in self._kept:
            self._kept.move_to_end(digest)
            return self._kept[digest]
        design, settings = self._chosen.design, self._settings
        assert design is not None
        present, has_z = self._chosen.present(trait), self._chosen.has_z(digest)
        while self._kept and sum(held.nbytes for held in self._kept.values()) > self._for_patterns:
            self._kept.popitem(last=False)
        tests = pattern_tests(
            design, present, has_z, settings.cutoff, settings.regularization, self._backend
        )  # fmt: skip
        self._store.write_pattern(digest, tests.pattern)
        ratio = tests.pattern.eigen_min_kept / tests.pattern.eigen_max
        self.smallest = float(np.fmin.reduce(ratio, initial=self.smallest))
        self._kept[digest] = tests
        return tests

    def _without_ld(self, digest: str) -> JointPattern:
        """What is known of the genes where there is no LD: the tissues that have a z-score."""
        genes, has_z = self._chosen.genes, self._chosen.has_z(digest)
        counts = np.bincount(genes.of_model[has_z], minlength=genes.n_genes).astype(np.int32)
        unknown = np.full(genes.n_genes, np.nan)
        status = np.where(counts > 0, JointStatus.NO_LD, JointStatus.NO_RESULT).astype(np.int8)
        return JointPattern(
            n_indep=np.zeros_like(counts), n_tissues=counts, eigen_max=unknown, eigen_min=unknown,
            eigen_min_kept=unknown, tmi=unknown, status=status, tested=has_z,
        )  # fmt: skip


def _combine_p(chosen: JointSelection, z: np.ndarray, out: np.ndarray, backend: Backend) -> None:
    """Fill (genes, traits) `out` with the -log10 p of ACAT over all tissues with a z-score."""
    genes = chosen.genes
    counts = np.diff(genes.offsets)
    for tissues in np.unique(counts):
        of_size = np.flatnonzero(counts == tissues)
        for start in range(0, len(of_size), GENES_AT_ONCE):
            part = of_size[start : start + GENES_AT_ONCE]
            models = genes.order[genes.offsets[part][:, None] + np.arange(tissues)].T
            for first in range(0, len(z), TRAITS_AT_ONCE):
                of_traits = np.take(z[first : first + TRAITS_AT_ONCE], models, axis=1)
                combined = combine_tissues(of_traits.astype(np.float64), backend)
                out[part, first : first + TRAITS_AT_ONCE] = combined.T
