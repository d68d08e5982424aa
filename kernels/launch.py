"""Compiles the CUDA sources of this folder and launches them on CuPy arrays.

In: CuPy arrays on the current device. Out: CuPy arrays. Shapes, dtypes and contiguity are checked here once,
so no kernel copies safety code; CuPy is imported at the call, never at import. Launches go to CuPy's current
stream and return at once.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from gputwas.errors import ResourceError

__all__ = [
    "SOURCES",
    "TRAIT_PADDING",
    "bitset_counts",
    "csr_gather",
    "headers_digest",
    "masked_var_g",
    "pad_traits",
    "score_gather",
    "source_files",
    "tie_averaged_ranks",
    "variants_first",
]

SOURCES = Path(__file__).resolve().parent
OPTIONS = ("--std=c++17", "--fmad=false", f"-I{SOURCES}")  # fused where written: the bits of the host
TRAIT_PADDING = 32  # float32: rows of z begin on 128-byte lines
LANES = 32
MOST_GRID_Y = 65535
GATHER_TRAITS = 4  # of a thread, TRAITS_OF_A_THREAD in gather_four.cuh
GATHER_BLOCK, GATHER_TILE = (8, 32), (32, 32)  # threads; traits and models that they take together
TURN_ROWS = 8
VARIANCE_WARPS = 8
RANK_THREADS = 256
BITSET_SIDE, BITSET_TILE = 16, 64
EXACT_FLOAT32 = 1 << 23  # halves are exact in float32 up to here


def source_files() -> list[Path]:
    """All CUDA sources, for the compiler and for the tests."""
    return sorted(SOURCES.glob("*.cu"))


def headers_digest() -> str:
    """Hexadecimal digest of names and contents of all headers of this folder."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cuh")]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def pad_traits(values: Any) -> Any:
    """(variants, traits) as the gathers want it: C-contiguous, traits filled up with NaN to 32, 64, ...

    The transpose of a (traits, variants) float32 array is turned by `variants_first`, without a detour.
    """
    import cupy

    variants, traits = values.shape
    stride = _stride(traits)
    if stride == traits and values.flags.c_contiguous:
        return values
    if values.dtype == np.float32 and values.T.flags.c_contiguous:
        return variants_first(values.T)
    padded = cupy.full((variants, stride), np.nan, dtype=values.dtype)
    padded[:, :traits] = values
    return padded


