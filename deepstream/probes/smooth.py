"""Smooth stage: metadata becomes observations, and the core decides."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from deepstream.meta import Colour, FrameMeta, MetaDoor
from deepstream.probes.crops import ExpandedFrame, FramesInFlight
from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, IncidentEvent
from ropewatch.monitor import FrameResult, SourceMonitor, Verdict
from ropewatch.observations import FrameObservation, PersonObservation

COLOURS: Final[Mapping[RopeState, Colour]] = {
    RopeState.SAFE: (0.10, 0.60, 0.20, 1.0),
    RopeState.UNSAFE: (0.85, 0.10, 0.10, 1.0),
    RopeState.UNKNOWN: (0.95, 0.60, 0.05, 1.0),
}


class Sink(Protocol):
    """Takes what was decided, at once; it never blocks the streaming thread."""

    def offer_frame(self, frame: FrameObservation, result: FrameResult) -> None:
        """Take one frame with its verdicts."""

    def offer_events(self, source_id: str, events: Iterable[IncidentEvent]) -> None:
        """Take incident events that come without a frame."""


@dataclass(slots=True)
class SmoothStage:
    """Operates: reads the scores of every frame, lets the core decide, colours the boxes.

    Attributes:
        source_ids: the site's names, in the order of the muxer's sink pads.
        monitors: one for each source, in the same order.
        score_index: position of the site's score_label in the classifier's output.
        draw: False without a picture branch; nobody would see it.
    """

    door: MetaDoor
    in_flight: FramesInFlight
    source_ids: tuple[str, ...]
    monitors: tuple[SourceMonitor, ...]
    sink: Sink
    frame_wh_px: tuple[int, int]
    score_index: int
    draw: bool
    frames: list[int] = field(default_factory=list)
    frames_without_time: int = 0
    last_pts_ns: list[int] = field(default_factory=list)
    # Held for microseconds: a source may be closed from the bus thread.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.frames = [0] * len(self.monitors)
        self.last_pts_ns = [0] * len(self.monitors)

    def __call__(self, buffer: Any) -> None:
        """Judge the persons of every frame in the batch."""
        for frame in self.door.frames(buffer):
            self._judge(frame)

    def close(self, pad_index: int, reason: EndReason) -> None:
        """End the open incidents of one source; safe from any thread."""
        with self._lock:
            events = self.monitors[pad_index].close(reason, self.last_pts_ns[pad_index])
        self.sink.offer_events(self.source_ids[pad_index], events)

    def _judge(self, frame: FrameMeta) -> None:
        expanded = self.in_flight.pop(frame.key)
        if frame.pts_ns is None:
            # Without stream time there is no window to smooth over.
            self.frames_without_time += 1
            return
        monitor = self.monitors[frame.pad_index]
        persons = list(self.door.persons(frame))
        if expanded is not None and len(expanded.crops_ltwh_px) != len(persons):
            # The restore stage has counted it; a crop of somebody else is not evidence.
            expanded = None
        observation = FrameObservation(
            source_id=self.source_ids[frame.pad_index],
            frame_num=frame.frame_num,
            pts_ns=frame.pts_ns,
            ntp_ns=frame.ntp_ns,
            frame_wh_px=self.frame_wh_px,
            detector_ran=frame.detector_ran if expanded is None else expanded.detector_ran,
            persons=tuple(
                self._observe(person, expanded, position)
                for position, person in enumerate(persons)
            ),
        )
        with self._lock:
            result = monitor.update(observation)
        self.frames[frame.pad_index] += 1
        self.last_pts_ns[frame.pad_index] = frame.pts_ns
        self.sink.offer_frame(observation, result)
        if self.draw:
            for person, verdict in zip(persons, result.verdicts, strict=True):
                self.door.draw(person, text=_text(verdict), colour=COLOURS[verdict.state])

    def _observe(
        self, person: Any, expanded: ExpandedFrame | None, position: int
    ) -> PersonObservation:
        probabilities = self.door.probabilities(person)
        score = None
        if probabilities is not None:
            value = float(probabilities[self.score_index])
            # A score that is no number is no evidence; it must not pass as a safe one.
            score = value if np.isfinite(value) else None
        crop = expanded.crops_ltwh_px[position] if expanded and score is not None else None
        return PersonObservation(
            object_id=self.door.object_id(person),
            box_ltwh_px=self.door.box(person),
            confidence=self.door.confidence(person),
            score=score,
            crop_ltwh_px=crop,
        )


def _text(verdict: Verdict) -> str:
    raw = "-" if verdict.score is None else f"{verdict.score:.2f}"
    smoothed = "-" if verdict.smoothed is None else f"{verdict.smoothed:.2f}"
    return f"P{verdict.person} {verdict.state.value} raw {raw} smooth {smoothed}"
