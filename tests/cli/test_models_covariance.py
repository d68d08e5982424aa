"""`gputwas models covariance`: what it does, and genotypes that are not for the models, one message each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gputwas.stores.associations import AssociationStore
from gputwas.stores.models import read_models_store
from tests.cli.studies import nothing_written, refused, run
from tests.ingest.made_genotypes import ModelRow, made_dosages, variants, write_database, write_plink

pytest.importorskip("bed_reader")

SNPS = 40
SAMPLES = 40


@dataclass
class Panel:
    """Genotypes that a case may spoil: dosages (SNPs, samples) of A1, and the columns of the .bim."""

    dosages: np.ndarray
    ids: list[str | None]
    chromosomes: list[str]
    positions: list[int]
    effect: list[str]
    other: list[str]

    def write(self, stem: Path) -> Path:
        rows = zip(self.ids, self.chromosomes, self.positions, self.effect, self.other, strict=True)
        return write_plink(stem, self.dosages, variants(list(rows)))


def good_panel() -> Panel:
    dosages = made_dosages(np.random.default_rng(3), SNPS, SAMPLES)
    return Panel(
        dosages,
        [f"rs{i}" for i in range(SNPS)],
        ["1"] * 20 + ["2"] * 20,
        [1000 + 10 * i for i in range(SNPS)],
        ["A", "C"] * 20,
        ["G", "T"] * 20,
    )


def model_rows(name: Callable[[int], str]) -> list[ModelRow]:
    """Ten genes of four SNPs each."""
    panel = good_panel()
    return [(f"ENSG{i // 4}", name(i), 0.1 * (i + 1), panel.effect[i], panel.other[i]) for i in range(SNPS)]


def rsid(i: int) -> str:
    return f"rs{i}"


def chr_pos(i: int) -> str:
    panel = good_panel()
    place = f"{panel.chromosomes[i]}_{panel.positions[i]}"
    return f"chr{place}_{panel.other[i]}_{panel.effect[i]}_b38"


def words(folder: Path, panel: Panel, name: Callable[[int], str] = rsid) -> list[str]:
    """The command line, all but its output."""
    database = write_database(folder / "JTI_Liver.db", model_rows(name))
    bed = panel.write(folder / "panel")
    return ["models", "covariance", str(database), "--genotypes", str(bed), "--backend", "numpy"]


def cells(out: str) -> dict[str, str]:
    header, line = (text.split("\t") for text in out.splitlines())
    return dict(zip(header, line, strict=True))


def test_a_store_and_its_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, *words(tmp_path, good_panel()), "--out", tmp_path / "models")
    assert outcome.code == 0, outcome.err
    account = cells(outcome.out)
    assert (account["tissue"], account["models"], account["used"]) == ("Liver", "10", "40")
    assert "40 of 40 SNPs of the models found by id" in outcome.err
    again = run(capsys, *words(tmp_path, good_panel()), "--out", tmp_path / "models")
    assert again.code == 0
    assert "complete from the same files" in again.err
    assert cells(again.out)["used"] == "40"


def test_without_output_named_the_store_is_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *words(tmp_path, good_panel())).code == 0
    assert read_models_store(tmp_path / "models").n_models == 10
    assert run(capsys, *words(tmp_path, good_panel()), "--text", tmp_path / "text").code == 0
    assert sorted(path.name for path in (tmp_path / "text").iterdir()) == ["Liver.txt.gz"]


def test_text_imported_gives_the_same_z(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way through text and the direct way end in equal associations."""
    start = words(tmp_path, good_panel())
    text = tmp_path / "text"
    assert run(capsys, *start, "--out", tmp_path / "direct", "--text", text).code == 0
    assert run(capsys, "models", "import", start[2], "-c", text, "--out", tmp_path / "imported").code == 0
    gwas = tmp_path / "trait.tsv"
    rng = np.random.default_rng(5)
    panel = good_panel()
    lines = [f"rs{i}\t{panel.effect[i]}\t{panel.other[i]}\t{rng.normal():.4f}\t0.1" for i in range(SNPS)]
    gwas.write_text("SNP\tA1\tA2\tBETA\tSE\n" + "\n".join(lines) + "\n")
    results = []
    for models in ("direct", "imported"):
        store, out = tmp_path / f"gwas_{models}", tmp_path / f"z_{models}"
        roles = ("variant_id=SNP", "effect_allele=A1", "other_allele=A2", "beta=BETA", "se=SE")
        columns = [word for role in roles for word in ("--column", role)]
        for command in (
            ["gwas", "import", gwas, "--models", tmp_path / models, "--out", store, *columns],
            ["associate", "--models", tmp_path / models, "--gwas", store, "--out", out, "--backend", "numpy"],
        ):
            outcome = run(capsys, *command)
            assert outcome.code == 0, outcome.err
        results.append(AssociationStore.open(out).read_block("Liver", 0))
    assert np.isfinite(results[0]).all()
    np.testing.assert_array_equal(results[0], results[1])


