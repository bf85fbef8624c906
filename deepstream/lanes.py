"""What waits for the broker, in memory: lanes by urgency, in order within each, bounded.

No disk, no clock, no threads; `outbox.py` has those.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ropewatch.wire import Message

# A message that went down with this many connections is sent with no other such beside it,
# so that the next loss tells which one the broker cannot stand.
SUSPECT_LOSSES: Final = 3
ASIDE_LOSSES: Final = 6
ASIDE_DEFERRALS: Final = 8
ASIDE_RETRY_S: Final = 600.0
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
# What a message costs beside its payload, on disk and in memory.
OVERHEAD_BYTES: Final = 256


class Lane(IntEnum):
    """How urgent a message is; a lower number goes first."""

    ALERT = 0  # starts and ends of incidents: never dropped, on disk before they are sent
    STATE = 1  # retained: of each topic the newest, in memory, said anew on each connection
    ANSWER = 2  # in memory: somebody waits for it now, and has given up by the next start
    UPDATE = 3
    SNAPSHOT = 4
    TELEMETRY = 5  # in memory

    @property
    def on_disk(self) -> bool:
        """Whether messages of this lane outlive a restart."""
        return self not in {Lane.STATE, Lane.ANSWER, Lane.TELEMETRY}


# What goes first when there is too much.
DROP_ORDER: Final = (Lane.TELEMETRY, Lane.ANSWER, Lane.UPDATE, Lane.SNAPSHOT)


@dataclass(frozen=True, slots=True)
class Post:
    """One message handed over for delivery.

    Attributes:
        message: what is sent.
        lane: how urgent it is.
        incident_id: of a start, update or end; until its end is kept, a restart will end it.
        is_end: it is that incident's end.
        frame_age_s: how old the frame was that it is about; None where that is not known.
    """

    message: Message
    lane: Lane
    incident_id: str | None = None
    is_end: bool = False
    frame_age_s: float | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """One message on its way.

    Attributes:
        number: order in which messages were handed over, also the key on disk.
        lane: how urgent it is.
        message: with an empty payload while that is only on disk.
        size_bytes: what it counts against the bounds.
        queued_s: when it was handed over, on the monotonic clock of this run.
        queued_unix_ns: the same by the wall clock.
        earlier_run: it has waited over a restart.
        in_memory: the payload is here.
        losses: connections that ended while it was on its way.
        deferrals: how often the broker has put it off.
        refused: it was set aside before.
        frame_age_s: how old its frame was when it was handed over; None where not known.
    """

    number: int
    lane: Lane
    message: Message
    size_bytes: int
    queued_s: float
    queued_unix_ns: int
    earlier_run: bool = False
    in_memory: bool = True
    losses: int = 0
    deferrals: int = 0
    refused: bool = False
    frame_age_s: float | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what the broker ends connections for."""
        return self.losses >= SUSPECT_LOSSES


