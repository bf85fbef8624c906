"""Temporal median of the scores of one source; windows are seconds of stream time.

`MedianSmoother` is the default and reproduces the reference behaviour to the last bit.
`TrackSmoother` lets the track id decide where it can, `WindowSmoother` also weighs each score by
the time it stands for, so that the frame rate does not matter. Both are opt-in until measured to
be better on a site's footage.
"""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ropewatch.boxes import Boxes64, iou_matrix, iou_xyxy
from ropewatch.judging import SmoothingSettings

Floats = npt.NDArray[np.float64]

TIE_S = 1e-6
# Boxes compared at once: few calls for few people, and arrays that fit the caches for many.
MOST_PAIRS = 16384
# Up to here one pair after the other is faster than the calls that arrays need.
FEW_PAIRS = 400

# A box left, top, right, bottom, and the raw probability that goes with it.
_Person = tuple[list[float], float]
_by_time = operator.attrgetter("ts_s")


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


class _Frame:
    """One past frame with somebody in it, and its raw values, for loops and as arrays.

    Attributes:
        ts_s: its time.
        boxes_xyxy_px: (M, 4).
        probabilities: (M,), never smoothed ones.
        people: the same, one by one.
        ids: None where not tracked.
    """

    def __init__(
        self,
        ts_s: float,
        boxes_xyxy_px: Boxes64,
        probabilities: Floats,
        people: list[_Person],
        ids: tuple[int | None, ...],
    ) -> None:
        self.ts_s = ts_s
        self.boxes_xyxy_px, self.probabilities = boxes_xyxy_px, probabilities
        self.people, self.ids = people, ids

    @functools.cached_property
    def object_ids(self) -> npt.NDArray[np.uint64]:
        """(M,), meaningless where not tracked."""
        # uint64, not float: trackers put the stream into the upper half of a 64-bit id.
        return np.array([0 if i is None else i for i in self.ids], dtype=np.uint64)

    @functools.cached_property
    def tracked(self) -> npt.NDArray[np.bool_]:
        """(M,)."""
        return np.array([i is not None for i in self.ids], dtype=np.bool_)


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
        if not len(current.probabilities):
            return current.probabilities
        smoothed = self._medians(current)
        self._buffer.append(current)
        return smoothed

    def _medians(self, current: _Frame) -> Floats:
        near = [f for f in self._buffer if abs(current.ts_s - f.ts_s) <= self._window_s]
        # sorted() is stable, with reverse too: equal time stamps keep the order of arrival.
        newest_first = sorted([*near, current], key=_by_time, reverse=True)
        people = sum(len(frame.people) for frame in newest_first[: self._newest])
        if people * len(current.people) <= FEW_PAIRS:
            rows = range(len(current.people))
            return np.array([self._median_of_one(row, current, newest_first) for row in rows])
        found = self._found(current, newest_first[: self._newest])
        for start in range(self._newest, len(newest_first), self._newest):
            if (np.count_nonzero(~np.isnan(found), axis=1) >= self._newest).all():
                break
            more = self._found(current, newest_first[start : start + self._newest])
            found = np.concatenate([found, more], axis=1)
        return _medians_of_first(found, self._newest, otherwise=current.probabilities)

    def _median_of_one(self, row: int, current: _Frame, newest_first: list[_Frame]) -> float:
        """What the arrays below come to, to the last bit, for one person of a few."""
        own, values = current.people[row][1], []
        for frame in newest_first:
            value = own if frame is current else self._match(row, current, frame)
            if value is not None:
                values.append(value)
                if len(values) == self._newest:
                    break
        if len(values) < 2:
            return own
        values.sort()
        return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2

    def _match(self, row: int, current: _Frame, frame: _Frame) -> float | None:
        """Raw probability of a person's best match in a past frame; None without one."""
        return _most_alike(current.people[row][0], frame.people, self._iou_min)

    def _found(self, current: _Frame, frames: list[_Frame]) -> Floats:
        """(N, F) the raw probability of each frame's best match; NaN where nothing matches."""
        past = [place for place, frame in enumerate(frames) if frame is not current]
        most = max(len(frame.probabilities) for frame in frames)
        at_once = max(1, MOST_PAIRS // (most * len(current.probabilities)))
        # The current frame's column keeps its own.
        found = np.repeat(current.probabilities[:, None], len(frames), axis=1)
        for start in range(0, len(past), at_once):
            places = past[start : start + at_once]
            found[:, places] = self._matches(current, [frames[place] for place in places])
        return found

    def _matches(self, current: _Frame, frames: list[_Frame]) -> Floats:
        sizes = np.array([len(frame.probabilities) for frame in frames])
        starts = np.cumsum(sizes) - sizes
        likeness = self._likeness(current, frames)
        best = starts + _by_frame(likeness, starts, sizes).argmax(axis=2)
        matches = likeness[np.arange(len(likeness))[:, None], best] >= self._iou_min
        raw = np.concatenate([frame.probabilities for frame in frames])
        found: Floats = np.where(matches, raw[best], np.nan)
        return found

    def _likeness(self, current: _Frame, frames: list[_Frame]) -> Floats:
        """(N, people of all frames), highest is best; a match is `iou_min` or more."""
        boxes = np.concatenate([frame.boxes_xyxy_px for frame in frames])
        return iou_matrix(current.boxes_xyxy_px, boxes)


class TrackSmoother(MedianSmoother):
    """Like `MedianSmoother`, but two boxes that both carry a track id match by it alone."""

    def _match(self, row: int, current: _Frame, frame: _Frame) -> float | None:
        own_id = current.ids[row]
        if own_id is None:
            return super()._match(row, current, frame)
        if own_id in frame.ids:
            return frame.people[frame.ids.index(own_id)][1]
        pairs = zip(frame.people, frame.ids, strict=True)
        free = [person for person, its_id in pairs if its_id is None]
        return _most_alike(current.people[row][0], free, self._iou_min)

    def _likeness(self, current: _Frame, frames: list[_Frame]) -> Floats:
        ids = np.concatenate([frame.object_ids for frame in frames])
        by_id = np.where(current.object_ids[:, None] == ids, np.inf, -np.inf)
        tracked = np.concatenate([frame.tracked for frame in frames])
        if tracked.all() and current.tracked.all():
            return by_id
        both_tracked = current.tracked[:, None] & tracked
        return np.where(both_tracked, by_id, super()._likeness(current, frames))


class WindowSmoother(TrackSmoother):
    """Median over time: all scores of the window, each weighted by the time it stands for.

    A score stands for the time since the score before it, as far as that lies in the window
    (t - window_s, t]; the first score of all for as long as the next one does. Twice the frame
    rate gives twice the scores of half the weight, hence the same median.
    """

    def _medians(self, current: _Frame) -> Floats:
        past = [frame for frame in self._buffer if frame.ts_s <= current.ts_s]
        frames = [*sorted(past, key=_by_time), current]
        values = self._found(current, frames)
        times_s = np.array([frame.ts_s for frame in frames])
        weights = _times_stood(~np.isnan(values), times_s, current.ts_s - self._window_s)
        return _weighted_medians(values, weights, otherwise=current.probabilities)


def _most_alike(
    box_xyxy_px: list[float], people: Sequence[_Person], iou_min: float
) -> float | None:
    """Probability of the best match, the first of equals; None where nobody matches."""
    if not people:
        return None
    left, _, right, _ = box_xyxy_px
    best, found = 0.0, people[0][1]
    for other, probability in people:
        # Most people stand beside each other, and this is told without a call.
        if other[0] < right and left < other[2]:
            likeness = iou_xyxy(box_xyxy_px, other)
            if likeness > best:
                best, found = likeness, probability
    return found if best >= iou_min else None


def _by_frame(
    likeness: Floats, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> Floats:
    """(N, F, M) of (N, people of all frames), M the most people of a frame.

    Where a frame has fewer, its last one comes again, who never is the first of equals.
    """
    most = sizes.max()
    if (sizes == most).all():
        return likeness.reshape(len(likeness), len(sizes), most)
    columns = starts[:, None] + np.minimum(np.arange(most), sizes[:, None] - 1)
    return likeness[:, columns]


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


def _medians_of_first(found: Floats, newest: int, *, otherwise: Floats) -> Floats:
    """Median of the first `newest` numbers of each row that are not NaN; two at least."""
    taken = ~np.isnan(found)
    taken &= np.cumsum(taken, axis=1) <= newest
    ordered = np.sort(np.where(taken, found, np.inf), axis=1)
    count = np.count_nonzero(taken, axis=1)
    rows = np.arange(len(found))
    middle = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return np.where(count >= 2, middle, otherwise)


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
    rows, raw = boxes.tolist(), scores.tolist()
    if not all(map(math.isfinite, itertools.chain(raw, *rows))):
        raise ValueError("boxes_xyxy_px, probabilities: nan or inf, want finite numbers")
    ids = (None,) * len(boxes) if object_ids is None else tuple(object_ids)
    if len(ids) != len(boxes):
        raise ValueError(f"object_ids: {len(ids)} ids, want {len(boxes)}")
    return _Frame(ts_s, boxes, scores, list(zip(rows, raw, strict=True)), ids)
