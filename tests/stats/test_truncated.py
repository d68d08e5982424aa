"""Truncated inverses against a plain SVD, gene by gene, and the rule at a boundary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.backends.choose import Backend
from gputwas.stats.truncated import Cutoff, CutoffKind, joint_statistic, truncate

CUTOFFS = [
    Cutoff("condition_number", 30),
    Cutoff("condition_number", 3),
    Cutoff("eigen_ratio", 0.05),
    Cutoff("eigen_ratio", 0),
    Cutoff("trace_ratio", 0.02),
    Cutoff("threshold", 0),
]


def correlations(genes: int, tissues: int, seed: int) -> np.ndarray:
    """Correlation matrices with a few strong directions, all well above rounding."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(genes, tissues, 3))
    cov = loadings @ loadings.swapaxes(1, 2) + 0.1 * np.eye(tissues)
    sd = np.sqrt(np.einsum("gii->gi", cov))
    return cov / sd[:, :, None] / sd[:, None, :]


def limit_of(cutoff: Cutoff, values: np.ndarray) -> float:
    """What a value must reach, from descending eigenvalues, in the words of the reference program."""
    return {
        "condition_number": lambda: values[0] / cutoff.value,
        "eigen_ratio": lambda: values[0] * cutoff.value,
        "trace_ratio": lambda: values.sum() * cutoff.value,
        "threshold": lambda: 0.0,
    }[cutoff.kind]()


def by_svd(r: np.ndarray, cutoff: Cutoff, regularization: float, z: np.ndarray) -> dict[str, np.ndarray]:
    """One gene as the reference does it: a pseudo-inverse by SVD, then z' R+ z and trace(R R+)."""
    u, s, vt = np.linalg.svd(r + regularization * np.eye(len(r)))
    n = max(1, int((s >= limit_of(cutoff, np.linalg.eigvalsh(r)[::-1])).sum()))
    inverse = vt[:n].T @ np.diag(1 / s[:n]) @ u[:, :n].T
    return {
        "n_indep": np.array(n),
        "eigenvalues": s,
        "eigen_max": s.max(),
        "eigen_min": s.min(),
        "eigen_min_kept": s[:n].min(),
        "tmi": np.trace(r @ inverse),
        "statistic": np.einsum("it,ij,jt->t", z, inverse, z),
    }


@pytest.mark.parametrize("cutoff", CUTOFFS, ids=str)
@pytest.mark.parametrize("regularization", [0.0, 0.1])
@pytest.mark.parametrize("tissues", [1, 2, 7])
def test_equals_an_svd(backend: Backend, cutoff: Cutoff, regularization: float, tissues: int) -> None:
    r = correlations(6, tissues, tissues)
    z = np.random.default_rng(7).normal(size=(6, tissues, 4)) * 5
    inverse = truncate(backend.asarray(r), cutoff, regularization)
    got = {name: backend.to_numpy(getattr(inverse, name)) for name in vars(inverse)}
    got["statistic"] = backend.to_numpy(joint_statistic(inverse, backend.asarray(z)))
    for gene in range(6):
        want = by_svd(r[gene], cutoff, regularization, z[gene])
        for name, value in want.items():
            np.testing.assert_allclose(got[name][gene], value, rtol=1e-9, err_msg=name)
        assert (got["components"][gene, int(want["n_indep"]) :] == 0).all()
    assert got["n_indep"].dtype == np.int64
    if cutoff.value and tissues == 7 and not regularization:
        assert got["n_indep"].min() < 7  # the case is one that truncates


def test_threshold_keeps_the_component_at_its_boundary(backend: Backend) -> None:
    # eigenvalues 2.8, 0.1, 0.1 of three equally correlated tissues; 1.9, 0.1 of two independent pairs
    equal = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    pairs = np.kron(np.eye(2), np.array([[1, 0.9], [0.9, 1]]))
    for r, threshold, n in [
        (equal, 0.0, 3),
        (equal, 0.01, 3),  # the sum 2.8 is within 2.97; the value after it, 0.1, would exceed it
        (equal, 0.5, 1),  # 2.8 exceeds 1.5: the first only
        (pairs, 0.5, 2),  # 1.9 is within 2, and its equal too
        (pairs, 0.04, 2),
        (pairs, 0.02, 4),  # 1.9 + 1.9 + 0.1 is within 3.92, so is the last value, which equals that one
        (pairs, 1.0, 2),  # the first in any case, and what equals it
    ]:
        inverse = truncate(backend.asarray(r[None]), Cutoff("threshold", threshold))
        assert int(backend.to_numpy(inverse.n_indep)[0]) == n, threshold


