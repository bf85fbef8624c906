import functools
from collections.abc import Callable
from dataclasses import replace

import pytest

from deepstream.health import CameraHealth, CameraReason, Counts, Health, Spell
from ropewatch.view import ViewCondition


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def health(clock: Clock, frames: list[int], **counters: int) -> Health:
    return Health(
        cameras=(
            CameraHealth("a", started_s=clock.now_s),
            CameraHealth("b", started_s=clock.now_s),
        ),
        counts=lambda: [Counts(frames=count) for count in frames],
        blind_after_s=5.0,
        clock=clock,
        counters={name: functools.partial(int, value) for name, value in counters.items()},
    )


def test_health_reports_a_camera_once_when_it_begins_to_watch() -> None:
    clock, frames = Clock(), [0, 0]
    watched = health(clock, frames)
    assert [reason for _, reason in watched.look()] == [CameraReason.STARTING] * 2

    frames[0] = 3

    assert watched.look() == [(0, None)]
    assert watched.look() == []


def test_health_says_lost_after_the_time_without_a_frame() -> None:
    clock, frames = Clock(), [3, 3]
    watched = health(clock, frames)
    watched.look()
    frames[1] = 4
    clock.now_s += 5.0

    changed = watched.look()

    assert changed == [(0, CameraReason.LOST)]
    assert watched.reasons() == ["camera a lost"]


def test_health_knows_an_ended_file_from_a_lost_camera() -> None:
    clock = Clock()
    watched = health(clock, [3, 3])
    watched.look()
    watched.cameras[0].ended = True
    clock.now_s += 5.0
    watched.look()

    assert watched.reasons() == ["camera b lost"]


def test_health_names_every_counter_that_is_not_zero() -> None:
    watched = health(Clock(), [1, 1], dropped_frames=2, failed_buffers=0)
    watched.look()

    assert watched.reasons() == ["dropped_frames 2"]


def test_an_ended_camera_that_shows_frames_again_has_not_ended() -> None:
    clock, frames = Clock(), [3, 3]
    watched = health(clock, frames)
    watched.look()
    watched.cameras[0].ended = True
    frames[0] = 4
    watched.look()
    clock.now_s += 5.0

    assert (0, CameraReason.LOST) in watched.look()


def test_the_end_of_a_live_stream_is_a_loss() -> None:
    clock = Clock()
    watched = health(clock, [3, 3])
    watched.cameras[0].live = True
    watched.look()
    watched.cameras[0].ended = True
    clock.now_s += 5.0

    assert (0, CameraReason.LOST) in watched.look()


def test_health_is_degraded_while_cameras_start() -> None:
    watched = health(Clock(), [0, 1])
    watched.look()

    assert watched.reasons() == ["camera a starting"]


def test_people_who_are_seen_and_never_judged_are_said() -> None:
    clock, counts = Clock(), [Counts(frames=1, seen=0, judged=0)]
    watched = Health(
        cameras=(CameraHealth("a", started_s=clock.now_s),),
        counts=lambda: counts,
        blind_after_s=5.0,
        clock=clock,
    )
    watched.look()
    for number in range(1, 8):
        counts[0] = Counts(frames=1 + number, seen=number, judged=0)
        watched.look()
        clock.now_s += 1.0
    assert watched.reasons() == ["camera a: people are not judged"]

    counts[0] = Counts(frames=10, seen=10, judged=1)
    watched.look()

    assert watched.reasons() == []


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (
            Counts(frames=3, overdue=1),
            "camera a: classifier_overloaded, people wait longer than max_evidence_age_s",
        ),
        (
            Counts(frames=3, gaps=1),
            "camera a: frames_too_far_apart, further than max_evidence_age_s",
        ),
        (
            Counts(frames=3, lasting=2),
            "camera a: unknown_lasting, people are unknown for longer than unknown_after_s",
        ),
    ],
)
def test_health_names_a_camera_of_which_less_is_known_than_should_be(
    counts: Counts, reason: str
) -> None:
    clock = Clock()
    now = [counts]
    watched = Health(
        cameras=(CameraHealth("a", started_s=clock.now_s),),
        counts=lambda: now,
        blind_after_s=5.0,
        clock=clock,
    )
    watched.look()
    assert watched.reasons() == [reason]

    now[0] = replace(counts, frames=4, lasting=0)
    clock.now_s += 5.0
    watched.look()

    assert watched.reasons() == []


def test_what_the_operator_wants_no_more_of_is_counted_and_no_trouble() -> None:
    box = health(Clock(), [1], snapshots_over_limit=2, missed_snapshots=1)

    assert box.read() == {"snapshots_over_limit": 2, "missed_snapshots": 1}
    assert box.troubles() == {"missed_snapshots": 1}


