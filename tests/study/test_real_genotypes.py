"""Real genotypes end to end: models on their LD, their GWAS matched by rs number, position, lift and map.

Models of 60 genes are drawn on the SNPs of 489 Europeans, their covariance comes from the genotypes, and the
GWAS of the same SNPs is imported for models that name them in four ways. The z are those of the formula
computed here from the files, and the same to 1e-6 whatever the names.
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from gputwas.cli.main import main
from gputwas.formats.covariance import write_covariances
from gputwas.formats.predictdb import write_models
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore

N_GENES = 60
TURN = str.maketrans("ACGT", "TGCA")
GWAS = "bolt.sumstats.txt.gz"


class Piece(NamedTuple):
    """A stretch of a chromosome, from 0, and where its first (on the reverse strand: last) base went."""

    start: int
    end: int
    chromosome: str
    to: int
    strand: int


@dataclass(frozen=True)
class Panel:
    """SNPs of the genotypes. effect, other: A1 and A2; dosages float64 (people, SNPs), number of A1."""

    chromosome: np.ndarray
    rsid: np.ndarray
    position: np.ndarray
    effect: np.ndarray
    other: np.ndarray
    rows: np.ndarray
    dosages: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """Per gene places in the panel, weights of the model's effect allele, and whether that is A2."""

    genes: list[str]
    snps: list[np.ndarray]
    weights: list[np.ndarray]
    turned: list[np.ndarray]


@pytest.fixture(scope="module")
def panel(kg_eur: Path) -> Panel:
    from bed_reader import open_bed

    lines = [line.split() for line in (kg_eur / "kg_eur.bim").read_text().splitlines()]
    columns = np.array(lines)
    with gzip.open(kg_eur / GWAS, "rt") as file:
        in_gwas = {line.split("\t", 1)[0] for line in file}
    same_name = np.array([rsid in in_gwas for rsid in columns[:, 1]])  # a few have another there
    rng = np.random.default_rng(20)
    rows = np.sort(rng.choice(np.flatnonzero(same_name), 12_000, replace=False))
    with open_bed(kg_eur / "kg_eur.bed") as bed:
        dosages = bed.read(index=np.s_[:, rows], dtype="float64")
    keep = ~np.isnan(dosages).any(axis=0) & (dosages.var(axis=0) > 0.02)
    rows, dosages = rows[keep], dosages[:, keep]
    chosen = columns[rows]
    return Panel(
        chosen[:, 0], chosen[:, 1], chosen[:, 3].astype(int), chosen[:, 4], chosen[:, 5], rows, dosages
    )


@pytest.fixture(scope="module")
def drawn(panel: Panel) -> Drawn:
    rng = np.random.default_rng(4)
    snps, weights, turned = [], [], []
    for gene in range(N_GENES):
        there = np.flatnonzero(panel.chromosome == str(gene % 22 + 1))
        size = int(rng.integers(5, 21))
        first = int(rng.integers(0, len(there) - 3 * size))
        chosen = np.sort(rng.choice(there[first : first + 3 * size], size, replace=False))
        snps.append(chosen)
        weights.append(rng.normal(size=size))
        turned.append(rng.random(size) < 0.5)
    return Drawn([f"ENSG{i:011d}.1" for i in range(N_GENES)], snps, weights, turned)


@pytest.fixture(scope="module")
def covariances(panel: Panel, drawn: Drawn) -> list[np.ndarray]:
    """Of the numbers of the models' effect alleles, float64 (snps, snps) per gene."""
    found = []
    for snps, turned in zip(drawn.snps, drawn.turned, strict=True):
        counts = np.where(turned, 2 - panel.dosages[:, snps], panel.dosages[:, snps])
        centred = counts - counts.mean(axis=0)
        found.append(centred.T @ centred / (len(counts) - 1))
    return found


@pytest.fixture(scope="module")
def expected(kg_eur: Path, panel: Panel, drawn: Drawn, covariances: list[np.ndarray]) -> np.ndarray:
    """z of every gene by the formula, from the text of the GWAS: float64 (genes,)."""
    with gzip.open(kg_eur / GWAS, "rt") as file:
        header = file.readline().split()
        at = {name: header.index(name) for name in ("SNP", "ALLELE1", "ALLELE0", "BETA", "SE")}
        rows = {}
        for line in file:
            cells = line.rstrip("\n").split("\t")
            rows[cells[at["SNP"]]] = [cells[i] for i in at.values()]
    out = []
    for snps, weights, turned, gamma in zip(
        drawn.snps, drawn.weights, drawn.turned, covariances, strict=True
    ):
        z = []
        for snp, turn in zip(snps, turned, strict=True):
            _, one, zero, beta, se = rows[panel.rsid[snp]]
            effect, other = panel.effect[snp], panel.other[snp]
            if turn:
                effect, other = other, effect
            assert {one, zero} == {effect, other}
            z.append(float(beta) / float(se) * (1 if one == effect else -1))
        sd = np.sqrt(np.diag(gamma))
        out.append((weights * sd * np.array(z)).sum() / np.sqrt(weights @ gamma @ weights))
    return np.array(out)


