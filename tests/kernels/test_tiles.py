"""The processor's scoring kernel against the array-API twin and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.kernels import tiles
from gputwas.kernels.twins import padded_gather

pytestmark = pytest.mark.library


def columns(rng: np.random.Generator, traits: int, variants: int) -> tuple[np.ndarray, np.ndarray]:
    """z and beta (traits, variants) float32 with missing values: of both, of z alone, of beta alone."""
    z = rng.normal(size=(traits, variants)).astype(np.float32)
    beta = rng.normal(size=(traits, variants)).astype(np.float32)
    z[rng.random(z.shape) < 0.2] = np.nan
    beta[rng.random(z.shape) < 0.1] = np.nan
    return z, beta


def models(rng: np.random.Generator, lengths: np.ndarray, variants: int) -> tiles.TileModels:
    """Models with SNPs anywhere in the panel, in two outputs."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = int(offsets[-1])
    snps = rng.integers(0, variants, entries).astype(np.int32)
    tissue = rng.integers(0, 2, lengths.size).astype(np.int32)
    row = np.zeros(lengths.size, np.int64)
    for output in (0, 1):
        row[tissue == output] = rng.permutation(np.count_nonzero(tissue == output))
    weights = rng.normal(size=(2, entries))
    plan = tiles.plan_window(offsets, snps, variants)
    return tiles.TileModels(offsets, *weights, plan, tissue, row, variants)


def snps_of(made: tiles.TileModels) -> np.ndarray:
    """Variants of the entries, found again by following the plan of the window."""
    held = np.full(made.window.lines, -1)
    found, filled = np.empty(made.window.places.size, np.int64), 0
    for model, until in enumerate(made.window.until):
        for line in made.window.fills[filled:until]:
            held[filled % made.window.lines] = line
            filled += 1
        part = slice(made.offsets[model], made.offsets[model + 1])
        line, within = np.divmod(made.window.places[part], tiles.LINE)
        found[part] = held[line] * tiles.LINE + within
    return found


