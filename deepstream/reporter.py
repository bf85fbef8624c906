"""Turns decisions and conditions into messages: incidents, camera state, camera and box status."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Final, Protocol

from deepstream.dispatcher import Decided
from deepstream.health import CameraReason
from ropewatch.decision import RopeState
from ropewatch.incidents import IncidentEvent, Phase
from ropewatch.wire import Message, Wire

STATE_EVERY_S: Final = 1.0


class Outlet(Protocol):
    """Takes messages without waiting; the publisher is one."""

    def offer(self, message: Message, *, droppable: bool = False) -> None:
        """Take a message."""


class Reporter:
    """Handler of the dispatcher, and the voice of the box.

    Args:
        wire: makes the messages.
        outlet: takes them.
        backend: whose elements run; part of the status.
        versions: of the models by name; part of the status.
        status_every_s: seconds between status messages without a change.
        unix_ns: Unix time.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        wire: Wire,
        outlet: Outlet,
        *,
        backend: str,
        versions: Mapping[str, str],
        status_every_s: float,
        unix_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.incidents = 0
        self._wire = wire
        self._outlet = outlet
        self._backend = backend
        self._versions = {"ropewatch": metadata.version("ropewatch"), **versions}
        self._status_every_s = status_every_s
        self._unix_ns = unix_ns
        self._clock = clock
        self._sequence = 0
        self._open: dict[str, dict[str, None]] = {}
        self._told_state: dict[str, tuple[tuple[str, ...], int, int, int]] = {}
        self._told_state_s: dict[str, float] = {}
        self._told_reasons: tuple[str, ...] | None = None
        self._told_status_s = 0.0

    def hello(self, source_ids: Sequence[str]) -> None:
        """Say that nothing is open: what a killed run has left retained is not true any more."""
        for source_id in source_ids:
            self._camera_state(source_id, 0, 0, 0)

    def take(self, decided: Decided) -> None:
        """Publish incident events, then the camera's state.

        An update may be dropped in need, a start or end never. The state goes out with every
        event, and otherwise when its counts have changed, at most once a second.
        """
        for event in decided.events:
            self._incident(event)
        source_id = decided.source_id
        if decided.closed:
            self._camera_state(source_id, 0, 0, 0)
        elif decided.frame is not None:
            waited_s = self._clock() - self._told_state_s.get(source_id, -STATE_EVERY_S)
            if decided.events or waited_s >= STATE_EVERY_S:
                _observation, result = decided.frame
                counts = Counter(verdict.state for verdict in result.verdicts)
                self._camera_state(
                    source_id,
                    counts[RopeState.SAFE],
                    counts[RopeState.UNSAFE],
                    counts[RopeState.UNKNOWN],
                )

    def camera_status(self, source_id: str, reason: CameraReason | None) -> None:
        """Say that a camera is watched, or why it is blind."""
        blind = None if reason is None else reason.value
        self._outlet.offer(
            self._wire.camera_status(source_id, time_ns=self._unix_ns(), blind=blind)
        )

    def box_status(self, reasons: Sequence[str], counters: Mapping[str, int]) -> None:
        """Say how the box is: at once when it changes, and every so often."""
        now_s = self._clock()
        told = tuple(reasons)
        if told == self._told_reasons and now_s - self._told_status_s < self._status_every_s:
            return
        self._told_reasons, self._told_status_s = told, now_s
        self._outlet.offer(
            self._wire.status(
                "degraded" if reasons else "online",
                time_ns=self._unix_ns(),
                backend=self._backend,
                reasons=reasons,
                counters=counters,
                versions=self._versions,
            )
        )

    def goodbye(self, source_ids: Sequence[str], counters: Mapping[str, int]) -> None:
        """Say that the box stops in an orderly way, and that no camera is watched."""
        for source_id in source_ids:
            self.camera_status(source_id, CameraReason.STOPPED)
        self._outlet.offer(
            self._wire.status(
                "offline",
                time_ns=self._unix_ns(),
                backend=self._backend,
                reasons=("stopped",),
                counters=counters,
                versions=self._versions,
            )
        )

    def _incident(self, event: IncidentEvent) -> None:
        self._sequence += 1
        message = self._wire.incident(event, sequence=self._sequence, time_ns=self._unix_ns())
        self._outlet.offer(message, droppable=event.phase is Phase.UPDATE)
        open_here = self._open.setdefault(event.source_id, {})
        if event.phase is Phase.START:
            self.incidents += 1
            open_here[event.incident_id] = None
        elif event.phase is Phase.END:
            open_here.pop(event.incident_id, None)

    def _camera_state(self, source_id: str, safe: int, unsafe: int, unknown: int) -> None:
        open_incidents = tuple(self._open.get(source_id, ()))
        state = (open_incidents, safe, unsafe, unknown)
        if state == self._told_state.get(source_id):
            return
        self._told_state[source_id] = state
        self._told_state_s[source_id] = self._clock()
        self._outlet.offer(
            self._wire.camera_state(
                source_id,
                time_ns=self._unix_ns(),
                open_incidents=open_incidents,
                safe=safe,
                unsafe=unsafe,
                unknown=unknown,
            )
        )