Name = Callable[[int], str]


def import_models(
    folder: Path, panel: Panel, drawn: Drawn, covariances: list[np.ndarray], name: Name, reverse: set[int]
) -> Path:
    """The models as files with SNPs called by `name`, those in `reverse` on the other strand; a store."""
    folder.mkdir()
    rows = []
    for gene, snps, weights, turned in zip(drawn.genes, drawn.snps, drawn.weights, drawn.turned, strict=True):
        for snp, weight, turn in zip(snps, weights, turned, strict=True):
            alleles = [panel.effect[snp], panel.other[snp]][:: -1 if turn else 1]
            if snp in reverse:
                alleles = [allele.translate(TURN) for allele in alleles]
            rows.append((gene, name(snp), weight, *alleles))
    names = ("gene", "variant_id", "weight", "effect_allele", "other_allele")
    weights_table = pa.table(dict(zip(names, (list(c) for c in zip(*rows, strict=True)), strict=True)))
    genes = pa.table(
        {
            "gene": drawn.genes,
            "gene_name": drawn.genes,
            "pred_perf_r2": [0.1] * N_GENES,
            "n_snps_in_model": [len(s) for s in drawn.snps],
            "pred_perf_pval": [0.01] * N_GENES,
            "pred_perf_qval": [0.01] * N_GENES,
        }
    )
    write_models(folder / "Made.db", genes, weights_table)
    blocks = ([name(s) for s in snps] for snps in drawn.snps)
    write_covariances(folder / "Made.txt.gz", drawn.genes, zip(blocks, covariances, strict=True))
    store = folder / "store"
    words = [str(folder / "Made.db"), "--covariance", str(folder / "Made.txt.gz"), "--out", str(store)]
    assert main(["models", "import", "--quiet", *words]) == 0
    return store


def with_ld_of(genotypes: Path, store: Path) -> Path:
    """The same models in a store whose covariances `models covariance` computes from the genotypes."""
    out = store.parent / "from_genotypes"
    words = [str(store.parent / "Made.db"), "--genotypes", str(genotypes), "--out", str(out)]
    assert main(["models", "covariance", "--quiet", *words]) == 0
    return out


def scored(folder: Path, store: Path, gwas: Path, genes: list[str], *options: str | Path) -> np.ndarray:
    """z of the genes after `gwas import` with these options and `associate`."""
    words = [str(word) for word in options]
    place = ["--models", str(store), "--out", str(folder / "gwas")]
    assert main(["gwas", "import", "--quiet", str(gwas), "--trait", "bolt", *place, *words]) == 0
    stores = ["--models", str(store), "--gwas", str(folder / "gwas"), "--out", str(folder / "out")]
    assert main(["associate", "--quiet", *stores, "--precision", "float64"]) == 0
    with AssociationStore.open(folder / "out") as found:
        z = found.read_trait("Made", "bolt").astype(float)
        order = found.models["gene"].to_pylist()
    return z[[order.index(gene) for gene in genes]]


def close(z: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.max(np.abs(z - expected) / np.maximum(1, np.abs(expected))) < 1e-6)


def metadata(folder: Path) -> dict:
    return GwasStore.open(folder / "gwas").metadata("bolt")


@pytest.mark.parametrize("computed", [False, True])
def test_by_rs_number(kg_eur, panel, drawn, covariances, expected, tmp_path, computed):
    """`computed`: the covariances are those of `models covariance`, else of the text made here."""
    store = import_models(tmp_path / "m", panel, drawn, covariances, lambda s: panel.rsid[s], set())
    if computed:
        store = with_ld_of(kg_eur / "kg_eur.bed", store)
    z = scored(tmp_path, store, kg_eur / GWAS, drawn.genes)
    assert close(z, expected) and np.abs(expected).max() > 3
    assert metadata(tmp_path)["matched_by"] == "id" and metadata(tmp_path)["found_share"] == 1.0


def hg19_name(panel: Panel) -> Name:
    return lambda s: f"chr{panel.chromosome[s]}_{panel.position[s]}_{panel.other[s]}_{panel.effect[s]}_b37"


