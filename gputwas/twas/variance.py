"""Variance of predicted expression, var_g = wᵀ Γ w, over the SNPs that a GWAS really has.

In: a `ScoreOperator`, and which variants are present. Out: per model the number of SNPs used, var_g and the
status that explains a missing score. Traits that miss the same SNPs share one answer, so the work is done
once per pattern of missing SNPs, not once per trait.

Models are taken in groups of one padded length and a bounded number, so that the same array-API code runs on
every library; the padded arrays are built on the host from the packed triangles and live for one group only.
On CUDA a kernel reads the packed triangles themselves, which stay on the device.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.backends.namespace import array_namespace
from gputwas.errors import ResourceError
from gputwas.stores.associations import Status
from gputwas.twas.operator import ScoreOperator

__all__ = [
    "MOST_TRIANGLE_ENTRIES",
    "PatternVariance",
    "ld_stays_on_device",
    "length_groups",
    "padded_length",
    "pattern_variance",
    "quadratic_forms",
]

ROUNDING = 1e-12  # a sum below this share of its absolute terms has cancelled: SNPs in perfect LD, say
MOST_TRIANGLE_ENTRIES = 4_000_000  # of padded LD in one group: 32 MB of float64
RESIDENT_SHARE = 4  # triangles may take one part in so many of the device memory


@dataclass(frozen=True)
class PatternVariance:
    """What a pattern of missing SNPs does to every model.

    Attributes
    ----------
    n_snps_used : (models,) int32; var_g : (models,) float64, NaN where no SNP is used;
    status : (models,) uint8 of `Status`.
    """

    n_snps_used: np.ndarray
    var_g: np.ndarray
    status: np.ndarray


def padded_length(length: int, backend_name: str) -> int:
    """Length to which a model is padded: none where shapes are free, powers of two where each is compiled."""
    if backend_name != "jax" or length <= 1:
        return length
    return 1 << (length - 1).bit_length()


def length_groups(
    models: np.ndarray, lengths: np.ndarray, backend_name: str, *, most: int, triangles: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut models into groups of one padded length.

    Parameters
    ----------
    models : (n,) int64 model numbers; lengths : (models,) int64 of all models.
    most : entries allowed in a group; triangles : count packed triangles rather than SNPs.

    Yields
    ------
    padded length, (group,) int64 model numbers in ascending order.
    """
    exact = lengths[models]
    sizes = np.unique(exact)
    padded_of = np.array([padded_length(int(n), backend_name) for n in sizes], dtype=np.int64)
    padded = padded_of[np.searchsorted(sizes, exact)]
    for length in np.unique(padded):
        chosen = models[padded == length]
        entries = int(length * (length + 1) // 2 if triangles else length)
        step = max(1, most // max(entries, 1))
        for start in range(0, chosen.size, step):
            yield int(length), chosen[start : start + step]


def quadratic_forms(
    operator: ScoreOperator,
    values: np.ndarray,
    models: np.ndarray,
    backend: Backend,
    *,
    compiled: bool = False,
) -> np.ndarray:
    """uᵀ Γ u of chosen models, for u given per SNP.

    Parameters
    ----------
    operator : the models; values : (entries,) float64 u in the operator's SNP order.
    models : (n,) int64 model numbers.
    compiled : on NumPy, use the processor's own kernel: ten times faster. Its sums differ in the last bits.

    Returns
    -------
    (n,) float64, summed in float64; exactly 0 where the terms cancel up to rounding (`ROUNDING`).
    """
    resident = _resident(operator, backend)
    if resident is not None:
        everything = np.ones(_n_variants(operator), dtype=bool)
        on_device = backend.asarray(np.ascontiguousarray(values))
        forms, _, _ = _by_kernel(resident, on_device, everything, backend)
        return np.where(operator.lengths[models] > 0, forms[models], 0.0)
    if compiled and backend.name == "numpy":
        from gputwas.kernels import tiles

        ld = np.ascontiguousarray(operator.ld)
        return tiles.quadratic_forms(operator.offsets, values, operator.ld_offsets, ld, models, ROUNDING)
    result = np.zeros(operator.n_models)
    sums = backend.compiled(_triangle_sums)
    groups = length_groups(models, operator.lengths, backend.name, most=MOST_TRIANGLE_ENTRIES, triangles=True)
    for length, group in groups:
        u, ld = _padded_group(operator, values, group, length)
        i, j = np.triu_indices(length)
        factor = np.where(i == j, 1.0, 2.0)
        total = sums(*(backend.asarray(array) for array in (u, ld * factor, i, j)))
        result[group] = backend.to_numpy(total)
    return result[models]


def _triangle_sums(u: Any, ld: Any, i: Any, j: Any) -> Any:
    """Σ_k ld[m, k] u[m, i_k] u[m, j_k]: (models,) from u (models, n) and ld (models, n (n + 1) / 2).

    A sum that is nothing but the rounding error of its terms is 0, on every library alike.
    """
    xp = array_namespace(u)
    terms = ld * xp.take(u, i, axis=1) * xp.take(u, j, axis=1)
    total = xp.sum(terms, axis=1)
    cancelled = xp.abs(total) <= ROUNDING * xp.sum(xp.abs(terms), axis=1)
    return xp.where(cancelled, xp.zeros_like(total), total)


def _padded_group(
    operator: ScoreOperator, values: np.ndarray, group: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """u (models, length) and packed Γ (models, triangle) of models padded with zeros to one length."""
    lengths = operator.lengths[group]
    column = np.arange(length)
    within = column < lengths[:, None]
    entry = np.where(within, operator.offsets[group][:, None] + column, 0)
    u = np.where(within, values[entry], 0.0)
    i, j = np.triu_indices(length)
    n = lengths[:, None]
    inside = j < n
    packed = np.where(inside, operator.ld_offsets[group][:, None] + i * n - i * (i - 1) // 2 + (j - i), 0)
    return u, np.where(inside, operator.ld[packed], 0.0)


def pattern_variance(
    operator: ScoreOperator,
    present: np.ndarray,
    full_var_g: np.ndarray,
    in_ld: np.ndarray,
    backend: Backend,
    *,
    compiled: bool = False,
) -> PatternVariance:
    """SNPs used, var_g and status of every model under a pattern of missing SNPs.

    Parameters
    ----------
    present : (variants,) bool, the variants that have a z-score.
    full_var_g : (models,) float64 var_g with all SNPs present, from `quadratic_forms`.
    in_ld : (models,) bool, whether the gene is in the covariance at all.
    compiled : see `quadratic_forms`; it must be what `full_var_g` was made with.

    Notes
    -----
    var_g = (w·m)ᵀ Γ (w·m) with m the mask of present SNPs (Barbeira et al. 2018,
    doi:10.1038/s41467-018-03621-1, with the reference program's rule that a SNP missing in the GWAS leaves
    both the sum and the variance). Models that miss no SNP keep `full_var_g` to the bit.
    """
    resident = _resident(operator, backend)
    if resident is None:
        return _by_groups(operator, present, full_var_g, in_ld, backend, compiled)
    var_g, n_used, in_gwas = _by_kernel(resident, resident.weights, present, backend)
    kept = np.where((n_used > 0) & (n_used == operator.lengths), full_var_g, var_g)
    return _explained(n_used, kept, in_gwas > 0, in_ld)


def _by_groups(
    operator: ScoreOperator,
    mask: np.ndarray,
    full_var_g: np.ndarray,
    in_ld: np.ndarray,
    backend: Backend,
    compiled: bool,
) -> PatternVariance:
    """One pattern on any library; only models that miss a SNP are computed anew."""
    of_entries = mask[operator.variants]
    n_used = _segment_counts(of_entries, operator.offsets)
    n_any = _segment_counts(mask[operator.all_variants], operator.all_offsets)
    var_g = np.where(n_used > 0, full_var_g, np.nan)
    touched = np.flatnonzero((n_used > 0) & (n_used < operator.lengths))
    if touched.size:
        masked = operator.weights * of_entries
        var_g[touched] = quadratic_forms(operator, masked, touched, backend, compiled=compiled)
    return _explained(n_used, var_g, n_any > 0, in_ld)


def _explained(
    n_used: np.ndarray, var_g: np.ndarray, in_gwas: np.ndarray, in_ld: np.ndarray
) -> PatternVariance:
    """The answer with its status; arguments (models,), `in_gwas` true where any SNP is present."""
    status = np.full(n_used.size, Status.OK, dtype=np.uint8)
    status[var_g == 0] = Status.ZERO_VARIANCE
    status[var_g < 0] = Status.NEGATIVE_VARIANCE
    status[n_used == 0] = Status.NO_SNP_IN_LD
    status[(n_used == 0) & ~in_ld] = Status.NOT_IN_LD
    status[~in_gwas] = Status.NO_SNP_IN_GWAS
    return PatternVariance(n_used.astype(np.int32), var_g, status)


def _segment_counts(mask: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(models,) int64 number of true entries in each CSR row."""
    running = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    return running[offsets[1:]] - running[offsets[:-1]]


@dataclass(frozen=True)
class _Resident:
    """What the kernel reads of an operator, on the device."""

    offsets: Any
    variants: Any
    weights: Any
    ld_offsets: Any
    ld: Any
    all_offsets: Any
    all_variants: Any


_residents: dict[int, _Resident | None] = {}  # by identity of the operator, dropped with it


def ld_stays_on_device(ld_bytes: int, backend: Backend) -> bool:
    """Whether the kernel computes var_g on the device: where LD takes at most a quarter of its memory.

    Of all its memory, not of what is free at the moment: the kernel's sums differ from those of the arrays in
    the last bits, and every call, process and run on one device is to use the same.
    """
    total = backend.total_memory()
    return total is not None and ld_bytes <= total // RESIDENT_SHARE


def _resident(operator: ScoreOperator, backend: Backend) -> _Resident | None:
    """The operator on the CUDA device, put there at the first call; None elsewhere or if it is too large."""
    if backend.name != "cupy":
        return None
    key = id(operator)
    if key not in _residents:
        _residents[key] = _on_device(operator, backend)
        weakref.finalize(operator, _residents.pop, key, None).atexit = False
    return _residents[key]


def _on_device(operator: ScoreOperator, backend: Backend) -> _Resident | None:
    if not ld_stays_on_device(operator.ld.nbytes, backend):
        return None
    names = _Resident.__dataclass_fields__
    try:
        return _Resident(
            **{name: backend.asarray(np.ascontiguousarray(getattr(operator, name))) for name in names}
        )
    except backend.out_of_memory as error:
        raise ResourceError(
            f"the LD of the models, {operator.ld.nbytes / 1e9:.2f} GB, finds no room on {backend.device} "
            f"({error}); end what else runs there, or use --backend numpy"
        ) from error


def _by_kernel(
    resident: _Resident, weights: Any, present: np.ndarray, backend: Backend
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """var_g, SNPs used and whether any SNP is present, all (models,), from the CUDA kernel.

    Parameters
    ----------
    weights : (entries,) float64 on the device. present : (variants,) bool on the host.
    """
    from gputwas.kernels.bits import pack_bits
    from gputwas.kernels.launch import masked_var_g

    found = masked_var_g(
        resident.offsets, resident.variants, weights,
        resident.ld_offsets, resident.ld, resident.all_offsets, resident.all_variants,
        pack_bits(backend.asarray(present[None, :])), rounding=ROUNDING,
    )  # fmt: skip
    var_g, n_used, in_gwas = (backend.to_numpy(array)[:, 0] for array in found)
    return var_g, n_used, in_gwas


def _n_variants(operator: ScoreOperator) -> int:
    """Length of a mask that covers every SNP of the models."""
    return int(operator.all_variants.max(initial=-1)) + 1
