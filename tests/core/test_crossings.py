"""Two people who cross: who is who may become uncertain, an unsafe person may not be lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.incidents import EndReason, IncidentEvent, Phase
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import BoxLtwh, FrameObservation, PersonObservation
from tests.core.builders import S, frame, new_monitor, seen

FPS = 10
STEP_PX = 12.0
WALK_S = 4.0


def _box(left_px: float) -> BoxLtwh:
    return (left_px, 100.0, 50.0, 120.0)


def _walk(
    ids_before: tuple[int | None, int | None],
    ids_after: tuple[int | None, int | None],
    hidden_s: float = 0.0,
) -> list[FrameObservation]:
    """An unsafe person walks right, a safe one left; they meet half way, at 2 s.

    Args:
        ids_before: track ids of the unsafe and the safe person until they meet.
        ids_after: the same afterwards.
        hidden_s: for so long around the meeting only one of them is detected.
    """
    frames = []
    for n in range(round(WALK_S * FPS) + 1):
        ts_s = n / FPS
        unsafe_id, safe_id = ids_before if ts_s < WALK_S / 2 else ids_after
        people = [
            seen(0.9, unsafe_id, _box(100 + STEP_PX * n)),
            seen(0.1, safe_id, _box(100 + STEP_PX * (WALK_S * FPS - n))),
        ]
        frames.append(frame(ts_s, people[:1] if abs(ts_s - 2) < hidden_s / 2 else people))
    return frames


def _stand(
    after: FrameObservation, seconds: float, persons: tuple[PersonObservation, ...]
) -> list[FrameObservation]:
    start_s = after.pts_ns / S
    return [frame(start_s + n / FPS, persons) for n in range(1, round(seconds * FPS) + 1)]


def _open_at_each_frame(
    monitor: SourceMonitor, frames: list[FrameObservation]
) -> tuple[list[int], list[IncidentEvent]]:
    counts: list[int] = []
    events: list[IncidentEvent] = []
    for each in frames:
        events.extend(monitor.update(each).events)
        counts.append(len(monitor.open_incidents))
    return counts, events


@pytest.mark.parametrize("strategy", ["reference", "track"])
def test_crossing_with_steady_ids_keeps_evidence_and_says_that_they_crossed(strategy: str) -> None:
    monitor = new_monitor(open_after_s=0.5, smoothing={"strategy": strategy})

    _, events = _open_at_each_frame(monitor, _walk((1, 2), (1, 2)))
    (start,) = events
    (end,) = monitor.close(EndReason.SHUTDOWN, 4 * S)

    assert (start.phase, start.person) == (Phase.START, 1)
    assert start.evidence is not None
    assert start.evidence.crossed == ()
    assert end.evidence is not None
    assert end.evidence.crossed == (2,)


@pytest.mark.parametrize("strategy", ["reference", "track"])
@pytest.mark.parametrize("hidden_s", [0.0, 0.7])
@pytest.mark.parametrize(
    "ids_after",
    [
        pytest.param((2, 1), id="swapped"),
        pytest.param((3, 4), id="new"),
        pytest.param((4, 1), id="one-taken-over"),
        pytest.param((None, None), id="lost"),
    ],
)
def test_unsafe_person_has_an_incident_at_every_moment_of_a_crossing_that_mixes_up_ids(
    ids_after: tuple[int | None, int | None], hidden_s: float, strategy: str
) -> None:
    monitor = new_monitor(smoothing={"strategy": strategy})
    walk = _walk((1, 2), ids_after, hidden_s)
    frames = walk + _stand(walk[-1], 6, walk[-1].persons)

    counts, events = _open_at_each_frame(monitor, frames)

    # Default times: open after 0.5 s, and the smoother adds its own delay.
    first = counts.index(1)
    assert first / FPS <= 0.8
    assert all(count >= 1 for count in counts[first:])
    assert counts[-1] == 1
    # The incident that stayed with the other body ends, at most once, after the new one began.
    assert [e.phase for e in events].count(Phase.END) <= 1


def test_swap_of_ids_is_told_in_the_evidence_of_both_incidents() -> None:
    monitor = new_monitor()
    walk = _walk((1, 2), (2, 1))

    _, events = _open_at_each_frame(monitor, walk + _stand(walk[-1], 6, walk[-1].persons))

    (first, second), (end,) = (
        [e for e in events if e.phase is Phase.START],
        [e for e in events if e.phase is Phase.END],
    )
    assert (first.person, second.person, end.person) == (1, 2, 1)
    assert second.evidence is not None
    assert second.evidence.crossed == (1,)
    assert end.evidence is not None
    assert end.evidence.crossed == (2,)


def test_nobody_is_cleared_by_scores_of_a_crossing() -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=0.5)
    monitor.update(frame(0, [seen(0.9, 1, _box(100)), seen(0.1, 2, _box(110))]))

    for n in range(1, 40):
        monitor.update(frame(n / FPS, [seen(0.1, 1, _box(100)), seen(0.1, 2, _box(110))]))
    assert len(monitor.open_incidents) == 1

    # The last score of the crossing, at 3.9 s, begins the time on the release side.
    apart = [seen(0.1, 1, _box(100)), seen(0.1, 2, _box(200))]
    events = [e for n in range(40, 50) for e in monitor.update(frame(n / FPS, apart)).events]
    assert [(e.end_reason, e.pts_ns / S) for e in events] == [(EndReason.ROPE_SEEN, 4.4)]


def test_nobody_is_cleared_while_the_other_is_hidden_behind_them() -> None:
    """The tracker gives the unsafe one's id to the safe one who stands in front for 2.5 s."""
    monitor = new_monitor(open_after_s=0)
    both = [seen(0.9, 1, _box(100)), seen(0.1, 2, _box(110))]
    front = [seen(0.1, 1, _box(110))]
    apart = [seen(0.1, 1, _box(200)), seen(0.9, 3, _box(100))]
    scene = [both] * 10 + [front] * 25 + [apart] * 40

    counts, events = _open_at_each_frame(
        monitor, [frame(n / FPS, persons) for n, persons in enumerate(scene)]
    )

    assert all(count >= 1 for count in counts)
    assert [event.phase for event in events if event.pts_ns <= 3.4 * S] == [Phase.START]


