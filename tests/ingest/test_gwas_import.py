"""Files of many traits into one store: resume, processes, errors."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from gputwas.errors import InputError, UsageError
from gputwas.ingest.gwas import TraitInput, import_gwas
from gputwas.stores.gwas import GwasStore
from tests.conftest import REPOSITORY
from tests.ingest.fakes import panel_of, random_panel

PANEL = random_panel(60)


def write_trait(path, seed, rows=60, header="SNP A1 A2 BETA SE P"):
    """A whitespace-separated file of the panel's first rows and as many strangers, in random order."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(rows):
        row = PANEL.slice(i, 1).to_pylist()[0]
        lines.append(
            f"{row['variant_id']} {row['effect_allele']} {row['other_allele']} {rng.normal():.4f} 0.5 0.1"
        )
        lines.append(f"rs{10_000 + i} A G {rng.normal():.4f} 0.5 0.1")
    rng.shuffle(lines)
    text = "\n".join([header, *lines]) + "\n"
    with gzip.open(path, "wt") if str(path).endswith(".gz") else open(path, "w") as file:
        file.write(text)
    return str(path)


@pytest.fixture
def traits(tmp_path):
    return [TraitInput(f"t{i}", (write_trait(tmp_path / f"t{i}.txt.gz", i),), n=100.0 + i) for i in range(4)]


def content(path):
    """Everything that is stored of every trait, exactly."""
    store = GwasStore.open(path)
    return {
        t: (tuple(None if a is None else a.tobytes() for a in store.read(t)), store.metadata(t))
        for t in store.traits
    }


def test_traits_arrive_with_their_metadata(traits, tmp_path):
    traits[0] = TraitInput(
        "t0", traits[0].paths, n=5.0, h2=0.3, h2_se=0.1, build="hg19", annotation={"modality": "T1"}
    )
    report = import_gwas(traits, PANEL, tmp_path / "store")
    store = GwasStore.open(tmp_path / "store")
    assert store.traits == ["t0", "t1", "t2", "t3"]
    metadata = store.metadata("t0")
    expected = {
        "n": 5.0, "h2": 0.3, "h2_se": 0.1, "build": "hg19", "annotation": {"modality": "T1"},
        "effect": "beta", "rows_read": 120, "rows_malformed": 0, "found_share": 1.0,
        "counts": {"matched": 60, "not_in_panel": 60},
    }  # fmt: skip
    assert {k: metadata[k] for k in expected} == expected
    assert "BETA" in metadata["layout"] and metadata["z_from"] == {"beta/se": 60}
    z, beta = store.read("t0")
    np.testing.assert_array_equal(z, (beta.astype(float) / 0.5).astype(np.float32))
    assert report["trait"].to_pylist() == ["t0", "t1", "t2", "t3"] and set(report["status"].to_pylist()) == {
        "imported"
    }
    row = report.to_pylist()[1]
    assert (row["matched"], row["swapped"], row["dropped_not_in_panel"], row["dropped_palindromic"]) == (
        60,
        0,
        60,
        0,
    )
    assert row["error"] is None and row["warnings"] == ""
    assert store.traits_table()["n"].to_pylist() == [5.0, 101.0, 102.0, 103.0]


