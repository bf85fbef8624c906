"""Messages and outboxes for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from demo.broker import PrivateBroker
from ropewatch.incidents import Phase
from ropewatch.moment import Moment
from ropewatch.mqtt_settings import MqttSettings, OutboxSettings
from ropewatch.wire import Message, Wire
from tests.deepstream.canned_broker import CannedBroker
from tests.incident_events import incident_event

WILL = Message("box/status", b'{"status":"offline"}', 1, True, None, "application/json")


class Time:
    """Both clocks, to turn by hand."""

    def __init__(self, unix_s: int = 1_800_000_000) -> None:
        self.now_s = 100.0
        self.unix_s = unix_s

    def clock(self) -> float:
        return self.now_s

    def unix_ns(self) -> int:
        return self.unix_s * 10**9

    def pass_s(self, seconds: int) -> None:
        self.now_s += seconds
        self.unix_s += seconds


def post(
    number: int, lane: Lane = Lane.ALERT, *, topic: str = "box/incident", size_bytes: int = 0
) -> Post:
    payload = b"%d" % number + b" " * size_bytes
    return Post(Message(topic, payload, 1, lane is Lane.STATE, 600_000, "text/plain"), lane)


def state(number: int, topic: str = "box/state") -> Post:
    return post(number, Lane.STATE, topic=topic)


def make_outbox(folder: Path, time: Time | None = None, **settings: float) -> Outbox:
    bounds = OutboxSettings.model_validate(settings)
    if time is None:
        return Outbox(folder, bounds)
    return Outbox(folder, bounds, clock=time.clock, unix_ns=time.unix_ns)


def take_all(outbox: Outbox, window: int = 1000) -> list[bytes]:
    """Take what there is, without an answer."""
    payloads = []
    while (found := outbox.take(window)) is not None:
        payloads.append(found[1].payload.strip())
    return payloads


def deliver_all(outbox: Outbox) -> list[bytes]:
    """Take and acknowledge, one after the other."""
    payloads = []
    while (found := outbox.take(1)) is not None:
        outbox.delivered(found[0])
        payloads.append(found[1].payload.strip())
    return payloads


@contextmanager
def publishing(
    broker: PrivateBroker | CannedBroker, folder: Path, *, start: bool = True, **settings: object
) -> Iterator[tuple[Publisher, Outbox]]:
    """Give an outbox and its publisher, and end them after the block."""
    mqtt = MqttSettings.model_validate({"host": broker.host, "port": broker.port, **settings})
    outbox = Outbox(folder, mqtt.outbox)
    publisher = Publisher(mqtt, outbox, client_id="ropewatch-test", will=WILL)
    if start:
        publisher.start()
    yield publisher, outbox
    publisher.stop()
    outbox.close()


def incident_post(wire: Wire, incident_id: str, phase: Phase, sequence: int) -> Post:
    """Make a message about an incident as the reporter does."""
    message = wire.incident(
        incident_event(incident_id, phase), sequence=sequence, now=Moment(1_800_000_000 * 10**9, 0)
    )
    lane = Lane.UPDATE if phase is Phase.UPDATE else Lane.ALERT
    return Post(message, lane, incident_id, is_end=phase is Phase.END)
