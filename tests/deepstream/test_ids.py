from ulid import ULID

from deepstream.ids import IncidentIds

BOOT = str(ULID.from_timestamp(1_800_000_000_000))


def test_ids_sort_in_the_order_in_which_they_were_drawn_whatever_the_clock_does() -> None:
    times_ms = [1_800_000_000_500] * 50 + [1_700_000_000_000] * 50 + [1_900_000_000_000] * 2
    clock = iter(times_ms)
    new_id = IncidentIds(BOOT, unix_ns=lambda: next(clock) * 1_000_000)

    ids = [new_id() for _ in times_ms]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert ULID.from_str(ids[-1]).milliseconds == 1_900_000_000_000


def test_ids_sort_after_the_boot_id_when_the_clock_is_behind_it() -> None:
    new_id = IncidentIds(BOOT, unix_ns=lambda: 0)

    assert BOOT < new_id() < new_id()
