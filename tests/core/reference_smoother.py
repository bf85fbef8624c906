"""The reference smoothing written as it is told, one person and one box at a time.

Tests compare the vectorised smoother with it to the last bit, the benchmark for speed.
"""

from collections.abc import Sequence

Box = tuple[float, float, float, float]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes left, top, right, bottom."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return inter / max(area_a + area_b - inter, 1e-9)


class ReferenceSmoother:
    """Frame by frame, person by person, box by box."""

    def __init__(self, window_s: float = 0.5, iou_min: float = 0.7, newest: int = 7) -> None:
        self.window_s = window_s
        self.iou_min = iou_min
        self.newest = newest
        self.buffer: list[tuple[float, list[Box], list[float]]] = []

    def smooth(
        self, boxes: Sequence[Box], probabilities: Sequence[float], ts_s: float
    ) -> list[float]:
        self.buffer = [frame for frame in self.buffer if ts_s - frame[0] < 2 * self.window_s]
        smoothed = [
            self._one(box, raw, ts_s) for box, raw in zip(boxes, probabilities, strict=True)
        ]
        self.buffer.append((ts_s, list(boxes), list(probabilities)))
        return smoothed

    def _one(self, box: Box, raw: float, ts_s: float) -> float:
        values: list[tuple[float, float]] = []
        for past_ts_s, past_boxes, past_raw in self.buffer:
            if abs(ts_s - past_ts_s) > self.window_s:
                continue
            best, best_raw = -1.0, 0.0
            for past_box, probability in zip(past_boxes, past_raw, strict=True):
                likeness = iou(box, past_box)
                if likeness > best:
                    best, best_raw = likeness, probability
            if best >= self.iou_min:
                values.append((past_ts_s, best_raw))
        values.append((ts_s, raw))
        values.sort(key=lambda value: value[0], reverse=True)
        newest = sorted(probability for _, probability in values[: self.newest])
        if len(newest) < 2:
            return raw
        middle = len(newest) // 2
        if len(newest) % 2:
            return newest[middle]
        return (newest[middle - 1] + newest[middle]) / 2
