"""Files of variants moved to another build: rows, alleles, identifiers, reasons and counts."""

from __future__ import annotations

import gzip
import random

import pytest
from pyliftover import LiftOver

from gputwas.errors import InputError, UsageError
from gputwas.formats.chain import read_chain
from gputwas.formats.sumstats import sniff
from gputwas.study import lift
from gputwas.study.lift import builds_for, lift_file, lifted_name
from gputwas.study.lift_tables import open_variants
from gputwas.variants.liftover import Liftover
from tests.variants.made_chains import HUMAN, chain_text, random_chains

# 101..300 -> 50 more; 401..500 -> 1301 minus, reversed; 601..700 -> chr2, 600 less; 251..300 also to chr2
CHAIN = (
    chain_text(("chr1", 1000, 100), ("chr1", 1000, 150), [(200, 0, 0)], score=900)
    + chain_text(("chr1", 1000, 400), ("chr1", 1000, 100), [(100, 0, 0)], score=800, strand="-")
    + chain_text(("chr1", 1000, 600), ("chr2", 500, 0), [(100, 0, 0)], score=700)
    + chain_text(("chr1", 1000, 250), ("chr2", 500, 300), [(50, 0, 0)], score=600)
)


@pytest.fixture
def liftover(tmp_path):
    path = tmp_path / "hg19ToHg38.over.chain"
    path.write_text(CHAIN)
    return Liftover(read_chain(path))


