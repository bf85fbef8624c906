"""Incident messages of a box, as a consumer gets them."""

from dataclasses import replace

from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, IncidentEvent, Phase
from ropewatch.moment import Moment
from ropewatch.reading import parse_incident
from ropewatch.sequencer import Incident
from ropewatch.settings import AlertWhen
from ropewatch.wire import Message, Wire

BOOT_1, BOOT_2 = "01JD0000000000000000000001", "01JD0000000000000000000002"
DECIDED_NS = 1_795_223_378_000_000_000

_START = IncidentEvent(
    phase=Phase.START,
    incident_id="01INCIDENT",
    revision=1,
    source_id="gate",
    person=3,
    object_ids=(7,),
    pts_ns=5_000_000_000,
    ntp_ns=None,
    box_ltwh_px=(10, 20, 30, 40),
    frame_wh_px=(1280, 720),
    score=0.9,
    smoothed=0.8,
    threshold=0.461,
    alert_when=AlertWhen.AT_OR_ABOVE,
    score_label="rope_not_ok",
    state=RopeState.UNSAFE,
    samples=6,
    evidence_age_s=0,
    started_pts_ns=5_000_000_000,
)


def message(
    sequence: int,
    phase: Phase = Phase.UPDATE,
    *,
    incident_id: str = "01INCIDENT",
    box: str = "box-1",
    boot_id: str = BOOT_1,
) -> Message:
    """Make a message as the box would, decided at `DECIDED_NS` plus `sequence` seconds."""
    event = replace(_START, phase=phase, revision=sequence, incident_id=incident_id)
    if phase is Phase.END:
        event = replace(event, end_reason=EndReason.ROPE_SEEN, duration_s=4.5)
    time_ns = DECIDED_NS + sequence * 1_000_000_000
    now = Moment(time_ns, sequence * 1_000_000_000)
    return Wire("north-tower", box, boot_id).incident(event, sequence=sequence, now=now)


def incident(sequence: int, phase: Phase = Phase.UPDATE, **changes: str) -> Incident:
    """Return such a message as it is received."""
    sent = message(sequence, phase, **changes)
    return Incident(parse_incident(sent.payload), sent.payload, sent.topic)
