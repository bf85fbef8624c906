"""Turns decisions and conditions into messages: incidents, camera state, camera and box status."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Final, Protocol

from deepstream.clock import read_moment
from deepstream.dispatcher import Decided
from deepstream.health import CameraReason
from deepstream.lanes import Lane, Post
from ropewatch.decision import RopeState
from ropewatch.home_assistant import discovery
from ropewatch.incidents import IncidentEvent, Phase
from ropewatch.moment import ClockWatch, Moment
from ropewatch.monitor import FrameResult
from ropewatch.wire import Message, Wire

STATE_EVERY_S: Final = 1.0
NOBODY: Final = FrameResult((), ())


log = logging.getLogger("ropewatch.reporter")


class Outlet(Protocol):
    """Takes messages for delivery; the outbox is one."""

    def offer(self, *posts: Post) -> None:
        """Take messages that belong together."""

    def left_open(self) -> dict[str, bytes]:
        """Return, once, the newest message about each incident that an earlier run left open."""


def no_picture(_incident_id: str) -> None:
    """Give no picture of any incident."""


class Reporter:
    """Handler of the dispatcher, and the voice of the box.

    Args:
        wire: makes the messages.
        outlet: takes them.
        backend: whose elements run; part of the status.
        versions: of the models by name; part of the status.
        status_every_s: seconds between status messages without a change.
        clock: reads all clocks.
        discovery_prefix: Home Assistant's, to be told of the cameras; None to leave it alone.
        pictures: gives an incident's JPEG, once, by its id.
    """

    def __init__(
        self,
        wire: Wire,
        outlet: Outlet,
        *,
        backend: str,
        versions: Mapping[str, str],
        status_every_s: float,
        clock: Callable[[], Moment] = read_moment,
        discovery_prefix: str | None = None,
        pictures: Callable[[str], bytes | None] = no_picture,
    ) -> None:
        self.incidents = 0
        self.unrecovered = 0
        self._wire = wire
        self._outlet = outlet
        self._backend = backend
        self._versions = {"ropewatch": metadata.version("ropewatch"), **versions}
        self._status_every_s = status_every_s
        self._clock = clock
        self._discovery_prefix = discovery_prefix
        # The dispatcher's thread and the one that looks after the graph both tell the time.
        self._clock_lock = threading.Lock()
        self._clock_watch = ClockWatch(clock())
        self._corrections = 0
        self._pictures = pictures
        self._sequence = 0
        self._open: dict[str, dict[str, None]] = {}
        self._told_state: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {}
        self._told_state_s: dict[str, float] = {}
        self._told_reasons: tuple[str, ...] | None = None
        self._told_status_s = 0.0

    def hello(self, source_ids: Sequence[str], *, gone: Sequence[str] = ()) -> None:
        """End what an earlier run has left open, and say that nothing is open now.

        Args:
            source_ids: the cameras.
            gone: cameras of earlier runs that nobody watches any more.
        """
        self._recover()
        for source_id in gone:
            self._camera_state(source_id, NOBODY)
            self.camera_status(source_id, CameraReason.STOPPED)
        for source_id in source_ids:
            self._camera_state(source_id, NOBODY)
            if self._discovery_prefix is not None:
                self._say(
                    discovery(
                        self._wire,
                        source_id,
                        prefix=self._discovery_prefix,
                        version=self._versions["ropewatch"],
                    )
                )

    def take(self, decided: Decided) -> None:
        """Publish incident events, then the camera's state.

        An update may be dropped in need, a start or end never. The state goes out with every
        event, and otherwise when its counts have changed, at most once a second.
        """
        # Here too: a disk may have been away when the program started.
        self._recover()
        if decided.config_digest is not None:
            self._use_settings(decided.config_digest)
        self._incidents(decided.events)
        source_id = decided.source_id
        if decided.closed:
            self._camera_state(source_id, NOBODY)
        elif decided.frame is not None:
            told_s = self._told_state_s.get(source_id, -STATE_EVERY_S)
            waited_s = self._clock().monotonic_ns / 1e9 - told_s
            if decided.events or waited_s >= STATE_EVERY_S:
                _observation, result = decided.frame
                self._camera_state(source_id, result)
        elif decided.events:
            self._camera_state(source_id, None)

    def camera_status(self, source_id: str, reason: CameraReason | None) -> None:
        """Say that a camera is watched, or why it is blind."""
        blind = None if reason is None else reason.value
        self._say(self._wire.camera_status(source_id, now=self._now(), blind=blind))

    def box_status(self, reasons: Sequence[str], counters: Mapping[str, int]) -> None:
        """Say how the box is: at once when it changes, and every so often."""
        now = self._now()
        now_s = now.monotonic_ns / 1e9
        told = tuple(reasons)
        if told == self._told_reasons and now_s - self._told_status_s < self._status_every_s:
            return
        self._told_reasons, self._told_status_s = told, now_s
        self._say(
            self._wire.status(
                "degraded" if reasons else "online",
                now=now,
                backend=self._backend,
                reasons=reasons,
                counters=counters,
                versions=self._versions,
            )
        )

    def goodbye(
        self,
        source_ids: Sequence[str],
        counters: Mapping[str, int],
        why: Sequence[str] = (),
    ) -> None:
        """Say that the box stops, why if not because it was told to, and watches no camera."""
        for source_id in source_ids:
            self.camera_status(source_id, CameraReason.STOPPED)
        self._say(
            self._wire.status(
                "offline",
                now=self._now(),
                backend=self._backend,
                reasons=("stopped", *why),
                counters=counters,
                versions=self._versions,
            )
        )

    def _use_settings(self, config_digest: str) -> None:
        self._wire = replace(self._wire, versions={**self._wire.versions, "config": config_digest})
        self._versions = {**self._versions, "config": config_digest}
        # The status is said anew with the next look at the box.
        self._told_reasons = None

    def _now(self) -> Moment:
        """Read the clocks; when the wall clock was corrected, say so before its time is used."""
        with self._clock_lock:
            moment = self._clock()
            correction = self._clock_watch.look(moment)
            if correction is None:
                return moment
            self._corrections += 1
            number = self._corrections
        log.warning(
            "clock corrected reason=%s offset_s=%.3f synced=%s",
            correction.reason.value,
            correction.offset_ns / 1e9,
            moment.synced,
        )
        message = self._wire.clock_correction(correction, number=number)
        self._outlet.offer(Post(message, Lane.ALERT))
        return moment

    def _say(self, message: Message) -> None:
        self._outlet.offer(Post(message, Lane.STATE))

    def _incidents(self, events: Sequence[IncidentEvent]) -> None:
        """Post events, then pictures: no start or end waits for one on its way to disk."""
        first, pictured = [], []
        for event in events:
            post = self._incident(event)
            jpeg = None if event.snapshot is None else self._pictures(event.incident_id)
            if jpeg is None or post.lane is Lane.ALERT:
                first.append(post)
            else:
                pictured.append(post)
            if jpeg is not None:
                message = self._wire.snapshot(event.source_id, event.incident_id, jpeg)
                pictured.append(Post(message, Lane.SNAPSHOT))
        self._outlet.offer(*first)
        if pictured:
            self._outlet.offer(*pictured)

    def _incident(self, event: IncidentEvent) -> Post:
        self._sequence += 1
        now = self._now()
        message = self._wire.incident(event, sequence=self._sequence, now=now)
        age_s = None if event.ntp_ns is None else (now.unix_ns - event.ntp_ns) / 1e9
        open_here = self._open.setdefault(event.source_id, {})
        if event.phase is Phase.START:
            self.incidents += 1
            open_here[event.incident_id] = None
        elif event.phase is Phase.END:
            open_here.pop(event.incident_id, None)
        lane = Lane.UPDATE if event.phase is Phase.UPDATE else Lane.ALERT
        return Post(
            message, lane, event.incident_id, is_end=event.phase is Phase.END, frame_age_s=age_s
        )

    def _recover(self) -> None:
        """End what was open when an earlier run was killed; nobody has watched it since."""
        ends = []
        for incident_id, last in self._outlet.left_open().items():
            try:
                message = self._wire.recovered_end(
                    last, sequence=self._sequence + 1, now=self._now()
                )
            except ValueError as error:
                self.unrecovered += 1
                log.error("incident stays without an end id=%s error=%s", incident_id, error)  # noqa: TRY400 - the reason is in it
                continue
            self._sequence += 1
            ends.append(Post(message, Lane.ALERT, incident_id, is_end=True))
        if ends:
            log.warning("ended what an earlier run has left open count=%d", len(ends))
            self._outlet.offer(*ends)

    def _camera_state(self, source_id: str, result: FrameResult | None) -> None:
        """Tell what is open; the counts stay where the frame is gone, too many waited."""
        open_incidents = tuple(self._open.get(source_id, ()))
        told = self._told_state.get(source_id)
        counts = _counts(NOBODY if result is None else result)
        if result is None and told is not None:
            counts = told[1]
        state = (open_incidents, counts)
        if state == told:
            return
        self._told_state[source_id] = state
        now = self._now()
        self._told_state_s[source_id] = now.monotonic_ns / 1e9
        self._say(
            self._wire.camera_state(
                source_id,
                now=now,
                open_incidents=open_incidents,
                safe=counts[0],
                unsafe=counts[1],
                unknown=counts[2],
                unknown_lasting=counts[3],
            )
        )


def _counts(result: FrameResult) -> tuple[int, ...]:
    """Return how many people are safe, unsafe, unknown, and unknown for long."""
    of_state = Counter(each.state for each in result.verdicts if each.watched)
    return (
        of_state[RopeState.SAFE],
        of_state[RopeState.UNSAFE],
        of_state[RopeState.UNKNOWN],
        result.unknown_lasting,
    )
