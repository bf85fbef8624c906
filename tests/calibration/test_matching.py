"""Boxes 10 px high and wide unless said otherwise, so an offset of d px has IoU (10-d)/(10+d)."""

import pytest

from calibration.matching import match_boxes

BOX = [0.0, 0.0, 10.0, 10.0]


def box_at(left: float) -> list[float]:
    return [left, 0.0, 10.0, 10.0]


def test_match_boxes_pairs_one_to_one() -> None:
    assert match_boxes([box_at(100), BOX], [BOX, box_at(101)], iou_min=0.3) == [(0, 1), (1, 0)]


def test_match_boxes_maximises_the_sum_and_not_the_first_pair() -> None:
    # The best single pair is the box at 1 with the truth at 2 (IoU 9/11), but the box at 0 is
    # too far from the truth at 6 (4/16). 8/12 and 5/15 are more together.
    pairs = match_boxes([box_at(0), box_at(1)], [box_at(2), box_at(6)], iou_min=0.3)

    assert pairs == [(0, 0), (1, 1)]


def test_match_boxes_leaves_hopeless_pairs_out() -> None:
    # IoU at 5 px is 1/3, at 6 px 1/4.
    assert match_boxes([BOX], [box_at(5)], iou_min=0.3) == [(0, 0)]
    assert match_boxes([BOX], [box_at(6)], iou_min=0.3) == []


def test_match_boxes_takes_one_of_two_on_the_same_person() -> None:
    assert match_boxes([box_at(3), BOX], [BOX], iou_min=0.3) == [(1, 0)]


@pytest.mark.parametrize(("found", "true"), [([], []), ([BOX], []), ([], [BOX])])
def test_match_boxes_of_an_empty_side_is_empty(
    found: list[list[float]], true: list[list[float]]
) -> None:
    assert match_boxes(found, true, iou_min=0.3) == []


def test_match_boxes_refuses_an_iou_that_pairs_everything() -> None:
    with pytest.raises(ValueError, match="iou_min: 0, want above 0"):
        match_boxes([BOX], [BOX], iou_min=0)