@pytest.fixture
def lifted(tmp_path, liftover):
    """Write a file, lift it, and give the lines of the output, those of the lost rows, and the report."""

    def do(text, name="in.tsv", out="out.tsv", columns=None, dialect=None, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        options = {"source": "hg19", "target": "hg38"} | options
        table = open_variants(str(path), columns=columns, dialect=dialect)
        report = lift_file(table, liftover, str(tmp_path / out), unmapped=str(tmp_path / "lost"), **options)
        data = (tmp_path / out).read_bytes()
        data = gzip.decompress(data) if out.endswith(".gz") else data
        return data.decode().splitlines(), (tmp_path / "lost").read_text().splitlines(), report

    return do


def test_a_table_of_variants(lifted):
    text = (
        "# made by hand\nname\tCHR\tfoo\tBP\tA1\tA2\n"
        "rs1\t1\tx y\t101\tA\tG\n"
        "rs2\t1\t\t401\tA\tg\n"
        "rs3\t1\t3.50\t601\tAT\tA\n"
        "rs4\t1\t3\t260\tA\tC\n"
        "rs5\t1\t3\t350\tA\tC\n"
        "rs6\t7\t3\t350\tA\tC\n"
        "rs7\tNA\t3\t350\tA\tC\n"
        "rs8\t1\t3\t.\tA\tC\n"
        "rs9\t1\t3\t402\tAT\tA\n"
        "rs10\t1\t3\t403\tNA\tT\n"
        "rs11\t1\t3\n"
        "rs12\t1\t3\t1001\tA\tC\n"
    )
    out, lost, report = lifted(text)
    assert out == [
        "# made by hand",
        "name\tCHR\tfoo\tBP\tA1\tA2",
        "rs1\t1\tx y\t151\tA\tG",
        "rs2\t1\t\t900\tT\tc",
        "rs3\t2\t3.50\t1\tAT\tA",
        "rs10\t1\t3\t898\tNA\tA",
    ]
    assert lost == [
        "# made by hand",
        "name\tCHR\tfoo\tBP\tA1\tA2\treason",
        "rs4\t1\t3\t260\tA\tC\tsplit",
        "rs5\t1\t3\t350\tA\tC\tnot_in_chain",
        "rs6\t7\t3\t350\tA\tC\tunknown_chromosome",
        "rs7\tNA\t3\t350\tA\tC\tno_position",
        "rs8\t1\t3\t.\tA\tC\tno_position",
        "rs9\t1\t3\t402\tAT\tA\treversed_indel",
        "rs12\t1\t3\t1001\tA\tC\tnot_in_chain",
    ]
    assert (report.rows, report.written, report.malformed) == (11, 4, 1)
    assert (report.reversed, report.moved, report.split, report.unmapped) == (2, 1, 0, 5)
    assert report.losses == {
        "split": 1, "not_in_chain": 2, "unknown_chromosome": 1, "no_position": 2, "reversed_indel": 1,
    }  # fmt: skip
    assert sum(report.losses.values()) + report.written == report.rows


def test_split_rows_are_kept_when_asked_for(lifted):
    text = "id\tchr\tpos\nrs1\t1\t101\nrs4\t1\t260\n"
    out, lost, report = lifted(text, keep_split=True)
    assert out[1:] == ["rs1\t1\t151", "rs4\t1\t310"] and len(lost) == 1
    assert (report.split, report.losses) == (1, {})


def test_positional_identifiers_are_rewritten(lifted):
    text = (
        "SNP\tCHR\tBP\tkey\n"
        "chr1_101_A_G_b37\tchr1\t101\t1:101\n"
        "chr1_401_A_G_b37\tchr1\t401\t1:401\n"
        "chr1:402:a:g\tchr1\t402\t1:402\n"
        "chr01_601_AT_A_hg19\tchr1\t601\t1:601\n"
        "1-102-A/C-GRCh37\tchr1\t102\t1:102\n"
        "rs99\tchr1\t103\t1:999\n"
        "chr1_403_AT_A_b37\tchr1\t403\t1:403\n"
        "chr1_405\tchr1\t405\t405\n"
    )
    out, lost, report = lifted(text)
    assert out[1:] == [
        "chr1_151_A_G_b38\tchr1\t151\t1:151",
        "chr1_900_T_C_b38\tchr1\t900\t1:900",
        "chr1:899:t:c\tchr1\t899\t1:899",
        "chr02_1_AT_A_hg38\tchr2\t1\t2:1",
        "1-152-A/C-GRCh38\tchr1\t152\t1:152",
        "rs99\tchr1\t153\t1:999",
        "chr1_896\tchr1\t896\t405",
    ]
    assert lost[1:] == ["chr1_403_AT_A_b37\tchr1\t403\t1:403\treversed_indel"]
    assert report.identifiers == 11


def test_identifiers_alone_tell_the_places(lifted):
    header = "variant\tminor_allele\tminor_AF\tn_complete_samples\tbeta\tse\ttstat\tpval\n"
    rest = "\t.1\t9\t1\t2\t.5\t.6"
    text = header + f"1:101:A:G\tG{rest}\n1:401:A:G\tG{rest}\nX:1:A:C\tC{rest}\n"
    out, lost, report = lifted(text)
    assert out[1:] == ["1:151:A:G\tG\t.1\t9\t1\t2\t.5\t.6", "1:900:T:C\tC\t.1\t9\t1\t2\t.5\t.6"]
    assert lost[1] == "X:1:A:C\tC\t.1\t9\t1\t2\t.5\t.6\tunknown_chromosome" and report.identifiers == 2


def test_every_dialect_is_lifted_where_its_layout_says(lifted, tmp_path):
    """PLINK 2 has four columns of alleles, BIG40 two-digit chromosomes, daner sample sizes in its header."""
    out, _, _ = lifted(
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tOMITTED\tTEST\tOBS_CT\tBETA\tSE\tP\n"
        "1\t401\trs1\tA\tG\tG\tA\tADD\t9\t1\t1\t.3\n"
        "1\t101\trs2\tA\tG\tG\tA\tADD\t9\t1\t1\t.3\n"
    )
    assert out[1].split("\t")[:7] == ["1", "900", "rs1", "T", "C", "C", "T"]
    assert sniff(tmp_path / "out.tsv").dialect == "plink2"
    out, _, _ = lifted(
        "chr rsid pos a1 a2 beta se pval(-log10)\n01 rs1 000101 A G 1 1 .3\n01 rs2 601 A G 1 1 .3\n"
    )
    assert out[1:] == ["01 rs1 151 A G 1 1 .3", "02 rs2 1 A G 1 1 .3"]
    out, _, _ = lifted("  CHR   SNP  BP  A1 F_A F_U A2 CHISQ P OR\n   1  rs1  101   A  .1  .2  G  1  .3  1\n")
    assert out == ["  CHR   SNP  BP  A1 F_A F_U A2 CHISQ P OR", "1 rs1 151 A .1 .2 G 1 .3 1"]


def test_quoted_cells_and_windows_line_ends(lifted):
    out, _, _ = lifted('"chr","pos","name"\r\n"1","101","one, two"\r\n"1","102","say ""a"""\r\n', "in.csv")
    assert out == ['"chr","pos","name"', '1,151,"one, two"', '1,152,"say ""a"""']


def test_gwas_vcf(lifted, caplog):
    text = (
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tgwas\n"
        "1\t401\trs1\tA\tG\t.\tPASS\tAF=.1\tES:SE\t1:2\n1\t402\trs2\tA\tG,CT\t.\tPASS\tAF=.1\tES:SE\t1:2\n"
        "1\t403\trs3\tA\tG,c\t.\tPASS\tAF=.1\tES:SE\t1:2\n1\t101\trs4\tA\tG,C\t.\tPASS\t.\tES:SE\t1:2\n"
    )
    out, lost, _ = lifted(text, "in.vcf")
    assert out[0] == "##fileformat=VCFv4.2"
    assert [line.split("\t")[1:5] for line in out[2:]] == [
        ["900", "rs1", "T", "C"], ["898", "rs3", "T", "C,g"], ["151", "rs4", "A", "G,C"]
    ]  # fmt: skip
    assert out[2].endswith("\t.\tPASS\tAF=.1\tES:SE\t1:2")
    assert [line.split("\t")[2] for line in lost[2:]] == ["rs2"] and lost[2].endswith("\treversed_indel")
    assert "END= and the like in INFO are left as they are" in caplog.text


def test_bim(lifted, caplog):
    out, lost, report = lifted(
        "1\trs1\t0.5\t101\tA\tG\n1\t1:401:A:G\t0\t401\t0\tG\n1\trs3\t0\t1\tA\tG\n", "in.bim"
    )
    assert out == ["1\trs1\t0.5\t151\tA\tG", "1\t1:900:T:C\t0\t900\t0\tC"]
    assert lost == ["1\trs3\t0\t1\tA\tG\tnot_in_chain"] and report.rows == 3
    assert "does not fit the .bed beside the old one" in caplog.text
    caplog.clear()
    lifted("1\trs1\t0.5\t101\tA\tG\n", "in.bim")
    assert not caplog.text


def test_bed_intervals_have_both_ends_lifted(lifted):
    text = (
        "track name=x\n"
        "chr1\t100\t101\ta\t0\t+\n"  # one base
        "chr1\t100\t110\tb\t0\t+\n"
        "chr1\t400\t410\tc\t0\t+\n"  # reversed: 401..410 become 900..891
        "chr1\t405\t407\td\t0\t-\n"
        "chr1\t105\t405\te\t0\t.\n"  # ends on two strands
        "chr1\t105\t605\tf\t0\t.\n"  # ends on two chromosomes
        "chr1\t90\t105\tg\t0\t.\n"  # begins in no chain
        "chr1\t105\t270\th\t0\t.\n"  # ends where two chains are
        "chr1\t105\t105\ti\t0\t.\n"  # has no base
    )
    out, lost, report = lifted(text, "in.bed")
    assert out == [
        "track name=x",
        "chr1\t150\t151\ta\t0\t+",
        "chr1\t150\t160\tb\t0\t+",
        "chr1\t890\t900\tc\t0\t-",
        "chr1\t893\t895\td\t0\t+",
    ]
    reasons = ["ends_apart", "ends_apart", "not_in_chain", "split", "no_position"]
    assert [line.rpartition("\t")[2] for line in lost[1:]] == reasons
    assert report.reversed == 2


def test_named_columns(lifted):
    text = "what\twhere\twhich\tpos\n1\t101\tA\t0\n"
    out, _, _ = lifted(text, columns={"chromosome": "what", "position": "where", "effect_allele": "which"})
    assert out[1] == "1\t151\tA\t0"
    with pytest.raises(InputError, match="no such column"):
        lifted(text, columns={"chromosome": "chr", "position": "where"})
    with pytest.raises(InputError, match=r"no column found for the chromosome .* --column chromosome=NAME"):
        lifted(text)
    with pytest.raises(UsageError, match="here the roles are chromosome, position"):
        lifted(text, columns={"beta": "what"})


def test_many_blocks_give_what_pyliftover_gives(tmp_path, monkeypatch):
    """A file larger than a block, gzipped in and out, row by row against pyliftover."""
    chain = random_chains(tmp_path / "a.chain", 5)
    rng = random.Random(5)
    rows = [(rng.choice(list(HUMAN)), rng.randrange(1, 20_000), rng.choice("ACGT")) for _ in range(6_000)]
    text = "id\tchrom\tpos\teffect_allele\n" + "".join(
        f"v{i}\t{c}\t{p}\t{a}\n" for i, (c, p, a) in enumerate(rows)
    )
    path = tmp_path / "in.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    real = lift.blocks
    monkeypatch.setattr(lift, "blocks", lambda *a, **k: real(*a, **k, size=10_000))
    out = tmp_path / "out.tsv.gz"
    report = lift_file(open_variants(str(path)), Liftover(read_chain(chain)), str(out))
    peer = LiftOver(str(chain))
    expected = []
    for i, (c, p, a) in enumerate(rows):
        answers = peer.convert_coordinate(c, p - 1)
        if len({answer[:3] for answer in answers}) == 1:
            name, at, strand, _ = answers[0]
            turned = a.translate(str.maketrans("ACGT", "TGCA")) if strand == "-" else a
            expected.append(f"v{i}\t{name}\t{at + 1}\t{turned}")
    assert gzip.decompress(out.read_bytes()).decode().splitlines()[1:] == expected
    assert report.written == len(expected) > 1_000 and report.rows == 6_000
    first = out.read_bytes()
    lift_file(open_variants(str(path)), Liftover(read_chain(chain)), str(out))
    assert out.read_bytes() == first  # the same rows are the same bytes


def wrong_way(n=200):
    """Rows on the target build of `CHAIN`, none of them in its source blocks."""
    return "id\tchr\tpos\n" + "".join(f"v{i}\t2\t{i % 100 + 1}\n" for i in range(n))


def test_the_chain_file_of_the_other_direction(lifted, tmp_path):
    with pytest.raises(InputError) as caught:
        lifted(wrong_way())
    message = str(caught.value)
    assert "200 of 200 rows have no place in the other build" in message
    assert "this chain file converts hg19 to hg38" in message and "the other direction" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hg19ToHg38.over.chain", "in.tsv"]


def test_a_chain_file_that_seems_to_be_of_the_other_direction(lifted, caplog):
    fits_both = "".join(f"v{i}\t1\t{i % 50 + 201}\n" for i in range(300))
    lifted(wrong_way() + fits_both)
    assert "200 of 500 rows have no place in the other build, but all except 0 fit the build" in caplog.text
    caplog.clear()
    lifted(wrong_way(20) + fits_both)  # too few to say so
    assert not caplog.records


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("9\t101", "has no chromosome 9: is it of another species"),
        ("1\tfar", "name the right columns"),
        ("1\t1000", "is the file on the build that"),
    ],
)
def test_most_rows_lost_for_another_reason(lifted, row, words):
    with pytest.raises(InputError, match=words):
        lifted("chr\tpos\n" + f"{row}\n" * 3 + "1\t101\n")


