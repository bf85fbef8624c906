"""What is delivered, and when; on a mosquitto that each test starts and stops."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepstream import publisher
from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import WILL_DELAY_S, Publisher
from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.incidents import Phase
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.reading import parse_incident
from ropewatch.wire import Wire
from tests.deepstream.posts import WILL, incident_post, post, publishing, state
from tests.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.broker


# A box that is connected, and then killed.
VANISHING = """
import os, sys
from pathlib import Path
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from ropewatch.mqtt_settings import MqttSettings
from tests.deepstream.posts import WILL
mqtt = MqttSettings(host="127.0.0.1", port=int(sys.argv[1]), require_broker=True)
outbox = Outbox(Path(sys.argv[2]), mqtt.outbox)
Publisher(mqtt, outbox, client_id="ropewatch-test", will=WILL).start()
os.kill(os.getpid(), 9)
"""


def received(broker: PrivateBroker, topic: str, count: int) -> list[bytes]:
    with Subscriber(broker.host, broker.port, (topic,)) as subscriber:
        return [
            m.payload for _, m in zip(range(count), subscriber.messages(TIMEOUT_S), strict=False)
        ]


def own_option(broker: PrivateBroker, option: int) -> list[int]:
    """Return a TCP option of every connection of this process to the broker."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(link.name))) as sock:
            if sock.getpeername() == (broker.host, broker.port):
                found.append(sock.getsockopt(socket.IPPROTO_TCP, option))
    return found


def kept(number: int) -> Post:
    """Make an alert that the broker keeps for whoever subscribes later."""
    message = replace(post(number, topic=f"kept/{number}").message, retain=True)
    return Post(message, Lane.ALERT)


