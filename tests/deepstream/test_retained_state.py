"""Who subscribes late, to a real mosquitto, needs nothing but what is retained."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from deepstream.dispatcher import Decided
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from deepstream.reporter import Reporter
from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.incidents import Phase
from ropewatch.monitor import FrameResult
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.observations import FrameObservation
from ropewatch.payloads import CameraState
from ropewatch.reading import parse
from ropewatch.topics import CAMERA_STATE
from ropewatch.wire import Wire
from tests.incident_events import incident_event
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.broker

CAMERAS = ("gate", "roof", "yard")


class Box:
    """What decides at random, and the real parts that tell of it."""

    def __init__(self, broker: PrivateBroker, folder: Path) -> None:
        mqtt = MqttSettings(host=broker.host, port=broker.port, require_broker=True)
        self.outbox = Outbox(folder, mqtt.outbox)
        wire = Wire("site", "box", self.outbox.boot_id)
        self.publisher = Publisher(mqtt, self.outbox, client_id="ropewatch-test", will=wire.will())
        self.reporter = Reporter(wire, self.outbox, backend="cpu", versions={}, status_every_s=1e9)
        self.open: dict[str, dict[str, int]] = {camera: {} for camera in CAMERAS}
        self.frames = 0
        self.publisher.start()
        self.reporter.hello(CAMERAS)

    def decide(self, rng: random.Random) -> None:
        camera = rng.choice(CAMERAS)
        open_here = self.open[camera]
        self.frames += 1
        incident_id, phase, revision = f"{self.outbox.boot_id}-{self.frames}", Phase.START, 1
        if open_here and rng.random() < 0.6:
            incident_id = rng.choice(list(open_here))
            phase, revision = rng.choice([Phase.UPDATE, Phase.END]), open_here[incident_id] + 1
        open_here[incident_id] = revision
        if phase is Phase.END:
            del open_here[incident_id]
        event = replace(incident_event(incident_id, phase, revision), source_id=camera)
        frame = FrameObservation(camera, self.frames, self.frames, None, (640, 360), True, ())
        self.reporter.take(Decided(camera, (frame, FrameResult((), (event,))), (event,)))

    def leave(self) -> None:
        self.publisher.stop()
        self.outbox.close()


def retained(broker: PrivateBroker) -> dict[str, list[str]]:
    """Return what a subscriber who has heard nothing before is told to be open."""
    found = {}
    with Subscriber(broker.host, broker.port, (CAMERA_STATE.filter,)) as inbox:
        for received in inbox.messages(TIMEOUT_S):
            state = parse(received.topic, received.payload)
            assert isinstance(state, CameraState)
            assert received.retained
            found[state.camera] = sorted(state.open_incidents)
            if len(found) == len(CAMERAS):
                break
    return found


def test_the_retained_states_are_exactly_what_is_open(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    rng = random.Random(7)
    box = Box(broker, tmp_path)

    for _ in range(8):
        for _ in range(rng.randrange(1, 25)):
            box.decide(rng)
        assert box.outbox.drain(TIMEOUT_S) == 0
        assert retained(broker) == {camera: sorted(box.open[camera]) for camera in CAMERAS}
    box.leave()

    # The next run ends what this one has left open.
    after = Box(broker, tmp_path)
    assert after.outbox.drain(TIMEOUT_S) == 0
    assert any(box.open.values())
    assert retained(broker) == {camera: [] for camera in CAMERAS}
    after.leave()
