"""S-MultiXcan through the stores against SMulTiXcan.py: every row of its tables, on real models."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from gputwas.cli.main import main
from tests.golden import reference

CUTOFFS = {
    "cn30": [], "cn30_reg0.01": ["--regularization", "0.01"], "er0.01": ["--cutoff-eigen-ratio", "0.01"],
    "er0": ["--cutoff-eigen-ratio", "0"], "tr0.01": ["--cutoff-trace-ratio", "0.01"],
    "ct0": ["--cutoff-threshold", "0"],
}  # fmt: skip
TRAITS = ("big40", "gwas_ssf", "enigma")
ROLES = {"snp": "variant_id", "effect_allele": "effect_allele", "non_effect_allele": "other_allele"}
RELATIVE = 1e-6
WHOLE = ("n", "n_indep", "status")
TEXT = ("gene", "gene_name", "t_i_best", "t_i_worst")


def run(*words: object) -> None:
    assert main([*map(str, words), "--quiet"]) == 0


def columns(flags: tuple[str, ...]) -> list[str]:
    """The reference program's column flags as those of `gwas import`."""
    words = []
    for flag, name in zip(flags[::2], flags[1::2], strict=True):
        role = flag.removeprefix("--").removesuffix("_column")
        words += ["--column", f"{ROLES.get(role, role)}={name}"]
    return words


@pytest.fixture(scope="module")
def stores(gtex_v6p: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with model, GWAS and association store of the real study, in parity with the reference."""
    folder = tmp_path_factory.mktemp("smultixcan")
    databases = sorted((gtex_v6p / "models").glob("*.db"))
    run("models", "import", *databases, "-c", gtex_v6p / "covariances", "--out", folder / "models",
        "--allow-missing-ld")  # fmt: skip
    for found in reference.runs(gtex_v6p):
        if found.name in TRAITS:
            run("gwas", "import", found.gwas, "--trait", found.name, "--models", folder / "models",
                "--out", folder / "gwas", "--mode", "parity", *columns(found.flags))  # fmt: skip
    run("associate", "--models", folder / "models", "--gwas", folder / "gwas", "--out", folder / "a",
        "--precision", "float64", "--backend", "numpy")  # fmt: skip
    return folder


def joint(stores: Path, out: Path, covariance: Path, *flags: str) -> None:
    run("multixcan", "--models", stores / "models", "--gwas", stores / "gwas", "--associations", stores / "a",
        "--snp-covariance", covariance, "--precision", "float64", "--out", out, *flags)  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def assert_same_row(found: dict[str, str], expected: dict[str, str]) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        if name in TEXT or wanted == "NA":
            assert found[name] == wanted, name
        elif name in WHOLE:
            assert int(found[name]) == int(float(wanted)), name
        else:
            assert math.isclose(float(found[name]), float(wanted), rel_tol=RELATIVE), name


CASES = [("numpy", cutoff) for cutoff in CUTOFFS] + [("jax", "cn30"), ("array_api_strict", "cn30")]


@pytest.mark.parametrize(("backend", "cutoff"), CASES)
def test_every_row_is_the_references(
    gtex_v6p: Path, stores: Path, tmp_path: Path, cutoff: str, backend: str
) -> None:
    flags = CUTOFFS[cutoff]
    joint(stores, tmp_path / "j", gtex_v6p / "snp_covariance.txt.gz", "--backend", backend, *flags)
    compared = 0
    for trait in TRAITS:
        expected = gtex_v6p / "expected" / "smultixcan" / f"{trait}.{cutoff}.cleared.tsv"
        if not expected.exists():
            continue
        out = tmp_path / f"{trait}.tsv"
        run("export", "multixcan", tmp_path / "j", trait, "--associations", stores / "a", "--out", out)
        wanted = rows(expected)
        found = rows(out)
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            assert_same_row(ours, theirs)
        compared += len(wanted)
    assert compared >= 3


def test_text_kept_as_a_store_gives_the_same(gtex_v6p: Path, stores: Path, tmp_path: Path) -> None:
    text = gtex_v6p / "snp_covariance.txt.gz"
    joint(stores, tmp_path / "a", text, "--keep-ld", str(tmp_path / "ld"))
    joint(stores, tmp_path / "b", tmp_path / "ld")
    joint(stores, tmp_path / "c", text, "--keep-ld", str(tmp_path / "ld"))
    for name in ("00000.statistic.arrow", "00000.acat.arrow"):
        first = (tmp_path / "a" / "shards" / name).read_bytes()
        assert first == (tmp_path / "b" / "shards" / name).read_bytes()
        assert first == (tmp_path / "c" / "shards" / name).read_bytes()
