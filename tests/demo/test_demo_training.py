"""What the demo models learn from and are measured by; numbers worked by hand."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs scripts/setup --export")
accuracy = pytest.importorskip("demo.train.accuracy")
dataset = pytest.importorskip("demo.train.dataset")
recipe = pytest.importorskip("demo.train.recipe")
classifier = pytest.importorskip("demo.train.classifier")
truth = pytest.importorskip("demo.truth")

pytestmark = pytest.mark.export


def person(name: str, *box: float, visible: float = 1.0) -> Any:
    return truth.PersonTruth(name, box, False, visible)


def test_letterbox_puts_the_picture_in_the_middle_between_zeros() -> None:
    padded = dataset.letterbox(np.full((720, 1280, 3), 200, np.uint8))

    # 1280x720 becomes 320x180 in 320x192: 6 rows above, 6 below.
    assert padded.shape == (192, 320, 3)
    assert padded[:6].max() == 0
    assert padded[6:186].min() == 200
    assert padded[186:].max() == 0


def test_network_boxes_are_scaled_moved_by_the_padding_and_hidden_people_left_out() -> None:
    seen, hidden = person("p1", 40, 80, 80, 160), person("p2", 0, 0, 80, 160, visible=0.1)

    boxes = dataset.network_boxes([seen, hidden])

    np.testing.assert_allclose(boxes, [[10, 26, 30, 66]])


def test_a_person_covered_by_another_is_not_judged() -> None:
    near, far = person("p1", 100, 100, 60, 150), person("p2", 120, 100, 60, 150)
    aside = person("p3", 400, 100, 60, 150)

    assert not dataset.is_judged(near, [near, far, aside])
    assert dataset.is_judged(aside, [near, far, aside])


def test_rope_tokens_are_the_patches_that_the_curve_passes() -> None:
    # A crop of 96x192 at its own size: patches of 12 px; a line down column 4 from row 2 to 5.
    curve = np.array([[54.0, 30.0], [54.0, 66.0]])

    tokens = dataset.rope_tokens(curve, (0, 0, 96, 192))

    assert [tuple(map(int, place)) for place in np.argwhere(tokens)] == [
        (2, 4),
        (3, 4),
        (4, 4),
        (5, 4),
    ]


def test_samples_of_a_scene_fit_the_networks() -> None:
    samples = dataset.scene_samples(7, 2, 0.05)

    assert samples.frames.shape == (2, *recipe.DETECTOR_WH_PX[::-1], 3)
    assert samples.crops.shape[1:] == (*recipe.CROP_WH_PX[::-1], 3)
    assert len(samples.crops) == len(samples.unroped) == len(samples.rope_tokens) > 0
    # Only somebody with a rope has a rope in the picture.
    assert not samples.rope_tokens[samples.unroped == 1].any()


def test_classifier_is_small_and_of_the_family_of_the_product() -> None:
    model = classifier.build_roi_classifier(recipe.ARCHITECTURE)

    assert sum(weights.numel() for weights in model.parameters()) <= 1_000_000
    assert recipe.ARCHITECTURE.backbone == "vit_small_patch16_dinov3"


def test_learning_rate_warms_up_and_ends_at_a_hundredth() -> None:
    rates = [classifier.learning_rate(step, 100, 1.0) for step in (0, 4, 99)]

    assert rates[0] == pytest.approx(0.2)
    assert rates[1] == pytest.approx(1.0)
    assert rates[2] == pytest.approx(0.01, abs=0.001)


def test_suppression_keeps_the_better_of_two_boxes_on_one_person() -> None:
    rows = np.array(
        [
            [0, 0, 10, 10, 0.6, 0],
            [1, 0, 11, 10, 0.9, 0],
            [50, 0, 60, 10, 0.5, 0],
            [0, 0, 1, 1, 0, 0],
        ],
        np.float32,
    )

    np.testing.assert_allclose(accuracy.suppressed(rows)[:, 4], [0.9, 0.5])


def test_a_person_is_found_once_and_the_second_box_is_wrong() -> None:
    found = np.array([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 9, 0.8, 0], [40, 0, 50, 10, 0.7, 0]])
    people = np.array([[0, 0, 10, 10], [40, 0, 50, 10]])

    assert accuracy.matched(found, people) == [True, False, True]


def test_classifier_accuracy_counts_unroped_as_positive() -> None:
    scores, unroped = np.array([0.9, 0.8, 0.2, 0.4]), np.array([1, 0, 0, 1])

    figures = accuracy.classifier_accuracy(scores, unroped, threshold=0.5)

    assert (figures.true_positive, figures.false_positive) == (1, 1)
    assert (figures.false_negative, figures.true_negative) == (1, 1)
    assert (figures.precision, figures.recall, figures.f1) == (0.5, 0.5, pytest.approx(0.5))


def test_best_threshold_is_the_one_nearest_to_the_middle_among_equals() -> None:
    scores, unroped = np.array([0.1, 0.32, 0.9]), np.array([0, 0, 1])

    assert accuracy.best_threshold(scores, unroped) == 0.5
