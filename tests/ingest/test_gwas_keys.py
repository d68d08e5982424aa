"""By what rows are matched: spellings, places, other builds, maps; what is chosen, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats.reader import SumstatsReader, open_sumstats
from gputwas.ingest.checking import found_by_key
from gputwas.ingest.choose_key import MatchOptions, choose_key
from gputwas.ingest.gwas import TraitInput, import_gwas
from gputwas.ingest.matching import roles_for
from gputwas.ingest.panel import PanelIndex, filter_for
from gputwas.ingest.trait import read_trait
from gputwas.stores.gwas import GwasStore
from tests.ingest.made_gwas import EXPECTED, N, alleles, assert_all, beta, gtex, panel, place, read, write

SPELLINGS = {
    "the same": lambda c, p, a, b: f"chr{c}_{p}_{b}_{a}_b38",
    "no prefix, colons": lambda c, p, a, b: f"{c}:{p}:{b}:{a}",
    "alleles in the other order": lambda c, p, a, b: f"{c}:{p}:{a}:{b}",
    "sorted alleles, mixed separators": lambda c, p, a, b: f"{c}:{p}_{min(a, b)}/{max(a, b)}",
    "zero in front, small letters": lambda c, p, a, b: f"{c:0>2}-{p}-{a.lower()}-{b.lower()}",
    "CHR and 23": lambda c, p, a, b: f"CHR{'23' if c == 'X' else c}:{p}:{a}:{b}:hg38",
    "no alleles": lambda c, p, a, b: f"{c}:{p}",
}


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=list(SPELLINGS))
def test_ids_spelled_otherwise_are_found_as_text(tmp_path: Path, spelled, scan: bool) -> None:
    path = write(
        tmp_path / "t.txt", "SNP A1 A2",
        lambda i: "{} {} {}".format(spelled(*place(i), *alleles(i)), *alleles(i)),
    )  # fmt: skip
    found = read(path, panel(), scan=scan)
    assert_all(found)
    assert found.matched_by == "id" and "written as in" in found.matched_how
    if spelled is not SPELLINGS["the same"]:
        with pytest.raises(InputError, match=r"--match auto") as caught:
            read(path, panel(), scan=scan, match="id")
        assert "none of the models" in str(caught.value)


PLACES = {
    "plain": lambda c, p: f"{c} {p}",
    "chr": lambda c, p: f"chr{c} {p}",
    "zero in front": lambda c, p: f"{c:0>2} {p}",
    "X as 23, numbers as R writes them": lambda c, p: f"{23 if c == 'X' else c} {p}.0",
}


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("written", PLACES.values(), ids=list(PLACES))
def test_rs_numbers_and_models_by_position_meet_by_columns(tmp_path: Path, written, scan: bool) -> None:
    path = write(
        tmp_path / "t.txt", "SNP CHR BP A1 A2",
        lambda i: "rs{} {} {} {}".format(i, written(*place(i)), *alleles(i)),
    )  # fmt: skip
    for match in ("auto", "position"):
        found = read(path, panel(), scan=scan, match=match, block_bytes=500)
        assert_all(found)
        assert found.matched_by == "position" and found.matched_how.endswith("(columns 'CHR', 'BP')")


def test_a_file_without_ids_and_mitochondria(tmp_path: Path) -> None:
    table = pa.table({"variant_id": ["chrM_5_A_G_b38", "chrY_7_C_T_b38"], "effect_allele": ["A", "C"],
                      "other_allele": ["G", "T"]})  # fmt: skip
    path = tmp_path / "t.txt"
    for names in (("MT", "Y"), ("chrM", "24"), ("26", "chrY")):
        path.write_text(
            f"CHR BP A1 A2 BETA SE\n{names[0]} 5 A G 1 1\n{names[1]} 7 T C 1 1\n1 5 A G 1 1\n", "utf-8"
        )
        found = read(path, table, match="position")
        np.testing.assert_array_equal(found.z, np.float32([1, -1]))


def test_panel_with_columns_of_positions_and_rs_numbers(tmp_path: Path) -> None:
    where = {"chromosome": [place(i)[0] for i in range(N)], "position": [place(i)[1] for i in range(N)]}
    table = panel(lambda i: f"rs{i}", **where)
    path = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "{}:{} {} {}".format(*place(i), *alleles(i)))
    assert_all(read(path, table))


def test_several_alleles_at_one_position_are_told_apart(tmp_path: Path) -> None:
    ids = ["chr1_100_A_G_b38", "chr1_100_A_C_b38", "chr1_200_T_C_b38"]
    table = pa.table({"variant_id": ids, "effect_allele": ["G", "C", "C"], "other_allele": ["A", "A", "T"]})
    path = tmp_path / "t.txt"
    rows = [
        "r1 1 100 A C 0.1",
        "r2 1 100 G A 0.2",
        "r3 1 100 AT A 0.3",
        "r4 1 200 C A 0.4",
        "r5 1 200 C T 0.5",
    ]
    path.write_text("SNP CHR BP A1 A2 BETA SE\n" + "".join(f"{row} 0.1\n" for row in rows))
    found = read(path, table)
    np.testing.assert_allclose(found.z, [2, -1, 5], rtol=1e-6)
    assert found.counts == {"matched": 2, "swapped": 1, "allele_mismatch": 2}


@pytest.mark.library
def test_every_file_after_the_first_is_read_by_its_numbers(tmp_path: Path, monkeypatch) -> None:
    """Lines that are blank or malformed do not shift what is taken from later files."""
    begun = []
    follow = SumstatsReader.follow
    monkeypatch.setattr(
        SumstatsReader, "follow", lambda self, trails: begun.append(self.paths[0]) or follow(self, trails)
    )
    index = PanelIndex(panel())
    rng = np.random.default_rng(3)
    for number in range(3):
        lines = ["SNP CHR BP A1 A2 BETA SE"]
        for i in range(N):
            chromosome, position = place(i)
            one, two = alleles(i)
            lines.append(f"rs{i} {chromosome} {position} {one} {two} {rng.normal():.4f} 0.1")
            lines += [f"rs9{i} {chromosome} {position + 1} {one} {two} 1 0.1"] * (i % 3)
            lines += [["", "rs broken"][i % 2]] * (i % 7 == 0)
        path = tmp_path / f"{number}.txt"
        path.write_text("\n".join(lines) + "\n")
        alone = read(path, panel(), block_bytes=400)
        known = read(path, index, scan=True, block_bytes=300 + 100 * number)
        assert alone.z.tobytes() == known.z.tobytes() and np.isfinite(alone.z).all()
        assert (alone.counts, alone.rows_read, alone.rows_malformed, alone.found_share) == (
            known.counts, known.rows_read, known.rows_malformed, known.found_share,
        )  # fmt: skip
    assert [Path(path).name for path in begun] == ["1.txt", "2.txt"]


SIZE = 20_000_000
LENGTHS = {"hg19": 249_250_621, "hg38": 248_956_422}


def write_chain(path: Path, shift: int = 5_000, sizes: tuple[int, int] = (SIZE, SIZE)) -> Path:
    """All chromosomes moved by `shift`; the second one is turned, the third is nowhere."""
    blocks = []
    for number in [*range(1, 21), "X"]:
        size, other = sizes if number == 1 else (SIZE, SIZE)
        length = SIZE - 10_000
        strand = "-" if number == 2 else "+"
        if number != 3:
            blocks.append(
                f"chain 9 chr{number} {size} + 0 {length} chr{number} {other} {strand} {shift} "
                f"{shift + length} {number if number != 'X' else 21}\n{length}\n"
            )
    path.write_text("\n".join(blocks) + "\n")
    return path


def lifted_name(i: int) -> str:
    chromosome, position = place(i)
    other, effect = alleles(i)[::-1]
    if chromosome == "2":
        position = SIZE - 5_000 - position + 1
        other, effect = (a.translate(str.maketrans("ACGT", "TGCA")) for a in (other, effect))
    else:
        position += 5_000
    return f"chr{chromosome}_{position}_{other}_{effect}_b38"


def lifted_panel() -> pa.Table:
    names = [lifted_name(i) for i in range(N)]
    return pa.table({
        "variant_id": names, "effect_allele": [name.split("_")[3] for name in names],
        "other_allele": [name.split("_")[2] for name in names],
    })  # fmt: skip


@pytest.fixture
def hg19(tmp_path: Path) -> Path:
    return write(
        tmp_path / "hg19.txt", "SNP CHR BP A1 A2",
        lambda i: "rs{} {} {} {} {}".format(i, *place(i), *alleles(i)),
    )  # fmt: skip


@pytest.mark.parametrize("scan", [False, True])
def test_positions_are_lifted_and_strands_turned(tmp_path: Path, hg19: Path, scan: bool) -> None:
    chain = str(write_chain(tmp_path / "made.chain"))
    for _ in range(2):  # once more by what the first reading taught
        index = PanelIndex(lifted_panel())
        for _ in range(2):
            found = read(hg19, index, scan=scan, build="hg19", to="hg38", chain=chain)
            lost = np.array([place(i)[0] == "3" for i in range(N)])
            np.testing.assert_allclose(found.z, np.where(lost, np.nan, EXPECTED), rtol=1e-6)
            assert "lifted from hg19 to hg38" in found.matched_how and found.strand == "forward"
            threes = sum(place(i)[0] == "3" for i in [*range(N), *range(100_000, 100_000 + N)])
            counts = {"mapped": 2 * N - threes, "moved": 0, "split": 0, "unmapped": threes, "reversed": 6}
            assert found.lifted == counts and threes == 6
            assert any("no place" in warning for warning in found.warnings)


def test_ids_that_tell_the_place_are_lifted_too(tmp_path: Path) -> None:
    """The ids say the build themselves, b37, and there are no columns of positions."""
    path = write(
        tmp_path / "t.txt", "SNP A1 A2",
        lambda i: "{}_{}_{}_{}_b37 {} {}".format(*place(i), *alleles(i), *alleles(i)),
    )  # fmt: skip
    found = read(path, lifted_panel(), chain=str(write_chain(tmp_path / "made.chain")))
    lost = np.array([place(i)[0] == "3" for i in range(N)])
    np.testing.assert_allclose(found.z, np.where(lost, np.nan, EXPECTED), rtol=1e-6)
    assert "read from the identifiers" in found.matched_how and found.lifted["reversed"] == 6
    with pytest.raises(
        InputError, match=r"another genome build \(GRCh37\) than the models \(GRCh38\).*--chain"
    ):
        read(path, lifted_panel())


def test_a_file_on_the_models_build_is_not_lifted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.txt", "SNP CHR BP A1 A2",
        lambda i: "rs{} {} {} {} {}".format(i, *place(i), *alleles(i)),
    )  # fmt: skip
    chain = str(write_chain(tmp_path / "made.chain"))
    found = read(path, panel(), build="GRCh38", chain=chain)
    assert_all(found)
    assert not found.lifted and "lifted" not in found.matched_how


def test_indels_on_the_reverse_strand_are_left_out_and_counted(tmp_path: Path) -> None:
    turned = SIZE - 5_000 - 300 + 1
    ids = [f"chr2_{turned}_T_TA_b38", "chr1_5100_A_AT_b38"]
    table = pa.table({"variant_id": ids, "effect_allele": ["TA", "AT"], "other_allele": ["T", "A"]})
    path = tmp_path / "t.txt"
    path.write_text("SNP CHR BP A1 A2 BETA SE\nr1 2 300 TA T 1 1\nr2 1 100 AT A 2 1\n")
    chain = str(write_chain(tmp_path / "made.chain"))
    found = read(path, table, build="hg19", chain=chain)
    np.testing.assert_array_equal(found.z, np.float32([np.nan, 2]))
    assert found.lifted["reversed_indels"] == 1 and any("reverse strand" in text for text in found.warnings)
    assert found.counts == {"matched": 1, "not_in_panel": 1}


def test_chain_files_for_another_direction(tmp_path: Path, hg19: Path) -> None:
    sizes = LENGTHS["hg38"], LENGTHS["hg19"]
    by_size = write_chain(tmp_path / "made.chain", sizes=sizes)
    by_name = write_chain(tmp_path / "hg38ToHg19.over.chain")
    for chain in (by_size, by_name):
        with pytest.raises(
            InputError, match=r"for another direction.*--build is hg19, but it goes from GRCh38"
        ):
            read(hg19, lifted_panel(), build="hg19", to="hg38", chain=str(chain))
    nowhere = tmp_path / "nowhere.chain"
    nowhere.write_text("chain 9 chr1 1000000 + 0 100 chr1 1000000 + 0 100 1\n100\n\n")
    with pytest.raises(
        InputError, match=r"most positions have no place.*120 of 120 rows unmapped.*direction"
    ):
        read(hg19, lifted_panel(), build="hg19", to="hg38", chain=str(nowhere))


def test_options_that_contradict_each_other(tmp_path: Path, hg19: Path) -> None:
    chain = str(write_chain(tmp_path / "made.chain"))
    for options in (
        {"match": "map"},
        {"match": "name"},
        {"match": "id", "map": "m"},
        {"map_from": "a"},
        {"map": "m", "map_from": "a", "map_to": "a"},
        {"to": "hg38"},
        {"match": "id", "chain": chain},
        {"map": "m", "chain": chain},
    ):
        with pytest.raises(UsageError):
            MatchOptions(**options)
    with pytest.raises(UsageError, match="--to is hg19, but the models are on GRCh38"):
        read(hg19, lifted_panel(), build="hg18", to="hg19", chain=chain)
    with pytest.raises(UsageError, match="needs the build of the GWAS"):
        read(hg19, lifted_panel(), to="hg38", chain=chain)
    with pytest.raises(UsageError, match="parity matches identifiers only"):
        import_gwas([TraitInput("t", (str(hg19),))], panel(), tmp_path / "s", mode="parity",
                    matching=MatchOptions("position"))  # fmt: skip


def test_another_build_is_not_matched_by_chance(tmp_path: Path) -> None:
    """Positions that coincide here and there, with alleles as chance has them, are refused."""
    rng = np.random.default_rng(5)
    names = [f"chr1_{10 * i}_{'AC'[i % 2]}_{'GT'[i % 2]}" for i in range(400)]
    table = pa.table({"variant_id": names, "effect_allele": [n.split("_")[3] for n in names],
                      "other_allele": [n.split("_")[2] for n in names]})  # fmt: skip
    kinds = ["A G", "C T", "A C", "A T", "C G", "G T"]
    path = tmp_path / "t.txt"
    lines = [f"rs{i} 1 {10 * i} {kinds[rng.integers(6)]} 1 1" for i in range(0, 400, 4)]
    path.write_text("\n".join(["SNP CHR BP A1 A2 BETA SE", *lines, ""]))
    with pytest.raises(InputError, match=r"other alleles, so the file is on another genome build.*--chain"):
        read(path, table)
    few = [
        f"rs{i} 1 {10 * i + 5 * (i > 3)} {names[i].replace('_', ' ').split(' ', 2)[2]} 1 1"
        for i in range(400)
    ]
    path.write_text("\n".join(["SNP CHR BP A2 A1 BETA SE", *few * 2, ""]))
    more = pa.concat_tables([table, pa.table({
        "variant_id": [f"chr1_{10 * i + 3}_A_G" for i in range(400)], "effect_allele": ["G"] * 400,
        "other_allele": ["A"] * 400,
    })])  # fmt: skip
    with pytest.raises(InputError, match=r"hardly any row is at the position.*3 of 800"):
        read(path, more)


def test_what_position_needs_and_is_not_there(tmp_path: Path, hg19: Path) -> None:
    with pytest.raises(InputError, match=r"models' variants have no positions.*--model-db-snp-key varID"):
        read(hg19, panel(lambda i: f"rs{i + 7000}"), match="position")
    plain = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    with pytest.raises(InputError, match=r"no columns of chromosome and position.*--column chromosome=NAME"):
        read(plain, panel(), match="position")
    with pytest.raises(InputError, match=r"by rs numbers.*--match position.*hg19ToHg38.*--map FILE"):
        read(plain, panel())
    text = hg19.read_text().splitlines()
    words = [" ".join([*line.split()[:2], "somewhere", *line.split()[3:]]) for line in text[1:]]
    hg19.write_text("\n".join([text[0], *words, ""]))
    with pytest.raises(InputError, match="'CHR' and 'BP' hold no chromosome and position in any row"):
        read(hg19, panel())
    nowhere = [" ".join([*line.split()[:2], "77", *line.split()[3:]]) for line in text[1:]]
    hg19.write_text("\n".join([text[0], *nowhere, ""]))
    with pytest.raises(InputError, match=r"another genome build \(the models are on GRCh38\).*--chain"):
        read(hg19, panel())
    with pytest.raises(InputError, match=r"the file is on GRCh37 and the models are on GRCh38.*--chain"):
        read(hg19, panel(), build="hg19", match="position")
    with pytest.raises(InputError, match=r"on GRCh37 and the models are on GRCh38.*rs0.*--chain.*--map FILE"):
        read(hg19, panel(), build="hg19")  # known to be on another build: positions are not compared at all


def test_stores_keep_by_what_rows_were_matched(tmp_path: Path, hg19: Path, caplog) -> None:
    """A trait read with a chain file is that of a later run with the same one only."""
    chain = write_chain(tmp_path / "made.chain")
    traits = [TraitInput("one", (str(hg19),), build="hg19")]
    how = MatchOptions(chain=str(chain), to="hg38")
    with caplog.at_level("INFO", "gputwas"):
        report = import_gwas(traits, lifted_panel(), tmp_path / "store", matching=how)
    assert "matched by chromosome and position (columns 'CHR', 'BP'), lifted from hg19 to hg38" in caplog.text
    row = report.to_pylist()[0]
    assert row["matched_by"] == "position" and row["lift_mapped"] == 114 and row["lift_unmapped"] == 6
    metadata = GwasStore.open(tmp_path / "store").metadata("one")
    assert metadata["matched_how"] == row["matched_how"] and metadata["lifted"]["reversed"] == 6
    again = import_gwas(traits, lifted_panel(), tmp_path / "store", matching=how)
    assert again["status"].to_pylist() == ["present"]
    with pytest.raises(InputError, match=r"read with other options.*found matching \{'build': 'GRCh37'"):
        import_gwas(traits, lifted_panel(), tmp_path / "store")
    write_chain(chain, shift=4_000)
    with pytest.raises(InputError, match="read with other options"):
        import_gwas(traits, lifted_panel(), tmp_path / "store", matching=how)


def test_plain_imports_keep_what_they_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "t.txt", "SNP A1 A2", lambda i: "rs{} {} {}".format(i, *alleles(i)))
    import_gwas([TraitInput("t", (str(path),))], panel(lambda i: f"rs{i}"), tmp_path / "store")
    metadata = GwasStore.open(tmp_path / "store").metadata("t")
    assert "matching" not in metadata["how"] and "lifted" not in metadata
    assert (metadata["matched_by"], metadata["matched_how"]) == ("id", "identifier")


def test_what_each_key_would_find(hg19: Path) -> None:
    chromosome, position = ([place(i)[k] for i in range(N)] for k in (0, 1))
    table = panel(lambda i: gtex(i) if i % 2 else f"rs{i}", chromosome=chromosome, position=position)
    index = PanelIndex(table)
    found = found_by_key(open_sumstats(str(hg19)), index, MatchOptions(), None)
    assert found == [
        ("identifier", N // 2, 0.5),
        ("chromosome and position (columns 'CHR', 'BP')", N, 1.0),
    ]


def test_other_kinds_of_files_are_matched_by_place_too(tmp_path: Path) -> None:
    """GWAS-VCF, Parquet, and a file with chromosome:position:ref:alt in one cell and nothing else."""
    from pyarrow import parquet

    vcf = ["##fileformat=VCFv4.2", "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT trait".replace(" ", "\t")]
    keys = ["variant beta se tstat pval n_complete_samples minor_allele minor_AF".replace(" ", "\t")]
    columns: dict[str, list] = {name: [] for name in ("SNP", "CHR", "BP", "A1", "A2", "BETA", "SE")}
    for i in range(N):
        (chromosome, position), (effect, other) = place(i), alleles(i)
        fields = [chromosome, str(position), f"rs{i}", other, effect, ".", "PASS", ".", "ES:SE"]
        vcf.append("\t".join([*fields, f"{beta(i)}:0.1"]))
        cells = [
            f"{chromosome}:{position}:{other}:{effect}",
            beta(i),
            0.1,
            beta(i) / 0.1,
            0.5,
            100,
            effect,
            0.2,
        ]
        keys.append("\t".join(map(str, cells)))
        for name, value in zip(
            columns, (f"rs{i}", chromosome, position, effect, other, beta(i), 0.1), strict=True
        ):
            columns[name].append(value)
    (tmp_path / "t.vcf").write_text("\n".join(vcf) + "\n")
    (tmp_path / "t.tsv").write_text("\n".join(keys) + "\n")
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    for name, match in (("t.vcf", "auto"), ("t.parquet", "auto"), ("t.tsv", "auto"), ("t.tsv", "position")):
        for scan in (False, True):
            found = read(tmp_path / name, panel(), scan=scan, match=match)
            np.testing.assert_allclose(found.z, EXPECTED, rtol=1e-6)
            assert found.matched_by == ("id" if (name, match) == ("t.tsv", "auto") else "position")


def test_rs_only_is_a_rule_of_rs_numbers(hg19: Path) -> None:
    """--rsid-only does not ask for rs numbers where rows are matched by their place."""
    index = PanelIndex(panel())
    path = hg19
    path.write_text(path.read_text().replace("rs", "v"))
    reader = open_sumstats(str(path))
    key = choose_key(index, reader, MatchOptions(), None)
    wanted = filter_for(index, key)
    found = read_trait(
        reader.keeping(wanted, roles_for(key)), index, seen=wanted, key=key, keep_non_rsid=False
    )
    assert_all(found)
