"""What a broker refuses: a message, a connection, an answer."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from demo.broker import PrivateBroker, free_port
from ropewatch.errors import BrokerError
from ropewatch.mqtt_settings import MqttSettings
from tests.deepstream.canned_broker import CannedBroker
from tests.deepstream.posts import WILL, make_outbox, post, publishing, state
from tests.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.broker


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


def test_a_message_that_cannot_be_sent_does_not_end_the_publishing(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as (_, outbox):
        # MQTT allows no wildcard in the topic of a message; paho refuses it when it is sent.
        outbox.offer(post(1, topic="box/#"), post(2))

        assert outbox.drain(TIMEOUT_S) == 0
        assert (outbox.counters.delivered, outbox.counters.refused) == (1, 1)


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
