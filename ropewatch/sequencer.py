"""Incident messages of many boxes: once each, in order, and what is missing between them.

Pure: time is an argument. `ropewatch.client.incidents` feeds it from a broker.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ropewatch.payloads import IncidentMessage

MAX_RUNS: Final = 10_000
MAX_BOXES: Final = 10_000
# Of one run, and of all of them.
MAX_HELD: Final = 1000
MAX_HELD_BYTES: Final = 16 * 1024 * 1024
# Gaps of one run that may still be filled.
MAX_MISSING: Final = 100


@dataclass(frozen=True, slots=True)
class Incident:
    """One message about an incident.

    Attributes:
        message: what it says, typed.
        payload: as it came, with fields that this version may not know.
        topic: where it came.
    """

    message: IncidentMessage
    payload: bytes
    topic: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that have not come although later ones of the same run have.

    Attributes:
        site: of the box.
        box: whose messages are missing.
        boot_id: the box's run.
        first: least missing sequence.
        last: greatest missing sequence.
    """

    site: str
    box: str
    boot_id: str
    first: int
    last: int


Run: TypeAlias = tuple[str, str, str]


@dataclass(slots=True)
class _Run:
    """One run of a box: `awaited` is next, `missing` is what may still come below it."""

    awaited: int
    missing: list[range]
    held: dict[int, tuple[Incident, float]] = field(default_factory=dict)


class Sequencer:
    """Gives every message on once, in the order of its box's run.

    A box's alerts overtake its updates after an outage, and updates may be dropped: a message is
    held back for `wait_s` at most when an earlier one is missing. What comes after that is given
    on at once, out of order: late is better than never.

    Whoever sends without end makes it forget, not grow: of a run that was silent for longest, or
    of a gap before a hundred others, what comes again is given on again. Twice is better, too.

    Args:
        wait_s: how long to wait for a missing message; 0 never waits.
    """

    def __init__(self, wait_s: float) -> None:
        self.duplicates = 0
        self._wait_s = wait_s
        self._runs: dict[Run, _Run] = {}
        # Those of which messages are held; who waits for longest comes first.
        self._holding: dict[Run, None] = {}
        self._held_bytes = 0
        self._newest: dict[tuple[str, str], str] = {}
        self._gaps: list[Gap] = []

    @property
    def held(self) -> int:
        """How many messages wait for an earlier one."""
        return sum(len(self._runs[key].held) for key in self._holding)

    def take(self, incident: Incident, now_s: float) -> list[Incident]:
        """Take a message; return those whose turn has come.

        Args:
            incident: in whatever order they come.
            now_s: monotonic time.
        """
        data = incident.message.data
        key = (data.site, data.box, data.boot_id)
        run = self._run(key, data.sequence)
        if data.sequence >= run.awaited:
            if data.sequence in run.held:
                self.duplicates += 1
                return []
            run.held[data.sequence] = (incident, now_s)
            self._held_bytes += len(incident.payload)
            self._holding.setdefault(key)
            released = self._release(key, now_s)
            while self._held_bytes > MAX_HELD_BYTES:
                released += self._release(next(iter(self._holding)), now_s, at_once=True)
            return released
        if _take_out(run.missing, data.sequence):
            return [incident]
        self.duplicates += 1
        return []

    def due(self, now_s: float) -> list[Incident]:
        """Return the messages that have waited long enough."""
        return [each for key in list(self._holding) for each in self._release(key, now_s)]

    def gaps(self) -> list[Gap]:
        """Return, once, what was found to be missing."""
        found, self._gaps = self._gaps, []
        return found

    def _run(self, key: Run, sequence: int) -> _Run:
        # Taken out and put back: the run that was silent for longest comes first.
        run = self._runs.pop(key, None)
        if run is None:
            site, box, boot_id = key
            newest = self._newest.pop((site, box), None)
            # Who was here before the box started knows that its first message has number 1.
            first = 1 if newest is not None and boot_id > newest else sequence
            run = _Run(first, [range(first)])
            self._newest[site, box] = max(boot_id, newest or boot_id)
            if len(self._newest) > MAX_BOXES:
                del self._newest[next(iter(self._newest))]
            self._forget_silent()
        self._runs[key] = run
        return run

    def _forget_silent(self) -> None:
        if len(self._runs) >= MAX_RUNS:
            silent = next((key for key, run in self._runs.items() if not run.held), None)
            if silent is not None:
                del self._runs[silent]

    def _release(self, key: Run, now_s: float, *, at_once: bool = False) -> list[Incident]:
        run, released = self._runs[key], []
        while run.held:
            found = run.held.pop(run.awaited, None)
            if found is not None:
                released.append(found[0])
                self._held_bytes -= len(found[0].payload)
                run.awaited += 1
                continue
            longest_s = now_s - min(since_s for _, since_s in run.held.values())
            if not at_once and longest_s < self._wait_s and len(run.held) < MAX_HELD:
                return released
            first, run.awaited = run.awaited, min(run.held)
            _add_to(run.missing, range(first, run.awaited))
            self._gaps.append(Gap(*key, first, run.awaited - 1))
        self._holding.pop(key, None)
        return released


def _add_to(ranges: list[range], numbers: range) -> None:
    ranges.append(numbers)
    _bound(ranges)


def _bound(ranges: list[range]) -> None:
    """Of too many ranges, make the first two one, with what came between them."""
    if len(ranges) > MAX_MISSING:
        ranges[:2] = [range(ranges[0].start, ranges[1].stop)]


def _take_out(ranges: list[range], number: int) -> bool:
    """Take a number out of ranges; False when it is in none."""
    for index, numbers in enumerate(ranges):
        if number in numbers:
            halves = (range(numbers.start, number), range(number + 1, numbers.stop))
            ranges[index : index + 1] = [half for half in halves if half]
            _bound(ranges)
            return True
    return False