def variants_first(values: Any) -> Any:
    """Columns of a GWAS turned into padded rows of traits (kernel and twin of the same name).

    Parameters
    ----------
    values : (traits, variants) float32, C-contiguous.

    Returns
    -------
    (variants, traits filled up with NaN to a multiple of 32) float32, C-contiguous.

    Raises
    ------
    ValueError : the array has another dtype, shape or layout.
    """
    import cupy

    _check(values, "values", "float32", 2)
    traits, variants = values.shape
    stride = _stride(traits)
    turned = cupy.empty((variants, stride), dtype=np.float32)
    if turned.size:
        grid = (-(-variants // LANES), min(stride // LANES, MOST_GRID_Y))
        arguments = (values, turned, np.int64(traits), np.int64(variants), np.int64(stride))
        _kernel("variants_first", "variants_first")(grid, (LANES, TURN_ROWS), arguments)
    return turned


def csr_gather(
    offsets: Any,
    variants: Any,
    z_weights: Any,
    effect_weights: Any,
    z: Any,
    beta: Any | None,
    *,
    traits: int | None = None,
) -> tuple[Any, Any | None]:
    """Weighted sums of z and beta per model (kernel csr_gather.cu; twin: `twins.padded_gather`).

    Parameters
    ----------
    offsets : (models + 1,) int64; variants : (nnz,) int32; z_weights, effect_weights : (nnz,) float64.
    z : (variants, traits) float32, C-contiguous, NaN where missing. beta : the same, or None: no effects.
        Arrays from `pad_traits` are taken as they are, others are copied if traits are no multiple of 4.
    traits : how many columns are traits; all by default.

    Returns
    -------
    z_sums, effect_sums : (models, traits) float64, views of padded arrays; None without beta.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout.
    """
    import cupy

    traits = z.shape[1] if traits is None else traits
    z, beta = _checked_gather(offsets, variants, z_weights, effect_weights, z, beta, traits)
    models, stride = offsets.shape[0] - 1, z.shape[1]
    z_sums = cupy.empty((models, stride), dtype=np.float64)
    effect_sums = z_sums if beta is None else cupy.empty_like(z_sums)
    if models and traits:
        _kernel("csr_gather", "csr_gather")(
            _gather_grid(traits, models),
            GATHER_BLOCK,
            (offsets, variants, z_weights, effect_weights, z, z if beta is None else beta,
             z_sums, effect_sums, np.int64(models), np.int64(stride), np.int32(beta is not None)),
        )  # fmt: skip
    return z_sums[:, :traits], None if beta is None else effect_sums[:, :traits]


def score_gather(
    offsets: Any,
    variants: Any,
    z_weights: Any,
    effect_weights: Any,
    z: Any,
    beta: Any | None,
    var_g: Any,
    pattern_of: Any,
    *,
    dtype: str = "float32",
) -> tuple[Any, Any | None]:
    """z-scores and effect sizes of all models in all traits (score_gather.cu; twin: `twins.padded_scores`).

    Parameters
    ----------
    offsets, variants, z_weights, effect_weights, z, beta : as in `csr_gather`; z and beta may be padded.
        Models in genome order read least from memory.
    var_g : (models, patterns) float64, as `masked_var_g` gives it. pattern_of : (traits,) int32.
    dtype : "float32" or "float64", of the results; sums are float64 in either case.

    Returns
    -------
    z, effect : (traits, models) of `dtype`, C-contiguous, NaN where var_g is not positive; None without beta.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout.
    """
    import cupy

    if dtype not in ("float32", "float64"):
        raise ValueError(f"scores are float32 or float64, not {dtype}")
    _check(pattern_of, "pattern_of", "int32", 1)
    _check(var_g, "var_g", "float64", 2)
    models, traits, patterns = offsets.shape[0] - 1, pattern_of.shape[0], var_g.shape[1]
    if var_g.shape[0] != models or (traits and not patterns):
        raise ValueError(f"var_g must be ({models}, patterns), not {tuple(var_g.shape)}")
    z, beta = _checked_gather(offsets, variants, z_weights, effect_weights, z, beta, traits)
    scores = cupy.empty((traits, models), dtype=dtype)
    effects = scores if beta is None else cupy.empty_like(scores)
    if models and traits:
        entry = f"score_gather{'_z' if beta is None else ''}_{dtype}"
        _kernel("score_gather", entry)(
            _gather_grid(traits, models),
            GATHER_BLOCK,
            (offsets, variants, z_weights, effect_weights, z, z if beta is None else beta, var_g, pattern_of,
             scores, effects, np.int64(models), np.int64(traits), np.int64(z.shape[1]), np.int64(patterns)),
        )  # fmt: skip
    return scores, None if beta is None else effects


def masked_var_g(
    offsets: Any,
    variants: Any,
    weights: Any,
    ld_offsets: Any,
    ld: Any,
    all_offsets: Any,
    all_variants: Any,
    mask: Any,
    *,
    rounding: float,
) -> tuple[Any, Any, Any]:
    """wᵀ Γ w over the SNPs present (kernel masked_var_g.cu; twin: the array way of `gputwas.twas.variance`).

    Parameters
    ----------
    offsets, ld_offsets, all_offsets : (models + 1,) int64; variants : (nnz,) int32; weights : (nnz,) float64.
    ld : float64, packed row-major upper triangles. all_variants : int32, SNPs with LD or without.
    mask : (patterns, words) uint32 from `bits.pack_bits`, one bit per variant of the panel.
    rounding : a sum whose size is at most this share of its absolute terms counts as 0.

    Returns
    -------
    var_g : (models, patterns) float64, NaN where no SNP with LD is present.
    n_used : (models, patterns) int32, SNPs with LD that are present.
    in_gwas : (models, patterns) uint8, 1 where any SNP of the model is present.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout.
    """
    import cupy

    for name, array in (("offsets", offsets), ("ld_offsets", ld_offsets), ("all_offsets", all_offsets)):
        _check(array, name, "int64", 1)
    for name, array in (("variants", variants), ("all_variants", all_variants)):
        _check(array, name, "int32", 1)
    for name, array in (("weights", weights), ("ld", ld)):
        _check(array, name, "float64", 1)
    _check(mask, "mask", "uint32", 2)
    if not (offsets.shape == ld_offsets.shape == all_offsets.shape and variants.shape == weights.shape):
        raise ValueError("the three arrays of offsets, and variants and weights, must have equal shapes")
    models, (patterns, words) = offsets.shape[0] - 1, mask.shape
    var_g = cupy.empty((models, patterns), dtype=np.float64)
    n_used = cupy.empty((models, patterns), dtype=np.int32)
    in_gwas = cupy.empty((models, patterns), dtype=np.uint8)
    if models and patterns:
        _kernel("masked_var_g", "masked_var_g")(
            (-(-models * patterns // VARIANCE_WARPS),),
            (LANES, VARIANCE_WARPS),
            (offsets, variants, weights, ld_offsets, ld, all_offsets, all_variants, mask,
             var_g, n_used, in_gwas, np.int64(models), np.int64(patterns), np.int64(words),
             np.float64(rounding)),
        )  # fmt: skip
    return var_g, n_used, in_gwas


def tie_averaged_ranks(values: Any, order: Any) -> Any:
    """Ranks from sorted order, ties averaged (kernel and twin of the same name).

    Parameters
    ----------
    values : (sequences, n) float32 or float64, C-contiguous, each row ranked by itself.
    order : (sequences, n) int64, `argsort` of each row with NaN last, as CuPy sorts.

    Returns
    -------
    (sequences, n) of the dtype of `values`, counted from 1, NaN where the value is NaN.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout, or float32 cannot hold the ranks.
    """
    import cupy

    if values.dtype not in (np.float32, np.float64):
        raise ValueError(f"values to rank must be float32 or float64, not {values.dtype}")
    _check(values, "values", str(values.dtype), 2)
    _check(order, "order", "int64", 2)
    if values.shape != order.shape:
        raise ValueError("values and order must have equal shapes")
    sequences, size = values.shape
    if values.dtype == np.float32 and size > EXACT_FLOAT32:
        raise ValueError(f"ranks of {size} values need float64")
    ranks = cupy.empty_like(values)
    if sequences and size:
        grid = (-(-size // RANK_THREADS), min(sequences, MOST_GRID_Y))
        arguments = (values, order, ranks, np.int64(sequences), np.int64(size))
        _kernel("tie_averaged_ranks", f"tie_averaged_ranks_{values.dtype}")(grid, (RANK_THREADS,), arguments)
    return ranks


def bitset_counts(sets: Any, lists: Any) -> Any:
    """Common members of every set and every list (kernel bitset_counts.cu; twin: `twins.bitset_counts`).

    Parameters
    ----------
    sets : (sets, words) uint32; lists : (lists, words) uint32, both from `bits.pack_bits`.

    Returns
    -------
    (sets, lists) int32.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout, or there are more than 4,194,240 sets.
    """
    import cupy

    _check(sets, "sets", "uint32", 2)
    _check(lists, "lists", "uint32", 2)
    if sets.shape[1] != lists.shape[1]:
        raise ValueError(f"sets have {sets.shape[1]} words and lists {lists.shape[1]}")
    n_sets, n_lists = sets.shape[0], lists.shape[0]
    if n_sets > MOST_GRID_Y * BITSET_TILE:
        raise ValueError(f"at most {MOST_GRID_Y * BITSET_TILE} sets at once, not {n_sets}")
    counts = cupy.empty((n_sets, n_lists), dtype=np.int32)
    if n_sets and n_lists:
        grid = (-(-n_lists // BITSET_TILE), -(-n_sets // BITSET_TILE))
        arguments = (sets, lists, counts, np.int64(n_sets), np.int64(n_lists), np.int64(sets.shape[1]))
        _kernel("bitset_counts", "bitset_counts")(grid, (BITSET_SIDE, BITSET_SIDE), arguments)
    return counts


def _stride(traits: int) -> int:
    """Length of a row of traits, whole lines of 128 bytes."""
    return -(-traits // TRAIT_PADDING) * TRAIT_PADDING


def _gather_grid(traits: int, models: int) -> tuple[int, int]:
    """Traits first: blocks that start together read whole rows of z."""
    return -(-traits // GATHER_TILE[0]), min(-(-models // GATHER_TILE[1]), MOST_GRID_Y)


def _checked_gather(
    offsets: Any, variants: Any, z_weights: Any, effect_weights: Any, z: Any, beta: Any | None, traits: int
) -> tuple[Any, Any | None]:
    """z and beta with rows that can be read 16 bytes at a time; errors as `csr_gather`."""
    _check(offsets, "offsets", "int64", 1)
    _check(variants, "variants", "int32", 1)
    for name, array in (("z_weights", z_weights), ("effect_weights", effect_weights)):
        _check(array, name, "float64", 1)
    _check(z, "z", "float32", 2)
    if beta is not None:
        _check(beta, "beta", "float32", 2)
    same = beta is None or z.shape == beta.shape
    if not same or not (variants.shape == z_weights.shape == effect_weights.shape):
        raise ValueError("z and beta, and the three arrays over weights, must have equal shapes")
    if not 0 <= traits <= z.shape[1]:
        raise ValueError(f"z has {z.shape[1]} columns, which cannot hold {traits} traits")
    if z.shape[1] % GATHER_TRAITS:
        return pad_traits(z), None if beta is None else pad_traits(beta)
    return z, beta


def _check(array: Any, name: str, dtype: str, ndim: int) -> None:
    if array.dtype != dtype or array.ndim != ndim or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous {ndim}-d {dtype} array, not {array.ndim}-d {array.dtype}"
        )


@functools.cache
def _kernel(source: str, entry: str) -> Any:
    """The kernel `entry` of `source`.cu, compiled for the current device once per process.

    CuPy keeps compiled kernels on disk by source and options, and does not look into the headers; so their
    digest is among the options.
    """
    import cupy

    options = (*OPTIONS, f"-DGPUTWAS_HEADERS=0x{headers_digest()}")  # no kernel reads it
    try:
        module = cupy.RawModule(code=(SOURCES / f"{source}.cu").read_text(), options=options)
        return module.get_function(entry)
    except cupy.cuda.compiler.CompileException as error:
        raise ResourceError(f"the CUDA kernel {entry} does not compile on this machine: {error}") from error
