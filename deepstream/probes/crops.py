"""What one stage hands to a later one about a frame, keyed by the frame.

The SGIE's sink pad and its src pad run in two threads with several buffers in flight, so
nothing is "current": entries are found by pad index and frame number.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Generic, TypeVar

from ropewatch.observations import BoxLtwh

FrameKey = tuple[int, int]
T = TypeVar("T")
# Far more frames than queues and the SGIE can hold; beyond it entries were abandoned.
MAX_FRAMES_IN_FLIGHT: Final = 1024


@dataclass(frozen=True, slots=True)
class ExpandedFrame:
    """The boxes of one frame before and after expansion, by position among its persons."""

    boxes_ltwh_px: tuple[BoxLtwh, ...]
    crops_ltwh_px: tuple[BoxLtwh, ...]
    detector_ran: bool


@dataclass(slots=True)
class FramesInFlight(Generic[T]):
    """What is known of frames between two pads; bounded, and drops are counted."""

    abandoned: int = 0
    _frames: "OrderedDict[FrameKey, T]" = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def put(self, key: FrameKey, frame: T) -> None:
        """Remember a frame that passes the first pad."""
        with self._lock:
            self._frames[key] = frame
            self._frames.move_to_end(key)
            while len(self._frames) > MAX_FRAMES_IN_FLIGHT:
                self._frames.popitem(last=False)
                self.abandoned += 1

    def peek(self, key: FrameKey) -> T | None:
        """Look at a frame that passes the second; `pop` comes after the last reader."""
        with self._lock:
            return self._frames.get(key)

    def pop(self, key: FrameKey) -> T | None:
        """Take a frame out."""
        with self._lock:
            return self._frames.pop(key, None)

    def __len__(self) -> int:
        return len(self._frames)
