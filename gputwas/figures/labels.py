"""Placing labels beside points so that no label covers another, a point that matters, or a leader line.

In: anchors, label sizes and the other points, all in pixels. Out: a rectangle for each label, or none where
there is no room. Greedy and without random numbers: the same input gives the same picture.

Each label, most important first, tries a fixed fan of rectangles around its anchor and takes the cheapest:
distance and sideways shift cost, covered points cost more, a crossed leader line more still; overlapping a
label, a leader line or another label's point is never allowed. Repulsion, as in adjustText, leaves
overlaps where points are dense.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Placement", "pick_leads", "place_labels"]

_CELL = 4.0  # pixels; side of the squares in which points are counted
_LEVELS = 16  # rows of candidates above an anchor
_SHIFTS = np.linspace(-2.2, 2.2, 23)  # horizontal shift of a candidate, in label widths
_COST_POINT, _COST_CROSSING, _COST_SHIFT = 1.8, 12.0, 0.5  # in label heights of distance
_COST_UNCLEAR = 8.0
_COST_FAR = 0.06  # on top, per squared label height: a long leader line is hard to follow


@dataclass(frozen=True)
class Placement:
    """Where labels go: `boxes` float64 (labels, 4), x0 y0 x1 y1 in pixels, NaN where a label found no room;
    `leaders` bool (labels,), whether a line should join label and point."""

    boxes: np.ndarray
    leaders: np.ndarray


def pick_leads(
    codes: np.ndarray,
    positions: np.ndarray,
    heights: np.ndarray,
    names: np.ndarray,
    *,
    window: float,
    most: int,
) -> np.ndarray:
    """Choose one point per locus: int64 (<= most,), rows by falling height.

    A point leads its locus if no higher one lies within `window` bases on its chromosome. Points without a
    name (null or empty) are passed over. Ties go to the earlier row.
    """
    chosen: list[int] = []
    taken: list[tuple[int, float]] = []
    for row in np.argsort(-heights, kind="stable"):
        if len(chosen) == most:
            break
        if not names[row] or not np.isfinite(positions[row]) or codes[row] < 0:
            continue
        code, position = int(codes[row]), float(positions[row])
        if any(code == other and abs(position - place) < window for other, place in taken):
            continue
        taken.append((code, position))
        chosen.append(int(row))
    return np.array(chosen, dtype=np.int64)


def place_labels(
    anchors: np.ndarray,
    sizes: np.ndarray,
    points: np.ndarray,
    bounds: tuple[float, float, float, float],
    *,
    radius: float,
    padding: float,
    downward: np.ndarray | None = None,
) -> Placement:
    """Place labels near their anchors.

    Parameters
    ----------
    anchors, sizes : float64 (labels, 2), pixels; the most important label first.
    points : float64 (points, 2), pixels; what should stay visible: all points drawn, and points along lines.
    bounds : x0, y0, x1, y1 that no label may leave.
    radius : of a point, pixels.
    padding : clear space around a label, pixels.
    downward : bool (labels,), labels that hang below their anchors (negative half of a signed picture).
    """
    count = len(anchors)
    down = np.zeros(count, dtype=bool) if downward is None else downward
    crowd = _Crowd(points, bounds, radius)
    state = _Placed()
    boxes = np.full((count, 4), np.nan)
    leaders = np.zeros(count, dtype=bool)
    for index in range(count):
        anchor, size = anchors[index], sizes[index]
        strangers = np.delete(anchors, index, axis=0)
        tried = _fan(anchor, size[0], size[1], radius + padding, down=bool(down[index]))
        tried = tried[_inside(tried, bounds) & (_nearest(tried, strangers) > radius)]
        tried = tried[~state.blocks(tried, anchor, padding)]
        if not len(tried):
            continue
        ends = _leader_ends(tried, anchor)
        distance = np.hypot(*(ends - anchor).T)
        # A label nearer to another label's point than to its own would be read as that point's name.
        unclear = _nearest(tried, strangers) < distance + 0.5 * size[1]
        far = distance / size[1]
        shift = np.abs(tried[:, [0, 2]].mean(axis=1) - anchor[0]) / size[0]
        cost = far + _COST_FAR * far**2 + _COST_SHIFT * shift + _COST_UNCLEAR * unclear
        cost += _COST_POINT * np.sqrt(crowd.count(tried)) + _COST_CROSSING * state.crossings(anchor, ends)
        best = int(np.argmin(cost))
        boxes[index] = tried[best]
        leaders[index] = bool(unclear[best]) or distance[best] > radius + padding + 0.6 * size[1]
        state.add(tried[best], anchor, ends[best], leader=bool(leaders[index]))
    return Placement(boxes, leaders)


def _inside(boxes: np.ndarray, bounds: tuple[float, float, float, float]) -> np.ndarray:
    """Whether each rectangle lies within the bounds, bool (boxes,)."""
    return np.asarray((boxes[:, :2] >= bounds[:2]).all(axis=1) & (boxes[:, 2:] <= bounds[2:]).all(axis=1))


def _fan(anchor: np.ndarray, width: float, height: float, gap: float, *, down: bool) -> np.ndarray:
    """Candidate rectangles float64 (candidates, 4): rows above (or below) the anchor, and its two sides."""
    rise = gap + np.arange(_LEVELS) * height * 0.75
    shift, lift = np.meshgrid(_SHIFTS * width, rise)
    x0 = np.concatenate([(anchor[0] - width / 2 + shift).ravel(), [anchor[0] + gap, anchor[0] - gap - width]])
    side = anchor[1] - height / 2
    y0 = anchor[1] - lift - height if down else anchor[1] + lift
    y0 = np.concatenate([y0.ravel(), [side, side]])
    return np.column_stack([x0, y0, x0 + width, y0 + height])


def _leader_ends(boxes: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Point of each rectangle nearest to the anchor, float64 (candidates, 2)."""
    return np.column_stack([
        np.clip(anchor[0], boxes[:, 0], boxes[:, 2]), np.clip(anchor[1], boxes[:, 1], boxes[:, 3])
    ])  # fmt: skip