class Lanes:
    """The order in which messages leave.

    Args:
        max_bytes: bound of everything that waits or is on its way.
        max_age_s: what waits longer is dropped, unless it is a start or an end.
    """

    def __init__(self, *, max_bytes: int, max_age_s: float) -> None:
        self.bytes = 0
        self.memory_bytes = 0
        self.in_flight: dict[Entry, None] = {}
        self.aside: deque[Entry] = deque()
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self._queues: dict[Lane, deque[Entry]] = {lane: deque() for lane in Lane}
        self._state: dict[str, Entry] = {}
        self._paused_until_s = dict.fromkeys(Lane, 0.0)
        self._pause_s = dict.fromkeys(Lane, PAUSE_MIN_S)
        self._aside_due_s = 0.0

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet, without those that were set aside."""
        return sum(len(queue) for queue in self._queues.values()) + len(self.in_flight)

    @property
    def over_bytes(self) -> bool:
        """Whether starts and ends alone are more than the bound."""
        return self.bytes > self._max_bytes

    def all(self) -> Iterator[Entry]:
        """Yield every message that is here, in no particular order."""
        for queue in self._queues.values():
            yield from queue
        yield from self.in_flight
        yield from self.aside

    def add(self, entry: Entry) -> None:
        """Append to the lane; in the lane of states it takes the place of an older one."""
        queue = self._queues[entry.lane]
        if entry.lane is Lane.STATE:
            older = self._state.get(entry.message.topic)
            self._state[entry.message.topic] = entry
            if older is not None and older in queue:
                queue[queue.index(older)] = entry
                return
        else:
            self._count(entry, 1)
        queue.append(entry)

    def add_earlier(self, entries: Iterable[Entry]) -> None:
        """Put what an earlier run has left, oldest first, before everything of its lane."""
        for entry in sorted(entries, key=lambda entry: entry.number, reverse=True):
            self._queues[entry.lane].appendleft(entry)
            self._count(entry, 1)

    def take(self, now_s: float, window: int) -> Entry | None:
        """Return what is to be sent next; it is on its way from now on.

        One place of the window stays free for a start or an end, and one snapshot at a time
        is under way: a start does not wait behind pictures on a slow link.
        """
        free = window - len(self.in_flight)
        for lane, queue in self._queues.items():
            if free <= 0 or not queue or now_s < self._paused_until_s[lane]:
                continue
            if lane is not Lane.ALERT and free == 1 < window:
                continue
            if lane is Lane.SNAPSHOT and any(e.lane is lane for e in self.in_flight):
                continue
            if queue[0].is_suspect and any(e.is_suspect for e in self.in_flight):
                continue
            return self._send(queue)
        if self.aside and not self.waiting and now_s >= self._aside_due_s:
            return self._send(self.aside)
        return None

    def delivered(self, entry: Entry, now_s: float) -> None:
        """Forget a message that the broker has."""
        self.forget(entry)
        self._pause_s[entry.lane] = PAUSE_MIN_S
        if entry.refused:
            # The broker has changed its mind: the next one may go at once.
            self._aside_due_s = now_s

    def forget(self, entry: Entry) -> None:
        """Take a message that is on its way out of everything."""
        if entry in self.in_flight:
            del self.in_flight[entry]
            if entry.lane is not Lane.STATE:
                self._count(entry, -1)

    def defer(self, entry: Entry, now_s: float) -> None:
        """Put a message back that the broker does not take now; its lane pauses.

        One that is put off again and again is set aside: the others shall pass.
        """
        entry.deferrals += 1
        if entry.deferrals >= ASIDE_DEFERRALS and entry.lane is not Lane.STATE:
            self.set_aside(entry, now_s)
        else:
            self._put_back([entry])
            pause_s = self._pause_s[entry.lane]
            self._paused_until_s[entry.lane] = now_s + pause_s
            self._pause_s[entry.lane] = min(2 * pause_s, PAUSE_MAX_S)

    def set_aside(self, entry: Entry, now_s: float) -> None:
        """Let the others pass a message that the broker refuses; it is tried now and then."""
        self.in_flight.pop(entry, None)
        entry.refused = True
        self.aside.append(entry)
        self._aside_due_s = now_s + ASIDE_RETRY_S

    def try_refused(self) -> None:
        """Send what was refused once more, after what waits; not what seems to end connections."""
        refused, self.aside = self.aside, deque()
        for entry in refused:
            poison = entry.losses >= ASIDE_LOSSES
            (self.aside if poison else self._queues[entry.lane]).append(entry)

    def connection_lost(self, now_s: float, *, refusal: bool) -> list[Entry]:
        """Put back what was on its way, and return what is set aside instead.

        Args:
            now_s: monotonic time.
            refusal: the broker has ended the connection for something that it was sent.
        """
        lost = list(self.in_flight)
        poison = []
        for entry in lost:
            entry.losses = max(entry.losses + 1, SUSPECT_LOSSES if refusal else 0)
            sure = entry.losses >= ASIDE_LOSSES or (refusal and len(lost) == 1)
            if sure and entry.lane is not Lane.STATE:
                poison.append(entry)
        self._put_back([entry for entry in lost if entry not in poison])
        for entry in poison:
            entry.losses = ASIDE_LOSSES
            self.set_aside(entry, now_s)
        return poison

    def connected(self, now_s: float) -> None:
        """Say every state anew: the broker may have forgotten, or told the will meanwhile.

        What was refused is tried again, but not what seems to end connections.
        """
        self._queues[Lane.STATE] = deque(self._state.values())
        self._paused_until_s = dict.fromkeys(Lane, 0.0)
        if self.aside and self.aside[0].losses < ASIDE_LOSSES:
            self._aside_due_s = now_s

    def say_again(self) -> None:
        """Say every state anew that is not on its way: somebody has begun to listen."""
        states = self._state.values()
        self._queues[Lane.STATE] = deque(e for e in states if e not in self.in_flight)

    def trim(self, now_s: float, max_memory_bytes: int | None) -> list[Entry]:
        """Drop what is too old or too much, and return it.

        Args:
            now_s: monotonic time.
            max_memory_bytes: bound of what is in memory only; None while the disk works.
        """
        dropped = []
        for lane in DROP_ORDER:
            for queue in (self.aside, self._queues[lane]):
                while queue and (entry := _first(queue, lane)) and self._is_old(entry, now_s):
                    dropped.append(self._drop(queue, entry))
        while self.bytes > self._max_bytes and (found := self._oldest(in_memory=False)):
            dropped.append(self._drop(*found))
        if max_memory_bytes is not None:
            while self.memory_bytes > max_memory_bytes and (found := self._oldest(in_memory=True)):
                dropped.append(self._drop(*found))
        return dropped

    def _is_old(self, entry: Entry, now_s: float) -> bool:
        expiry_s = entry.message.expiry_s
        limit_s = self._max_age_s if expiry_s is None else min(self._max_age_s, expiry_s)
        return now_s - entry.queued_s > limit_s

    def _oldest(self, *, in_memory: bool) -> tuple[deque[Entry], Entry] | None:
        for lane in DROP_ORDER:
            for queue in (self.aside, self._queues[lane]):
                for entry in _of(queue, lane):
                    if entry.in_memory or not in_memory:
                        return queue, entry
        return None

    def _drop(self, queue: deque[Entry], entry: Entry) -> Entry:
        queue.remove(entry)
        self._count(entry, -1)
        return entry

    def _send(self, queue: deque[Entry]) -> Entry:
        entry = queue.popleft()
        self.in_flight[entry] = None
        return entry

    def _put_back(self, entries: list[Entry]) -> None:
        for entry in sorted(entries, key=lambda entry: entry.number, reverse=True):
            self.in_flight.pop(entry, None)
            # A newer state has replaced it, or `connected` says it again.
            if entry.lane is not Lane.STATE or self._state[entry.message.topic] is entry:
                self._queues[entry.lane].appendleft(entry)

    def _count(self, entry: Entry, sign: int) -> None:
        self.bytes += sign * entry.size_bytes
        if entry.in_memory:
            self.memory_bytes += sign * entry.size_bytes


def _of(queue: deque[Entry], lane: Lane) -> Iterator[Entry]:
    return (entry for entry in queue if entry.lane is lane)


def _first(queue: deque[Entry], lane: Lane) -> Entry | None:
    return next(_of(queue, lane), None)
