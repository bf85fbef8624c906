"""nvinfer's geometry and decoding; expected numbers are worked by hand."""

import numpy as np
import pytest

from plugins.standin.nvinfer.attach import fit_region, scale_back
from plugins.standin.nvinfer.config import ClassConfig
from plugins.standin.nvinfer.postprocess import Candidates, above_pre_threshold, suppress
from plugins.standin.nvinfer.preprocess import (
    ConversionError,
    Crop,
    check_crop,
    even_crop,
)
from ropewatch.preprocess import Placement, place

FRAME_WH = (640, 360)
STRETCH = Placement(64, 32, 0, 0, 64 / 640, 32 / 360)


def attrs(**changes: object) -> ClassConfig:
    values: dict[str, object] = {
        "pre_cluster_threshold": 0.2,
        "post_cluster_threshold": 0.0,
        "nms_iou_threshold": 0.3,
        "topk": -1,
        "eps": 0.0,
        "group_threshold": 0,
        "roi_top_offset": 0,
        "roi_bottom_offset": 0,
        "detected_min_w": 0,
        "detected_min_h": 0,
        "detected_max_w": 0,
        "detected_max_h": 0,
        "border_color": (1.0, 0.0, 0.0, 1.0),
        "bg_color": None,
    }
    return ClassConfig(**{**values, **changes})  # type: ignore[arg-type]  # a table of changes


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "crop"),
    [
        pytest.param((101.7, 50.2, 63.9, 120.4), Crop(102, 50, 62, 120), id="worked-example"),
        pytest.param((0, 0, 640, 360), Crop(0, 0, 640, 360), id="whole-frame"),
        pytest.param((1, 3, 5, 7), Crop(2, 4, 4, 6), id="left-top-up-sides-down"),
        pytest.param((1.999, 0.5, 2.9, 3.9), Crop(2, 0, 2, 2), id="truncated-before-rounding"),
    ],
)
def test_even_crop_rounds_left_and_top_up_and_sides_down(
    box: tuple[float, float, float, float], crop: Crop
) -> None:
    assert even_crop(*box) == crop


@pytest.mark.parametrize("box", [(-1, 0, 20, 20), (0, -0.5, 20, 20), (float("nan"), 0, 20, 20)])
def test_even_crop_refuses_what_has_no_value_as_unsigned(
    box: tuple[float, float, float, float],
) -> None:
    with pytest.raises(ConversionError, match="has a negative part"):
        even_crop(*box)


def test_even_crop_refuses_a_side_that_rounds_to_nothing() -> None:
    with pytest.raises(ConversionError, match="rounds to nothing"):
        even_crop(0, 0, 1.9, 20)


def test_place_reproduces_the_worked_example() -> None:
    placed = place((62, 120), (96, 96), keep_aspect=True, symmetric=True)

    assert (placed.width, placed.height) == (49, 96)
    assert (placed.offset_left, placed.offset_top) == (23, 0)
    assert placed.ratio_x == 49 / 62
    assert placed.ratio_y == 0.8
    assert 96 - placed.width - placed.offset_left == 24


def test_place_letterboxes_a_wide_frame_at_the_top_without_symmetric_padding() -> None:
    placed = place((1280, 720), (640, 384), keep_aspect=True, symmetric=False)

    assert placed == Placement(640, 360, 0, 0, 0.5, 0.5)


def test_place_stretches_without_maintain_aspect_ratio() -> None:
    placed = place((100, 50), (32, 64), keep_aspect=False, symmetric=True)

    assert placed == Placement(32, 64, 0, 0, 0.32, 1.28)


@pytest.mark.parametrize(
    "crop",
    [
        pytest.param(Crop(602, 0, 40, 20), id="right"),
        pytest.param(Crop(0, 342, 40, 20), id="bottom"),
    ],
)
def test_check_crop_refuses_a_crop_that_leaves_the_frame(crop: Crop) -> None:
    with pytest.raises(ConversionError, match=r"leaves the 640x360 frame.*error -3"):
        check_crop(crop, STRETCH, FRAME_WH, vic=False)


def test_check_crop_takes_a_crop_that_ends_at_the_frame() -> None:
    check_crop(Crop(600, 340, 40, 20), STRETCH, FRAME_WH, vic=False)


def test_odd_left_and_even_width_at_the_border_end_one_pixel_outside() -> None:
    # 601 + 39 is the frame's width; rounded it is 602 + 38, and 601 + 40 would be 602 + 40.
    check_crop(even_crop(601, 0, 39, 20), STRETCH, FRAME_WH, vic=False)

    with pytest.raises(ConversionError, match="602,0 40x20"):
        check_crop(even_crop(601, 0, 40, 20), STRETCH, FRAME_WH, vic=False)


