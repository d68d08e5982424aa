"""How associations are to be computed: what a user can choose, and what follows from it.

In: choices, a `Selection`, a backend. Out: a `Plan`, and a description of what a run computes with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.backends.memory import memory_budget
from gputwas.errors import UsageError
from gputwas.executors.choose import available_cores
from gputwas.twas.plan import BLOCK_SIZE, Plan, StudySize, make_plan
from gputwas.twas.products import way_of_scoring
from gputwas.twas.selection import Selection
from gputwas.twas.variance import ld_stays_on_device

__all__ = ["AssociateSettings", "SetUp", "plan_selection"]

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class AssociateSettings:
    """How to compute. Backend and method change the last bits of a result, the rest changes none.

    Attributes
    ----------
    backend : see `gputwas.backends.choose.BACKENDS`. method : see `gputwas.twas.products.METHODS`.
    precision : of the stored results. Sums are float64 in either case.
    memory : budget such as "4GB"; None is half of what is free, at most 4 GB.
    workers : threads that score tiles of traits; None is one per core.
    block_size : traits per file of the store. overwrite : begin anew over an existing store.
    """

    backend: str = "auto"
    method: str = "auto"
    precision: str = "float32"
    memory: str | None = None
    workers: int | None = None
    block_size: int = BLOCK_SIZE
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision is {' or '.join(PRECISIONS)}, not {self.precision!r}")
        if self.block_size < 1 or (self.workers is not None and self.workers < 1):
            raise UsageError("block size and number of workers must be at least 1")


@dataclass(frozen=True)
class SetUp:
    """What a run computes with, in words that can be sent from one process to another.

    Attributes
    ----------
    backend, device, reason : see `gputwas.backends.choose.Backend`. method : see `method_name`.
    plan : how the work is cut.
    """

    backend: str
    device: str
    reason: str
    method: str
    plan: Plan


def plan_selection(
    chosen: Selection, settings: AssociateSettings, backend: Backend, method: str, *, device_parts: int = 1
) -> Plan:
    """How the work is cut for these settings; `method` is settled. Raises as `make_plan`.

    `device_parts` processes share a device.
    """
    models = chosen.models
    slices = [models.tissue_slice(tissue) for tissue in models.tissues]
    size = StudySize(
        traits=len(chosen.traits), variants=chosen.n_variants, models=models.n_models,
        entries=int(models.offsets[-1]), triangles=int(models.ld_offsets[-1]),
        largest_tissue=max((rows.stop - rows.start for rows in slices), default=0),
        mapped=chosen.rows is not None,
    )  # fmt: skip
    free = backend.free_memory()
    return make_plan(
        size, memory_budget(settings.memory), item_bytes=np.dtype(settings.precision).itemsize,
        block_size=settings.block_size, threads=settings.workers or available_cores(),
        way=way_of_scoring(backend, method),
        device_budget=None if free is None else free // device_parts,
        ld_on_device=ld_stays_on_device(models.ld.nbytes, backend),
    )  # fmt: skip