def _nearest(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance from each rectangle to the nearest point, float64 (boxes,); infinite without points."""
    gaps = np.maximum(boxes[:, None, :2] - points[None], points[None] - boxes[:, None, 2:])
    distance = np.hypot(*np.maximum(gaps, 0.0).transpose(2, 0, 1))
    return np.asarray(distance.min(axis=1, initial=np.inf))


class _Crowd:
    """How many points lie in a rectangle, from a summed-area table over squares of `_CELL` pixels."""

    def __init__(self, points: np.ndarray, bounds: tuple[float, float, float, float], radius: float) -> None:
        self._origin = np.array(bounds[:2])
        shape = np.maximum(np.ceil((np.array(bounds[2:]) - self._origin) / _CELL).astype(int), 1)
        cells = ((points - self._origin) // _CELL).astype(int)
        cells = cells[((cells >= 0) & (cells < shape)).all(axis=1)]
        grid = np.zeros(tuple(shape + 1))
        np.add.at(grid, tuple((cells + 1).T), 1.0)
        # Beyond one a square's further points hide behind the first.
        self._sums = np.minimum(grid, 1.0).cumsum(axis=0).cumsum(axis=1)
        self._shape, self._radius = shape, radius

    def count(self, boxes: np.ndarray) -> np.ndarray:
        """Squares with points under each rectangle widened by a point's radius, float64 (boxes,)."""
        low = (boxes[:, :2] - self._radius - self._origin) / _CELL
        high = (boxes[:, 2:] + self._radius - self._origin) / _CELL
        x0, y0 = np.clip(np.floor(low), 0, self._shape).astype(int).T
        x1, y1 = np.clip(np.ceil(high), 0, self._shape).astype(int).T
        sums = self._sums
        return sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]


@dataclass
class _Placed:
    """Labels and leader lines set so far."""

    boxes: list[np.ndarray] = field(default_factory=list)
    lines: list[np.ndarray] = field(default_factory=list)  # x0 y0 x1 y1

    def add(self, box: np.ndarray, anchor: np.ndarray, end: np.ndarray, *, leader: bool) -> None:
        self.boxes.append(box)
        if leader:
            self.lines.append(np.concatenate([anchor, end]))

    def blocks(self, candidates: np.ndarray, anchor: np.ndarray, padding: float) -> np.ndarray:
        """Whether a candidate overlaps a label, lies on a leader line, or has its own line under a label."""
        ends = _leader_ends(candidates, anchor)
        blocked = np.zeros(len(candidates), dtype=bool)
        for box in self.boxes:
            wide = box + np.array([-padding, -padding, padding, padding])
            blocked |= (
                (candidates[:, 0] < wide[2]) & (candidates[:, 2] > wide[0])
                & (candidates[:, 1] < wide[3]) & (candidates[:, 3] > wide[1])
            )  # fmt: skip
            starts = np.broadcast_to(anchor, ends.shape)
            blocked |= _segments_meet_boxes(starts, ends, np.broadcast_to(wide, (len(ends), 4)))
        for line in self.lines:
            starts = np.broadcast_to(line[:2], ends.shape)
            blocked |= _segments_meet_boxes(starts, np.broadcast_to(line[2:], ends.shape), candidates)
        return blocked

    def crossings(self, anchor: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Leader lines that each candidate's own line would cross, float64 (candidates,)."""
        total = np.zeros(len(ends))
        for line in self.lines:
            a, b = line[:2], line[2:]
            total += (_side(a, b, anchor) * _side(a, b, ends) < 0) & (
                _side(anchor, ends, a) * _side(anchor, ends, b) < 0
            )
        return total


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Sign tells on which side of the line start-end a point lies; broadcasts over leading axes."""
    along, to = end - start, point - start
    return np.asarray(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])


def _segments_meet_boxes(starts: np.ndarray, ends: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether segment i enters rectangle i (slab method): bool (n,)."""
    along = ends - starts
    along = np.where(along == 0, 1e-12, along)
    first = (boxes[:, :2] - starts) / along
    second = (boxes[:, 2:] - starts) / along
    enter = np.minimum(first, second).max(axis=1)
    leave = np.maximum(first, second).min(axis=1)
    return np.asarray((enter < leave) & (leave > 0) & (enter < 1))
