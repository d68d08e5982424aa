"""The benchmark of liftover: its chain, its comparison and its ratios."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from pyliftover import LiftOver

from bench import lift
from bench.__main__ import main
from bench.agree import Disagreement
from gputwas.formats.chain import read_chain
from gputwas.variants.liftover import Liftover, Status
from tests.bench.canned import spent


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("lift") / "made.chain"
    return path, lift.make_chain(path, 2_000, seed=3)


def test_the_made_chain_has_all_that_is_hard(made):
    path, found = made
    chain = read_chain(path)
    assert (chain.n_chains, len(chain)) == (found["chains"], found["blocks"])
    assert len(chain.source_names) == 24 and 1_000 < len(chain) < 4_000
    assert 0 < (chain.target_strand < 0).mean() < 0.5
    liftover = Liftover(chain)
    rng = np.random.default_rng(1)
    codes, positions = rng.integers(0, 24, 20_000), rng.integers(1, 150_000_000, 20_000)
    lifted = liftover.lift(codes, positions)
    assert min(lifted.counts.values()) > 0
    hits = liftover.hits(codes, positions)
    several = np.flatnonzero(hits.count > 1)
    first = np.cumsum(hits.count) - hits.count
    assert (hits.score[first[several]] == hits.score[first[several] + 1]).any(), "no ties"


def test_every_answer_is_compared(made):
    path, _ = made
    ours, peer = Liftover(read_chain(path)), LiftOver(str(path))
    codes, positions = np.repeat(np.arange(24), 20), np.tile(np.arange(1, 21) * 2_000_000, 24)
    lift.check(ours, peer, codes, positions)
    assert (ours.lift(codes, positions).status == Status.SPLIT).any()
    scores = ours.chain.score.copy()
    shifted = dataclasses.replace(ours.chain, target_start=ours.chain.target_start + 1)
    swapped = dataclasses.replace(ours.chain, score=-scores)
    for wrong in (shifted, swapped):
        with pytest.raises(Disagreement, match="is lifted to"):
            lift.check(Liftover(wrong), peer, codes, positions)


def test_ratios_are_of_processor_time_per_position():
    found = [
        *spent(lift.CASE, "pyliftover", "lift", 10.0, 12.0, 14.0),
        *spent(lift.CASE, "gputwas", "lift, coded", 0.025, 0.03, 0.1),
        *spent(lift.CASE, "gputwas", "lift, names", 0.1, 0.1, 0.1),
    ]
    coded, names, *spans = lift._ratios(found, 1_000_000)
    assert (coded.value, coded.met) == (pytest.approx(400), True)
    assert (names.value, names.met) == (pytest.approx(120), None)
    assert [span.value for span in spans] == pytest.approx([12_000, 30, 100])


def test_the_subject_runs(tmp_path, capsys):
    assert main(["lift", "--quick", "--results", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "lift.json").read_text())
    assert record["quick"] and sum(record["figures"]["counts"].values()) >= 20_000
    assert {item["program"] for item in record["measurements"]} == {"gputwas", "pyliftover"}
    assert "Liftover of positions" in (tmp_path / "lift.md").read_text()
    capsys.readouterr()
