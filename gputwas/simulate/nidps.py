"""Names and annotation of simulated imaging traits, in the vocabulary of the UK Biobank phenotypes.

In: a number of traits. Out: that many annotations. The list is endless and always the same, so trait number
7 of a small study is trait number 7 of a large one. Traits come in groups of four that share a region: left
and right, and two measurements of it (area and volume, FA and MD ...), or four edges of a resting-state
network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

__all__ = ["ANNOTATION_COLUMNS", "Nidp", "nidps"]

ANNOTATION_COLUMNS = (
    "modality", "atlas", "side", "primary", "secondary", "region", "measurement",
    "fMRI_node_1", "fMRI_node_2",
)  # fmt: skip
GROUP_SIZE = 4
NONE = "null"  # how the released annotation writes "does not apply"

# Region and lobe of the Desikan-Killiany parcellation; the lobes are those of the released annotation.
CORTEX = (
    ("precuneus", "parietal"), ("superiorfrontal", "frontal"), ("insula", "insula"),
    ("lingual", "occipital"), ("fusiform", "occipitotemporal"), ("precentral", "frontal"),
    ("posteriorcingulate", "cingulate"), ("superiortemporal", "temporal"), ("pericalcarine", "occipital"),
    ("supramarginal", "parietal"), ("parsopercularis", "frontal"), ("isthmuscingulate", "cingulate"),
    ("middletemporal", "temporal"), ("cuneus", "occipital"), ("postcentral", "parietal"),
    ("rostralmiddlefrontal", "frontal"), ("entorhinal", "insula"), ("inferiorparietal", "parietal"),
    ("lateraloccipital", "occipital"), ("medialorbitofrontal", "frontal"), ("bankssts", "temporal"),
    ("caudalmiddlefrontal", "frontal"), ("paracentral", "frontoparietal"), ("parahippocampal", "insula"),
    ("parstriangularis", "frontal"), ("superiorparietal", "parietal"), ("transversetemporal", "temporal"),
    ("lateralorbitofrontal", "frontal"), ("inferiortemporal", "temporal"),
    ("rostralanteriorcingulate", "cingulate"), ("parsorbitalis", "frontal"),
    ("caudalanteriorcingulate", "cingulate"),
)  # fmt: skip
TRACTS = (
    ("Superior_longitudinal_fasciculus", "association"), ("Anterior_corona_radiata", "projection"),
    ("Cingulum_cingulate_gyrus", "limbic"), ("External_capsule", "projection"),
    ("Posterior_thalamic_radiation", "projection"), ("Corticospinal_tract", "brainstem"),
    ("Uncinate_fasciculus", "association"), ("Anterior_limb_of_internal_capsule", "projection"),
    ("Cingulum_hippocampus", "limbic"), ("Superior_corona_radiata", "projection"),
    ("Sagittal_stratum", "association"), ("Cerebral_peduncle", "projection"),
    ("Medial_lemniscus", "brainstem"), ("Posterior_corona_radiata", "projection"),
    ("Tapetum", "commissural"), ("Superior_fronto-occipital_fasciculus", "association"),
)  # fmt: skip
NUCLEI = (
    ("Hippocampus", "hippocampus"), ("Putamen", "basal ganglia"), ("Thalamus-Proper", "thalamus"),
    ("Caudate", "basal ganglia"), ("Amygdala", "amygdala"), ("Pallidum", "basal ganglia"),
    ("Accumbens-area", "basal ganglia"),
)  # fmt: skip
SIDES = (("lh", "left", "L"), ("rh", "right", "R"))


@dataclass(frozen=True)
class Nidp:
    """One imaging trait: name, number of its group, annotation columns (``null`` = does not apply)."""

    name: str
    group: int
    modality: str
    atlas: str
    side: str
    primary: str
    secondary: str
    region: str
    measurement: str
    node_1: str = NONE
    node_2: str = NONE

    @property
    def annotation(self) -> tuple[str, ...]:
        """Values of `ANNOTATION_COLUMNS`."""
        return (
            self.modality, self.atlas, self.side, self.primary, self.secondary, self.region, self.measurement,
            self.node_1, self.node_2,
        )  # fmt: skip


def nidps(n_traits: int) -> list[Nidp]:
    """Give the first `n_traits` imaging traits."""
    return list(islice(_endless(), n_traits))


def _endless() -> Iterator[Nidp]:
    desikan = (("aparc-Desikan", "Desikan", ("area", "volume"), region) for region in CORTEX)
    # The DKT parcellation joined the banks of the temporal sulcus to their neighbours.
    dkt_regions = [region for region in reversed(CORTEX) if region[0] != "bankssts"]
    dkt = (("aparc-DKTatlas", "DKTatlas", ("thickness", "volume"), region) for region in dkt_regions)
    edges = _edges()
    tracts, nuclei = iter(TRACTS), iter(NUCLEI)
    for group in count():
        kind = group % 6
        found: list[Nidp] = []
        if kind in (0, 4):
            found = [trait for parts in islice(desikan, 1) for trait in _cortical(group, *parts)]
        elif kind == 1:
            found = [trait for tract in islice(tracts, 1) for trait in _tract(group, *tract)]
        elif kind == 2:
            found = [trait for parts in islice(dkt, 1) for trait in _cortical(group, *parts)]
        elif kind == 3:
            found = [trait for nucleus in islice(nuclei, 1) for trait in _nucleus(group, *nucleus)]
        # Regions are finite; functional connections are not.
        yield from found or [_edge(group, *next(edges)) for _ in range(GROUP_SIZE)]


def _cortical(
    group: int, prefix: str, atlas: str, measurements: tuple[str, str], region: tuple[str, str]
) -> Iterator[Nidp]:
    name, lobe = region
    for measurement in measurements:
        for short, side, _ in SIDES:
            yield Nidp(
                f"{prefix}_{short}_{measurement}_{name}", group, "T1", atlas, side, "cortex", lobe,
                f"{measurement}_{name}", measurement,
            )  # fmt: skip


def _tract(group: int, name: str, kind: str) -> Iterator[Nidp]:
    for measurement in ("FA", "MD"):
        for _, side, letter in SIDES:
            trait = f"IDP_dMRI_TBSS_{measurement}_{name}_{letter}"
            yield Nidp(trait, group, "dMRI", "TBSS", side, "white matter", kind, NONE, measurement)


def _nucleus(group: int, name: str, kind: str) -> Iterator[Nidp]:
    for short, side, _ in SIDES:
        trait = f"aseg_{short}_volume_{name}"
        yield Nidp(trait, group, "T1", "aseg_volume", side, "subcortex", kind, f"volume_{name}", "volume")
    plain = name.split("-")[0].lower()
    for _, side, _ in SIDES:
        trait = f"IDP_SWI_T2star_{side}_{plain}"
        yield Nidp(trait, group, "T2star", "SWI", side, "subcortex", kind, plain, "hyperintensities")


def _edges() -> Iterator[tuple[int, int, int]]:
    """Edges (number, first node, second node), growing without end."""
    number = count(1)
    for second in count(2):
        for first in range(1, second):
            yield next(number), first, second


def _edge(group: int, number: int, first: int, second: int) -> Nidp:
    return Nidp(
        f"rfMRI_(ICA100_edge_{number})", group, "rfMRI", "ICA100", NONE, "coactivation", NONE, NONE, "BOLD",
        f"node_{first}", f"node_{second}",
    )  # fmt: skip
