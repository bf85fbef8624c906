"""Temporal median of the scores of one source; windows are seconds of stream time.

`MedianSmoother` is the default and reproduces the reference behaviour to the last bit.
`TrackSmoother` lets the track id decide where it can, `WindowSmoother` also weighs each score by
the time it stands for, so that the frame rate does not matter. Both are opt-in until measured to
be better on a site's footage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ropewatch.boxes import Boxes64, iou_matrix
from ropewatch.judging import SmoothingSettings

Floats = npt.NDArray[np.float64]

TIE_S = 1e-6


class Smoother(Protocol):
    """Smooths the scores of one source, frame by frame."""

    def smooth(
        self,
        boxes_xyxy_px: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        ts_s: float,
        object_ids: Sequence[int | None] | None = None,
    ) -> Floats:
        """Return one smoothed probability per person; see `MedianSmoother.smooth`."""

    def reset(self) -> None:
        """Forget every earlier frame."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """One past frame with its raw values.

    Attributes:
        ts_s: its time.
        boxes_xyxy_px: (M, 4).
        probabilities: (M,), never smoothed ones.
        object_ids: (M,) uint64, meaningless where not tracked.
        tracked: (M,) bool.
    """

    ts_s: float
    boxes_xyxy_px: Boxes64
    probabilities: Floats
    object_ids: npt.NDArray[np.uint64]
    tracked: npt.NDArray[np.bool_]


class MedianSmoother:
    """Median of the newest raw probabilities whose boxes match, the current one included.

    The result depends on the frame rate: the newest 7 values span 0.2 s at 30 fps and all of
    the window at 10 fps.
    """

    def __init__(self, window_s: float = 0.5, iou_min: float = 0.7, newest: int = 7) -> None:
        self._window_s = window_s
        self._iou_min = iou_min
        self._newest = newest
        self._buffer: list[_Frame] = []

    def reset(self) -> None:
        """Forget every earlier frame."""
        self._buffer = []

    def smooth(
        self,
        boxes_xyxy_px: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        ts_s: float,
        object_ids: Sequence[int | None] | None = None,
    ) -> Floats:
        """Smooth one frame's probabilities and remember the raw ones.

        Each past frame within the window, bounds included and on either side of `ts_s`, gives
        at most one raw probability: that of its best match, the first of equals. With the
        current one they are ordered newest first, equal time stamps in order of arrival with
        the current one last, and the first `newest` are taken. Two values or more give their
        median; otherwise the raw value stands.

        Args:
            boxes_xyxy_px: (N, 4), columns left, top, right, bottom, finite. N may be 0.
            probabilities: (N,), finite, the raw scores.
            ts_s: stream time; may repeat and may go backward.
            object_ids: (N,) or None; only `TrackSmoother` looks at them.

        Returns:
            (N,) float64, a new array.

        Raises:
            ValueError: wrong shapes or numbers that are not finite.
        """
        current = _frame(boxes_xyxy_px, probabilities, ts_s, object_ids)
        self._buffer = [f for f in self._buffer if ts_s - f.ts_s < 2 * self._window_s]
        smoothed = self._medians(current)
        self._buffer.append(current)
        return smoothed

    def _medians(self, current: _Frame) -> Floats:
        near = [f for f in self._buffer if abs(current.ts_s - f.ts_s) <= self._window_s]
        # sorted() is stable, with reverse too: equal time stamps keep the order of arrival.
        newest_first = sorted([*near, current], key=lambda f: f.ts_s, reverse=True)
        raw = current.probabilities
        taken = np.zeros(len(raw), dtype=np.int64)
        values = np.full((len(raw), min(self._newest, len(newest_first))), np.inf)
        for frame in newest_first:
            if frame is current:
                rows, found = np.arange(len(raw)), raw
            else:
                rows, found = self._matches(current, frame)
            room = taken[rows] < self._newest
            rows, found = rows[room], found[room]
            values[rows, taken[rows]] = found
            taken[rows] += 1
            if (taken == self._newest).all():
                break
        return _median_rows(values, taken, otherwise=raw)

    def _matches(self, current: _Frame, past: _Frame) -> tuple[npt.NDArray[np.int64], Floats]:
        """Rows of the current frame that match a box of the past one, and its probabilities."""
        if not len(past.probabilities) or not len(current.probabilities):
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        likeness = self._likeness(current, past)
        best = likeness.argmax(axis=1)
        rows = np.flatnonzero(likeness[np.arange(len(best)), best] >= self._iou_min)
        return rows, past.probabilities[best[rows]]

    def _likeness(self, current: _Frame, past: _Frame) -> Floats:
        """(N, M), highest is best; a match is `iou_min` or more."""
        return iou_matrix(current.boxes_xyxy_px, past.boxes_xyxy_px)


class TrackSmoother(MedianSmoother):
    """Like `MedianSmoother`, but two boxes that both carry a track id match by it alone."""

    def _likeness(self, current: _Frame, past: _Frame) -> Floats:
        same = current.object_ids[:, None] == past.object_ids[None, :]
        both_tracked = current.tracked[:, None] & past.tracked[None, :]
        by_id = np.where(same, np.inf, -np.inf)
        if both_tracked.all():
            return by_id
        return np.where(both_tracked, by_id, super()._likeness(current, past))


class WindowSmoother(TrackSmoother):
    """Median over time: all scores of the window, each weighted by the time it stands for.

    A score stands for the time since the score before it, as far as that lies in the window
    (t - window_s, t]; the first score of all for as long as the next one does. Twice the frame
    rate gives twice the scores of half the weight, hence the same median.
    """

    def _medians(self, current: _Frame) -> Floats:
        past = [frame for frame in self._buffer if frame.ts_s <= current.ts_s]
        frames = [*sorted(past, key=lambda frame: frame.ts_s), current]
        values = np.full((len(current.probabilities), len(frames)), np.nan)
        for column, frame in enumerate(frames[:-1]):
            rows, found = self._matches(current, frame)
            values[rows, column] = found
        values[:, -1] = current.probabilities
        times_s = np.array([frame.ts_s for frame in frames])
        weights = _times_stood(~np.isnan(values), times_s, current.ts_s - self._window_s)
        return _weighted_medians(values, weights, otherwise=current.probabilities)


def _times_stood(has: npt.NDArray[np.bool_], times_s: Floats, since_s: float) -> Floats:
    """(N, F) seconds for which each score stands; 0 where there is none.

    Args:
        has: (N, F), where there is a score; the last column is all True.
        times_s: (F,), ascending.
        since_s: start of the window.
    """
    own = np.where(has, times_s, -np.inf)
    before = np.full_like(own, -np.inf)
    before[:, 1:] = np.maximum.accumulate(own, axis=1)[:, :-1]
    later = np.where(has, times_s, np.inf)
    after = np.full_like(later, np.inf)
    after[:, :-1] = np.minimum.accumulate(later[:, ::-1], axis=1)[:, -2::-1]
    with np.errstate(invalid="ignore"):
        # inf - inf where there is no score, and is not used.
        first = np.where(np.isinf(after), 1.0, after - times_s)
        stood = np.where(np.isinf(before), first, times_s - np.maximum(before, since_s))
    return np.where(has & (times_s > since_s), stood, 0.0)


def _weighted_medians(values: Floats, weights: Floats, *, otherwise: Floats) -> Floats:
    """Weighted median of each row; the mean of the middle two where they weigh the same.

    Args:
        values: (N, F), anything where the weight is 0.
        weights: (N, F), seconds.
        otherwise: (N,), for rows without weight.
    """
    order = np.argsort(np.where(weights > 0, values, np.inf), axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    heap = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    half = heap[:, -1:] / 2
    rows = np.arange(len(values))
    lower = ordered[rows, (heap >= half - TIE_S).argmax(axis=1)]
    upper = ordered[rows, (heap > half + TIE_S).argmax(axis=1)]
    return np.where(half[:, 0] > TIE_S, (lower + upper) / 2, otherwise)


def make_smoother(settings: SmoothingSettings) -> Smoother:
    """Make the smoother that a site asks for; each source needs its own."""
    strategies = {
        "reference": MedianSmoother,
        "track": TrackSmoother,
        "window": WindowSmoother,
    }
    return strategies[settings.strategy](settings.window_s, settings.iou_min, settings.newest)


def _median_rows(values: Floats, taken: npt.NDArray[np.int64], *, otherwise: Floats) -> Floats:
    """Median of the first `taken` values of each row; rows are padded with +inf."""
    rows = np.arange(len(taken))
    ordered = np.sort(values, axis=1)
    count = np.maximum(taken, 1)
    middle = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return np.where(taken >= 2, middle, otherwise)


def _frame(
    boxes_xyxy_px: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    ts_s: float,
    object_ids: Sequence[int | None] | None,
) -> _Frame:
    """Copy what the caller gave, so that it may reuse its arrays, and check it."""
    boxes = np.array(boxes_xyxy_px, dtype=np.float64)
    scores = np.array(probabilities, dtype=np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(-1, 4)  # an empty list has no columns of its own
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes_xyxy_px: shape {boxes.shape}, want (N, 4)")
    if scores.shape != (len(boxes),):
        raise ValueError(f"probabilities: shape {scores.shape}, want ({len(boxes)},)")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("boxes_xyxy_px, probabilities: nan or inf, want finite numbers")
    ids = [None] * len(boxes) if object_ids is None else object_ids
    if len(ids) != len(boxes):
        raise ValueError(f"object_ids: {len(ids)} ids, want {len(boxes)}")
    # uint64, not float: trackers put the stream into the upper half of a 64-bit id.
    numbers = np.array([0 if i is None else i for i in ids], dtype=np.uint64)
    tracked = np.array([i is not None for i in ids], dtype=np.bool_)
    return _Frame(ts_s, boxes, scores, numbers, tracked)