def expected_at(r: np.ndarray, threshold: float) -> int:
    """The stated rule, from rounded eigenvalues, where equal is equal."""
    values = np.round(np.linalg.eigvalsh(r)[::-1], 9)
    if threshold == 0:
        return len(values)
    within = [
        k
        for k in range(len(values))
        if round(values[: k + 1].sum(), 8) <= round((1 - threshold) * values.sum(), 8)
    ]
    last = values[within[-1]] if within else values[0]
    return int((values >= last).sum())


@given(st.integers(1, 12), st.integers(0, 10_000), st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.4, 0.9]))
def test_threshold_does_not_depend_on_rounding(tissues: int, seed: int, threshold: float) -> None:
    """The reference's outcome is chance; ours is that of a matrix changed in its last bits."""
    r = correlations(1, tissues, seed)
    noise = np.random.default_rng(seed).uniform(-1e-15, 1e-15, r.shape)
    shaken = r + noise + noise.swapaxes(1, 2)
    cutoff = Cutoff("threshold", threshold)
    assert (
        truncate(r, cutoff).n_indep[0] == truncate(shaken, cutoff).n_indep[0] == expected_at(r[0], threshold)
    )


@pytest.mark.parametrize("cutoff", [Cutoff("eigen_ratio", 0), Cutoff("condition_number", 1e20)], ids=str)
def test_values_that_are_rounding_are_never_kept(backend: Backend, cutoff: Cutoff) -> None:
    """Two tissues with one and the same model beside a third."""
    r = np.array([[1, 1, 0.3], [1, 1, 0.3], [0.3, 0.3, 1]])
    z = np.array([[2.0], [2.0], [1.0]])
    inverse = truncate(backend.asarray(r[None]), cutoff)
    assert int(backend.to_numpy(inverse.n_indep)[0]) == 2
    got = float(backend.to_numpy(joint_statistic(inverse, backend.asarray(z[None])))[0, 0])
    assert got == pytest.approx(z[1:, 0] @ np.linalg.inv(r[1:, 1:]) @ z[1:, 0], rel=1e-12)


def test_a_negative_eigenvalue_keeps_its_sign() -> None:
    """No covariance gives such a matrix; a text file can."""
    r = np.array([[1.0, 1.5], [1.5, 1.0]])  # eigenvalues 2.5 and -0.5
    z = np.array([[3.0], [-2.0]])
    inverse = truncate(r[None], Cutoff("condition_number", 30))
    np.testing.assert_allclose(inverse.eigenvalues, [[2.5, 0.5]])
    np.testing.assert_array_equal(inverse.signs, [[1, -1]])
    np.testing.assert_allclose(joint_statistic(inverse, z[None]), [z[:, 0] @ np.linalg.inv(r) @ z])
    np.testing.assert_allclose(inverse.tmi, [2.0])


def test_a_matrix_of_zeros_keeps_one_component() -> None:
    inverse = truncate(np.zeros((1, 2, 2)), Cutoff("eigen_ratio", 0.1))
    assert inverse.n_indep[0] == 1
    assert np.isfinite(inverse.components).all()


def test_genes_without_number() -> None:
    inverse = truncate(np.zeros((0, 3, 3)), Cutoff("eigen_ratio", 0.1))
    assert inverse.components.shape == (0, 3, 3)
    assert joint_statistic(inverse, np.zeros((0, 3, 5))).shape == (0, 5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (2, 0, 0)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="genes, tissues, tissues"):
        truncate(np.zeros(shape), CUTOFFS[0])


@pytest.mark.parametrize("regularization", [-1.0, float("nan"), float("inf")])
def test_a_regularization_that_means_nothing(regularization: float) -> None:
    with pytest.raises(ValueError, match="regularization must be a number of 0 or above"):
        truncate(np.eye(2)[None], CUTOFFS[0], regularization)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("condition_number", 0),
        ("eigen_ratio", -1),
        ("trace_ratio", float("nan")),
        ("threshold", 1.5),
        ("ratio", 1),
    ],
)
def test_a_cutoff_that_means_nothing(kind: CutoffKind, value: float) -> None:
    with pytest.raises(ValueError, match="cut-off"):
        Cutoff(kind, value)
