"""What the core says about an incident: it starts once, may be updated, and ends once."""

from dataclasses import dataclass
from enum import Enum

from ropewatch.decision import RopeState
from ropewatch.evidence import Evidence
from ropewatch.observations import BoxLtwh
from ropewatch.settings import AlertWhen


class Phase(str, Enum):
    """Where in its life an incident is."""

    START = "start"
    UPDATE = "update"
    END = "end"


class EndReason(str, Enum):
    """Why an incident ended."""

    ROPE_SEEN = "rope_seen"
    PERSON_GONE = "person_gone"
    LEFT_ZONE = "left_zone"
    STREAM_ENDED = "stream_ended"
    SHUTDOWN = "shutdown"
    SOURCE_LOST = "source_lost"
    RESTART_RECOVERY = "restart_recovery"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The picture of an incident, which travels by itself.

    Attributes:
        sha256: of the JPEG, hexadecimal.
        size_bytes: of the JPEG.
        size_wh_px: width and height of the JPEG.
        pts_ns: stream time of the frame that it shows.
    """

    sha256: str
    size_bytes: int
    size_wh_px: tuple[int, int]
    pts_ns: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has said that they look after an incident.

    Attributes:
        by: the command's sender.
        note: in their words; may be empty.
        unix_ns: wall time of the box.
    """

    by: str
    note: str
    unix_ns: int


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One message about one incident.

    Attributes:
        phase: start, update or end.
        incident_id: the same for all events of one incident.
        revision: 1 for the start, then one more with each event.
        source_id: the site's name of the camera.
        person: number of the person, unique in this source since the box started.
        object_ids: track ids that this person has had, oldest first; empty if untracked.
        pts_ns: stream time of the event.
        ntp_ns: Unix time of the frame, None where the source gave none.
        box_ltwh_px: where the person is, or was last seen.
        frame_wh_px: size of the muxer output.
        score: newest fresh score, between 0 and 1.
        smoothed: the same, smoothed.
        threshold: the site's operating point.
        alert_when: which side of it alerts.
        score_label: the label whose probability the scores are.
        state: what is known at the time of the event.
        samples: fresh scores since the first alert-side score that led to the incident.
        evidence_age_s: age of the newest fresh score.
        started_pts_ns: stream time of the start.
        end_reason: set on the end only.
        duration_s: stream time since the start, seconds; set on the end only.
        evidence: the reason trail; None in recordings made before there was one.
        snapshot: the incident's picture, from the event on that came when it was ready.
        acknowledged: who looks after it, from the event on that told so.
    """

    phase: Phase
    incident_id: str
    revision: int
    source_id: str
    person: int
    object_ids: tuple[int, ...]
    pts_ns: int
    ntp_ns: int | None
    box_ltwh_px: BoxLtwh
    frame_wh_px: tuple[int, int]
    score: float
    smoothed: float
    threshold: float
    alert_when: AlertWhen
    score_label: str
    state: RopeState
    samples: int
    evidence_age_s: float
    started_pts_ns: int
    end_reason: EndReason | None = None
    duration_s: float | None = None
    evidence: Evidence | None = None
    snapshot: Snapshot | None = None
    acknowledged: Acknowledgement | None = None
