"""Colours that mean something, names for people, files that are the same twice."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from gputwas.errors import InputError, UsageError
from gputwas.figures.names import is_brain, modality_key, number_label, p_value_parts, tissue_label
from gputwas.figures.style import MODALITY_COLOURS, message_figure, modality_colour, save

# Dichromacy in linear RGB, severity 1 (Machado et al. 2009, doi:10.1109/TVCG.2009.113, table 1).
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]
    ],
}  # fmt: skip


def lab(colour: str, sight: str) -> np.ndarray:
    """CIELAB (D65) of an sRGB colour as somebody with that sight sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
    x, y, z = np.array(to_xyz) @ linear / np.array([0.95047, 1.0, 1.08883])
    fx, fy, fz = (np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("sight", SIGHT)
def test_modality_colours_differ_for_every_kind_of_sight(sight: str) -> None:
    closest = min(
        (float(np.linalg.norm(lab(a, sight) - lab(b, sight))), x, y)
        for (x, a), (y, b) in itertools.combinations(MODALITY_COLOURS.items(), 2)
    )
    assert closest[0] >= 22, closest


def test_colours_keep_their_meaning() -> None:
    """Readers compare pictures of different versions: a changed colour is a changed meaning."""
    assert dict(MODALITY_COLOURS) == {
        "T1": "#1347C2", "dMRI": "#D8651A", "rfMRI": "#0A7D48", "rfMRI_amplitudes": "#68B0F5",
        "tfMRI": "#B554A8", "T2star": "#FBAE17", "T2_FLAIR": "#64107F", "QC": "#9A9A9A", "other": "#3A3A3A",
    }  # fmt: skip


def test_modality_spellings_share_a_colour() -> None:
    assert modality_colour("T2 FLAIR") == modality_colour("t2_flair") == MODALITY_COLOURS["T2_FLAIR"]
    assert modality_key("T2*") == modality_key("T2star") == "T2star"
    assert modality_colour("proteome") == modality_colour(None) == MODALITY_COLOURS["other"]
    assert modality_colour("proteome", {"proteome": "#123456"}) == "#123456"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Brain_Anterior_cingulate_cortex_BA24", "Anterior cingulate cortex (BA24)"),
        ("Brain_Frontal_Cortex_BA9", "Frontal cortex (BA9)"),
        ("JTI_Brain_Caudate_basal_ganglia", "Caudate (basal ganglia)"),
        ("Brain_Spinal_cord_cervical_c-1", "Spinal cord (cervical C1)"),
        ("Brain", "Brain"),
        ("Whole_Blood", "Whole blood"),
        ("TW_Whole_Blood_0.5", "Whole blood"),
        ("Adipose_Visceral_Omentum", "Adipose (visceral omentum)"),
        ("Skin_Not_Sun_Exposed_Suprapubic", "Skin (not sun-exposed, suprapubic)"),
        ("Cells_EBV-transformed_lymphocytes", "Cells (EBV-transformed lymphocytes)"),
        ("Small_Intestine_Terminal_Ileum", "Small intestine (terminal ileum)"),
        ("DLPFC", "DLPFC"),
        ("", ""),
    ],
)
def test_tissue_names_for_people(name: str, label: str) -> None:
    assert tissue_label(name) == label


def test_brain_is_kept_where_nothing_else_says_it() -> None:
    assert tissue_label("Brain_Cortex", organ=True) == "Brain: Cortex"
    assert tissue_label("Liver", organ=True) == "Liver"
    assert is_brain("TW_Brain_Cortex_0.5") and not is_brain("Liver")


@given(st.floats(0, 5000))
def test_p_is_printed_from_its_logarithm(nlog10_p: float) -> None:
    mantissa, exponent = p_value_parts(nlog10_p)
    printed = -np.log10(float(mantissa)) - (exponent or 0)
    assert printed == pytest.approx(nlog10_p, abs=0.03)
    if exponent is not None:
        assert 1 <= float(mantissa) < 10


def test_big_counts() -> None:
    assert number_label(12_345) == "12,345"
    assert number_label(700_000_000) == "7.0 × 10⁸"
    assert number_label(999_999_999) == "1.0 × 10⁹"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_saved_pictures_are_the_same_bytes(tmp_path: Path, ending: str) -> None:
    for name in ("one", "two"):
        save(message_figure("nothing", width_mm=60, height_mm=40, title="A"), tmp_path / f"{name}.{ending}")
    one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
    assert one == two and len(one) > 500
    assert b"atplotlib" not in one or ending != "png"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{ending}", f"two.{ending}"]


def test_the_users_own_style_has_no_say(tmp_path: Path) -> None:
    save(message_figure("nothing", width_mm=60, height_mm=40), tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.facecolor": "red", "font.family": "serif"}):
        save(message_figure("nothing", width_mm=60, height_mm=40), tmp_path / "two.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_wrong_ending_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    figure = message_figure("nothing", width_mm=60, height_mm=40)
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        save(figure, tmp_path / "picture.jpeg")
    with pytest.raises(InputError, match="folder does not exist"):
        save(figure, tmp_path / "absent" / "picture.png")
    assert list(tmp_path.iterdir()) == []
