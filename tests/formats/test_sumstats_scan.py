"""The scan of bytes gives what the ordinary way gives: rows, counts, identifiers seen, and errors."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sumstats.reader import NotAlikeError, SumstatsReader, open_sumstats
from gputwas.kernels.scan import CHECKED_LINES, read_numbers
from gputwas.kernels.texts import TextTable
from gputwas.variants.match import VariantIndex

BIG40 = "chr rsid pos a1 a2 beta se pval(-log10)"
IDS = ["rs1", "rs22", "rs333", "rs4444444444", "01:555_A_G", "NA", "", "rs12345678"]
STRANGERS = ["rs9", "rs2", "rs33", "rs44444444445", "rs1234567", "x", "rs", "rs123456789012345"]
ROLES = {
    "variant_id", "chromosome", "effect_allele", "other_allele",
    "beta", "se", "z", "p", "nlog10_p", "sign", "n",
}  # fmt: skip


class Ordinary:
    """A filter that is asked once rows are columns."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = pa.array(ids)
        self.seen: list[str] = []

    def __call__(self, ids: pa.Array) -> pa.Array:
        self.remember(ids.take(pa.array(self.sampled(len(ids)))))
        return pc.is_in(ids, value_set=self.ids)

    def sampled(self, rows: int) -> np.ndarray:
        return np.arange(0, rows, 3)

    def remember(self, ids: pa.Array) -> None:
        self.seen += ids.to_pylist()


class Scanning(Ordinary):
    """The same filter, which can be asked before."""

    def id_table(self) -> TextTable | None:
        return VariantIndex(self.ids).table


def reader_of(path: Path, keep: Ordinary, **options) -> SumstatsReader:
    return open_sumstats(path, keep=keep, roles=options.pop("roles", ROLES), **options)


def outcome(path: Path, keep: Ordinary, **options) -> tuple:
    """All that reading a file gives; of a file with an error, the error."""
    try:
        reader = reader_of(path, keep, **options)
        batches = list(reader)
    except InputError as error:
        return ("error", str(error))
    counts = {
        name: list(map(str, [v])) if isinstance(v, float) else v for name, v in asdict(reader.counts).items()
    }
    return [b.to_pydict() for b in batches], [b.schema for b in batches], counts, keep.seen


def assert_alike(path: Path, ids: list[str], **options) -> SumstatsReader | None:
    """Both ways give the same; returns a reader that scanned the file, if it has no error."""
    expected = outcome(path, Ordinary(ids), **options)
    assert repr(outcome(path, Scanning(ids), **options)) == repr(expected)
    if expected[0] == "error":
        return None
    reader = reader_of(path, Scanning(ids), **options)
    list(reader)
    return reader


numbers = st.one_of(
    st.sampled_from(
        ["0", "1", "-1", "0.5", "-0", "1e-3", "12E4", "0.00067457", "1e22", "0.1234567890123456789"]
    ),
    st.floats(0, 1).map(repr),
    st.floats(-9, 9).map(lambda x: f"{x:.6g}"),
    st.sampled_from(
        ["NA", ".", "", "1,5", "+1", "1.", ".5", "inf", "nan", "1e-320", "3e-400", "1e400", "x", "-"]
    ),
)
good_numbers = st.floats(0.001, 1).map(lambda x: f"{x:.5g}")
texts = st.sampled_from(["A", "C", "G", "T", "AT", "a", "N/A", "", " ", "é"])
identifiers = st.sampled_from(IDS + STRANGERS)
chromosomes = st.sampled_from(["01", "1", "chr2", "0X", "22", "chromosome17", "", "NA"])


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, int]:
    """A text file, mostly sound, and a size of blocks."""
    separator = draw(st.sampled_from([" ", " ", "\t", ","]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    tidy = draw(st.booleans())
    cell = good_numbers if tidy else numbers
    header = BIG40.replace(" ", separator)
    allele = st.sampled_from("ACGT") if tidy else texts
    place = st.just("01") if tidy else chromosomes
    row = st.tuples(place, identifiers, st.integers(1, 99).map(str), allele, allele, cell, cell, cell)
    row = row.map(separator.join)
    broken = st.sampled_from(
        [
            "",
            separator,
            "1" + separator + "rs1",
            header,
            "rs1",
            separator * 8,
            separator * 9,
            "\r",
            "a\rb",
            "\t",
            "é",
        ]
    )
    lines = draw(
        st.lists(st.one_of(row, row, row, row, row, broken) if not tidy else row, min_size=1, max_size=40)
    )
    if draw(st.integers(0, 9)) == 0:
        lines = [line.replace(separator, separator * 2) for line in lines]
    body = end.join([header, "01 rs1 5 A G 0.1 0.2 0.3".replace(" ", separator), *lines])
    return (body + draw(st.sampled_from(["", end]))).encode(), draw(st.integers(40, 2000))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files(), st.lists(st.sampled_from(IDS), unique=True, min_size=1), st.booleans())
def test_any_file_is_read_as_the_ordinary_way_reads_it(tmp_path: Path, file, ids, parity) -> None:
    path = tmp_path / "any.txt"
    path.write_bytes(file[0])
    options = {"block_bytes": file[1], "parity": parity}
    if parity:
        names = dict(
            zip(("variant_id", "other_allele", "effect_allele", "beta", "se"), (1, 3, 4, 5, 6), strict=True)
        )
        options["columns"] = {role: BIG40.split()[i] for role, i in names.items()}
    assert_alike(path, ids, **options)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files(), st.lists(st.sampled_from(IDS), unique=True, min_size=1), st.data())
