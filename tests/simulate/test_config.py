"""Settings are refused before anything is drawn."""

from __future__ import annotations

import json

import pytest

from gputwas.errors import UsageError
from gputwas.simulate.config import PRESETS, StudyConfig, preset


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n_genes": 0}, "n_genes"),
        ({"n_traits": 2.5}, "n_traits"),
        ({"seed": -1}, "seed"),
        ({"n_blocks": 301}, "n_blocks"),
        ({"n_haplotypes": 30}, "n_haplotypes"),
        ({"n_samples_gwas": (5, 1000)}, "n_samples_gwas"),
        ({"n_reference": 1}, "n_reference"),
        ({"missing_share": 1.0}, "missing_share"),
        ({"palindromic_share": -0.1}, "palindromic_share"),
        ({"effect_variance": (0.0, 0.1)}, "effect_variance"),
        ({"effect_variance": (0.1, 0.2)}, "effect_variance"),  # explains more than there is
        ({"direct_variance": float("nan")}, "effect_variance"),
        ({"causal_genes": (1, 2)}, "causal_genes"),
        ({"covariance_decimals": 0}, "covariance_decimals"),
        ({"null_every": True}, "null_every"),
    ],
)
def test_refuses_and_names_the_setting(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"simulated study: {named} is "):
        preset("demo", **wrong)


def test_presets() -> None:
    assert PRESETS["demo"].n_genes == 300 and PRESETS["demo"].n_total == 33_000
    assert preset("test", seed=7).seed == 7
    with pytest.raises(UsageError, match="'huge'"):
        preset("huge")


def test_settings_survive_json() -> None:
    config = StudyConfig(n_genes=250)
    assert json.loads(json.dumps(config.as_dict())) == config.as_dict()
