"""One table for code and documents."""

import re
from pathlib import Path

import pytest

from ropewatch.payloads import BoxStatus
from ropewatch.reading import parse
from ropewatch.topics import INCIDENT, SNAPSHOT, STATUS, TOPICS, Topic, client_id, topic_of
from ropewatch.wire import Wire

DOCUMENT = Path(__file__).parents[2] / "docs" / "mqtt.md"
_EXPIRY = {None: "never", 30: "30 s", 60: "60 s", 24 * 3600: "1 day", 7 * 24 * 3600: "7 days"}


def _row(topic: Topic) -> str:
    address = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), topic.address)
    address = address.replace("INCIDENT_ID", "INCIDENT")
    retained = "yes" if topic.retain else "no"
    return f"| `{address}` | {topic.what} | {topic.qos} | {retained} | {_EXPIRY[topic.expiry_s]} |"


def test_the_document_has_the_table_of_the_code() -> None:
    rows = [row for row in DOCUMENT.read_text().splitlines() if row.startswith("| `ropewatch/v")]

    assert rows == [_row(topic) for topic in TOPICS]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_known_by_its_text(topic: Topic) -> None:
    names = {"site": "yard", "box": "b-1", "camera": "cam_1", "incident_id": "01K"}
    names["sender"] = "me"

    assert topic_of(topic.of(**names)) is topic
    assert topic.filter.count("+") == topic.address.count("{")


@pytest.mark.parametrize(
    "text",
    [
        "ropewatch/v2/yard/box/status",
        "ropewatch/v1/yard/box/status/x",
        "ropewatch/v1/yard/box/camera/a b/incident",
        "ropewatch/v1/+/box/status",
    ],
)
def test_other_topics_are_nobody_s(text: str) -> None:
    assert topic_of(text) is None
    assert parse(text, b"{}") is None


def test_a_message_is_read_by_its_topic() -> None:
    will = Wire(site="yard", box="box", boot_id="01BOOT").will()

    status = parse(will.topic, will.payload)

    assert isinstance(status, BoxStatus)
    assert status.status == "offline"
    with pytest.raises(ValueError, match=r"status: not JSON"):
        parse(STATUS.of(site="a", box="b"), b"{")
    with pytest.raises(ValueError, match=r"incident: : \[\]"):
        parse(INCIDENT.of(site="a", box="b", camera="c"), b"[]")
    picture = SNAPSHOT.of(site="a", box="b", camera="c", incident_id="01I")
    assert parse(picture, b"\xff\xd8") is None


def test_no_two_boxes_have_the_same_client_id() -> None:
    assert client_id("a-b", "c") != client_id("a", "b-c")