def test_identifiers_that_name_another_build(lifted):
    text = "SNP\tCHR\tBP\nchr1_101_A_G_b38\t1\t101\n"
    with pytest.raises(InputError, match=r"on another build \(found b38 in chr1_101_A_G_b38; expected hg19"):
        lifted(text)
    with pytest.raises(UsageError, match="say with --to"):
        lifted(text, source=None, target=None)
    assert lifted(text, source=None, target="t2t")[0][1] == "chr1_151_A_G\t1\t151"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("in.bed", b"\x6c\x1b\x01abc", "holds genotypes, no places"),
        ("in.bed", "chr\tstart\tend\nchr1\t1\t2\n", "is no BED file"),
        ("in.bed", "chr1\t100\t120\ta\t0\t+\t105\t110\n", "thickStart and thickEnd.*cut -f1-6"),
        ("in.bim", "1 rs1 101 A G\n", "is no .bim file"),
        ("in.bim", "\n", "is no .bim file"),
        ("in.tsv", "", "is empty"),
        ("in.tsv", "rsid\tbeta\nrs1\t2\n", "no column found for the chromosome and position"),
        ("in.tsv", "chr\tpos\tbp\n1\t2\t2\n", "two columns could be the position"),
        ("in.tsv", "chr\tpos\tA1\n1\t101\n1\t102\n", "all 2 rows have another number of cells .*--separator"),
        ("in.tsv", b"PAR1\x15\x00", "Parquet"),
        ("in.tsv", b"chr\tpos\tname\n1\t101\t\xff\n", "not UTF-8"),
        ("in.tsv.gz", gzip.compress(b"chr\tpos\n1\t101\n" * 9000)[:-20], "cut short"),
    ],
)
def test_bad_files(lifted, tmp_path, name, text, words):
    with pytest.raises(InputError, match=words):
        lifted(text, name)
    assert not (tmp_path / "out.tsv").exists() and not (tmp_path / "lost").exists()


