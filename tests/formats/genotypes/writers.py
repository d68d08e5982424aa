"""One matrix of genotypes written in every format, by the formats' own writers or byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CONTIGS = ("chr1", "chr2", "chrX")


@dataclass(frozen=True, eq=False)
class Truth:
    """Records of a panel.

    `chromosome` names a contig; `alleles` are the reference and then the alternatives; `calls` is int
    (records, samples, 2): allele numbers, -1 where missing (both or none).
    """

    samples: list[str]
    chromosome: list[str]
    position: list[int]
    name: list[str | None]
    alleles: list[list[str]]
    calls: np.ndarray

    def rows(self) -> list[dict[str, object]]:
        """The table of variants, one row for each alternative."""
        return [
            {
                "variant_id": name,
                "chromosome": chromosome.removeprefix("chr"),
                "position": position,
                "effect_allele": allele,
                "other_allele": alleles[0],
            }
            for chromosome, position, name, alleles in zip(
                self.chromosome, self.position, self.name, self.alleles, strict=True
            )
            for allele in alleles[1:]
        ]

    def dosages(self) -> np.ndarray:
        """Copies of every alternative, float64 (rows, samples)."""
        rows = []
        for alleles, calls in zip(self.alleles, self.calls, strict=True):
            for number in range(1, len(alleles)):
                copies = sum((calls[:, side] == number).astype(float) for side in (0, 1))
                rows.append(np.where(calls[:, 0] < 0, np.nan, copies))
        return np.array(rows)


def random_truth(seed: int, n_records: int = 60, n_samples: int = 21) -> Truth:
    """Records on three contigs; some of several alleles, some at one position, some calls missing."""
    rng = np.random.default_rng(seed)
    n_alternatives = rng.choice([1, 1, 1, 2, 3], n_records)
    calls = np.stack([rng.integers(0, n + 1, (n_samples, 2)) for n in n_alternatives])
    calls[rng.random((n_records, n_samples)) < 0.1] = -1
    calls[0, :] = [[-1, -1]] * n_samples  # nobody was called
    calls[1, :] = 0  # and everybody carries the same
    contig = np.sort(rng.integers(0, len(CONTIGS), n_records))
    position = np.sort(rng.integers(1, 20, n_records) * 40_000)
    order = np.lexsort((position, contig))
    pool = [["A", "G", "T", "C"], ["C", "CT", "CTT", "G"], ["GA", "G", "GAA", "T"], ["T", "C", "A", "G"]]
    return Truth(
        [f"S{i}" for i in range(n_samples)],
        [CONTIGS[i] for i in contig[order]],
        position[order].tolist(),
        [None if i % 7 == 3 else f"rs{i}" for i in range(n_records)],
        [pool[i % 4][: n + 1] for i, n in enumerate(n_alternatives)],
        calls,
    )


def write_plink1(truth: Truth, folder: Path) -> Path:
    """PLINK 1 knows two alleles: each alternative is a variant of its own."""
    from bed_reader import to_bed

    rows = truth.rows()
    path = folder / "panel.bed"
    to_bed(
        path,
        truth.dosages().T,
        properties={
            "fid": [f"F{name}" for name in truth.samples],
            "iid": truth.samples,
            "chromosome": [str(row["chromosome"]).replace("X", "23") for row in rows],
            "sid": [row["variant_id"] or "." for row in rows],
            "bp_position": [row["position"] for row in rows],
            "allele_1": [row["effect_allele"] for row in rows],
            "allele_2": [row["other_allele"] for row in rows],
        },
        count_A1=True,
    )
    return path


def write_plink2(truth: Truth, folder: Path) -> Path:
    import pgenlib

    path = folder / "panel.pgen"
    most = max(len(alleles) for alleles in truth.alleles)
    writer = pgenlib.PgenWriter(
        bytes(path), len(truth.samples), variant_ct=len(truth.calls), nonref_flags=False, allele_ct_limit=most
    )
    for alleles, calls in zip(truth.alleles, truth.calls, strict=True):
        codes = np.where(calls < 0, -9, calls).astype(np.int32).ravel()
        writer.append_alleles(codes, all_phased=False, allele_ct=len(alleles))
    writer.close()
    (folder / "panel.psam").write_text("".join(["#IID\tSEX\n", *(f"{name}\tNA\n" for name in truth.samples)]))
    lines = ["##fileformat=VCFv4.2\n", "#CHROM\tPOS\tID\tREF\tALT\tINFO\n"]
    for chromosome, position, name, alleles in zip(
        truth.chromosome, truth.position, truth.name, truth.alleles, strict=True
    ):
        cells = [chromosome, position, name or ".", alleles[0], ",".join(alleles[1:]), "."]
        lines.append("\t".join(map(str, cells)) + "\n")
    (folder / "panel.pvar").write_text("".join(lines))
    return path


def vcf_lines(truth: Truth) -> tuple[str, list[str]]:
    """Header and record lines; phased and unphased calls alternate."""
    header = "##fileformat=VCFv4.2\n" + "".join(f"##contig=<ID={name},length=2000000>\n" for name in CONTIGS)
    header += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(truth.samples) + "\n"
    lines = []
    for chromosome, position, name, alleles, calls in zip(
        truth.chromosome, truth.position, truth.name, truth.alleles, truth.calls, strict=True
    ):
        cells = [
            chromosome,
            str(position),
            name or ".",
            alleles[0],
            ",".join(alleles[1:]),
            ".",
            ".",
            ".",
            "GT",
        ]
        for i, call in enumerate(calls.tolist()):
            cells.append("/|"[i % 2].join("." if allele < 0 else str(allele) for allele in call))
        lines.append("\t".join(cells) + "\n")
    return header, lines


def write_vcf(truth: Truth, folder: Path) -> Path:
    path = folder / "panel.vcf"
    header, lines = vcf_lines(truth)
    path.write_text(header + "".join(lines))
    return path


def write_bcf(truth: Truth, folder: Path) -> Path:
    from cyvcf2 import VCF, Writer

    text = VCF(str(write_vcf(truth, folder)))
    path = folder / "panel.bcf"
    writer = Writer(str(path), text, mode="wb")
    for record in text:
        writer.write_record(record)
    writer.close()
    (folder / "panel.vcf").unlink()
    return path


def write_indexed_vcf(truth: Truth, folder: Path) -> Path:
    """A bgzipped VCF, each record a block of its own, and its tabix index by the specification."""
    path = folder / "panel.vcf.gz"
    header, lines = vcf_lines(truth)
    data, starts = bgzf_block(header.encode()), []
    for line in lines:
        starts.append(len(data))
        data += bgzf_block(line.encode())
    starts.append(len(data))
    path.write_bytes(data + bgzf_block(b""))
    names = b"".join(name.encode() + b"\0" for name in CONTIGS)
    index = b"TBI\1" + struct.pack("<8i", len(CONTIGS), 2, 1, 2, 0, ord("#"), 0, len(names)) + names
    for contig in CONTIGS:
        bins: dict[int, list[tuple[int, int]]] = {}
        linear: dict[int, int] = {}
        for record, (chromosome, position) in enumerate(zip(truth.chromosome, truth.position, strict=True)):
            if chromosome == contig:
                begin, end = position - 1, position - 1 + len(truth.alleles[record][0])
                bins.setdefault(_bin_of(begin, end), []).append(
                    (starts[record] << 16, starts[record + 1] << 16)
                )
                for window in range(begin >> 14, (end - 1 >> 14) + 1):
                    linear.setdefault(window, starts[record] << 16)
        index += struct.pack("<i", len(bins))
        for number, chunks in sorted(bins.items()):
            index += struct.pack("<Ii", number, len(chunks)) + b"".join(
                struct.pack("<2Q", *c) for c in chunks
            )
        windows = [linear.get(window, 0) for window in range(max(linear, default=-1) + 1)]
        index += struct.pack(f"<i{len(windows)}Q", len(windows), *windows)
    Path(f"{path}.tbi").write_bytes(bgzf_block(index) + bgzf_block(b""))
    return path


def write_bgen(truth: Truth, folder: Path) -> Path:
    from bgen import BgenWriter

    path = folder / "panel.bgen"
    with BgenWriter(path, len(truth.samples), samples=truth.samples) as writer:
        for record, calls in enumerate(truth.calls):
            alleles = truth.alleles[record]
            phased = record % 2 == 1
            probabilities = _phased(calls, len(alleles)) if phased else _unphased(calls, len(alleles))
            writer.add_variant(
                "", truth.name[record] or ".", truth.chromosome[record], truth.position[record], alleles,
                probabilities, phased=phased,
            )  # fmt: skip
    return path


WRITERS: dict[str, Callable[[Truth, Path], Path]] = {
    "PLINK 1": write_plink1,
    "PLINK 2": write_plink2,
    "VCF": write_vcf,
    "VCF with index": write_indexed_vcf,
    "BCF": write_bcf,
    "BGEN": write_bgen,
}


def bgzf_block(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    extra = b"BC\x02\x00" + struct.pack("<H", len(packed) + 25)
    tail = struct.pack("<2I", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0" + extra + packed + tail


def _bin_of(begin: int, end: int) -> int:
    last = end - 1
    for shift, first in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
        if begin >> shift == last >> shift:
            return first + (begin >> shift)
    return 0


def _unphased(calls: np.ndarray, n_alleles: int) -> np.ndarray:
    """All weight on one genotype; genotype (i <= j) is at j (j + 1) / 2 + i, as in a VCF's GL."""
    result = np.zeros((len(calls), n_alleles * (n_alleles + 1) // 2))
    low, high = calls.min(axis=1), calls.max(axis=1)
    result[np.arange(len(calls)), high * (high + 1) // 2 + low] = 1.0
    result[low < 0] = np.nan
    return result


def _phased(calls: np.ndarray, n_alleles: int) -> np.ndarray:
    result = np.zeros((len(calls), 2, n_alleles))
    for side in (0, 1):
        result[np.arange(len(calls)), side, calls[:, side]] = 1.0
    result[calls[:, 0] < 0] = np.nan
    return result.reshape(len(calls), -1)
