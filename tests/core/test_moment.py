import pytest

from ropewatch.moment import ClockSource, ClockWatch, Correction, CorrectionReason, Moment

S = 1_000_000_000
START_NS = 1_800_000_000 * S


def at(seconds: float, *, off_s: float = 0, synced: bool | None = False) -> Moment:
    passed_ns = int(seconds * S)
    unix_ns = START_NS + passed_ns + int(off_s * S)
    return Moment(unix_ns, passed_ns, ClockSource.KERNEL, synced)


def test_time_that_passes_is_no_correction() -> None:
    watch = ClockWatch(at(0))

    assert [watch.look(at(seconds)) for seconds in (0, 0.02, 1, 3600, 10**8)] == [None] * 5


@pytest.mark.parametrize("step_s", [-40 * 365 * 86_400, -3600, -0.2, 0.1, 3600, 50 * 365 * 86_400])
def test_a_step_is_noticed_once_with_its_size(step_s: float) -> None:
    watch = ClockWatch(at(0))
    after = at(5, off_s=step_s)

    assert watch.look(at(4)) is None
    assert watch.look(after) == Correction(CorrectionReason.STEPPED, int(step_s * S), after)
    assert watch.look(at(6, off_s=step_s)) is None


def test_what_reading_two_clocks_takes_is_no_step() -> None:
    watch = ClockWatch(at(0))

    assert watch.look(at(1, off_s=0.05)) is None
    assert watch.look(at(2, off_s=-0.04)) is None


def test_a_clock_that_becomes_synced_without_a_step_says_that_earlier_times_hold() -> None:
    watch = ClockWatch(at(0))
    after = at(1, synced=True)

    assert watch.look(after) == Correction(CorrectionReason.SYNCED, 0, after)
    assert watch.look(at(2, synced=True)) is None


def test_a_step_and_a_sync_at_once_are_one_correction() -> None:
    watch = ClockWatch(at(0))
    after = at(1, off_s=86_400, synced=True)

    assert watch.look(after) == Correction(CorrectionReason.STEPPED, 86_400 * S, after)
    assert watch.look(at(2, off_s=86_400, synced=True)) is None


def test_a_clock_that_loses_its_server_or_of_which_nobody_speaks_corrects_nothing() -> None:
    lost = ClockWatch(at(0, synced=True))
    unspoken = ClockWatch(at(0, synced=None))

    assert lost.look(at(1, synced=False)) is None
    assert unspoken.look(at(1, synced=True)) is None
