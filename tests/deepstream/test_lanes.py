"""The order in which messages leave, and what goes when there is too much."""

from deepstream.lanes import (
    ASIDE_DEFERRALS,
    ASIDE_LOSSES,
    ASIDE_RETRY_S,
    SUSPECT_LOSSES,
    Entry,
    Lane,
    Lanes,
)
from ropewatch.wire import Message

MIB = 1 << 20


class Bench:
    """Lanes with numbered messages of 100 bytes."""

    def __init__(self, max_bytes: int = MIB, max_age_s: float = 1000.0) -> None:
        self.lanes = Lanes(max_bytes=max_bytes, max_age_s=max_age_s)
        self.count = 0

    def add(self, lane: Lane, topic: str = "t", queued_s: float = 0.0) -> Entry:
        self.count += 1
        message = Message(topic, b"", 1, lane is Lane.STATE, None, "text/plain")
        entry = Entry(self.count, lane, message, 100, queued_s, 0)
        self.lanes.add(entry)
        return entry

    def take(self, window: int = 100, now_s: float = 0.0) -> list[Entry]:
        found = []
        while (entry := self.lanes.take(now_s, window)) is not None:
            found.append(entry)
        return found


def test_starts_and_ends_go_first_and_each_lane_keeps_its_order() -> None:
    bench = Bench()
    lanes = (Lane.UPDATE, Lane.TELEMETRY, Lane.ANSWER, Lane.ALERT, Lane.STATE, Lane.SNAPSHOT)
    update, telemetry, answer, alert, state, snapshot = [bench.add(lane) for lane in lanes]
    later_update, later_alert = bench.add(Lane.UPDATE), bench.add(Lane.ALERT)

    assert bench.take() == [
        alert,
        later_alert,
        state,
        answer,
        update,
        later_update,
        snapshot,
        telemetry,
    ]


def test_one_place_in_the_window_stays_free_for_a_start() -> None:
    bench = Bench()
    for _ in range(5):
        bench.add(Lane.UPDATE)
    assert len(bench.take(window=3)) == 2

    start = bench.add(Lane.ALERT)

    assert bench.take(window=3) == [start]


def test_a_window_of_one_serves_every_lane() -> None:
    bench = Bench()
    for lane in Lane:
        bench.add(lane)
    taken = []
    while (entry := bench.lanes.take(0.0, 1)) is not None:
        assert bench.take(window=1) == []
        bench.lanes.delivered(entry, 0.0)
        taken.append(entry.lane)

    assert taken == list(Lane)


def test_one_snapshot_is_under_way_at_a_time() -> None:
    bench = Bench()
    first = bench.add(Lane.SNAPSHOT)
    second = bench.add(Lane.SNAPSHOT)

    assert bench.take() == [first]
    bench.lanes.delivered(first, 0.0)
    assert bench.take() == [second]


def test_a_newer_state_takes_the_place_of_the_older_one() -> None:
    bench = Bench()
    bench.add(Lane.STATE, "a")
    other = bench.add(Lane.STATE, "b")
    newer = bench.add(Lane.STATE, "a")

    assert bench.take() == [newer, other]


def test_every_state_is_said_again_on_a_new_connection() -> None:
    bench = Bench()
    entries = [bench.add(Lane.STATE, topic) for topic in "ab"]
    for entry in bench.take():
        bench.lanes.delivered(entry, 0.0)

    bench.lanes.connected(0.0)

    assert bench.take() == entries


def test_a_state_that_was_replaced_while_it_was_on_its_way_does_not_come_back() -> None:
    bench = Bench()
    bench.add(Lane.STATE, "a")
    bench.take()
    newer = bench.add(Lane.STATE, "a")

    bench.lanes.connection_lost(0.0, refusal=False)

    assert bench.take() == [newer]


def test_what_was_on_its_way_goes_again_first_and_in_order() -> None:
    bench = Bench()
    entries = [bench.add(Lane.ALERT) for _ in range(5)]
    bench.take(window=3)

    assert bench.lanes.connection_lost(0.0, refusal=False) == []

    assert bench.take() == entries


def test_telemetry_goes_first_then_answers_updates_and_snapshots_but_never_an_alert() -> None:
    bench = Bench(max_bytes=450)
    for lane in (Lane.ALERT, Lane.SNAPSHOT, Lane.UPDATE, Lane.ANSWER, Lane.TELEMETRY):
        for _ in range(3):
            bench.add(lane)

    dropped = bench.lanes.trim(0.0, None)

    assert [entry.lane for entry in dropped] == [Lane.TELEMETRY] * 3 + [Lane.ANSWER] * 3 + [
        Lane.UPDATE
    ] * 3 + [Lane.SNAPSHOT] * 2
    assert [entry.number for entry in dropped] == [13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5]
    assert bench.lanes.bytes == 400
    assert not bench.lanes.over_bytes


