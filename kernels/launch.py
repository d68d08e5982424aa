"""Compiles the CUDA sources of this folder and launches them on CuPy arrays.

In: CuPy arrays on the current device. Out: CuPy arrays. Shapes, dtypes and contiguity are checked here once,
so no kernel copies safety code; CuPy is imported at the call, never at import.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from gputwas.errors import ResourceError

__all__ = ["SOURCES", "csr_gather", "source_files"]

SOURCES = Path(__file__).resolve().parent
LANES = 32
WARPS = 8
MOST_GRID_Y = 65535


def source_files() -> list[Path]:
    """All CUDA sources, for the compiler and for the tests."""
    return sorted(SOURCES.glob("*.cu"))


def csr_gather(
    offsets: Any, variants: Any, z_weights: Any, effect_weights: Any, z: Any, beta: Any
) -> tuple[Any, Any]:
    """Weighted sums of z and beta per model (kernel csr_gather.cu; twin: `twins.padded_gather`).

    Parameters
    ----------
    offsets : (models + 1,) int64; variants : (nnz,) int32; z_weights, effect_weights : (nnz,) float64.
    z, beta : (variants, traits) float32, C-contiguous, NaN where missing.

    Returns
    -------
    z_sums, effect_sums : (models, traits) float64.

    Raises
    ------
    ValueError : an array has another dtype, shape or layout.
    """
    import cupy

    _check(offsets, "offsets", "int64", 1)
    _check(variants, "variants", "int32", 1)
    for name, array in (("z_weights", z_weights), ("effect_weights", effect_weights)):
        _check(array, name, "float64", 1)
    for name, array in (("z", z), ("beta", beta)):
        _check(array, name, "float32", 2)
    if z.shape != beta.shape or not (variants.shape == z_weights.shape == effect_weights.shape):
        raise ValueError("z and beta, and the three arrays over weights, must have equal shapes")
    models, traits = offsets.shape[0] - 1, z.shape[1]
    z_sums = cupy.empty((models, traits), dtype=cupy.float64)
    effect_sums = cupy.empty_like(z_sums)
    if models and traits:
        grid = (-(-models // WARPS), min(-(-traits // LANES), MOST_GRID_Y))
        _kernel("csr_gather")(
            grid,
            (LANES, WARPS),
            (offsets, variants, z_weights, effect_weights, z, beta, z_sums, effect_sums,
             cupy.int64(models), cupy.int64(traits)),
        )  # fmt: skip
    return z_sums, effect_sums


def _check(array: Any, name: str, dtype: str, ndim: int) -> None:
    if array.dtype != dtype or array.ndim != ndim or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous {ndim}-d {dtype} array, not {array.ndim}-d {array.dtype}"
        )


@functools.cache
def _kernel(name: str) -> Any:
    import cupy

    try:
        source = (SOURCES / f"{name}.cu").read_text()
        module = cupy.RawModule(code=source, options=("--std=c++17", f"-I{SOURCES}"))
        return module.get_function(name)
    except cupy.cuda.compiler.CompileException as error:
        raise ResourceError(f"the CUDA kernel {name} does not compile on this machine: {error}") from error
