"""Messages between decision and broker: on disk before they are sent, until they are delivered.

A start or an end is durable when `offer` returns. When the disk fails, everything goes on from
memory, and back to disk once it works again. Knows no MQTT.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ulid import ULID

from deepstream.journal import Batch, Left
from deepstream.keeper import Keeper
from deepstream.lanes import OVERHEAD_BYTES, Entry, Lane, Lanes, Post
from deepstream.latency import Latencies, Percentiles
from ropewatch.mqtt_settings import OutboxSettings
from ropewatch.wire import Message, stamped

log = logging.getLogger("ropewatch.outbox")

FILE_NAME: Final = "outbox.sqlite"
# Payloads beyond this are read back from disk when their turn comes.
KEEP_BYTES: Final = 16 * 1024 * 1024
# All that may be in memory while the disk fails, starts and ends excepted.
MEMORY_MAX_BYTES: Final = 64 * 1024 * 1024
SAVE_EVERY_S: Final = 1.0
SAVE_EVERY_MESSAGES: Final = 64
# Numbers of one run begin at its boot id's milliseconds, times this: they sort after those before.
NUMBERS_EACH_MS: Final = 1 << 20


@dataclass(slots=True)
class OutboxCounters:
    """What happened to the messages; part of the box's status.

    Attributes:
        delivered: acknowledged by the broker.
        refused: answers of the broker, or of the MQTT library, that were no yes.
        lost: gone with a database that broke while it was in use.
        dropped: by lane, too old or too much.
    """

    delivered: int
    refused: int
    lost: int
    dropped: Counter[Lane]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an outbox has measured.

    Attributes:
        waiting: messages that are neither delivered nor set aside.
        waiting_bytes: what counts against the bound, messages that were set aside included.
        delivered: incident messages of this run with the time of their frame.
        latency: from that frame until the broker had the message; None before the first.
    """

    waiting: int
    waiting_bytes: int
    delivered: int
    latency: Percentiles | None


