"""The models of one FUSION panel, put to an LD reference.

In: the chosen model of every gene of a panel. Out: what `pack_models` takes, models and correlations, and
what was left out and why.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.formats.predictdb import TissueModels
from gputwas.formats.triangles import Triangles
from gputwas.ingest.fusion_choice import ChosenModel
from gputwas.ingest.fusion_ld import NO_VARIANCE, LdReference
from gputwas.ingest.fusion_lists import ListedGene

__all__ = ["FusionTissue", "tissue_of"]

log = logging.getLogger(__name__)

_REPEATED = "SNP listed again with other alleles"


@dataclass(frozen=True, eq=False)
class FusionTissue:
    """The models of a panel whose SNPs are known in the LD reference.

    Attributes
    ----------
    name : the panel's.
    genes, chosen : its genes, ordered by name, and the model of each.
    model : int64 (entries,), ascending: number of the gene.
    rows : int64 (entries,): variant of the reference.
    weights : float64 (entries,): per standardised genotype of the reference's effect allele.
    left_out : reason -> weights that enter no model.
    warnings : what a person should know, one sentence each; complete once `settled`.
    """

    name: str
    genes: tuple[ListedGene, ...]
    chosen: tuple[ChosenModel, ...]
    model: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    left_out: dict[str, int]
    warnings: tuple[str, ...] = ()

    def settled(self, reference: LdReference) -> FusionTissue:
        """Leave out SNPs that do not vary, keep the strongest SNP of top1, and say what was left out.

        The strongest is chosen among the SNPs that the reference has, as FUSION does (FUSION.assoc_test.R:189
        -192 stand before :233); of equal ones it is the first.
        """
        varies = reference.sd(self.rows) > 0
        left_out = dict(self.left_out)
        counted = self._counted(self.model)
        if np.any(~varies & counted):
            left_out[NO_VARIANCE] = int(np.count_nonzero(~varies & counted))
        keep = np.flatnonzero(varies)
        keep = keep[_strongest(self.model[keep], self.weights[keep], self._top_only[self.model[keep]])]
        first = _first_variants(self.model[keep], self.rows[keep], reference)
        if np.count_nonzero(~first):
            left_out[_REPEATED] = int(np.count_nonzero(~first))
        model, rows, weights = _summed(
            self.model[keep[first]], self.rows[keep[first]], self.weights[keep[first]]
        )
        done = dataclasses.replace(self, model=model, rows=rows, weights=weights, left_out=left_out)
        return dataclasses.replace(done, warnings=done._said())

    def models(self, reference: LdReference, per: str) -> TissueModels:
        """The models as tables; genes without any SNP are listed and have no weight."""
        count = np.array([1 if one.top_only else len(one.weights) for one in self.chosen], np.int64)
        genes = pa.table(
            {
                "gene": pa.array([gene.gene for gene in self.genes], pa.string()),
                "gene_name": pa.array([gene.gene_name for gene in self.genes], pa.string()),
                "n_snps_in_model": pa.array(count),
                "pred_perf_r2": pa.array([one.r2 for one in self.chosen], pa.float64(), from_pandas=True),
                "pred_perf_pval": pa.array([one.pval for one in self.chosen], pa.float64(), from_pandas=True),
                "pred_perf_qval": pa.nulls(len(self.genes), pa.float64()),
            }
        )
        rows = pa.array(self.rows)
        scale = reference.sd(self.rows) if per == "dosage" else 1.0
        weights = pa.table(
            {
                "gene": genes["gene"].combine_chunks().take(pa.array(self.model)),
                "variant_id": reference.ids.take(rows),
                "weight": pa.array(self.weights / scale),
                "effect_allele": reference.effect.take(rows),
                "other_allele": reference.other.take(rows),
            }
        )
        return TissueModels(self.name, self.genes[0].source, genes, weights, self.left_out)

    def ld(self, reference: LdReference, per: str) -> Triangles:
        """Correlations, or with per "dosage" covariances, of the SNPs of each model that has any."""
        sizes = np.bincount(self.model, minlength=len(self.genes))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        values = reference.correlations(self.rows, offsets)
        if per == "dosage":
            start = 0
            for sd in np.split(reference.sd(self.rows), offsets[1:-1]):
                upper = np.outer(sd, sd)[np.triu_indices(len(sd))]
                values[start : start + len(upper)] *= upper
                start += len(upper)
        used, members = np.unique(self.rows, return_inverse=True)
        kept = np.flatnonzero(sizes)
        return Triangles(
            path=reference.panel.paths[0],
            genes=pa.array([self.genes[number].gene for number in kept], pa.string()),
            sizes=sizes[kept].astype(np.int64),
            snps=reference.ids.take(pa.array(used)),
            members=members.reshape(-1).astype(np.int32),
            values=values,
        )

    @property
    def _top_only(self) -> np.ndarray:
        return np.array([one.top_only for one in self.chosen], dtype=bool)

    def _counted(self, model: np.ndarray) -> np.ndarray:
        """Entries whose loss counts: of top1 the many that were never to be used are none."""
        return ~self._top_only[model]

    def _said(self) -> tuple[str, ...]:
        """Warnings; what is as it should be goes to the log."""
        has_snp = np.bincount(self.model, minlength=len(self.genes)) > 0
        kinds = Counter(one.kind for one, some in zip(self.chosen, has_snp, strict=True) if some)
        log.info(
            "%s: %d models: %s", self.name, has_snp.sum(),
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
        )  # fmt: skip
        warnings = []
        lost = sum(self.left_out.values())
        if lost:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            warnings.append(f"tissue {self.name}: {lost:,} weights are left out: {reasons}")
        without = Counter(
            "no such model in the file" if one.kind is None
            else "all weights are 0" if not len(one.weights)
            else "no SNP left"
            for one, some in zip(self.chosen, has_snp, strict=True) if not some
        )  # fmt: skip
        if without:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in without.items())
            warnings.append(
                f"tissue {self.name}: {sum(without.values()):,} of {len(self.genes):,} genes make no model: "
                f"{reasons}"
            )
        top = self._top_only[self.model]
        replaced = sum(
            abs(weight) < np.abs(self.chosen[number].weights).max()
            for number, weight in zip(self.model[top], self.weights[top], strict=True)
        )
        if replaced:
            warnings.append(
                f"tissue {self.name}: the strongest SNP of {replaced:,} top1 models cannot be used, and the "
                "strongest that can is, as in FUSION"
            )
        by_default = sum(one.by_default for one in self.chosen)
        if by_default:
            warnings.append(
                f"tissue {self.name}: {by_default:,} genes have no cross-validated p at all; the first model "
                "of their file is used, as FUSION does"
            )
        return tuple(warnings)


def tissue_of(
    name: str, genes: Sequence[ListedGene], chosen: Sequence[ChosenModel], reference: LdReference
) -> FusionTissue:
    """Find the SNPs of a panel's models in the LD reference, and turn the weights to its effect alleles."""
    order = sorted(range(len(genes)), key=lambda number: genes[number].gene)  # as a store has them
    genes, chosen = [genes[n] for n in order], [chosen[n] for n in order]
    model = np.repeat(np.arange(len(genes)), [len(one.weights) for one in chosen])
    weights = np.concatenate([one.weights for one in chosen])
    ids, effect, other = (
        pa.chunked_array([getattr(one, column) for one in chosen], pa.string()).combine_chunks()
        for column in ("variant_id", "effect_allele", "other_allele")
    )
    rows, sign, reasons = reference.match(ids, effect, other)
    tissue = FusionTissue(
        name, tuple(genes), tuple(chosen), model[rows >= 0], rows[rows >= 0], (weights * sign)[rows >= 0], {}
    )
    counted = tissue._counted(model)
    counts = {reason: int(np.count_nonzero(mask & counted)) for reason, mask in reasons.items()}
    return dataclasses.replace(tissue, left_out={reason: count for reason, count in counts.items() if count})


