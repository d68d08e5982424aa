"""The C loops over LD triangles against their NumPy twins, bit by bit, and against whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.kernels import ld, library
from gputwas.kernels.texts import Names

SWITCH = "GPUTWAS_COMPILED"


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Genes with and without a model, SNPs that a model lacks, models without a gene, and empty ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    models, genes = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    lengths = rng.integers(0, 6, models)
    entry_snps = np.concatenate([rng.permutation(8)[:n] for n in lengths] + [np.empty(0, np.int64)])
    model = rng.permutation(np.concatenate([np.arange(models), np.full(genes, -1)]))[:genes]
    sizes = rng.integers(0, 7, genes)
    snps = np.concatenate([rng.permutation(10)[:n] - 1 for n in sizes] + [np.empty(0, np.int64)])
    values = rng.normal(size=int((sizes * (sizes + 1) // 2).sum()))
    if draw(st.booleans()):
        values = np.abs(values)
    return {
        "model": model, "sizes": sizes, "snps": snps, "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "entry_snps": entry_snps.astype(np.int32), "values": values,
        "weights": rng.normal(size=len(entry_snps)), "signs": rng.choice([-1.0, 1.0], len(entry_snps)),
    }  # fmt: skip


def names(texts: list[str]) -> Names:
    ends = np.cumsum([0, *(len(text) for text in texts)])
    return Names(np.frombuffer("".join(texts).encode(), np.uint8), ends)


SNPS = [*"abcdefghi", "rs123456789"]  # short names and one of more than a word


def entries_of(study: dict[str, Any]) -> np.ndarray:
    """By names where the library is there, else by codes."""
    model, sizes, offsets, entry_snps = (study[key] for key in ("model", "sizes", "offsets", "entry_snps"))
    if not library.is_there():
        return ld.find_coded_entries(model, sizes, study["snps"], offsets, entry_snps)
    of_genes = names([*SNPS, "of no model"])
    coded = np.where(study["snps"] < 0, len(SNPS), study["snps"]).astype(np.int32)
    return ld.find_entries(model, sizes, coded, of_genes, offsets, entry_snps, names(SNPS))


@pytest.mark.library
def test_a_gene_that_names_a_snp_twice_is_found() -> None:
    sizes = np.array([2, 0, 3])
    assert not ld.names_twice(sizes, names(["rs1", "rs2", "rs1", "rs22", "rs2"]))
    assert ld.names_twice(sizes, names(["rs1", "rs2", "rs1", "rs22", "rs1"]))
    with pytest.raises(ValueError, match="SNPs in all"):
        ld.names_twice(sizes, names(["rs1", "rs2"]))


def results(study: dict[str, Any]) -> tuple[Any, ...]:
    model, sizes, offsets = study["model"], study["sizes"], study["offsets"]
    found = entries_of(study)
    order, n_listed = ld.listed_first(model, sizes, found, offsets)
    size = n_listed.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(size * (size + 1) // 2)])
    out, var_g = np.full(starts[-1], np.nan), np.full(len(size), np.nan)
    weights, signs = study["weights"], study["signs"]
    negative = ld.model_triangles(
        model, sizes, found, study["values"], weights, signs, starts[:-1], out, var_g
    )
    return found, order, n_listed, out, var_g, np.array(negative)


@pytest.mark.library
@given(studies())
def test_same_as_the_twin(study: dict[str, Any]) -> None:
    for array in study.values():
        array.setflags(write=False)
    compiled = results(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        plain = results(study)
    for one, two in zip(compiled, plain, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    order, ld_values = compiled[1], compiled[3]
    assert sorted(order) == list(range(len(order)))
    assert not np.isnan(ld_values).any(), "every cell is filled"


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_quadratic_forms_are_those_of_the_matrices(compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, compiled)
    rng = np.random.default_rng(3)
    matrix, weights = np.cov(rng.normal(size=(5, 20))), rng.normal(size=5)
    values, var_g = matrix[np.triu_indices(5)], np.empty(1)
    genes = np.array([0]), np.array([5]), np.arange(5)
    found = ld.model_triangles(*genes, values, weights, np.ones(5), np.array([0]), values, var_g)
    assert found == (-1, 0.0)
    np.testing.assert_allclose(var_g[0], weights @ matrix @ weights, rtol=1e-12)
    np.testing.assert_array_equal(values, matrix[np.triu_indices(5)])  # turned in place, by no sign


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_an_entry_listed_twice_counts_once(compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, compiled)
    order, n_listed = ld.listed_first(
        np.array([1, 0]), np.array([3, 2]), np.array([3, 3, 0, 1, 1]), np.array([0, 2, 4])
    )
    assert (order.tolist(), n_listed.tolist()) == ([1, 0, 3, 2], [1, 1])


def test_refuses_what_would_lead_outside() -> None:
    one, two, offsets = np.array([0]), np.array([2]), np.array([0, 2])
    for model, sizes, snps, where in (
        (one, two, np.arange(3), offsets),
        (one + 1, two, np.arange(2), offsets),
        (one, -two, np.arange(2), offsets),
        (one, two, np.arange(2), np.array([0, 3])),
        (one, two, np.arange(2), np.array([1, 2])),
    ):
        with pytest.raises(ValueError):
            ld.find_coded_entries(model, sizes, snps, where, np.arange(2))
        with pytest.raises(ValueError):
            ld.find_entries(model, sizes, snps, names(SNPS), where, np.arange(2), names(SNPS))
    for wrong in (names(["rs1"]), Names(np.zeros(3, np.uint8), np.array([0, 2, 4]))):
        with pytest.raises(ValueError):
            ld.find_entries(one, two, np.arange(2), wrong, offsets, np.arange(2), names(SNPS))
    good = [one, two, np.arange(2), np.zeros(3), np.ones(2), np.ones(2), one, np.zeros(3), np.zeros(1)]
    assert ld.model_triangles(*good) == (-1, 0.0)
    for place, wrong in enumerate(
        [
            one + 1,
            two + 1,
            np.array([0, 2]),
            np.zeros(2),
            np.ones(1),
            np.ones(3),
            one + 1,
            np.zeros(2),
            np.zeros(2),
        ]
    ):
        with pytest.raises(ValueError):
            ld.model_triangles(*[*good[:place], wrong, *good[place + 1 :]])
