"""Real models and GWAS through the stores, against the reference's csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputwas.cli.main import main
from tests.golden import reference

ROLES = {
    "--snp_column": "variant_id", "--effect_allele_column": "effect_allele",
    "--non_effect_allele_column": "other_allele", "--beta_column": "beta", "--se_column": "se",
    "--pvalue_column": "p", "--zscore_column": "z", "--or_column": "odds_ratio",
}  # fmt: skip
FLOAT32_BOUND = 1e-5
FLOAT64_BOUND = 1e-6  # beta is stored in single precision


def quietly(*words: str) -> int:
    """Exit code of a command."""
    return main(["--quiet", *map(str, words)])


@pytest.fixture(scope="module")
def stores(gtex_v6p: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model and GWAS stores of all 22 tissues and 9 runs, each run a trait."""
    folder = tmp_path_factory.mktemp("stores")
    databases = [str(reference.database(gtex_v6p, tissue)) for tissue in reference.tissues(gtex_v6p)]
    assert quietly(
        "models", "import", *databases, "-c", gtex_v6p / "covariances", "--out", folder / "models"
    ) == 0  # fmt: skip
    for run in reference.runs(gtex_v6p):
        pairs = zip(run.flags[::2], run.flags[1::2], strict=True)
        columns = [word for flag, name in pairs for word in ("--column", f"{ROLES[flag]}={name}")]
        assert quietly(
            "gwas", "import", run.gwas, "--trait", run.name, "--models", folder / "models",
            "--out", folder / "gwas", "--mode", "parity", *columns,
        ) == 0  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        ("numpy", "float32"),
        pytest.param("numpy", "float64", marks=pytest.mark.slow),
        pytest.param("jax", "float64", marks=pytest.mark.slow),
        pytest.param("array_api_strict", "float64", marks=pytest.mark.slow),
        pytest.param("cupy", "float64", marks=pytest.mark.gpu),
    ],
)
def test_every_row_of_every_csv(
    gtex_v6p: Path, stores: Path, tmp_path: Path, backend: str, precision: str
) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    out = tmp_path / "associations"
    assert quietly(
        "associate", "--models", stores / "models", "--gwas", stores / "gwas", "--out", out,
        "--backend", backend, "--precision", precision,
    ) == 0  # fmt: skip
    bound = FLOAT32_BOUND if precision == "float32" else FLOAT64_BOUND
    compared = 0
    for run in reference.runs(gtex_v6p):
        for tissue in reference.tissues(gtex_v6p):
            want = reference.expected(gtex_v6p, run.name, tissue)
            if not want.exists():
                continue
            csv = tmp_path / "out.csv"
            assert quietly(
                "export", "metaxcan", out, "--trait", run.name, "--tissue", tissue, "--out", csv,
                "--models", stores / "models", "--gwas", stores / "gwas",
            ) == 0  # fmt: skip
            reference.assert_same(csv, want, z_bound=bound)
            compared += 1
    assert compared == 9 * 21
