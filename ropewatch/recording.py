"""Recordings: JSON lines of what was seen and decided, for replay, tuning and reports.

A line is a frame with its people or an incident event; `type` says which.
Floats keep every bit. NaN, which only a broken engine gives, is written as NaN: Python reads it.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ropewatch.decision import RopeState
from ropewatch.errors import SourceError
from ropewatch.incidents import IncidentEvent
from ropewatch.monitor import FrameResult
from ropewatch.observations import (
    CLEAR,
    BoxLtwh,
    FrameObservation,
    PersonObservation,
    View,
)


@dataclass(frozen=True, slots=True)
class RecordedPerson:
    """One person of a recorded frame: the observation, and the verdict on it.

    Attributes:
        person: number of the person.
        object_id: track id, None when untracked.
        box_ltwh_px: where the person is.
        confidence: the detector's number; None where the tracker predicted the box.
        score: the classifier's number for this frame, None when it did not run.
        smoothed: newest smoothed score, None when too old.
        state: safe, unsafe or unknown.
        crop_ltwh_px: what the classifier looked at.
        incident_id: of the open incident, None without one.
        watched: False outside the camera's zones; older recordings know none.
    """

    person: int
    object_id: int | None
    box_ltwh_px: BoxLtwh
    confidence: float | None
    score: float | None
    smoothed: float | None
    state: RopeState
    crop_ltwh_px: BoxLtwh | None
    incident_id: str | None
    watched: bool = True


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame; the fields are those of `FrameObservation`, older recordings have no view."""

    source_id: str
    frame_num: int
    pts_ns: int
    ntp_ns: int | None
    frame_wh_px: tuple[int, int]
    detector_ran: bool
    persons: tuple[RecordedPerson, ...]
    view: View = CLEAR

    def observation(self) -> FrameObservation:
        """Return what the graph saw, without the verdicts, to be decided on again."""
        return FrameObservation(
            source_id=self.source_id,
            frame_num=self.frame_num,
            pts_ns=self.pts_ns,
            ntp_ns=self.ntp_ns,
            frame_wh_px=self.frame_wh_px,
            detector_ran=self.detector_ran,
            persons=tuple(
                PersonObservation(
                    p.object_id, p.box_ltwh_px, p.confidence, p.score, p.crop_ltwh_px
                )
                for p in self.persons
            ),
            view=self.view,
        )


@dataclass(frozen=True, slots=True)
class CutShort:
    """The last line is incomplete: the recorder was killed or lost power while it wrote."""

    path: Path
    line: int


_FRAMES = TypeAdapter(RecordedFrame)
_INCIDENTS = TypeAdapter(IncidentEvent)


def frame_line(frame: FrameObservation, result: FrameResult) -> str:
    """Return one frame as a line of JSON, without the line's end."""
    persons = [
        {
            "person": verdict.person,
            "object_id": observation.object_id,
            "box_ltwh_px": observation.box_ltwh_px,
            "confidence": observation.confidence,
            "score": observation.score,
            "smoothed": verdict.smoothed,
            "state": verdict.state.value,
            "crop_ltwh_px": observation.crop_ltwh_px,
            "incident_id": verdict.incident_id,
            "watched": verdict.watched,
        }
        for observation, verdict in zip(frame.persons, result.verdicts, strict=True)
    ]
    return json.dumps(
        {
            "type": "frame",
            "source_id": frame.source_id,
            "frame_num": frame.frame_num,
            "pts_ns": frame.pts_ns,
            "ntp_ns": frame.ntp_ns,
            "frame_wh_px": frame.frame_wh_px,
            "detector_ran": frame.detector_ran,
            "persons": persons,
            "view": dataclasses.asdict(frame.view),
        }
    )


def incident_line(event: IncidentEvent) -> str:
    """Return one incident event as a line of JSON, without the line's end."""
    return json.dumps({"type": "incident", **dataclasses.asdict(event)})


def read(path: Path) -> Iterator[RecordedFrame | IncidentEvent | CutShort]:
    """Read a recording line by line, in the order in which it was written.

    An incomplete last line comes as `CutShort`, for the caller to report; what precedes it
    is good.

    Raises:
        SourceError: no such file, or a line that is no frame and no incident.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}, want a recording (JSON lines)") from None
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n") and not _is_json(line):
                yield CutShort(path, number)
                return
            yield _parse(line, f"{path}:{number}")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _parse(line: bytes, where: str) -> RecordedFrame | IncidentEvent:
    try:
        content: Any = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{where}: not JSON ({error}), want a line of a recording") from None
    kind = content.pop("type", None) if isinstance(content, dict) else None
    try:
        if kind == "frame":
            return _FRAMES.validate_python(content)
        if kind == "incident":
            return _INCIDENTS.validate_python(content)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise SourceError(f"{where}: {key}: {fault['input']!r}: {fault['msg']}") from None
    raise SourceError(f"{where}: type {kind!r}, want frame or incident")
