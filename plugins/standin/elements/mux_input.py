"""One sink pad of the muxer: what waits there, in order, and what frames' metadata needs."""

import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from plugins.standin import element as base
from plugins.standin.elements.mux_ntp import CameraClock
from plugins.standin.gst import Gst, GstVideo
from plugins.standin.metadata import NvDsFrameMeta


@dataclass(frozen=True)
class Frame:
    """A frame that waits for its batch.

    Attributes:
        arrived_ns: in running time, with sync-inputs.
        kept: the metadata that it has from a batch before, if it keeps it.
    """

    serial: int
    buffer: Gst.Buffer
    info: GstVideo.VideoInfo
    ntp_ns: int
    arrived_s: float
    arrived_ns: int | None
    kept: NvDsFrameMeta | None = None


@dataclass(frozen=True)
class Note:
    """Something to tell downstream once all frames before it are in batches: a kind of events.py.

    Attributes:
        value: a stream id, a segment or a GstVideo.VideoInfo; None where there is nothing to say.
    """

    serial: int
    kind: str
    value: Any


class Input:
    """The state of one source. Everything is under the muxer's lock."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.frames: deque[Frame] = deque()
        self.notes: deque[Note] = deque()
        self.info: GstVideo.VideoInfo | None = None
        self.segment: Gst.Segment | None = None
        self.source_wh = (0, 0)
        self.source_id = index
        self.clock = CameraClock()
        self.frame_num = 0
        self.last_push_s = -math.inf
        self.eos = False
        self.idle = True
        self.announced = False
        self.leaving = False
        self._serials = itertools.count()

    def add_frame(
        self,
        buffer: Gst.Buffer,
        ntp_ns: int,
        arrived_s: float,
        arrived_ns: int | None,
        kept: NvDsFrameMeta | None = None,
    ) -> None:
        """Queue a frame."""
        assert self.info is not None
        serial = next(self._serials)
        frame = Frame(serial, buffer, self.info, ntp_ns, arrived_s, arrived_ns, kept)
        self.frames.append(frame)

    def add_note(self, kind: str, value: Any = None) -> None:
        """Queue an event behind the frames that wait."""
        self.notes.append(Note(next(self._serials), kind, value))

    def due_note(self) -> Note | None:
        """Return the first event that no waiting frame precedes."""
        first = self.notes[0] if self.notes else None
        if first is None or (self.frames and self.frames[0].serial < first.serial):
            return None
        return first

    def take_due_notes(self) -> list[Note]:
        """Take all events that no waiting frame precedes."""
        due = []
        while self.due_note() is not None:
            due.append(self.notes.popleft())
        return due

    def running_ns(self, pts_ns: int) -> int | None:
        """Return the running time of a timestamp, by the source's newest segment."""
        if pts_ns == base.CLOCK_TIME_NONE:
            return None
        if self.segment is None:
            return pts_ns
        running = int(self.segment.to_running_time(Gst.Format.TIME, pts_ns))
        return None if running == base.CLOCK_TIME_NONE else running