def test_a_file_of_a_known_kind_gives_its_own_numbers_or_none(tmp_path: Path, file, ids, data) -> None:
    path = tmp_path / "first.txt"
    path.write_bytes(file[0])
    try:
        first = reader_of(path, Scanning(ids), block_bytes=file[1])
        list(first)
    except InputError:
        return
    if first.trails is None:
        return
    other = bytearray(file[0])
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(len(BIG40) + 30, max(len(BIG40) + 30, len(other) - 1)))
        if place < len(other):
            other[place] = data.draw(st.sampled_from(b"0123456789ACGT \t\n"))
    try:
        other.decode()
    except UnicodeDecodeError:
        return  # text of rows that are not wanted is not checked, see the test of it
    path.write_bytes(bytes(other))
    expected = outcome(path, Ordinary(ids), block_bytes=file[1])
    try:
        second = reader_of(path, Scanning(ids), block_bytes=data.draw(st.integers(40, 2000)))
        assert len(second.paths) == len(first.paths)
        if second.kind != first.kind:
            return
        batches = list(second.follow(first.trails))
    except (InputError, NotAlikeError):
        return  # then it is read in full
    wanted = batches[0].schema.names if batches else []
    found = {name: [v for batch in batches for v in batch[name].to_pylist()] for name in wanted}
    assert repr(found) == repr({name: [v for b in expected[0] for v in b[name]] for name in wanted})
    assert second.rows_read == expected[2]["read"] and second.rows_malformed == expected[2]["malformed"]
    assert second.counts.chromosomes == expected[2]["chromosomes"]


@pytest.mark.parametrize(
    "odd",
    [
        "01 rs1 5 A  G 1 2 3\n",
        " 01 rs1 5 A G 1 2 3\n",
        "01 rs1 5 A G 1 2 3 \n",
        "01 rs1 5 A G 1 2 3 \r\n",
        "\n",
    ],
    ids=["run", "before", "behind", "behind, carriage return", "blank line"],
)
def test_blanks_are_noticed_wherever_they_fall(tmp_path: Path, odd: str) -> None:
    """The scan looks at 64 bytes at a time: what is odd must be seen across their borders too."""
    path = tmp_path / "odd.txt"
    for place in range(64):
        path.write_text(f"{BIG40}\n01 rs22 1{'0' * place} A G 1 2 3\n{odd}01 rs1 7 A G 4 5 6\n", newline="")
        assert_alike(path, ["rs1", "rs22"])


