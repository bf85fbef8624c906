"""Whom to judge when not all can be; times in seconds, a verdict lasts 1 s."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.decision import RopeState
from ropewatch.monitor import Verdict
from ropewatch.spread import Asked, Spread, choose
from tests.core.builders import S

FPS = 25


class OneCamera(Spread):
    """A spread with a number of its own."""

    def __init__(self, most: int) -> None:
        super().__init__(threshold=0.5, max_evidence_age_ns=S)
        self.most = most

    def choose(self, object_ids: Sequence[int | None], pts_ns: int | None) -> list[bool]:
        (chosen,) = choose([Asked(self, object_ids, pts_ns)], self.most)
        return chosen


def _spread(most: int) -> OneCamera:
    return OneCamera(most)


def _verdict(
    object_id: int | None,
    state: str = "safe",
    smoothed: float | None = 0.0,
    *,
    watched: bool = True,
    incident: str | None = None,
) -> Verdict:
    return Verdict(1, object_id, RopeState(state), None, smoothed, incident, 0.0, watched)


def _turns(spread: OneCamera, ids: range, seconds: float, start_s: float = 0.0) -> dict[int, int]:
    """Run frames of the same people and count how often each was chosen."""
    turns = dict.fromkeys(ids, 0)
    for n in range(round(seconds * FPS)):
        chosen = spread.choose(list(ids), round((start_s + n / FPS) * S))
        for object_id, is_chosen in zip(ids, chosen, strict=True):
            turns[object_id] += is_chosen
    return turns


def test_everybody_is_chosen_where_all_fit() -> None:
    assert _spread(3).choose([7, 8, None], 0) == [True, True, True]


def test_never_more_than_the_most_are_chosen() -> None:
    assert sum(_spread(3).choose(list(range(10)), 0)) == 3


def test_newcomers_come_first() -> None:
    spread = _spread(2)
    spread.choose([1, 2], 0)

    assert spread.choose([1, 2, 3], S // 25) == [True, False, True]
    assert spread.choose([1, 2, None], 2 * S // 25) == [False, True, True]


@pytest.mark.parametrize(
    "needy",
    [
        pytest.param(_verdict(3, "unsafe", 0.9), id="unsafe"),
        pytest.param(_verdict(3, "unknown", None), id="unknown"),
        pytest.param(_verdict(3, "safe", 0.4), id="near-the-threshold"),
        pytest.param(_verdict(3, "safe", 0.0, incident="a"), id="open-incident"),
    ],
)
def test_who_is_in_need_is_judged_more_often(needy: Verdict) -> None:
    spread = _spread(2)
    spread.learn([needy, *(_verdict(n) for n in (1, 2, 4, 5))])

    turns = _turns(spread, range(1, 6), 20)

    assert all(turns[3] > 1.5 * turns[n] for n in (1, 2, 4, 5))
    assert spread.overdue == 0


def test_equals_take_turns() -> None:
    spread = _spread(2)
    spread.learn([_verdict(n) for n in range(7)])

    turns = _turns(spread, range(7), 20)

    assert max(turns.values()) - min(turns.values()) <= 1


def test_people_outside_the_zones_come_last_and_are_never_overdue() -> None:
    spread = _spread(1)
    spread.learn([_verdict(0), *(_verdict(n, watched=False) for n in range(1, 5))])

    turns = _turns(spread, range(5), 20)

    assert turns[0] == 20 * FPS
    assert spread.overdue == 0


def test_too_many_for_the_budget_are_counted_and_nobody_is_forgotten() -> None:
    spread = _spread(1)
    spread.learn([_verdict(n, "unsafe" if n < 30 else "safe", 0.9) for n in range(40)])

    turns = _turns(spread, range(40), 60)

    assert spread.overdue > 0
    assert min(turns.values()) >= 10


def test_time_that_goes_backward_starts_afresh() -> None:
    spread = _spread(1)
    spread.choose([1, 2], 100 * S)

    assert spread.choose([1, 2], 0) == [True, False]
    assert spread.choose([1, 2], S // 25) == [False, True]
    assert spread.overdue == 0


def test_frame_without_time_is_not_judged() -> None:
    assert _spread(1).choose([1, 2], None) == [False, False]


@given(
    people=st.integers(1, 30),
    needs=st.lists(st.frozensets(st.integers(0, 29)), min_size=1, max_size=8),
    fps=st.sampled_from([8, 15, 30]),
)
@settings(max_examples=60)
def test_no_evidence_gets_too_old_where_all_fit_in_half_its_age(
    people: int, needs: list[frozenset[int]], fps: int
) -> None:
    """Whoever is in need, and however that changes."""
    most = -(-2 * people // (fps - 1))
    spread = _spread(most)
    last_s: Mapping[int, float] = {}
    for n in range(4 * fps):
        needy = needs[n * len(needs) // (4 * fps)]
        spread.learn([_verdict(i, "unsafe" if i in needy else "safe") for i in range(people)])
        chosen = spread.choose(list(range(people)), round(n / fps * S))
        assert sum(chosen) <= most
        last_s = {**last_s, **{i: n / fps for i in range(people) if chosen[i]}}
        assert all(n / fps - last_s.get(i, 0.0) <= 1 for i in range(people))
    assert spread.overdue == 0


def test_cameras_of_a_batch_share_its_places_by_need() -> None:
    first, second = _spread(2), _spread(2)
    everybody = [Asked(first, [1, 2], 0), Asked(second, [1, 2], 5 * S)]
    assert choose(everybody, None) == [[True, True], [True, True]]
    first.learn([_verdict(1), _verdict(2)])
    second.learn([_verdict(1), _verdict(2, "unsafe", 0.9)])

    a_moment_later = [Asked(first, [1, 2, 3], S // 25), Asked(second, [1, 2], 5 * S + S // 25)]

    # The newcomer, and of the others who is unsafe.
    assert choose(a_moment_later, 2) == [[False, False, True], [False, True]]
    assert (first.passed_over, second.passed_over) == (2, 1)


def test_cameras_of_a_batch_are_each_held_to_their_own_age() -> None:
    strict = Spread(threshold=0.5, max_evidence_age_ns=S // 2)
    patient = Spread(threshold=0.5, max_evidence_age_ns=4 * S)
    for spread in (strict, patient):
        spread.learn([_verdict(n) for n in range(4)])
    turns = {strict: 0, patient: 0}
    for n in range(20 * FPS):
        frames = [Asked(spread, list(range(4)), n * S // FPS) for spread in (patient, strict)]
        for asked, rows in zip(frames, choose(frames, 2), strict=True):
            turns[asked.spread] += sum(rows)

    assert turns[strict] > 5 * turns[patient]
    assert strict.overdue == patient.overdue == 0


def test_a_frame_without_time_takes_no_place_from_the_others() -> None:
    asked = [Asked(_spread(1), [1], None), Asked(_spread(1), [1, 2], 0)]

    assert choose(asked, 2) == [[False], [True, True]]
