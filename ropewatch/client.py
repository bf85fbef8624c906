"""The consumer's door to MQTT: subscribes to incidents and hands them over one by one."""

import contextlib
import logging
import queue
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from typing_extensions import Self

from ropewatch.errors import BrokerError, SettingsError

log = logging.getLogger("ropewatch.client")

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 30


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came from the broker."""

    topic: str
    payload: bytes
    content_type: str | None
    retained: bool


class Subscriber:
    """Iterates over the messages of some topics; use it in a `with` block.

    The subscription is renewed after every reconnect. Delivery is at least once: a consumer
    drops what it has seen by the CloudEvents `id`.

    Args:
        host: broker.
        port: its TCP port.
        topics: filters, for example `ropewatch/v1/+/+/camera/+/incident`.
        username: user name, if the broker wants one.
        password: its password.
        ca_file: CA bundle; set, it turns TLS on.

    Raises:
        SettingsError: the CA bundle is absent or holds no certificate.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topics: tuple[str, ...],
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._host, self._port, self._topics = host, port, topics
        self._messages: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if username is not None:
            self._client.username_pw_set(username, password)
        if ca_file is not None:
            _set_tls(self._client, ca_file)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            BrokerError: the broker is absent or refuses.
        """
        where = f"mqtt: {self._host}:{self._port}"
        try:
            self._client.connect(self._host, self._port, keepalive=KEEPALIVE_S)
        # ValueError: the host is no name that can be looked up.
        except (OSError, ValueError) as error:
            raise BrokerError(
                f"{where}: {error}, want a broker; start it, or correct host and port"
            ) from None
        self._client.loop_start()
        try:
            refused = self._ready.get(timeout=CONNECT_TIMEOUT_S)
        except queue.Empty:
            refused = f"no answer within {CONNECT_TIMEOUT_S:g} s"
        if refused is not None:
            self._stop()
            raise BrokerError(
                f"{where}: {refused}, want the right to subscribe; correct the credentials or "
                "the broker's access list"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def messages(self, timeout_s: float | None = None) -> Iterator[Received]:
        """Yield messages as they come; ends when none has come for `timeout_s` seconds."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._messages.get(timeout=timeout_s)

    def _stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            self._ready.put(f"refused: {reason}")
            return
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])

    def _on_disconnect(self, _c: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            # Silence would read as "no incidents".
            log.warning(
                "connection lost, connecting again broker=%s:%d reason=%s",
                self._host,
                self._port,
                reason,
            )

    def _on_subscribe(self, _c: Any, _d: Any, _mid: int, reasons: Any, _props: Any) -> None:
        failed = [str(reason) for reason in reasons if reason.is_failure]
        self._ready.put(f"refused: {failed[0]}" if failed else None)

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        properties: Properties | None = message.properties
        content_type = getattr(properties, "ContentType", None)
        self._messages.put(
            Received(message.topic, bytes(message.payload), content_type, bool(message.retain))
        )


def _set_tls(client: mqtt.Client, ca_file: str) -> None:
    try:
        client.tls_set(ca_certs=ca_file, cert_reqs=ssl.CERT_REQUIRED)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"ca_file: {ca_file}: {what}, want a readable PEM file of CA certificates; "
            "correct the path"
        ) from None
