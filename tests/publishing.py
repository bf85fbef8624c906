"""Publishes to a broker as anybody might, and tells what the broker said."""

import threading
import time
from collections.abc import Iterable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ropewatch.topics import topic_of

TIMEOUT_S = 10.0


def new_client(client_id: str = "") -> mqtt.Client:
    return mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)


def publish(
    host: str,
    port: int,
    pairs: Iterable[tuple[str, bytes]],
    client: mqtt.Client | None = None,
    *,
    retain: bool = False,
    expiry_s: int | None = None,
    response_topic: str | None = None,
    content_type: str | None = None,
) -> list[int]:
    """Publish payloads on topics, QoS 1, return reason codes.

    The content type is the topic's, as of a box, unless another is given.
    """
    client = new_client() if client is None else client
    codes: dict[int, int] = {}
    done = threading.Semaphore(0)

    def note(_c: object, _d: object, mid: int, reason: Any, _p: object) -> None:
        codes[mid] = reason.value
        done.release()

    client.on_publish = note
    client.connect(host, port)
    client.loop_start()
    wait_until_ready(client)
    mids = []
    for topic, payload in pairs:
        properties = _properties(topic, expiry_s, response_topic, content_type)
        mids.append(client.publish(topic, payload, 1, retain, properties).mid)
    for _ in mids:
        assert done.acquire(timeout=TIMEOUT_S)
    client.disconnect()
    client.loop_stop()
    return [codes[mid] for mid in mids]


def wait_until_ready(client: mqtt.Client) -> None:
    """Wait until paho is through with the broker's yes.

    On it paho sends again what was published until then, and it calls itself connected before.
    An answer to something else comes after that.
    """
    ready = threading.Event()
    client.on_unsubscribe = lambda *_: ready.set()
    end_s = time.monotonic() + TIMEOUT_S
    while not client.is_connected():
        assert time.monotonic() < end_s
        time.sleep(0.005)
    client.unsubscribe("nothing")
    assert ready.wait(TIMEOUT_S)


def _properties(
    topic: str, expiry_s: int | None, response_topic: str | None, content_type: str | None
) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
    known = topic_of(topic)
    if content_type is not None:
        properties.ContentType = content_type
    elif known is not None:
        properties.ContentType = known.content_type
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    if response_topic is not None:
        properties.ResponseTopic = response_topic
    return properties
