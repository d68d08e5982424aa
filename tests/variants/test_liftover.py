"""Liftover gives pyliftover's answers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyliftover import LiftOver

from gputwas.errors import ResourceError
from gputwas.formats.chain import read_chain
from gputwas.variants import liftover_pieces
from gputwas.variants.liftover import Liftover, Status, complement
from tests.variants.made_chains import HUMAN, chain_text, random_chains, tiled_chains


def theirs(path, chromosomes, positions):
    """pyliftover's list of answers for each 1-based position, positions from 1."""
    peer = LiftOver(str(path))
    answers = [
        peer.convert_coordinate(name, position - 1) or []
        for name, position in zip(chromosomes, positions, strict=True)
    ]
    return [[(name, at + 1, strand, score) for name, at, strand, score in answer] for answer in answers]


def ours(path, chromosomes, positions):
    """The same by `hits`."""
    chain = read_chain(path)
    hits = Liftover(chain).hits(chromosomes, positions)
    flat = [
        (chain.target_names[code], position, "+" if strand > 0 else "-", score)
        for code, position, strand, score in zip(
            hits.code, hits.position.tolist(), hits.strand, hits.score.tolist(), strict=True
        )
    ]
    ends = np.cumsum(hits.count).tolist()
    return [flat[end - count : end] for end, count in zip(ends, hits.count.tolist(), strict=True)]


def check_lift(path, chromosomes, positions):
    """`lift` gives the first of pyliftover's answers, `hits` all of them in the same order."""
    expected = theirs(path, chromosomes, positions)
    assert ours(path, chromosomes, positions) == expected
    lifted = Liftover(read_chain(path)).lift(chromosomes, positions)
    got = zip(lifted.chromosome.to_pylist(), lifted.position.tolist(), lifted.strand.tolist(), strict=True)
    for source, answer, place, status in zip(chromosomes, expected, got, lifted.status.tolist(), strict=True):
        if not answer:
            assert place == (None, -1, 0) and status == Status.UNMAPPED
            continue
        name, position, strand, _ = answer[0]
        assert place == (name, position, 1 if strand == "+" else -1)
        if len({target[:3] for target in answer}) > 1:
            assert status == Status.SPLIT
        else:
            assert status == (Status.MAPPED if name == source else Status.MOVED)
    return lifted


def everywhere(sizes):
    """Every position of a small genome, and some outside it."""
    pairs = [(name, position) for name, size in sizes.items() for position in range(-1, size + 3)]
    return [name for name, _ in pairs], [position for _, position in pairs]


blocks = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4)
SMALL = {"chr1": 61, "chr2": 40}


@st.composite
def chain_files(draw):
    text = ""
    for _ in range(draw(st.integers(1, 9))):
        made = [(max(size, 1) if i == 0 else size, a, b) for i, (size, a, b) in enumerate(draw(blocks))]
        reach = sum(map(sum, made))
        source, target = (draw(st.sampled_from(sorted(SMALL))) for _ in range(2))
        room = [SMALL[name] - reach for name in (source, target)]
        if min(room) < 0:
            continue
        at, to = (draw(st.integers(0, most)) for most in room)
        text += chain_text(
            (source, SMALL[source], at), (target, SMALL[target], to), made,
            score=draw(st.integers(1, 3)), strand=draw(st.sampled_from("+-")),
        )  # fmt: skip
    return text or chain_text(("chr1", 61, 0), ("chr1", 61, 0), [(5, 0, 0)])


