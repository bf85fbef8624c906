"""What a backend sees; every payload is also checked against the published schema."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ropewatch.decision import RopeState, Rule
from ropewatch.evidence import Evidence, TrackStart, TrailPoint
from ropewatch.incidents import EndReason, IncidentEvent, Phase, Snapshot
from ropewatch.moment import ClockSource, Correction, CorrectionReason, Moment
from ropewatch.payloads import SCHEMA_VERSION, IncidentData
from ropewatch.reading import parse_incident
from ropewatch.settings import AlertWhen
from ropewatch.wire import EXPIRY_MIN_S, Message, Wire, rfc3339, stamped

SCHEMAS = Path(__file__).parents[2] / "configs" / "schema"
WIRE = Wire(site="yard", box="box1", boot_id="01BOOT", versions={"config": "ab12"})
NOW_NS = 1_795_223_378_123_456_789
NOW = Moment(NOW_NS, 5_000_250_000, ClockSource.KERNEL, synced=False)
START = IncidentEvent(
    phase=Phase.START,
    incident_id="01INCIDENT",
    revision=1,
    source_id="cam1",
    person=3,
    object_ids=(7, 2**63),
    pts_ns=5_000_000_000,
    ntp_ns=1_700_000_000_000_000_000,
    box_ltwh_px=(10.5, 20, 30, 40),
    frame_wh_px=(1280, 720),
    score=0.9,
    smoothed=0.8,
    threshold=0.461,
    alert_when=AlertWhen.AT_OR_ABOVE,
    score_label="unclipped",
    state=RopeState.UNSAFE,
    samples=6,
    evidence_age_s=0,
    started_pts_ns=5_000_000_000,
    evidence=Evidence(
        trail=(TrailPoint(4_900_000_000, 0.8, 0.7), TrailPoint(5_000_000_000, None, 0.7)),
        crop_ltwh_px=(0, 12, 90, 108),
        tracks=(TrackStart(2**63, 4_000_000_000),),
        crossed=(5,),
        rule=Rule(
            alert_when=AlertWhen.AT_OR_ABOVE,
            threshold=0.461,
            release=0.4,
            open_after_ns=500_000_000,
            close_after_ns=2_000_000_000,
            max_evidence_age_ns=1_000_000_000,
            gone_after_ns=3_000_000_000,
        ),
    ),
)
END = replace(
    START,
    phase=Phase.END,
    revision=4,
    ntp_ns=None,
    state=RopeState.UNKNOWN,
    end_reason=EndReason.PERSON_GONE,
    duration_s=12.5,
)


def _checked(message: Message, schema: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(message.payload)
    jsonschema.Draft202012Validator(
        json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
    ).validate(content)
    return content


def test_incident_is_a_cloudevent_on_the_cameras_topic() -> None:
    message = WIRE.incident(START, sequence=41, now=NOW)

    content = _checked(message, "incident")
    assert message.topic == "ropewatch/v1/yard/box1/camera/cam1/incident"
    assert (message.qos, message.retain) == (1, False)
    assert (message.expiry_s, message.content_type) == (604_800, "application/cloudevents+json")
    data = content.pop("data")
    assert content == {
        "specversion": "1.0",
        "id": "box1:01BOOT:41",
        "source": "/yard/box1/cam1",
        "type": "io.ropewatch.incident.start.v1",
        "subject": "01INCIDENT",
        "time": "2026-11-21T01:09:38.123456Z",
        "datacontenttype": "application/json",
        "dataschema": f"urn:ropewatch:schema:incident:{SCHEMA_VERSION}",
    }
    assert data["object_ids"] == ["7", "9223372036854775808"]
    assert data["captured_at"] == "2023-11-14T22:13:20.000000Z"
    assert (data["alert_when"], data["threshold"], data["state"]) == (
        "at_or_above",
        0.461,
        "unsafe",
    )
    assert (data["end_reason"], data["duration_s"]) == (None, None)
    assert data["monotonic_ms"] == 5000.25
    assert data["clock"] == {"source": "kernel", "synced": False, "est_error_ms": None}


def test_incident_explains_itself() -> None:
    content = _checked(WIRE.incident(START, sequence=41, now=NOW), "incident")

    assert content["data"]["evidence"] == {
        "trail": [
            {"pts_ns": 4_900_000_000, "score": 0.8, "smoothed": 0.7},
            {"pts_ns": 5_000_000_000, "score": None, "smoothed": 0.7},
        ],
        "crop_ltwh_px": [0, 12, 90, 108],
        "tracks": [{"object_id": "9223372036854775808", "since_pts_ns": 4_000_000_000}],
        "crossed": [5],
        "versions": {"config": "ab12"},
        "rule": {
            "release": 0.4,
            "open_after_s": 0.5,
            "close_after_s": 2.0,
            "gone_after_s": 3.0,
            "max_evidence_age_s": 1.0,
        },
    }


def test_a_snapshot_is_a_jpeg_on_the_incidents_own_topic_and_is_not_retained() -> None:
    message = WIRE.snapshot("cam1", "01INCIDENT", b"jpeg")

    assert message == Message(
        topic="ropewatch/v1/yard/box1/camera/cam1/snapshot/01INCIDENT",
        payload=b"jpeg",
        qos=1,
        retain=False,
        expiry_s=24 * 3600,
        content_type="image/jpeg",
    )


def test_an_update_tells_where_the_snapshot_is_and_its_digest() -> None:
    snapshot = Snapshot("0f" * 32, 4321, (1280, 720), 5_000_000_000)
    update = replace(START, phase=Phase.UPDATE, revision=2, snapshot=snapshot)

    content = _checked(WIRE.incident(update, sequence=42, now=NOW), "incident")

    assert content["data"]["snapshot"] == {
        "topic": WIRE.snapshot("cam1", "01INCIDENT", b"").topic,
        "sha256": "0f" * 32,
        "size_bytes": 4321,
        "size_wh_px": [1280, 720],
        "pts_ns": 5_000_000_000,
    }


def test_end_carries_reason_and_duration() -> None:
    content = _checked(WIRE.incident(END, sequence=42, now=NOW), "incident")

    assert content["type"] == "io.ropewatch.incident.end.v1"
    assert content["data"]["end_reason"] == "person_gone"
    assert content["data"]["duration_s"] == 12.5
    assert content["data"]["captured_at"] is None


@pytest.mark.parametrize("event", [START, END])
def test_incident_is_read_back_as_it_was_sent(event: IncidentEvent) -> None:
    message = parse_incident(WIRE.incident(event, sequence=41, now=NOW).payload)

    assert message.data.phase is event.phase
    assert message.data.state is event.state
    assert message.data.box_ltwh_px == event.box_ltwh_px
    assert message.data.end_reason is event.end_reason
    assert message.data.sequence == 41


def test_consumer_passes_over_fields_of_a_later_minor_version() -> None:
    content = json.loads(WIRE.incident(START, sequence=1, now=NOW).payload)
    content["traceparent"] = "00-01"
    content["data"]["severity"] = "high"
    content["data"]["evidence"]["trail"][0]["quality"] = 0.5
    content["data"]["delivery"] = {
        "published_at": rfc3339(NOW_NS),
        "queued_ms": 4,
        "late": False,
        "attempt": 2,
    }

    assert parse_incident(json.dumps(content).encode()).data.person == 3


def test_consumer_reads_a_box_of_an_earlier_minor_version() -> None:
    content = json.loads(WIRE.incident(START, sequence=1, now=NOW).payload)
    del content["data"]["delivery"]

    assert parse_incident(json.dumps(content).encode()).data.delivery is None


def test_a_message_that_waited_says_so_and_keeps_the_rest_of_its_expiry() -> None:
    message = WIRE.incident(START, sequence=41, now=NOW)

    sent = stamped(message, queued_ns=90_500_000_000, published_ns=NOW_NS, late=True)

    content = _checked(sent, "incident")
    assert sent.expiry_s == 604_800 - 90
    assert content["data"].pop("delivery") == {
        "published_at": "2026-11-21T01:09:38.123456Z",
        "queued_ms": 90_500,
        "late": True,
    }
    before = json.loads(message.payload)
    assert before["data"].pop("delivery") is None
    assert content == before


def test_a_message_that_waited_for_longer_than_its_expiry_still_reaches_subscribers() -> None:
    message = WIRE.incident(START, sequence=41, now=NOW)

    sent = stamped(message, queued_ns=700_000 * 10**9, published_ns=NOW_NS, late=True)

    assert sent.expiry_s == EXPIRY_MIN_S


def test_a_status_is_sent_as_it_was_made() -> None:
    message = WIRE.will()

    assert stamped(message, queued_ns=5, published_ns=NOW_NS, late=False) == message


def test_a_later_run_ends_what_an_earlier_one_has_left_open() -> None:
    last = WIRE.incident(
        replace(START, phase=Phase.UPDATE, revision=3, pts_ns=9_000_000_000),
        sequence=7,
        now=NOW,
    )
    next_run = Wire(site="yard", box="box1", boot_id="02BOOT")
    later = replace(NOW, unix_ns=NOW_NS + 10**9, synced=True)

    message = next_run.recovered_end(last.payload, sequence=1, now=later)

    content = _checked(message, "incident")
    data = content["data"]
    assert (message.topic, message.expiry_s) == (last.topic, last.expiry_s)
    assert (content["id"], content["subject"]) == ("box1:02BOOT:1", "01INCIDENT")
    assert content["type"] == "io.ropewatch.incident.end.v1"
    assert (data["phase"], data["revision"], data["sequence"]) == ("end", 4, 1)
    assert (data["end_reason"], data["duration_s"]) == ("restart_recovery", 4.0)
    assert (data["state"], data["captured_at"]) == ("unknown", None)
    assert (data["person"], data["smoothed"]) == (3, 0.8)
    assert data["clock"]["synced"] is True


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"{", r"incident: not JSON"),
        (b"[]", r"incident: : \[\]: Input should be"),
        (b'{"specversion": "0.3"}', r"incident: specversion: '0.3'"),
    ],
)
def test_payload_that_is_no_incident_is_named(payload: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_incident(payload)


def test_payload_refuses_fields_that_the_contract_does_not_name() -> None:
    content = json.loads(WIRE.incident(START, sequence=1, now=NOW).payload)["data"]

    with pytest.raises(ValueError, match="severity"):
        IncidentData.model_validate({**content, "severity": "high"})
    with pytest.raises(ValueError, match="want both in an end and in nothing else"):
        IncidentData.model_validate({**content, "duration_s": 3})


def test_status_is_retained_and_the_will_says_offline_with_the_same_boot_id() -> None:
    status = WIRE.status(
        "degraded",
        now=NOW,
        backend="cpu",
        reasons=["camera cam1 lost"],
        counters={"dropped_updates": 2},
        versions={"ropewatch": "0.1.0"},
    )
    will = WIRE.will()

    content, last = _checked(status, "status"), _checked(will, "status")
    assert status.topic == will.topic == "ropewatch/v1/yard/box1/status"
    assert all((m.qos, m.retain, m.expiry_s) == (1, True, None) for m in (status, will))
    assert (content["status"], content["reasons"]) == ("degraded", ["camera cam1 lost"])
    assert content["counters"] == {"dropped_updates": 2}
    assert (last["status"], last["time"]) == ("offline", None)
    assert (content["clock"]["synced"], last["clock"]) == (False, None)
    assert last["boot_id"] == content["boot_id"] == "01BOOT"


def test_a_clock_correction_says_what_to_add_to_earlier_times() -> None:
    right = Moment(NOW_NS, 9_000_500_000, ClockSource.KERNEL, synced=True, est_error_ms=1.5)
    correction = Correction(CorrectionReason.STEPPED, -3_600_000_500_000, right)

    message = WIRE.clock_correction(correction, number=2)

    content = _checked(message, "clock")
    assert message.topic == "ropewatch/v1/yard/box1/clock"
    assert (message.qos, message.retain, message.expiry_s) == (1, False, 604_800)
    assert (content["id"], content["source"]) == ("box1:01BOOT:clock:2", "/yard/box1")
    assert content["time"] == "2026-11-21T01:09:38.123456Z"
    assert content["data"] == {
        "site": "yard",
        "box": "box1",
        "boot_id": "01BOOT",
        "number": 2,
        "reason": "stepped",
        "offset_ms": -3_600_000.5,
        "monotonic_ms": 9000.5,
        "clock": {"source": "kernel", "synced": True, "est_error_ms": 1.5},
        "delivery": None,
    }


@pytest.mark.parametrize(("blind", "status"), [(None, "watching"), ("lost", "blind")])
def test_camera_status_says_watching_or_why_blind(blind: str | None, status: str) -> None:
    message = WIRE.camera_status("cam1", now=NOW, blind=blind)

    content = _checked(message, "camera_status")
    assert message.topic == "ropewatch/v1/yard/box1/camera/cam1/status"
    assert message.retain
    assert (content["status"], content["reason"]) == (status, blind)


def test_camera_state_holds_what_a_new_subscriber_needs() -> None:
    message = WIRE.camera_state(
        "cam1",
        now=NOW,
        open_incidents=["01A"],
        safe=2,
        unsafe=1,
        unknown=1,
        unknown_lasting=1,
    )

    content = _checked(message, "camera_state")
    assert message.topic == "ropewatch/v1/yard/box1/camera/cam1/state"
    assert message.retain
    assert content["open_incidents"] == ["01A"]
    assert content["counts"] == {
        "safe": 2,
        "unsafe": 1,
        "unknown": 1,
        "unknown_lasting": 1,
    }


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_999, "1970-01-01T00:00:00.000001Z"),
        (253_402_300_799_999_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_rfc3339_cuts_to_microseconds(time_ns: int, text: str) -> None:
    assert rfc3339(time_ns) == text
