"""Who is who from one frame to the next, by boxes alone: what the IOU tracker does.

Boxes are (N, 4) float32, left, top, width, height, in any one unit.
"""

import secrets
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from plugins.standin.nvtracker.config import CASCADED, NO_ESTIMATOR, TrackerConfig

Floats = npt.NDArray[np.float32]
Pairs = list[tuple[int, int]]

# The library's filters are closed; a share of each newly seen step is what stands in for them.
_VELOCITY_SHARE = np.float32(0.5)


@dataclass(frozen=True, slots=True)
class Detections:
    """What one frame shows: (N, 4) boxes, (N,) class ids, (N,) confidences; N may be 0."""

    boxes_ltwh: Floats
    class_ids: npt.NDArray[np.int64]
    confidences: Floats


@dataclass(frozen=True, slots=True)
class Track:
    """One reported target; `detection` is its index, None where the box is predicted."""

    object_id: int
    class_id: int
    box_ltwh: Floats
    detection: int | None


@dataclass(frozen=True, slots=True)
class PastFrame:
    """Where a target was on a frame on which it was not reported."""

    frame_num: int
    box_ltwh: Floats
    age: int


@dataclass(frozen=True, slots=True)
class Past:
    """What can be told of a target's past now that it is reported, the oldest frame first."""

    object_id: int
    class_id: int
    frames: tuple[PastFrame, ...]


@dataclass(slots=True)
class _Target:
    object_id: int
    class_id: int
    box: Floats
    velocity: Floats
    age: int = 0
    shadow_age: int = 0
    past: list[PastFrame] = field(default_factory=list)


class StreamTracker:
    """The targets of one stream; the configuration may change while there are none."""

    def __init__(self, config: TrackerConfig) -> None:
        self.config = config
        self._targets: list[_Target] = []
        self.past: list[Past] = []
        self._next = 0
        self._high_bits = self._new_high_bits()

    def _new_high_bits(self) -> int:
        return secrets.randbits(32) << 32 if self.config.unique_ids else 0

    def forget(self) -> None:
        """Drop all targets; ids go on."""
        self._targets.clear()
        self._high_bits = self._new_high_bits()

    def update(self, found: Detections, *, detected: bool, frame_num: int = 0) -> list[Track]:
        """Take the next frame; `past` is then what has become known of earlier ones.

        Args:
            found: its objects.
            frame_num: its number, for `past`.
            detected: False where the detector skipped the frame; `found` is then not looked at
                and every target that was seen last time is reported where it is expected.

        Returns:
            The targets to report. A target that the detector missed is not among them: it lives
            on in the shadow and comes back with its id if it is seen again in time.
        """
        if self.config.estimator != NO_ESTIMATOR:
            for target in self._targets:
                target.box = target.box + target.velocity
        tracks = self._tracks(found, detected=detected)
        if self.config.estimator != NO_ESTIMATOR:
            self._tell_past({track.object_id for track in tracks}, frame_num)
        return tracks

    def _tell_past(self, reported: set[int], frame_num: int) -> None:
        self.past = []
        for target in self._targets:
            if target.object_id not in reported:
                target.past.append(PastFrame(frame_num, target.box.copy(), target.age))
                # As many as the plugin makes room for.
                del target.past[: -max(1, self.config.max_shadow_age)]
            elif target.past:
                self.past.append(Past(target.object_id, target.class_id, tuple(target.past)))
                target.past = []

    def _tracks(self, found: Detections, *, detected: bool) -> list[Track]:
        if not detected:
            return [
                Track(target.object_id, target.class_id, target.box, None)
                for target in self._targets
                if not target.shadow_age and not self._on_probation(target)
            ]
        pairs = self._match(found)
        for row, column in pairs:
            self._seen(self._targets[row], found.boxes_ltwh[column])
        reported = [(self._targets[row], column) for row, column in pairs]
        self._age({row for row, _ in pairs})
        reported += self._add_new(found, {column for _, column in pairs})
        return [
            Track(target.object_id, target.class_id, target.box, column)
            for target, column in reported
            if not self._on_probation(target)
        ]

    def _on_probation(self, target: _Target) -> bool:
        return target.age < self.config.probation_age

    def _seen(self, target: _Target, box: Floats) -> None:
        step = np.zeros(4, np.float32)
        centre = box[:2] + box[2:] / 2 - (target.box[:2] + target.box[2:] / 2)
        # The box was already moved by the velocity: what is left is the velocity's error.
        step[:2] = _VELOCITY_SHARE * centre
        target.velocity = target.velocity + step
        target.box = box.copy()
        target.age += 1
        target.shadow_age = 0

    def _age(self, seen: set[int]) -> None:
        kept = []
        for row, target in enumerate(self._targets):
            if row not in seen:
                target.shadow_age += 1
                early = self._on_probation(target) and (
                    target.shadow_age >= self.config.early_termination_age
                )
                if early or target.shadow_age > self.config.max_shadow_age:
                    continue
            kept.append(target)
        self._targets = kept

    def _add_new(self, found: Detections, matched: set[int]) -> list[tuple[_Target, int]]:
        """Make targets of the confident detections that are left and are near no target."""
        added: list[tuple[_Target, int]] = []
        for column in np.flatnonzero(self._confirmed(found)).tolist():
            if column in matched or len(self._targets) >= self.config.max_targets:
                continue
            box = found.boxes_ltwh[column]
            ious = pairwise_iou(_boxes(self._targets), box[None])
            if ious.size and ious.max() > self.config.min_iou_to_discard:
                continue
            number = self._high_bits | (self._next & 0xFFFFFFFF)
            self._next += 1
            target = _Target(
                number, int(found.class_ids[column]), box.copy(), np.zeros(4, np.float32)
            )
            self._targets.append(target)
            added.append((target, column))
        return added

    def _confirmed(self, found: Detections) -> npt.NDArray[np.bool_]:
        floor = self.config.min_detector_confidence
        if self.config.matcher == CASCADED:
            floor = max(floor, self.config.tentative_confidence)
        confirmed: npt.NDArray[np.bool_] = found.confidences >= np.float32(floor)
        return confirmed

    def _match(self, found: Detections) -> Pairs:
        """Pair targets (rows) with detections (columns)."""
        if not self._targets or not len(found.boxes_ltwh):
            return []
        config = self.config
        confirmed = self._confirmed(found)
        weak = ~confirmed & (found.confidences >= np.float32(config.min_detector_confidence))
        iou = pairwise_iou(_boxes(self._targets), found.boxes_ltwh)
        size = _size_similarity(_boxes(self._targets), found.boxes_ltwh)
        same = np.ones_like(iou, bool)
        if config.check_class:
            mine = np.array([target.class_id for target in self._targets])
            same = mine[:, None] == found.class_ids[None]
        score = np.float32(config.iou_weight) * iou + np.float32(config.size_weight) * size
        # Without any overlap nothing is known: a limit of 0 must not pair strangers.
        allowed = same & (iou > 0) & (iou >= np.float32(config.min_iou))
        allowed &= size >= np.float32(config.min_size_similarity)
        allowed &= score >= np.float32(config.min_score)
        if config.matcher != CASCADED:
            return _greedy(score, allowed & confirmed[None])
        probation = np.array([self._on_probation(target) for target in self._targets])[:, None]
        near = same & (iou > 0)
        stages = (
            (score, allowed & confirmed[None] & ~probation),
            (iou, near & (iou >= np.float32(config.min_tentative_iou)) & weak[None] & ~probation),
            (iou, near & (iou >= np.float32(config.min_iou)) & confirmed[None] & probation),
        )
        pairs: Pairs = []
        for values, open_pairs in stages:
            for row, column in pairs:
                open_pairs[row] = False
                open_pairs[:, column] = False
            pairs += _best_together(values, open_pairs)
        return pairs