def test_a_file_is_not_written_over_itself(lifted, tmp_path, liftover):
    text = "chr\tpos\n1\t101\n"
    for out in ("in.tsv", "./in.tsv", "lost", "hg19ToHg38.over.chain"):
        with pytest.raises(UsageError, match="must be different files"):
            lifted(text, out=out)
    assert (tmp_path / "in.tsv").read_text() == text
    assert (tmp_path / "hg19ToHg38.over.chain").read_text() == CHAIN


def test_columns_of_a_bed_that_are_no_places_are_kept(lifted):
    out, _, _ = lifted("chr1\t100\t110\ta\t0\t+\t7\t109\nchr1\t101\t109\tb\t0\t+\t103\t5\n", "in.bed")
    assert out == ["chr1\t150\t160\ta\t0\t+\t7\t109", "chr1\t151\t159\tb\t0\t+\t103\t5"]


@pytest.mark.parametrize(
    ("path", "target", "name"),
    [
        ("a/gwas.tsv.gz", "hg38", "gwas.hg38.tsv.gz"),
        ("gwas.txt", None, "gwas.lifted.txt"),
        ("gwas.chr1.txt.bgz", "hg38", "gwas.chr1.hg38.txt.gz"),
        ("gwas", "hg38", "gwas.hg38"),
        ("gwas.gz", "hg38", "gwas.hg38.gz"),
    ],
)
def test_names_of_outputs(path, target, name):
    assert lifted_name(path, target) == name


def test_builds_come_from_the_name_of_the_chain_file():
    name = "x/hg19ToHg38.over.chain.gz"
    assert builds_for(name, None, None) == ("hg19", "hg38")
    assert builds_for(name, "GRCh37", "b38") == ("GRCh37", "b38")
    assert builds_for("my.chain", "hg19", None) == ("hg19", None)
    with pytest.raises(
        UsageError, match="converts hg19 to hg38, not hg38 to hg19; you need the one for the other"
    ):
        builds_for(name, "hg38", "hg19")
    with pytest.raises(UsageError, match=r"not hg19 to mm10$"):
        builds_for(name, None, "mm10")


def test_in_target_counts_all_rows(lifted):
    _, _, report = lifted("chr\tpos\n1\t101\n1\t160\n1\t161\n2\t1\n")
    assert report.in_target == 3 and report.written == 3
