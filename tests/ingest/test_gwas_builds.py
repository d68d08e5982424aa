"""Rows are not matched to variants by chance, and not lost by what their file happens to begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.ingest.choose_key import MatchOptions
from gputwas.ingest.diagnose_keys import check_same_build
from gputwas.ingest.panel import PanelIndex
from gputwas.variants.align import Reason
from tests.ingest.made_gwas import EXPECTED, N, alleles, assert_all, panel, place, read, write

MANY = 3_000


def wide_panel() -> pa.Table:
    ids = [f"chr1_{1000 * i + 1000}_A_G_b38" for i in range(MANY)]
    return pa.table({"variant_id": ids, "effect_allele": ["G"] * MANY, "other_allele": ["A"] * MANY})


def elsewhere(path: Path, every: int, seed: int, row="rs{i} 1 {p} G A", header="SNP CHR BP A1 A2") -> Path:
    """One row in so many is where a variant of the panel is."""
    rng = np.random.default_rng(seed)
    lines = [f"{header} BETA SE"]
    for i in range(MANY):
        position = 1000 * i + 1000 + 7 * (i % every > 0)
        lines.append(f"{row.format(i=i, p=position)} {rng.normal():.3f} 0.1")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("scan", [False, True])
def test_files_like_one_that_was_refused_are_refused_too(tmp_path: Path, scan: bool) -> None:
    """Also those that are read by what the refused one taught."""
    index = PanelIndex(wide_panel())
    for seed in range(3):
        path = elsewhere(tmp_path / f"{seed}.txt", 300, seed)
        with pytest.raises(InputError, match=r"hardly any row is at the position.*10 of 3,000"):
            read(path, index, scan=scan)


def test_files_like_one_with_few_variants_are_told_the_same(tmp_path: Path) -> None:
    """Alleles that agree tell that the build is the right one."""
    index = PanelIndex(wide_panel())
    for every in (10, 120):
        said = {read(elsewhere(tmp_path / f"{n}.txt", every, n), index, scan=True).warnings for n in range(3)}
        assert len(said) == 1 and "so it is on their genome build" in said.pop()[0]


def test_ids_with_alleles_that_meet_by_chance(tmp_path: Path) -> None:
    row, header = "1:{p}:A:G G A", "SNP A1 A2"
    with pytest.raises(InputError, match=r"hardly any row.*25 of 3,000.*written as in.*--match position"):
        read(elsewhere(tmp_path / "t.txt", 120, 1, row, header), wide_panel())
    found = read(elsewhere(tmp_path / "t.txt", 20, 1, row, header), wide_panel())
    assert found.matched_by == "id" and "another genome build" in found.warnings[0]


def test_without_other_alleles_more_rows_must_meet() -> None:
    """Nearly any one allele is that of some variant: what fits says nothing."""
    rows, fits = np.arange(40), np.full(40, Reason.MATCHED, np.uint8)
    assert check_same_build(rows, fits, 1_000, "t", "place")
    assert not check_same_build(rows, fits, 700, "t", "place", alleles="no")
    assert not check_same_build(rows, fits, 1_000, "t", "place", alleles="ids")
    with pytest.raises(InputError, match="40 of 1,000"):
        check_same_build(rows, fits, 1_000, "t", "place", alleles="no")


def test_zeros_that_the_first_rows_do_not_tell(tmp_path: Path) -> None:
    """The first thousand rows are of chromosomes 10 to X; only then 01 comes, or 1."""
    for form in ("{:0>2}:{}", "{}:{}"):
        path = write(
            tmp_path / "t.txt", "SNP A1 A2",
            lambda i, form=form: "{} {} {}".format(form.format(*place(i)), *alleles(i)),
        )  # fmt: skip
        header, *lines = path.read_text().splitlines()
        late = [line for line in lines if line.split(":")[0].lstrip("0") in set("123456789")]
        first = [line for line in lines if line not in late]
        strangers = [f"12:{7_000_000 + i} A G 1 1" for i in range(1_500)]
        path.write_text("\n".join([header, *first, *strangers, *late, ""]))
        np.testing.assert_allclose(read(path, panel()).z, EXPECTED, rtol=1e-6)


@pytest.mark.parametrize("alleled", [False, True])
def test_rs_numbers_among_places(tmp_path: Path, alleled: bool) -> None:
    """Models by rs number are matched by that, models by place by the places, in whatever proportion."""
    places = {"chromosome": [place(i)[0] for i in range(N)], "position": [place(i)[1] for i in range(N)]}

    def row(i: int) -> str:
        named = "{}:{}".format(*place(i)) + f":{':'.join(alleles(i))}" * alleled
        return f"{f'rs{i}' if i % 5 < 2 else named} {' '.join(alleles(i))}"

    path, by_rs = write(tmp_path / "t.txt", "SNP A1 A2", row), np.arange(N) % 5 < 2
    found = read(path, panel(lambda i: f"rs{i}", **places))
    np.testing.assert_allclose(found.z, np.where(by_rs, EXPECTED, np.nan), rtol=1e-6)
    assert found.matched_how == "identifier"
    found = read(path, panel())
    np.testing.assert_allclose(found.z, np.where(by_rs, np.nan, EXPECTED), rtol=1e-6)
    assert "written as in" in found.matched_how


def test_a_file_without_ids_is_matched_by_its_places(tmp_path: Path) -> None:
    """Text put together from its columns would not find what lies on the other strand."""
    other = str.maketrans("ACGT", "TGCA")
    path = write(
        tmp_path / "t.txt", "CHR BP A1 A2",
        lambda i: "{} {} {} {}".format(*place(i), *(a.translate(other) for a in alleles(i))),
    )  # fmt: skip
    found = read(path, panel())
    np.testing.assert_allclose(found.z, EXPECTED, rtol=1e-6)
    assert found.matched_by == "position" and found.strand == "reverse"


def test_names_of_an_array_that_both_have(tmp_path: Path) -> None:
    """They say more than positions, which are of another build here."""
    places = {"chromosome": [place(i)[0] for i in range(N)], "position": [place(i)[1] for i in range(N)]}
    path = write(
        tmp_path / "t.txt", "SNP CHR BP A1 A2",
        lambda i: "AX-{} {} {} {} {}".format(i, place(i)[0], place(i)[1] + 3, *alleles(i)),
    )  # fmt: skip
    found = read(path, panel(lambda i: f"AX-{i}", **places))
    assert_all(found)
    assert found.matched_by == "id"


@pytest.mark.parametrize("position", ["99999999999999999999999", "-7", "4294977296", "10000.5", "1e300"])
def test_positions_that_none_can_be(tmp_path: Path, position: str) -> None:
    path = write(
        tmp_path / "t.txt", "SNP CHR BP A1 A2",
        lambda i: "rs{} {} {} {} {}".format(i, *place(i), *alleles(i)),
    )  # fmt: skip
    path.write_text(path.read_text() + f"rs 1 {position} A G 1 1\n")
    np.testing.assert_allclose(read(path, panel()).z, EXPECTED, rtol=1e-6)
    path = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "{}:{} {} {}".format(*place(i), *alleles(i)))
    path.write_text(path.read_text() + f"1:{position} A G 1 1\n")
    np.testing.assert_allclose(read(path, panel(), match="position").z, EXPECTED, rtol=1e-6)


def test_rows_without_a_place_do_not_speak_against_a_chain_file(tmp_path: Path) -> None:
    """Two thirds of the rows have no position; all others are lifted."""
    size = 20_000_000
    chain = tmp_path / "made.chain"
    chain.write_text("".join(
        f"chain 9 chr{c} {size} + 0 {size} chr{c} {size} + 0 {size} {k}\n{size}\n\n"
        for k, c in enumerate([*range(1, 21), "X"])
    ))  # fmt: skip
    path = write(
        tmp_path / "t.txt", "SNP CHR BP A1 A2",
        lambda i: "rs{} {} {} {} {}".format(i, *place(i), *alleles(i)),
    )  # fmt: skip
    path.write_text(path.read_text() + "".join(f"rs{i} 1 NA A G 1 1\n" for i in range(4 * N)))
    found = read(path, panel(), build="hg19", chain=str(chain))
    np.testing.assert_allclose(found.z, EXPECTED, rtol=1e-6)
    assert found.lifted["mapped"] == 2 * N and found.lifted["unmapped"] == 4 * N


def test_builds_of_unknown_names_are_not_taken_for_one() -> None:
    """Else a run with another chain file would go on with the traits of the first."""
    how = MatchOptions(chain="c", to="mm10", chain_digest="d")
    assert how.kept("mm9")["matching"]["chain"] == "d"
    assert MatchOptions(chain="c", to="hg38", chain_digest="d").kept("GRCh38") == {}


def test_a_build_that_the_ids_contradict(tmp_path: Path) -> None:
    """Where they alone tell places; columns may be of another build than the ids."""
    chain = tmp_path / "made.chain"
    chain.write_text("chain 9 chr1 1000 + 0 900 chr1 1000 + 0 900 1\n900\n\n")

    def row(i: int, places: str = "") -> str:
        named = "{}:{}:{}:{}:b38".format(*place(i), *alleles(i))
        return " ".join([named, *places.format(*place(i)).split(), *alleles(i)])

    path = write(tmp_path / "t.txt", "SNP A1 A2", row)
    for options in ({}, {"chain": str(chain), "to": "hg38"}, {"match": "position"}):
        with pytest.raises(InputError, match=r"said to be hg19, but its identifiers show GRCh38.*:b38'"):
            read(path, panel(), build="hg19", **options)
    assert_all(read(path, panel(), build="GRCh38", chain=str(chain)))
    path = write(tmp_path / "t.txt", "SNP CHR BP A1 A2", lambda i: row(i, "{} {}"))
    with pytest.raises(InputError, match="on GRCh37 and the models are on GRCh38"):
        read(path, panel(), build="hg19", match="position")
