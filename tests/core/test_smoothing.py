"""Boxes are left, top, right, bottom in pixels, times seconds."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch import smoothing
from ropewatch.judging import SmoothingSettings
from ropewatch.smoothing import MedianSmoother, TrackSmoother, make_smoother
from tests.core.reference_smoother import Box, ReferenceSmoother

HERE: Box = (100, 100, 150, 200)
THERE: Box = (600, 100, 650, 200)
Step = tuple[list[Box], list[float], float]


def _random_box(rng: random.Random) -> Box:
    """Few enough positions that boxes repeat (ties) and lie near the match limit."""
    left, top = rng.choice((0, 0, 1, 2, 5, 40)), rng.choice((0, 1, 3))
    width, height = rng.choice((0, 10, 10, 11, 20)), rng.choice((10, 10, 12, 30))
    jitter = rng.choice((0.0, 0.0, rng.uniform(-1, 1)))
    return (left + jitter, top, left + width + jitter, top + height)


def _random_sequence(rng: random.Random) -> list[Step]:
    steps: list[Step] = []
    ts_s = rng.choice((0.0, 1e6, 1.7e9))
    for _ in range(rng.randint(1, 14)):
        ts_s += rng.choice((0.0, 0.04, 0.1, 0.1, 0.25, 0.5, 1.0, -0.1, -0.7, rng.uniform(-0.3, 1)))
        people = rng.choice((0, 1, 1, 2, 4))
        boxes = [_random_box(rng) for _ in range(people)]
        steps.append((boxes, [rng.choice((0.0, 0.5, 1.0, rng.random())) for _ in boxes], ts_s))
    return steps


def _as_array(boxes: list[Box]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def test_smoother_equals_the_reference_to_the_last_bit_on_10000_random_sequences() -> None:
    rng = random.Random(20261121)

    for sequence in range(10_000):
        sizes = (rng.choice((0.5, 0.5, 0.2)), rng.choice((0.7, 0.7, 0.0, 1.0)))
        newest = rng.choice((7, 7, 1, 2, 4))
        ours, reference = MedianSmoother(*sizes, newest), ReferenceSmoother(*sizes, newest)
        for boxes, raw, ts_s in _random_sequence(rng):
            got = ours.smooth(_as_array(boxes), np.array(raw), ts_s)
            want = reference.smooth(boxes, raw, ts_s)
            assert got.dtype == np.float64
            assert got.tolist() == want, f"sequence {sequence} at {ts_s}"


def _smoothed(smoother: MedianSmoother, steps: list[Step], *, few_pairs: int) -> list[list[float]]:
    """Smooth a sequence one pair after the other, or as arrays with `few_pairs` 0."""
    # Few numbers, so that some come back and some are missing.
    ids = [
        [None if p == 0.5 else int(box[0]) % 3 for box, p in zip(boxes, raw, strict=True)]
        for boxes, raw, _ in steps
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoothing, "FEW_PAIRS", few_pairs)
        return [
            smoother.smooth(_as_array(boxes), raw, ts_s, of_step).tolist()
            for (boxes, raw, ts_s), of_step in zip(steps, ids, strict=True)
        ]


@pytest.mark.parametrize("few_pairs", [0, 10**9])
def test_smoother_equals_the_reference_as_arrays_and_one_by_one(few_pairs: int) -> None:
    rng = random.Random(20261128)

    for sequence in range(2_000):
        sizes = (rng.choice((0.5, 0.2)), rng.choice((0.7, 0.0, 1.0)), rng.choice((7, 1, 2, 4)))
        steps = _random_sequence(rng)
        reference = ReferenceSmoother(*sizes)
        want = [reference.smooth(*step) for step in steps]
        got = _smoothed(MedianSmoother(*sizes), steps, few_pairs=few_pairs)
        assert got == want, f"sequence {sequence}"


_sides = st.one_of(st.integers(0, 12).map(float), st.floats(-10, 500), st.floats(-1e30, 1e30))
_people = st.lists(
    st.tuples(
        st.tuples(_sides, _sides, _sides, _sides),
        st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)),
    ),
    max_size=9,
)
_steps = st.lists(st.tuples(_people, st.sampled_from([0.0, 0.04, 0.1, 0.3, -0.1])), max_size=12)


@given(
    steps=_steps,
    sizes=st.tuples(
        st.sampled_from([0.2, 0.5]), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(1, 8)
    ),
    kind=st.sampled_from([MedianSmoother, TrackSmoother]),
)
@settings(max_examples=300)
def test_people_one_by_one_come_to_what_the_arrays_come_to_to_the_last_bit(
    steps: list[tuple[list[tuple[Box, float]], float]],
    sizes: tuple[float, float, int],
    kind: type[MedianSmoother],
) -> None:
    ts_s, sequence = 0.0, []
    for people, later_s in steps:
        ts_s += later_s
        sequence.append(([box for box, _ in people], [raw for _, raw in people], ts_s))

    one_by_one = _smoothed(kind(*sizes), sequence, few_pairs=10**9)

    assert one_by_one == _smoothed(kind(*sizes), sequence, few_pairs=0)


def test_smoother_takes_the_mean_of_the_middle_two_of_an_even_count() -> None:
    smoother = MedianSmoother()
    for ts_s, raw in ((0.0, 0.1), (0.1, 0.9), (0.2, 0.3)):
        smoother.smooth([HERE], [raw], ts_s)

    smoothed = smoother.smooth([HERE], [0.5], 0.3)

    assert smoothed.tolist() == [(0.3 + 0.5) / 2]


def test_smoother_counts_a_frame_exactly_one_window_old() -> None:
    smoother = MedianSmoother()
    smoother.smooth([HERE], [0.0], 1.0)

    assert smoother.smooth([HERE], [1.0], 1.5).tolist() == [0.5]
    assert MedianSmoother().smooth([HERE], [1.0], 1.5).tolist() == [1.0]


def test_smoother_lets_the_first_of_equal_boxes_win() -> None:
    smoother = MedianSmoother()
    smoother.smooth([HERE, HERE], [0.2, 0.8], 0.0)

    assert smoother.smooth([HERE], [0.2], 0.1).tolist() == [0.2]


def test_smoother_can_lose_the_current_value_among_equal_time_stamps() -> None:
    smoother = MedianSmoother(newest=2)
    smoother.smooth([HERE], [0.1], 1.0)
    smoother.smooth([HERE], [0.3], 1.0)

    assert smoother.smooth([HERE], [0.9], 1.0).tolist() == [0.2]


def test_smoother_keeps_raw_values_so_a_spike_leaves_no_echo() -> None:
    smoother = MedianSmoother(newest=3)
    raw = [0.1, 0.1, 0.9, 0.1, 0.1]

    smoothed = [smoother.smooth([HERE], [p], 0.1 * i)[0] for i, p in enumerate(raw)]

    assert smoothed == [0.1] * 5


def test_smoother_of_nobody_is_empty() -> None:
    smoother = MedianSmoother()
    smoother.smooth([HERE], [0.5], 0.0)

    assert smoother.smooth(np.zeros((0, 4)), np.zeros(0), 0.1).shape == (0,)
    assert smoother.smooth([], [], 0.2).shape == (0,)


def test_smoother_copies_what_it_remembers() -> None:
    smoother = MedianSmoother()
    boxes, raw = np.array([HERE]), np.array([0.2])
    smoother.smooth(boxes, raw, 0.0)

    boxes[:], raw[:] = THERE, 0.9

    assert smoother.smooth([HERE], [0.4], 0.1).tolist() == [pytest.approx(0.3)]


def test_smoother_forgets_on_reset() -> None:
    smoother = MedianSmoother()
    smoother.smooth([HERE], [0.0], 0.0)

    smoother.reset()

    assert smoother.smooth([HERE], [1.0], 0.1).tolist() == [1.0]


def test_track_smoother_follows_an_id_whose_box_jumped() -> None:
    smoother = TrackSmoother()
    smoother.smooth([HERE, THERE], [0.0, 1.0], 0.0, [7, 8])

    smoothed = smoother.smooth([HERE, THERE], [1.0, 0.0], 0.1, [8, 7])

    assert smoothed.tolist() == [1.0, 0.0]


def test_track_smoother_does_not_mix_two_ids_on_one_box() -> None:
    smoother = TrackSmoother()
    smoother.smooth([HERE], [0.0], 0.0, [7])

    assert smoother.smooth([HERE], [1.0], 0.1, [8]).tolist() == [1.0]


@pytest.mark.parametrize(("past", "now"), [(None, 7), (7, None), (None, None)])
def test_track_smoother_falls_back_to_iou_without_both_ids(
    past: int | None, now: int | None
) -> None:
    smoother = TrackSmoother()
    smoother.smooth([HERE], [0.0], 0.0, [past])

    assert smoother.smooth([HERE], [1.0], 0.1, [now]).tolist() == [0.5]


def test_track_smoother_tells_apart_ids_beyond_float_precision() -> None:
    smoother = TrackSmoother()
    smoother.smooth([HERE], [0.0], 0.0, [2**63])

    assert smoother.smooth([HERE], [1.0], 0.1, [2**63 + 1]).tolist() == [1.0]


def test_track_smoother_without_ids_is_the_reference() -> None:
    rng = random.Random(5)
    for _ in range(200):
        track, reference = TrackSmoother(), MedianSmoother()
        for boxes, raw, ts_s in _random_sequence(rng):
            got = track.smooth(_as_array(boxes), raw, ts_s, [None] * len(boxes))
            assert got.tolist() == reference.smooth(_as_array(boxes), raw, ts_s).tolist()


@pytest.mark.parametrize(
    ("strategy", "kind"), [("reference", MedianSmoother), ("track", TrackSmoother)]
)
def test_make_smoother_makes_what_the_site_names(strategy: str, kind: type) -> None:
    settings = SmoothingSettings.model_validate({"strategy": strategy})

    assert type(make_smoother(settings)) is kind


@pytest.mark.parametrize(
    ("boxes", "raw", "ids", "message"),
    [
        ([1, 2, 3, 4], [0.5], None, r"boxes_xyxy_px: shape \(4,\), want \(N, 4\)"),
        ([HERE], [0.5, 0.6], None, r"probabilities: shape \(2,\), want \(1,\)"),
        ([HERE], [0.5], [1, 2], r"object_ids: 2 ids, want 1"),
        ([HERE], [float("nan")], None, r"want finite numbers"),
    ],
)
def test_smoother_names_what_does_not_fit(
    boxes: list[Box], raw: list[float], ids: list[int | None] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MedianSmoother().smooth(boxes, raw, 0.0, ids)