def test_commands_and_answers_that_were_dropped_do_not_degrade_the_box_for_ever() -> None:
    box = health(Clock(), [1], dropped_commands=2, dropped_answers=1, unaudited_commands=1)

    assert box.troubles() == {"unaudited_commands": 1}


def _overdue(n: int) -> Counts:
    return Counts(frames=n, seen=9 * n, judged=n, overdue=n)


def _behind(n: int) -> Counts:
    return Counts(frames=n, seen=n, judged=n, gaps=n, is_behind=True)


def _unjudged(n: int) -> Counts:
    return Counts(frames=n, seen=n)


def _too_small(n: int) -> Counts:
    return Counts(frames=n, seen=n, judged=n, lasting=1, too_small=True)


@pytest.mark.parametrize(
    ("looking", "reason"),
    [
        (_overdue, CameraReason.OVERLOADED),
        (_behind, CameraReason.OVERLOADED),
        (_unjudged, CameraReason.UNJUDGED),
        (_too_small, CameraReason.TOO_SMALL),
    ],
)
def test_a_camera_whose_people_cannot_be_judged_is_blind_for_as_long_as_that_lasts(
    looking: Callable[[int], Counts], reason: CameraReason
) -> None:
    clock, now = Clock(), [Counts()]
    watched = Health(
        cameras=(CameraHealth("a", started_s=clock.now_s),),
        counts=lambda: now,
        blind_after_s=5.0,
        clock=clock,
    )
    told = []
    for second in range(1, 20):
        # People are badly judged for nine seconds, then well.
        now[0] = looking(second)
        if second > 9:
            bad = looking(9)
            now[0] = replace(
                bad, frames=second, seen=bad.seen + second, judged=9 + second, too_small=False
            )
        told += [(second, each) for _, each in watched.look()]
        clock.now_s += 1.0

    # One score is enough to know that they are judged; the others are waited out.
    over = 10 if reason is CameraReason.UNJUDGED else 14
    assert told == [(1, None), (6, reason), (over, None)]


def test_a_camera_that_is_lost_while_it_is_overloaded_is_lost() -> None:
    clock, now = Clock(), [Counts()]
    watched = Health(
        cameras=(CameraHealth("a", started_s=clock.now_s),),
        counts=lambda: now,
        blind_after_s=5.0,
        clock=clock,
    )
    told = []
    for second in range(1, 20):
        now[0] = _overdue(min(second, 9))
        told += [each for _, each in watched.look()]
        clock.now_s += 1.0

    assert told == [None, CameraReason.OVERLOADED, CameraReason.LOST]


def test_what_comes_and_goes_is_no_spell() -> None:
    spell = Spell()
    for now_s in (0, 6, 12, 18):
        spell.note(now_s, 5)
        assert not spell.lasts(now_s, 5)


def test_a_spell_shorter_than_the_time_between_looks_is_one_all_the_same() -> None:
    spell = Spell()
    for now_s in (0.0, 1.0, 2.0):
        spell.note(now_s, 0.5)

    assert spell.lasts(2.0, 0.5)


def test_frames_that_the_network_loses_are_no_overload() -> None:
    clock, now = Clock(), [Counts()]
    watched = Health(
        cameras=(CameraHealth("a", started_s=clock.now_s),),
        counts=lambda: now,
        blind_after_s=5.0,
        clock=clock,
    )
    for second in range(1, 10):
        now[0] = replace(_behind(second), is_behind=False, passed_over=9 * second)
        watched.look()
        clock.now_s += 1.0

    assert watched.cameras[0].reported is None
    # People who take turns and are never overdue are nothing to be told of.
    assert watched.reasons() == ["camera a: frames_too_far_apart, further than max_evidence_age_s"]


@pytest.mark.parametrize("condition", list(ViewCondition))
def test_health_says_what_a_picture_says_unless_there_is_none(condition: ViewCondition) -> None:
    clock, counts = Clock(), Counts(frames=1, view=condition)
    camera = CameraHealth("a", started_s=clock.now_s)
    watched = Health((camera,), lambda: [counts], blind_after_s=5.0, clock=clock)

    assert watched.look() == [(0, CameraReason(condition.value))]
    (said,) = watched.reasons()
    assert said.startswith(f"camera a: {condition.value}, ")

    clock.now_s += 5
    assert watched.look() == [(0, CameraReason.LOST)]
    assert watched.reasons() == ["camera a lost"]

    counts = Counts(frames=2)
    assert watched.look() == [(0, None)]
    assert watched.reasons() == []
