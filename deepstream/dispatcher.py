"""The worker between streaming thread and disk or network: bounded, counted, never waited for."""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ropewatch.incidents import IncidentEvent
from ropewatch.monitor import FrameResult
from ropewatch.observations import FrameObservation

log = logging.getLogger("ropewatch.dispatch")

MAX_WAITING_FRAMES: Final = 4000
STOP_TIMEOUT_S: Final = 15.0
# A disk takes a start in milliseconds; one that hangs must not hold up the graph as well.
SETTLE_TIMEOUT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided at one moment of one source.

    Attributes:
        source_id: the camera.
        frame: what was seen, with its verdicts; None when the source was closed, or when the
            frame was dropped and only its events are left.
        events: of incidents, in order.
        closed: nobody of this source is followed any more.
        config_digest: of the settings that hold from here on; None where they stay.
    """

    source_id: str
    frame: tuple[FrameObservation, FrameResult] | None
    events: tuple[IncidentEvent, ...]
    closed: bool = False
    config_digest: str | None = None


class Handler(Protocol):
    """Does something slow with decisions, on the worker's thread."""

    def take(self, decided: Decided) -> None:
        """Take one decision; the next follows in order."""


@dataclass(slots=True)
class DispatchCounters:
    """What the worker could not do; part of the box's status."""

    dropped_frames: int = 0
    failed: int = 0


class Dispatcher:
    """Hands decisions to its handlers on one worker thread.

    Frames beyond a bound are dropped and counted (they feed recordings and counts); events
    never are.
    """

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self.counters = DispatchCounters()
        self._handlers = tuple(handlers)
        self._work: deque[Decided] = deque()
        self._changed = threading.Condition()
        self._unsettled = 0
        self._stopping = False
        self._complained: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()

    def offer_frame(self, frame: FrameObservation, result: FrameResult) -> None:
        """Take one frame with its verdicts and events; never waits."""
        with self._changed:
            whole = len(self._work) < MAX_WAITING_FRAMES
            if not whole:
                self.counters.dropped_frames += 1
            if whole or result.events:
                kept = (frame, result) if whole else None
                self._add(Decided(frame.source_id, kept, result.events))

    def offer_closed(self, source_id: str, events: Iterable[IncidentEvent]) -> None:
        """Take the last events of a source that was closed; never waits."""
        with self._changed:
            self._add(Decided(source_id, None, tuple(events), closed=True))

    def offer_settings(self, source_id: str, config_digest: str) -> None:
        """Tell that a source is judged by other settings from here on; never waits."""
        with self._changed:
            self._add(Decided(source_id, None, (), config_digest=config_digest))

    def settle(self) -> bool:
        """Wait until the handlers have had every event so far; False when they take too long.

        What may stop the whole program calls this first: a start is on disk then.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._unsettled, SETTLE_TIMEOUT_S)

    def stop(self) -> None:
        """Finish what waits, then end the worker; one that a disk holds up is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                log.error("worker is held up, left behind waiting=%d", len(self._work))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._stopping)
                if not self._work:
                    return
                work = self._work.popleft()
            for handler in self._handlers:
                self._hand_over(handler, work)
            if work.events:
                with self._changed:
                    self._unsettled -= 1
                    self._changed.notify_all()

    def _add(self, decided: Decided) -> None:
        self._work.append(decided)
        self._unsettled += bool(decided.events)
        self._changed.notify_all()

    def _hand_over(self, handler: Handler, decided: Decided) -> None:
        try:
            handler.take(decided)
        except Exception:
            # One handler's trouble (a full disk) must not keep alerts from the next.
            self.counters.failed += 1
            name = type(handler).__name__
            if name not in self._complained:
                self._complained.add(name)
                log.exception("handler failed handler=%s", name)
