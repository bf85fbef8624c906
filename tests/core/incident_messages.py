"""Incident messages of a box, as a consumer gets them."""

import json
from dataclasses import replace
from typing import Any

from ropewatch.incidents import Phase
from ropewatch.moment import Moment
from ropewatch.reading import parse_incident
from ropewatch.sequencer import Incident
from ropewatch.wire import Message, Wire
from tests.incident_events import incident_event

BOOT_1, BOOT_2 = "01JD0000000000000000000001", "01JD0000000000000000000002"
DECIDED_NS = 1_795_223_378_000_000_000


def message(
    sequence: int,
    phase: Phase = Phase.UPDATE,
    *,
    incident_id: str = "01INCIDENT",
    box: str = "box-1",
    boot_id: str = BOOT_1,
) -> Message:
    """Make a message as the box would, decided at `DECIDED_NS` plus `sequence` seconds."""
    event = incident_event(incident_id, phase, revision=sequence)
    time_ns = DECIDED_NS + sequence * 1_000_000_000
    now = Moment(time_ns, sequence * 1_000_000_000)
    return Wire("north-tower", box, boot_id).incident(event, sequence=sequence, now=now)


def changed(sent: Message, **data: Any) -> Message:
    """Return a message with other fields in `data`, right or wrong; JSON from `json`."""
    content = json.loads(sent.payload)
    content["data"].update(data)
    # Of another type: the watch over all messages leaves it alone, as made past the box.
    return replace(sent, payload=json.dumps(content).encode(), content_type="text/plain")


def incident(sequence: int, phase: Phase = Phase.UPDATE, **changes: str) -> Incident:
    """Return such a message as it is received."""
    sent = message(sequence, phase, **changes)
    return Incident(parse_incident(sent.payload), sent.payload, sent.topic)