def test_ids_of_another_style_are_found_by_position(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_id = words(tmp_path, good_panel())
    assert run(capsys, *by_id, "--out", tmp_path / "rs").code == 0
    (tmp_path / "pos").mkdir()
    outcome = run(capsys, *words(tmp_path / "pos", good_panel(), chr_pos), "--out", tmp_path / "pos" / "m")
    assert outcome.code == 0, outcome.err
    assert "40 of 40 SNPs of the models found by position" in outcome.err
    one, two = (read_models_store(tmp_path / name) for name in ("rs", "pos/m"))
    assert one.ld.tobytes() == two.ld.tobytes()


def test_a_few_bad_snps_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = good_panel()
    panel.effect[0], panel.other[0] = "A", "C"  # other alleles
    panel.ids[1] = "rs0x"  # not in the panel
    panel.dosages[2] = 0.0  # monomorphic
    panel.dosages[3, :30] = np.nan
    panel.dosages[4] = 0.0
    panel.dosages[4, 0] = 1.0
    panel.ids[6] = "rs5"  # two variants of one id, and the alleles do not tell which
    panel.effect[6], panel.other[6] = panel.effect[5], panel.other[5]
    outcome = run(capsys, *words(tmp_path, panel), "--out", tmp_path / "m", "--maf", "0.05")
    assert outcome.code == 0, outcome.err
    account = cells(outcome.out)
    want = {"other_alleles": "1", "not_in_panel": "2", "no_variance": "1", "missing": "1",
            "below_maf": "1", "duplicate": "1", "used": "33"}  # fmt: skip
    assert {name: account[name] for name in want} == want
    assert account["models_without_ld"] == "1"  # the first gene has the first four
    assert "1 of 40 SNPs of the models are left out: the same in all samples" in outcome.err


Spoil = Callable[[Panel], None]


def recoded(first: str, second: str) -> Spoil:
    def spoil(panel: Panel) -> None:
        panel.effect, panel.other = [first] * SNPS, [second] * SNPS

    return spoil


def moved(panel: Panel) -> None:
    """Another genome build: nearly all positions differ, ids are of no use."""
    panel.positions = [place + 777 * (i > 0) for i, place in enumerate(panel.positions)]
    panel.ids = [None] * SNPS


def all_moved(panel: Panel) -> None:
    panel.positions = [place + 777 for place in panel.positions]
    panel.ids = [None] * SNPS


def repeated(panel: Panel) -> None:
    """Every variant twice."""
    panel.dosages = np.concatenate([panel.dosages] * 2)
    for name in ("ids", "chromosomes", "positions", "effect", "other"):
        setattr(panel, name, getattr(panel, name) * 2)


def constant(panel: Panel) -> None:
    panel.dosages[:] = 2.0


def rare(panel: Panel) -> None:
    panel.dosages[:] = 0.0
    panel.dosages[:, 0] = 1.0


def without_chromosome(panel: Panel) -> None:
    panel.chromosomes = ["1"] * SNPS


def empty(panel: Panel) -> None:
    panel.dosages[:, : SAMPLES // 2] = np.nan


def positional(panel: Panel) -> None:
    panel.ids = [f"{c}:{p}" for c, p in zip(panel.chromosomes, panel.positions, strict=True)]


def nothing(panel: Panel) -> None:
    panel.ids = [f"rs{1000 + i}" for i in range(SNPS)]


@pytest.mark.parametrize(
    ("spoil", "name", "more", "needles"),
    [
        (recoded("1", "2"), rsid, [], ["no bases", "alleles 1, 2", "A/G of rs0", "--alleleACGT"]),
        (recoded("A", "B"), rsid, [], ["no bases", "alleles A, B"]),
        (recoded("C", "A"), rsid, [], ["all 40 SNPs of the models", "other alleles", "genome build"]),
        (moved, chr_pos, [], ["only 1 of 40", "another genome build than the models (GRCh38)", "2.5%",
                              "gputwas variants lift"]),
        (all_moved, chr_pos, [], ["none of the 40 SNPs", "by position", "gputwas variants lift"]),
        (repeated, rsid, [], ["no covariance can be computed for the models of Liver",
                              "40 fitting several variants", "--rm-dup"]),
        (repeated, chr_pos, ["--match", "position"], ["40 fitting several variants"]),
        (constant, rsid, [], ["no covariance can be computed", "40 the same in all samples"]),
        (empty, rsid, [], ["40 missing in too many samples", "--max-missing than 0.1"]),
        (rare, rsid, ["--maf", "0.05"], ["none of their SNPs", "40 with too rare", "--maf than 0.05"]),
        (without_chromosome, chr_pos, [], ["on chromosome 2", "20 SNPs", "--allow-missing-chromosomes"]),
        (positional, rsid, [], ["none of the 40 SNPs", "chromosome and position", "rs numbers",
                                "--model-db-snp-key varID"]),
        (positional, rsid, ["--match", "position"], ["tell no position", "--match id"]),
        (nothing, rsid, [], ["none of the 40 SNPs", "right models"]),
        (all_moved, chr_pos, ["--match", "id"], ["by id", "--match position"]),
    ],
    ids=["alleles 12", "alleles AB", "other alleles", "other build", "no position", "ids twice",
         "positions twice", "no variance", "missing", "rare", "no chromosome", "style", "no positions in ids",
         "other ids", "ids forced"],
)  # fmt: skip
def test_genotypes_that_are_not_for_these_models(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Spoil,
    name: Callable[[int], str],
    more: list[str],
    needles: list[str],
) -> None:
    panel = good_panel()
    spoil(panel)
    out = tmp_path / "out"
    out.mkdir()
    start = words(tmp_path, panel, name)
    outcome = run(capsys, *start, "--out", out / "m", "--cross-tissue", out / "x.txt.gz", *more)
    refused(outcome, *([] if "--match id" in needles else [tmp_path / "panel.bed"]), *needles)
    nothing_written(out / "m")
    nothing_written(out / "x.txt.gz")


def test_a_missing_chromosome_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = good_panel()
    panel.chromosomes = ["1"] * 20 + ["3"] * 20
    start = words(tmp_path, panel, chr_pos)
    outcome = run(capsys, *start, "--out", tmp_path / "m", "--allow-missing-chromosomes")
    assert outcome.code == 0, outcome.err
    assert "warning: " in outcome.err and "the panel lacks chromosome 2" in outcome.err
    assert cells(outcome.out)["no_chromosome"] == "20"


def test_few_ids_are_warned_of_and_few_positions_may_be_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = good_panel()
    panel.ids = [name if i < 5 else f"x{i}" for i, name in enumerate(panel.ids)]
    outcome = run(capsys, *words(tmp_path, panel), "--out", tmp_path / "m")
    assert outcome.code == 0, outcome.err
    assert "only 5 of 40 SNPs of the models (12.5 %) are in the panel" in outcome.err
    (tmp_path / "pos").mkdir()
    panel = good_panel()
    moved(panel)
    start = words(tmp_path / "pos", panel, chr_pos)
    assert run(capsys, *start, "--out", tmp_path / "pos" / "m", "--min-found", "0.02").code == 0


@pytest.mark.parametrize(("kept", "needle"), [("s1\n", "at least two samples"), ("nobody\n", "nobody")])
def test_too_few_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str, needle: str) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text(kept)
    out = tmp_path / "m"
    refused(run(capsys, *words(tmp_path, good_panel()), "--samples", keep, "--out", out), needle)
    nothing_written(out)


def test_places_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = words(tmp_path, good_panel())
    file = tmp_path / "file"
    file.write_text("")
    for option in ("--out", "--cross-tissue"):
        refused(run(capsys, *start, option, file), file, "it is a file")
    refused(run(capsys, *start, "--text", file), file)
    refused(run(capsys, *start, "--cross-tissue", tmp_path / "none" / "x.txt"), "folder does not exist")


def test_a_store_of_other_inputs_is_refused_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No output is made with the new options beside a store that keeps the old ones."""
    start = words(tmp_path, good_panel())
    assert run(capsys, *start, "--out", tmp_path / "m", "--cross-tissue", tmp_path / "x").code == 0
    text = tmp_path / "text"
    for option, store in (("--out", tmp_path / "m"), ("--cross-tissue", tmp_path / "x")):
        outcome = run(capsys, *start, option, store, "--text", text, "--maf", "0.3")
        refused(outcome, store, "parameter maf was 0.0 and is now 0.3", "--overwrite")
        assert "Covariances" not in outcome.err
        assert not text.exists()
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "notes").write_text("")
    for option in ("--out", "--cross-tissue"):
        outcome = run(capsys, *start, option, junk, "--text", text)
        refused(outcome, junk, "not empty and not a gputwas store")
        assert "Covariances" not in outcome.err
        assert not text.exists()


def test_outputs_in_each_other_s_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = words(tmp_path, good_panel())
    one, text = tmp_path / "one", tmp_path / "text"
    for more in (
        ["--out", one, "--cross-tissue", one],
        ["--out", one, "--text", one],
        ["--cross-tissue", one, "--text", tmp_path / "x" / ".." / "one"],
    ):
        refused(run(capsys, *start, *more), one, "a folder of its own", code=2)
        assert not one.exists()
    text.mkdir()
    outcome = run(capsys, *start, "--text", text, "--cross-tissue", text / "Liver.txt.gz")
    refused(outcome, "file of a tissue", code=2)
    assert not list(text.iterdir())
    keep = tmp_path / "keep.txt"
    keep.write_text("s1\ns2\ns3\n")
    outcome = run(capsys, *start, "--samples", keep, "--cross-tissue", keep)
    refused(outcome, keep, "written over", code=2)
    assert keep.read_text() == "s1\ns2\ns3\n"


@pytest.mark.parametrize("digits", ["0", "18", "many", "-1"])
def test_digits_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], digits: str) -> None:
    start = words(tmp_path, good_panel())
    outcome = run(capsys, *start, "--text", tmp_path / "text", "--digits", digits)
    assert outcome.code == 2
    assert not (tmp_path / "text").exists()


def test_too_little_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = words(tmp_path, good_panel())
    refused(run(capsys, *start, "--out", tmp_path / "m", "--memory", "1kB"), "--memory", code=4)
    nothing_written(tmp_path / "m")
