"""Reads the box's clocks, and what the kernel knows of the wall clock's quality.

adjtimex(2) with no mode set only reads; it needs no right and works in a container. Every NTP
daemon tells the kernel through the same call, so that none has to be asked itself. chrony does so
only with `rtcsync` (in Debian's and Ubuntu's default file); without, the box says "not synced".
"""

import ctypes
import time
from collections.abc import Callable
from typing import Final

from ropewatch.moment import ClockSource, Moment

STA_UNSYNC: Final = 0x0040
# The thread may be put aside between two readings; hardly in each round.
ROUNDS: Final = 3

# A box that has just started finds its time server within this, or has none.
UNSYNCED_AFTER_S: Final = 600.0


class _Timex(ctypes.Structure):
    """The head of `struct timex` of linux/timex.h on 64-bit Linux; the rest is padding."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


_LIBC: Final = ctypes.CDLL(None)


def read_moment() -> Moment:
    """Read all clocks."""
    unix_ns, monotonic_ns = _read_both()
    source, synced, est_error_ms = _read_quality()
    return Moment(unix_ns, monotonic_ns, source, synced, est_error_ms)


class ClockDoubt:
    """Says that the wall clock has followed no time server for long.

    Nothing is said where nobody knows. What comes only after that time cannot come and go.

    Args:
        clock: reads all clocks.
    """

    def __init__(self, clock: Callable[[], Moment] = read_moment) -> None:
        self._clock = clock
        self._since_ns: int | None = None

    def troubles(self) -> list[str]:
        """Look at the clock; empty while it is not in doubt."""
        moment = self._clock()
        if moment.synced is not False:
            self._since_ns = None
            return []
        if self._since_ns is None:
            self._since_ns = moment.monotonic_ns
        if (moment.monotonic_ns - self._since_ns) / 1e9 < UNSYNCED_AFTER_S:
            return []
        minutes = f"{UNSYNCED_AFTER_S / 60:.0f} minutes or more"
        return [f"clock_unsynced, the kernel knows of no time server for {minutes}"]


def _read_both() -> tuple[int, int]:
    """Read wall and monotonic clock so close together that a step between them would show."""
    return min(_bracket() for _ in range(ROUNDS))[1:]


def _bracket() -> tuple[int, int, int]:
    before_ns = time.monotonic_ns()
    unix_ns = time.time_ns()
    width_ns = time.monotonic_ns() - before_ns
    return width_ns, unix_ns, before_ns + width_ns // 2


def _read_quality() -> tuple[ClockSource, bool | None, float | None]:
    state = _Timex()
    if not hasattr(_LIBC, "adjtimex") or _LIBC.adjtimex(ctypes.byref(state)) < 0:
        return ClockSource.NONE, None, None
    if state.status & STA_UNSYNC:
        return ClockSource.KERNEL, False, None
    # systemd-timesyncd sets the kernel's estimate to 0 for ever; the maximum grows since the
    # last answer of a server, and with other daemons it is never below the estimate.
    return ClockSource.KERNEL, True, max(state.esterror, state.maxerror) / 1000
