"""The processor's scoring kernels against the array-API twin and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.kernels import cpu
from gputwas.kernels.twins import padded_gather


def columns(rng: np.random.Generator, traits: int, variants: int) -> tuple[np.ndarray, np.ndarray]:
    """z and beta (traits, variants) float32 with missing values: of both, of z alone, of beta alone."""
    z = rng.normal(size=(traits, variants)).astype(np.float32)
    beta = rng.normal(size=(traits, variants)).astype(np.float32)
    z[rng.random(z.shape) < 0.2] = np.nan
    beta[rng.random(z.shape) < 0.1] = np.nan
    return z, beta


def tile(z: np.ndarray, beta: list[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """The tile that `interleave` makes of rows of z and beta."""
    tiles = np.empty(z.shape[::-1], np.float32), np.empty(z.shape[::-1], np.float32)
    cpu.interleave(cpu.addresses(list(z)), cpu.addresses(beta), *tiles)
    return tiles


@given(st.integers(1, 9), st.sampled_from([1, 7, 255, 256, 257, 600]), st.integers(0, 2**32 - 1))
def test_interleave_zeroes_what_is_missing(traits: int, variants: int, seed: int) -> None:
    z, beta = columns(np.random.default_rng(seed), traits, variants)
    z_tile, beta_tile = tile(z, list(beta))
    missing = np.isnan(z)
    np.testing.assert_array_equal(z_tile, np.where(missing, 0, z).T)
    np.testing.assert_array_equal(beta_tile, np.where(missing, 0, beta).T)


def test_a_trait_without_effects_has_none_wherever_it_has_z() -> None:
    z, beta = columns(np.random.default_rng(1), 3, 40)
    _, beta_tile = tile(z, [beta[0], None, beta[2]])
    np.testing.assert_array_equal(np.isnan(beta_tile[:, 1]), ~np.isnan(z[1]))
    np.testing.assert_array_equal(beta_tile[:, 0], np.where(np.isnan(z[0]), 0, beta[0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("several_patterns", [False, True])
def test_gather_scores_as_the_twin_does(dtype: type, several_patterns: bool) -> None:
    rng = np.random.default_rng(5)
    traits, variants, lengths = 6, 50, rng.integers(0, 9, 30)
    z, beta = columns(rng, traits, variants)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = int(offsets[-1])
    rows = rng.integers(0, variants, entries).astype(np.int32)
    z_weights, effect_weights = rng.normal(size=(2, entries))
    patterns = 3 if several_patterns else 1
    variance = rng.uniform(0.1, 2, (patterns, len(lengths)))
    variance[:, 4] = np.nan
    pattern_of = rng.integers(0, patterns, traits)
    found = np.empty((2, len(lengths), traits), dtype)
    cpu.gather(offsets, rows, z_weights, effect_weights, *tile(z, list(beta)), variance, pattern_of, *found)
    for model, length in enumerate(lengths):
        part = slice(offsets[model], offsets[model + 1])
        sums = padded_gather(
            np.array([length]), rows[None, part].astype(np.int64), z_weights[None, part],
            effect_weights[None, part], z.T, beta.T,
        )  # fmt: skip
        var_g = variance[pattern_of, model]
        np.testing.assert_allclose(found[0, model], sums[0][0] / np.sqrt(var_g), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found[1, model], sums[1][0] / var_g, rtol=1e-6, atol=1e-9)
    assert np.isnan(found[:, 4]).all()


def test_a_trait_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(6)
    z, beta = columns(rng, 40, 300)
    offsets = np.arange(0, 301, 10).astype(np.int64)
    rows = rng.permutation(300).astype(np.int32)
    weights = rng.normal(size=(2, 300))
    variance = np.ones((1, 30))

    def score(traits: slice) -> np.ndarray:
        out = np.empty((2, 30, len(z[traits])))
        at = np.zeros(len(z[traits]), np.int64)
        cpu.gather(offsets, rows, *weights, *tile(z[traits], list(beta[traits])), variance, at, *out)
        return out

    whole = score(slice(None))
    for traits in (slice(0, 1), slice(3, 20), slice(39, 40)):
        np.testing.assert_array_equal(score(traits), whole[:, :, traits])


@given(st.integers(1, 5), st.integers(1, 600), st.integers(0, 2**32 - 1))
def test_spread_transposes_and_permutes(width: int, models: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, order = rng.normal(size=(models, width)), rng.permutation(models)
    out = np.full((width, models + 3), 7.0)
    cpu.spread(rows, order, out)
    np.testing.assert_array_equal(out[:, :models], rows[order].T)
    assert (out[:, models:] == 7).all()


def test_only_contiguous_single_precision_has_an_address() -> None:
    with pytest.raises(ValueError, match="contiguous float32"):
        cpu.addresses([np.zeros(4)])
    with pytest.raises(ValueError, match="contiguous float32"):
        cpu.addresses([np.zeros(8, np.float32)[::2]])
    assert cpu.addresses([None]).tolist() == [0]


@given(st.integers(0, 2**32 - 1))
def test_quadratic_forms_are_those_of_the_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, 12)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ld_offsets = np.concatenate([[0], np.cumsum(lengths * (lengths + 1) // 2)]).astype(np.int64)
    values = rng.normal(size=offsets[-1]) * (rng.random(offsets[-1]) < 0.8)
    ld = rng.normal(size=ld_offsets[-1])
    models = rng.permutation(12)[:7].astype(np.int64)
    out = np.empty(7)
    cpu.quadratic_forms(offsets, values, ld_offsets, ld, models, 0.0, out)
    for place, model in enumerate(models):
        n, u = lengths[model], values[offsets[model] : offsets[model + 1]]
        gamma = np.zeros((n, n))
        gamma[np.triu_indices(n)] = ld[ld_offsets[model] : ld_offsets[model + 1]]
        gamma += np.triu(gamma, 1).T
        np.testing.assert_allclose(out[place], u @ gamma @ u, rtol=1e-12, atol=1e-12)


def test_a_form_that_is_rounding_error_alone_is_zero() -> None:
    offsets, ld_offsets = np.array([0, 2]), np.array([0, 3])
    values, ld = np.array([0.1, -0.1 * (1 + 1e-14)]), np.array([0.3, 0.3, 0.3])  # two SNPs in perfect LD
    out = np.full(1, 9.0)
    cpu.quadratic_forms(offsets, values, ld_offsets, ld, np.array([0]), 1e-12, out)
    assert out.tolist() == [0.0]
    cpu.quadratic_forms(offsets, np.array([0.1, 0.1]), ld_offsets, ld, np.array([0]), 1e-12, out)
    assert out[0] == pytest.approx(0.3 * 0.04)
