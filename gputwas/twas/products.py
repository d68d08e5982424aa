"""Numerators of the scores: weighted sums of z and beta over the SNPs of each model, for a batch of traits.

In: a `ScoreOperator` and (variants, traits) statistics. Out: (models, traits) float64 sums on the host. Four
ways give them: SciPy's CSR product (NumPy), length-bucketed padding (any array-API library), the CUDA kernel
(CuPy) and dense genomic windows (any library, `gputwas.twas.dense_blocks`). Within one way a trait's sums do
not depend on the batch it came in, bit by bit: all are float64; the dense way multiplies tiles of one shape,
in the others every sum runs over the SNPs of its model in their stored order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.errors import UsageError
from gputwas.kernels import library
from gputwas.twas.operator import ScoreOperator
from gputwas.twas.variance import length_groups

__all__ = [
    "METHODS",
    "MOST_GATHERED",
    "GwasBatch",
    "Numerators",
    "prepare_products",
    "way_of_multiplying",
    "way_of_scoring",
]

METHODS = ("auto", "csr", "padded", "dense")
MOST_GATHERED = 8_000_000  # values gathered at once by the padded way: 64 MB of float64


@dataclass(frozen=True)
class GwasBatch:
    """z and beta of a batch of traits in the layout of one way of multiplying.

    Attributes
    ----------
    z : (variants, traits); beta : (variants, traits) or None when no trait of the batch has effects.
    """

    z: Any
    beta: Any | None


class Numerators(Protocol):
    """One way of multiplying, bound to one operator."""

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> Any:
        """Bring (traits, variants) host arrays, NaN where missing, into this way's layout, a batch."""

    def sums(self, batch: Any, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """z and effect sums of a range of models, (models, traits) float64."""


def way_of_multiplying(backend: Backend, method: str = "auto") -> str:
    """ "csr", "padded" or "dense": as asked for, or by "auto" CSR on NumPy and CUDA, padding elsewhere.

    Raises
    ------
    UsageError : the method is unknown, or CSR is asked of a library that has no sparse product.
    """
    if method not in METHODS:
        raise UsageError(f"the method of multiplying is one of {', '.join(METHODS)}, not {method!r}")
    sparse = backend.name in ("numpy", "cupy")
    if method == "csr" and not sparse:
        raise UsageError(f"backend {backend.name} has no sparse product; use --method padded")
    return ("csr" if sparse else "padded") if method == "auto" else method


def way_of_scoring(backend: Backend, method: str = "auto") -> str:
    """How a whole run scores: "tiled" or "streamed" where CSR kernels of our own are, else as above."""
    way = way_of_multiplying(backend, method)
    if way == "csr" and backend.name == "cupy":
        return "streamed"
    return "tiled" if way == "csr" and library.is_there() else way


def prepare_products(operator: ScoreOperator, backend: Backend, method: str = "auto") -> Numerators:
    """Bind the way of multiplying of a backend and method to an operator; errors as `way_of_multiplying`."""
    way = way_of_multiplying(backend, method)
    if way == "dense":
        from gputwas.twas.dense_blocks import DenseBlocks

        return DenseBlocks(operator, backend)
    if way == "padded":
        return _Padded(operator, backend)
    return _SciPyCsr(operator) if backend.name == "numpy" else _CudaCsr(operator, backend)


class _SciPyCsr:
    """SciPy's CSR times dense; missing SNPs are zeroed beforehand."""

    def __init__(self, operator: ScoreOperator) -> None:
        self._operator = operator

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> GwasBatch:
        missing = np.isnan(z)
        return GwasBatch(_transposed(z, missing), None if beta is None else _transposed(beta, missing))

    def sums(self, batch: GwasBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        z_sums = self._matrix(self._operator.z_weights, models, batch.z.shape[0]) @ batch.z
        if batch.beta is None:
            return z_sums, None
        return z_sums, self._matrix(self._operator.effect_weights, models, batch.z.shape[0]) @ batch.beta

    def _matrix(self, weights: np.ndarray, models: slice, n_variants: int) -> Any:
        from scipy.sparse import csr_array

        offsets = self._operator.offsets[models.start : models.stop + 1]
        inside = slice(int(offsets[0]), int(offsets[-1]))
        parts = (weights[inside], self._operator.variants[inside], offsets - offsets[0])
        return csr_array(parts, shape=(offsets.size - 1, n_variants))


def _transposed(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(variants, traits) float64 copy with zeros where z is missing."""
    out = np.empty(values.shape[::-1], dtype=np.float64)
    out[...] = values.T
    out[missing.T] = 0.0
    return out


class _Padded:
    """Models of one length as dense arrays, gathered and summed by the array-API twin of the kernel."""

    def __init__(self, operator: ScoreOperator, backend: Backend) -> None:
        from gputwas.kernels.twins import padded_gather

        self._operator = operator
        self._backend = backend
        self._gather = backend.compiled(padded_gather)

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> GwasBatch:
        on_device = self._backend.asarray
        return GwasBatch(
            on_device(np.ascontiguousarray(z.T)),
            None if beta is None else on_device(np.ascontiguousarray(beta.T)),
        )

    def sums(self, batch: GwasBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        traits = batch.z.shape[1]
        shape = (models.stop - models.start, traits)
        z_sums = np.zeros(shape)
        effect_sums = None if batch.beta is None else np.zeros(shape)
        chosen = np.arange(models.start, models.stop)
        chosen = chosen[self._operator.lengths[chosen] > 0]
        groups = length_groups(
            chosen, self._operator.lengths, self._backend.name,
            most=max(1, MOST_GATHERED // max(traits, 1)), triangles=False,
        )  # fmt: skip
        for length, group in groups:
            z_part, effect_part = self._gather(*self._padded(group, length), batch.z, batch.beta)
            z_sums[group - models.start] = self._backend.to_numpy(z_part)
            if effect_sums is not None:
                effect_sums[group - models.start] = self._backend.to_numpy(effect_part)
        return z_sums, effect_sums

    def _padded(self, group: np.ndarray, length: int) -> tuple[Any, Any, Any, Any]:
        operator = self._operator
        lengths = operator.lengths[group]
        within = np.arange(length) < lengths[:, None]
        entry = np.where(within, operator.offsets[group][:, None] + np.arange(length), 0)
        host = (
            lengths,
            np.where(within, operator.variants[entry], 0).astype(np.int64),
            np.where(within, operator.z_weights[entry], 0.0),
            np.where(within, operator.effect_weights[entry], 0.0),
        )
        lengths_, variants, z_weights, effect_weights = (self._backend.asarray(array) for array in host)
        return lengths_, variants, z_weights, effect_weights


class _CudaCsr:
    """The hand-written kernel; the operator is put on the device at its first use: streams have their own."""

    def __init__(self, operator: ScoreOperator, backend: Backend) -> None:
        self._operator = operator
        self._backend = backend

    @functools.cached_property
    def _csr(self) -> tuple[Any, Any, Any, Any]:
        put, operator = self._backend.asarray, self._operator
        return (
            put(operator.offsets), put(operator.variants), put(operator.z_weights),
            put(operator.effect_weights),
        )  # fmt: skip

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> GwasBatch:
        xp = self._backend.xp

        def variants_first(values: np.ndarray) -> Any:
            on_device = self._backend.asarray(np.asarray(values, dtype=np.float32))
            return xp.ascontiguousarray(on_device.T)

        return GwasBatch(variants_first(z), None if beta is None else variants_first(beta))

    def sums(self, batch: GwasBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        from gputwas.kernels.launch import csr_gather

        all_offsets, variants, z_weights, effect_weights = self._csr
        offsets = all_offsets[models.start : models.stop + 1]
        beta = batch.z if batch.beta is None else batch.beta
        z_sums, effect_sums = csr_gather(offsets, variants, z_weights, effect_weights, batch.z, beta)
        to_numpy = self._backend.to_numpy
        return to_numpy(z_sums), None if batch.beta is None else to_numpy(effect_sums)
