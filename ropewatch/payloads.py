"""What goes over MQTT, field by field. The JSON Schemas in configs/schema/ come from here.

Incidents are CloudEvents 1.0 in structured JSON. Status and state are plain objects.
A field that is added raises the minor version; a changed meaning needs a `v2` tree of topics.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, Phase
from ropewatch.moment import ClockSource, CorrectionReason
from ropewatch.section import Name
from ropewatch.settings import AlertWhen

SCHEMA_VERSION: Final = "1.6"

# What a JSON number holds in every language, and a column of every database.
WHOLE_MAX: Final = 2**53 - 1


def _is_a_date(text: str) -> str:
    datetime.fromisoformat(text.removesuffix("Z"))
    return text


Rfc3339 = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"),
    AfterValidator(_is_a_date),
]
# Meant to be between 0 and 1, not held to it: a half-precision engine may give 1.0005, and no
# incident is lost to that.
Share = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=WHOLE_MAX)]
Number = Annotated[int, Field(ge=1, le=WHOLE_MAX)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Any minor version of this major one: a consumer reads the boxes that are not updated yet.
Version = Annotated[str, Field(pattern=r"^1\.\d+$")]


class Payload(BaseModel):
    """Base: read-only; what we send holds nothing that the schema does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Delivery(Payload):
    """How one copy of a message travelled; a copy that is sent again has other values."""

    published_at: Rfc3339 = Field(description="Wall time at which this copy left the box.")
    queued_ms: Count = Field(
        description="Milliseconds that the message waited in the box. Across a restart by the "
        "box's wall clock, which may have been set in between."
    )
    late: bool = Field(
        description="It waited longer than mqtt.outbox.late_after_s, or over a restart: what it "
        "tells may be over; open_incidents of the camera's state says what is open."
    )


class Clock(Payload):
    """How far the box's wall clock can be trusted."""

    source: ClockSource = Field(description="Who says so: the kernel, or none.")
    synced: bool | None = Field(
        description="The clock follows a time server; null when nobody says."
    )
    est_error_ms: Milliseconds | None = Field(
        description="How wrong it is at most, as its time server's daemon estimates; null while "
        "not synced."
    )


class TrailPoint(Payload):
    """One frame of the reason trail."""

    pts_ns: int = Field(description="Stream time of the frame.")
    score: Share | None = Field(
        description="Raw score of this very frame; null when the classifier did not look."
    )
    smoothed: Share | None = Field(
        description="The smoothed score that stood then: fresh with a score, cached without one, "
        "null when there was none young enough."
    )


class TrackStart(Payload):
    """A track id of the person."""

    object_id: str = Field(description="Decimal, as in object_ids.")
    since_pts_ns: int = Field(description="Stream time of the first frame under it.")


class IncidentRule(Payload):
    """What the smoothed score and the times were compared with."""

    release: Share = Field(
        description="Where the side begins that ends an incident with rope_seen: below it with "
        "alert_when at_or_above, at or above it with below."
    )
    open_after_s: Seconds = Field(description="On the alert side for this long: start.")
    close_after_s: Seconds = Field(
        description="On the release side for this long, with scores from boxes that stand apart "
        "and no gap longer than max_evidence_age_s: end, rope_seen."
    )
    gone_after_s: Seconds = Field(
        description="Not seen for this long: end, person_gone. Outside the zones: left_zone."
    )
    max_evidence_age_s: Seconds = Field(description="Older evidence is unknown.")


class IncidentEvidence(Payload):
    """The reason trail: what the decision saw, and by what it was made."""

    trail: tuple[TrailPoint, ...] = Field(
        description="The newest frames with this person, oldest first: smoothing.window_s + "
        "decision.open_after_s, in an end since 1.6 + decision.close_after_s if that is longer; "
        "96 at most."
    )
    crop_ltwh_px: tuple[float, float, float, float] | None = Field(
        description="What the classifier looked at for the newest score."
    )
    tracks: tuple[TrackStart, ...] = Field(description="Track ids, oldest first.")
    crossed: tuple[int, ...] = Field(
        description="Persons whose box lay over this one's. Where the tracker swapped ids then, "
        "evidence from before may be theirs."
    )
    versions: dict[str, str] = Field(
        description="By what it was made: detector, classifier and config, as in the box's status."
    )
    rule: IncidentRule | None = Field(
        None, description="Since 1.6. What scores and times were compared with, beside threshold."
    )


