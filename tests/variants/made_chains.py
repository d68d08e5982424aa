"""Chain files made up for tests: text of chains, and random ones with inversions, overlaps and moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

HUMAN = {"chr1": 40_000, "chr2": 30_000, "chrX": 20_000, "chrM": 5_000}


def chain_text(
    source: tuple[str, int, int],
    target: tuple[str, int, int],
    blocks: Sequence[tuple[int, int, int]],
    *,
    score: int = 1000,
    strand: str = "+",
) -> str:
    """One chain: (name, size, start) of both sides, and blocks of (size, source gap, target gap)."""
    length = sum(size + gap for size, gap, _ in blocks) - blocks[-1][1]
    reach = sum(size + gap for size, _, gap in blocks) - blocks[-1][2]
    head = (
        f"chain {score} {source[0]} {source[1]} + {source[2]} {source[2] + length} "
        f"{target[0]} {target[1]} {strand} {target[2]} {target[2] + reach} 7"
    )
    lines = [f"{size}\t{one}\t{two}" for size, one, two in blocks[:-1]]
    return "\n".join([head, *lines, str(blocks[-1][0])]) + "\n\n"


def random_chains(
    path: Path, seed: int, n_chains: int = 120, sizes: dict[str, int] = HUMAN, scores: int = 6
) -> Path:
    """Write a chain file whose chains fall anywhere, so that many overlap; few scores, so that many tie."""
    rng = np.random.default_rng(seed)
    names, text = list(sizes), ""
    for _ in range(n_chains):
        blocks = [
            tuple(row) for row in rng.integers((1, 0, 0), (400, 60, 60), (rng.integers(1, 9), 3)).tolist()
        ]
        reach = sum(map(sum, blocks))
        source, target = rng.choice(names, 2)
        if rng.random() < 0.7:
            target = source
        if reach >= min(sizes[source], sizes[target]):
            continue
        starts = [int(rng.integers(0, sizes[name] - reach)) for name in (source, target)]
        text += chain_text(
            (source, sizes[source], starts[0]), (target, sizes[target], starts[1]), blocks,
            score=int(rng.integers(1, scores + 1)), strand="+-"[int(rng.integers(0, 2))],
        )  # fmt: skip
    path.write_text(text)
    return path


def tiled_chains(folder: Path, seed: int, sizes: dict[str, int] = HUMAN) -> tuple[Path, Path]:
    """A one-to-one correspondence with inversions, moves and gaps, and the chain file of its inverse."""
    rng = np.random.default_rng(seed)
    # Cut both builds into as many stretches of equal lengths and pair them at random: no two overlap.
    lengths = rng.integers(50, 900, 220)
    there, back = "", ""
    places = {"source": _laid(rng, lengths, sizes), "target": _laid(rng, lengths, sizes)}
    for i, length in enumerate(lengths.tolist()):
        if i not in places["source"] or i not in places["target"]:
            continue
        (a, at), (b, to) = places["source"][i], places["target"][i]
        strand = "+-"[int(rng.integers(0, 2))]
        first, gap = int(rng.integers(1, length // 2)), int(rng.integers(1, 9))
        rest = length - first - gap
        blocks = [(first, gap, gap), (rest, 0, 0)]
        start = to if strand == "+" else sizes[b] - to - length
        there += chain_text((a, sizes[a], at), (b, sizes[b], start), blocks, strand=strand)
        if strand == "-":
            blocks = [(rest, gap, gap), (first, 0, 0)]
        start = at if strand == "+" else sizes[a] - at - length
        back += chain_text((b, sizes[b], to), (a, sizes[a], start), blocks, strand=strand)
    paths = folder / "hg19ToHg38.over.chain", folder / "hg38ToHg19.over.chain"
    for path, text in zip(paths, (there, back), strict=True):
        path.write_text(text)
    return paths


def _laid(rng: np.random.Generator, lengths: np.ndarray, sizes: dict[str, int]) -> dict[int, tuple[str, int]]:
    """Stretches laid one behind another in random order, over all chromosomes."""
    found, names = {}, iter(sizes)
    name, at = next(names), 0
    for i in rng.permutation(len(lengths)).tolist():
        at += int(rng.integers(0, 40))
        if at + lengths[i] > sizes[name]:
            name, at = next(names, ""), 0
            if not name:
                break
        found[i] = (name, at)
        at += int(lengths[i])
    return found
