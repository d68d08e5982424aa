"""Numerators of the scores by dense products: all models of a stretch of the genome times the SNPs they use.

In: a `ScoreOperator` and (traits, variants) statistics. Out: (models, traits) float64 sums on the host, as
the other ways of `gputwas.twas.products` give them.

Models of all tissues are sorted by their first SNP and cut into windows; a model lies in one window, windows
may share SNPs. A window is a (models, variants) float64 matrix over the SNPs that any of its models uses, in
which most weights are 0: many more operations than by gathering, in exchange for reading each z once per
window and multiplying at the rate of tensor cores. Matrices are padded to whole tiles and always meet a tile
of the same number of traits, so a trait's sums do not depend on the batch it came in, as far as the library's
product treats its columns alike; the tests hold it to that.

float64, not float32: a float32 sum of z-scores that cancel misses |z32 - z64| <= 1e-5 max(1, |z|) (see the
tests), and data-centre devices do not ask for it (an H200 is rated at 67 TFLOP/s of float64 on its tensor
cores, as many as of float32 outside them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from gputwas.backends.choose import Backend
from gputwas.backends.namespace import array_namespace
from gputwas.twas.operator import ScoreOperator

__all__ = [
    "DenseBatch",
    "DenseBlocks",
    "Window",
    "dense_matrices",
    "padded_shape",
    "plan_windows",
    "trait_tile",
]

LEAST_WIDTH = 512  # variants of the panel from the first to the last SNP of a window, or as many as
USUAL_SPAN = 0.99  # this share of the models span
MOST_MODELS = 512
MODEL_TILE, VARIANT_TILE = 32, 64  # rows and columns of a window are filled up to multiples of these
TRAIT_TILE = 128  # columns of every product on CUDA, no more than traits in a block; elsewhere:
TRAIT_TILE_ELSEWHERE = 32
RESIDENT_SHARE = 4  # matrices that are kept take one part in so many of free device memory at most, or
MOST_RESIDENT = 1 << 28  # so many bytes where the device's memory is the host's


@dataclass(frozen=True, eq=False)
class Window:
    """Models that are multiplied together.

    Attributes
    ----------
    models : (n,) int64 model numbers, by first SNP.
    variants : (k,) int64, ascending, rows of z that any of them uses.
    """

    models: np.ndarray
    variants: np.ndarray


@dataclass(eq=False)
class DenseBatch:
    """z and beta of a batch, and the sums of all models once they have been asked for.

    Attributes
    ----------
    z, beta : (variants, traits filled up to whole tiles) float64 on the device, 0 where z is missing; beta is
        0 where it is unknown, too, or None.
    unknown : the same shape, float64, 1 where a SNP has z and no beta, else 0; None if there is no such SNP.
    traits : how many columns are traits.
    sums : (models, traits) float64 z and effect sums on the host: 16 bytes per model and trait.
    """

    z: Any
    beta: Any | None
    unknown: Any | None
    traits: int
    sums: tuple[np.ndarray, np.ndarray | None] | None = field(default=None, repr=False)


def trait_tile(*, on_device: bool) -> int:
    """Traits that are multiplied together; fewer are filled up, on a CUDA device or on the host's memory."""
    return TRAIT_TILE if on_device else TRAIT_TILE_ELSEWHERE


def plan_windows(
    offsets: np.ndarray,
    variants: np.ndarray,
    *,
    most_width: int | None = None,
    most_models: int = MOST_MODELS,
) -> list[Window]:
    """Cut models into windows of neighbouring SNPs.

    Parameters
    ----------
    offsets, variants : CSR of the models over a panel in genome order.
    most_width : a window ends before the model that would make it span more variants of the panel; by default
        what all but a few models span, at least 512. Models that span more by themselves are put into windows
        of their own, 32 at a time, over the few SNPs that they have.
    most_models : models in a window.

    Returns
    -------
    Windows, in genome order but for those of wide models; every model with a SNP is in exactly one.
    """
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if not filled.size:
        return []
    starts = offsets[:-1][filled]
    first, last = np.minimum.reduceat(variants, starts), np.maximum.reduceat(variants, starts)
    span = last - first + 1
    if most_width is None:
        most_width = max(LEAST_WIDTH, int(np.quantile(span, USUAL_SPAN, method="higher")))
    order = np.argsort(first, kind="stable")
    usual, wide = order[span[order] <= most_width], order[span[order] > most_width]
    cuts = _cuts(first[usual].tolist(), last[usual].tolist(), most_width, most_models)
    groups = [usual[start:stop] for start, stop in pairwise(cuts)]
    step = min(MODEL_TILE, most_models)
    groups += [wide[start : start + step] for start in range(0, wide.size, step)]
    windows = []
    for group in groups:
        models = filled[group].astype(np.int64)
        used = np.unique(variants[_entries(offsets, models)]).astype(np.int64)
        windows.append(Window(models, used))
    return windows


