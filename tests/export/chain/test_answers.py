"""Columns compared, and causes found, on numbers worked by hand."""

import math

import numpy as np
import pytest

from ropewatch.manifest import Preprocessing

answers = pytest.importorskip("export.chain.answers", reason="needs scripts/setup --export")
causes = pytest.importorskip("export.chain.causes")

pytestmark = pytest.mark.export
TOLERANCE = answers.Tolerance(box_px=1.0, confidence=0.02, probability=0.02)
EXPORTED = Preprocessing(
    net_scale_factor=1 / 255,
    offsets=(10, 20, 30),
    model_color_format="RGB",
    maintain_aspect_ratio=True,
    symmetric_padding=True,
    scaling_filter=1,
)


def _column(key: str, *persons: object) -> object:
    return answers.Column(key, key, "", {"a.png": list(persons)})


def _person(left: float, confidence: float = 0.9, probability: float | None = 0.5) -> object:
    return answers.Person((left, 0.0, left + 20, 40.0), confidence, probability)


def test_compare_takes_the_largest_difference_of_the_same_persons() -> None:
    one = _column("onnx", _person(0), _person(100), _person(200))
    other = _column("graph", _person(100.5, 0.88, 0.4), _person(0), _person(400))

    found = answers.compare(one, other, TOLERANCE)

    assert (found.matched, found.missed, found.extra) == (2, 1, 1)
    assert found.box_px == pytest.approx(0.5)
    assert found.confidence == pytest.approx(0.02)
    assert found.probability == pytest.approx(0.1)
    assert not found.same_persons
    assert not found.same_verdicts


def test_compare_of_nobody_agrees() -> None:
    found = answers.compare(_column("onnx"), _column("graph"), TOLERANCE)

    assert (found.matched, found.box_px, found.agree) == (0, None, True)


def test_compare_does_not_agree_when_one_column_did_not_judge() -> None:
    one, other = _column("onnx", _person(0)), _column("graph", _person(0, probability=None))

    assert answers.compare(one, other, TOLERANCE).probability == 1.0


def test_compare_does_not_agree_about_a_number_that_is_none() -> None:
    one, other = _column("onnx", _person(0)), _column("graph", _person(0, probability=math.nan))

    assert not answers.compare(one, other, TOLERANCE).agree


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        ("model-color-format=1", {"model_color_format": "BGR"}),
        ("maintain-aspect-ratio=0", {"maintain_aspect_ratio": False}),
        ("symmetric-padding=0", {"symmetric_padding": False}),
        ("scaling-filter=0", {"scaling_filter": 0}),
        ("net-scale-factor=1", {"net_scale_factor": 1.0}),
        ("offsets were absent", {"offsets": (0.0, 0.0, 0.0)}),
    ],
)
def test_cause_is_the_setting_under_which_the_answers_are_the_same(
    setting: str, change: dict[str, object]
) -> None:
    graph = EXPORTED.model_copy(update=change)

    found = causes.find_cause("c.txt", EXPORTED, lambda how: 0.0 if how == graph else 1.0)

    assert found.setting == setting
    assert found.sentence().startswith(f"c.txt: the graph answers as if {setting} (distance 0,")


def test_cause_may_leave_some_of_what_every_other_setting_leaves_whole() -> None:
    """Without a scale factor a network saturates, and rounding decides what `topk` keeps."""
    graph = EXPORTED.model_copy(update={"net_scale_factor": 1.0})

    found = causes.find_cause("c.txt", EXPORTED, lambda how: 0.4 if how == graph else 1.0)

    assert found.setting == "net-scale-factor=1"


def test_cause_is_unknown_when_no_setting_explains_more_than_the_next() -> None:
    found = causes.find_cause("c.txt", EXPORTED, lambda how: 1.0 if how == EXPORTED else 0.4)

    assert found.setting is None
    assert "no single preprocessing setting explains the difference" in found.sentence()


def test_persons_apart_counts_who_is_alone_and_how_far_the_others_are() -> None:
    one, other = [_person(0), _person(100)], [_person(0, 0.8), _person(300)]

    # One on each side without the other, and 0.1 of confidence.
    assert causes.persons_apart(one, other) == pytest.approx(2.1)
    assert causes.persons_apart([], []) == 0
    assert np.isclose(causes.persons_apart(one, one), 0)
