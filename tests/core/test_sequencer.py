"""Every message once, in order, gaps told, and nothing lost to the waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewatch import sequencer as module
from ropewatch.sequencer import Gap, Incident, Sequencer
from tests.core.incident_messages import BOOT_1, BOOT_2, incident


def numbers(incidents: list[Incident]) -> list[int]:
    return [each.message.data.sequence for each in incidents]


def test_messages_in_order_are_given_on_at_once() -> None:
    order = Sequencer(wait_s=2)

    assert [numbers(order.take(incident(n), 0)) for n in (7, 8, 9)] == [[7], [8], [9]]
    assert order.gaps() == []


def test_a_message_that_comes_again_is_given_on_once() -> None:
    order = Sequencer(wait_s=2)
    for n in (7, 8, 10):
        order.take(incident(n), 0)

    assert [order.take(incident(n), 0) for n in (7, 8, 10)] == [[], [], []]
    assert order.duplicates == 3


def test_messages_wait_for_an_earlier_one() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(1), 0)

    assert order.take(incident(3), 0.5) == []
    assert order.take(incident(4), 1.0) == []
    assert order.held == 2
    assert numbers(order.take(incident(2), 2.4)) == [2, 3, 4]
    assert order.gaps() == []


def test_a_missing_message_is_waited_for_no_longer_than_set_and_told() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(1), 0)
    order.take(incident(4), 10)
    order.take(incident(5), 11)

    assert order.due(11.9) == []
    assert numbers(order.due(12)) == [4, 5]
    assert order.gaps() == [Gap("north-tower", "box-1", BOOT_1, 2, 3)]
    assert order.gaps() == []


def test_what_comes_after_it_was_given_up_is_given_on_late_and_once() -> None:
    order = Sequencer(wait_s=0)
    order.take(incident(1), 0)
    order.take(incident(4), 0)

    assert numbers(order.take(incident(3), 100)) == [3]
    assert order.take(incident(3), 100) == []
    assert numbers(order.take(incident(2), 100)) == [2]


def test_who_comes_late_does_not_miss_what_was_before() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(500), 0)

    assert order.gaps() == []
    assert numbers(order.take(incident(499), 0)) == [499]


def test_boxes_and_runs_do_not_wait_for_each_other() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(1), 0)
    order.take(incident(3), 0)

    assert numbers(order.take(incident(3, box="box-2"), 0)) == [3]
    assert numbers(order.take(incident(1, boot_id=BOOT_2), 0)) == [1]


def test_the_first_messages_of_a_restarted_box_are_missed() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(7), 0)

    assert order.take(incident(2, boot_id=BOOT_2), 0) == []
    assert numbers(order.due(2)) == [2]
    assert order.gaps() == [Gap("north-tower", "box-1", BOOT_2, 1, 1)]


def test_an_earlier_run_may_come_after_a_later_one() -> None:
    order = Sequencer(wait_s=2)
    order.take(incident(1, boot_id=BOOT_2), 0)

    assert numbers(order.take(incident(40, boot_id=BOOT_1), 0)) == [40]


def test_not_more_are_held_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 3)
    order = Sequencer(wait_s=1e9)
    order.take(incident(1), 0)

    released = [numbers(order.take(incident(n), 0)) for n in (3, 4, 5)]

    assert released == [[], [], [3, 4, 5]]


def test_runs_that_are_silent_for_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNS", 2)
    order = Sequencer(wait_s=2)

    for box in ("box-1", "box-2", "box-3"):
        order.take(incident(1, box=box), 0)

    assert numbers(order.take(incident(1, box="box-1"), 0)) == [1]
    assert order.take(incident(1, box="box-3"), 0) == []


def test_not_more_bytes_are_held_of_all_runs_than_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size_bytes = len(incident(3).payload)
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 2 * size_bytes)
    order = Sequencer(wait_s=1e9)
    for box in ("box-1", "box-2", "box-3"):
        order.take(incident(1, box=box), 0)

    released = [numbers(order.take(incident(3, box=box), 0)) for box in ("box-1", "box-2")]
    third = order.take(incident(3, box="box-3"), 0)

    # The one that has waited for longest is given on, and what it waited for is told.
    assert released == [[], []]
    assert [each.message.data.box for each in third] == ["box-1"]
    assert order.gaps() == [Gap("north-tower", "box-1", BOOT_1, 2, 2)]
    assert order.held == 2


def test_of_too_many_gaps_nothing_is_lost_and_only_a_repetition_may_come_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_MISSING", 3)
    order = Sequencer(wait_s=0)
    for n in range(1, 22, 2):
        order.take(incident(n), 0)

    (run,) = order._runs.values()
    assert len(run.missing) == 3
    assert [numbers(order.take(incident(n), 0)) for n in range(2, 21, 2)] == [
        [n] for n in range(2, 21, 2)
    ]
    assert len(run.missing) <= 3


def test_names_of_boxes_are_forgotten_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BOXES", 2)
    order = Sequencer(wait_s=2)
    for box in ("box-1", "box-2", "box-3"):
        order.take(incident(1, box=box), 0)

    assert len(order._newest) == 2
    # As of a box that was never heard of: nothing before it is missed.
    assert numbers(order.take(incident(5, box="box-1", boot_id=BOOT_2), 0)) == [5]


ARRIVALS = st.lists(st.integers(1, 12), min_size=1, max_size=40)


@given(ARRIVALS, st.sampled_from([0.0, 3.0, 100.0]))
def test_whatever_the_order_each_comes_out_once(arrivals: list[int], wait_s: float) -> None:
    order = Sequencer(wait_s)
    given_on: list[int] = []
    for now_s, number in enumerate(arrivals):
        given_on += numbers(order.take(incident(number), now_s))
        given_on += numbers(order.due(now_s))

    given_on += numbers(order.due(1e9))

    assert sorted(given_on) == sorted(set(arrivals))
    assert order.held == 0
    assert order.duplicates == len(arrivals) - len(set(arrivals))
