"""Against a real mosquitto, which each test starts and stops itself."""

import time
from pathlib import Path

import pytest

from deepstream.publisher import Publisher, read_password
from demo.broker import PrivateBroker, free_port
from ropewatch.client import Subscriber
from ropewatch.errors import BrokerError, SettingsError
from ropewatch.settings import MqttSettings
from ropewatch.wire import Message

pytestmark = pytest.mark.broker

WILL = Message("box/status", b'{"status":"offline"}', 1, True, None, "application/json")


def message(number: int, *, topic: str = "box/incident", retain: bool = False) -> Message:
    return Message(topic, b"%d" % number, 1, retain, 600, "application/cloudevents+json")


def publisher(broker: PrivateBroker, **settings: object) -> Publisher:
    mqtt = MqttSettings.model_validate({"host": broker.host, "port": broker.port, **settings})
    return Publisher(mqtt, client_id="ropewatch-test", will=WILL)


def received(broker: PrivateBroker, topic: str, count: int) -> list[bytes]:
    with Subscriber(broker.host, broker.port, (topic,)) as subscriber:
        return [m.payload for _, m in zip(range(count), subscriber.messages(5.0), strict=False)]


def test_publisher_delivers_in_order_with_content_type(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    with Subscriber(broker.host, broker.port, ("box/#",)) as subscriber:
        sender.start()
        for number in range(200):
            sender.offer(message(number))

        got = [m for _, m in zip(range(200), subscriber.messages(5.0), strict=False)]
        sender.stop()

    assert [m.payload for m in got] == [b"%d" % number for number in range(200)]
    assert got[0].content_type == "application/cloudevents+json"


def test_publisher_counts_as_delivered_what_the_broker_acknowledged(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    sender.start()
    for number in range(100):
        sender.offer(message(number))

    undelivered = sender.drain(10.0)
    sender.stop()

    assert undelivered == 0
    assert sender.counters.delivered == 100


def test_publisher_holds_messages_while_the_broker_is_away(broker: PrivateBroker) -> None:
    broker.kill()
    sender = publisher(broker)
    sender.start()
    for number in range(20):
        sender.offer(message(number, topic=f"kept/{number}", retain=True))
    assert sender.drain(0.2) == 20

    broker.start()

    assert sender.drain(30.0) == 0
    assert received(broker, "kept/#", 20) != []
    sender.stop()


def test_publisher_delivers_every_message_across_a_broker_restart(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    sender.start()
    for number in range(50):
        sender.offer(message(number))
    sender.drain(10.0)

    broker.kill()
    for number in range(50, 100):
        sender.offer(message(number))
    broker.start()
    with Subscriber(broker.host, broker.port, ("box/incident",)) as subscriber:
        got = [m.payload for _, m in zip(range(50), subscriber.messages(20.0), strict=False)]
    undelivered = sender.drain(10.0)
    sender.stop()

    assert undelivered == 0
    assert sender.counters.delivered >= 100
    assert sorted(set(got)) == sorted(b"%d" % number for number in range(50, 100))


def test_publisher_restores_what_was_retained_on_a_broker_that_forgot(
    broker: PrivateBroker,
) -> None:
    sender = publisher(broker)
    sender.start()
    sender.offer(message(1, topic="box/state", retain=True))
    sender.drain(10.0)

    broker.kill()
    broker.start()

    assert received(broker, "box/state", 1) == [b"1"]
    sender.stop()


def test_publisher_keeps_only_the_newest_of_what_is_retained(broker: PrivateBroker) -> None:
    broker.kill()
    sender = publisher(broker)
    for number in range(5):
        sender.offer(message(number, topic="box/state", retain=True))

    assert sender.waiting == 1


def test_publisher_drops_updates_first_and_counts_them(broker: PrivateBroker) -> None:
    sender = publisher(broker, queue_max_messages=10)

    for number in range(15):
        sender.offer(message(number), droppable=number % 2 == 1)

    assert sender.waiting == 10
    assert sender.counters.dropped_updates == 5


def test_publisher_never_drops_starts_and_ends(broker: PrivateBroker) -> None:
    sender = publisher(broker, queue_max_messages=10)

    for number in range(30):
        sender.offer(message(number))

    assert sender.waiting == 30


def test_the_will_is_published_when_the_box_vanishes(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    with Subscriber(broker.host, broker.port, ("box/status",)) as subscriber:
        sender.start()
        while not sender.connected:
            time.sleep(0.01)

        # The socket goes away without a DISCONNECT, as with a cut cable.
        sender._client._sock_close()

        assert next(subscriber.messages(10.0)).payload == WILL.payload
    sender.stop()


def test_a_clean_stop_leaves_the_will_unpublished(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    with Subscriber(broker.host, broker.port, ("box/status",)) as subscriber:
        sender.start()
        sender.offer(message(1, topic="box/status"))
        sender.drain(10.0)
        sender.stop()

        assert [m.payload for m in subscriber.messages(0.5)] == [b"1"]


def test_a_required_broker_that_is_absent_stops_the_start() -> None:
    mqtt = MqttSettings(
        host="127.0.0.1", port=free_port(), require_broker=True, connect_timeout_s=0.5
    )
    sender = Publisher(mqtt, client_id="c", will=WILL)

    with pytest.raises(BrokerError, match=r"want a broker within 0\.5 s; start it"):
        sender.start()


def test_a_required_broker_that_refuses_is_told_from_an_absent_one(tmp_path: Path) -> None:
    with PrivateBroker(extra_config="allow_anonymous false") as broker:
        sender = publisher(broker, require_broker=True, connect_timeout_s=2)

        with pytest.raises(BrokerError, match="refused: Not authorized"):
            sender.start()


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


def test_a_message_that_cannot_be_sent_does_not_end_the_publishing(broker: PrivateBroker) -> None:
    sender = publisher(broker)
    sender.start()
    # MQTT allows no wildcard in the topic of a message; paho refuses it when it is sent.
    sender.offer(message(1, topic="box/#"))
    sender.offer(message(2))

    undelivered = sender.drain(10.0)
    sender.stop()

    assert undelivered == 0
    assert sender.counters.delivered == 1
    assert sender.counters.refused == 1
