"""Incident messages of many boxes: once each, in order, and what is missing between them.

Pure: time is an argument. `ropewatch.client.incidents` feeds it from a broker.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ropewatch.payloads import IncidentMessage

MAX_RUNS: Final = 10_000
MAX_HELD: Final = 1000


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

    Args:
        wait_s: how long to wait for a missing message; 0 never waits.
    """

    def __init__(self, wait_s: float) -> None:
        self.duplicates = 0
        self._wait_s = wait_s
        self._runs: dict[Run, _Run] = {}
        self._newest: dict[tuple[str, str], str] = {}
        self._gaps: list[Gap] = []

    @property
    def held(self) -> int:
        """How many messages wait for an earlier one."""
        return sum(len(run.held) for run in self._runs.values())

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
            else:
                run.held[data.sequence] = (incident, now_s)
            return self._release(key, run, now_s)
        if _take_out(run.missing, data.sequence):
            return [incident]
        self.duplicates += 1
        return []

    def due(self, now_s: float) -> list[Incident]:
        """Return the messages that have waited long enough."""
        waiting = [(key, run) for key, run in self._runs.items() if run.held]
        return [incident for key, run in waiting for incident in self._release(key, run, now_s)]

    def gaps(self) -> list[Gap]:
        """Return, once, what was found to be missing."""
        found, self._gaps = self._gaps, []
        return found

    def _run(self, key: Run, sequence: int) -> _Run:
        # Taken out and put back: the run that was silent for longest comes first.
        run = self._runs.pop(key, None)
        if run is None:
            site, box, boot_id = key
            newest = self._newest.get((site, box))
            # Who was here before the box started knows that its first message has number 1.
            first = 1 if newest is not None and boot_id > newest else sequence
            run = _Run(first, [range(first)])
            self._newest[site, box] = max(boot_id, newest or boot_id)
            self._forget_silent()
        self._runs[key] = run
        return run

    def _forget_silent(self) -> None:
        if len(self._runs) >= MAX_RUNS:
            silent = next((key for key, run in self._runs.items() if not run.held), None)
            if silent is not None:
                del self._runs[silent]

    def _release(self, key: Run, run: _Run, now_s: float) -> list[Incident]:
        released = []
        while run.held:
            found = run.held.pop(run.awaited, None)
            if found is not None:
                released.append(found[0])
                run.awaited += 1
                continue
            longest_s = now_s - min(since_s for _, since_s in run.held.values())
            if longest_s < self._wait_s and len(run.held) < MAX_HELD:
                break
            first, run.awaited = run.awaited, min(run.held)
            run.missing.append(range(first, run.awaited))
            self._gaps.append(Gap(*key, first, run.awaited - 1))
        return released


def _take_out(ranges: list[range], number: int) -> bool:
    """Take a number out of ranges; False when it is in none."""
    for index, numbers in enumerate(ranges):
        if number in numbers:
            halves = (range(numbers.start, number), range(number + 1, numbers.stop))
            ranges[index : index + 1] = [half for half in halves if half]
            return True
    return False
