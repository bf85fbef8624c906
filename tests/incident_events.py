"""An incident's event, as a monitor makes it; tests change what they are about."""

from dataclasses import replace

from ropewatch.decision import RopeState
from ropewatch.evidence import Evidence
from ropewatch.incidents import EndReason, IncidentEvent, Phase
from ropewatch.settings import AlertWhen

START = IncidentEvent(
    phase=Phase.START,
    incident_id="01INCIDENT",
    revision=1,
    source_id="gate",
    person=3,
    object_ids=(7,),
    pts_ns=5_000_000_000,
    ntp_ns=None,
    box_ltwh_px=(300.0, 120.0, 40.0, 80.0),
    frame_wh_px=(640, 360),
    score=0.9,
    smoothed=0.8,
    threshold=0.461,
    alert_when=AlertWhen.AT_OR_ABOVE,
    score_label="unroped",
    state=RopeState.UNSAFE,
    samples=6,
    evidence_age_s=0.0,
    started_pts_ns=5_000_000_000,
    evidence=Evidence(trail=(), crop_ltwh_px=(260.0, 104.0, 120.0, 216.0), tracks=(), crossed=()),
)


def incident_event(incident_id: str, phase: Phase, revision: int = 1) -> IncidentEvent:
    """Make an event of one camera; an end is one by a rope that was seen after 4.5 s."""
    event = replace(START, phase=phase, revision=revision, incident_id=incident_id)
    if phase is Phase.END:
        event = replace(event, end_reason=EndReason.ROPE_SEEN, duration_s=4.5)
    return event
