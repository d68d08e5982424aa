"""The demo on the smallest study: everything is there, the truth is found, an interrupted run goes on."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from gputwas.analyses.quantiles import study_quantiles
from gputwas.errors import InputError, UsageError
from gputwas.simulate.config import preset
from gputwas.stores.associations import AssociationStore
from gputwas.study import demo as demo_module
from gputwas.study.correct import correct
from gputwas.study.demo import DemoReport, Recovery, run_demo
from gputwas.study.doctor import examine
from gputwas.study.pictures import draw_study, save_figures, significance_line
from tests.small_stores import contents


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DemoReport:
    """One run of the demo."""
    return run_demo(tmp_path_factory.mktemp("demo"), config=preset("test"), backend="numpy")


def test_everything_is_there(report: DemoReport) -> None:
    for path in (report.page, report.significant, *report.pictures):
        assert path.is_file() and path.stat().st_size > 100
    assert [path.name for path in report.pictures] == [
        "manhattan.png", "qq.png", "tissues.png", "modalities.png",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report.pictures)
    for name in ("study", "models", "gwas", "associations"):
        assert (report.folder / name).is_dir()
    assert AssociationStore.open(report.folder / "associations").is_complete
    assert report.run.n_traits == 5 and report.run.n_tissues == 2


def test_page_shows_the_numbers(report: DemoReport) -> None:
    page = report.page.read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=[\"']?https?://", page), "the page needs no network"
    for text in ("Synthetic study", "patterns of missing SNPs", "λ_GC"):
        assert text in page
    significant = report.recovery.n_found
    assert re.search(rf"\b{significant}\b", page)


def test_findings_are_the_truth(report: DemoReport) -> None:
    truth = report.recovery
    options = pa.csv.ParseOptions(delimiter="\t")
    table = pa.csv.read_csv(report.significant, parse_options=options)
    assert table.num_rows == truth.n_found > 0
    assert truth.true >= truth.planted > 0
    assert truth.planted_found >= truth.planted / 2
    assert truth.n_false <= 2
    assert truth.false_share == truth.n_false / truth.n_found
    assert max(table["q"].to_pylist()) <= 0.05


def test_false_share_without_findings() -> None:
    assert Recovery(planted=3, planted_found=0, true=3, n_found=0, n_false=0).false_share == 0.0


def test_second_run_goes_on_and_changes_nothing(report: DemoReport) -> None:
    before = {name: contents(report.folder / name) for name in ("models", "gwas", "associations", "figures")}
    significant = report.significant.read_bytes()
    again = run_demo(report.folder, config=preset("test"), backend="numpy")
    assert again.run.blocks_computed == 0
    assert again.recovery == report.recovery
    assert {name: contents(report.folder / name) for name in before} == before
    assert report.significant.read_bytes() == significant


def test_interrupted_run_goes_on(tmp_path: Path, report: DemoReport, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo_module, "associate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_demo(tmp_path / "demo", config=preset("test"), backend="numpy")
    run_demo(tmp_path / "demo", config=preset("test"), backend="numpy")
    got, want = (contents(folder / "associations") for folder in (tmp_path / "demo", report.folder))
    del got["traits.arrow"], want["traits.arrow"]  # names the files read, which lie in another folder
    assert got == want


def test_another_seed_in_the_same_folder_is_refused(report: DemoReport) -> None:
    """Two studies in one folder would be mixed."""
    before = contents(report.folder)
    with pytest.raises(InputError):
        run_demo(report.folder, config=preset("test", seed=99), backend="numpy")
    assert contents(report.folder) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(InputError, match="folder"):
        run_demo(tmp_path / "demo", config=preset("test"))
    assert (tmp_path / "demo").read_text() == "mine"


# Pictures of a store


def test_pictures_by_name_and_format(report: DemoReport, tmp_path: Path) -> None:
    store = AssociationStore.open(report.folder / "associations")
    found = correct(store.path, None).result
    figures = draw_study(store, found)
    assert list(figures) == ["manhattan", "qq", "tissues", "modalities"]
    files = save_figures({"qq": figures["qq"]}, tmp_path / "new" / "folder", ["svg", "pdf", "png"])
    assert [path.name for path in files] == ["qq.svg", "qq.pdf", "qq.png"]
    starts = [path.read_bytes()[:4] for path in files]
    assert starts[1:] == [b"%PDF", b"\x89PNG"] and b"<svg" in files[0].read_bytes()
    with pytest.raises(UsageError, match=r"png, svg, pdf, not bmp"):
        save_figures(figures, tmp_path / "other", ["bmp"])
    assert not (tmp_path / "other").exists()


def test_pictures_of_a_study_without_findings(report: DemoReport, tmp_path: Path) -> None:
    store = AssociationStore.open(report.folder / "associations")
    nothing = correct(store.path, None, alpha=1e-300).result
    assert nothing.table.num_rows == 0
    assert significance_line(nothing) == {}
    assert len(save_figures(draw_study(store, nothing, study_quantiles(store)), tmp_path)) == 4


def test_line_of_the_least_significant_finding(report: DemoReport) -> None:
    found = correct(report.folder / "associations", None).result
    lowest = min(found.table["nlog10_p"].to_pylist())
    assert significance_line(found) == {"FDR 0.05": lowest}
    bonferroni = correct(report.folder / "associations", None, method="bonferroni").result
    assert list(significance_line(bonferroni)) == ["Bonferroni 0.05"]
    by_tissue = correct(report.folder / "associations", None, family="tissue").result
    assert significance_line(by_tissue) == {}


# Doctor


def test_doctor_names_what_is_there_and_how_to_get_the_rest() -> None:
    started = time.monotonic()
    findings = {finding.name: finding for finding in examine()}
    assert time.monotonic() - started < 30
    for name in ("gputwas", "Python", "numpy", "pyarrow", "backend numpy", "--backend auto"):
        assert findings[name].ok is True and findings[name].state
    for name in ("jax", "cupy"):
        finding = findings[f"backend {name}"]
        if finding.ok is None:
            assert finding.state == "not available" and finding.remark
    json.dumps([finding.remark for finding in findings.values()])


def test_doctor_says_whether_the_loops_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from gputwas.kernels import library

    def found() -> tuple[str, bool | None]:
        (finding,) = (one for one in examine() if one.name == "compiled loops")
        return finding.state, finding.ok

    if library.is_there():
        assert found() == ("there", True)
    monkeypatch.setenv(library.OFF, "0")
    assert found() == ("switched off", None)
    monkeypatch.delenv(library.OFF)
    monkeypatch.setattr(library, "_opened", lambda: "was not compiled")
    assert found() == ("missing", None)


def test_doctor_says_how_to_get_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    from gputwas.study import doctor

    true_version = importlib.metadata.version

    def version(name: str) -> str:
        if name == "duckdb":
            raise importlib.metadata.PackageNotFoundError(name)
        return true_version(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    finding = next(one for one in examine() if one.name == "duckdb")
    assert (finding.state, finding.ok, finding.remark) == ("missing", False, "pip install duckdb")
