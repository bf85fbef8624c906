"""The machine's own clocks, and what a kernel may say of them."""

import ctypes
import time

import pytest

from deepstream import clock
from deepstream.clock import ClockDoubt, read_moment
from ropewatch.moment import ClockSource, ClockWatch, Moment


class Kernel:
    """adjtimex(2) with a state of our choice."""

    def __init__(self, status: int, *, maxerror_us: int, esterror_us: int) -> None:
        self._values = (status, maxerror_us, esterror_us)

    def adjtimex(self, pointer: object) -> int:
        state = pointer._obj  # type: ignore[attr-defined]  # of ctypes.byref
        assert state.modes == 0, "anything else would set the clock"
        state.status, state.maxerror, state.esterror = self._values
        return 0


def test_both_clocks_are_read_together_and_nothing_is_corrected_while_time_passes() -> None:
    first = read_moment()
    watch = ClockWatch(first)

    assert abs(first.unix_ns - time.time_ns()) < 60 * 10**9
    assert abs(first.monotonic_ns - time.monotonic_ns()) < 60 * 10**9
    assert [watch.look(read_moment()) for _ in range(1000)] == [None] * 1000


def test_the_kernel_s_own_word_is_read() -> None:
    moment = read_moment()

    assert moment.source is ClockSource.KERNEL
    assert (moment.est_error_ms is None) == (moment.synced is False)


@pytest.mark.parametrize(
    ("status", "synced", "est_error_ms"),
    [
        (0x0040, False, None),  # STA_UNSYNC
        (0x2041, False, None),  # and others
        (0x0001, True, 2.5),  # STA_PLL, as systemd-timesyncd leaves it
        (0x2001, True, 2.5),  # STA_NANO too
    ],
)
def test_a_clock_without_a_server_has_no_error_estimate(
    status: int, synced: bool, est_error_ms: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_LIBC", Kernel(status, maxerror_us=2500, esterror_us=0))

    moment = read_moment()

    assert (moment.synced, moment.est_error_ms) == (synced, est_error_ms)


def test_where_the_kernel_says_nothing_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LIBC", object())

    moment = read_moment()

    assert (moment.source, moment.synced) == (ClockSource.NONE, None)
    assert moment.est_error_ms is None


def test_the_layout_is_that_of_the_kernel() -> None:
    # linux/timex.h on 64-bit: five longs after a padded int, an int, then one more long.
    fields = [(name, getattr(clock._Timex, name).offset) for name, _ in clock._Timex._fields_]

    assert fields[:7] == [
        ("modes", 0),
        ("offset", 8),
        ("freq", 16),
        ("maxerror", 24),
        ("esterror", 32),
        ("status", 40),
        ("constant", 48),
    ]
    assert ctypes.sizeof(clock._Timex) >= 208


def test_a_clock_that_follows_nobody_is_told_after_a_while_and_no_longer_when_it_does() -> None:
    synced = [False] * 4 + [True, False, False, None]
    moments = iter(
        Moment(0, minute * 300 * 10**9, ClockSource.KERNEL, each)
        for minute, each in enumerate(synced)
    )
    doubt = ClockDoubt(lambda: next(moments))

    told = [len(doubt.troubles()) for _ in synced]

    # A look each five minutes; what is told after ten begins anew with each answer.
    assert told == [0, 0, 1, 1, 0, 0, 0, 0]


def test_where_the_kernel_cannot_say_nothing_is_told() -> None:
    moments = iter(Moment(0, hour * 3600 * 10**9) for hour in range(3))
    doubt = ClockDoubt(lambda: next(moments))

    assert [doubt.troubles() for _ in range(3)] == [[], [], []]
