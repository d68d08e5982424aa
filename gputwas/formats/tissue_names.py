"""The tissue that a model's or covariance's file name speaks of.

In: a file name of a public release. Out: the name of the tissue.
"""

from __future__ import annotations

import os
import re

__all__ = ["tissue_name"]

# A tissue's file name is [release or method prefixes] tissue [training suffixes] [file extensions].
_EXTENSIONS = re.compile(r"(\.(db|sqlite3?|txt|tsv|csv|gz|bgz|zst|arrow))+$", re.IGNORECASE)
_PREFIXES = re.compile(
    r"^((gtex[_-]?v\d+p?|tw|jti|predixcan|utmost|ctimp|mashr|en|elastic_net)[_-])+", re.IGNORECASE
)
_SUFFIXES = re.compile(
    r"([_-](\d+\.\d+|imputed|europeans|eur|tw|signif|1kg|elasticnet\d*|cov(ariances?)?|models?))+$",
    re.IGNORECASE,
)


def tissue_name(path: str | os.PathLike[str]) -> str:
    """Name of the tissue in the file name of a model or covariance.

    File extensions go first, then prefixes that name a release or method (``gtex_v7_``, ``TW_``, ``JTI_``,
    ``PrediXcan_``, ``UTMOST_``, ``CTIMP_``, ``mashr_``, ``en_``) and suffixes that name the training
    (``_0.5``, ``_imputed_europeans_tw_0.5_signif``, ``_imputed_eur_covariances``, ``_elasticNet0``,
    ``_1KG``), in any case and number. What is left is the tissue; if nothing is left, the name without
    extensions is.

    Examples
    --------
    >>> tissue_name("TW_Whole_Blood_0.5.db"), tissue_name("JTI_Brain_Amygdala.txt.gz")
    ('Whole_Blood', 'Brain_Amygdala')
    """
    stem = _EXTENSIONS.sub("", os.path.basename(os.fspath(path)))
    return _SUFFIXES.sub("", _PREFIXES.sub("", stem)) or stem