class Outbox:
    """Keeps messages until the broker has them; any thread may call it.

    Args:
        folder: of this box alone; it is made when it does not exist.
        settings: the bounds.
        clock: monotonic seconds.
        unix_ns: wall time.
    """

    def __init__(
        self,
        folder: Path,
        settings: OutboxSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.counters = OutboxCounters(0, 0, 0, Counter())
        self._latencies = Latencies()
        self._settings = settings
        self._clock, self._unix_ns = clock, unix_ns
        self._lanes = Lanes(max_bytes=settings.max_bytes, max_age_s=settings.max_age_s)
        self._changed = threading.Condition()
        self._refusal: str | None = None
        self._unread = False
        self._open: dict[str, bytes] = {}
        self._left_open: dict[str, bytes] = {}
        self._left_answers: dict[tuple[str, str], bytes] = {}
        self._keeper = Keeper(
            folder / FILE_NAME,
            clock=clock,
            unix_ns=unix_ns,
            on_left=self._take_over,
            on_fresh=self._afresh,
        )
        self.boot_id = self._keeper.boot_id
        self._number = ULID.from_str(self.boot_id).milliseconds * NUMBERS_EACH_MS

    @property
    def databases_set_aside(self) -> int:
        """How many databases were found corrupt."""
        return self._keeper.databases_set_aside

    @property
    def waiting(self) -> int:
        """Messages that are neither delivered nor set aside."""
        with self._changed:
            return self._lanes.waiting

    def measure(self) -> Measured:
        """Return what waits now, and how long delivery took."""
        with self._changed:
            return Measured(
                waiting=self._lanes.waiting,
                waiting_bytes=self._lanes.bytes,
                delivered=self._latencies.count,
                latency=self._latencies.percentiles(),
            )

    def offer(self, *posts: Post) -> None:
        """Take messages; those of incidents are on disk, as one transaction, when it returns.

        A lane that is not kept on disk takes its message without waiting for one.
        """
        kept = [post for post in posts if post.lane.on_disk]
        if kept:
            with self._keeper.disk:
                with self._changed:
                    entries = [self._entry(post) for post in kept]
                try:
                    self._keeper.save(durable=any(post.lane is Lane.ALERT for post in kept))
                finally:
                    # Whatever becomes of the disk, alerts go out.
                    with self._changed:
                        self._enqueue(entries)
        if len(kept) < len(posts):
            with self._changed:
                self._enqueue([self._entry(post) for post in posts if not post.lane.on_disk])

    def left_open(self) -> dict[str, bytes]:
        """Return, once, what an earlier run has left open: incident id and newest payload.

        Each stays on disk until its end is offered.
        """
        with self._changed:
            found, self._left_open = self._left_open, {}
            return found

    def left_answers(self) -> dict[tuple[str, str], bytes]:
        """Return, once, what earlier runs have answered, oldest first: by sender and id."""
        with self._changed:
            found, self._left_answers = self._left_answers, {}
            return found

    def keep_answer(self, sender: str, request_id: str, answer: bytes) -> None:
        """Keep what is answered to a command; it is on disk when this returns."""
        self._keeper.answer(sender, request_id, answer)
        self._keeper.save(durable=True)

    def take(self, window: int, timeout_s: float = 0.0) -> tuple[Entry, Message] | None:
        """Return the next message as it is to be sent now; None if there is none to send.

        Args:
            window: how many may be on their way together.
            timeout_s: wait that long for one, or until `wake`.
        """
        with self._changed:
            entry = self._lanes.take(self._clock(), window)
            if entry is None and timeout_s > 0:
                self._changed.wait(timeout_s)
                entry = self._lanes.take(self._clock(), window)
        return None if entry is None else self._ready(entry)

    def delivered(self, entry: Entry) -> None:
        """Forget a message that the broker has acknowledged."""
        with self._changed:
            if entry not in self._lanes.in_flight:
                # The answer came when its connection was given up: it is sent again.
                return
            self.counters.delivered += 1
            if entry.frame_age_s is not None:
                self._latencies.add(self._clock() - entry.queued_s + entry.frame_age_s)
            self._lanes.delivered(entry, self._clock())
            self._forget_on_disk(entry)
            self._changed.notify_all()

    def deferred(self, entry: Entry, why: str) -> None:
        """Send a message again later: the broker does not take it now."""
        with self._changed:
            if entry in self._lanes.in_flight:
                self._refused(entry, why)
                self._lanes.defer(entry, self._clock())
                self._changed.notify_all()

    def refused(self, entry: Entry, why: str) -> None:
        """Set a message aside that the broker does not take; the others go on."""
        with self._changed:
            if entry not in self._lanes.in_flight:
                return
            self._refused(entry, why)
            if entry.lane.on_disk:
                self._lanes.set_aside(entry, self._clock())
            else:
                self._lanes.forget(entry)
            self._changed.notify_all()

    def connected(self) -> None:
        """Begin anew with a broker: every state is said again."""
        with self._changed:
            self._lanes.connected(self._clock())
            self._changed.notify_all()

    def say_again(self) -> None:
        """Say every state anew."""
        with self._changed:
            self._lanes.say_again()
            self._changed.notify_all()

    def connection_lost(self, why: str = "connection lost", *, refusal: bool = False) -> None:
        """Send again what was on its way.

        Args:
            why: in words.
            refusal: the broker has ended the connection for something that it was sent.
        """
        with self._changed:
            for entry in self._lanes.connection_lost(self._clock(), refusal=refusal):
                self._refused(entry, f"{why} when it was sent")
            self._changed.notify_all()

    def wake(self) -> None:
        """Let `take` return."""
        with self._changed:
            self._changed.notify_all()

    def tick(self) -> None:
        """Do what is due: drop what is too old, tell the disk what is delivered, try it again."""
        with self._changed:
            self._trim()
            idle = self._lanes.waiting == 0
        keeper = self._keeper
        late = self._clock() - keeper.saved_s >= SAVE_EVERY_S
        unsaved = keeper.unsaved
        if keeper.trouble or (unsaved and (idle or late)) or unsaved >= SAVE_EVERY_MESSAGES:
            keeper.save(durable=False)
        if self._unread and keeper.trouble is None:
            self._unread = False
            self.try_refused()

    def try_refused(self) -> None:
        """Try once more, now, what the broker has refused so far: a run is about to end."""
        with self._changed:
            self._lanes.try_refused()
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> int:
        """Wait until everything is delivered; return how many messages are not."""
        with self._changed:
            self._changed.wait_for(lambda: self._lanes.waiting == 0, timeout_s)
            return self._lanes.waiting

    def close(self) -> None:
        """Write what the disk does not know yet, and let go of it."""
        self._keeper.close()

    def troubles(self) -> list[str]:
        """Say what is wrong at this moment; empty while all is well."""
        with self._changed:
            troubles = []
            if self._keeper.trouble is not None:
                troubles.append(
                    f"outbox: {self._keeper.trouble}: messages are in memory only, a restart "
                    "loses them"
                )
            if self._lanes.over_bytes:
                troubles.append("outbox: more starts and ends wait than mqtt.outbox.max_bytes")
            if self._lanes.aside:
                troubles.append(f"{len(self._lanes.aside)} messages set aside: {self._refusal}")
            return troubles

    def _entry(self, post: Post) -> Entry:
        self._number += 1
        message = post.message
        entry = Entry(
            number=self._number,
            lane=post.lane,
            message=message,
            size_bytes=len(message.payload) + OVERHEAD_BYTES,
            queued_s=self._clock(),
            queued_unix_ns=self._unix_ns(),
            frame_age_s=post.frame_age_s,
        )
        if post.lane.on_disk:
            self._keeper.insert(entry)
        if post.incident_id is not None:
            last = None if post.is_end else message.payload
            self._keeper.incident(post.incident_id, last)
            if last is None:
                self._open.pop(post.incident_id, None)
            else:
                self._open[post.incident_id] = last
        return entry

    def _enqueue(self, entries: list[Entry]) -> None:
        for entry in entries:
            if (
                entry.lane.on_disk
                and self._keeper.trouble is None
                and self._lanes.memory_bytes > KEEP_BYTES
            ):
                entry.message, entry.in_memory = replace(entry.message, payload=b""), False
            self._lanes.add(entry)
        self._trim()
        self._changed.notify_all()

    def _ready(self, entry: Entry) -> tuple[Entry, Message] | None:
        message = entry.message
        if not entry.in_memory:
            payload = self._payload(entry)
            if payload is None:
                return None
            message = replace(message, payload=payload)
        waited_s = max(self._clock() - entry.queued_s, 0.0)
        try:
            return entry, stamped(
                message,
                queued_ns=int(waited_s * 1e9),
                published_ns=self._unix_ns(),
                late=entry.earlier_run or waited_s >= self._settings.late_after_s,
            )
        except ValueError as error:
            self.refused(entry, f"not an incident: {error}")
            return None

    def _payload(self, entry: Entry) -> bytes | None:
        payload = self._keeper.payload(entry.number)
        if payload is None:
            with self._changed:
                if self._keeper.trouble is None:
                    self.counters.lost += 1
                    self._lanes.forget(entry)
                else:
                    self._refusal, self._unread = "cannot be read from disk", True
                    self._lanes.set_aside(entry, self._clock())
        return payload

    def _refused(self, entry: Entry, why: str) -> None:
        self.counters.refused += 1
        if why != self._refusal:
            log.warning(
                "message not taken topic=%s size_bytes=%d reason=%s",
                entry.message.topic,
                entry.size_bytes,
                why,
            )
        self._refusal = why

    def _trim(self) -> None:
        memory_bytes = None if self._keeper.trouble is None else MEMORY_MAX_BYTES
        for entry in self._lanes.trim(self._clock(), memory_bytes):
            self.counters.dropped[entry.lane] += 1
            self._forget_on_disk(entry)

    def _forget_on_disk(self, entry: Entry) -> None:
        if entry.lane.on_disk:
            self._keeper.delete(entry)

    def _take_over(self, left: Left) -> None:
        """Put what an earlier run has left before what this one has so far."""
        with self._changed:
            self._lanes.add_earlier(left.entries)
            self._left_open.update(left.incidents)
            self._left_answers.update(left.answers)
            self._changed.notify_all()

    def _afresh(self) -> Batch:
        """Return what a new database has to hold; what is only in the broken one is lost."""
        with self._changed:
            kept = [e for e in self._lanes.all() if e.lane.on_disk and e.in_memory]
            return Batch(
                inserts={entry.number: entry for entry in kept},
                incidents={**self._left_open, **self._open},
            )
