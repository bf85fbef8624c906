"""One person's decision; times are nanoseconds, thresholds worked by hand."""

import pytest

from ropewatch.decision import PersonDecision, RopeState, Rule
from ropewatch.judging import DecisionSettings
from ropewatch.settings import AlertWhen
from tests.core.builders import S


def _decision(alert_when: str = "at_or_above", **settings: float) -> PersonDecision:
    values = {"threshold": 0.5, "open_after_s": 0.5, "close_after_s": 2.0, **settings}
    return PersonDecision(Rule.of(DecisionSettings.model_validate(values), AlertWhen(alert_when)))


def _take(decision: PersonDecision, *scores: tuple[float, float]) -> list[bool]:
    """Feed (time in seconds, smoothed score) and say after each whether an incident is open."""
    opened = []
    for ts_s, smoothed in scores:
        decision.take(smoothed, smoothed, round(ts_s * S))
        opened.append(decision.unsafe)
    return opened


def test_incident_opens_exactly_when_open_after_is_reached() -> None:
    opened = _take(_decision(), (0, 0.5), (0.25, 0.9), (0.499, 0.9), (0.5, 0.9))

    assert opened == [False, False, False, True]


def test_one_score_off_the_alert_side_starts_the_sum_over() -> None:
    opened = _take(
        _decision(), (0, 0.9), (0.4, 0.9), (0.45, 0.4), (0.5, 0.9), (0.9, 0.9), (1, 0.9)
    )

    assert opened == [False, False, False, False, False, True]


def test_incident_closes_exactly_when_close_after_is_reached() -> None:
    decision = _decision(open_after_s=0)

    opened = _take(decision, (0, 0.9), (1, 0.1), (2, 0.1), (2.9, 0.1), (3, 0.1))

    assert opened == [True, True, True, True, False]
    assert decision.state(3 * S) is RopeState.SAFE


def test_alert_side_time_is_kept_over_a_gap_of_which_the_evidence_age_counts() -> None:
    # 0.3 s before the gap of 5 s, 1 s of the gap, 0.2 s after it.
    opened = _take(
        _decision(open_after_s=1.5), (0, 0.9), (0.3, 0.9), (5.3, 0.9), (5.4, 0.9), (5.5, 0.9)
    )

    assert opened == [False, False, False, False, True]


@pytest.mark.parametrize("gap_s", [1.0, 1.04, 2.0, 60.0])
@pytest.mark.parametrize("smoothed", [0.5, 0.99])
def test_slow_alert_side_scores_open_an_incident_once_they_stood_for_open_after(
    gap_s: float, smoothed: float
) -> None:
    decision = _decision(open_after_s=2)

    opened = _take(decision, *((gap_s * n, smoothed) for n in range(4)))

    assert opened == [False, False, True, True]
    assert decision.state(round(3 * gap_s * S)) is RopeState.UNSAFE


def test_slow_release_side_scores_never_end_an_incident() -> None:
    decision = _decision(open_after_s=0)

    assert all(_take(decision, (0, 0.9), *((1.04 * n, 0.1) for n in range(1, 600))))


def test_slow_score_off_the_alert_side_starts_the_sum_over() -> None:
    opened = _take(_decision(open_after_s=2), (0, 0.9), (2, 0.9), (4, 0.1), (6, 0.9), (8, 0.9))

    assert not any(opened)


def test_release_side_time_starts_over_after_an_unknown_stretch() -> None:
    decision = _decision(open_after_s=0)

    opened = _take(
        decision,
        (0, 0.9),
        (1, 0.1),
        (2, 0.1),
        (2.9, 0.1),
        (5, 0.1),
        (6, 0.1),
        (6.9, 0.1),
        (7, 0.1),
    )

    assert opened == [True] * 7 + [False]


def test_spikes_that_a_score_off_the_alert_side_separates_never_add_up() -> None:
    scores = ((10.0 * n, 1.0 if n % 2 else 0.0) for n in range(50))

    assert not any(_take(_decision(), *scores))


def test_score_between_release_and_threshold_keeps_the_state_and_feeds_neither_side() -> None:
    decision = _decision(open_after_s=0, close_after_s=1, release_below=0.3)

    opened = _take(decision, (0, 0.5), (0.5, 0.2), (1, 0.4), (1.4, 0.2), (2.3, 0.2), (2.4, 0.29))

    assert opened == [True, True, True, True, True, False]


def test_below_polarity_is_the_mirror_image() -> None:
    decision = _decision("below", open_after_s=0, close_after_s=0, release_at_or_above=0.7)

    opened = _take(decision, (0, 0.5), (1, 0.49), (1.5, 0.69), (2, 0.7))

    assert opened == [False, True, True, False]


@pytest.mark.parametrize(("score", "state"), [(0.4, RopeState.SAFE), (0.6, RopeState.UNKNOWN)])
def test_first_score_settles_safe_at_once_but_leaves_a_doubtful_person_unknown(
    score: float, state: RopeState
) -> None:
    decision = _decision()
    assert decision.state(0) is RopeState.UNKNOWN

    _take(decision, (0, score))

    assert decision.state(0) is state


def test_safe_person_stays_safe_until_the_alert_has_lasted() -> None:
    decision = _decision()

    _take(decision, (0, 0.1), (0.1, 0.9))

    assert decision.state(round(0.1 * S)) is RopeState.SAFE


def test_verdict_older_than_the_maximum_is_unknown_and_its_incident_stays_open() -> None:
    decision = _decision(open_after_s=0)
    _take(decision, (0, 0.9))

    assert decision.state(1 * S) is RopeState.UNSAFE
    assert decision.state(1 * S + 1) is RopeState.UNKNOWN
    assert decision.unsafe


def test_samples_count_from_the_first_alert_side_score_of_the_stretch() -> None:
    decision = _decision()

    _take(decision, (0, 0.1), (0.1, 0.9), (0.2, 0.1), (0.3, 0.9), (0.6, 0.9), (0.9, 0.9))

    assert decision.samples == 3
