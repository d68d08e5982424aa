"""LD from triangles is LD from the same rows read the ordinary way."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.triangles import Triangles
from gputwas.ingest.models import pack_models
from tests.ingest.test_models import covariance, tissue

SNPS = [f"rs{n}" for n in range(8)]
ALLELES = [("A", "G"), ("G", "A"), ("C", "T")]


def triangles(genes: dict[str, tuple[list[str], np.ndarray]]) -> Triangles:
    listed = [snp for snps, _ in genes.values() for snp in snps]
    coded = pa.array(listed, pa.string()).dictionary_encode()
    upper = [matrix[np.triu_indices(len(snps))] for snps, matrix in genes.values()]
    return Triangles(
        "cov.txt",
        pa.array(list(genes), pa.string()),
        np.array([len(snps) for snps, _ in genes.values()], np.int64),
        coded.dictionary,
        coded.indices.to_numpy(),
        np.concatenate([*upper, np.empty(0)]),
    )


def rows(genes: dict[str, tuple[list[str], np.ndarray]]) -> list[tuple[str, str, str, float]]:
    return [
        (gene, snps[i], snps[j], float(matrix[i, j]))
        for gene, (snps, matrix) in genes.items()
        for i in range(len(snps))
        for j in range(i, len(snps))
    ]


@st.composite
def studies(draw: st.DrawFn) -> tuple[list, dict[str, tuple[list[str], np.ndarray]]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights, genes = [], {}
    for number in draw(st.permutations(range(4))):
        gene = f"g{number}"
        in_model = draw(st.lists(st.sampled_from(SNPS), max_size=6, unique=True))
        for snp in in_model:
            effect, other = ALLELES[draw(st.integers(0, 2))]
            weights.append((gene, snp, float(rng.normal()), effect, other))
        listed = draw(st.lists(st.sampled_from(SNPS), max_size=8, unique=True))
        if listed:
            genes[gene] = listed, np.cov(rng.normal(size=(len(listed), 9))).reshape(len(listed), -1)
    weights.append(("g9", "rs0", 1.0, "A", "G"))
    genes["g9"] = ["rs0"], np.ones((1, 1))  # one model at least has LD
    return weights, genes


@given(studies(), studies())
def test_same_as_from_rows(one: tuple, two: tuple) -> None:
    """Two tissues, so that some models are turned to the other's alleles."""
    packed = [
        pack_models(
            [(tissue(w, name=name), source(g)) for name, (w, g) in (("Liver", one), ("Lung", two))],
            allow_missing_ld=True,
        )[0]
        for source in (triangles, lambda genes: covariance(rows(genes)))
    ]
    for name in ("offsets", "variants", "weights", "n_in_ld", "ld_offsets", "ld"):
        np.testing.assert_array_equal(getattr(packed[0], name), getattr(packed[1], name), err_msg=name)
    assert packed[0].models.drop(["var_g"]).equals(packed[1].models.drop(["var_g"]))
    var_g = [models.models["var_g"].to_numpy() for models in packed]
    np.testing.assert_allclose(*var_g, rtol=1e-12, atol=1e-15)


def test_a_negative_variance_names_snp_and_gene() -> None:
    genes = {"g1": (["rs1", "rs2"], np.array([[1.0, 0.1], [0.1, -0.5]]))}
    models = tissue([("g1", "rs1", 1.0, "A", "G"), ("g1", "rs2", 1.0, "A", "G")])
    with pytest.raises(InputError, match=r"variance of rs2 in gene g1 is negative.*-0\.5"):
        pack_models([(models, triangles(genes))])


def test_covariances_of_other_models_are_refused() -> None:
    genes = {"g1": (["chr1_5_A_G"], np.ones((1, 1)))}
    with pytest.raises(InputError, match="belongs to other models"):
        pack_models([(tissue([("g1", "rs1", 1.0, "A", "G")]), triangles(genes))])