@pytest.mark.parametrize("options", [(), ("--match", "position", "--build", "hg19")])
def test_by_position(kg_eur, panel, drawn, covariances, expected, tmp_path, options):
    store = import_models(tmp_path / "m", panel, drawn, covariances, hg19_name(panel), set())
    if options:
        store = with_ld_of(kg_eur / "kg_eur.bed", store)
    z = scored(tmp_path, store, kg_eur / GWAS, drawn.genes, *options)
    assert close(z, expected)
    said = metadata(tmp_path)
    assert said["matched_by"] == "position" and "columns 'CHR', 'BP'" in said["matched_how"]
    assert said["found_share"] == 1.0 and "lifted" not in said


def test_by_ids_spelled_in_another_way(kg_eur, panel, drawn, covariances, expected, tmp_path):
    """The file's ids are 1:20000475:G:C, its alleles in either order, and it has no columns of positions."""
    rng = np.random.default_rng(1)
    with gzip.open(kg_eur / GWAS, "rt") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    head, rows = lines[0], lines[1:]
    c, p, one, zero = (head.index(name) for name in ("CHR", "BP", "ALLELE1", "ALLELE0"))
    turned = rng.random(len(rows)) < 0.5
    path = tmp_path / "spelled.txt"
    with path.open("w") as file:
        file.write("ID EA OA B S\n")
        for row, turn in zip(rows, turned, strict=True):
            first, second = (row[zero], row[one]) if turn else (row[one], row[zero])
            beta, se = row[head.index("BETA")], row[head.index("SE")]
            file.write(f"{row[c]}:{row[p]}:{first}:{second} {row[one]} {row[zero]} {beta} {se}\n")
    columns = [f"{r}={n}" for r, n in zip(("variant_id", "effect_allele", "other_allele", "beta", "se"),
                                          ("ID", "EA", "OA", "B", "S"), strict=True)]  # fmt: skip
    words = [word for column in columns for word in ("--column", column)]
    store = import_models(tmp_path / "m", panel, drawn, covariances, hg19_name(panel), set())
    assert close(scored(tmp_path, store, path, drawn.genes, *words), expected)
    assert "alleles in either order" in metadata(tmp_path)["matched_how"]


def made_build(panel: Panel, used: np.ndarray) -> dict[str, list[Piece]]:
    """Where 20 to 21 Mb of each chromosome lie in a made build: shifts, an inversion, a gap, a move.

    The gap is as long as may be between two SNPs of the models.
    """
    pieces = {}
    for number in range(1, 23):
        chromosome = str(number)
        shift = 1_000 * number * (-1) ** number
        at = np.sort(panel.position[used][panel.chromosome[used] == chromosome]) - 1  # from 0
        widest = int(np.argmax(np.diff(at)))
        low, high = int(at[widest]) + 1, int(at[widest + 1])
        cuts = sorted({20_000_000, low, high, 20_400_000, 20_600_000, 20_800_000, 21_000_001})
        found = []
        for start, end in itertools.pairwise(cuts):
            if low <= start < high:
                continue
            if 20_400_000 <= start < 20_600_000:  # the stretch is read backwards, as a whole
                found.append(Piece(start, end, chromosome, 20_400_000 + 20_600_000 - end + shift, -1))
            elif start >= 20_800_000 and number % 5 == 0:
                found.append(Piece(start, end, str(number - 1), start + 30_000_000, 1))
            else:
                found.append(Piece(start, end, chromosome, start + shift, 1))
        pieces[chromosome] = found
    return pieces


def moved(pieces: dict[str, list[Piece]], chromosome: str, position: int) -> tuple[str, int, int]:
    """Chromosome, position from 1 and strand in the made build."""
    (piece,) = [p for p in pieces[chromosome] if p.start <= position - 1 < p.end]
    within = position - 1 - piece.start if piece.strand > 0 else piece.end - position
    return piece.chromosome, piece.to + within + 1, piece.strand


