"""Refuses genotypes that cannot be meant for these models, and says why.

In: what was found of the models' variants in a panel of genotypes. Out: nothing, a warning, or an error that
names the likely cause: other identifiers, another genome build, alleles in another coding, a missing
chromosome.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.values import chromosomes
from gputwas.ingest.ld_align import Fate, PlacedVariants
from gputwas.ingest.ld_units import Genotypes, Quality
from gputwas.variants.identifiers import style_of

__all__ = ["FATE_WORDS", "check_placed", "check_used"]

log = logging.getLogger(__name__)

_SAMPLE = 20_000  # identifiers that are looked at for a message
_MANY = 0.25  # a share of other alleles above which it is worth a warning
_NAMED = 5

FATE_WORDS = {
    Fate.NOT_IN_PANEL: "not in the panel",
    Fate.NO_CHROMOSOME: "on a chromosome that the panel lacks",
    Fate.OTHER_ALLELES: "with other alleles in the panel",
    Fate.DUPLICATE: "fitting several variants of the panel",
    Fate.MISSING: "missing in too many samples",
    Fate.NO_VARIANCE: "the same in all samples",
    Fate.BELOW_MAF: "with too rare a minor allele",
}


def check_placed(
    placed: PlacedVariants,
    models: pa.Table,
    panel: Genotypes,
    *,
    min_found: float,
    allow_missing_chromosomes: bool = False,
) -> None:
    """Refuse a panel in which little or nothing of the models is found; warn where much is not.

    Parameters
    ----------
    placed : from `place_variants` of `models` and `panel.variants`.
    min_found : least share of the models' variants, of those on the panel's chromosomes, that must be found.
        Found by position, fewer are refused: SNPs that happen to lie at the positions of another genome build
        would give the covariances of other SNPs. Found by identifier, fewer are worth a warning.
    allow_missing_chromosomes : a panel that lacks a chromosome of the models is warned of, not refused.

    Raises
    ------
    InputError
    """
    absent = _chromosomes_of(models, placed.fate == Fate.NO_CHROMOSOME)
    if absent and (not allow_missing_chromosomes or np.all(placed.fate == Fate.NO_CHROMOSOME)):
        raise _missing_chromosomes(absent, placed, panel)
    if absent:
        log.warning("%s: the panel lacks chromosome %s", panel.paths[0], ", ".join(absent))
    if not placed.n_matched:
        raise _nothing_found(placed, models, panel)
    if not np.any(placed.rows >= 0) and np.any(placed.fate == Fate.OTHER_ALLELES):
        raise _other_coding(placed, models, panel)
    expected = int(np.count_nonzero(placed.fate != Fate.NO_CHROMOSOME))
    found = placed.n_matched
    if placed.by == "position":  # at the position of another variant there are other alleles
        found -= int(np.count_nonzero(placed.fate == Fate.OTHER_ALLELES))
    log.info("%s: %d of %d SNPs of the models found by %s", panel.paths[0], found, models.num_rows, placed.by)
    if found < min_found * expected:
        if placed.by == "position":
            raise _few_positions(found, expected, min_found, models, panel)
        log.warning(
            "%s: only %d of %d SNPs of the models (%.1f %%) are in the panel; their covariances cover little",
            panel.paths[0], found, expected, 100 * found / expected,
        )  # fmt: skip
    others = int(np.count_nonzero(placed.fate == Fate.OTHER_ALLELES))
    if others > _MANY * placed.n_matched:
        log.warning(
            "%s: %d of the %d SNPs found have other alleles than the models (%s); is it the right build, and "
            "are its alleles bases?",
            panel.paths[0], others, placed.n_matched, _first_alleles(placed, models),
        )  # fmt: skip


def check_used(tissue: str, fate: np.ndarray, quality: Quality, panel: Genotypes) -> None:
    """Refuse a panel that leaves no SNP of a tissue.

    Parameters
    ----------
    fate : uint8 of `Fate`, of the tissue's SNPs.

    Raises
    ------
    InputError
        With the counts by reason.
    """
    if np.any(fate == Fate.USED):
        return
    counts = np.bincount(fate, minlength=len(Fate))
    why = ", ".join(f"{counts[which]:,} {words}" for which, words in FATE_WORDS.items() if counts[which])
    raise InputError(
        f"no covariance can be computed for the models of {tissue}, none of their SNPs is left",
        path=panel.paths[0],
        found=why,
        remedy=_remedy(Fate(int(np.argmax(counts))), quality, len(panel.samples)),
    )


def _remedy(worst: Fate, quality: Quality, samples: int) -> str:
    if worst is Fate.BELOW_MAF:
        return f"Give a smaller --maf than {quality.maf:g}, or a panel of more than {samples} samples."
    if worst is Fate.MISSING:
        return f"Give a larger --max-missing than {quality.max_missing:g}, or genotypes with fewer gaps."
    if worst is Fate.NO_VARIANCE:
        return f"Give a panel in which these SNPs vary, or more than {samples} samples of it."
    if worst is Fate.DUPLICATE:
        return "Remove the repeated variants: plink2 --rm-dup exclude-all, or force-first."
    return "Give the genotypes that belong to these models."


def _missing_chromosomes(absent: Sequence[str], placed: PlacedVariants, panel: Genotypes) -> InputError:
    count = int(np.count_nonzero(placed.fate == Fate.NO_CHROMOSOME))
    there = pc.unique(panel.variants["chromosome"]).drop_null().to_pylist()
    return InputError(
        f"{count:,} SNPs of the models are on chromosome {', '.join(absent)}, of which the panel has nothing",
        path=panel.paths[0],
        found=f"chromosome {', '.join(there[:25])}",
        remedy="Give the files of all chromosomes, --genotypes 'panel.chr{chromosome}.bed', or pass "
        "--allow-missing-chromosomes to leave these SNPs out.",
    )


def _nothing_found(placed: PlacedVariants, models: pa.Table, panel: Genotypes) -> InputError:
    ours, theirs = (style_of(_sample(table["variant_id"])) for table in (models, panel.variants))
    if placed.by == "position":
        remedy = (
            "Most likely the panel is on another genome build than the models: lift one of them over "
            "(gputwas variants lift)."
        )
    elif ours.positional:
        remedy = "Compare positions: --match position."
    elif ours.kind == "rsid" and theirs.positional:
        remedy = (
            "Choose the databases' column of positions, --model-db-snp-key varID, or give the panel rs "
            "numbers (plink2 --update-name)."
        )
    else:
        remedy = "Check that these are the right models, and that the panel covers their chromosomes."
    return InputError(
        f"none of the {models.num_rows:,} SNPs of the models is in the panel, by {placed.by}",
        path=panel.paths[0],
        found=theirs.describe(),
        expected=ours.describe(),
        remedy=remedy,
    )


def _other_coding(placed: PlacedVariants, models: pa.Table, panel: Genotypes) -> InputError:
    columns = [panel.variants[name] for name in ("effect_allele", "other_allele")]
    letters = pc.unique(pa.chunked_array([chunk for column in columns for chunk in column.chunks]))
    theirs = ", ".join(sorted(letters.drop_null().to_pylist())[:_NAMED])
    bases = pc.and_kleene(*(pc.match_substring_regex(column, "^[ACGT]+$") for column in columns))
    if (pc.mean(bases).as_py() or 0.0) < 0.5:
        return InputError(
            "the panel's alleles are in another coding than the models', they are no bases",
            path=panel.paths[0],
            found=f"alleles {theirs}",
            expected=f"alleles as {_first_alleles(placed, models)}",
            remedy="Write the alleles as bases: plink --alleleACGT for 1234, --update-alleles for others.",
        )
    return InputError(
        f"all {placed.n_matched:,} SNPs of the models that are in the panel have other alleles there",
        path=panel.paths[0],
        found=f"alleles {theirs}",
        expected=f"alleles as {_first_alleles(placed, models)}",
        remedy="Check that panel and models are on the same genome build, and which columns hold alleles.",
    )


def _few_positions(
    found: int, expected: int, min_found: float, models: pa.Table, panel: Genotypes
) -> InputError:
    style = style_of(_sample(models["variant_id"]))
    build = f" ({style.build})" if style.build else ""
    return InputError(
        f"only {found:,} of {expected:,} SNPs of the models have their position and alleles in the panel, so "
        f"it is most likely on another genome build than the models{build}",
        path=panel.paths[0],
        found=f"{found / expected:.1%}",
        expected=f"at least {min_found:.0%}",
        remedy="Lift one of them over (gputwas variants lift) or match by rs number; if the build is right "
        "and the panel is sparse, give a smaller --min-found.",
    )


def _chromosomes_of(models: pa.Table, which: np.ndarray) -> list[str]:
    names = pc.unique(chromosomes(models["chromosome"].combine_chunks()).filter(pa.array(which)))
    return sorted(names.to_pylist(), key=lambda name: (len(name), name))


def _sample(ids: pa.ChunkedArray) -> pa.Array:
    step = max(1, len(ids) // _SAMPLE)
    return ids.take(pa.array(np.arange(0, len(ids), step))).combine_chunks()


def _first_alleles(placed: PlacedVariants, models: pa.Table) -> str:
    row = models.slice(int(np.argmax(placed.fate == Fate.OTHER_ALLELES)), 1).to_pylist()[0]
    return f"{row['effect_allele']}/{row['other_allele']} of {row['variant_id']}"