def test_starts_alone_may_be_more_than_the_bound_and_that_is_known() -> None:
    bench = Bench(max_bytes=450)
    for _ in range(10):
        bench.add(Lane.ALERT)

    assert bench.lanes.trim(0.0, None) == []
    assert bench.lanes.over_bytes


def test_what_is_too_old_goes_unless_it_is_a_start_or_an_end() -> None:
    bench = Bench(max_age_s=60)
    start = bench.add(Lane.ALERT)
    old = bench.add(Lane.UPDATE, queued_s=0.0)
    young = bench.add(Lane.UPDATE, queued_s=50.0)

    assert bench.lanes.trim(100.0, None) == [old]
    assert bench.take(now_s=100.0) == [start, young]


def test_in_memory_only_what_is_too_much_goes_and_what_is_on_disk_stays() -> None:
    bench = Bench()
    on_disk = bench.add(Lane.UPDATE)
    on_disk.in_memory = False
    bench.lanes.memory_bytes -= 100
    only_here = [bench.add(Lane.UPDATE) for _ in range(3)]

    assert bench.lanes.trim(0.0, 200) == only_here[:1]


def test_a_lane_that_the_broker_puts_off_pauses_longer_each_time_and_others_do_not() -> None:
    bench = Bench()
    update = bench.add(Lane.UPDATE)
    bench.take()
    bench.lanes.defer(update, 0.0)
    start = bench.add(Lane.ALERT)

    assert bench.take(now_s=0.9) == [start]
    assert bench.take(now_s=1.0) == [update]
    bench.lanes.defer(update, 1.0)
    assert bench.take(now_s=2.9) == []
    assert bench.take(now_s=3.0) == [update]


def test_what_the_broker_puts_off_for_ever_lets_the_others_pass() -> None:
    bench = Bench()
    poison, next_one = bench.add(Lane.ALERT), bench.add(Lane.ALERT)
    for turn in range(ASIDE_DEFERRALS):
        assert bench.lanes.take(turn * 100.0, 1) is poison
        bench.lanes.defer(poison, turn * 100.0)

    assert bench.take(now_s=1000.0) == [next_one]
    assert list(bench.lanes.aside) == [poison]


def test_what_was_set_aside_is_tried_when_nothing_else_waits() -> None:
    bench = Bench()
    first, second = bench.add(Lane.ALERT), bench.add(Lane.ALERT)
    for entry in bench.take():
        bench.lanes.set_aside(entry, 0.0)
    assert bench.take(now_s=ASIDE_RETRY_S - 1) == []

    assert bench.take(now_s=ASIDE_RETRY_S) == [first]
    bench.lanes.delivered(first, ASIDE_RETRY_S)

    assert bench.take(now_s=ASIDE_RETRY_S) == [second]
    bench.lanes.delivered(second, ASIDE_RETRY_S)
    assert bench.lanes.bytes == 0


def test_a_run_that_ends_tries_what_was_refused_after_what_waits_but_no_poison() -> None:
    bench = Bench()
    refused, poison = bench.add(Lane.ALERT), bench.add(Lane.ALERT)
    bench.take()
    poison.losses = ASIDE_LOSSES
    for entry in (refused, poison):
        bench.lanes.set_aside(entry, 0.0)
    waiting = bench.add(Lane.ALERT)

    bench.lanes.try_refused()

    assert bench.take(now_s=1.0) == [waiting, refused]
    assert list(bench.lanes.aside) == [poison]


def test_what_was_refused_is_tried_again_on_a_new_connection() -> None:
    bench = Bench()
    entry = bench.add(Lane.ALERT)
    bench.take()
    bench.lanes.set_aside(entry, 0.0)

    bench.lanes.connected(1.0)

    assert bench.take(now_s=1.0) == [entry]


def test_a_message_that_ends_every_connection_is_found_among_others() -> None:
    bench = Bench()
    entries = [bench.add(Lane.ALERT) for _ in range(6)]
    poison, delivered, set_aside = entries[2], [], []
    for turn in range(30):
        on_way = []
        while (entry := bench.lanes.take(float(turn), 20)) is not None:
            on_way.append(entry)
            if entry is poison:
                # The broker has answered nothing yet when it ends the connection.
                set_aside += bench.lanes.connection_lost(float(turn), refusal=False)
                break
        else:
            for entry in on_way:
                bench.lanes.delivered(entry, float(turn))
                delivered.append(entry)

    assert set_aside == [poison]
    assert sorted(entry.number for entry in delivered) == [1, 2, 4, 5, 6]
    assert poison.losses == ASIDE_LOSSES > SUSPECT_LOSSES


def test_a_connection_ended_for_the_only_message_on_its_way_sets_that_aside_at_once() -> None:
    bench = Bench()
    entry = bench.add(Lane.ALERT)
    bench.take()

    assert bench.lanes.connection_lost(0.0, refusal=True) == [entry]

    bench.lanes.connected(1.0)
    assert bench.take(now_s=1.0) == []
    assert bench.take(now_s=ASIDE_RETRY_S) == [entry]
