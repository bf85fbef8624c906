"""A subscriber that remembers what the judge has to know of each message."""

import hashlib
import threading
import time
from dataclasses import dataclass, field

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.incidents import EndReason, Phase
from ropewatch.payloads import BoxStatus, CameraState, IncidentMessage
from ropewatch.reading import parse

QUIET_S = 0.4
SETTLE_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One incident message, without what the judge does not need."""

    id: str
    incident_id: str
    phase: Phase
    revision: int
    boot_id: str
    sequence: int
    end_reason: EndReason | None
    picture: str | None

    @classmethod
    def of(cls, message: IncidentMessage) -> "Heard":
        data = message.data
        return cls(
            id=message.id,
            incident_id=message.subject,
            phase=data.phase,
            revision=data.revision,
            boot_id=data.boot_id,
            sequence=data.sequence,
            end_reason=data.end_reason,
            picture=None if data.snapshot is None else data.snapshot.sha256,
        )


@dataclass(slots=True)
class Testimony:
    """All that came from a broker.

    Attributes:
        incidents: by message id; copies are the same but for their delivery.
        received: how many messages came, of all kinds.
        copies: how many of them were of incidents.
        late: ids of messages of which a copy came late.
        pictures: digests.
        states: the newest of each camera, by name.
        statuses: the newest of the box.
        reasons: all that the box has ever named for being degraded.
        lock: held while a message is taken; hold it to look at several of these.
    """

    __test__ = False

    incidents: dict[str, Heard] = field(default_factory=dict)
    received: int = 0
    copies: int = 0
    late: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    states: dict[str, CameraState] = field(default_factory=dict)
    status: BoxStatus | None = None
    reasons: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, topic: str, payload: bytes) -> None:
        """Remember one message."""
        with self.lock:
            self._take(topic, payload)

    def _take(self, topic: str, payload: bytes) -> None:
        self.received += 1
        if "/snapshot/" in topic:
            self.pictures.add(hashlib.sha256(payload).hexdigest())
            return
        content = parse(topic, payload)
        if isinstance(content, IncidentMessage):
            delivery = content.data.delivery
            self.remember(Heard.of(content), late=delivery is not None and delivery.late)
        elif isinstance(content, CameraState):
            self.states[content.camera] = content
        elif isinstance(content, BoxStatus):
            self.status = content
            self.reasons.update(content.reasons)

    def remember(self, heard: Heard, *, late: bool) -> None:
        """Remember an incident message, or one more copy of it."""
        if self.incidents.setdefault(heard.id, heard) != heard:
            raise AssertionError(f"{heard.id} came with two contents")
        self.copies += 1
        if late:
            self.late.add(heard.id)


class Witness:
    """Subscribes to everything, on a thread of its own; another broker needs `listen` again."""

    def __init__(self) -> None:
        self.testimony = Testimony()
        self.trouble: Exception | None = None
        self._listeners: list[threading.Thread] = []
        self._leaving = threading.Event()

    def listen(self, broker: PrivateBroker) -> None:
        """Subscribe, and return when the broker has agreed."""
        self.leave()
        self._leaving = threading.Event()
        ready = threading.Event()
        listener = threading.Thread(
            target=self._listen, args=(broker, ready, self._leaving), daemon=True
        )
        listener.start()
        self._listeners = [listener]
        if not ready.wait(20):
            raise AssertionError("the witness got no subscription")

    def wait_until_quiet(self) -> None:
        """Wait until nothing has come for a while."""
        until_s = time.monotonic() + SETTLE_TIMEOUT_S
        heard, quiet_s = -1, time.monotonic()
        while time.monotonic() - quiet_s < QUIET_S and time.monotonic() < until_s:
            if heard != self.testimony.received:
                heard, quiet_s = self.testimony.received, time.monotonic()
            time.sleep(0.02)

    def leave(self) -> None:
        """Take what has arrived, and unsubscribe."""
        self._leaving.set()
        for listener in self._listeners:
            listener.join(60)
        self._listeners = []

    def _listen(
        self, broker: PrivateBroker, ready: threading.Event, leaving: threading.Event
    ) -> None:
        try:
            with Subscriber(broker.host, broker.port, ("ropewatch/#",)) as subscriber:
                ready.set()
                while True:
                    last_round = leaving.is_set()
                    for message in subscriber.messages(0.2):
                        self.testimony.take(message.topic, message.payload)
                    if last_round:
                        return
        except Exception as error:
            self.trouble = error