class SnapshotReference(Payload):
    """The picture of the incident, a message of its own."""

    topic: str = Field(min_length=1, description="Where it was published, with QoS 1, unretained.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of that message's payload.")
    size_bytes: int = Field(ge=1, description="Of that message's payload.")
    size_wh_px: tuple[int, int] = Field(description="Width and height of the JPEG.")
    pts_ns: int = Field(description="Stream time of the frame that it shows.")


class Acknowledged(Payload):
    """Who looks after an incident."""

    by: str = Field(description="Sender of the command.")
    note: str = Field(description="In their words; may be empty.")
    at: Rfc3339 = Field(description="Wall time of the box.")


class IncidentData(Payload):
    """What happened, to whom, and what the verdict rests on."""

    incident_id: Name = Field(description="The same in start, updates and end.")
    phase: Phase
    revision: Number = Field(description="1 for the start, then one more with each message.")
    site: Name
    box: Name
    camera: Name
    boot_id: Name = Field(description="New with each start of the program.")
    sequence: Count = Field(description="Order of this box's messages since boot_id.")
    person: Number = Field(description="Number of the person, unique in camera and boot_id.")
    object_ids: tuple[str, ...] = Field(
        description="Track ids of the person, oldest first; decimal strings, since they have "
        "64 bits and a JSON number may lose some."
    )
    state: RopeState = Field(description="What is known now; unknown is not safe.")
    score_label: str = Field(description="Label whose probability the scores are.")
    alert_when: AlertWhen = Field(description="Which side of the threshold is unsafe.")
    threshold: Share
    score: Share = Field(description="Newest probability of score_label, of one frame.")
    smoothed: Share = Field(description="The same, smoothed over time; compared with threshold.")
    samples: Number = Field(description="Scores since the first on the alert side.")
    evidence_age_s: Seconds = Field(description="Age of the newest score, in stream time.")
    box_ltwh_px: tuple[float, float, float, float] = Field(
        description="Left, top, width, height of the person in the frame, or where last seen."
    )
    frame_wh_px: tuple[int, int] = Field(description="Width and height that boxes refer to.")
    pts_ns: int = Field(description="Stream time of this message's frame.")
    started_pts_ns: int = Field(description="Stream time of the start.")
    captured_at: Rfc3339 | None = Field(
        description="Wall time at which the frame reached the box's muxer, by the box's clock; "
        "null where there is none."
    )
    end_reason: EndReason | None = Field(description="Set in the end only.")
    duration_s: Seconds | None = Field(
        description="Stream time from start to end, in the end; with restart_recovery, to the "
        "incident's last message before the restart."
    )
    evidence: IncidentEvidence | None = Field(None, description="Since 1.1. The reason trail.")
    snapshot: SnapshotReference | None = Field(
        None,
        description="Since 1.1. The picture of the start, from the message on that follows it; "
        "null where there is none.",
    )
    acknowledged: Acknowledged | None = Field(
        None, description="Since 1.3. Who looks after it, from the message on that follows."
    )
    monotonic_ms: Milliseconds | None = Field(
        None,
        description="Since 1.2. Time of the decision by the box's monotonic clock, which nobody "
        "sets; with boot_id it tells which clock corrections apply.",
    )
    clock: Clock | None = Field(None, description="Since 1.2. The wall clock at the decision.")
    delivery: Delivery | None = Field(
        None, description="Since 1.1. Set when the message leaves the box."
    )

    @model_validator(mode="after")
    def _end_and_only_it_has_a_reason(self) -> Self:
        is_end = self.phase is Phase.END
        if is_end != (self.end_reason is not None) or is_end != (self.duration_s is not None):
            raise ValueError("end_reason and duration_s, want both in an end and in nothing else")
        return self