def pairwise_iou(first: Floats, second: Floats) -> Floats:
    """IoU of each of (N, 4) with each of (M, 4), as (N, M) float32; of nothing with nothing 0."""
    near = np.maximum(first[:, None, :2], second[None, :, :2])
    far = np.minimum(
        first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:]
    )
    overlap = np.maximum(far - near, np.float32(0)).prod(axis=2, dtype=np.float32)
    area_first, area_second = first[:, 2:].prod(axis=1), second[:, 2:].prod(axis=1)
    union = area_first[:, None] + area_second[None] - overlap
    share: Floats = overlap / np.where(union > 0, union, np.float32(1))
    return share


def _size_similarity(first: Floats, second: Floats) -> Floats:
    """Smaller over larger side, of widths times of heights, as (N, M) float32."""
    a, b = first[:, None, 2:], second[None, :, 2:]
    larger = np.maximum(a, b)
    shares: Floats = (np.minimum(a, b) / np.where(larger > 0, larger, np.float32(1))).prod(axis=2)
    return shares


def _boxes(targets: list[_Target]) -> Floats:
    return np.array([target.box for target in targets], np.float32).reshape(-1, 4)


def _greedy(score: Floats, allowed: npt.NDArray[np.bool_]) -> Pairs:
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-score[rows, columns], kind="stable")
    pairs: Pairs = []
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            pairs.append((row, column))
            used_rows.add(row)
            used_columns.add(column)
    return pairs


def _best_together(score: Floats, allowed: npt.NDArray[np.bool_]) -> Pairs:
    if not allowed.any():
        return []
    rows, columns = linear_sum_assignment(np.where(allowed, -score, np.float32(0)))
    return [
        (row, column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if allowed[row, column]
    ]
