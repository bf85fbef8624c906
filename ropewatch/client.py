"""The consumers' door to MQTT: what boxes say, message by message or as typed incidents in order.

docs/consumer.md has examples that run.
"""

import contextlib
import logging
import queue
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from typing_extensions import Self

from ropewatch.errors import BrokerError, SettingsError
from ropewatch.payloads import IncidentMessage
from ropewatch.reading import parse
from ropewatch.sequencer import Gap, Incident, Sequencer
from ropewatch.topics import INCIDENT, JSON, SNAPSHOT, topic_of

log = logging.getLogger("ropewatch.client")

CONNECT_TIMEOUT_S: Final = 10.0
RECONNECT_MAX_S: Final = 30
KEEPALIVE_S: Final = 30
KEEP_S: Final = 24 * 3600
# Messages that a consumer with a session has and has not answered for; the others stay at the
# broker.
WINDOW: Final = 100
# Messages that a consumer without one has not come to; the broker need not keep them either.
QUEUE_MAX: Final = 100_000
QUEUE_MAX_BYTES: Final = 256 * 1024 * 1024
WAIT_S: Final = 2.0
POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came from the broker.

    Attributes:
        topic: in full.
        payload: as sent.
        content_type: MQTT 5 property.
        retained: the broker has kept it; it may be old.
        packet: number of its packet, and of the connection that it came on.
        correlation: MQTT 5 property; an answer has that of its question.
    """

    topic: str
    payload: bytes
    content_type: str | None
    retained: bool
    packet: tuple[int, int]
    correlation: bytes | None = None


class Subscriber:
    """Iterates over the messages of some topics; use it in a `with` block.

    The subscription is renewed after every reconnect. Delivery is at least once: a consumer
    drops what it has seen by the CloudEvents `id`, as `incidents` does.

    With a `client_id` the broker keeps what comes while this consumer is away, and a message
    counts as delivered when the next one is asked for: what was being worked on when a consumer
    died comes again.

    Without one, what comes faster than it is asked for is dropped beyond a bound, the oldest
    first, and logged.

    Attributes:
        dropped: how many messages that were.

    Args:
        host: broker.
        port: its TCP port.
        topics: filters, for example `ropewatch/v1/+/+/camera/+/incident`.
        username: user name, if the broker wants one.
        password: its password.
        ca_file: CA bundle; set, it turns TLS on.
        cert_file: client certificate, PEM, with its key in it or in `key_file`.
        key_file: key of the certificate.
        client_id: name of this consumer, which no other connection may have.
        keep_s: how long the broker keeps messages for an absent `client_id`.
        group: consumers of the same group share the messages; each goes to one of them.

    Raises:
        SettingsError: the CA bundle or the certificate is absent or holds none.
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
        cert_file: str | None = None,
        key_file: str | None = None,
        client_id: str | None = None,
        keep_s: int = KEEP_S,
        group: str | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._topics = [topic if group is None else f"$share/{group}/{topic}" for topic in topics]
        self._keep_s = None if client_id is None else keep_s
        self.dropped = 0
        self._messages: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._answered = threading.Event()
        self._refused: str | None = None
        self._lock = threading.Lock()
        self._connection = 0
        self._handed_out: deque[Received] = deque()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or "",
            protocol=mqtt.MQTTv5,
            manual_ack=client_id is not None,
        )
        self._client.reconnect_delay_set(max_delay=RECONNECT_MAX_S)
        if username is not None:
            self._client.username_pw_set(username, password)
        if ca_file is None and (cert_file or key_file):
            raise SettingsError(
                f"cert_file: {cert_file or key_file}: set without ca_file, want both: nobody is "
                "shown a certificate without TLS; set ca_file"
            )
        if ca_file is not None:
            _set_tls(self._client, ca_file, cert_file, key_file)
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
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
        if self._keep_s is not None:
            properties.SessionExpiryInterval = self._keep_s
            properties.ReceiveMaximum = WINDOW
        try:
            self._client.connect(
                self._host,
                self._port,
                keepalive=KEEPALIVE_S,
                clean_start=self._keep_s is None,
                properties=properties,
            )
        # ValueError: the host is no name that can be looked up.
        except (OSError, ValueError) as error:
            raise BrokerError(
                f"{where}: {error}, want a broker; start it, or correct host and port"
            ) from None
        self._client.loop_start()
        if not self._answered.wait(CONNECT_TIMEOUT_S):
            self._refused = f"no answer within {CONNECT_TIMEOUT_S:g} s"
        if self._refused is not None:
            self._stop()
            raise BrokerError(
                f"{where}: {self._refused}, want the right to subscribe; correct the credentials "
                "or the broker's access list"
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
        while (received := self.next(timeout_s)) is not None:
            yield received
            self.done()

    def next(self, timeout_s: float | None = None) -> Received | None:
        """Return the next message; None if there is none within `timeout_s` seconds.

        With a `client_id`, `done` tells the broker that it need not come again.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                received = self._messages.get(timeout=timeout_s)
                if self._keep_s is None:
                    with self._lock:
                        self._queued_bytes -= len(received.payload)
                    return received
                # What came on an earlier connection and has no answer comes again on this one.
                if received.packet[1] == self._connection:
                    self._handed_out.append(received)
                    return received
        return None

    def done(self) -> None:
        """Tell the broker that what `next` has returned so far need not come again."""
        while self._handed_out:
            mid, connection = self._handed_out.popleft().packet
            with self._lock:
                # On another connection this number may be another message's.
                if connection == self._connection:
                    self._client.ack(mid, 1)

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        expiry_s: int,
        response_topic: str,
        correlation: bytes,
    ) -> None:
        """Ask somebody; whether it arrived is seen by the answer.

        Args:
            topic: theirs.
            payload: the question.
            expiry_s: how long it may be on its way.
            response_topic: of the answer; one of this subscriber's.
            correlation: by which to know the answer.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho
        properties.ContentType = JSON
        properties.MessageExpiryInterval = expiry_s
        properties.ResponseTopic = response_topic
        properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos=1, properties=properties)

    def _stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        with self._lock:
            self._connection += 1
        if reason.is_failure:
            self._answer(f"refused: {reason}")
            return
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])

    def _on_disconnect(self, _c: Any, _d: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            self._answer(f"connection lost: {reason}")

    def _on_subscribe(self, _c: Any, _d: Any, _mid: int, reasons: Any, _props: Any) -> None:
        failed = [str(reason) for reason in reasons if reason.is_failure]
        self._answer(f"refused: {failed[0]}" if failed else None)

    def _answer(self, refused: str | None) -> None:
        if not self._answered.is_set():
            self._refused = refused
            self._answered.set()
        elif refused is not None:
            # Silence would read as "no incidents".
            log.warning(
                "nothing is received, trying again broker=%s:%d reason=%s",
                self._host,
                self._port,
                refused,
            )

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        properties: Properties | None = message.properties
        if self._keep_s is None:
            self._make_room(len(message.payload))
        self._messages.put(
            Received(
                message.topic,
                bytes(message.payload),
                getattr(properties, "ContentType", None),
                bool(message.retain),
                (message.mid, self._connection),
                getattr(properties, "CorrelationData", None),
            )
        )

    def _make_room(self, size_bytes: int) -> None:
        """Drop the oldest: of what is retained, the newest word is the one that holds."""
        with self._lock, contextlib.suppress(queue.Empty):
            self._queued_bytes += size_bytes
            while self._messages.qsize() >= QUEUE_MAX or self._queued_bytes > QUEUE_MAX_BYTES:
                self._queued_bytes -= len(self._messages.get_nowait().payload)
                self.dropped += 1
                # 1, 2, 4 and so on: a storm is no storm of lines.
                if self.dropped & (self.dropped - 1) == 0:
                    log.warning("more comes than is read, messages dropped count=%d", self.dropped)


def incident_topic(site: str = "+", box: str = "+") -> str:
    """Return the filter for incidents of a site and box; + is all of them."""
    return INCIDENT.of(site=site, box=box, camera="+")


def log_gap(gap: Gap) -> None:
    """Say that messages are missing."""
    log.warning(
        "messages are missing site=%s box=%s boot_id=%s first=%d last=%d",
        gap.site,
        gap.box,
        gap.boot_id,
        gap.first,
        gap.last,
    )


def incidents(
    subscriber: Subscriber,
    *,
    wait_s: float = WAIT_S,
    for_s: float | None = None,
    on_gap: Callable[[Gap], None] = log_gap,
    on_snapshot: Callable[[Received], None] | None = None,
) -> Iterator[Incident]:
    """Yield incident messages: each once, in the order of their box, typed.

    What is no incident, of another major version or of another camera than its topic is counted,
    logged and passed over. With a
    `client_id`, a message counts as delivered when the next one is asked for.

    Args:
        subscriber: connected, to topics of incidents.
        wait_s: how long a message waits for one that was sent before it and has not come; 0 never
            waits, which is right in a group: there most go to others.
        for_s: ends after so many seconds; None never.
        on_gap: told of messages that have not come in time.
        on_snapshot: given the pictures, where the subscriber has their topics as well.
    """
    order, passed_over = Sequencer(wait_s), 0
    end_s = None if for_s is None else time.monotonic() + for_s
    while end_s is None or time.monotonic() < end_s:
        received = subscriber.next(POLL_S)
        now_s = time.monotonic()
        incident = None
        if received is not None and on_snapshot is not None and _is_snapshot(received):
            on_snapshot(received)
        elif received is not None:
            try:
                incident = _incident(received)
            except ValueError as error:
                passed_over += 1
                # The beginning of the topic: whoever may send there has chosen the rest.
                log.warning(
                    "message passed over count=%d topic=%.256s reason=%s",
                    passed_over,
                    received.topic,
                    error,
                )
        if incident is not None:
            yield from order.take(incident, now_s)
        yield from order.due(now_s)
        for gap in order.gaps():
            on_gap(gap)
        if not order.held:
            subscriber.done()


def _is_snapshot(received: Received) -> bool:
    return topic_of(received.topic) is SNAPSHOT


def _incident(received: Received) -> Incident:
    message = parse(received.topic, received.payload)
    if not isinstance(message, IncidentMessage):
        raise ValueError("no topic of an incident")  # noqa: TRY004 - as all that is passed over
    return Incident(message, received.payload, received.topic)


def _set_tls(
    client: mqtt.Client, ca_file: str, cert_file: str | None, key_file: str | None
) -> None:
    try:
        client.tls_set(
            ca_certs=ca_file, certfile=cert_file, keyfile=key_file, cert_reqs=ssl.CERT_REQUIRED
        )
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        where = ", ".join(name for name in (ca_file, cert_file, key_file) if name)
        raise SettingsError(
            f"ca_file: {where}: {what}, want readable PEM files of certificates; correct the path"
        ) from None
