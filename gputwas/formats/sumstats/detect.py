"""Header -> Layout: by dialect, by common synonyms, or by what the caller says.

In: a header (and a few rows, to tell an unused column from a used one). Out: a `Layout`, or an InputError
that names the header found and what to add to the command.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats.dialects import DIALECTS, Dialect
from gputwas.formats.sumstats.layout import ROLES, STATISTIC_ROLES, Layout, in_order, normal_name
from gputwas.formats.sumstats.synonyms import Given, generic_layout

__all__ = ["MISSING", "choose_layout", "dialect_named"]

MISSING = frozenset(
    ["", "na", "n/a", ".", "\\n", "nan", "-nan", "null", "none", "#na", "#n/a", "<na>", "-", "--", "?"]
)
"""Texts (lower case) that stand for a missing value."""

_KINDS = (
    frozenset({"beta", "odds_ratio", "sign"}),
    frozenset({"se"}),
    frozenset({"z"}),
    frozenset({"p", "nlog10_p"}),
)
"""Statistics that say the same: the effect, its standard error, z, p."""

_COLUMN_HINT = (
    "Name the columns, e.g. --column variant_id=NAME --column effect_allele=NAME --column other_allele=NAME "
    "--column beta=NAME --column se=NAME (or z=, p=, nlog10_p=, odds_ratio=, sign=)."
)


def dialect_named(name: str) -> Dialect:
    """Return the dialect of that name; UsageError (with what is near) if there is none."""
    wanted = name.lower().replace("-", "_")
    for dialect in DIALECTS:
        if dialect.name == wanted:
            return dialect
    names = [d.name for d in DIALECTS] + ["gwas_vcf", "generic"]
    near = difflib.get_close_matches(wanted, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no dialect {name!r}{hint} (known: {', '.join(sorted(names))})")


def choose_layout(
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    path: str,
    delimiter: str,
    *,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    parity: bool = False,
    line: int = 1,
) -> Layout:
    """Decide which column plays which role.

    Parameters
    ----------
    header : names as written. sample : cells of some first rows.
    dialect : force this one. columns : role -> header name given by the caller. If they are enough to score a
        row (id, alleles and a statistic), or in parity mode, exactly these are read; otherwise they amend the
        dialect: each replaces what was detected of its own kind (effect, standard error, z, p).
    line : where the header stands, for messages.
    """
    columns = dict(columns or {})
    _check_roles(columns)
    if not parity:
        _refuse_numbers(header, path, line)
        _refuse_duplicates(header, path, line)
    elif columns:
        # the reference takes the first of them and does not say so
        _refuse_duplicates(header, path, line, among=frozenset(columns.values()))
    explicit = {role: _find_explicit(name, header, path, line, parity) for role, name in columns.items()}
    if parity and explicit:
        return Layout("custom", explicit, delimiter, (), None, tuple(header))
    if explicit and dialect is None and _sufficient(explicit):
        layout = Layout("custom", explicit, delimiter, (), None, tuple(header))
        return _with_test_column(layout, header)
    if explicit:
        return _amended(explicit, header, sample, path, delimiter, dialect, line)
    layout = _detected(header, sample, path, delimiter, dialect, line)
    _require(layout, path, line)
    return layout


def _check_roles(columns: Mapping[str, str]) -> None:
    for role in columns:
        if role not in ROLES:
            near = difflib.get_close_matches(role, ROLES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"there is no role {role!r} for a column{hint} (known: {', '.join(ROLES)})")


def _refuse_numbers(header: Sequence[str], path: str, line: int) -> None:
    if sum(_is_number(name) for name in header) * 3 > len(header):
        raise InputError(
            "has no header line",
            path=path,
            line=line,
            found=repr(" ".join(header)[:200]),
            expected="names of columns",
            remedy="Put a line of names on top of the file, separated as its rows are.",
        )


def _refuse_duplicates(
    header: Sequence[str], path: str, line: int, among: frozenset[str] | None = None
) -> None:
    seen: dict[str, int] = {}
    for i, name in enumerate(header):
        if name in seen and name and (among is None or name in among):
            raise InputError(
                "two columns have one name",
                path=path,
                line=line,
                column=name,
                found=f"it as column {seen[name] + 1} and as column {i + 1}",
                remedy="Rename one of them, or cut it out of the file.",
            )
        seen.setdefault(name, i)


def _find_explicit(name: str, header: Sequence[str], path: str, line: int, parity: bool) -> str:
    if name in header:
        return name
    if not parity:
        alike = [h for h in header if normal_name(h) == normal_name(name)]
        if len(alike) == 1:
            return alike[0]
    near = [h for h in header if h.lower() == name.lower()]
    near += difflib.get_close_matches(name, list(header), 1, cutoff=0.5)
    raise InputError(
        "there is no such column",
        path=path,
        line=line,
        column=name,
        found=f"the header {' '.join(header)!r}",
        remedy=f"Did you mean {near[0]!r}?" if near else "Check the name, and that the separator is right.",
    )


def _sufficient(roles: Mapping[str, str]) -> bool:
    alleles = "effect_allele" in roles and (
        "other_allele" in roles or {"ref_allele", "alt_allele"} <= set(roles)
    )
    named = ("variant_id" in roles and alleles) or "variant_key" in roles
    return named and _has_statistic(roles)


def _has_statistic(roles: Mapping[str, str]) -> bool:
    effect = "beta" in roles or "odds_ratio" in roles
    p = "p" in roles or "nlog10_p" in roles
    return "z" in roles or (effect and ("se" in roles or p)) or ("sign" in roles and p)


def _with_test_column(layout: Layout, header: Sequence[str]) -> Layout:
    """Covariate rows of PLINK and REGENIE are left out also where the caller names the columns."""
    found = _fitting(header)
    if found is None or "test" not in found.columns or "test" in layout.columns:
        return layout
    name = _first(found.columns["test"], header)
    if name is None:
        return layout
    note = f"rows with {name} other than {' or '.join(found.tests)} are left out"
    return replace(layout, columns={**layout.columns, "test": name}, notes=(note,))


def _amended(
    explicit: dict[str, str],
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    path: str,
    delimiter: str,
    dialect: str | None,
    line: int,
) -> Layout:
    """Lay the caller's columns over the dialect's.

    A statistic he names replaces those of its own kind (`_KINDS`); where his alone make a z-score, they are
    the only ones read. A z that was only detected gives way to an effect or standard error he names, if it
    can: it is taken before beta/se and would make his column count for nothing.
    """
    named = set(explicit)
    dropped: set[str] = set()
    for kind in _KINDS:
        if named & kind:
            dropped |= kind
    if _has_statistic(explicit):
        dropped |= set(STATISTIC_ROLES)
    if "variant_id" in named or "effect_allele" in named:
        dropped |= {"variant_key"}
    if named & {"other_allele", "variant_key"}:
        dropped |= {"ref_allele", "alt_allele"}
    given = Given(frozenset(dropped | named), frozenset(explicit.values()))
    base = _detected(header, sample, path, delimiter, dialect, line, given)
    kept = {r: h for r, h in base.columns.items() if r not in given.roles and h not in given.names}
    without_z = {role: name for role, name in kept.items() if role != "z"}
    if named & (_KINDS[0] | _KINDS[1]) and _has_statistic({**without_z, **explicit}):
        kept = without_z
    origin = base.dialect if base.columns else "custom"
    notes = (*base.notes, "given by the caller: " + ", ".join(explicit))
    layout = replace(base, dialect=origin, columns=in_order({**kept, **explicit}), notes=notes)
    _require(layout, path, line)
    return layout


def _detected(
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    path: str,
    delimiter: str,
    dialect: str | None,
    line: int,
    given: Given | None = None,
) -> Layout:
    """Tell the layout from the header; `given` is what the caller settles himself."""
    if dialect in ("generic", "custom"):
        found = None
    elif dialect is not None:
        found = dialect_named(dialect)
        lacking = [_shown(entry) for entry in found.signature if _first(entry, header) is None]
        if lacking and given is None:
            raise InputError(
                f"is not of the dialect {found.name}",
                path=path,
                line=line,
                found=f"the header {' '.join(header)!r}",
                expected=f"also {', '.join(lacking)}",
                remedy="Leave --dialect out to have it detected.",
            )
    else:
        found = _fitting(header)
    if found is None:
        return generic_layout(header, path, delimiter, line, given)
    columns = {
        role: name for role, spec in found.columns.items() if (name := _first(spec, header)) is not None
    }
    if isinstance(ids := found.columns.get("variant_id"), tuple):
        present = [name for entry in ids if (name := _first(entry, header)) is not None]
        if len(present) > 1:
            columns["variant_id"] = next((n for n in present if _used(n, header, sample)), present[0])
    notes = list(found.notes)
    _settle(columns, header, sample, notes)
    n = _cases_and_controls(header) if found.name == "daner" else None
    if n is not None:
        notes.append(f"N = {n:,.0f} from the header")
    return Layout(found.name, in_order(columns), delimiter, tuple(notes), n, tuple(header))


def _fitting(header: Sequence[str]) -> Dialect | None:
    fitting = [d for d in DIALECTS if all(_first(entry, header) is not None for entry in d.signature)]
    return max(fitting, key=lambda d: len(d.signature)) if fitting else None


def _first(entry: str | tuple[str, ...], header: Sequence[str]) -> str | None:
    """Return the first header name (as written) that an entry of the table stands for."""
    names = _by_normal_name(tuple(header))
    for wanted in (entry,) if isinstance(entry, str) else entry:
        if wanted in names:
            return names[wanted]
        if wanted.startswith("^"):
            for normal, name in names.items():
                if re.match(wanted, normal):
                    return name
    return None


@lru_cache(maxsize=4)
def _by_normal_name(header: tuple[str, ...]) -> dict[str, str]:
    """Return normal name -> the first name of the header that is written so."""
    return {normal_name(name): name for name in reversed(header)}


def _shown(entry: str | tuple[str, ...]) -> str:
    return entry if isinstance(entry, str) else " or ".join(entry)


def _settle(
    columns: dict[str, str], header: Sequence[str], sample: Sequence[Sequence[str]], notes: list[str]
) -> None:
    """Of columns that say the same, keep one: beta or odds ratio, p or -log10 p, other allele or REF/ALT."""
    used = {role for role, name in columns.items() if _used(name, header, sample)}
    for role in STATISTIC_ROLES:
        if role in columns and role not in used and role != "sign":
            notes.append(f"{columns.pop(role)} is empty and not used")
    if "beta" in columns:
        columns.pop("odds_ratio", None)
    if "nlog10_p" in columns:
        columns.pop("p", None)
    if "other_allele" in columns:
        columns.pop("ref_allele", None)
        columns.pop("alt_allele", None)
    elif "ref_allele" in columns:
        notes.append("the other allele is whichever of REF and ALT is not A1")


def _used(name: str, header: Sequence[str], sample: Sequence[Sequence[str]]) -> bool:
    at = list(header).index(name)
    return not sample or any(row[at].strip().lower() not in MISSING for row in sample)


def _cases_and_controls(header: Sequence[str]) -> float | None:
    counts = [int(m.group(1)) for name in header if (m := re.fullmatch(r"frq_[au]_(\d+)", normal_name(name)))]
    return float(sum(counts)) if len(counts) == 2 else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require(layout: Layout, path: str, line: int) -> None:
    """Raise InputError if the columns found do not suffice to make a z-score of a known variant."""
    roles = layout.columns
    header = " ".join(layout.header)[:500]
    lacking = ""
    if "variant_key" not in roles:
        placed = {"chromosome", "position", "effect_allele", "other_allele"} <= set(roles)
        if "variant_id" not in roles and not placed:
            lacking = "variant id"
        elif "effect_allele" not in roles:
            lacking = "effect allele"
        elif layout.dialect != "plink1" and not ({"other_allele", "alt_allele"} & set(roles)):
            lacking = "other allele"
    if not lacking and not _has_statistic(roles):
        effect = {"beta", "odds_ratio", "sign", "z"} & set(roles)
        lacking = "standard error or p" if effect else "effect (beta, odds ratio, z or sign)"
    if lacking:
        raise InputError(
            f"no column found for the {lacking}",
            path=path,
            line=line,
            found=f"the header {header!r}",
            remedy=_COLUMN_HINT,
        )
