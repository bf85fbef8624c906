"""The PTS of a batch, which is not that of a frame in it: plain arithmetic, no GStreamer.

`of` takes the running times of the batch's frames in ns, None where a frame has none.
"""

from collections.abc import Sequence
from typing import Protocol

_NONE = 2**64 - 1
_NUDGE_NS = 250_000
_NS = 1_000_000_000


class OutPts(Protocol):
    """One way to stamp batches."""

    def restart(self) -> None:
        """Forget what was."""

    def start(self, fps_n: int, fps_d: int) -> None:
        """Take the frame rate of the first caps."""

    def began(self, running_now_ns: int | None) -> None:
        """Note that a source gave its first frame, or its first after an end."""

    def of(self, running_ns: Sequence[int | None]) -> int:
        """Return the next batch's PTS."""


class FirstFramePts:
    """The first frame's running time, never going back: the legacy muxer, as far as one knows."""

    def __init__(self) -> None:
        self.last_ns = -1

    def restart(self) -> None:
        """Begin at any time."""
        self.last_ns = -1

    def start(self, fps_n: int, fps_d: int) -> None:
        """Need no rate."""

    def began(self, running_now_ns: int | None) -> None:
        """Need no beginning."""

    def of(self, running_ns: Sequence[int | None]) -> int:
        """Return the first frame's time, at least a nanosecond after the batch before."""
        if running_ns[0] is None:
            return _NONE
        self.last_ns = max(running_ns[0], self.last_ns + 1)
        return self.last_ns


class CountingPts:
    """The new muxer without sync-inputs: batches, counted at the rate of the first caps.

    When a source begins, the count starts again at the running time of that moment; for the first
    source of all that is 0, however late it comes (gst_nvstreammux_chain of 9.1).
    """

    def __init__(self) -> None:
        self.frame_ns = _NS // 30
        self.restart()

    def restart(self) -> None:
        """Count from 0."""
        self.first = True
        self.base_ns = self.count_ns = 0
        self.last_ns = -1

    def start(self, fps_n: int, fps_d: int) -> None:
        """Take the rate; where it is not known, 30."""
        self.frame_ns = int(_NS * (fps_d or 1) / (fps_n or 30))

    def began(self, running_now_ns: int | None) -> None:
        """Count from now on."""
        self.base_ns = 0 if self.first else running_now_ns or 0
        self.first, self.count_ns = False, 0

    def of(self, running_ns: Sequence[int | None]) -> int:  # noqa: ARG002  the others look at them
        """Return the count's time; the same twice gets a quarter of a millisecond more."""
        pts = self.base_ns + self.count_ns
        self.count_ns += self.frame_ns
        self.last_ns = pts + _NUDGE_NS if pts == self.last_ns else pts
        return self.last_ns


class NewestFramePts(FirstFramePts):
    """Both muxers with sync-inputs: the newest frame's running time."""

    def of(self, running_ns: Sequence[int | None]) -> int:
        """Return the newest time; the same twice gets a quarter of a millisecond more."""
        pts = max((time for time in running_ns if time is not None), default=_NONE)
        self.last_ns = pts + _NUDGE_NS if pts == self.last_ns != _NONE else pts
        return self.last_ns
