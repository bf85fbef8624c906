"""A source whose picture stands still or shows nothing, from observations to incidents."""

from dataclasses import replace

from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, Phase
from ropewatch.observations import FrameObservation, View
from tests.core.builders import THERE, frame, new_monitor, run, seen


def _in_view(view: View, *frames: FrameObservation) -> list[FrameObservation]:
    return [replace(each, view=view) for each in frames]


def test_a_picture_that_stands_still_ends_no_incident_and_ages_into_unknown() -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=1)
    (start,) = run(monitor, frame(0, [seen(0.9)]))
    still = [replace(frame(n + 0.5, [seen(0.1)]), view=View(still_s=n + 0.5)) for n in range(12)]

    results = [monitor.update(each) for each in still]

    told = [(event.phase, event.state) for result in results for event in result.events]
    assert start.phase is Phase.START
    assert told == [(Phase.UPDATE, RopeState.UNKNOWN)]
    # Scores count for five seconds, and the last of them stands for max_evidence_age_s.
    states = [result.verdicts[0].state for result in results]
    assert states == [RopeState.UNSAFE] * 6 + [RopeState.UNKNOWN] * 6


def test_an_incident_ends_once_the_picture_has_moved_again_for_long_enough() -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=1)
    run(monitor, frame(0, [seen(0.9)]), *_in_view(View(still_s=1), frame(0.5, [seen(0.1)])))

    moving = [frame(1 + n / 2, [seen(0.1)]) for n in range(4)]
    ends = [run(monitor, each) for each in moving]

    # The first of them is the last of which the picture may have stood.
    assert [len(each) for each in ends] == [0, 1, 0, 0]
    assert ends[1][0].end_reason is EndReason.ROPE_SEEN


def test_a_picture_that_stands_still_for_short_opens_an_incident() -> None:
    monitor = new_monitor(open_after_s=0.5)

    events = run(
        monitor,
        *_in_view(View(still_s=2), *[frame(n / 4, [seen(0.9)]) for n in range(5)]),
    )

    assert [event.phase for event in events] == [Phase.START]


def test_a_picture_counts_for_as_long_as_an_opening_may_take() -> None:
    monitor = new_monitor(open_after_s=8)

    events = run(
        monitor,
        *[replace(frame(ts_s, [seen(0.9)]), view=View(still_s=ts_s)) for ts_s in range(9)],
    )

    assert [event.phase for event in events] == [Phase.START]


def test_somebody_with_an_incident_is_not_gone_because_the_picture_shows_nothing() -> None:
    monitor = new_monitor(open_after_s=0, gone_after_s=3, update_every_s=0)
    run(monitor, frame(0, [seen(0.9), seen(0.1, object_id=8, box=THERE)]), frame(1))

    hidden = run(monitor, *_in_view(View(hidden=True), *[frame(2 + n) for n in range(60)]))
    back = run(monitor, *[frame(62 + n / 4) for n in range(4)])
    later = run(monitor, *[frame(63 + n / 4) for n in range(4)])

    # What is unknown is told once; the other, without an incident, has left.
    assert [(event.phase, event.state) for event in hidden] == [(Phase.UPDATE, RopeState.UNKNOWN)]
    assert back == []
    assert [event.end_reason for event in later] == [EndReason.PERSON_GONE]