def rows_of(count: int, seed: int = 0) -> list[str]:
    """Rows of BIG40: the same variants for every seed, with other numbers."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(0.01, 3, (count, 3)).round(5)
    fixed = np.random.default_rng(99).choice(list("ACGT"), (count, 2))
    return [
        f"{1 + i * 22 // count:02d} rs{i * 7} {i * 100} {fixed[i][0]} {fixed[i][1]} "
        f"{value[i][0]} {value[i][1]} {value[i][2]}"
        for i in range(count)
    ]


def write(path: Path, rows: list[str], end: str = "\n") -> Path:
    path.write_bytes(end.join([BIG40, *rows, ""]).encode())
    return path


PANEL = [f"rs{i * 7}" for i in range(0, 140_000, 5)]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], SumstatsReader]:
    """A file of two checkpoints, read in full by a scan."""
    rows = rows_of(140_000)
    reader = reader_of(write(tmp_path_factory.mktemp("known") / "1.txt", rows), Scanning(PANEL))
    list(reader)
    return rows, reader


@pytest.mark.library
def test_a_later_file_is_read_by_its_numbers_alone(known, tmp_path: Path) -> None:
    _, first = known
    assert first.trails is not None and len(first.trails[0].checks) == 140_000 // CHECKED_LINES
    path = write(tmp_path / "2.txt", rows_of(140_000, seed=2))
    second = reader_of(path, Scanning(PANEL))
    assert second.kind == first.kind
    table = pa.Table.from_batches(second.follow(first.trails))
    ordinary = reader_of(path, Ordinary(PANEL))
    expected = pa.Table.from_batches(ordinary)
    assert table.column_names == ["beta", "se", "nlog10_p"]
    assert table.equals(expected.select(table.column_names))
    assert second.counts == ordinary.counts


@pytest.mark.library
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_do_not_matter_to_a_known_kind(known, tmp_path: Path, end: str) -> None:
    _, first = known
    second = reader_of(write(tmp_path / "2.txt", rows_of(140_000, seed=2), end), Scanning(PANEL))
    assert sum(batch.num_rows for batch in second.follow(first.trails)) == len(PANEL)


def swapped(rows: list[str]) -> list[str]:
    return [*rows[:100_000], rows[100_001], rows[100_000], *rows[100_002:]]


@pytest.mark.library
@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[:130_001], rows[5], *rows[130_001:]],
        lambda rows: [*rows[:7_003], *rows[7_004:]],
        lambda rows: [*rows[:7_003], rows[7_003] + " 1", *rows[7_004:]],
        lambda rows: [*rows[:7_003], "", *rows[7_003:]],
        lambda rows: [*rows[:7_003], rows[7_003].replace("rs", "RS"), *rows[7_004:]],
        lambda rows: [*rows[:-1], re.sub(" [ACGT] ", " N ", rows[-1], count=1)],
        lambda rows: [*rows[:9], rows[9].replace("01 ", "1 ", 1), *rows[10:]],
    ],
    ids=[
        "two rows change places", "last row missing", "a row more", "a wanted row again", "a row less",
        "a malformed row", "a blank line", "another identifier", "another allele", "another chromosome",
    ],
)  # fmt: skip
def test_any_change_of_the_variants_is_noticed(known, tmp_path: Path, change) -> None:
    rows, first = known
    second = reader_of(write(tmp_path / "2.txt", change(rows)), Scanning(PANEL))
    with pytest.raises(NotAlikeError):
        for _ in second.follow(first.trails):
            pass


@pytest.mark.library
def test_a_bad_number_of_a_known_kind_is_an_error_with_its_line(known, tmp_path: Path) -> None:
    rows, first = known
    wrong = [*rows[:130_000], rows[130_000].rsplit(" ", 1)[0] + " oops", *rows[130_001:]]
    path = write(tmp_path / "2.txt", wrong)
    with pytest.raises(InputError, match="oops"):
        list(reader_of(path, Scanning(PANEL)).follow(first.trails))
    with pytest.raises(InputError, match="oops") as raised:
        list(reader_of(path, Scanning(PANEL)))
    assert raised.value.line == 130_002
    assert_alike(path, PANEL)


def test_a_negative_standard_error_is_quoted_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path / "1.txt", ["01 rs1 5 A G 0.10 0.20 0.30", "", "01 rs1 5 A G 0.10 -0.20 0.30"])
    kind, message = outcome(path, Scanning(["rs1"]))
    assert kind == "error" and "'-0.20'" in message and "4" in message
    assert outcome(path, Ordinary(["rs1"])) == (kind, message)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("CHR SNP BP A1 TEST NMISS BETA STAT P\n1 rs1 5 A ADD 9 1 2 .3\n1 rs1 5 A SEX 9 1 2 .3\n", {}),
        ('"SNP","A1","A2","BETA","SE"\n"rs1","A","G",1,2\n', {}),
        ("SNP,A1,A2,BETA,SE\n rs1,A,G,1,2\n", {}),
        ("CHR POS A1 A2 BETA SE\n1 5 A G 1 2\n", {}),
        ("SNP A1 A2 BETA SE\nrs1 A G 1 2\n", {"parity": True, "separator": " "}),
    ],
    ids=["tests", "quoted", "padded", "no identifiers", "stripped lines"],
)  # fmt: skip
def test_unusual_files_are_left_to_the_ordinary_way(tmp_path: Path, text: str, options: dict) -> None:
    path = tmp_path / "unusual.txt"
    path.write_text(text)
    if options:
        columns = ("variant_id", "effect_allele", "other_allele", "beta", "se")
        options["columns"] = dict(zip(columns, ("SNP", "A1", "A2", "BETA", "SE"), strict=True))
    reader = assert_alike(path, ["rs1"], **options)
    assert reader is not None and reader.kind is None and reader.trails is None


def test_without_the_compiled_library_files_are_read_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "1.txt", rows_of(50))
    scanned = outcome(path, Scanning(PANEL))
    monkeypatch.setenv("GPUTWAS_COMPILED", "0")
    reader = reader_of(path, Scanning(PANEL))
    assert repr(outcome(path, Scanning(PANEL))) == repr(scanned)
    assert list(reader) and reader.kind is None and reader.trails is None


@pytest.mark.library
def test_a_block_with_more_than_ascii_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    path = tmp_path / "1.txt"
    path.write_text(f"{BIG40}\n01 rs1 5 A G 1 2 3\n01 rs1 5 é G 1 2 3\n", encoding="utf-8")
    reader = assert_alike(path, ["rs1"])
    assert reader is not None and reader.kind is not None and reader.trails is None
    path.write_bytes(f"{BIG40}\n01 rs1 5 A G 1 2 3\n01 rs1 5 é G 1 2 3\n".encode("latin-1"))
    assert outcome(path, Scanning(["rs1"]))[0] == "error"
    assert_alike(path, ["rs1"])


@pytest.mark.library
@pytest.mark.parametrize("wanted", [True, False])
def test_bytes_that_are_no_text_matter_to_a_scan_in_wanted_rows_only(tmp_path: Path, wanted: bool) -> None:
    rows = rows_of(50)
    rows[20] = rows[20].replace(" A ", " \udcff ").replace(" C ", " \udcff ")
    path = tmp_path / "f.txt"
    path.write_bytes("\n".join([BIG40, *rows, ""]).encode("utf-8", "surrogateescape"))
    assert b"\xff" in path.read_bytes()
    ids = [row.split()[1] for place, row in enumerate(rows) if (place == 20) is wanted]
    with pytest.raises(InputError, match="not UTF-8 text"):
        list(reader_of(path, Ordinary(ids)))
    if wanted:
        with pytest.raises(InputError, match="not UTF-8 text"):
            list(reader_of(path, Scanning(ids)))
    else:
        assert sum(batch.num_rows for batch in reader_of(path, Scanning(ids))) == len(ids)


@pytest.mark.library
@given(st.lists(st.one_of(numbers, st.text("0123456789.eE+-", max_size=24)), min_size=1, max_size=30))
def test_numbers_are_those_of_python_or_left_to_it(cells: list[str]) -> None:
    data = np.frombuffer(("\t".join(cells) + "\n").encode(), np.uint8)
    ends = np.cumsum([len(cell.encode()) + 1 for cell in cells]) - 1
    places = np.stack([np.array([0, *(ends[:-1] + 1)]), ends], axis=1).astype(np.int32)
    for cell, value in zip(cells, read_numbers(data, places), strict=True):
        if not np.isnan(value):
            assert value.tobytes() == np.float64(float(cell)).tobytes()
        elif (
            cell.replace("-", "").replace(".", "", 1).isdigit()
            and len(cell) < 15
            and "." not in (cell.lstrip("-")[0], cell[-1])
        ):
            assert "-" in cell[1:]  # a plain short number is never left


@pytest.mark.library
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30), st.integers(0, 3))
def test_the_table_holds_any_identifiers(ids: list[str | None], begin: int) -> None:
    table = VariantIndex(pa.array(ids, pa.string())[begin:]).table
    assert table is not None
    numbered = {int(slot & np.uint64(0xFFFFFFFF)) - 1 for slot in table.slots if slot}
    held = {table.text[table.ends[i] : table.ends[i + 1]].tobytes().decode() for i in numbered}
    assert held == {name for name in ids[begin:] if name is not None}
    assert len(numbered) == len(held) and table.present.any() == bool(held)