def test_doubt_about_who_is_left_ends_when_the_other_is_gone() -> None:
    """Last seen at 0.9 s, gone at 3.9 s: close_after_s (2) begins with the score before that."""
    monitor = new_monitor(open_after_s=0, smoothing={"newest": 1, "window_s": 1e-9})
    both = [seen(0.9, 1, _box(100)), seen(0.1, 2, _box(110))]
    front = [seen(0.1, 1, _box(110))]
    scene = [both] * 10 + [front] * 60

    _, events = _open_at_each_frame(
        monitor, [frame(n / FPS, persons) for n, persons in enumerate(scene)]
    )

    ends = [(e.end_reason, e.pts_ns / S) for e in events if e.phase is Phase.END]
    assert ends == [(EndReason.ROPE_SEEN, 5.8)]


@given(
    swaps=st.lists(st.booleans(), min_size=1, max_size=6),
    dropped=st.sets(st.integers(0, 60), max_size=12),
)
@settings(max_examples=150)
def test_whatever_ids_do_in_a_crowd_of_two_the_unsafe_one_is_alarmed_in_time(
    swaps: list[bool], dropped: set[int]
) -> None:
    """Ids swap at will every 0.4 s while two people stand in one another's way."""
    monitor = new_monitor(max_evidence_age_s=5)
    flips = [flip for flip in swaps for _ in range(4)]

    opened = False
    for n in range(60):
        if n in dropped:
            continue
        one, other = (2, 1) if n < len(flips) and flips[n] else (1, 2)
        people = [seen(0.9, one, _box(100)), seen(0.1, other, _box(115))]
        monitor.update(frame(n / FPS, people))
        opened = opened or bool(monitor.open_incidents)
        assert opened is bool(monitor.open_incidents)
    assert opened