@pytest.mark.parametrize(
    ("size", "fails"), [pytest.param(24, False, id="16-times"), pytest.param(22, True, id="more")]
)
def test_check_crop_knows_the_limit_of_the_vic(size: int, *, fails: bool) -> None:
    placed = place((size, size), (384, 384), keep_aspect=False, symmetric=False)
    crop = Crop(0, 0, size, size)

    check_crop(crop, placed, FRAME_WH, vic=False)
    if fails:
        with pytest.raises(ConversionError, match="error -2"):
            check_crop(crop, placed, FRAME_WH, vic=True)
    else:
        check_crop(crop, placed, FRAME_WH, vic=True)


def test_suppress_keeps_a_box_whose_iou_equals_the_limit() -> None:
    # 10x10 and 10x10 shifted by 5: overlap 50, union 150, IoU exactly 1/3 in float32.
    pair = boxes([0, 0, 10, 10], [5, 0, 10, 10])
    third = float(np.float32(50) / np.float32(150))
    below = float(np.nextafter(np.float32(third), np.float32(0)))

    assert suppress(pair, third).tolist() == [0, 1]
    assert suppress(pair, below).tolist() == [0]


def test_suppress_compares_with_kept_boxes_only() -> None:
    # B falls to A; C overlaps B alone and stays.
    row = boxes([0, 0, 10, 10], [4, 0, 10, 10], [10, 0, 10, 10])

    assert suppress(row, 0.3).tolist() == [0, 2]


def test_suppress_takes_boxes_without_area_and_none_at_all() -> None:
    assert suppress(boxes([5, 5, 0, 0], [5, 5, 0, 0]), 0.3).tolist() == [0, 1]
    assert suppress(boxes(), 0.3).tolist() == []


def test_pre_threshold_keeps_equality_and_nan_and_drops_unknown_classes() -> None:
    threshold = np.float32(0.35)
    below = np.nextafter(threshold, np.float32(0))
    candidates = Candidates(
        np.array([0, 0, 0, 1]),
        np.zeros((4, 4), np.float32),
        np.array([threshold, below, np.nan, 0.9], np.float32),
    )

    kept = above_pre_threshold(candidates, [attrs(pre_cluster_threshold=0.35)])

    assert kept.tolist() == [True, False, True, False]


def test_scale_back_undoes_letterbox_with_each_axis_own_ratio() -> None:
    placed = Placement(49, 96, 23, 0, 49 / 62, 0.8)

    found = scale_back(boxes([23, 0, 49, 96]), placed)

    np.testing.assert_array_equal(found, boxes([0, 0, 62, 120]))


def test_scale_back_moves_negative_corners_inwards_and_keeps_the_size() -> None:
    found = scale_back(boxes([-4, -2, 20, 10]), Placement(64, 32, 0, 0, 0.5, 0.5))

    np.testing.assert_array_equal(found, boxes([0, 0, 40, 20]))


@pytest.mark.parametrize(
    ("box", "crop", "expected"),
    [
        pytest.param([10, 300, 20, 60], False, [10, 300, 20, 60], id="touching-the-bottom"),
        pytest.param([10, 300, 20, 60.01], False, None, id="a-hundredth-below-is-dropped"),
        pytest.param([10, 300, 20, 70], True, [10, 300, 20, 60], id="or-trimmed"),
        pytest.param([630, 10, 20, 20], False, [630, 10, 20, 20], id="right-edge-stays-outside"),
        pytest.param([630, 10, 20, 20], True, [630, 10, 10, 20], id="or-is-trimmed"),
    ],
)
def test_fit_region_drops_at_the_bottom_or_trims(
    box: list[float], expected: list[float] | None, *, crop: bool
) -> None:
    kept = fit_region(np.array(box, np.float32), attrs(), FRAME_WH, crop=crop)

    assert (None if kept is None else kept.tolist()) == expected


def test_fit_region_raises_the_top_without_shrinking_the_box() -> None:
    region = attrs(roi_top_offset=20, roi_bottom_offset=100)

    kept = fit_region(np.array([0, 10, 8, 30], np.float32), region, FRAME_WH, crop=True)

    assert kept is not None
    assert kept.tolist() == [0, 20, 8, 30]


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        pytest.param({"detected_min_w": 20}, True, id="as-wide-as-the-minimum"),
        pytest.param({"detected_min_w": 21}, False, id="narrower"),
        pytest.param({"detected_max_h": 40}, True, id="as-high-as-the-maximum"),
        pytest.param({"detected_max_h": 39}, False, id="higher"),
    ],
)
def test_fit_region_filters_by_size(changes: dict[str, int], *, kept: bool) -> None:
    box = np.array([0, 0, 20, 40], np.float32)

    assert (fit_region(box, attrs(**changes), FRAME_WH, crop=False) is not None) == kept