def _strongest(model: np.ndarray, weights: np.ndarray, top_only: np.ndarray) -> np.ndarray:
    """Entries that stay where `top_only` models keep the first of their largest squares only, ascending."""
    among = np.flatnonzero(top_only)
    order = among[np.lexsort((among, -(weights[among] ** 2), model[among]))]
    first = np.diff(model[order], prepend=-1) != 0
    return np.sort(np.concatenate([np.flatnonzero(~top_only), order[first]]))


def _first_variants(model: np.ndarray, rows: np.ndarray, reference: LdReference) -> np.ndarray:
    """Of a model's SNPs of one name, which are the variant that the first of them is: bool (entries,).

    A store's model has a name once. One that a file lists twice is mostly the same variant, see `_summed`.
    """
    name = _codes(reference.ids.take(pa.array(rows)))
    key = model * (int(name.max(initial=0)) + 1) + name
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return rows == rows[first][group.reshape(-1)]


def _summed(
    model: np.ndarray, rows: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up the weights of a variant that a model has several times, in place of the first."""
    key = model * (int(rows.max(initial=0)) + 1) + rows
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    if len(first) == len(key):
        return model, rows, weights
    total = np.bincount(group.reshape(-1), weights)
    order = np.argsort(first)
    first, total = first[order], total[order]
    some = total != 0
    return model[first[some]], rows[first[some]], total[some]


def _codes(texts: pa.Array) -> np.ndarray:
    coded = pc.dictionary_encode(texts)
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
