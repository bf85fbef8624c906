"""The one door to MQTT for the runtime: MQTT 5, will, short session, back-off.

Sends what the outbox gives and tells it what became of it. What is not acknowledged when a
connection ends is the outbox's again: each connection has a client of its own, so that nothing is
sent again with the age and the expiry that it had the first time.
"""

import logging
import random
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from deepstream.credentials import read_password, set_tls
from deepstream.floods import Listeners
from deepstream.inbound import Inbound, Listener
from deepstream.lanes import Entry
from deepstream.outbox import Outbox
from deepstream.refusals import BAD_PACKET, CONNECT_ADVICE, PUBLISH_LATER, SESSION_TAKEN_OVER
from ropewatch.commands import EXPIRY_S, PACKET_MAX_BYTES
from ropewatch.errors import BrokerError, SettingsError
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.wire import Message

log = logging.getLogger("ropewatch.mqtt")

MAX_INFLIGHT: Final = 20
# A connection that comes back by then was no absence; the session has to last as long, and no
# longer than a command may live: one that waited for most of a long life would pass for new.
WILL_DELAY_S, SESSION_EXPIRY_S = 5, EXPIRY_S
RECONNECT_MIN_S: Final = 1.0
# A broker that is back must not wait for the alerts, and a fleet can afford a try each 5 s.
RECONNECT_MAX_S: Final = 5.0
# A broker that says no does not say yes a second later.
REFUSED_MIN_S, REFUSED_MAX_S = 5.0, 30.0
# A connection that lasted this long was a good one.
STABLE_S: Final = 10.0
TICK_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 3.0