def test_workers_and_order_change_nothing(traits, tmp_path):
    import_gwas(traits, PANEL, tmp_path / "one")
    import_gwas(traits[::-1], PANEL, tmp_path / "two", workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_resume_reads_only_what_is_missing(traits, tmp_path, monkeypatch):
    out = tmp_path / "store"
    import_gwas(traits[:2], PANEL, out)
    read = []
    import gputwas.ingest.jobs as module

    original = module.read_trait
    monkeypatch.setattr(
        module,
        "read_trait",
        lambda reader, *a, **k: read.append(reader.paths[0]) or original(reader, *a, **k),
    )
    report = import_gwas(traits, PANEL, out)
    assert read == [traits[2].paths[0], traits[3].paths[0]]
    assert report["status"].to_pylist() == ["present", "present", "imported", "imported"]
    assert report["matched"].to_pylist() == [60] * 4
    import_gwas(traits, PANEL, tmp_path / "other")
    assert content(out) == content(tmp_path / "other")


def test_touched_or_moved_files_are_the_same_input(traits, tmp_path):
    import_gwas(traits[:1], PANEL, tmp_path / "store")
    moved = tmp_path / "moved.txt.gz"
    os.rename(traits[0].paths[0], moved)
    os.utime(moved, (1, 1))
    report = import_gwas([TraitInput("t0", (str(moved),))], PANEL, tmp_path / "store")
    assert report["status"].to_pylist() == ["present"]


def test_other_contents_or_columns_are_refused(traits, tmp_path):
    out = tmp_path / "store"
    import_gwas(traits[:1], PANEL, out)
    before = content(out)
    with pytest.raises(InputError, match="'t0' is in the store from other inputs"):
        import_gwas([TraitInput("t0", traits[1].paths)], PANEL, out)
    columns = {"variant_id": "SNP", "effect_allele": "A2", "other_allele": "A1", "beta": "BETA", "se": "SE"}
    with pytest.raises(
        InputError, match=r"read with other options.*found columns None -> \{'variant_id'"
    ) as e:
        import_gwas([TraitInput("t0", traits[0].paths, columns=columns)], PANEL, out)
    assert "separator" not in str(e.value) and traits[0].paths[0] not in str(e.value)
    with pytest.raises(InputError, match="parameter mode"):
        import_gwas(traits[:1], PANEL, out, mode="parity")
    with pytest.raises(InputError, match="another panel"):
        import_gwas(traits[:1], PANEL.slice(1), out)
    assert content(out) == before
    import_gwas([TraitInput("t0", traits[0].paths, columns=columns)], PANEL, out, overwrite=True)
    np.testing.assert_array_equal(
        GwasStore.open(out).read("t0")[0], -np.frombuffer(before["t0"][0][0], np.float32)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_file_stops_the_run_and_keeps_what_is_done(traits, tmp_path, workers):
    (tmp_path / "bad.txt").write_text("SNP A1 A2 BETA SE\nrs1 A G x 1\n")
    bad = TraitInput("bad", (str(tmp_path / "bad.txt"),))
    out = tmp_path / "store"
    with pytest.raises(InputError, match=r"bad\.txt") as caught:
        import_gwas([*traits[:3], bad, traits[3]], PANEL, out, workers=workers)
    assert caught.value.exit_code == 3
    done = content(out)
    assert {"t0", "t1", "t2"} <= set(done) <= {"t0", "t1", "t2", "t3"}
    import_gwas(traits, PANEL, out)
    import_gwas(traits, PANEL, tmp_path / "undisturbed")
    assert content(out) == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("workers", [1, 2])
def test_keep_going_reports_what_failed(traits, tmp_path, workers, caplog):
    missing = TraitInput("gone", (str(tmp_path / "gone.txt"),))
    report = import_gwas(
        [missing, *traits], PANEL, tmp_path / "store", workers=workers, keep_going=True
    ).to_pylist()
    assert [row["status"] for row in report] == ["failed"] + ["imported"] * 4
    assert "gone.txt" in report[0]["error"] and report[0]["matched"] is None
    assert "gone" in caplog.text
    assert GwasStore.open(tmp_path / "store").traits == ["t0", "t1", "t2", "t3"]


def test_warnings_reach_report_and_log_from_workers(tmp_path, caplog):
    traits = [TraitInput(f"t{i}", (write_trait(tmp_path / f"t{i}.txt", i, rows=6),)) for i in range(2)]
    with caplog.at_level(logging.WARNING):
        report = import_gwas(traits, PANEL, tmp_path / "store", workers=2)
    assert all("only 6 of the models' variants (10.0%)" in text for text in report["warnings"].to_pylist())
    assert caplog.text.count("only 6 of") == 2


def test_two_traits_with_one_name(traits, tmp_path):
    twice = TraitInput("t0", traits[1].paths)
    with pytest.raises(InputError, match=r"2 traits have the name 't0' \(found .*t0.txt.gz, .*t1.txt.gz\)"):
        import_gwas([traits[0], twice], PANEL, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_trait_in_files_by_chromosome_and_entries_of_other_types(tmp_path):
    whole = write_trait(tmp_path / "whole.txt", 3)
    lines = (tmp_path / "whole.txt").read_text().splitlines()
    for part, rows in (("p_chr2.txt", lines[1:50]), ("p_chr10.txt", lines[50:])):
        (tmp_path / part).write_text("\n".join([lines[0], *rows]) + "\n")
    entries = [
        SimpleNamespace(trait="whole", paths=[whole]),
        SimpleNamespace(trait="parts", paths=[tmp_path / "p_chr*.txt"]),
    ]
    import_gwas(entries, PANEL, tmp_path / "store")
    store = GwasStore.open(tmp_path / "store")
    np.testing.assert_array_equal(*(store.read(name)[0] for name in ("whole", "parts")))
    assert store.metadata("parts")["source"] == [str(tmp_path / "p_chr2.txt"), str(tmp_path / "p_chr10.txt")]


def test_nothing_found_leaves_no_store(tmp_path):
    path = tmp_path / "positions.txt"
    path.write_text("SNP A1 A2 BETA SE\n" + "".join(f"1:{i} A G 0.1 0.1\n" for i in range(1000, 1050)))
    with pytest.raises(InputError, match=r"positions\.txt.*by chromosome and position, such as '1:1000'"):
        import_gwas([TraitInput("t", (str(path),))], PANEL, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_impossible_options(traits, tmp_path):
    for options in (
        {"mode": "loose"},
        {"palindromes": "guess"},
        {"pvalue_fix": -1},
        {"workers": 0},
        {"min_found": 30},
    ):
        with pytest.raises(UsageError):
            import_gwas(traits, PANEL, tmp_path / "store", **options)
    with pytest.raises(InputError, match="no traits"):
        import_gwas([], PANEL, tmp_path / "store")


def test_report_is_typed_even_if_everything_failed(tmp_path):
    missing = TraitInput("gone", (str(tmp_path / "gone.txt"),))
    report = import_gwas([missing], PANEL, tmp_path / "store", keep_going=True)
    assert (
        report.schema.field("matched").type == pa.int64()
        and report.schema.field("found_share").type == pa.float64()
    )


def test_a_killed_run_goes_on_to_the_same_store(tmp_path):
    """SIGKILL while traits are being written: run again, and the store is that of an undisturbed run."""
    traits = [TraitInput(f"t{i}", (write_trait(tmp_path / f"t{i}.txt", i),)) for i in range(12)]
    out = tmp_path / "store"
    program = (
        "import sys\nfrom gputwas.ingest.gwas import TraitInput, import_gwas\n"
        "from tests.ingest.fakes import random_panel\n"
        "folder, out = sys.argv[1:]\n"
        "traits = [TraitInput(f't{i}', (f'{folder}/t{i}.txt',)) for i in range(12)]\n"
        "import_gwas(traits, random_panel(60), out)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(out)], cwd=REPOSITORY)
    deadline = time.monotonic() + 60
    while process.poll() is None and not list(out.glob("traits/t*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert list(out.glob("traits/t*.arrow"))
    import_gwas(traits, PANEL, out)
    import_gwas(traits, PANEL, tmp_path / "undisturbed")
    assert content(out) == content(tmp_path / "undisturbed")


def by_chromosome(tmp_path, name, rows):
    """A file of (chromosome as it is written, id), one row each."""
    path = tmp_path / name
    lines = [f"{chromosome} {rsid} A G 0.1 0.1" for chromosome, rsid in rows]
    path.write_text("\n".join(["CHR SNP A1 A2 BETA SE", *lines]) + "\n")
    return str(path)


def test_share_found_is_of_all_chromosomes_of_the_file_not_of_those_where_something_is_found(tmp_path):
    """The ids of chromosome 2 are written in another way: nothing is found there."""
    panel = panel_of([(f"rs{i}", "A", "G") for i in range(40)], ["1"] * 4 + ["2"] * 36)
    rows = [("01", f"rs{i}") for i in range(4)] + [("chr2", f"2:{i}") for i in range(4, 40)]
    entry = TraitInput("t", (by_chromosome(tmp_path, "t.txt", rows),))
    report = import_gwas([entry], panel, tmp_path / "store").to_pylist()[0]
    assert report["found_share"] == 0.1 and "only 4 of the models' variants (10.0%)" in report["warnings"]
    only = TraitInput("only", (by_chromosome(tmp_path, "only.txt", rows[:4]),))
    assert import_gwas([only], panel, tmp_path / "only")["found_share"].to_pylist() == [1.0]


def test_a_file_of_other_chromosomes_is_refused_as_that(tmp_path):
    panel = panel_of([("rs1", "A", "G"), ("rs2", "A", "G")], ["1", "2"])
    entry = TraitInput("t", (by_chromosome(tmp_path, "t.txt", [("chr22", f"rs{i}") for i in range(50, 60)]),))
    with pytest.raises(InputError, match=r"no variant on the file's chromosomes \(22\)"):
        import_gwas([entry], panel, tmp_path / "store")


def test_the_same_variants_on_other_chromosomes_are_another_panel(tmp_path):
    """Both imports are of one process, which keeps what it made of the last panel."""
    path = by_chromosome(tmp_path, "t.txt", [("1", f"rs{i + 1}") for i in range(30)])
    entry = TraitInput("t", (path,))
    ids = [(f"rs{i + 1}", "A", "G") for i in range(60)]
    shares = []
    for name, chromosomes in (("half", ["1"] * 30 + ["2"] * 30), ("all", ["1"] * 60), ("unknown", None)):
        import_gwas([entry], panel_of(ids, chromosomes), tmp_path / name)
        shares.append(GwasStore.open(tmp_path / name).metadata("t")["found_share"])
    assert shares == [1.0, 0.5, 0.5]


def test_processes_of_this_machine_share_its_cores(traits, tmp_path, monkeypatch):
    """One file alone may use them all, with any number of processes."""
    import gputwas.ingest.gwas as module

    monkeypatch.setattr("gputwas.executors.choose.available_cores", lambda: 8)
    threads = []

    def noted(function, jobs, executor, **more):
        threads.append({job.threads for job in jobs})
        return iter(())

    monkeypatch.setattr(module, "run_jobs", noted)
    runs = ((1, None), (1, "local:8"), (4, None), (4, "local:2"), (4, "local:4"), (2, "local:16"))
    for n, executor in runs:
        with suppress(InputError):  # nothing is stored
            import_gwas(traits[:n], PANEL, tmp_path / "store", executor=executor)
    with ThreadPoolExecutor(2) as pool, suppress(InputError):
        import_gwas(traits, PANEL, tmp_path / "store", executor=pool)
    assert threads == [{8}, {8}, {8}, {4}, {2}, {4}, {1}]


def test_what_is_said_of_a_stored_trait_is_brought_up_to_date(traits, tmp_path, monkeypatch):
    """A manifest that says more than it did: the metadata change, the file is not read again."""
    import gputwas.ingest.jobs as module

    out, paths = tmp_path / "store", traits[0].paths
    first = TraitInput("t0", paths, n=5.0, build="hg19", annotation={"atlas": "a", "side": "left"})
    import_gwas([first, traits[1]], PANEL, out)
    before = content(out)
    monkeypatch.setattr(module, "read_trait", None)
    more = TraitInput(
        "t0", paths, h2=0.3, h2_se=0.1, effect="log_odds", annotation={"atlas": "b", "side": None}
    )
    report = import_gwas([more, traits[1]], PANEL, out)
    assert report["status"].to_pylist() == ["updated", "present"]
    after = content(out)
    said = {"h2": 0.3, "h2_se": 0.1, "effect": "log_odds", "annotation": {"atlas": "b", "side": "left"}}
    assert after["t0"] == (before["t0"][0], before["t0"][1] | said) and after["t1"] == before["t1"]
    assert after["t0"][1]["n"] == 5.0 and after["t0"][1]["build"] == "hg19"
    assert import_gwas([more, traits[1]], PANEL, out)["status"].to_pylist() == ["present", "present"]
    assert import_gwas([TraitInput("t0", paths)], PANEL, out)["status"].to_pylist() == ["present"]
    with pytest.raises(InputError, match="'t1' is in the store from other inputs"):
        import_gwas([TraitInput("t0", paths, h2=0.9), TraitInput("t1", paths)], PANEL, out)
    assert content(out) == after


def test_a_trait_without_effects_keeps_having_none(tmp_path):
    rows = [
        f"{row['variant_id']} {row['effect_allele']} {row['other_allele']} 1.5" for row in PANEL.to_pylist()
    ]
    (tmp_path / "z.txt").write_text("\n".join(["SNP A1 A2 Z", *rows]) + "\n")
    entry = TraitInput("t", (str(tmp_path / "z.txt"),))
    import_gwas([entry], PANEL, tmp_path / "store")
    again = import_gwas([replace(entry, effect="beta", h2=0.2)], PANEL, tmp_path / "store")
    metadata = GwasStore.open(tmp_path / "store").metadata("t")
    assert again["status"].to_pylist() == ["updated"]
    assert (metadata["effect"], metadata["h2"]) == ("none", 0.2)


def test_overwriting_spares_the_old_store_if_a_file_cannot_be_understood(traits, tmp_path):
    out = tmp_path / "store"
    import_gwas(traits[:2], PANEL, out)
    before = content(out)
    (tmp_path / "bad.txt").write_text("what is this\n1 2 3\n")
    bad = TraitInput("bad", (str(tmp_path / "bad.txt"),))
    gone = TraitInput("gone", (str(tmp_path / "gone.txt"),))
    for entries, going in (([traits[2], bad], False), ([traits[2], gone], False), ([bad, gone], True)):
        with pytest.raises(InputError, match=r"(bad|gone)\.txt"):
            import_gwas(entries, PANEL, out, overwrite=True, keep_going=going)
        assert content(out) == before
    import_gwas([bad, traits[2]], PANEL, out, overwrite=True, keep_going=True)
    assert list(content(out)) == ["t2"]


def test_rows_that_list_several_ids_are_counted_once_for_each(tmp_path):
    """FinnGen: counts add up to the rows read, whatever the lists hold."""
    header = "#chrom\tpos\tref\talt\trsids\tnearest_genes\tpval\tmlogp\tbeta\tsebeta\taf_alt"
    ids = ["rs1,rs2", "rs3", "rs777,rs888,rs4"]
    rows = [f"1\t{i}\tG\tA\t{names}\tX\t0.5\t0.3\t0.2\t0.3\t0.3" for i, names in enumerate(ids)]
    (tmp_path / "f.tsv").write_text("\n".join([header, *rows]) + "\n")
    panel = panel_of([(f"rs{i}", "A", "G") for i in range(1, 5)])
    import_gwas([TraitInput("f", (str(tmp_path / "f.tsv"),))], panel, tmp_path / "store")
    metadata = GwasStore.open(tmp_path / "store").metadata("f")
    assert metadata["counts"] == {"matched": 4, "not_in_panel": 2} and metadata["rows_read"] == 6
