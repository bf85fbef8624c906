"""A recording against the truth: were the people found, and was the rope judged rightly."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration.matching import match_boxes
from calibration.metrics import Metrics, measure
from calibration.truth import TruePerson, Truth, read_truth
from ropewatch import recording
from ropewatch.errors import SettingsError, SourceError
from ropewatch.incidents import IncidentEvent
from ropewatch.recording import CutShort, RecordedFrame
from ropewatch.settings import AlertWhen


@dataclass(frozen=True, slots=True)
class Terms:
    """What the comparison rests on.

    Attributes:
        threshold: of the decision.
        alert_when: which side of it alerts.
        iou_min: least IoU of a recorded and a true box.
        min_visible: share of a body that must be seen; of less, nothing is expected.
        min_side_px: shorter side of a true box below which nothing is expected.
    """

    threshold: float
    alert_when: AlertWhen
    iou_min: float = 0.3
    min_visible: float = 0.3
    min_side_px: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"threshold: {self.threshold}, want 0 to 1; correct --threshold")
        if not 0 < self.iou_min <= 1:
            raise SettingsError(f"iou_min: {self.iou_min}, want above 0; correct --iou-min")

    def expects(self, person: TruePerson) -> bool:
        """Whether enough of a person can be seen to be found and judged."""
        return (
            person.visible >= self.min_visible and min(person.box_ltwh_px[2:]) >= self.min_side_px
        )


@dataclass(slots=True)
class Tally:
    """Counts and samples while a recording is read; a sample is (score, is unsafe)."""

    frames: int = 0
    frames_beyond_truth: int = 0
    expected: int = 0
    found: int = 0
    found_hardly_visible: int = 0
    found_nobody: int = 0
    without_score: int = 0
    not_finite: int = 0
    single: list[tuple[float, bool]] = field(default_factory=list)
    smoothed: list[tuple[float, bool]] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        names = [one.name for one in dataclasses.fields(self)]
        return Tally(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Result:
    """One camera, or all together.

    Attributes:
        frames: compared with the truth.
        frames_beyond_truth: after the truth's last picture; left out.
        expected: people whom the truth shows well enough, frame by frame.
        found: of those, recorded.
        found_hardly_visible: recorded people whom the truth hardly shows; neither right nor wrong.
        found_nobody: recorded people whom the truth does not have.
        without_score: found, but not judged in that frame.
        not_finite: found, with a score that is no number.
        single_frame: raw scores.
        smoothed: smoothed scores of the same frames, where there was one.
    """

    frames: int
    frames_beyond_truth: int
    expected: int
    found: int
    found_hardly_visible: int
    found_nobody: int
    without_score: int
    not_finite: int
    single_frame: Metrics
    smoothed: Metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results by camera in the order of the truth files, all together, and what was left out."""

    terms: Terms
    cameras: Mapping[str, Result]
    together: Result
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return dataclasses.asdict(self)


def evaluate(
    path: Path,
    truth_paths: Sequence[Path],
    *,
    threshold: float | None = None,
    alert_when: AlertWhen | None = None,
    **terms: float,
) -> Evaluation:
    """Compare a recording with the truth of its cameras.

    Args:
        path: the recording.
        truth_paths: one truth file for each camera to judge.
        threshold: None takes the one that the recording's incidents carry.
        alert_when: likewise.
        terms: other fields of Terms.

    Raises:
        SourceError: a file is missing or not of its format, or they do not belong together.
        SettingsError: no operating point is given and the recording carries none, or several.
    """
    truths = _by_camera(truth_paths)
    rows = list(recording.read(path))
    if threshold is None or alert_when is None:
        recorded = _operating_point(rows, path)
        threshold = recorded[0] if threshold is None else threshold
        alert_when = alert_when or recorded[1]
    agreed = Terms(threshold, alert_when, **terms)
    tallies = {camera: Tally() for camera in truths}
    notes, strangers = [], dict[str, int]()
    for row in rows:
        if isinstance(row, CutShort):
            notes.append(f"{row.path}:{row.line}: cut short; what precedes it was used")
        elif isinstance(row, RecordedFrame) and row.source_id in truths:
            _count(row, truths[row.source_id], agreed, tallies[row.source_id])
        elif isinstance(row, RecordedFrame):
            strangers[row.source_id] = strangers.get(row.source_id, 0) + 1
    notes += [
        f"camera {name}: no truth; its {n} frames were left out" for name, n in strangers.items()
    ]
    absent = [camera for camera, tally in tallies.items() if tally.frames == 0]
    if absent:
        raise SourceError(
            f"{path}: no frame of camera {absent[0]} that its truth covers, want the recording "
            f"of that clip; give matching files"
        )
    cameras = {camera: _result(tally, agreed) for camera, tally in tallies.items()}
    together = _result(sum(tallies.values(), Tally()), agreed)
    return Evaluation(agreed, cameras, together, tuple(notes))


def _by_camera(paths: Sequence[Path]) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    for path in paths:
        truth = read_truth(path)
        if truth.camera in truths:
            raise SourceError(f"{path}: camera {truth.camera} again, want one truth a camera")
        truths[truth.camera] = truth
    return truths


def _operating_point(rows: Iterable[object], path: Path) -> tuple[float, AlertWhen]:
    points = {(row.threshold, row.alert_when) for row in rows if isinstance(row, IncidentEvent)}
    if len(points) != 1:
        raise SettingsError(
            f"{path}: its incidents carry {len(points)} operating points, want one; "
            f"give --threshold and --alert-when"
        )
    return points.pop()


def _count(frame: RecordedFrame, truth: Truth, terms: Terms, tally: Tally) -> None:
    people = truth.at(frame.pts_ns)
    if people is None:
        tally.frames_beyond_truth += 1
        return
    tally.frames += 1
    # The muxer scales a picture to its output, each axis by itself.
    scale = np.tile(np.array(frame.frame_wh_px) / np.array(truth.frame_wh_px), 2)
    true_boxes = np.array([p.box_ltwh_px for p in people]).reshape(-1, 4) * scale
    found_boxes = [p.box_ltwh_px for p in frame.persons]
    pairs = match_boxes(found_boxes, true_boxes, iou_min=terms.iou_min)
    tally.expected += sum(terms.expects(person) for person in people)
    tally.found_nobody += len(frame.persons) - len(pairs)
    for row, column in pairs:
        recorded, person = frame.persons[row], people[column]
        if not terms.expects(person):
            tally.found_hardly_visible += 1
            continue
        tally.found += 1
        if recorded.score is None:
            tally.without_score += 1
        elif not math.isfinite(recorded.score):
            tally.not_finite += 1
        else:
            tally.single.append((recorded.score, not person.roped))
            if recorded.smoothed is not None:
                tally.smoothed.append((recorded.smoothed, not person.roped))


def _result(tally: Tally, terms: Terms) -> Result:
    def of(samples: list[tuple[float, bool]]) -> Metrics:
        return measure(
            [score for score, _ in samples],
            [unsafe for _, unsafe in samples],
            threshold=terms.threshold,
            alert_when=terms.alert_when,
        )

    return Result(
        frames=tally.frames,
        frames_beyond_truth=tally.frames_beyond_truth,
        expected=tally.expected,
        found=tally.found,
        found_hardly_visible=tally.found_hardly_visible,
        found_nobody=tally.found_nobody,
        without_score=tally.without_score,
        not_finite=tally.not_finite,
        single_frame=of(tally.single),
        smoothed=of(tally.smoothed),
    )