class Publisher:
    """Delivers what is in an outbox to one broker, at least once.

    Args:
        settings: the site's `mqtt` section.
        outbox: holds the messages.
        client_id: stable name of this box at the broker.
        will: what the broker publishes when this box vanishes.

    Raises:
        SettingsError: the password or a certificate cannot be read.
    """

    def __init__(
        self, settings: MqttSettings, outbox: Outbox, *, client_id: str, will: Message
    ) -> None:
        self.connects = 0
        self.takeovers = 0
        self.refusals = 0
        self.last_error: str | None = None
        self._settings, self._outbox = settings, outbox
        self._listeners = Listeners()
        self._client_id, self._will = client_id, will
        self._accepted = threading.Event()
        self._stopping = threading.Event()
        # Now rather than at the first connection: a wrong path is the operator's to correct.
        self._make_client()
        self._thread = threading.Thread(target=self._run, name="mqtt-publisher", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and not been lost since."""
        return self._accepted.is_set()

    def start(self) -> None:
        """Begin to connect; returns at once unless `require_broker` is set.

        Raises:
            BrokerError: with `require_broker`, the broker is absent or refuses.
        """
        self._thread.start()
        if not self._settings.require_broker:
            return
        if not self._accepted.wait(self._settings.connect_timeout_s):
            self.stop()
            raise BrokerError(
                f"mqtt: {self._where}: {self.last_error or 'no answer'}, want a broker within "
                f"{self._settings.connect_timeout_s:g} s; start it, correct mqtt.host, mqtt.port "
                "and the credentials, or set mqtt.require_broker to false"
            )

    def listen(self, listener: Listener) -> None:
        """Hand over what comes on some topics; before `start`."""
        self._listeners.add(listener)

    def troubles(self) -> list[str]:
        """Say what is wrong at this moment; empty while all is well."""
        return self._listeners.troubles()

    def stop(self) -> None:
        """Disconnect cleanly: the broker then does not publish the will."""
        self._stopping.set()
        self._outbox.wake()
        if self._thread.is_alive():
            # A broker that has stopped reading must not hold up the end of the program.
            self._thread.join(timeout=CLOSE_TIMEOUT_S + TICK_S)

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _run(self) -> None:
        pause_s = RECONNECT_MIN_S
        while not self._stopping.is_set():
            link = self._connect()
            most_s = RECONNECT_MAX_S
            if link is not None and link.accepted:
                started_s = time.monotonic()
                self._serve(link)
                if time.monotonic() - started_s >= STABLE_S:
                    pause_s = RECONNECT_MIN_S
            elif link is not None:
                pause_s, most_s = max(pause_s, REFUSED_MIN_S), REFUSED_MAX_S
            self._pause(min(pause_s, most_s))
            pause_s = min(2 * pause_s, most_s)

    def _connect(self) -> "_Link | None":
        """Return a connection that was answered, with yes or no; None if there was no answer."""
        properties = _properties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRY_S)
        properties.MaximumPacketSize = PACKET_MAX_BYTES
        try:
            link = _Link(self._make_client(), self._outbox, self._listeners)
            link.open(self._settings, properties)
        # ValueError: the host is no name that can be looked up.
        except (OSError, ValueError, SettingsError) as error:
            self._failed(f"cannot connect: {error}")
            return None
        if link.refusal is not None:
            self._failed(f"refused: {link.refusal}")
            self.refusals += 1
            link.close()
        elif not link.accepted:
            self._failed(f"cannot connect: {link.lost or 'no answer'}")
            link.close()
            return None
        return link

    def _serve(self, link: "_Link") -> None:
        """Send until the connection ends or the program does."""
        self.connects += 1
        self.last_error = None
        log.info("connected broker=%s window=%d", self._where, link.window)
        self._outbox.connected()
        self._accepted.set()
        try:
            while link.lost is None and not self._stopping.is_set():
                if (found := self._outbox.take(link.window, TICK_S)) is not None:
                    link.send(*found)
                link.tick()
                self._outbox.tick()
        except Exception:
            # What it fails on is set aside like what ends connections.
            log.exception("sending failed, trying again")
        self._accepted.clear()
        link.close()
        self._outbox.connection_lost(link.lost or "closed", refusal=link.lost_code in BAD_PACKET)
        if self._stopping.is_set():
            return
        if link.lost_code == SESSION_TAKEN_OVER:
            self._failed(f"{link.lost}: another box has this site and box name; give it its own")
            self.takeovers += 1
        else:
            self._failed(f"connection lost: {link.lost}")

    def _pause(self, pause_s: float) -> None:
        # A fleet that lost its broker must not come back as one.
        until_s = time.monotonic() + pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        while not self._stopping.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._stopping.wait(min(left_s, TICK_S))
            self._outbox.tick()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        # The outbox counts what is on its way.
        client.max_inflight_messages_set(0)
        will, kind = self._will, PacketTypes.WILLMESSAGE
        told = _properties(kind, ContentType=will.content_type, WillDelayInterval=WILL_DELAY_S)
        client.will_set(will.topic, will.payload, will.qos, will.retain, properties=told)
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, read_password(self._settings))
        if self._settings.tls is not None:
            set_tls(client, self._settings.tls)
        return client

    def _failed(self, error: str) -> None:
        """Remember a failure; the first of a kind is logged, its repetitions are not."""
        if error != self.last_error:
            log.warning("broker trouble broker=%s error=%s", self._where, error)
        self.last_error = error


class _Link:
    """One connection, from CONNECT to its end.

    Attributes:
        accepted: the broker said yes.
        refusal: the broker said no, and why.
        lost: why the connection has ended; None while it lasts.
        lost_code: the MQTT 5 reason code of that.
        window: how many messages may be on their way together.
    """

    def __init__(self, client: mqtt.Client, outbox: Outbox, listeners: Listeners) -> None:
        self.accepted = False
        self.refusal: str | None = None
        self.lost: str | None = None
        self.lost_code: int | None = None
        self.window = MAX_INFLIGHT
        self._max_packet_bytes: int | None = None
        self._client, self._outbox, self._listeners = client, outbox, listeners
        self._asked: dict[int | None, str] = {}
        self._answered = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._on_way: dict[int, Entry] = {}
        # Answers that were faster than `send`.
        self._early: dict[int, Any] = {}
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def open(self, settings: MqttSettings, properties: Properties) -> None:
        """Connect, and wait for the broker's answer.

        Raises:
            OSError: there is no broker, or its certificate is not right.
            ValueError: the host is no name.
        """
        self._client.connect_timeout = settings.connect_timeout_s
        self._client.connect(
            settings.host,
            settings.port,
            keepalive=settings.keepalive_s,
            clean_start=False,
            properties=properties,
        )
        self._client.loop_start()
        self._answered.wait(settings.connect_timeout_s)

    def send(self, entry: Entry, message: Message) -> None:
        """Hand a message over to the network."""
        properties = _properties(PacketTypes.PUBLISH, ContentType=message.content_type)
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        if message.correlation is not None:
            properties.CorrelationData = message.correlation
        size_bytes = _packet_bytes(message, properties)
        if self._max_packet_bytes is not None and size_bytes > self._max_packet_bytes:
            self._outbox.refused(
                entry, f"{size_bytes} bytes, the broker takes {self._max_packet_bytes}"
            )
            return
        try:
            mid = self._client.publish(
                message.topic, message.payload, message.qos, message.retain, properties
            ).mid
        except ValueError as error:
            self._outbox.refused(entry, f"cannot be sent: {error}")
            return
        with self._lock:
            reason = self._early.pop(mid, None)
            if reason is None:
                self._on_way[mid] = entry
                return
        self._settle(entry, reason)

    def tick(self) -> None:
        """Listen again where too much came a while ago."""
        self._subscribe(self._listeners.reopen())

    def close(self) -> None:
        """End the connection; a network that takes nothing any more is left to itself."""
        self._client.disconnect()
        if self._ended.wait(CLOSE_TIMEOUT_S):
            self._client.loop_stop()
        with self._lock:
            self._on_way.clear()

    def _on_socket_open(self, _client: Any, _data: Any, sock: Any) -> None:
        # An alert is smaller than a segment, and would wait for the answer to the one before.
        _set_tcp(sock, socket.TCP_NODELAY)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            advice = CONNECT_ADVICE.get(reason.value, "it is tried again")
            reference = getattr(props, "ServerReference", None)
            self.refusal = f"{reason}{f' ({reference})' if reference else ''}; {advice}"
        else:
            self.window = min(MAX_INFLIGHT, getattr(props, "ReceiveMaximum", MAX_INFLIGHT))
            self._max_packet_bytes = getattr(props, "MaximumPacketSize", None)
            self.accepted = True
            self._subscribe(self._listeners.open())
        self._answered.set()

    def _subscribe(self, filters: Iterable[str]) -> None:
        # What is retained is old: none when subscribing, and marked when it is sent. Not QoS 1:
        # mosquitto 2.0 never gives a place in flight back that a packet had which was too large,
        # and after 20 of those no command would come any more. Who hears nothing asks again.
        options = SubscribeOptions(
            qos=0, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        for each in filters:
            _, mid = self._client.subscribe([(each, options)])
            self._asked[mid] = each

    def _on_subscribe(self, _c: Any, _d: Any, mid: int, reasons: Any, _props: Any) -> None:
        for reason in (each for each in reasons if each.is_failure):
            log.warning("nothing is received topic=%s reason=%s", self._asked[mid], reason)

    def _on_message(self, client: mqtt.Client, _d: Any, message: mqtt.MQTTMessage) -> None:
        properties = message.properties
        inbound = Inbound(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=bool(message.retain),
            expiry_s=getattr(properties, "MessageExpiryInterval", None),
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
        for each in self._listeners.filters:
            matches = mqtt.topic_matches_sub(each, message.topic)
            if matches and not self._listeners.hand_over(each, inbound):
                client.unsubscribe(each)

    def _on_disconnect(self, _c: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        # paho calls this for the broker's DISCONNECT, which says why, and again for the socket.
        if self.lost is None:
            self.lost_code, self.lost = reason.value, str(reason)
        self._answered.set()
        self._ended.set()
        self._outbox.wake()

    def _on_publish(self, client: Any, _d: Any, mid: int, reason: Any, _props: Any) -> None:
        # A broker may hold its next answer back until the kernel has acknowledged this one, which
        # takes it 40 ms unless it is told each time not to wait.
        _set_tcp(client.socket(), socket.TCP_QUICKACK)
        with self._lock:
            entry = self._on_way.pop(mid, None)
            if entry is None:
                self._early[mid] = reason
                return
        self._settle(entry, reason)

    def _settle(self, entry: Entry, reason: Any) -> None:
        if not reason.is_failure:
            self._outbox.delivered(entry)
        elif reason.value in PUBLISH_LATER:
            self._outbox.deferred(entry, str(reason))
        else:
            self._outbox.refused(entry, str(reason))


def _set_tcp(sock: Any, option: int) -> None:
    """Turn on an option of a connection, if that still exists."""
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)


def _packet_bytes(message: Message, properties: Properties) -> int:
    """Return the size of a PUBLISH packet; at most three bytes too many."""
    # 5: type and remaining length. 2: length of the topic. 2: packet id.
    topic_bytes = len(message.topic.encode())
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]  # paho 2 annotates it not
    return 5 + 2 + topic_bytes + 2 + len(packed) + len(message.payload)


def _properties(packet_type: int, **values: object) -> Properties:
    made = Properties(packet_type)  # type: ignore[no-untyped-call]  # paho 2 annotates it not
    for name, value in values.items():
        setattr(made, name, value)
    return made