def write_chain(path: Path, pieces: dict[str, list[Piece]]) -> Path:
    size, lines = 100_000_000, []
    for chromosome, found in pieces.items():
        for number, piece in enumerate(found):
            length = piece.end - piece.start
            begin = piece.to if piece.strand > 0 else size - piece.to - length
            strand = "+" if piece.strand > 0 else "-"
            lines += [
                f"chain {1000 + number} chr{chromosome} {size} + {piece.start} {piece.end} "
                f"chr{piece.chromosome} {size} {strand} {begin} {begin + length} {len(lines) + 1}",
                f"{length}",
                "",
            ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lifted_from_another_build(kg_eur, panel, drawn, covariances, expected, tmp_path, capsys):
    """Models named in a made hg38 with shifts, an inversion, moves and gaps; the GWAS is on hg19."""
    used = np.unique(np.concatenate(drawn.snps))
    pieces = made_build(panel, used)
    chain = write_chain(tmp_path / "made.chain", pieces)
    place = {int(s): moved(pieces, panel.chromosome[s], int(panel.position[s])) for s in used}
    reverse = {s for s, (_, _, strand) in place.items() if strand < 0}
    palindromes = [s for s in reverse if panel.effect[s].translate(TURN) == panel.other[s]]
    assert len(reverse) > 50 and len(palindromes) > 5  # those that would betray a mistake
    assert any(place[s][0] != panel.chromosome[s] for s in place)

    def name(snp: int) -> str:
        chromosome, position, strand = place[int(snp)]
        alleles = (panel.other[snp], panel.effect[snp])
        other, effect = (a.translate(TURN) if strand < 0 else a for a in alleles)
        return f"chr{chromosome}_{position}_{other}_{effect}_b38"

    store = import_models(tmp_path / "m", panel, drawn, covariances, name, reverse)
    options = ("--build", "hg19", "--to", "hg38", "--chain", chain, "--report", tmp_path / "report.tsv")
    assert close(scored(tmp_path, store, kg_eur / GWAS, drawn.genes, *options), expected)
    said = metadata(tmp_path)
    assert said["matched_by"] == "position" and "lifted from hg19 to hg38" in said["matched_how"]
    assert said["found_share"] == 1.0 and said["strand"] == "forward"
    assert said["lifted"] == counted(kg_eur, pieces)
    header, row = ((tmp_path / "report.tsv").read_text().splitlines()[i].split("\t") for i in (0, 1))
    assert int(row[header.index("lift_unmapped")]) == said["lifted"]["unmapped"] > 0
    # without the chain file the other build is told, and what mends it
    capsys.readouterr()
    words = [str(kg_eur / GWAS), "--models", str(store), "--out", str(tmp_path / "no")]
    assert main(["gwas", "import", "--quiet", *words, "--match", "position"]) == 3
    message = capsys.readouterr().err
    assert "on another genome build" in message.replace("\n", " ") and "--chain" in message


def counted(kg_eur: Path, pieces: dict[str, list[Piece]]) -> dict[str, int]:
    """What becomes of the rows of the GWAS, one by one."""
    counts = {"mapped": 0, "moved": 0, "split": 0, "unmapped": 0, "reversed": 0}
    with gzip.open(kg_eur / GWAS, "rt") as file:
        next(file)
        for line in file:
            _, chromosome, position = line.split("\t")[:3]
            found = [p for p in pieces[chromosome] if p.start <= int(position) - 1 < p.end]
            if not found:
                counts["unmapped"] += 1
                continue
            counts["mapped" if found[0].chromosome == chromosome else "moved"] += 1
            counts["reversed"] += found[0].strand < 0
    return counts


@pytest.mark.parametrize("named", [False, True])
def test_through_a_map(kg_eur, panel, drawn, covariances, expected, tmp_path, named):
    """A table in the shape of GTEx's: rs numbers in lists, some unknown, the models' ids beside them."""
    used = np.unique(np.concatenate(drawn.snps))
    rng = np.random.default_rng(9)
    lines = ["chr variant_pos variant_id ref alt rs_id_dbSNP151_GRCh38p7 variant_id_b37".replace(" ", "\t")]
    names = {}
    for snp in rng.permutation(len(panel.rsid)):
        chromosome, ref, alt = panel.chromosome[snp], panel.other[snp], panel.effect[snp]
        position = int(panel.position[snp]) + 777
        names[int(snp)] = f"chr{chromosome}_{position}_{ref}_{alt}_b38"
        if snp not in used and rng.random() < 0.2:
            rsid = "."
        else:
            rsid = panel.rsid[snp] if rng.random() < 0.7 else f"rs9{snp:09d},{panel.rsid[snp]}"
        b37 = f"{chromosome}_{panel.position[snp]}_{ref}_{alt}_b37"
        lines.append("\t".join([chromosome, str(position), names[int(snp)], ref, alt, rsid, b37]))
    path = tmp_path / "lookup_table.txt.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    store = import_models(tmp_path / "m", panel, drawn, covariances, lambda s: names[int(s)], set())
    columns = ("--map-from", "rs_id_dbSNP151_GRCh38p7", "--map-to", "variant_id") if named else ()
    z = scored(tmp_path, store, kg_eur / GWAS, drawn.genes, "--map", path, *columns)
    assert close(z, expected)
    said = metadata(tmp_path)
    assert said["matched_by"] == "map" and "'rs_id_dbSNP151_GRCh38p7' to 'variant_id'" in said["matched_how"]
    assert said["found_share"] == 1.0
