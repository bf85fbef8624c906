"""Against a real mosquitto, which each test starts and stops itself."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepstream import publisher
from deepstream.credentials import read_password
from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import WILL_DELAY_S, Publisher
from demo.broker import PrivateBroker, free_port
from ropewatch.client import Subscriber
from ropewatch.errors import BrokerError, SettingsError
from ropewatch.incidents import Phase
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.reading import parse_incident
from ropewatch.wire import Wire
from tests.deepstream.canned_broker import CannedBroker
from tests.deepstream.posts import WILL, incident_post, make_outbox, post, publishing, state

pytestmark = pytest.mark.broker

TIMEOUT_S = 30.0


# A box that is connected, and then killed.
VANISHING = """
import os, sys, time
from pathlib import Path
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from ropewatch.mqtt_settings import MqttSettings
from tests.deepstream.canned_broker import CannedBroker
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


def wait_until(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        time.sleep(0.01)


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


def test_a_packet_that_is_too_large_is_set_aside_and_the_others_pass(tmp_path: Path) -> None:
    with (
        PrivateBroker(extra_config="max_packet_size 2000") as broker,
        publishing(broker, tmp_path) as (publisher, outbox),
    ):
        outbox.offer(post(1), post(2, size_bytes=3000), post(3))
        assert outbox.drain(TIMEOUT_S) == 0

        assert outbox.counters.delivered == 2
        assert publisher.connects == 1
        (trouble,) = outbox.troubles()
        assert re.fullmatch(r"1 messages set aside: 3\d+ bytes, the broker takes 2000", trouble)


def test_the_largest_packet_that_the_broker_takes_is_sent(tmp_path: Path) -> None:
    with (
        PrivateBroker(extra_config="max_packet_size 2000") as broker,
        publishing(broker, tmp_path) as (publisher, outbox),
    ):
        for size_bytes in range(1900, 1990):
            outbox.offer(post(1, size_bytes=size_bytes))
        assert outbox.drain(TIMEOUT_S) == 0

        assert publisher.connects == 1
        assert outbox.counters.delivered + outbox.counters.refused == 90
        assert outbox.counters.delivered > 40


def test_a_payload_above_the_broker_s_limit_is_found_and_set_aside(tmp_path: Path) -> None:
    with (
        PrivateBroker(extra_config="message_size_limit 100") as broker,
        publishing(broker, tmp_path) as (_, outbox),
    ):
        outbox.offer(post(1), post(2, size_bytes=200), post(3))
        assert outbox.drain(TIMEOUT_S) == 0

        assert outbox.counters.delivered == 2
        # mosquitto's answer is one that MQTT does not have, and paho ends the connection for it.
        assert outbox.troubles() == ["1 messages set aside: Protocol error when it was sent"]


@contextmanager
def refused(folder: Path) -> Iterator[tuple[PrivateBroker, Path, Outbox]]:
    """Give a broker that has refused an incident, its rights, and the outbox that keeps it."""
    rules = folder / "acl"
    rules.write_text("topic readwrite box/state\n")
    with (
        PrivateBroker(extra_config=f"user root\nacl_file {rules}") as broker,
        publishing(broker, folder / "state") as (_, outbox),
    ):
        outbox.offer(post(1, topic="box/incident"), state(2))
        assert outbox.drain(TIMEOUT_S) == 0
        assert outbox.troubles() == ["1 messages set aside: Not authorized"]
        yield broker, rules, outbox


def test_a_topic_that_is_not_allowed_is_set_aside_and_sent_once_it_is(tmp_path: Path) -> None:
    with refused(tmp_path) as (broker, rules, outbox):
        rules.write_text("topic readwrite box/#\n")
        broker.kill()
        broker.start()

        wait_until(lambda: outbox.troubles() == [])
        assert outbox.counters.delivered >= 2


def test_a_run_that_ends_tries_once_more_what_was_refused(tmp_path: Path) -> None:
    with refused(tmp_path) as (broker, rules, outbox):

        def try_again() -> list[str]:
            outbox.try_refused()
            assert outbox.drain(TIMEOUT_S) == 0
            return outbox.troubles()

        assert try_again() == ["1 messages set aside: Not authorized"]

        rules.write_text("topic readwrite box/#\n")
        broker.reload()

        wait_until(lambda: try_again() == [])
        assert outbox.counters.delivered == 2


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


def test_a_required_broker_that_is_absent_stops_the_start(tmp_path: Path) -> None:
    mqtt = MqttSettings(
        host="127.0.0.1", port=free_port(), require_broker=True, connect_timeout_s=0.5
    )
    sender = Publisher(mqtt, make_outbox(tmp_path), client_id="c", will=WILL)

    with pytest.raises(BrokerError, match=r"want a broker within 0\.5 s; start it"):
        sender.start()


def test_a_required_broker_that_refuses_is_told_from_an_absent_one(tmp_path: Path) -> None:
    with PrivateBroker(extra_config="allow_anonymous false") as broker:
        mqtt = MqttSettings(
            host=broker.host, port=broker.port, require_broker=True, connect_timeout_s=5
        )
        sender = Publisher(mqtt, make_outbox(tmp_path), client_id="c", will=WILL)

        with pytest.raises(BrokerError, match="refused: Not authorized; correct the credentials"):
            sender.start()

    assert sender.refusals >= 1


def test_a_box_whose_name_is_taken_says_so(tmp_path: Path) -> None:
    with (
        CannedBroker(disconnect=0x8E) as broker,
        publishing(broker, tmp_path) as (publisher, _),
    ):
        wait_until(lambda: publisher.takeovers)

        assert publisher.last_error == (
            "Session taken over: another box has this site and box name; give it its own"
        )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (0x86, "refused: Bad user name or password; correct mqtt.username and its password"),
        (0x87, "refused: Not authorized; correct the credentials or the broker's access list"),
        (0x8A, "refused: Banned; the broker bans this box; ask who runs it"),
        (0x97, "refused: Quota exceeded; it is tried again"),
    ],
)
def test_a_broker_that_says_no_is_told_from_one_that_is_absent(
    code: int, message: str, tmp_path: Path
) -> None:
    with (
        CannedBroker(connack=code) as broker,
        publishing(broker, tmp_path) as (publisher, outbox),
    ):
        outbox.offer(post(1))
        wait_until(lambda: publisher.refusals)

        assert publisher.last_error == message
        assert not publisher.connected
        assert outbox.waiting == 1


