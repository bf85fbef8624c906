"""From decisions to MQTT messages. Knows no MQTT library, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Literal

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from ropewatch.commands import Answer
from ropewatch.decision import NS_PER_S, RopeState, Rule
from ropewatch.envelope import envelope_of
from ropewatch.evidence import Evidence
from ropewatch.incidents import Acknowledgement, EndReason, IncidentEvent, Phase, Snapshot
from ropewatch.moment import Correction, Moment
from ropewatch.payloads import (
    SCHEMA_VERSION,
    Acknowledged,
    BoxStatus,
    CameraState,
    CameraStatus,
    Clock,
    ClockCorrection,
    ClockMessage,
    Delivery,
    IncidentData,
    IncidentEvidence,
    IncidentMessage,
    IncidentRule,
    SnapshotReference,
    StateCounts,
    TrackStart,
    TrailPoint,
)
from ropewatch.reading import parse_incident
from ropewatch.telemetry_payloads import Telemetry
from ropewatch.topics import (
    ANSWER,
    CAMERA_STATE,
    CAMERA_STATUS,
    CLOCK,
    CLOUDEVENTS_JSON,
    INCIDENT,
    SNAPSHOT,
    STATUS,
    TELEMETRY,
    Topic,
)

# A message that has waited longer than it was to live still reaches who is subscribed now.
EXPIRY_MIN_S = 60
NS_PER_MS = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Message:
    """One message for the broker.

    Attributes:
        topic: in full.
        payload: UTF-8 JSON, or a JPEG.
        qos: 0, 1 or 2.
        retain: kept by the broker for new subscribers.
        expiry_s: the broker forgets it after this long; None never.
        content_type: MQTT 5 property.
        correlation: MQTT 5 property of an answer: what its question had.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    content_type: str
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """Makes the messages of one box.

    Attributes:
        site: the site's name.
        box: the box's name.
        boot_id: new with each start of the program; orders messages together with `sequence`.
        versions: what the decisions are made by, models and settings, by name.
    """

    site: str
    box: str
    boot_id: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def incident(self, event: IncidentEvent, *, sequence: int, now: Moment) -> Message:
        """Tell a start, an update or an end.

        Args:
            event: what happened.
            sequence: one more than that of this box's incident message before.
            now: moment of the decision.
        """
        return self._envelope(self._data(event, sequence, now), now)

    def snapshot(self, camera: str, incident_id: str, jpeg: bytes) -> Message:
        """Send the picture of an incident; `incident` tells its digest."""
        return self._message(SNAPSHOT, jpeg, camera=camera, incident_id=incident_id)

    def telemetry(self, payload: Telemetry) -> Message:
        """Tell what the box has measured of itself."""
        return self._message(TELEMETRY, payload)

    def clock_correction(self, correction: Correction, *, number: int) -> Message:
        """Tell that the wall clock was set or is known good, and what that means for times so far.

        Args:
            correction: what happened.
            number: one more than that of this run's correction before, from 1 on.
        """
        now = correction.moment
        data = ClockCorrection(
            site=self.site,
            box=self.box,
            boot_id=self.boot_id,
            number=number,
            reason=correction.reason,
            offset_ms=correction.offset_ns / NS_PER_MS,
            monotonic_ms=now.monotonic_ns / NS_PER_MS,
            clock=_clock(now),
        )
        envelope = ClockMessage.model_validate(
            {
                **envelope_of(data),
                "time": rfc3339(now.unix_ns),
                "dataschema": f"urn:ropewatch:schema:clock:{SCHEMA_VERSION}",
                "data": data,
            }
        )
        return self._message(CLOCK, envelope)

    def answer(self, answer: Answer) -> Message:
        """Answer a command."""
        return self._message(ANSWER, answer, sender=answer.sender)

    def recovered_end(self, last: bytes, *, sequence: int, now: Moment) -> Message:
        """End an incident that an earlier run of this box has left open.

        Args:
            last: payload of the newest message that run has committed about it.
            sequence: of this run, as in `incident`.
            now: this moment.

        Raises:
            ValueError: `last` is no incident message.
        """
        before = parse_incident(last).data
        data = before.model_copy(
            update={
                "phase": Phase.END,
                "revision": before.revision + 1,
                "site": self.site,
                "box": self.box,
                "boot_id": self.boot_id,
                "sequence": sequence,
                # Nobody has watched since.
                "state": RopeState.UNKNOWN,
                "captured_at": None,
                "end_reason": EndReason.RESTART_RECOVERY,
                "duration_s": max(before.pts_ns - before.started_pts_ns, 0) / 1e9,
                "monotonic_ms": now.monotonic_ns / NS_PER_MS,
                "clock": _clock(now),
                "delivery": None,
            }
        )
        return self._envelope(data, now)

    def _envelope(self, data: IncidentData, now: Moment) -> Message:
        envelope = IncidentMessage.model_validate(
            {
                **envelope_of(data),
                "time": rfc3339(now.unix_ns),
                "dataschema": f"urn:ropewatch:schema:incident:{SCHEMA_VERSION}",
                "data": data,
            }
        )
        return self._message(INCIDENT, envelope, camera=data.camera)

    def _message(self, topic: Topic, content: BaseModel | bytes, **names: str) -> Message:
        return Message(
            topic=self._topic(topic, **names),
            payload=content if isinstance(content, bytes) else content.model_dump_json().encode(),
            qos=topic.qos,
            retain=topic.retain,
            expiry_s=topic.expiry_s,
            content_type=topic.content_type,
        )

    def _topic(self, topic: Topic, **names: str) -> str:
        return topic.of(site=self.site, box=self.box, **names)

    def _data(self, event: IncidentEvent, sequence: int, now: Moment) -> IncidentData:
        return IncidentData(
            incident_id=event.incident_id,
            phase=event.phase,
            revision=event.revision,
            site=self.site,
            box=self.box,
            camera=event.source_id,
            boot_id=self.boot_id,
            sequence=sequence,
            person=event.person,
            object_ids=tuple(str(object_id) for object_id in event.object_ids),
            state=event.state,
            score_label=event.score_label,
            alert_when=event.alert_when,
            threshold=event.threshold,
            score=event.score,
            smoothed=event.smoothed,
            samples=event.samples,
            evidence_age_s=event.evidence_age_s,
            box_ltwh_px=event.box_ltwh_px,
            frame_wh_px=event.frame_wh_px,
            pts_ns=event.pts_ns,
            started_pts_ns=event.started_pts_ns,
            captured_at=None if event.ntp_ns is None else rfc3339(event.ntp_ns),
            end_reason=event.end_reason,
            duration_s=event.duration_s,
            evidence=None if event.evidence is None else self._evidence(event.evidence),
            snapshot=None if event.snapshot is None else self._reference(event, event.snapshot),
            acknowledged=_acknowledged(event.acknowledged),
            monotonic_ms=now.monotonic_ns / NS_PER_MS,
            clock=_clock(now),
        )

    def _reference(self, event: IncidentEvent, snapshot: Snapshot) -> SnapshotReference:
        return SnapshotReference(
            topic=self._topic(SNAPSHOT, camera=event.source_id, incident_id=event.incident_id),
            sha256=snapshot.sha256,
            size_bytes=snapshot.size_bytes,
            size_wh_px=snapshot.size_wh_px,
            pts_ns=snapshot.pts_ns,
        )

    def _evidence(self, evidence: Evidence) -> IncidentEvidence:
        return IncidentEvidence(
            trail=tuple(TrailPoint(**asdict(point)) for point in evidence.trail),
            crop_ltwh_px=evidence.crop_ltwh_px,
            tracks=tuple(
                TrackStart(object_id=str(track.object_id), since_pts_ns=track.since_pts_ns)
                for track in evidence.tracks
            ),
            crossed=evidence.crossed,
            versions=dict(self.versions),
            rule=None if evidence.rule is None else _rule(evidence.rule),
        )

    def status(
        self,
        status: Literal["online", "degraded", "offline"],
        *,
        now: Moment,
        backend: str,
        reasons: Sequence[str] = (),
        counters: Mapping[str, int] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Message:
        """Say how the box is; offline at an orderly stop."""
        payload = BoxStatus(
            site=self.site,
            box=self.box,
            boot_id=self.boot_id,
            status=status,
            reasons=tuple(reasons),
            time=rfc3339(now.unix_ns),
            backend=backend,
            versions=dict(versions or {}),
            counters=dict(counters or {}),
            clock=_clock(now),
        )
        return self._message(STATUS, payload)

    def will(self) -> Message:
        """Return what the broker says when the box vanishes."""
        payload = BoxStatus(
            site=self.site,
            box=self.box,
            boot_id=self.boot_id,
            status="offline",
            reasons=("connection lost",),
            time=None,
            backend=None,
            versions={},
            counters={},
        )
        return self._message(STATUS, payload)

    def camera_status(self, camera: str, *, now: Moment, blind: str | None = None) -> Message:
        """Say that a camera is watched, or blind for the reason given."""
        payload = CameraStatus(
            site=self.site,
            box=self.box,
            camera=camera,
            boot_id=self.boot_id,
            status="watching" if blind is None else "blind",
            reason=blind,
            time=rfc3339(now.unix_ns),
        )
        return self._message(CAMERA_STATUS, payload, camera=camera)

    def camera_state(
        self,
        camera: str,
        *,
        now: Moment,
        open_incidents: Sequence[str],
        safe: int,
        unsafe: int,
        unknown: int,
        unknown_lasting: int = 0,
    ) -> Message:
        """Tell what is open and how many people are safe, unsafe and unknown."""
        payload = CameraState(
            site=self.site,
            box=self.box,
            camera=camera,
            boot_id=self.boot_id,
            open_incidents=tuple(open_incidents),
            counts=StateCounts(
                safe=safe, unsafe=unsafe, unknown=unknown, unknown_lasting=unknown_lasting
            ),
            time=rfc3339(now.unix_ns),
        )
        return self._message(CAMERA_STATE, payload, camera=camera)


def _rule(rule: Rule) -> IncidentRule:
    return IncidentRule(
        release=rule.release,
        open_after_s=rule.open_after_ns / NS_PER_S,
        close_after_s=rule.close_after_ns / NS_PER_S,
        gone_after_s=rule.gone_after_ns / NS_PER_S,
        max_evidence_age_s=rule.max_evidence_age_ns / NS_PER_S,
    )


def _clock(now: Moment) -> Clock:
    return Clock(source=now.source, synced=now.synced, est_error_ms=now.est_error_ms)


def _acknowledged(found: Acknowledgement | None) -> Acknowledged | None:
    if found is None:
        return None
    return Acknowledged(by=found.by, note=found.note, at=rfc3339(found.unix_ns))


def rfc3339(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC, cut to microseconds."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamped(message: Message, *, queued_ns: int, published_ns: int, late: bool) -> Message:
    """Return a message as it is to be sent after it has waited.

    What is left of its expiry goes with it, and an incident says how it was delivered.

    Args:
        message: as it was made.
        queued_ns: how long it has waited.
        published_ns: Unix time of now.
        late: too late to act on at once.

    Raises:
        ValueError: an incident whose payload is none.
    """
    expiry_s, payload = message.expiry_s, message.payload
    if expiry_s is not None:
        expiry_s = max(expiry_s - queued_ns // 10**9, min(expiry_s, EXPIRY_MIN_S))
    if message.content_type == CLOUDEVENTS_JSON:
        content = from_json(payload)
        if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
            raise ValueError("no data in it")
        content["data"]["delivery"] = Delivery(
            published_at=rfc3339(published_ns), queued_ms=queued_ns // NS_PER_MS, late=late
        )
        payload = to_json(content)
    return replace(message, payload=payload, expiry_s=expiry_s)
