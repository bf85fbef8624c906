"""Smooth stage: metadata becomes observations, and the core decides."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from deepstream.meta import Colour, FrameMeta, MetaDoor
from deepstream.probes.scores import Look, Looks, Scores
from deepstream.snapshots import Snapshots
from ropewatch.decision import RopeState, to_ns
from ropewatch.incidents import Acknowledgement, EndReason, IncidentEvent
from ropewatch.monitor import FrameResult, SourceMonitor, Verdict
from ropewatch.observations import CLEAR, FrameObservation, PersonObservation, View
from ropewatch.settings import SiteSettings
from ropewatch.spread import Spread

COLOURS: Final[Mapping[RopeState, Colour]] = {
    RopeState.SAFE: (0.10, 0.60, 0.20, 1.0),
    RopeState.UNSAFE: (0.85, 0.10, 0.10, 1.0),
    RopeState.UNKNOWN: (0.95, 0.60, 0.05, 1.0),
}

OUTSIDE_COLOUR: Final[Colour] = (0.50, 0.50, 0.50, 1.0)


class Sink(Protocol):
    """Takes what was decided, at once; it never blocks the streaming thread."""

    def offer_frame(self, frame: FrameObservation, result: FrameResult) -> None:
        """Take one frame with its verdicts."""

    def offer_closed(self, source_id: str, events: Iterable[IncidentEvent]) -> None:
        """Take the last events of a source that was closed."""

    def offer_settings(self, source_id: str, config_digest: str) -> None:
        """Take the news that a source is judged by other settings from here on."""


def _clear(_index: int) -> View:
    return CLEAR


@dataclass(slots=True)
class SmoothStage:
    """Operates: reads the scores of every frame, lets the core decide, colours the boxes.

    Attributes:
        scores: what the classifier made of a frame.
        source_ids: the site's names, in the order of the muxer's sink pads.
        monitors: one for each source, in the same order.
        draw: False without a picture branch; nobody would see it.
        frames: judged frames of each source.
        seen: persons in them.
        judged: persons of whom the classifier gave a score.
        lasting: persons of the newest frame who have been unknown for long.
        too_small: those of them who are too small are all who are watched.
        gaps: frames that came later than `max_evidence_age_s` after the one before.
        spreads: learns who needs the classifier most; empty where all are judged.
        snapshots: takes a picture of each start; None where none are wanted.
        view: says what is known of a camera's picture, by position of its source.
    """

    door: MetaDoor
    scores: Scores
    source_ids: tuple[str, ...]
    monitors: tuple[SourceMonitor, ...]
    sink: Sink
    frame_wh_px: tuple[int, int]
    draw: bool
    spreads: tuple[Spread, ...] = ()
    snapshots: Snapshots | None = None
    view: Callable[[int], View] = _clear
    frames: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)
    lasting: list[int] = field(default_factory=list)
    too_small: list[bool] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    frames_without_time: int = 0
    last_pts_ns: list[int] = field(default_factory=list)
    _stopped: bool = False
    # Held for microseconds: a source may be closed from the bus thread.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        count = len(self.monitors)
        self.frames, self.seen, self.judged = [0] * count, [0] * count, [0] * count
        self.lasting, self.too_small, self.gaps = [0] * count, [False] * count, [0] * count
        self.last_pts_ns = [0] * count

    def stop(self) -> None:
        """Judge nothing any more: what is ended from now on stays ended."""
        with self._lock:
            self._stopped = True

    def close(self, pad_index: int, reason: EndReason) -> None:
        """End the open incidents of one source; safe from any thread.

        A frame of that source that comes later may start a new incident.
        """
        with self._lock:
            self._attach_snapshots(pad_index)
            events = self.monitors[pad_index].close(reason, self.last_pts_ns[pad_index])
            self.lasting[pad_index], self.too_small[pad_index] = 0, False
            self.sink.offer_closed(self.source_ids[pad_index], events)

    def follow(self, site: SiteSettings, camera: str) -> None:
        """Judge a camera by other settings from its next frame on; safe from any thread."""
        index = self.source_ids.index(camera)
        with self._lock:
            self.monitors[index].follow(site)
            if self.spreads:
                decision = site.judging(camera).decision
                self.spreads[index].follow(
                    threshold=decision.threshold,
                    max_evidence_age_ns=to_ns(decision.max_evidence_age_s),
                )
            self.sink.offer_settings(camera, site.digest())

    def acknowledge(self, incident_id: str, acknowledgement: Acknowledgement) -> bool:
        """Note who looks after an open incident; False when none has that id; from any thread."""
        with self._lock:
            return any(
                monitor.acknowledge(incident_id, acknowledgement) for monitor in self.monitors
            )

    def __call__(self, frame: FrameMeta) -> None:
        """Judge the persons of one frame.

        Raises:
            ModelError: the network has another number of classes than the labels file.
        """
        persons = list(self.door.persons(frame))
        looks = self.scores(frame, persons)
        if frame.pts_ns is None:
            # Without stream time there is no window to smooth over.
            self.frames_without_time += 1
            return
        observation = self._observation(frame, frame.pts_ns, persons, looks)
        result = self._decide(frame.pad_index, observation)
        if result is None:
            return
        if self.draw:
            for person, verdict in zip(persons, result.verdicts, strict=True):
                colour = COLOURS[verdict.state] if verdict.watched else OUTSIDE_COLOUR
                self.door.draw(person, text=_text(verdict), colour=colour)

    def _observation(
        self, frame: FrameMeta, pts_ns: int, persons: list[Any], looks: Looks
    ) -> FrameObservation:
        return FrameObservation(
            source_id=self.source_ids[frame.pad_index],
            frame_num=frame.frame_num,
            pts_ns=pts_ns,
            ntp_ns=frame.ntp_ns,
            frame_wh_px=self.frame_wh_px,
            detector_ran=looks.detector_ran,
            persons=tuple(
                self._observe(person, look)
                for person, look in zip(persons, looks.persons, strict=True)
            ),
            view=self.view(frame.pad_index),
        )

    def _decide(self, pad_index: int, observation: FrameObservation) -> FrameResult | None:
        with self._lock:
            if self._stopped:
                return None
            monitor = self.monitors[pad_index]
            self._attach_snapshots(pad_index)
            result = monitor.update(observation)
            waited_ns = observation.pts_ns - self.last_pts_ns[pad_index]
            if self.frames[pad_index] and waited_ns > monitor.max_evidence_age_ns:
                self.gaps[pad_index] += 1
            self.last_pts_ns[pad_index] = observation.pts_ns
            # Under the lock: what is handed over is in the order in which it was decided.
            self.sink.offer_frame(observation, result)
        if self.snapshots is not None:
            self.snapshots.want(pad_index, observation.frame_num, result.events)
        if self.spreads:
            self.spreads[pad_index].learn(result.verdicts)
        self.lasting[pad_index] = result.unknown_lasting
        self.too_small[pad_index] = result.too_small
        self.seen[pad_index] += len(observation.persons)
        self.judged[pad_index] += sum(one.score is not None for one in observation.persons)
        self.frames[pad_index] += 1
        return result

    def _attach_snapshots(self, pad_index: int) -> None:
        if self.snapshots is None:
            return
        for incident_id, snapshot in self.snapshots.ready(pad_index):
            if not self.monitors[pad_index].attach(incident_id, snapshot):
                self.snapshots.discard(incident_id)

    def _observe(self, person: Any, look: Look | None) -> PersonObservation:
        return PersonObservation(
            object_id=self.door.object_id(person),
            box_ltwh_px=self.door.box(person),
            confidence=self.door.confidence(person),
            score=None if look is None else look.score,
            crop_ltwh_px=None if look is None else look.crop_ltwh_px,
        )


def _text(verdict: Verdict) -> str:
    if not verdict.watched:
        return f"P{verdict.person} outside the zones"
    raw = "-" if verdict.score is None else f"{verdict.score:.2f}"
    smoothed = "-" if verdict.smoothed is None else f"{verdict.smoothed:.2f}"
    return f"P{verdict.person} {verdict.state.value} raw {raw} smooth {smoothed}"