def test_a_broker_whose_quota_is_used_up_gets_the_message_later_and_in_order(
    tmp_path: Path,
) -> None:
    with (
        CannedBroker(puback=(0x97,)) as broker,
        publishing(broker, tmp_path) as (publisher, outbox),
    ):
        outbox.offer(post(1))
        assert outbox.drain(TIMEOUT_S) == 0

        assert (outbox.counters.refused, outbox.counters.delivered) == (1, 1)
        assert (publisher.connects, broker.published) == (1, 2)
        assert outbox.troubles() == []


def test_a_port_in_use_is_said_by_the_private_broker(broker: PrivateBroker) -> None:
    with (
        pytest.raises(BrokerError, match=f"did not start on port {broker.port}"),
        PrivateBroker(port=broker.port),
    ):
        pass


def test_the_password_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    settings = MqttSettings(host="h", username="u", password_file=file)

    file.chmod(0o644)
    with pytest.raises(SettingsError, match="readable by others, want mode 600"):
        read_password(settings)

    file.chmod(0o600)
    assert read_password(settings) == "hunter2"


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(host="h", username="u", password_env="ROPEWATCH_TEST_PW")
    with pytest.raises(SettingsError, match="ROPEWATCH_TEST_PW is not set"):
        read_password(settings)

    monkeypatch.setenv("ROPEWATCH_TEST_PW", "hunter2")

    assert read_password(settings) == "hunter2"


def test_a_message_that_cannot_be_sent_does_not_end_the_publishing(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as (_, outbox):
        # MQTT allows no wildcard in the topic of a message; paho refuses it when it is sent.
        outbox.offer(post(1, topic="box/#"), post(2))

        assert outbox.drain(TIMEOUT_S) == 0
        assert (outbox.counters.delivered, outbox.counters.refused) == (1, 1)


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


def test_a_broker_that_takes_connections_and_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with (
        CannedBroker(connack=None) as broker,
        publishing(broker, tmp_path, connect_timeout_s=600) as (_, outbox),
    ):
        wait_until(lambda: broker.connects == 1)
        # Who waited for its answer would wait for ten minutes.
        for number in range(20):
            outbox.offer(post(number), state(number))

    assert make_outbox(tmp_path).waiting == 20


def test_a_broker_that_says_nothing_is_tried_again(tmp_path: Path) -> None:
    with (
        CannedBroker(connack=None) as broker,
        publishing(broker, tmp_path, connect_timeout_s=0.5) as (publisher, _),
    ):
        wait_until(lambda: broker.connects == 2)

        assert publisher.last_error == "cannot connect: no answer"
