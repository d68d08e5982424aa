"""Names of files and the tissues that MetaXcan 0.7.5 reads out of them; all expected words are its own."""

from __future__ import annotations

import re

import pytest

from gputwas.errors import InputError, UsageError
from gputwas.study.dropin_multixcan_names import files_by_tissue, model_tissue, pattern_of, result_tissue


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("TW_Whole_Blood_0.5.db", "Whole_Blood"),
        ("gtex_v7_Liver_imputed_europeans_tw_0.5_signif.db", "Liver_imputed_europeans_tw_0.5_signif"),
        ("JTI_Liver.db", "JTI_Liver"),
        ("TW_Liver.txt", "Liver.txt"),
        ("gtex_v7_TW_Liver.db", "TW_Liver"),
    ],
)
def test_models(name: str, tissue: str) -> None:
    assert model_tissue(f"/some.db/{name}", None) == tissue


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("height_TW_Whole_Blood.csv", "Whole_Blood"),
        ("height-TW_Liver.zscores.csv", "Liver"),
        ("TW_Liver_elasticNet0.csv", "Liver"),
        ("a_TW_b_TW_c.csv", "b"),
        ("height_TW_Whole_Blood_DGN.csv", "DGN_WB"),
        ("height_DGN.csv", "DGN_WB"),
        ("height_CrossTissue_x.csv", "CrossTissue"),
        ("height_eQTL_Lung.meta.txt", "Lung"),
        ("height_gEUVADIS.csv", "Geuvadis"),
    ],
)
def test_results(name: str, tissue: str) -> None:
    assert result_tissue(f"/some_TW_folder/{name}", None) == tissue


@pytest.mark.parametrize("name", ["liver.csv", "height__PM__Liver.csv", "height_TW_Liver.txt"])
def test_results_whose_name_tells_nothing(name: str) -> None:
    with pytest.raises(InputError, match="does not tell the tissue"):
        result_tissue(name, None)


def test_patterns() -> None:
    two, one = re.compile(r"(.*)__PM__(.*)\.csv"), re.compile(r".*__PM__(.*)\.csv")
    assert (
        result_tissue("height__PM__Liver.csv", two) == result_tissue("height__PM__Liver.csv", one) == "Liver"
    )
    assert model_tissue("x/en_Liver.db", re.compile("en_(.*).db")) == "Liver"
    for function in (result_tissue, model_tissue):
        with pytest.raises(InputError, match="does not fit"):
            function("else.csv", one)
        with pytest.raises(InputError, match="in brackets"):
            function("height__PM__Liver.csv", re.compile("height"))
    with pytest.raises(UsageError, match=r"write \.\*db and not \*\.db"):
        pattern_of("*.db", "models_name_filter")


def test_one_file_of_each_tissue() -> None:
    assert list(files_by_tissue(["b", "a"], ["Skin", "Liver"], "results", "")) == ["Liver", "Skin"]
    with pytest.raises(InputError, match="two results are of one tissue, Liver"):
        files_by_tissue(["b", "a"], ["Liver", "Liver"], "results", "Choose.")