@given(chain_files())
def test_every_position_of_small_chains(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("chain") / "a.chain"
    path.write_text(text)
    expected = theirs(path, *everywhere(SMALL))
    assert ours(path, *everywhere(SMALL)) == expected
    lifted = Liftover(read_chain(path)).lift(*everywhere(SMALL))
    assert [a[0][1] if a else -1 for a in expected] == lifted.position.tolist()


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_thousand_positions_of_overlapping_chains(tmp_path, seed):
    path = random_chains(tmp_path / "a.chain", seed)
    rng = np.random.default_rng(seed)
    chromosomes = rng.choice(list(HUMAN), 20_000).tolist()
    lifted = check_lift(path, chromosomes, rng.integers(1, 40_001, 20_000).tolist())
    counts = lifted.counts
    assert min(counts.values()) > 300  # all that may become of a position does occur
    assert sum(counts.values()) - counts["reversed"] == 20_000


def test_chains_of_one_score_come_in_the_order_of_pyliftovers_tree(tmp_path):
    path = random_chains(tmp_path / "a.chain", 3, n_chains=400, scores=1)
    rng = np.random.default_rng(3)
    chromosomes = rng.choice(list(HUMAN), 5_000).tolist()
    lifted = check_lift(path, chromosomes, rng.integers(1, 40_001, 5_000).tolist())
    assert lifted.counts["split"] > 2_000


def test_a_reversed_block_by_hand(tmp_path):
    path = tmp_path / "a.chain"
    path.write_text(chain_text(("chr1", 100, 10), ("chr1", 50, 5), [(4, 2, 0), (3, 0, 0)], strand="-"))
    lifted = Liftover(read_chain(path)).lift(["1"] * 10, range(10, 20))
    # Base 11 of the source is base 6 from the end of the target's 50 bases, which is base 45.
    assert lifted.position.tolist() == [-1, 45, 44, 43, 42, -1, -1, 41, 40, 39]
    assert lifted.strand.tolist() == [0, -1, -1, -1, -1, 0, 0, -1, -1, -1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_there_and_back(tmp_path_factory, seed):
    there, back = (Liftover(read_chain(path)) for path in tiled_chains(tmp_path_factory.mktemp("c"), seed))
    chromosomes = np.repeat(list(HUMAN), list(HUMAN.values()))
    positions = np.concatenate([np.arange(1, size + 1) for size in HUMAN.values()])
    once = there.lift(pa.array(chromosomes), positions)
    assert once.counts["split"] == 0 and once.counts["mapped"] + once.counts["moved"] > 10_000
    again = back.lift(once.chromosome, once.position)
    kept = once.status != Status.UNMAPPED
    assert (again.status[kept] != Status.UNMAPPED).all() and (again.status[~kept] == Status.UNMAPPED).all()
    np.testing.assert_array_equal(again.position[kept], positions[kept])
    np.testing.assert_array_equal(np.array(again.chromosome.to_pylist())[kept], chromosomes[kept])
    np.testing.assert_array_equal(again.strand, once.strand)
    # What is mapped there lies in the target blocks of the way back, and nothing else does.
    np.testing.assert_array_equal(back.in_target(pa.array(chromosomes), positions), kept)


@pytest.fixture
def moves(tmp_path):
    path = tmp_path / "a.chain"
    sizes = {"chr1": 90, "chr5": 90, "chrX": 90, "chrM": 90}
    path.write_text(
        "".join(
            chain_text((name, 90, 0), (name, 90, 0), [(10, 0, 0)])
            + chain_text((name, 90, 10), (other, sizes.get(other, 90), 50), [(10, 0, 0)])
            for name, other in [("chr1", "chr5"), ("chr5", "chrX"), ("chrX", "chrM"), ("chrM", "chr1_alt")]
        )
    )
    return Liftover(read_chain(path))


@pytest.mark.parametrize(
    ("given_name", "stays", "moved"),
    [
        ("chr1", "chr1", "chr5"),
        ("1", "1", "5"),
        ("01", "01", "05"),
        ("Chr1", "Chr1", "Chr5"),
        ("chrX", "chrX", "chrM"),
        ("X", "X", "MT"),
        ("0X", "0X", "MT"),
        ("23", "23", "MT"),
        ("M", "M", "1_alt"),
        ("MT", "MT", "1_alt"),
        ("chrMT", "chrMT", "chr1_alt"),
        ("26", "26", "1_alt"),
    ],
)
def test_chromosomes_come_back_in_the_callers_spelling(moves, given_name, stays, moved):
    lifted = moves.lift([given_name] * 3, [1, 11, 60])
    assert lifted.chromosome.to_pylist() == [stays, moved, None]
    assert lifted.position.tolist() == [1, 51, -1]
    assert lifted.status.tolist() == [Status.MAPPED, Status.MOVED, Status.UNMAPPED]


def test_a_genome_with_a_chromosome_23_of_its_own(tmp_path):
    path = tmp_path / "a.chain"
    path.write_text(
        chain_text(("chr23", 50, 0), ("chr23", 50, 5), [(9, 0, 0)])
        + chain_text(("chrX", 50, 0), ("chrX", 50, 7), [(9, 0, 0)])
    )
    assert Liftover(read_chain(path)).lift(["23", "X"], [1, 1]).position.tolist() == [6, 8]


def test_two_chromosomes_whose_names_differ_in_spelling_alone(tmp_path):
    """As chrM and chrMT of hg19, which are different sequences; other spellings mean the first."""
    path = tmp_path / "a.chain"
    names = ["chrM", "chrMT", "2", "chr2"]
    path.write_text("".join(chain_text((n, 50, 0), ("t", 50, i), [(9, 0, 0)]) for i, n in enumerate(names)))
    asked = [*names, "MT", "02"]
    lifted = Liftover(read_chain(path)).lift(asked, [1] * len(asked))
    assert lifted.position.tolist() == [1, 2, 3, 4, 1, 3]
    assert ours(path, names, [1] * 4) == theirs(path, names, [1] * 4)


def test_forms_of_input(moves):
    names = ["1", None, "chr5", "nowhere", "X", ""]
    positions = [1, 1, 12, 3, 91, 1]
    first = moves.lift(names, positions)
    assert first.chromosome.to_pylist() == ["1", None, "chrX", None, None, None]
    assert first.position.tolist() == [1, -1, 52, -1, -1, -1]
    codes = moves.codes(names)
    assert codes.tolist() == [0, -1, 1, -1, 2, -1]
    forms = [
        (pa.array(names), pa.array(positions)),
        (pa.array(names, pa.large_string()), np.array(positions, np.int32)),
        (pa.array(names).dictionary_encode(), pa.chunked_array([positions[:2], positions[2:]])),
        (pa.chunked_array([names[:3], names[3:]]), positions),
        (codes, positions),
        (codes.astype(np.int8), positions),
    ]
    for chromosomes, places in forms:
        lifted = moves.lift(chromosomes, places)
        np.testing.assert_array_equal(lifted.position, first.position)
        np.testing.assert_array_equal(lifted.status, first.status)
    assert lifted.chromosome.to_pylist() == ["chr1", None, "chrX", None, None, None]
    assert moves.lift(["1", "1"], pa.array([None, 2])).position.tolist() == [-1, 2]
    assert moves.lift([], []).chromosome.to_pylist() == []


def test_extreme_positions_are_unmapped(moves):
    extreme = [0, -1, 91, 92, np.iinfo(np.int64).max, np.iinfo(np.int64).min]
    assert moves.lift(["1"] * 6, extreme).position.tolist() == [-1] * 6


def test_misuse(moves):
    with pytest.raises(ValueError, match="differ in shape"):
        moves.lift(["1"], [1, 2])
    with pytest.raises(ValueError, match="codes of chromosomes"):
        moves.lift(np.array([4]), [1])
    with pytest.raises(TypeError, match="give names"):
        moves.in_target(np.array([0]), [1])
    with pytest.raises(TypeError):
        moves.lift(["1"], [1.5])


def test_arguments_are_not_written_to(moves):
    codes, positions = np.zeros(5, np.int64), np.arange(5)
    codes.flags.writeable = positions.flags.writeable = False
    assert moves.lift(codes, positions).position.tolist() == [-1, 1, 2, 3, 4]


def test_two_chains_to_one_place_are_no_split(tmp_path):
    path = tmp_path / "a.chain"
    one = chain_text(("chr1", 90, 0), ("chr1", 90, 5), [(20, 0, 0)], score=5)
    path.write_text(one + chain_text(("chr1", 90, 10), ("chr1", 90, 15), [(20, 0, 0)], score=9))
    lifted = Liftover(read_chain(path)).lift(["1"] * 3, [1, 15, 25])
    assert lifted.status.tolist() == [Status.MAPPED] * 3 and lifted.position.tolist() == [6, 20, 30]


def test_many_boundaries_in_one_stretch_of_the_table(tmp_path):
    path = tmp_path / "a.chain"
    text = chain_text(("chr1", 200_000_000, 0), ("chr1", 200_000_000, 3), [(1, 1, 1)] * 300)
    path.write_text(text)
    positions = list(range(1, 620))
    assert Counter(check_lift(path, ["chr1"] * 619, positions).status.tolist()) == {0: 300, 1: 319}


def test_too_much_overlap_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(liftover_pieces, "MOST_HITS", 10)
    with pytest.raises(ResourceError, match=r"overlap so much .* Use a liftOver chain file"):
        Liftover(read_chain(random_chains(tmp_path / "a.chain", 1)))


def test_complement():
    alleles = pa.array(["A", "c", "G", "t", "AT", "N", "-", None, "<DEL>"])
    assert complement(alleles).to_pylist() == ["T", "g", "C", "a", None, None, None, None, None]
