"""What Home Assistant is told, held against the fields that its documentation names.

https://www.home-assistant.io/integrations/mqtt/, /integrations/binary_sensor.mqtt/ and
/integrations/sensor.mqtt/. Its templates are Jinja's, and are rendered with Jinja here; Home
Assistant itself was not run.
"""

import json
import re
from typing import Any

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ropewatch.home_assistant import discovery
from ropewatch.moment import Moment
from ropewatch.topics import topic_of
from ropewatch.wire import Message, Wire

DEVICE_DISCOVERY = {
    "device",
    "origin",
    "components",
    "state_topic",
    "command_topic",
    "qos",
    "encoding",
    "availability",
    "availability_mode",
}
_DEVICE = (
    "configuration_url connections hw_version identifiers manufacturer model model_id name "
    "serial_number suggested_area sw_version via_device"
)
_ENTITY = (
    "platform unique_id name device_class value_template json_attributes_topic "
    "json_attributes_template enabled_by_default entity_category expire_after force_update icon "
    "default_entity_id payload_on payload_off off_delay state_class unit_of_measurement"
)
DEVICE, ENTITY = set(_DEVICE.split()), set(_ENTITY.split())
TOPIC = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")
WIRE = Wire(site="north_tower", box="box-1", boot_id="01BOOT")
NOW = Moment(1_800_000_000_000_000_000, 0)


def _told(wire: Wire = WIRE, camera: str = "gate") -> tuple[Message, dict[str, Any]]:
    message = discovery(wire, camera, prefix="homeassistant", version="0.1.0")
    content: dict[str, Any] = json.loads(message.payload)
    return message, content


def _render(template: str, message: Message) -> str:
    return _render_payload(template, message.payload)


def _render_payload(template: str, payload: bytes) -> str:
    """Render as Home Assistant does: `value_json` is there when the payload is JSON."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    try:
        known = {"value_json": json.loads(payload)}
    except ValueError:
        known = {}
    return environment.from_string(template).render(known).strip()


def _state(*open_incidents: str, safe: int = 0, unsafe: int = 0, unknown: int = 0) -> Message:
    return WIRE.camera_state(
        "gate",
        now=NOW,
        open_incidents=open_incidents,
        safe=safe,
        unsafe=unsafe,
        unknown=unknown,
    )


def test_only_documented_fields_are_told_and_those_that_are_required_are() -> None:
    message, content = _told()

    assert TOPIC.fullmatch(message.topic)
    assert (message.qos, message.retain, message.expiry_s) == (1, True, None)
    assert set(content) <= DEVICE_DISCOVERY
    assert set(content["device"]) <= DEVICE
    assert content["device"]["identifiers"] == ["ropewatch/north_tower/box-1/gate"]
    assert set(content["origin"]) <= {"name", "sw_version", "support_url"}
    assert content["origin"]["name"]
    assert content["availability_mode"] in {"all", "any", "latest"}
    for each in content["availability"]:
        assert set(each) == {"topic", "value_template"}
    for component in content["components"].values():
        assert set(component) <= ENTITY
        assert {"platform", "unique_id"} <= set(component)


def test_every_topic_that_is_told_is_one_of_ours() -> None:
    _, content = _told()

    topics = [content["state_topic"], *(each["topic"] for each in content["availability"])]
    topics.append(content["components"]["problem"]["json_attributes_topic"])
    assert [found.name for topic in topics if (found := topic_of(topic)) is not None] == [
        "camera_state",
        "status",
        "camera_status",
        "camera_state",
    ]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (_state(), "OFF"),
        (_state(safe=3), "OFF"),
        (_state(safe=3, unknown=1), "None"),
        (_state(safe=3, unknown=1, unsafe=1), "ON"),
        (_state("01INCIDENT", unknown=1), "ON"),
        (_state("01INCIDENT"), "ON"),
    ],
)
def test_the_sensor_is_off_only_when_everybody_is_known_to_be_safe(
    state: Message, shown: str
) -> None:
    _, content = _told()

    problem = content["components"]["problem"]
    assert (problem["platform"], problem["device_class"]) == ("binary_sensor", "problem")
    assert _render(problem["value_template"], state) == shown


def test_counts_are_those_of_the_state() -> None:
    _, content = _told()
    state = _state(safe=3, unsafe=1, unknown=2)

    shown = {
        name: _render(component["value_template"], state)
        for name, component in content["components"].items()
        if component["platform"] == "sensor"
    }

    assert shown == {"safe": "3", "unsafe": "1", "unknown": "2"}


@pytest.mark.parametrize(
    ("status", "blind", "shown"),
    [
        ("online", None, ["online", "online"]),
        ("degraded", None, ["online", "online"]),
        ("degraded", "lost", ["online", "offline"]),
        ("degraded", "overloaded", ["online", "online"]),
        ("degraded", "unjudged", ["online", "online"]),
        ("degraded", "too_small", ["online", "online"]),
        ("degraded", "moved", ["online", "offline"]),
        ("offline", None, ["offline", "online"]),
    ],
)
def test_a_camera_is_available_while_it_sees_and_its_box_runs(
    status: Any, blind: str | None, shown: list[str]
) -> None:
    _, content = _told()
    messages = [
        WIRE.status(status, now=NOW, backend="cpu"),
        WIRE.camera_status("gate", now=NOW, blind=blind),
    ]

    rendered = [
        _render(each["value_template"], message)
        for each, message in zip(content["availability"], messages, strict=True)
    ]

    assert rendered == shown


def test_the_will_makes_every_camera_unavailable() -> None:
    _, content = _told()

    assert _render(content["availability"][0]["value_template"], WIRE.will()) == "offline"


UNREADABLE = (
    b"",
    b"no JSON",
    b"null",
    b"7",
    b'"online"',
    b"[]",
    b"{}",
    b'{"counts": 3, "open_incidents": [], "status": 1, "reason": null}',
    b'{"counts": {"safe": 1}, "open_incidents": []}',
    b'{"counts": {"unsafe": 0, "unknown": 0}}',
    b'{"counts": {"unsafe": null, "unknown": 0}, "open_incidents": []}',
    b'{"status": "stopping", "reason": "other"}',
)


@pytest.mark.parametrize("payload", UNREADABLE)
def test_what_cannot_be_read_is_neither_off_nor_available(payload: bytes) -> None:
    _, content = _told()

    assert [
        _render_payload(each["value_template"], payload) for each in content["availability"]
    ] == [
        "offline",
        "offline",
    ]
    problem = content["components"]["problem"]["value_template"]
    assert _render_payload(problem, payload) == "None"


@pytest.mark.parametrize("payload", UNREADABLE[:8])
def test_counts_that_cannot_be_read_are_unknown(payload: bytes) -> None:
    _, content = _told()

    for name in ("safe", "unsafe", "unknown"):
        assert _render_payload(content["components"][name]["value_template"], payload) == "None"


def test_no_two_cameras_share_a_topic_or_an_id() -> None:
    names = ["a", "a_", "a__b", "b", "a_u", "a-b", "a__"]
    wires = [Wire(site=site, box=box, boot_id="x") for site in names for box in names]

    told = [_told(wire, camera) for wire in wires for camera in names]

    assert len({message.topic for message, _ in told}) == len(told)
    ids = [each["unique_id"] for _, told_of in told for each in told_of["components"].values()]
    assert len(set(ids)) == len(ids)
