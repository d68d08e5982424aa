"""`gputwas spredixcan` against SPrediXcan.py: every row of every csv, on real models and six GWAS formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gputwas.cli.main import main
from tests.golden import reference

RUNS = ("big40", "metal", "gwas_ssf", "enigma", "enigma_p", "plink2", "plink2_z", "daner", "daner_p")


def spredixcan(database: Path, covariance: Path, gwas: Path, out: Path, *flags: str) -> int:
    """Exit code of the drop-in command."""
    return main(
        [
            "spredixcan", "--quiet", "--model_db_path", str(database), "--covariance", str(covariance),
            "--gwas_file", str(gwas), "--output_file", str(out), *flags,
        ]
    )  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_every_tissue_of_a_run_equals_the_reference(gtex_v6p: Path, tmp_path: Path, name: str) -> None:
    run = next(run for run in reference.runs(gtex_v6p) if run.name == name)
    compared = 0
    for tissue in reference.tissues(gtex_v6p):
        out = tmp_path / f"{tissue}.csv"
        code = spredixcan(
            reference.database(gtex_v6p, tissue), reference.covariance(gtex_v6p, tissue),
            run.gwas, out, *run.flags, "--additional_output",
        )  # fmt: skip
        want = reference.expected(gtex_v6p, name, tissue)
        if want.exists():
            assert code == 0
            reference.assert_same(out, want)
            compared += 1
        else:  # a tissue without any model: the reference divides by zero
            assert code == 3
            assert not out.exists()
    assert compared == 21


def edge_cases(folder: Path) -> dict[str, dict]:
    """Cases of edge/cases.json by name."""
    return {case["name"]: case for case in json.loads((folder / "edge" / "cases.json").read_text())}


SAME = (
    "base", "precedence", "cov_partial", "cov_zero", "malformed_lines", "malformed_lines_tab", "crlf",
    "palindromic", "plink2_a1_is_ref", "plink2_omitted", "dup_conflict",
    *(f"p_zero_{how}.{tissue}" for how in ("default", "fix0", "fix1", "beta_se")
      for tissue in ("Whole_Blood", "Colon_Transverse")),
)  # fmt: skip


def run_case(folder: Path, name: str, out: Path) -> int:
    """Exit code of a case."""
    case = edge_cases(folder)[name]
    files = [folder / case[kind] for kind in ("model", "covariance", "gwas")]
    return spredixcan(*files, out, *case["flags"])


@pytest.mark.parametrize("name", SAME)
def test_edge_case_equals_the_reference(gtex_v6p: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.csv"
    assert run_case(gtex_v6p, name, out) == 0
    reference.assert_same(out, gtex_v6p / edge_cases(gtex_v6p)[name]["expected"])


def test_no_edge_case_is_forgotten(gtex_v6p: Path) -> None:
    better = {"p_out_of_range", "plink2_test_rows", "empty_model", "p_zero_fix_1e-100"}
    assert set(edge_cases(gtex_v6p)) == set(SAME) | better


@pytest.mark.parametrize(
    ("name", "words"),
    [("p_out_of_range", ("p_out_of_range.txt", "line", "P")), ("empty_model", ("TW_Pituitary_0.5.db",))],
)
def test_defects_of_the_reference_are_refused(
    gtex_v6p: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "out.csv"
    assert run_case(gtex_v6p, name, out) == 3
    message = capsys.readouterr().err
    assert all(word in message for word in words), message
    assert not out.exists()


def test_covariate_rows_do_not_win(gtex_v6p: Path, tmp_path: Path) -> None:
    """The reference lets the row of a covariate replace that of the SNP; only additive rows count here."""
    out, clean = tmp_path / "out.csv", tmp_path / "clean.csv"
    case = edge_cases(gtex_v6p)["plink2_test_rows"]
    lines = (gtex_v6p / case["gwas"]).read_text().splitlines()
    test = lines[0].split().index("TEST")
    additive = [line for line in lines if line.split()[test] in ("TEST", "ADD")]
    assert len(additive) < len(lines)
    only_additive = tmp_path / "additive.glm.linear"
    only_additive.write_text("\n".join(additive) + "\n")
    files = [gtex_v6p / case[kind] for kind in ("model", "covariance")]
    assert run_case(gtex_v6p, "plink2_test_rows", out) == 0
    assert spredixcan(*files, only_additive, clean, *case["flags"]) == 0
    assert out.read_bytes() == clean.read_bytes()


def test_small_stand_ins_for_p_zero_are_taken(gtex_v6p: Path, tmp_path: Path) -> None:
    """The reference parses the option as an integer and refuses 1e-100."""
    out = tmp_path / "out.csv"
    assert run_case(gtex_v6p, "p_zero_fix_1e-100", out) == 0
    rows = reference.read_rows(out)
    default = gtex_v6p / "edge" / "expected" / "p_zero_default.Whole_Blood.csv"
    assert set(rows) == set(reference.read_rows(default))