def score(
    made: tiles.TileModels,
    z: np.ndarray,
    beta: list[np.ndarray | None],
    variance: np.ndarray,
    pattern_of: np.ndarray,
    dtype: type = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """z and effects (models, traits); -7 for models that are not asked for."""
    outputs = [np.full((made.tissue.size, len(z)), -7, dtype, order="F") for _ in range(4)]
    window = np.full(tiles.window_size(made.window.lines, len(z)), np.nan, np.float32)
    columns_of = [list(output.T) for output in outputs]
    tiles.score_tile(made, list(z), beta, variance, pattern_of, window, columns_of[:2], columns_of[2:])
    asked = np.maximum(made.tissue, 0)
    found = (np.stack(pair)[asked, made.row] for pair in (outputs[:2], outputs[2:]))
    left_out = (made.tissue < 0)[:, None]
    z_found, effects = (np.where(left_out, dtype(-7), values) for values in found)
    return z_found, effects


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("patterns", [1, 3])
@pytest.mark.parametrize("traits", [1, 6, 8, 21])
@pytest.mark.parametrize("variants", [5, 16, 50, 9_000])
def test_scores_are_those_of_the_twin(dtype: type, patterns: int, traits: int, variants: int) -> None:
    rng = np.random.default_rng([patterns, traits, variants])
    z, beta = columns(rng, traits, variants)
    made = models(rng, rng.integers(0, 9, 300), variants)
    snps = snps_of(made)
    variance = rng.uniform(0.1, 2, (patterns, 300))
    variance[:, 4] = np.nan
    pattern_of = rng.integers(0, patterns, traits)
    effects: list[np.ndarray | None] = list(beta)
    effects[traits // 2] = None
    beta[traits // 2] = np.nan
    found = score(made, z, effects, variance, pattern_of, dtype)
    for model in range(300):
        part = slice(made.offsets[model], made.offsets[model + 1])
        sums = padded_gather(
            np.array([part.stop - part.start]), snps[None, part], made.z_weights[None, part],
            made.effect_weights[None, part], z.T, beta.T,
        )  # fmt: skip
        var_g = variance[pattern_of, model]
        tolerance = {"rtol": 1e-6 if dtype is np.float32 else 1e-12, "atol": 1e-9}
        np.testing.assert_allclose(found[0][model], sums[0][0] / np.sqrt(var_g), **tolerance)
        np.testing.assert_allclose(found[1][model], sums[1][0] / var_g, **tolerance)
    assert np.isnan(found[0][4]).all()


def test_what_is_scored_beside_a_trait_changes_no_bit_of_it() -> None:
    rng = np.random.default_rng(6)
    z, beta = columns(rng, 40, 300)
    made = models(rng, np.full(30, 10), 300)
    variance = rng.uniform(0.5, 1, (1, 30))

    def part(traits: slice) -> np.ndarray:
        at = np.zeros(len(z[traits]), np.int64)
        return np.stack(score(made, z[traits], list(beta[traits]), variance, at))

    whole = part(slice(None))
    for traits in (slice(0, 1), slice(3, 20), slice(39, 40)):
        np.testing.assert_array_equal(part(traits), whole[:, :, traits])


def test_models_that_are_not_asked_for_are_left_alone() -> None:
    rng = np.random.default_rng(7)
    z, beta = columns(rng, 3, 100)
    made = models(rng, rng.integers(1, 5, 40), 100)
    variance, at = np.ones((1, 40)), np.zeros(3, np.int64)
    whole = score(made, z, list(beta), variance, at)
    made.tissue[::3] = -1
    some = score(made, z, list(beta), variance, at)
    for one, other in zip(some, whole, strict=True):
        assert (one[::3] == -7).all()
        np.testing.assert_array_equal(np.delete(one, np.s_[::3], 0), np.delete(other, np.s_[::3], 0))


@given(st.data())
def test_every_entry_finds_its_variant_in_the_window(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    variants = data.draw(st.sampled_from([1, 15, 16, 17, 400, 20_000]))
    longest = data.draw(st.sampled_from([1, 7, 300, 700]))
    lengths = rng.integers(0, longest + 1, data.draw(st.integers(0, 40)))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    near = np.repeat(rng.integers(0, variants, lengths.size), lengths)
    spread = data.draw(st.sampled_from([1, 30, 20_000]))
    snps = ((near + rng.integers(0, spread, near.size)) % variants).astype(np.int32)
    made = tiles.TileModels(
        offsets, *np.ones((2, snps.size)), tiles.plan_window(offsets, snps, variants),
        np.zeros(lengths.size, np.int32), np.arange(lengths.size), variants,
    )  # fmt: skip
    np.testing.assert_array_equal(snps_of(made), snps)


def test_a_window_is_filled_once_where_models_follow_the_panel() -> None:
    rng = np.random.default_rng(8)
    first = np.sort(rng.integers(0, 50_000, 4_000))
    snps = (first[:, None] + rng.integers(0, 300, (4_000, 9))).ravel().astype(np.int32)
    plan = tiles.plan_window(np.arange(0, snps.size + 1, 9), snps, 50_400)
    assert plan.fills.size == len(np.unique(snps // tiles.LINE))


def test_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(9)
    made = models(rng, rng.integers(1, 5, 4), 30)
    z, beta = columns(rng, 2, 30)
    variance, at = np.ones((1, 4)), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="none of the 29"):
        tiles.plan_window(made.offsets, np.full(made.window.places.size, 29, np.int32), 29)
    with pytest.raises(ValueError, match="30 variants"):
        score(made, z[:, :29].copy(), list(beta), variance, at)
    with pytest.raises(ValueError, match="contiguous float32"):
        score(made, z.astype(np.float64), list(beta), variance, at)
    with pytest.raises(ValueError, match="not that of these models"):
        score(made, z, list(beta), variance, at + 1)
    outputs = [[np.zeros(4, np.float32)] * 2] * 2
    with pytest.raises(ValueError, match="too small"):
        tiles.score_tile(made, list(z), list(beta), variance, at, np.zeros(64, np.float32), outputs, outputs)


@given(st.integers(0, 2**32 - 1))
def test_quadratic_forms_are_those_of_the_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, 12)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ld_offsets = np.concatenate([[0], np.cumsum(lengths * (lengths + 1) // 2)]).astype(np.int64)
    values = rng.normal(size=offsets[-1]) * (rng.random(offsets[-1]) < 0.8)
    ld = rng.normal(size=ld_offsets[-1])
    chosen = rng.permutation(12)[:7].astype(np.int64)
    out = tiles.quadratic_forms(offsets, values, ld_offsets, ld, chosen, 0.0)
    for place, model in enumerate(chosen):
        n, u = lengths[model], values[offsets[model] : offsets[model + 1]]
        gamma = np.zeros((n, n))
        gamma[np.triu_indices(n)] = ld[ld_offsets[model] : ld_offsets[model + 1]]
        gamma += np.triu(gamma, 1).T
        np.testing.assert_allclose(out[place], u @ gamma @ u, rtol=1e-12, atol=1e-12)


def test_a_form_that_is_rounding_error_alone_is_zero() -> None:
    offsets, ld_offsets = np.array([0, 2]), np.array([0, 3])
    values, ld = np.array([0.1, -0.1 * (1 + 1e-14)]), np.array([0.3, 0.3, 0.3])  # two SNPs in perfect LD
    assert tiles.quadratic_forms(offsets, values, ld_offsets, ld, np.array([0]), 1e-12).tolist() == [0.0]
    form = tiles.quadratic_forms(offsets, np.array([0.1, 0.1]), ld_offsets, ld, np.array([0]), 1e-12)
    assert form[0] == pytest.approx(0.3 * 0.04)
