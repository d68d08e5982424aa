"""Real models and six real file formats: every model SNP ends as the data's own record says it should."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from gputwas.formats.sumstats import open_sumstats
from gputwas.ingest.gwas import TraitInput, import_gwas
from gputwas.ingest.trait import PanelFilter, PanelIndex, read_trait
from gputwas.stores.gwas import GwasStore

ROLES = {
    "snp": "variant_id", "effect_allele": "effect_allele", "non_effect_allele": "other_allele",
    "beta": "beta", "se": "se", "or": "odds_ratio", "pvalue": "p", "zscore": "z",
}  # fmt: skip
RUNS = ["big40", "metal", "gwas_ssf", "enigma", "enigma_p", "plink2", "plink2_z", "daner", "daner_p"]


LOST = ("missing", "mismatch", "na_effect", "strand", "inf_z")


def number_of(classes):
    return Counter(row["class"] for row in classes.values())


def columns_of(flags):
    return {ROLES[flag[2:-7]]: name for flag, name in zip(flags[::2], flags[1::2], strict=True)}


@pytest.fixture(scope="module")
def panel(gtex_v6p):
    alleles = {}
    for path in sorted(gtex_v6p.glob("models/*.db")):
        database = sqlite3.connect(path)
        for rsid, ref, eff in database.execute("SELECT rsid, ref_allele, eff_allele FROM weights"):
            alleles.setdefault(rsid, (eff, ref))
        database.close()
    effect, other = zip(*alleles.values(), strict=True)
    return pa.table({"variant_id": list(alleles), "effect_allele": effect, "other_allele": other})


@pytest.fixture(scope="module")
def runs(gtex_v6p):
    """run -> (file, columns, class of every SNP, (swapped, rows) of every SNP)"""
    found = {}
    for trait in json.loads((gtex_v6p / "manifest.json").read_text())["traits"]:
        with gzip.open(gtex_v6p / "gwas" / "row_classes" / f"{trait['name']}.tsv.gz", "rt") as file:
            classes = {row["rsid"]: row for row in csv.DictReader(file, delimiter="\t")}
        for run, flags in trait["runs"].items():
            found[run] = (str(gtex_v6p / "gwas" / trait["file"]), columns_of(flags), classes, trait["rows"])
    return found


def read(runs, run, panel, mode, columns=True):
    path, named, classes, rows = runs[run]
    index = PanelIndex(panel)
    seen = PanelFilter(index)
    reader = open_sumstats(path, columns=named if columns else None, parity=mode == "parity", keep=seen)
    found = read_trait(reader, index, mode=mode, seen=seen)
    assert found.rows_read + found.rows_malformed == rows and sum(found.counts.values()) == found.rows_read
    present = dict(zip(panel["variant_id"].to_pylist(), np.isfinite(found.z), strict=True))
    classes = {snp: row for snp, row in classes.items() if snp in present}
    assert len(classes) == len(present) > 700
    missing = {name: [s for s, ok in present.items() if not ok and classes[s]["class"] == name] for name in
               {row["class"] for row in classes.values()}}  # fmt: skip
    return found, classes, {name: len(snps) for name, snps in missing.items() if snps}


@pytest.mark.parametrize("run", RUNS)
def test_parity_drops_what_the_record_says(runs, run, panel):
    found, classes, missing = read(runs, run, panel, "parity")
    lost = {name: n for name, n in number_of(classes).items() if name in LOST}
    if "se" in runs[run][1]:
        assert missing == lost
    else:
        # A run that reads z or p does not see what was done to effect or standard error.
        assert missing.keys() <= lost.keys()
        for name in ("missing", "mismatch", "strand"):
            assert missing[name] == lost[name]
    single = [row for row in classes.values() if row["class"] == "plain"]
    swapped = sum(row["swapped"] == "1" for row in single)
    others = sum(row["class"] in ("multiallelic", "dup_exact", "dup_swapped", "dup_na", "inf_z", "na_effect")
                 for row in classes.values())  # fmt: skip
    assert swapped <= found.counts["swapped"] <= swapped + others
    assert found.counts["matched"] + found.counts["swapped"] == np.isfinite(found.z).sum()


@pytest.mark.parametrize("run", RUNS)
def test_strict_also_rescues_the_other_strand(runs, run, panel):
    found, classes, missing = read(runs, run, panel, "strict")
    record = number_of(classes)
    assert "strand" not in missing
    assert (missing["mismatch"], missing["missing"]) == (record["mismatch"], record["missing"])
    assert found.counts["strand"] + found.counts["strand_swapped"] == record["strand"] > 5
    assert "duplicate_conflict" not in found.counts


@pytest.mark.parametrize("run", [run for run in RUNS if not run.endswith(("_p", "_z"))])
def test_modes_agree_where_both_have_a_value(runs, run, panel):
    parity, strict = (read(runs, run, panel, mode)[0] for mode in ("parity", "strict"))
    both = np.isfinite(parity.z) & np.isfinite(strict.z)
    assert both.sum() == np.isfinite(parity.z).sum() > 650
    np.testing.assert_array_equal(parity.z[both], strict.z[both])
    np.testing.assert_array_equal(parity.beta[both], strict.beta[both])


@pytest.mark.parametrize("run", ["big40", "metal", "gwas_ssf", "enigma", "plink2", "daner"])
def test_dialects_find_the_same_columns_by_themselves(runs, run, panel):
    named, detected = (read(runs, run, panel, "strict", columns)[0] for columns in (True, False))
    both = np.isfinite(named.z)
    # The dialect of PLINK 2 takes T_STAT, printed with six digits, where the named columns are beta and se.
    np.testing.assert_allclose(detected.z[both], named.z[both], rtol=2e-5)


def test_sign_is_that_of_the_row_turned_by_the_record(runs, panel):
    """Independently of all alignment code: beta/se of the plain rows, turned where the record says so."""
    path = runs["gwas_ssf"][0]
    with gzip.open(path, "rt") as file:
        rows = {row["rsid"]: row for row in csv.DictReader(file, delimiter="\t")}
    found, classes, _ = read(runs, "gwas_ssf", panel, "parity")
    z = dict(zip(panel["variant_id"].to_pylist(), found.z, strict=True))
    plain = [(snp, row["swapped"] == "1") for snp, row in classes.items() if row["class"] == "plain"]
    assert len(plain) > 600
    for snp, swapped in plain:
        expected = np.float32(float(rows[snp]["beta"]) / float(rows[snp]["standard_error"]))
        assert z[snp] == (-expected if swapped else expected)


def test_all_runs_into_one_store(runs, panel, tmp_path):
    entries = [TraitInput(run, (runs[run][0],), columns=runs[run][1]) for run in RUNS]
    report = import_gwas(entries, panel, tmp_path / "store", mode="parity")
    assert report["status"].to_pylist() == ["imported"] * 9
    assert min(report["found_share"].to_pylist()) > 0.92
    effects = dict(zip(report["trait"].to_pylist(), report["effect"].to_pylist(), strict=True))
    assert effects == dict.fromkeys(RUNS, "beta") | {
        "plink2_z": "none",
        "daner": "log_odds",
        "daner_p": "log_odds",
    }
    store = GwasStore.open(tmp_path / "store")
    for run in RUNS:
        np.testing.assert_array_equal(store.read(run)[0], read(runs, run, panel, "parity")[0].z)
