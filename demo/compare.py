"""What arrived from the broker against what the renderer drew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from demo.report import Check
from demo.truth import ClipTruth, ExpectedIncident
from ropewatch.boxes import iou_matrix, ltwh_to_xyxy
from ropewatch.incidents import Phase
from ropewatch.observations import BoxLtwh
from ropewatch.payloads import IncidentMessage

START_TOLERANCE_S: Final = 2.0
MIN_IOU: Final = 0.3
"""Less overlap than this between an incident's box and the truth's is nobody."""


@dataclass(frozen=True, slots=True)
class ReceivedIncident:
    """One incident put together from its messages."""

    camera: str
    incident_id: str
    person: int
    start_s: float
    start_box_ltwh_px: BoxLtwh
    frame_wh_px: tuple[int, int]
    ends: tuple[tuple[float, str], ...]
    """Stream time and reason of each end; a sound incident has one."""


def put_together(messages: Sequence[IncidentMessage]) -> list[ReceivedIncident]:
    """Group messages by incident, duplicates dropped; an incident without a start is left out."""
    unique = {message.id: message for message in messages}.values()
    starts = {m.subject: m.data for m in unique if m.data.phase is Phase.START}
    ends: dict[str, list[tuple[float, str]]] = {incident_id: [] for incident_id in starts}
    for message in unique:
        data = message.data
        if data.phase is Phase.END and data.end_reason is not None:
            ends.setdefault(message.subject, []).append((data.pts_ns / 1e9, data.end_reason.value))
    return [
        ReceivedIncident(
            camera=data.camera,
            incident_id=incident_id,
            person=data.person,
            start_s=data.pts_ns / 1e9,
            start_box_ltwh_px=data.box_ltwh_px,
            frame_wh_px=data.frame_wh_px,
            ends=tuple(ends[incident_id]),
        )
        for incident_id, data in starts.items()
    ]


def person_at(truth: ClipTruth, incident: ReceivedIncident) -> str | None:
    """Return who stands where an incident started; None where the truth has nobody."""
    people = truth.people_at(incident.start_s)
    if not people:
        return None
    # Incidents speak muxer-output pixels, the truth its own picture's.
    scale = incident.frame_wh_px[0] / truth.frame_wh_px[0]
    boxes = [tuple(value * scale for value in one.box_ltwh_px) for one in people]
    overlaps = iou_matrix(ltwh_to_xyxy([incident.start_box_ltwh_px]), ltwh_to_xyxy(boxes))[0]
    best = int(overlaps.argmax())
    return people[best].person if overlaps[best] >= MIN_IOU else None


def compare(
    truth: ClipTruth, expected: Sequence[ExpectedIncident], received: Sequence[ReceivedIncident]
) -> tuple[list[Check], Mapping[str, ExpectedIncident]]:
    """Check one camera: each expected incident once, and nothing besides.

    Args:
        truth: of the camera's clip.
        expected: what must arrive.
        received: what arrived from this camera.

    Returns:
        One check for each expected incident and one for each that the truth does not hold;
        and which expected incident each received one was taken for, by incident id.
    """
    left = list(received)
    checks: list[Check] = []
    matched: dict[str, ExpectedIncident] = {}
    for wanted in expected:
        near = [
            incident
            for incident in left
            if abs(incident.start_s - wanted.start_s) <= START_TOLERANCE_S
            and person_at(truth, incident) == wanted.person
        ]
        best = min(near, key=lambda incident: abs(incident.start_s - wanted.start_s), default=None)
        if best is not None:
            left.remove(best)
            matched[best.incident_id] = wanted
        checks.append(_check(truth.camera, wanted, best))
    checks += [
        Check(
            truth.camera,
            person_at(truth, incident) or "nobody",
            "FAIL",
            "-",
            _describe(incident),
            incident.incident_id,
        )
        for incident in left
    ]
    return checks, matched


def _check(camera: str, wanted: ExpectedIncident, incident: ReceivedIncident | None) -> Check:
    text = f"start {wanted.start_s:.1f} s, end {wanted.end_reason} {wanted.end_s:.1f} s"
    if incident is None:
        return Check(camera, wanted.person, "FAIL", text, "-")
    right = [reason for _, reason in incident.ends] == [wanted.end_reason]
    return Check(
        camera,
        wanted.person,
        "PASS" if right else "FAIL",
        text,
        _describe(incident),
        incident.incident_id,
    )


def _describe(incident: ReceivedIncident) -> str:
    ends = ", ".join(f"end {reason} {time_s:.1f} s" for time_s, reason in incident.ends)
    return f"start {incident.start_s:.1f} s, {ends or 'no end'}"
