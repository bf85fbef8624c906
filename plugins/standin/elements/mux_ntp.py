"""A camera's wall clock, frame by frame, with attach-sys-ts=0: plain arithmetic in ns.

As gstnvstreammux_ntp.cpp of 9.1 in its RTCP mode. How the device infers a frame's duration is not
published; here it is the shortest of the newest steps, which never outlives a gap.
"""

from collections import deque

_STEPS = 8


class CameraClock:
    """Unix times of one source's frames, by its RTCP sender reports.

    A report that would make time pass more than a tenth faster than the frames' own is left out.
    With a frame duration a time that comes less than 9/10 of it after the one before is replaced.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Know nothing, as after the source's end."""
        self._reference: tuple[int, int] | None = None
        self._next: tuple[int, int] | None = None
        self._last: tuple[int, int] | None = None
        self._steps_ns: deque[int] = deque(maxlen=_STEPS)

    def report(self, unix_ns: int, running_ns: int) -> None:
        """Take a sender report: the Unix time of one running time."""
        if self._reference is None:
            self._reference = unix_ns, running_ns
        else:
            self._next = unix_ns, running_ns

    def unix_ns(self, running_ns: int | None, frame_ns: int | None) -> int:
        """Return a frame's Unix time; 0 before the first report.

        Args:
            running_ns: of the frame; frames come in order.
            frame_ns: how long a frame lasts; 0 infers it, None leaves times as they are.
        """
        if self._reference is None or running_ns is None:
            return 0
        unix = self._at(self._reference, running_ns)
        if self._next is not None:
            newer, self._next = self._next, None
            then = self._at(newer, running_ns)
            if self._last is None or 0 <= (then - self._last[0]) * 10 < (
                (running_ns - self._last[1]) * 11
            ):
                self._reference, unix = newer, then
        if self._last is not None and frame_ns is not None:
            lasts_ns = frame_ns or min(self._steps_ns, default=0)
            if unix <= self._last[0] or unix - self._last[0] < lasts_ns * 9 // 10:
                unix = self._last[0] + lasts_ns
        if self._last is not None and running_ns > self._last[1]:
            self._steps_ns.append(running_ns - self._last[1])
        self._last = unix, running_ns
        return max(0, unix)

    @staticmethod
    def _at(reference: tuple[int, int], running_ns: int) -> int:
        return reference[0] + running_ns - reference[1]
