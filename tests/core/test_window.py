"""The window strategy: the same scene at any frame rate gives the same incidents."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.incidents import Phase
from ropewatch.monitor import SourceMonitor
from ropewatch.smoothing import WindowSmoother
from tests.core.builders import S, frame, new_ids, seen, site

RATES_FPS = (5, 10, 15, 30)
WINDOW_S = 0.5
HERE = (100.0, 100.0, 150.0, 200.0)


def _events(
    turns_s: list[float], fps: float, phase_s: float, **decision: Any
) -> list[tuple[Phase, float]]:
    """One person who is safe first and changes at each turn, seen at a frame rate.

    Returns phase and stream time in seconds of each event of incidents.
    """
    chosen = {"strategy": "window", "window_s": WINDOW_S}
    monitor = SourceMonitor(
        "cam1", site(smoothing=chosen, update_every_s=0, **decision), new_ids()
    )
    events = []
    for n in range(int((turns_s[-1] + 4) * fps)):
        ts_s = phase_s + n / fps
        changes = sum(turn_s <= ts_s for turn_s in turns_s)
        result = monitor.update(frame(ts_s, [seen(0.9 if changes % 2 else 0.1)]))
        events += [(event.phase, event.pts_ns / S) for event in result.events]
    return events


scenes = st.lists(st.floats(3.5, 6.0), min_size=1, max_size=3).map(
    lambda stays_s: np.cumsum(stays_s).tolist()
)


@pytest.mark.parametrize("fps", RATES_FPS)
@given(turns_s=scenes, phase_share=st.floats(0, 0.99))
@settings(max_examples=12)
def test_incidents_come_within_one_frame_interval_of_when_they_come_without_frames(
    fps: int, turns_s: list[float], phase_share: float
) -> None:
    """Without frames the median turns half a window after the scene.

    open_after_s and close_after_s are whole frame intervals here; any others are met by the
    first frame after them.
    """
    events = _events(turns_s, fps, phase_share / fps, open_after_s=0.6, close_after_s=2.0)

    waits_s = [0.6 if n % 2 == 0 else 2.0 for n in range(len(turns_s))]
    ideal_s = [turn + WINDOW_S / 2 + wait for turn, wait in zip(turns_s, waits_s, strict=True)]
    assert [phase for phase, _ in events] == [
        Phase.START if n % 2 == 0 else Phase.END for n in range(len(turns_s))
    ]
    for (_, got_s), want_s in zip(events, ideal_s, strict=True):
        assert abs(got_s - want_s) <= 1 / fps + 1e-6


@given(turns_s=scenes)
@settings(max_examples=12)
def test_rates_agree_within_one_interval_of_the_slower_with_the_default_times(
    turns_s: list[float],
) -> None:
    """0.5 s is no whole number of frames at 5 and 15 fps, and is met by the frame after it."""
    of_rate = {fps: _events(turns_s, fps, 0.0) for fps in RATES_FPS}

    for slow in RATES_FPS:
        for fast in (fps for fps in RATES_FPS if fps > slow):
            rounding_s = max(math.ceil(0.5 * fps) / fps - 0.5 for fps in (slow, fast))
            assert len(of_rate[slow]) == len(of_rate[fast])
            for (one, one_s), (other, other_s) in zip(of_rate[slow], of_rate[fast], strict=True):
                assert one is other
                assert abs(one_s - other_s) <= 1 / slow + rounding_s + 1e-6


def test_reference_strategy_depends_on_the_frame_rate() -> None:
    """What the window strategy is for: 7 scores are 0.23 s at 30 fps and all of 0.5 s at 10."""
    starts_s = {}
    for fps in (10, 30):
        monitor = SourceMonitor("cam1", site(smoothing={}), new_ids())
        for n in range(10 * fps):
            result = monitor.update(frame(n / fps, [seen(0.9 if n >= 3 * fps else 0.1)]))
            for event in result.events:
                starts_s[fps] = event.pts_ns / S

    assert starts_s[10] - starts_s[30] > 0.1


def test_score_weighs_the_time_since_the_one_before_it() -> None:
    smoother = WindowSmoother()
    for ts_s, score in ((0.0, 0.1), (0.1, 0.9), (0.15, 0.9)):
        smoother.smooth([HERE], [score], ts_s)

    # In (0.1, 0.6]: 0.9 for 0.05 s, 0.2 for 0.45 s.
    assert smoother.smooth([HERE], [0.2], 0.6).tolist() == [0.2]


def test_equal_weights_give_the_mean_of_the_middle_two() -> None:
    smoother = WindowSmoother()
    smoother.smooth([HERE], [0.1], 0.0)

    assert smoother.smooth([HERE], [0.9], 0.1).tolist() == [0.5]


def test_score_older_than_the_window_does_not_count() -> None:
    smoother = WindowSmoother()
    for n in range(5):
        smoother.smooth([HERE], [0.9], 0.1 * n)

    assert smoother.smooth([HERE], [0.1], 0.95).tolist() == [0.1]


def test_first_score_stands_for_itself() -> None:
    assert WindowSmoother().smooth([HERE], [0.7], 4.0).tolist() == [0.7]


def test_two_scores_of_one_moment_both_count_for_nothing_but_the_second() -> None:
    smoother = WindowSmoother()
    smoother.smooth([HERE], [0.2], 0.0)
    smoother.smooth([HERE], [0.2], 0.4)

    assert smoother.smooth([HERE], [0.9], 0.4).tolist() == [0.2]


def test_window_follows_an_id_whose_box_jumped() -> None:
    smoother = WindowSmoother()
    far = (600.0, 100.0, 650.0, 200.0)
    for n in range(4):
        smoother.smooth([HERE, far], [0.0, 1.0], 0.1 * n, [7, 8])

    assert smoother.smooth([HERE, far], [1.0, 0.0], 0.4, [8, 7]).tolist() == [1.0, 0.0]


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=20),
    more=st.integers(2, 5),
)
def test_each_score_repeated_at_a_multiple_of_the_rate_changes_no_median(
    scores: list[float], more: int
) -> None:
    """Of frames that both rates have, once the first has passed."""
    slow, fast = WindowSmoother(), WindowSmoother()
    for n, score in enumerate(scores):
        for part in range(1, more + 1):
            ts_s = 0.125 * (n + (part - more) / more)
            quick = fast.smooth([HERE], [score], ts_s)[0]
        assert quick == pytest.approx(slow.smooth([HERE], [score], 0.125 * n)[0])
