"""Names as a reader wants to see them: tissues, modalities, big numbers.

In: identifiers as they stand in tables (`Brain_Anterior_cingulate_cortex_BA24`, `T2star`). Out: text for
axes, legends and pages. Nothing here changes what is stored.
"""

from __future__ import annotations

import math
import re

__all__ = ["is_brain", "modality_key", "modality_label", "number_label", "p_value_parts", "tissue_label"]

_TRAINING_PREFIX = re.compile(r"^(?:TW|JTI|PrediXcan|UTMOST|en|mashr)_(?=[A-Z])")
_TRAINING_SUFFIX = re.compile(r"_0\.5(?:_1KG)?$")
# A leading organ is followed by its part in brackets, as GTEx itself writes its tissues.
_ORGANS = (
    "Adipose", "Artery", "Breast", "Cells", "Cervix", "Colon", "Esophagus", "Heart", "Kidney", "Muscle",
    "Nerve", "Skin", "Small intestine",
)  # fmt: skip
_PARTS = ("basal ganglia", "cervical c-1")
_SPELLINGS = {
    "ebv-transformed lymphocytes": "EBV-transformed lymphocytes",
    "sun exposed lower leg": "sun-exposed lower leg",
    "not sun exposed suprapubic": "not sun-exposed, suprapubic",
    "cervical c-1": "cervical C1",
}
_MODALITIES = ("T1", "dMRI", "rfMRI", "rfMRI_amplitudes", "tfMRI", "T2star", "T2_FLAIR", "QC", "other")
_MODALITY_LABELS = {"rfMRI_amplitudes": "rfMRI amplitudes", "T2star": "T2*", "T2_FLAIR": "T2 FLAIR"}
_MODALITY_KEYS = {name.casefold().replace("_", ""): name for name in _MODALITIES} | {"t2*": "T2star"}


def is_brain(tissue: str) -> bool:
    """Whether a tissue's name says that it is one of the brain's (`Brain_...`)."""
    return _bare(tissue).casefold().startswith("brain")


def tissue_label(tissue: str, *, organ: bool = False) -> str:
    """Write a tissue's name for people: `Brain_Frontal_Cortex_BA9` becomes "Frontal cortex (BA9)".

    Parameters
    ----------
    tissue : name in GTEx's spelling, with or without a training method's prefix (`JTI_`, `TW_`).
    organ : keep "Brain: " in front; leave it out where colour or grouping says it already.
    """
    name = _bare(tissue)
    brain = is_brain(tissue)
    if brain:
        name = re.sub(r"^brain_?", "", name, flags=re.IGNORECASE)
    words = [word for word in name.split("_") if word]
    if not words:
        return "Brain" if brain else tissue
    text = _sentence_case(words)
    text = _bracket_area(_bracket_part(text) if not brain else _bracket_known(text))
    return f"Brain: {text}" if brain and organ else text


def modality_key(modality: str | None) -> str:
    """Find the modality a spelling stands for ("T2 FLAIR", "t2_flair" -> "T2_FLAIR"), else "other"."""
    if modality is None:
        return "other"
    return _MODALITY_KEYS.get(re.sub(r"[\s_-]", "", modality).casefold(), "other")


def modality_label(modality: str) -> str:
    """Write a modality's name for people: `T2star` becomes "T2*"."""
    return _MODALITY_LABELS.get(modality, modality.replace("_", " "))


def number_label(value: float) -> str:
    """Write a count: digits in groups of three, from a hundred million on as "7.0 × 10⁸"."""
    if abs(value) < 1e8:
        return f"{value:,.0f}"
    exponent = math.floor(math.log10(abs(value)))
    mantissa = f"{value / 10**exponent:.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return f"{mantissa} × 10{_superscript(exponent)}"


def p_value_parts(nlog10_p: float) -> tuple[str, int | None]:
    """Split p = 10^-nlog10_p into what is printed: ("0.012", None) or ("3.2", -45) for 3.2 × 10⁻⁴⁵.

    Works from the logarithm, so it never underflows.
    """
    if nlog10_p < 3:
        return f"{10.0**-nlog10_p:.2g}", None
    exponent = -math.ceil(nlog10_p)
    mantissa = f"{10.0 ** (-nlog10_p - exponent):.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return mantissa, exponent


def _bare(tissue: str) -> str:
    return _TRAINING_SUFFIX.sub("", _TRAINING_PREFIX.sub("", tissue))


def _sentence_case(words: list[str]) -> str:
    kept = [word if _is_symbol(word) else word.lower() for word in words]
    first = kept[0]
    kept[0] = first if _is_symbol(words[0]) else first[:1].upper() + first[1:]
    return " ".join(kept)


def _is_symbol(word: str) -> bool:
    """BA24, EBV-transformed, LCL: capitals or digits inside a word are meant."""
    return word[1:] != word[1:].lower() or bool(re.fullmatch(r"BA\d+", word))


def _bracket_area(text: str) -> str:
    return re.sub(r" (BA\d+)$", r" (\1)", text)


def _bracket_known(text: str) -> str:
    for part in _PARTS:
        if text.endswith(f" {part}"):
            return f"{text.removesuffix(part).rstrip()} ({_SPELLINGS.get(part, part)})"
    return text


def _bracket_part(text: str) -> str:
    for organ in _ORGANS:
        if text.startswith(f"{organ} "):
            part = text.removeprefix(organ).strip()
            return f"{organ} ({_SPELLINGS.get(part.lower(), part)})"
    return text


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
