"""The one door to MQTT for the runtime: MQTT 5, QoS 1, will, retained state, back-off.

`offer` never waits. Messages stay here until the broker has acknowledged them; while it is
away updates are dropped first and counted, starts and ends never.
"""

import logging
import os
import ssl
import stat
import sys
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ropewatch.errors import BrokerError, SettingsError
from ropewatch.settings import MqttSettings
from ropewatch.wire import Message

log = logging.getLogger("ropewatch.mqtt")

MAX_INFLIGHT: Final = 20
SESSION_EXPIRY_S: Final = 3600
RECONNECT_MIN_S: Final = 1
SESSION_TAKEN_OVER: Final = 142  # MQTT 5, reason code 0x8E
RECONNECT_MAX_S: Final = 30


@dataclass(slots=True)
class PublisherCounters:
    """What happened to the messages; part of the box's status."""

    delivered: int = 0
    refused: int = 0
    dropped_updates: int = 0
    connects: int = 0
    takeovers: int = 0


class Publisher:
    """Delivers messages to one broker, in order, at least once.

    Args:
        settings: the site's `mqtt` section.
        client_id: stable name of this box at the broker.
        will: what the broker publishes when this box vanishes.
    """

    def __init__(self, settings: MqttSettings, *, client_id: str, will: Message) -> None:
        self.counters = PublisherCounters()
        self.last_error: str | None = None
        self._settings = settings
        self._changed = threading.Condition()
        self._backlog: deque[tuple[Message, bool]] = deque()
        self._retained_due: OrderedDict[str, Message] = OrderedDict()
        self._retained: OrderedDict[str, Message] = OrderedDict()
        self._inflight: set[int] = set()
        self._acknowledged_early: set[int] = set()
        self._max_inflight = MAX_INFLIGHT
        self._connected = False
        self._stopping = False
        # A message that has left the backlog and is not yet in flight.
        self._sending = False
        self._client = self._make_client(client_id, will)
        self._thread = threading.Thread(target=self._run, name="mqtt-publisher", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and not been lost since."""
        return self._connected

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        with self._changed:
            return self._left()

    def start(self) -> None:
        """Begin to connect; returns at once unless `require_broker` is set.

        Raises:
            BrokerError: with `require_broker`, the broker is absent or refuses.
        """
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect_async(
            self._settings.host,
            self._settings.port,
            keepalive=self._settings.keepalive_s,
            clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        self._client.loop_start()
        self._thread.start()
        if not self._settings.require_broker:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._connected, self._settings.connect_timeout_s)
            connected = self._connected
        if not connected:
            self.stop()
            raise BrokerError(
                f"mqtt: {self._where}: {self.last_error or 'no answer'}, want a broker within "
                f"{self._settings.connect_timeout_s:g} s; start it, correct mqtt.host, mqtt.port "
                "and the credentials, or set mqtt.require_broker to false"
            )

    def offer(self, message: Message, *, droppable: bool = False) -> None:
        """Take a message without waiting.

        Args:
            message: a retained one replaces an older one of its topic that still waits.
            droppable: an update; dropped, oldest first, when the queue is full.
        """
        with self._changed:
            if message.retain:
                self._retained[message.topic] = message
                self._retained_due[message.topic] = message
            else:
                self._backlog.append((message, droppable))
                if len(self._backlog) > self._settings.queue_max_messages:
                    self._drop_one_update()
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> int:
        """Wait until everything is acknowledged; return how many messages are not."""
        with self._changed:
            self._changed.wait_for(self._is_empty, timeout_s)
            return self._left()

    def stop(self) -> None:
        """Disconnect cleanly: the broker then does not publish the will."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _is_empty(self) -> bool:
        return self._left() == 0

    def _left(self) -> int:
        return len(self._backlog) + len(self._retained_due) + len(self._inflight) + self._sending

    def _drop_one_update(self) -> None:
        for position, (_message, droppable) in enumerate(self._backlog):
            if droppable:
                del self._backlog[position]
                self.counters.dropped_updates += 1
                return

    def _make_client(self, client_id: str, will: Message) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5
        )
        client.max_inflight_messages_set(MAX_INFLIGHT)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.will_set(
            will.topic, will.payload, will.qos, will.retain, properties=_will_properties(will)
        )
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, read_password(self._settings))
        if self._settings.tls is not None:
            _set_tls(client, self._settings)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._may_send)
                if self._stopping:
                    return
                if self._retained_due:
                    _topic, message = self._retained_due.popitem(last=False)
                else:
                    message, _droppable = self._backlog.popleft()
                self._sending = True
            try:
                self._send(message)
            except Exception as error:
                # A message that paho does not take must not end the publishing of the others.
                self.counters.refused += 1
                self._failed(f"message not sent: {error}")
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _may_send(self) -> bool:
        if self._stopping:
            return True
        due = bool(self._backlog or self._retained_due)
        return due and self._connected and len(self._inflight) < self._max_inflight

    def _send(self, message: Message) -> None:
        # paho keeps a QoS 1 message, and sends it again after a reconnect, until its PUBACK.
        info = self._client.publish(
            message.topic,
            message.payload,
            message.qos,
            message.retain,
            properties=_publish_properties(message),
        )
        with self._changed:
            if info.mid in self._acknowledged_early:
                # The network thread was faster than this one.
                self._acknowledged_early.discard(info.mid)
            else:
                self._inflight.add(info.mid)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            self._failed(f"refused: {reason}")
            return
        with self._changed:
            self._connected = True
            self.last_error = None
            self.counters.connects += 1
            self._max_inflight = min(MAX_INFLIGHT, getattr(props, "ReceiveMaximum", MAX_INFLIGHT))
            # A broker without persistence has forgotten what was retained, and one that lost
            # us has published the will over our status.
            self._retained_due.update(self._retained)
            self._changed.notify_all()
        log.info("connected broker=%s", self._where)

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        # paho 2 calls this from its except clause and keeps the reason to itself.
        self._failed(f"cannot connect: {sys.exc_info()[1]}")

    def _on_disconnect(self, _c: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        with self._changed:
            was_connected, self._connected = self._connected, False
            self._changed.notify_all()
        # After a refusal paho reports a lost connection too; the refusal is the better word.
        if not was_connected or self._stopping:
            return
        if reason.value == SESSION_TAKEN_OVER:
            self.counters.takeovers += 1
            self._failed(f"{reason}: another box has this site and box name; give it its own")
        else:
            self._failed(f"connection lost: {reason}")

    def _on_publish(self, _c: Any, _d: Any, mid: int, reason: Any, _props: Any) -> None:
        with self._changed:
            if mid in self._inflight:
                self._inflight.discard(mid)
            else:
                self._acknowledged_early.add(mid)
            if reason.is_failure:
                self.counters.refused += 1
            else:
                self.counters.delivered += 1
            self._changed.notify_all()
        if reason.is_failure:
            self._failed(f"message refused: {reason}")

    def _failed(self, error: str) -> None:
        """Remember a failure; the first of a kind is logged, its repetitions are not."""
        if error != self.last_error:
            log.warning("broker trouble broker=%s error=%s", self._where, error)
        self.last_error = error


def read_password(settings: MqttSettings) -> str | None:
    """Return the password from the environment or a file; None where none is set.

    Raises:
        SettingsError: the variable is unset, or the file is missing or readable by others.
    """
    if settings.password_env is not None:
        try:
            return os.environ[settings.password_env]
        except KeyError:
            raise SettingsError(
                f"mqtt.password_env: {settings.password_env} is not set, want the password in "
                "it; export it before starting"
            ) from None
    if settings.password_file is None:
        return None
    path = settings.password_file
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"mqtt.password_file: {path}: {error.strerror}, want a readable file; correct the path"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            f"mqtt.password_file: {path}: readable by others, want mode 600; chmod 600 {path}"
        )
    return text.rstrip("\n")


def _set_tls(client: mqtt.Client, settings: MqttSettings) -> None:
    tls = settings.tls
    assert tls is not None
    try:
        client.tls_set(
            ca_certs=str(tls.ca_file) if tls.ca_file else None,
            certfile=str(tls.cert_file) if tls.cert_file else None,
            keyfile=str(tls.key_file) if tls.key_file else None,
            cert_reqs=ssl.CERT_REQUIRED,
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError(
            f"mqtt.tls: {error}, want readable PEM files that belong together; correct ca_file, "
            "cert_file or key_file"
        ) from None


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]  # paho 2 annotates it not


def _publish_properties(message: Message) -> Properties:
    properties = _properties(PacketTypes.PUBLISH)
    properties.ContentType = message.content_type
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    return properties


def _will_properties(message: Message) -> Properties:
    properties = _properties(PacketTypes.WILLMESSAGE)
    properties.ContentType = message.content_type
    return properties
