"""Files that list the same variants in the same order: matched once, with the result that each has alone."""

from __future__ import annotations

import logging
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.formats.sumstats import reader, resume
from gputwas.formats.sumstats.reader import SumstatsReader, open_sumstats
from gputwas.ingest.layouts import KnownLayouts
from gputwas.ingest.trait import ROLES_USED, PanelFilter, PanelIndex, TraitStatistics, read_trait
from tests.web import patience, serving

pytestmark = pytest.mark.library

HEADER = "chr rsid pos a1 a2 beta se pval(-log10)"
ROWS = 600


def panel() -> pa.Table:
    """Every third variant of the files, one of them on both strands, and ids that no file has."""
    chosen = range(0, ROWS, 3)
    ids = [f"rs{i}" for i in chosen] + ["rs3", "rs900001", "x5"]
    effect = [*("GT"[i % 2] for i in chosen), "C", "A", "A"]
    other = [*("AC"[i % 2] for i in chosen), "T", "G", "G"]
    return pa.table({"variant_id": ids, "effect_allele": effect, "other_allele": other})


def rows_of(seed: int) -> list[str]:
    """Rows with the alleles of the panel; some repeat an identifier, with another allele or the same."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(ROWS):
        beta, se, p = rng.normal(0, 1), rng.uniform(0.1, 1), rng.uniform(0, 4)
        name = "x5" if i == 50 else f"rs{i - 1 if i % 30 == 1 else i}"
        alleles = ("AG", "CT")[i % 2] if i % 30 != 1 else ("AG", "AT")[i % 4 > 1]
        rows.append(
            f"{1 + i // 200:02d} {name} {i * 10} {alleles[0]} {alleles[1]} {beta:.5g} {se:.5g} {p:.5g}"
        )
    return rows


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def read(
    path: str | Path | list[Path], index: PanelIndex, *, scan: bool = True, block_bytes: int = 2000, **options
) -> TraitStatistics:
    wanted = PanelFilter(index, scan=scan)
    opened = open_sumstats(path, keep=wanted, roles=ROLES_USED, block_bytes=block_bytes)
    return read_trait(opened, index, seen=wanted, **options)


def assert_same(one: TraitStatistics, other: TraitStatistics) -> None:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), field.name
        else:
            assert a == b, field.name


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were begun by their numbers alone."""
    begun: list[str] = []
    follow = SumstatsReader.follow

    def noted(self, trails):
        begun.append(Path(self.paths[0]).name)
        return follow(self, trails)

    monkeypatch.setattr(SumstatsReader, "follow", noted)
    return begun


@pytest.mark.parametrize("options", [{}, {"keep_non_rsid": False}, {"palindromes": "drop"}])
def test_later_files_give_what_they_give_alone(tmp_path: Path, followed: list[str], options: dict) -> None:
    index = PanelIndex(panel())
    for seed in range(3):
        path = write(tmp_path / f"{seed}.txt", rows_of(seed))
        expected = read(path, PanelIndex(panel()), scan=False, **options)
        assert_same(read(path, index, **options), expected)
        assert np.isfinite(expected.z).sum() > 150 and expected.counts["not_in_panel"] > 300
    assert followed == ["1.txt", "2.txt"]


def test_options_have_layouts_of_their_own(tmp_path: Path, followed: list[str]) -> None:
    index = PanelIndex(panel())
    path = write(tmp_path / "1.txt", rows_of(1))
    read(path, index)
    dropped = read(path, index, palindromes="drop", keep_non_rsid=False)
    assert followed == []
    assert_same(dropped, read(path, PanelIndex(panel()), scan=False, palindromes="drop", keep_non_rsid=False))


def test_files_in_parts_are_known_part_by_part(tmp_path: Path, followed: list[str]) -> None:
    index = PanelIndex(panel())
    for seed in range(2):
        rows = rows_of(seed)
        parts = [write(tmp_path / f"{seed}_{k}.txt", rows[k * 300 : (k + 1) * 300]) for k in range(2)]
        assert_same(read(parts, index), read(parts, PanelIndex(panel()), scan=False))
    assert followed == ["1_0.txt"]