def test_publisher_delivers_in_order_with_content_type(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with (
        Subscriber(broker.host, broker.port, ("box/#",)) as subscriber,
        publishing(broker, tmp_path) as (_, outbox),
    ):
        for number in range(200):
            outbox.offer(post(number))

        got = [m for _, m in zip(range(200), subscriber.messages(TIMEOUT_S), strict=False)]

    assert [m.payload for m in got] == [b"%d" % number for number in range(200)]
    assert got[0].content_type == "text/plain"


def test_publisher_counts_as_delivered_what_the_broker_acknowledged(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as (_, outbox):
        for number in range(100):
            outbox.offer(post(number))

        assert outbox.drain(TIMEOUT_S) == 0
        assert outbox.counters.delivered == 100


def test_telemetry_without_an_acknowledgement_is_delivered_too(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    message = post(1, Lane.TELEMETRY).message
    with publishing(broker, tmp_path) as (_, outbox):
        outbox.offer(Post(replace(message, qos=0), Lane.TELEMETRY))

        assert outbox.drain(TIMEOUT_S) == 0


def test_publisher_holds_messages_while_the_broker_is_away(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    broker.kill()
    with publishing(broker, tmp_path) as (_, outbox):
        for number in range(20):
            outbox.offer(state(number, f"kept/{number}"))
        assert outbox.drain(0.2) == 20

        broker.start()

        assert outbox.drain(TIMEOUT_S) == 0
        assert len(received(broker, "kept/#", 20)) == 20


@pytest.mark.parametrize("persistence", [False, True])
def test_publisher_delivers_every_message_across_a_broker_restart(
    persistence: bool, tmp_path: Path
) -> None:
    config = f"user root\npersistence true\npersistence_location {tmp_path}/"
    with (
        PrivateBroker(extra_config=config if persistence else "") as broker,
        publishing(broker, tmp_path / "state") as (_, outbox),
    ):
        for number in range(50):
            outbox.offer(kept(number))
        outbox.drain(TIMEOUT_S)

        if persistence:
            broker.stop()
        else:
            broker.kill()
        for number in range(50, 100):
            outbox.offer(kept(number))
        broker.start()

        assert outbox.drain(TIMEOUT_S) == 0
        got = received(broker, "kept/#", 100 if persistence else 50)
    numbers = range(0 if persistence else 50, 100)
    assert sorted(got) == sorted(b"%d" % number for number in numbers)


def test_an_incident_that_waited_for_the_broker_arrives_late(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    wire = Wire(site="s", box="b", boot_id="01BOOT")
    bounds = {"late_after_s": 0.5}
    with (
        Subscriber(broker.host, broker.port, ("ropewatch/#",)) as subscriber,
        publishing(broker, tmp_path, start=False, outbox=bounds) as (publisher, outbox),
    ):
        outbox.offer(incident_post(wire, "one", Phase.START, 1))
        time.sleep(0.6)
        publisher.start()
        delivery = parse_incident(next(subscriber.messages(TIMEOUT_S)).payload).data.delivery

    assert delivery is not None
    assert delivery.late
    assert delivery.queued_ms >= 600


def test_what_a_run_leaves_the_next_one_delivers(broker: PrivateBroker, tmp_path: Path) -> None:
    broker.kill()
    with publishing(broker, tmp_path) as (_, outbox):
        outbox.offer(post(1), post(2))
        outbox.drain(0.1)
    broker.start()

    with (
        Subscriber(broker.host, broker.port, ("box/#",)) as subscriber,
        publishing(broker, tmp_path),
    ):
        got = [m.payload for _, m in zip(range(2), subscriber.messages(TIMEOUT_S), strict=False)]

    assert got == [b"1", b"2"]


def test_publisher_restores_what_was_retained_on_a_broker_that_forgot(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as (_, outbox):
        outbox.offer(state(1))
        outbox.drain(TIMEOUT_S)

        broker.kill()
        broker.start()

        assert received(broker, "box/state", 1) == [b"1"]


@pytest.mark.parametrize("window", [1, 3])
def test_publisher_keeps_to_the_broker_s_receive_maximum(window: int, tmp_path: Path) -> None:
    # mosquitto ends the connection of a client that has more under way than it was told.
    config = f"max_inflight_messages {window}"
    with (
        PrivateBroker(extra_config=config) as broker,
        publishing(broker, tmp_path) as (publisher, outbox),
    ):
        for number in range(300):
            outbox.offer(post(number, Lane(number % 5), topic=f"t/{number}"))

        assert outbox.drain(TIMEOUT_S) == 0
        assert (publisher.connects, outbox.counters.delivered) == (1, 300)


def test_the_will_is_published_when_the_box_vanishes(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with (
        Subscriber(broker.host, broker.port, ("box/status",)) as subscriber,
        subprocess.Popen(
            [sys.executable, "-c", VANISHING, str(broker.port), str(tmp_path)]
        ) as box,
    ):
        box.wait(TIMEOUT_S)

        # It is said WILL_DELAY_S later.
        assert list(subscriber.messages(0.5)) == []
        assert next(subscriber.messages(TIMEOUT_S)).payload == WILL.payload


def test_a_box_that_is_back_at_once_was_not_away(broker: PrivateBroker, tmp_path: Path) -> None:
    command = [sys.executable, "-c", VANISHING, str(broker.port), str(tmp_path / "first")]
    with (
        Subscriber(broker.host, broker.port, ("box/status",)) as subscriber,
        publishing(broker, tmp_path / "second", start=False) as (publisher, _),
    ):
        subprocess.run(command, check=False)
        publisher.start()

        assert list(subscriber.messages(WILL_DELAY_S + 2)) == []


def test_a_clean_stop_leaves_the_will_unpublished(broker: PrivateBroker, tmp_path: Path) -> None:
    with Subscriber(broker.host, broker.port, ("box/status",)) as subscriber:
        with publishing(broker, tmp_path) as (_, outbox):
            outbox.offer(state(1, "box/status"))
            outbox.drain(TIMEOUT_S)

        assert next(subscriber.messages(TIMEOUT_S)).payload == b"1"
        assert list(subscriber.messages(0.5)) == []


def test_a_broker_that_has_stopped_reading_does_not_hold_up_the_end(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as (publisher, outbox):
        wait_until(lambda: publisher.connected)
        broker.pause()
        for number in range(20):
            outbox.offer(post(number, size_bytes=400_000))
        assert outbox.drain(0.5) == 20

        started_s = time.monotonic()
        publisher.stop()
        ended_s = time.monotonic()

    # Before the broker is missed, which is not before the keep-alive is over.
    assert ended_s - started_s < MqttSettings.model_fields["keepalive_s"].default
    broker.resume()


def test_an_answer_does_not_wait_for_the_kernel_to_acknowledge_the_one_before(
    broker: PrivateBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def note(sock: Any, option: int) -> None:
        set_tcp(sock, option)
        told.append(option)

    # With each answer anew, for the kernel forgets it. It shows in time alone: 40 ms a pair.
    set_tcp = publisher._set_tcp
    monkeypatch.setattr(publisher, "_set_tcp", note)
    with publishing(broker, tmp_path) as (_, outbox):
        for number in range(20):
            outbox.offer(post(number), post(number))
        assert outbox.drain(TIMEOUT_S) == 0

    assert told.count(socket.TCP_QUICKACK) == 40


def test_a_small_message_does_not_wait_for_one_that_is_on_its_way(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, require_broker=True):
        assert own_option(broker, socket.TCP_NODELAY) == [1]


class Stumbling(Outbox):
    """An outbox that fails once in a way that nobody has thought of."""

    stumbles = 1

    def tick(self) -> None:
        if self.stumbles and self.waiting:
            self.stumbles -= 1
            raise RuntimeError("nobody has thought of this")
        super().tick()


def test_a_publisher_that_stumbles_goes_on(
    broker: PrivateBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt = MqttSettings(host=broker.host, port=broker.port, require_broker=True)
    outbox = Stumbling(tmp_path, mqtt.outbox)
    publisher = Publisher(mqtt, outbox, client_id="ropewatch-test", will=WILL)
    publisher.start()

    outbox.offer(post(1))
    outbox.offer(post(2))

    assert outbox.drain(TIMEOUT_S) == 0
    assert outbox.stumbles == 0
    assert publisher.connects == 2
    assert "sending failed, trying again" in caplog.text
    publisher.stop()
    outbox.close()