def _cuts(first: list[int], last: list[int], most_width: int, most_models: int) -> list[int]:
    """Where windows begin among models sorted by first SNP, and their number at the end."""
    if not first:
        return [0]
    cuts, end = [0], last[0]
    for model in range(1, len(first)):
        end = max(end, last[model])
        if end - first[cuts[-1]] >= most_width or model - cuts[-1] >= most_models:
            cuts.append(model)
            end = last[model]
    return [*cuts, len(first)]


def _entries(offsets: np.ndarray, models: np.ndarray) -> np.ndarray:
    """Positions of the CSR entries of some models, model after model."""
    lengths = offsets[models + 1] - offsets[models]
    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(offsets[models] - before, lengths)


def padded_shape(window: Window, backend_name: str) -> tuple[int, int]:
    """Rows and columns of a window's matrix: whole tiles, and powers of two where each shape is compiled."""
    sizes = (window.models.size, MODEL_TILE), (window.variants.size, VARIANT_TILE)
    rows, columns = (-(-size // tile) * tile for size, tile in sizes)
    if backend_name == "jax":
        return 1 << (rows - 1).bit_length(), 1 << (columns - 1).bit_length()
    return rows, columns


def dense_matrices(
    operator: ScoreOperator, window: Window, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window's weights of z, weights of effects and number of entries, each a `shape` float64 matrix.

    A SNP that a model lists twice counts twice, as it does in a sparse product.
    """
    entries = _entries(operator.offsets, window.models)
    row = np.repeat(np.arange(window.models.size), operator.lengths[window.models])
    flat = row * shape[1] + np.searchsorted(window.variants, operator.variants[entries])

    def scattered(values: np.ndarray | None) -> np.ndarray:
        total = np.bincount(flat, weights=values, minlength=shape[0] * shape[1])
        return total.astype(np.float64, copy=False).reshape(shape)

    return (
        scattered(operator.z_weights[entries]),
        scattered(operator.effect_weights[entries]),
        scattered(None),
    )


class DenseBlocks:
    """The dense way of multiplying, bound to one operator.

    A batch is multiplied as a whole when its sums are first asked for; ranges of models are then views, so a
    range holds the same bits as the whole. Matrices stay on the device as far as they fit.
    """

    def __init__(self, operator: ScoreOperator, backend: Backend) -> None:
        self._operator = operator
        self._backend = backend
        self._windows = plan_windows(operator.offsets, operator.variants)
        self._tile = trait_tile(on_device=backend.name == "cupy")
        self._prepare = backend.compiled(_without_missing)
        self._product = backend.compiled(_product)
        free = backend.free_memory()
        self._room = MOST_RESIDENT if free is None else free // RESIDENT_SHARE
        self._resident: dict[int, tuple[Any, ...]] = {}

    def load(self, z: np.ndarray, beta: np.ndarray | None) -> DenseBatch:
        """Bring (traits, variants) host arrays, NaN where missing, to the device.

        Raises
        ------
        ValueError : a value is infinite; in a dense product it would reach models that do not use the SNP.
        """
        for name, values in (("z", z), ("beta", beta)):
            if values is not None and np.isinf(values).any():
                raise ValueError(f"{name} must be finite, or NaN where missing")
        z_known, beta_known, unknown = self._prepare(
            self._variants_first(z), None if beta is None else self._variants_first(beta)
        )
        if beta is None or not np.any(np.isnan(beta) & ~np.isnan(z)):
            unknown = None
        return DenseBatch(z_known, beta_known, unknown, traits=len(z))

    def sums(self, batch: DenseBatch, models: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """z and effect sums of a range of models, (models, traits) float64, effect sums None without beta."""
        if batch.sums is None:
            batch.sums = self._all_sums(batch)
        z_sums, effect_sums = batch.sums
        return z_sums[models], None if effect_sums is None else effect_sums[models]

    def _variants_first(self, values: np.ndarray) -> Any:
        traits, variants = values.shape
        out = np.full((variants, -(-traits // self._tile) * self._tile), np.nan, dtype=values.dtype)
        out[:, :traits] = values.T
        return self._backend.asarray(out)

    def _all_sums(self, batch: DenseBatch) -> tuple[np.ndarray, np.ndarray | None]:
        shape = (self._operator.n_models, batch.traits)
        z_sums = np.zeros(shape)
        effect_sums = None if batch.beta is None else np.zeros(shape)
        for number, window in enumerate(self._windows):
            matrices = self._matrices(number)
            for start in range(0, batch.traits, self._tile):
                tile = slice(start, min(start + self._tile, batch.traits))
                z_part, effect_part = self._of_tile(batch, matrices, start)
                z_sums[window.models, tile] = self._trimmed(z_part, window, tile)
                if effect_sums is not None:
                    effect_sums[window.models, tile] = self._trimmed(effect_part, window, tile)
        return z_sums, effect_sums

    def _of_tile(self, batch: DenseBatch, matrices: tuple[Any, ...], start: int) -> tuple[Any, Any | None]:
        """Sums of a window in the tile of traits that begins at `start`."""
        rows, z_weights, effect_weights, entries = matrices
        tile = slice(start, start + self._tile)
        z_sums = self._product(rows, z_weights, batch.z[:, tile])
        if batch.beta is None:
            return z_sums, None
        effects = self._product(rows, effect_weights, batch.beta[:, tile])
        if batch.unknown is not None:  # such a SNP makes the effects unknown of those models that list it
            xp = array_namespace(effects)
            spoilt = self._product(rows, entries, batch.unknown[:, tile])
            effects = xp.where(spoilt > 0, xp.asarray(xp.nan, dtype=effects.dtype), effects)
        return z_sums, effects

    def _trimmed(self, part: Any, window: Window, tile: slice) -> np.ndarray:
        return self._backend.to_numpy(part)[: window.models.size, : tile.stop - tile.start]

    def _matrices(self, number: int) -> tuple[Any, ...]:
        """Rows of z and the matrices of a window, from the device if they are there."""
        if number in self._resident:
            return self._resident[number]
        window = self._windows[number]
        shape = padded_shape(window, self._backend.name)
        rows = np.zeros(shape[1], dtype=np.int64)  # padding reads row 0, with weights of 0
        rows[: window.variants.size] = window.variants
        host = (rows, *dense_matrices(self._operator, window, shape))
        made = tuple(self._backend.asarray(array) for array in host)
        size = sum(array.nbytes for array in host)
        if size <= self._room:
            self._room -= size
            self._resident[number] = made
        return made


def _without_missing(z: Any, beta: Any | None) -> tuple[Any, Any | None, Any | None]:
    """z, beta and which beta are unknown where z is not, as `DenseBatch` holds them."""
    xp = array_namespace(z)
    zero = xp.zeros((), dtype=xp.float64)
    missing = xp.isnan(z)
    z_known = xp.where(missing, zero, xp.astype(z, xp.float64))
    if beta is None:
        return z_known, None, None
    no_beta = xp.isnan(beta)
    beta_known = xp.where(missing | no_beta, zero, xp.astype(beta, xp.float64))
    return z_known, beta_known, xp.astype(no_beta & ~missing, xp.float64)


def _product(rows: Any, weights: Any, values: Any) -> Any:
    """(models, traits) of weights (models, n) and rows (n,) of values (variants, traits)."""
    return weights @ array_namespace(weights).take(values, rows, axis=0)
