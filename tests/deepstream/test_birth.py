"""Home Assistant starts beside a box, on a real broker."""

import json
from pathlib import Path

import pytest

from deepstream.birth import Birth
from deepstream.reporter import Reporter
from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.wire import Wire
from tests.deepstream.posts import publishing
from tests.publishing import publish

BIRTH = "homeassistant/status"


@pytest.mark.broker
def test_discovery_and_states_are_said_anew_when_home_assistant_starts(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    wire = Wire(site="s", box="b", boot_id="boot")
    with publishing(broker, tmp_path, start=False) as (publisher, outbox):
        publisher.listen(Birth(BIRTH, outbox))
        reporter = Reporter(
            wire,
            outbox,
            backend="cpu",
            versions={},
            status_every_s=30,
            discovery_prefix="homeassistant",
        )
        reporter.hello(["cam"])
        reporter.camera_status("cam", None)
        reporter.box_status((), {})
        publisher.start()
        assert outbox.drain(5.0) == 0

        filters = ("homeassistant/device/#", "ropewatch/v1/#")
        with Subscriber(broker.host, broker.port, filters) as inbox:
            kept = list(inbox.messages(0.5))
            publish(broker.host, broker.port, [(BIRTH, b"offline")])
            ignored = list(inbox.messages(0.5))
            publish(broker.host, broker.port, [(BIRTH, b"online")])
            told = list(inbox.messages(0.5))

    topics = {
        "homeassistant/device/ropewatch__s__b/cam/config",
        "ropewatch/v1/s/b/status",
        "ropewatch/v1/s/b/camera/cam/status",
        "ropewatch/v1/s/b/camera/cam/state",
    }
    assert {message.topic for message in kept} == topics
    assert all(message.retained for message in kept)
    assert ignored == []
    assert sorted(message.topic for message in told) == sorted(topics)
    (config,) = [json.loads(m.payload) for m in told if m.topic.startswith("homeassistant/")]
    assert {each["topic"] for each in config["availability"]} <= topics
    assert config["state_topic"] in topics
