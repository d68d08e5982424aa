"""The rule for heritable traits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gputwas.analyses.heritability import HeritabilityRule, heritable_traits
from gputwas.errors import UsageError


def table(**columns: list[float | None]) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table(
        {"trait": [f"t{i}" for i in range(n)]} | {k: pa.array(v, pa.float64()) for k, v in columns.items()}
    )


def test_keeps_nominally_heritable_traits_and_counts_the_rest() -> None:
    traits = table(
        h2=[0.2, 0.0329, 0.0328, 0.0, -0.1, None, 0.3, 0.3, np.nan],
        h2_se=[0.02, 0.02, 0.02, 0.02, 0.02, 0.02, None, 0.0, 0.02],
    )
    found = heritable_traits(traits)  # 0.0329 / 0.02 = 1.645 is just above the quantile 1.6449
    assert found.kept == ("t0", "t1")
    assert (found.n_heritable, found.n_not_heritable, found.n_unknown) == (2, 3, 4)


def test_unknown_traits_are_kept_on_request_and_still_counted() -> None:
    traits = table(h2=[0.2, 0.0, None], h2_se=[0.02, 0.02, 0.02])
    found = heritable_traits(traits, HeritabilityRule(keep_unknown=True))
    assert found.kept == ("t0", "t2")
    assert found.n_unknown == 1


def test_a_table_without_heritability_is_all_unknown() -> None:
    traits = pa.table({"trait": ["a", "b"]})
    assert heritable_traits(traits).kept == ()
    assert heritable_traits(traits, HeritabilityRule(keep_unknown=True)).kept == ("a", "b")
    assert heritable_traits(traits).n_unknown == 2


def test_thresholds() -> None:
    assert HeritabilityRule().threshold == pytest.approx(1.6448536269514722, rel=1e-12)
    assert HeritabilityRule(sides=2).threshold == pytest.approx(1.959963984540054, rel=1e-12)
    traits = table(h2=[0.036, 0.04], h2_se=[0.02, 0.02])
    assert heritable_traits(traits, HeritabilityRule(sides=2)).kept == ("t1",)
    assert heritable_traits(traits, HeritabilityRule(lowest=0.04)).kept == ("t1",)
    assert heritable_traits(traits, HeritabilityRule(alpha=0.01)).kept == ()


def test_integers_as_heritability_are_read() -> None:
    traits = pa.table({"trait": ["a"], "h2": pa.array([1]), "h2_se": pa.array([0.1])})
    assert heritable_traits(traits).kept == ("a",)


def test_says_what_it_did() -> None:
    assert HeritabilityRule().describe() == (
        "h2 / h2_se > 1.645 (p < 0.05, one-sided); traits without h2 are left out"
    )
    assert "h2 >= 0.1" in HeritabilityRule(lowest=0.1).describe()


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"sides": 3}, {"lowest": -0.1}, {"lowest": 1.0}]
)
def test_refuses_a_rule_without_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        HeritabilityRule(**wrong)  # type: ignore[arg-type]