CHANGES = {
    "order changes in the middle": lambda rows: [*rows[:400], *rows[420:], *rows[400:420]],
    "last line missing": lambda rows: rows[:-1],
    "another allele": lambda rows: [*rows[:450], rows[450].replace(" A G ", " A T "), *rows[451:]],
    "a panel variant again": lambda rows: [*rows[:500], rows[3], *rows[500:]],
    "a malformed line": lambda rows: [*rows[:450], "01 rs450", *rows[451:]],
    "a malformed line that was not wanted": lambda rows: [*rows[:451], "01 rs451", *rows[452:]],
    "a line more": lambda rows: [*rows, "03 rs9999 5 A G 1 1 1"],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_another_order_or_other_variants_are_read_in_full(
    tmp_path: Path, followed: list[str], caplog: pytest.LogCaptureFixture, change
) -> None:
    index = PanelIndex(panel())
    read(write(tmp_path / "1.txt", rows_of(1)), index)
    other = write(tmp_path / "2.txt", change(rows_of(2)))
    with caplog.at_level(logging.INFO, "gputwas"):
        found = read(other, index)
    assert followed == ["2.txt"] and "2.txt: lists other variants" in caplog.text
    assert_same(found, read(other, PanelIndex(panel()), scan=False))
    third = write(tmp_path / "3.txt", change(rows_of(3)))  # now the changed kind is the known one
    assert_same(read(third, index), read(third, PanelIndex(panel()), scan=False))
    assert followed == ["2.txt", "3.txt"]


def test_a_url_that_is_read_anew_has_all_its_tries(
    tmp_path: Path, followed: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that downloads is in a long pause when it turns out that the file lists other variants."""
    caplog.set_level(logging.INFO, "gputwas")

    def pause(self: resume.Retry, failures: int, asked: float | None = None) -> float:
        return 0.001 if "read anew" in caplog.text else 60.0

    class Late(reader.NotAlikeError):
        def __init__(self, path: str) -> None:
            super().__init__(path)
            deadline = time.monotonic() + 10
            while "trying again in 60.0 s" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.001)

    monkeypatch.setattr(reader, "NotAlikeError", Late)
    monkeypatch.setattr(resume.Retry, "pause", pause)
    index, rows = PanelIndex(panel()), rows_of(1)
    rows += [f"03 rs{1000 + i} {i} A G 0.5 0.1 1" for i in range(70_000)]  # the reader compares now and then
    read(write(tmp_path / "1.txt", rows), index, block_bytes=1 << 16)
    other = write(tmp_path / "2.txt", [*rows[:400], *rows[420:600], *rows[400:420], *rows[600:]])
    data = other.read_bytes()
    with patience(), serving() as server:
        cut = len("\n".join(rows[:66_500]))
        url = server.put("/2.txt", data, cuts=[cut, 5000, 5000])
        found = read(url, index, block_bytes=1 << 16)
    assert followed == ["2.txt"] and "2.txt: lists other variants" in caplog.text
    assert_same(found, read(other, PanelIndex(panel()), scan=False, block_bytes=1 << 16))
    assert len(server.gets()) == 4 and "trying again in 60.0 s" in caplog.text


def test_an_unreadable_number_is_reported_as_ever(tmp_path: Path, followed: list[str]) -> None:
    index = PanelIndex(panel())
    read(write(tmp_path / "1.txt", rows_of(1)), index)
    rows = rows_of(2)
    rows[300] = rows[300].rsplit(" ", 1)[0] + " oops"
    path = write(tmp_path / "2.txt", rows)
    with pytest.raises(InputError) as expected:
        read(path, PanelIndex(panel()), scan=False)
    with pytest.raises(InputError) as raised:
        read(path, index)
    assert followed == ["2.txt"] and str(raised.value) == str(expected.value) and raised.value.line == 302


def test_a_kind_that_never_holds_is_given_up_until_it_holds_again(
    tmp_path: Path, followed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    index = PanelIndex(panel())
    rows = rows_of(0)
    with caplog.at_level(logging.INFO, "gputwas"):
        for number in range(27):
            cut = min(number, 15)  # from the 15th on they are alike
            read(write(tmp_path / f"{number}.txt", [*rows[: 500 + cut], *rows[520:]]), index)
    assert followed == [f"{number}.txt" for number in (1, 2, 3, 13, 23, 24, 25, 26)]
    assert caplog.text.count("such files are read in full") == 1


def test_files_that_cannot_be_read_say_nothing_about_their_kind(tmp_path: Path, followed: list[str]) -> None:
    index = PanelIndex(panel())
    read(write(tmp_path / "0.txt", rows_of(0)), index)
    for seed in range(1, 5):
        rows = rows_of(seed)
        rows[300] = rows[300].rsplit(" ", 1)[0] + " oops"
        with pytest.raises(InputError, match="is not a number"):
            read(write(tmp_path / f"{seed}.txt", rows), index)
    read(write(tmp_path / "5.txt", rows_of(5)), index)
    assert followed == [f"{seed}.txt" for seed in range(1, 6)]


def test_nothing_found_is_explained_from_the_identifiers_that_were_passed_over(tmp_path: Path) -> None:
    rows = [row.replace(" rs", " 1:") for row in rows_of(1)]
    path = write(tmp_path / "1.txt", [row.replace("x5", "x6") for row in rows])
    with pytest.raises(InputError) as expected:
        read(path, PanelIndex(panel()), scan=False)
    with pytest.raises(InputError) as raised:
        read(path, PanelIndex(panel()))
    assert str(raised.value) == str(expected.value)


def test_only_the_kinds_read_last_are_remembered() -> None:
    layouts = KnownLayouts()
    for kind in range(6):
        layouts.remember(kind, kind)  # type: ignore[arg-type]
        layouts.get(0)
    assert [layouts.get(kind) for kind in range(6)] == [0, None, None, 3, 4, 5]
    for _ in range(3):
        layouts.failed(5)
    assert layouts.get(5) is None and layouts.given_up(5)
    layouts.failed(4)
    layouts.fitted(4)
    for _ in range(2):
        layouts.failed(4)
    assert layouts.get(4) == 4


def test_an_import_without_the_compiled_library_stores_the_same(
    tmp_path: Path, followed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gputwas.ingest.gwas import TraitInput, import_gwas
    from gputwas.stores.gwas import GwasStore

    monkeypatch.setattr(
        "gputwas.ingest.jobs.kept_in_process", lambda kind, key, make: kept.setdefault(how, make())
    )
    table = panel().slice(0, ROWS // 3)
    traits = [TraitInput(f"t{s}", (str(write(tmp_path / f"{s}.txt", rows_of(s))),)) for s in range(3)]
    kept: dict[str, PanelIndex] = {}
    how = "scanned"
    import_gwas(traits, table, tmp_path / "scanned")
    assert followed == ["1.txt", "2.txt"]
    monkeypatch.setenv("GPUTWAS_COMPILED", "0")
    how = "ordinary"
    import_gwas(traits, table, tmp_path / "ordinary")
    assert followed == ["1.txt", "2.txt"]
    assert kept["scanned"].index.table is not None and kept["ordinary"].index.table is None
    one, two = (GwasStore.open(tmp_path / name) for name in ("ordinary", "scanned"))
    assert [one.metadata(t.trait) for t in traits] == [two.metadata(t.trait) for t in traits]
    for trait in traits:
        for a, b in zip(one.read(trait.trait), two.read(trait.trait), strict=True):
            np.testing.assert_array_equal(a, b)
