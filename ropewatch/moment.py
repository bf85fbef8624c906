"""A reading of a box's clocks, and what a correction of its wall clock means for earlier times."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

# Reading two clocks takes microseconds, unless the thread is put aside in between. NTP daemons
# step what is wrong by more than 128 ms (ntpd), 400 ms (systemd-timesyncd), 1 s (chrony as Debian
# sets it up), and slew the rest: that moves the monotonic clock too.
STEP_MIN_NS: Final = 100_000_000


class ClockSource(str, Enum):
    """Who says whether the wall clock is right."""

    KERNEL = "kernel"
    NONE = "none"


class CorrectionReason(str, Enum):
    """Why earlier times of a run are looked at anew."""

    STEPPED = "stepped"
    SYNCED = "synced"


@dataclass(frozen=True, slots=True)
class Moment:
    """All clocks of a box, read together.

    Attributes:
        unix_ns: wall time.
        monotonic_ns: time since the machine started; never set, only slewed.
        source: who says the rest.
        synced: the wall clock follows a time server; None when nobody says.
        est_error_ms: how wrong it is at most by the source's estimate; None while not synced.
    """

    unix_ns: int
    monotonic_ns: int
    source: ClockSource = ClockSource.NONE
    synced: bool | None = None
    est_error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """The wall clock was set, or has become trustworthy.

    Attributes:
        reason: which of the two; `stepped` when both came at once.
        offset_ns: what to add to wall times that were read before; 0 if they hold.
        moment: the first reading after it. Times read at an earlier monotonic time are meant.
    """

    reason: CorrectionReason
    offset_ns: int
    moment: Moment


class ClockWatch:
    """Notices corrections, by the difference between wall and monotonic clock.

    Args:
        first: the first reading of this run.
    """

    def __init__(self, first: Moment) -> None:
        self._last = first

    def look(self, moment: Moment) -> Correction | None:
        """Take the next reading; return what has happened to the clock since the one before."""
        last, self._last = self._last, moment
        offset_ns = (moment.unix_ns - last.unix_ns) - (moment.monotonic_ns - last.monotonic_ns)
        if abs(offset_ns) >= STEP_MIN_NS:
            return Correction(CorrectionReason.STEPPED, offset_ns, moment)
        if moment.synced and last.synced is False:
            return Correction(CorrectionReason.SYNCED, 0, moment)
        return None
