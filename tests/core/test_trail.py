"""The reason trail of incidents: what it shows, and how far back."""

from ropewatch.decision import Rule
from ropewatch.evidence import MAX_POINTS, TrackStart
from ropewatch.settings import AlertWhen
from tests.core.builders import S, frame, new_monitor, run, seen, site


def test_trail_tells_cached_verdicts_from_fresh_ones_and_keeps_to_its_window() -> None:
    monitor = new_monitor(open_after_s=0.2, smoothing={"newest": 1, "window_s": 0.2})

    events = run(
        monitor,
        *(frame(0.1 * n, [seen(0.9 if n % 2 == 0 else None)]) for n in range(3)),
        frame(0.3, [seen(object_id=8)]),
        frame(10.4),
    )

    start, end = events
    assert start.evidence is not None
    assert [(p.score, p.smoothed) for p in start.evidence.trail] == [
        (0.9, 0.9),
        (None, 0.9),
        (0.9, 0.9),
    ]
    assert end.evidence is not None
    assert [p.pts_ns / S for p in end.evidence.trail] == [0, 0.1, 0.2, 0.3]
    assert end.evidence.tracks == (TrackStart(7, 0), TrackStart(8, round(0.3 * S)))


def test_trail_of_an_end_shows_the_turn_to_the_release_side_and_what_ended_it() -> None:
    """close_after_s is 2: the newest second alone would show safe scores and no reason."""
    monitor = new_monitor(open_after_s=0.5, close_after_s=2, release_below=0.4)

    events = run(
        monitor,
        *(frame(0.1 * n, [seen(0.9)]) for n in range(11)),
        *(frame(1.1 + 0.1 * n, [seen(0.1)]) for n in range(21)),
    )

    start, end = (event.evidence for event in events)
    assert start is not None
    assert end is not None
    assert [p.pts_ns / S for p in start.trail] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert (end.trail[0].score, end.trail[-1].pts_ns / S) == (0.1, 3.1)
    assert end.trail[0].pts_ns / S == 1.1
    assert end.rule == Rule.of(
        site(open_after_s=0.5, close_after_s=2, release_below=0.4).decision, AlertWhen.AT_OR_ABOVE
    )


def test_trail_is_bounded_at_any_frame_rate() -> None:
    monitor = new_monitor(open_after_s=1, smoothing={"newest": 1, "window_s": 1})

    (start,) = run(monitor, *(frame(0.01 * n, [seen(0.9)]) for n in range(101)))

    assert start.evidence is not None
    assert len(start.evidence.trail) == MAX_POINTS
    assert start.evidence.trail[-1].pts_ns == S