class Envelope(Payload):
    """CloudEvents envelope. `id` is the key for dropping duplicates."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    source: str
    type: str
    subject: str = Field(min_length=1)
    time: Rfc3339
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = Field(description="Exact version of the schema of data.")


class IncidentMessage(Envelope):
    """An incident starts, goes on or ends."""

    id: str = Field(min_length=1, description="box:boot_id:sequence")
    source: str = Field(pattern=r"^/[^/]+/[^/]+/[^/]+$", description="/site/box/camera")
    type: Literal[
        "io.ropewatch.incident.start.v1",
        "io.ropewatch.incident.update.v1",
        "io.ropewatch.incident.end.v1",
    ]
    subject: str = Field(min_length=1, description="The incident id.")
    time: Rfc3339 = Field(description="Wall time of the decision by the box's clock.")
    data: IncidentData


class ClockCorrection(Payload):
    """What earlier times of this run are worth, now that the clock was set or is known good."""

    site: Name
    box: Name
    boot_id: Name
    number: Number = Field(description="Of this run's corrections.")
    reason: CorrectionReason = Field(
        description="stepped: the clock was set. synced: it follows a time server from now on, "
        "and earlier times differ from that by offset_ms."
    )
    offset_ms: float = Field(
        allow_inf_nan=False,
        description="Add this to wall times of messages with this boot_id and a smaller "
        "monotonic_ms; where several corrections apply, add them all.",
    )
    monotonic_ms: Milliseconds = Field(description="From here on, times are by the new clock.")
    clock: Clock = Field(description="After the correction; only a synced clock is right.")
    delivery: Delivery | None = Field(None, description="Set when the message leaves the box.")


class ClockMessage(Envelope):
    """The box's wall clock was corrected. Since 1.2."""

    id: str = Field(min_length=1, description="box:boot_id:clock:number")
    source: str = Field(pattern=r"^/[^/]+/[^/]+$", description="/site/box")
    type: Literal["io.ropewatch.clock.correction.v1"] = "io.ropewatch.clock.correction.v1"
    subject: str = Field(min_length=1, description="boot_id")
    time: Rfc3339 = Field(description="Wall time by the corrected clock.")
    data: ClockCorrection


class BoxStatus(Payload):
    """Retained: whether the box watches, and what is wrong with it."""

    version: Version = SCHEMA_VERSION
    site: Name
    box: Name
    boot_id: Name
    status: Literal["online", "degraded", "offline"]
    reasons: tuple[str, ...] = Field(description="Why degraded or offline; empty when online.")
    time: Rfc3339 | None = Field(description="null in the will, which the broker sends.")
    backend: str | None = Field(description="deepstream or cpu; null in the will.")
    versions: dict[str, str] = Field(description="Name to version or digest.")
    counters: dict[str, Count] = Field(description="What was delivered, dropped and failed.")
    clock: Clock | None = Field(None, description="Since 1.2. null in the will.")


class CameraStatus(Payload):
    """Retained: whether a camera is watched."""

    version: Version = SCHEMA_VERSION
    site: Name
    box: Name
    camera: Name
    boot_id: Name
    status: Literal["watching", "blind"]
    reason: str | None = Field(
        pattern=r"^[a-z][a-z_]*$",
        description="Why blind, such as lost, failed or ended. Since 1.5 also overloaded, "
        "unjudged, too_small, dark, covered and frozen, since 1.6 moved, of cameras whose frames "
        "come: their incidents go on.",
    )
    time: Rfc3339

    @model_validator(mode="after")
    def _blind_and_only_it_has_a_reason(self) -> Self:
        if (self.status == "blind") != (self.reason is not None):
            raise ValueError("reason, want one for a blind camera and none for a watching one")
        return self


class StateCounts(Payload):
    """People in the newest frame by what is known of them."""

    safe: Count
    unsafe: Count
    unknown: Count
    unknown_lasting: Count = Field(
        0,
        description="Since 1.1. How many of the unknown have been so for longer than "
        "decision.unknown_after_s.",
    )


class CameraState(Payload):
    """Retained: what a new subscriber needs to know at once."""

    version: Version = SCHEMA_VERSION
    site: Name
    box: Name
    camera: Name
    boot_id: Name
    open_incidents: tuple[str, ...] = Field(description="Ids, oldest person first.")
    counts: StateCounts
    time: Rfc3339
