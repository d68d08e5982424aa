"""The same genotypes in every format give the same panel."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputwas.formats.genotypes import vcf
from gputwas.formats.genotypes.open import open_genotypes
from gputwas.formats.genotypes.panel import GenotypePanel
from tests.formats.genotypes.writers import WRITERS, Truth, random_truth

for library in ("bed_reader", "bgen", "cyvcf2", "pgenlib"):
    pytest.importorskip(library)

TRUTH = random_truth(20)
N_ROWS = len(TRUTH.rows())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The panel in every format."""
    return {name: write(TRUTH, tmp_path_factory.mktemp("panel")) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def panels(files: dict[str, Path]) -> dict[str, GenotypePanel]:
    return {name: open_genotypes(path) for name, path in files.items()}


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_truth_has_what_is_hard() -> None:
    dosages = TRUTH.dosages()
    assert len(TRUTH.calls) < len(TRUTH.rows())
    assert len({*zip(TRUTH.chromosome, TRUTH.position, strict=True)}) < len(TRUTH.calls)
    assert np.isnan(dosages).any() and np.isnan(dosages).all(axis=1).any()
    assert {0.0, 1.0, 2.0} <= set(dosages[np.isfinite(dosages)])


def test_variants_samples_and_dosages(kind: str, panels: dict[str, GenotypePanel]) -> None:
    panel = panels[kind]
    assert panel.variants.to_pylist() == TRUTH.rows()
    assert panel.samples == TRUTH.samples
    dosages = panel.dosages(np.arange(N_ROWS))
    assert dosages.dtype == np.float64
    np.testing.assert_array_equal(dosages, TRUTH.dosages())


def test_ascending_chunks(kind: str, panels: dict[str, GenotypePanel]) -> None:
    parts = [panels[kind].dosages(rows) for rows in np.array_split(np.arange(N_ROWS), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), TRUTH.dosages())


@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, N_ROWS - 1), max_size=30))
def test_any_rows_in_any_order(panels: dict[str, GenotypePanel], rows: list[int]) -> None:
    expected = TRUTH.dosages()[rows].reshape(len(rows), len(TRUTH.samples))
    for panel in panels.values():
        np.testing.assert_array_equal(panel.dosages(rows), expected)


@pytest.mark.parametrize("jump", [0, 5])
def test_jumps_with_an_index(files: dict[str, Path], jump: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcf, "_WORTH_A_JUMP", jump)
    jumps = []
    original = vcf._Cursor._jump
    monkeypatch.setattr(
        vcf._Cursor, "_jump", lambda self, wanted: (jumps.append(wanted), original(self, wanted))
    )
    panel = open_genotypes(files["VCF with index"])
    for rows in np.random.default_rng(jump).integers(0, N_ROWS, (40, 3)):
        np.testing.assert_array_equal(panel.dosages(rows), TRUTH.dosages()[rows])
    assert len(jumps) > 40


def test_ascending_rows_of_a_vcf_are_one_pass(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = open_genotypes(files["VCF"])
    openings = []
    original = vcf._open
    monkeypatch.setattr(vcf, "_open", lambda path, **more: (openings.append(path), original(path, **more))[1])
    for row in range(0, N_ROWS, 2):
        panel.dosages([row])
    assert len(openings) == 1
    panel.dosages([0])
    assert len(openings) == 2


@pytest.mark.parametrize("chosen", [["S3"], ["S20", "S0", "S7", "S7"], [f"S{i}" for i in range(21)]])
def test_sample_subset_in_file_order(kind: str, files: dict[str, Path], chosen: list[str]) -> None:
    panel = open_genotypes(files[kind], chosen)
    places = sorted({TRUTH.samples.index(name) for name in chosen})
    assert panel.samples == [TRUTH.samples[place] for place in places]
    rows = np.random.default_rng(3).permutation(N_ROWS)
    np.testing.assert_array_equal(panel.dosages(rows), TRUTH.dosages()[np.ix_(rows, places)])


def test_a_panel_goes_to_another_process(kind: str, panels: dict[str, GenotypePanel]) -> None:
    panels[kind].dosages([1])
    copy = pickle.loads(pickle.dumps(panels[kind]))
    np.testing.assert_array_equal(copy.dosages([2, 1]), TRUTH.dosages()[[2, 1]])


def test_one_file_set_per_chromosome(kind: str, tmp_path: Path) -> None:
    contigs = ("chr1", "chr2", "chrX")
    for contig in contigs:
        places = [i for i, name in enumerate(TRUTH.chromosome) if name == contig]
        part = Truth(
            TRUTH.samples,
            *(
                [getattr(TRUTH, field)[i] for i in places]
                for field in ("chromosome", "position", "name", "alleles")
            ),
            TRUTH.calls[places],
        )
        folder = tmp_path / contig
        folder.mkdir()
        WRITERS[kind](part, folder)
    end = WRITERS[kind](TRUTH, tmp_path).name
    panel = open_genotypes([tmp_path / contig / end for contig in contigs])
    assert panel.variants.to_pylist() == TRUTH.rows()
    assert len(panel.paths) == 3 * len(open_genotypes(tmp_path / end).paths)
    rows = np.random.default_rng(4).permutation(np.repeat(np.arange(N_ROWS), 2))
    np.testing.assert_array_equal(panel.dosages(rows), TRUTH.dosages()[rows])
    by_pattern = open_genotypes(tmp_path / "{chromosome}" / end)
    assert by_pattern.paths == panel.paths
    assert open_genotypes(str(tmp_path / "chr*" / end)).paths == panel.paths
