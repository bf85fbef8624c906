"""Ids by boxes alone, and the tracker's YAML; boxes are left, top, width, height."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plugins.standin.nvtracker.association import Detections, StreamTracker, pairwise_iou
from plugins.standin.nvtracker.config import CASCADED, TrackerConfig, load_tracker_config
from ropewatch.errors import ModelError

SHIPPED = Path(__file__).parents[3] / "configs" / "tracker" / "iou.yml"
CONFIG, _ = load_tracker_config(SHIPPED)
LEFT, RIGHT = [0.0, 0.0, 10.0, 20.0], [100.0, 0.0, 10.0, 20.0]


def frame(
    *boxes: list[float], confidences: list[float] | None = None, classes: list[int] | None = None
) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes or [0] * len(boxes), np.int64),
        np.array(confidences or [0.9] * len(boxes), np.float32),
    )


def ids(
    tracker: StreamTracker, found: Detections, *, detected: bool = True
) -> dict[int | None, int]:
    """Object ids by detection index."""
    return {track.detection: track.object_id for track in tracker.update(found, detected=detected)}


def test_the_shipped_tracker_neither_delays_nor_drops_a_person() -> None:
    tracker = StreamTracker(CONFIG)
    crowd = frame(*([float(n), 0.0, 10.0, 20.0] for n in range(200)), confidences=[0.35] * 200)

    assert ids(tracker, crowd) == {n: n for n in range(200)}


def test_ids_stay_with_people_who_move_whatever_the_order() -> None:
    tracker = StreamTracker(CONFIG)

    first = ids(tracker, frame(LEFT, RIGHT))
    second = ids(tracker, frame([102, 1, 10, 20], [2, 0, 10, 20]))

    assert (first, second) == ({0: 0, 1: 1}, {0: 1, 1: 0})


def test_greedy_gives_the_best_pair_first() -> None:
    tracker = StreamTracker(CONFIG)
    ids(tracker, frame([0, 0, 10, 10], [4, 0, 10, 10]))

    # The new box at 3 is nearer to the second; the one at -2 can only be the first.
    assert ids(tracker, frame([3, 0, 10, 10], [-2, 0, 10, 10])) == {0: 1, 1: 0}


def test_a_missed_person_is_not_invented_and_keeps_the_id() -> None:
    tracker = StreamTracker(CONFIG)
    ids(tracker, frame(LEFT))

    missing = [ids(tracker, frame()) for _ in range(CONFIG.max_shadow_age)]

    assert missing == [{}] * CONFIG.max_shadow_age
    assert ids(tracker, frame(LEFT)) == {0: 0}


def test_a_person_missed_for_longer_gets_a_new_id() -> None:
    tracker = StreamTracker(CONFIG)
    ids(tracker, frame(LEFT))

    for _ in range(CONFIG.max_shadow_age + 1):
        ids(tracker, frame())

    assert ids(tracker, frame(LEFT)) == {0: 1}


def test_skipped_frames_report_those_who_were_seen_last_and_age_nobody() -> None:
    tracker = StreamTracker(replace(CONFIG, max_shadow_age=1))
    ids(tracker, frame(LEFT, RIGHT))
    ids(tracker, frame(LEFT))

    for _ in range(5):
        tracks = tracker.update(frame(), detected=False)
        assert [(track.object_id, track.detection) for track in tracks] == [(0, None)]
        assert tracks[0].box_ltwh.tolist() == LEFT

    assert ids(tracker, frame(LEFT, RIGHT)) == {0: 0, 1: 1}


def test_an_estimator_expects_a_walker_further_on() -> None:
    tracker = StreamTracker(replace(CONFIG, estimator=1))
    for left in (0.0, 2.0, 4.0, 6.0, 8.0, 10.0):
        ids(tracker, frame([left, 0, 10, 20]))

    (track,) = tracker.update(frame(), detected=False)

    assert 11.5 < track.box_ltwh[0] <= 12.0


def test_probation_delays_and_early_termination_forgets() -> None:
    tracker = StreamTracker(replace(CONFIG, probation_age=2, early_termination_age=1))

    appearances = [ids(tracker, found) for found in (frame(LEFT), frame(LEFT), frame(LEFT))]
    assert appearances == [{}, {}, {0: 0}]

    ids(tracker, frame(LEFT, RIGHT))
    ids(tracker, frame(LEFT))
    assert ids(tracker, frame(LEFT, RIGHT)) == {0: 0}


def test_low_confidence_full_house_and_near_duplicates_get_no_id() -> None:
    floor = StreamTracker(replace(CONFIG, min_detector_confidence=0.5))
    full = StreamTracker(replace(CONFIG, max_targets=1))
    close = StreamTracker(replace(CONFIG, min_iou_to_discard=0.5))

    assert ids(floor, frame(LEFT, RIGHT, confidences=[0.49, 0.5])) == {1: 0}
    assert ids(full, frame(LEFT, RIGHT)) == {0: 0}
    assert ids(close, frame(LEFT, [1, 0, 10, 20], RIGHT)) == {0: 0, 2: 1}


def test_class_match_is_checked_only_when_asked() -> None:
    strict, loose = StreamTracker(CONFIG), StreamTracker(replace(CONFIG, check_class=False))
    ids(strict, frame(LEFT))
    ids(loose, frame(LEFT))

    assert ids(strict, frame(LEFT, classes=[1])) == {0: 1}
    (track,) = loose.update(frame(LEFT, classes=[1]), detected=True)
    assert (track.object_id, track.class_id) == (0, 0)


def test_cascaded_matching_keeps_known_people_by_weak_detections_and_adds_none() -> None:
    tracker = StreamTracker(replace(CONFIG, matcher=CASCADED, tentative_confidence=0.5))
    ids(tracker, frame(LEFT))

    assert ids(tracker, frame(LEFT, RIGHT, confidences=[0.3, 0.3])) == {0: 0}


def test_unique_ids_have_random_upper_bits_and_count_below() -> None:
    tracker = StreamTracker(replace(CONFIG, unique_ids=True))

    first, second = ids(tracker, frame(LEFT, RIGHT)).values()

    assert first >> 32 == second >> 32
    assert (first & 0xFFFFFFFF, second & 0xFFFFFFFF) == (0, 1)


def test_forgetting_goes_on_with_the_ids() -> None:
    tracker = StreamTracker(CONFIG)
    ids(tracker, frame(LEFT))

    tracker.forget()

    assert ids(tracker, frame(LEFT)) == {0: 1}


def test_iou_of_empty_boxes_is_zero() -> None:
    empty = np.zeros((1, 4), np.float32)

    assert pairwise_iou(empty, empty).tolist() == [[0]]
    assert pairwise_iou(empty[:0], empty).shape == (0, 1)


def test_without_a_file_the_librarys_defaults_hold() -> None:
    assert load_tracker_config(None) == (TrackerConfig(), ())


def test_the_shipped_file_has_no_key_without_effect() -> None:
    assert load_tracker_config(SHIPPED)[1] == ()
    assert (CONFIG.probation_age, CONFIG.unique_ids, CONFIG.check_class) == (0, False, True)


def test_keys_that_need_pixels_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "dcf.yml"
    path.write_text(
        "# a licence\n%YAML:1.0\nVisualTracker:\n  visualTrackerType: 1\n  useHog: 1\n"
        "ReID:\n  reidType: 0\nTargetManagement:\n  probationAge: 3\n"
    )

    config, notes = load_tracker_config(path)

    assert config.probation_age == 3
    assert notes == (
        f"{path}: no effect on the CPU: VisualTracker.visualTrackerType, VisualTracker.useHog",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "TargetManagement:\n  probationAge: -1\n",
            r"TargetManagement\.probationAge: -1, want an integer from 0",
            id="range",
        ),
        pytest.param(
            "DataAssociator:\n  minMatchingScore4Iou: high\n", "high, want a number", id="text"
        ),
        pytest.param("- a\n", "no mapping of sections", id="list"),
        pytest.param("a: [\n", "want YAML", id="broken"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "iou.yml"
    path.write_text(text)

    with pytest.raises(ModelError, match=message):
        load_tracker_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ll-config-file: .*none\.yml"):
        load_tracker_config(tmp_path / "none.yml")
