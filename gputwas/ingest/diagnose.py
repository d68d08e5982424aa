"""Says why a GWAS and a panel have few or no variants in common, and what to do about it.

In: a sample of the file's identifiers and those of the panel. Out: the likely cause in one clause and the
remedy in a sentence or two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from gputwas.variants.align import Reason
from gputwas.variants.identifiers import Style, build_name, common_spelling, style_of

__all__ = ["LIFT", "Diagnosis", "diagnose_identifiers", "diagnose_rows"]

LIFT = (
    "Lift it with a chain file from its build to that of the models, for example --build hg19 --to hg38 "
    "--chain hg19ToHg38.over.chain.gz."
)

_BY_RSID = "import the models by rs number: gputwas models import --model-db-snp-key rsid"
_BY_POSITION = "import the models by position: gputwas models import --model-db-snp-key varID"
_OTHER_COLUMN = "name the column that holds {what}: --column variant_id=NAME"


@dataclass(frozen=True)
class Diagnosis:
    """Attributes: `cause`, one clause without a full stop; `remedy`, full sentences."""

    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}. {self.remedy}"


def diagnose_identifiers(
    gwas_ids: pa.Array, panel_ids: pa.Array, *, build: str | None = None, options: bool = False
) -> Diagnosis:
    """Compare how the two lists name their variants.

    Parameters
    ----------
    gwas_ids : string array; identifiers of the file, a sample from all of it.
    panel_ids : string array; identifiers of the panel.
    build : genome build that the user gave for the file, if any.
    options : also name the options of the import that match in other ways than by identifier.
    """
    gwas, panel = style_of(gwas_ids), style_of(panel_ids)
    found = _compared(gwas, panel, gwas_ids, panel_ids, build)
    hint = _options(gwas, panel, gwas_ids, panel_ids) if options else ""
    return replace(found, remedy=f"{found.remedy} {hint}") if hint else found


def _options(gwas: Style, panel: Style, gwas_ids: pa.Array, panel_ids: pa.Array) -> str:
    """Which options would find more."""
    if gwas.positional and panel.positional:
        if _share(*(common_spelling(ids, alleles=False) for ids in (gwas_ids, panel_ids))):
            return "The import matches such ids by itself, unless told otherwise: --match auto."
        return LIFT
    if panel.positional:
        return (
            "If the file has columns of chromosome and position: --match position (--column chromosome=NAME "
            f"--column position=NAME); on another build: {LIFT[0].lower()}{LIFT[1:-1]}; or give a map from "
            "the file's ids to the models': --map FILE."
        )
    if gwas.positional:
        return "Or give a map from the file's ids to the models': --map FILE."
    return ""


def _compared(
    gwas: Style, panel: Style, gwas_ids: pa.Array, panel_ids: pa.Array, build: str | None
) -> Diagnosis:
    if gwas.positional and panel.positional:
        return _both_positional(gwas, panel, gwas_ids, panel_ids, build)
    if gwas.kind == panel.kind == "rsid":
        return Diagnosis(
            f"file and models both use rs numbers ({gwas.example}, {panel.example}) and share none or few",
            "Check that the file covers the chromosomes of the models, and that these are the right models.",
        )
    names = f"the file names its variants by {gwas.describe()}, the models by {panel.describe()}"
    if panel.kind == "rsid":
        return Diagnosis(names, _rsids_wanted(gwas))
    if panel.positional:
        wanted = f"ids such as {panel.example}"
        remedy = _OTHER_COLUMN.format(what=wanted)
        also = f"; or {_BY_RSID}" if gwas.kind in ("rsid", "rsid_with_more") else ""
        return Diagnosis(names, _sentence(remedy + also))
    return Diagnosis(names, _sentence(_OTHER_COLUMN.format(what=f"ids such as {panel.example}")))


def diagnose_rows(counts: Mapping[str, int]) -> Diagnosis:
    """Say why variants that were found by their identifier cannot be used, from the counts by reason."""
    dropped = {Reason[name.upper()]: n for name, n in counts.items() if name != "not_in_panel"}
    dropped = {reason: n for reason, n in dropped.items() if reason > Reason.STRAND_SWAPPED}
    worst = max(dropped, key=lambda reason: dropped[reason], default=Reason.NOT_IN_PANEL)
    rows = f"{dropped.get(worst, 0):,} of the file's rows for variants of the models"
    cause, remedy = _ROW_TEXTS.get(
        worst, ("are not there", "Check that the file covers the models' chromosomes.")
    )
    return Diagnosis(f"{rows} {cause}", remedy)


_ROW_TEXTS: dict[Reason, tuple[str, str]] = {
    Reason.ALLELE_MISMATCH: (
        "have other alleles than the models",
        "Check which columns hold the alleles: --column effect_allele=NAME --column other_allele=NAME.",
    ),
    Reason.SAME_ALLELES: (
        "have the same effect and other allele",
        "One column was taken for both (PLINK 2 puts the counted allele, which may be REF, in A1): name the "
        "other one, --column other_allele=NAME.",
    ),
    Reason.MISSING_ALLELE: (
        "have an allele missing",
        "Check which columns hold the alleles: --column effect_allele=NAME --column other_allele=NAME.",
    ),
    Reason.MISSING_VALUE: (
        "have no usable statistic (missing, or a standard error of 0, or p = 0 and nothing better)",
        "Check which columns were taken: --column beta=NAME --column se=NAME, or --column z=NAME.",
    ),
    Reason.PALINDROMIC: (
        "are A/T or C/G, and the strand of the file could not be told",
        "If the file is known to be on the forward strand, say so: --palindromes forward.",
    ),
    Reason.DUPLICATE_CONFLICT: (
        "repeat a variant with contradicting values",
        "Check that the file holds one trait and one model term per variant.",
    ),
    Reason.NOT_RSID: (
        "have an identifier without 'rs' in it, which MetaXcan leaves out",
        "Keep them with --keep-non-rsid (or --keep_non_rsid for the drop-in command).",
    ),
}


def _both_positional(
    gwas: Style, panel: Style, gwas_ids: pa.Array, panel_ids: pa.Array, build: str | None
) -> Diagnosis:
    spelling = f"The models spell {panel.example}, the file {gwas.example}"
    mend = f"Write the file's ids as the models do, or {_BY_RSID}."
    if gwas.kind == panel.kind:
        if _share(common_spelling(gwas_ids), common_spelling(panel_ids)):
            return Diagnosis(
                f"the ids differ only in {_spelling_difference(gwas, panel)}", f"{spelling}. {mend}"
            )
        turned = [common_spelling(ids, sort_alleles=True) for ids in (gwas_ids, panel_ids)]
        if _share(*turned):
            return Diagnosis("the ids have the two alleles in the other order", f"{spelling}. {mend}")
    elif _share(*(common_spelling(ids, alleles=False) for ids in (gwas_ids, panel_ids))):
        more = "models' ids have" if panel.kind == "position_alleles" else "file's ids have"
        return Diagnosis(f"the positions agree, but only the {more} alleles in them", f"{spelling}. {mend}")
    if not _share(*(_chromosomes(ids) for ids in (gwas_ids, panel_ids))):
        return Diagnosis(
            "file and models have no chromosome in common",
            f"{spelling}. Give the files of the other chromosomes as well, or other models.",
        )
    ours, theirs = panel.build, gwas.build or build_name(build)
    if ours and theirs and ours != theirs:
        cause = f"the file is on another genome build ({theirs}) than the models ({ours})"
    else:
        cause = "the positions differ, so the file is most likely on another genome build than the models"
    where = f" to {ours}" if ours else " to the build of the models"
    remedy = f"{spelling}. Lift the file over first{where}, or, if it has rs numbers, {_BY_RSID} and "
    return Diagnosis(cause, remedy + _OTHER_COLUMN.format(what="them") + ".")


def _rsids_wanted(gwas: Style) -> str:
    column = _OTHER_COLUMN.format(what="rs numbers")
    if gwas.positional:
        return _sentence(f"{column}; or, if the models' database has a column varID, {_BY_POSITION}")
    if gwas.kind == "rsid_with_more":
        return _sentence(f"{column}; or cut off what follows the rs number")
    return _sentence(column)


def _spelling_difference(gwas: Style, panel: Style) -> str:
    found = []
    if gwas.prefix != panel.prefix:
        owner = "file" if gwas.prefix else "models"
        found.append(f"the `chr` prefix, which only the {owner} {'has' if gwas.prefix else 'have'}")
    if gwas.separator != panel.separator:
        found.append(f"the separator ({gwas.separator} and {panel.separator})")
    if gwas.build != panel.build:
        found.append("the genome build at their end")
    return " and ".join(found) or "their spelling"


def _chromosomes(ids: pa.Array) -> pa.Array:
    return pc.unique(pc.replace_substring_regex(common_spelling(ids, alleles=False), "_.*", ""))


def _share(a: pa.Array, b: pa.Array) -> bool:
    """Have the two lists anything in common."""
    return bool(pc.any(pc.is_in(pc.drop_null(a), value_set=pc.drop_null(b))).as_py())


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
