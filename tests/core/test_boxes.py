"""Expected numbers are worked by hand; `nvinfer_rounds` is the arithmetic of nvinfer's crop."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.boxes import (
    crop_boxes,
    crop_list,
    iou,
    iou_matrix,
    ltwh_to_xyxy,
    shorter_side_px,
)
from ropewatch.settings import ExpansionSettings

FRAME_WH_PX = (1280, 720)
NETWORK_WH_PX = (224, 224)
AS_IS = ExpansionSettings(x_each_side=0, y_top=0, y_bottom=0)
numbers = st.one_of(
    st.floats(-200, 2000),
    st.integers(-40, 1400).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1279.5, 1280.0, 719.99, 1e-300, 1e300, -1e300]),
)
boxes_of_any_kind = st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=6)
even_sides = st.integers(32, 2000).map(lambda half: 2 * half)
shares = st.floats(0, 10)


def nvinfer_rounds(crop: np.ndarray) -> list[int]:
    left, top, width, height = (int(x) for x in crop)
    return [(left + 1) & ~1, (top + 1) & ~1, width & ~1, height & ~1]


def _crop(box: tuple[float, ...], expansion: ExpansionSettings = AS_IS) -> list[float]:
    crops = crop_boxes(
        [box], expansion=expansion, frame_wh_px=FRAME_WH_PX, network_wh_px=NETWORK_WH_PX
    )
    return [float(number) for number in crops[0]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((100, 50, 40, 60), [100, 50, 40, 60], id="even-inside-stays"),
        pytest.param((101, 51, 41, 61), [102, 52, 40, 60], id="odd-shrinks-inward"),
        pytest.param((100.5, 50.5, 40, 60), [102, 52, 38, 58], id="fractions-shrink-inward"),
        pytest.param((640, 300, 1, 1), [632, 292, 16, 16], id="one-pixel-becomes-sixteen"),
        pytest.param((640, 300, 15, 15), [638, 298, 16, 16], id="fifteen-becomes-sixteen"),
        pytest.param((-30, -30, 32, 32), [0, 0, 16, 16], id="corner-top-left-shifts-in"),
        pytest.param((1279, 719, 50, 50), [1264, 704, 16, 16], id="corner-bottom-right-shifts-in"),
        pytest.param((0, 0, 1280, 720), [0, 0, 1280, 720], id="whole-frame"),
        pytest.param((5000, 300, 20, 20), [1264, 300, 16, 20], id="outside-gets-nearest"),
        pytest.param(
            (1201, 100, 79.5, 60), [1202, 100, 78, 60], id="beyond-right-by-half-a-pixel"
        ),
        pytest.param((math.nan, 10, 20, 20), [0, 10, 20, 20], id="nan-counts-as-zero"),
    ],
)
def test_crop_boxes_worked_by_hand(box: tuple[float, ...], expected: list[float]) -> None:
    assert _crop(box) == expected


def test_crop_boxes_grow_by_the_models_shares_before_clipping() -> None:
    # x: 600 - 40 = 560, width 3 x 40 = 120; y: 200 - 20 = 180, height 2.7 x 100 = 270.
    assert _crop((600, 200, 40, 100), ExpansionSettings()) == [560, 180, 120, 270]


def test_crop_boxes_keep_within_sixteenfold_scale() -> None:
    wide = crop_boxes(
        [(0, 0, 4000, 2000), (1000, 1000, 20, 20)],
        expansion=AS_IS,
        frame_wh_px=(7680, 4320),
        network_wh_px=(224, 640),
    )

    # 16 x 224 = 3584 about the centre 2000; 640 / 16 = 40 about the centre 1010.
    assert wide.tolist() == [[208, 0, 3584, 2000], [1000, 990, 20, 40]]


def test_crop_boxes_without_scale_limit_keep_sixteen_pixels_only() -> None:
    free = crop_boxes(
        [(0, 0, 4000, 2000), (1000, 1000, 20, 2)],
        expansion=AS_IS,
        frame_wh_px=(7680, 4320),
        network_wh_px=(224, 640),
        limit_scale=False,
    )

    assert free.tolist() == [[0, 0, 4000, 2000], [1000, 992, 20, 16]]


@given(
    boxes=boxes_of_any_kind,
    frame=st.tuples(even_sides, even_sides),
    network=st.tuples(st.integers(1, 1024), st.integers(1, 1024)),
    grow=st.tuples(shares, shares, shares),
    limit_scale=st.booleans(),
)
@settings(max_examples=400)
def test_crop_boxes_are_even_inside_and_unchanged_by_nvinfer(
    boxes: list[tuple[float, float, float, float]],
    frame: tuple[int, int],
    network: tuple[int, int],
    grow: tuple[float, float, float],
    limit_scale: bool,
) -> None:
    expansion = ExpansionSettings(x_each_side=grow[0], y_top=grow[1], y_bottom=grow[2])

    crops = crop_boxes(
        np.array(boxes).reshape(-1, 4),
        expansion=expansion,
        frame_wh_px=frame,
        network_wh_px=network,
        limit_scale=limit_scale,
    )

    assert crops.shape == (len(boxes), 4)
    assert crops.dtype == np.float32
    for crop in crops:
        left, top, width, height = crop.tolist()
        assert nvinfer_rounds(crop) == [left, top, width, height]
        assert 0 <= left <= frame[0] - width
        assert 0 <= top <= frame[1] - height
        for side, of_network in zip((width, height), network, strict=True):
            assert side >= 16
            assert not limit_scale or of_network / 16 <= side <= 16 * of_network


def _crops_as_arrays(
    boxes: np.ndarray,
    expansion: ExpansionSettings,
    frame: tuple[int, int],
    network: tuple[int, int],
    *,
    limit_scale: bool,
) -> np.ndarray:
    """The crop geometry once more, all people at a time."""
    sides, least = np.array(frame) // 2 * 2, np.full(2, 16.0)
    most = sides.astype(np.float64)
    if limit_scale:
        least = np.maximum(least, np.ceil(np.array(network) / 16 / 2) * 2)
        most = np.minimum(most, np.array(network) * 16)
    before = np.array([expansion.x_each_side, expansion.y_top])
    whole = np.array([1 + 2 * expansion.x_each_side, 1 + expansion.y_top + expansion.y_bottom])
    clipped = np.nan_to_num(np.clip(boxes, [-1e9, -1e9, 0, 0], 1e9))
    size = clipped[:, 2:]
    grown = clipped[:, :2] - before * size
    near = np.ceil(np.clip(grown, 0, sides) / 2) * 2
    far = np.floor(np.clip(grown + whole * size, 0, sides) / 2) * 2
    side = np.clip(far - near, least, most)
    start = np.clip(np.floor((near + far - side) / 4) * 2, 0, sides - side)
    return np.concatenate([start, side], axis=1)


@given(
    boxes=st.lists(
        st.tuples(*[st.one_of(numbers, st.sampled_from([math.nan, math.inf, -math.inf]))] * 4),
        max_size=6,
    ),
    frame=st.tuples(st.integers(64, 4000), st.integers(64, 4000)),
    network=st.tuples(st.integers(1, 1024), st.integers(1, 1024)),
    grow=st.tuples(shares, shares, shares),
    limit_scale=st.booleans(),
)
@settings(max_examples=400)
def test_crops_one_by_one_are_those_of_arrays_to_the_last_bit(
    boxes: list[tuple[float, float, float, float]],
    frame: tuple[int, int],
    network: tuple[int, int],
    grow: tuple[float, float, float],
    limit_scale: bool,
) -> None:
    expansion = ExpansionSettings(x_each_side=grow[0], y_top=grow[1], y_bottom=grow[2])

    crops = crop_list(
        boxes,
        expansion=expansion,
        frame_wh_px=frame,
        network_wh_px=network,
        limit_scale=limit_scale,
    )

    rows = np.reshape(np.array(boxes, np.float64), (-1, 4))
    arrays = _crops_as_arrays(rows, expansion, frame, network, limit_scale=limit_scale)
    np.testing.assert_array_equal(np.reshape(crops, (-1, 4)), arrays)


@given(boxes=boxes_of_any_kind)
def test_crop_boxes_of_a_legal_crop_are_itself(
    boxes: list[tuple[float, float, float, float]],
) -> None:
    once = crop_boxes(
        np.array(boxes).reshape(-1, 4),
        expansion=ExpansionSettings(),
        frame_wh_px=FRAME_WH_PX,
        network_wh_px=NETWORK_WH_PX,
    )

    again = crop_boxes(once, expansion=AS_IS, frame_wh_px=FRAME_WH_PX, network_wh_px=NETWORK_WH_PX)

    assert again.tolist() == once.tolist()


def test_crop_boxes_refuse_a_frame_smaller_than_the_smallest_crop() -> None:
    # 2048 / 16 = 128 px, and the frame is 64 high.
    with pytest.raises(ValueError, match=r"frame_wh_px: \(640, 64\), want at least \(128, 128\)"):
        crop_boxes([], expansion=AS_IS, frame_wh_px=(640, 64), network_wh_px=(2048, 2048))


def test_crop_boxes_may_be_told_a_larger_person_than_the_frame() -> None:
    crop = _crop((10, 20, 40, 100), ExpansionSettings(x_each_side=1, y_top=0.5, y_bottom=1.5))

    # Grown to -30, -30, 120 x 300, and cut.
    assert crop == [0, 0, 90, 270]


def test_the_shorter_side_counts_what_lies_in_the_frame() -> None:
    grown = ExpansionSettings(x_each_side=1, y_top=0.5, y_bottom=1.5)
    tell = functools.partial(shorter_side_px, frame_wh_px=FRAME_WH_PX)

    assert tell((10, 20, 40, 100), expansion=grown) == 90
    assert tell((100, 200, 6, 5), expansion=grown) == 15
    assert tell((5000, 20, 40, 100), expansion=grown) == 0
    assert tell((10, 20, -4, 100), expansion=AS_IS) == 0


def test_conversion_names_the_shape_it_was_given() -> None:
    with pytest.raises(ValueError, match=r"shape \(4,\), want \(N, 4\)"):
        ltwh_to_xyxy(np.zeros(4))


def test_crop_boxes_refuse_a_negative_share() -> None:
    with pytest.raises(ValueError, match=r"y_top: -0.1, want 0 or more"):
        _crop((0, 0, 10, 10), ExpansionSettings.model_construct(y_top=-0.1))


def test_functions_of_an_empty_frame_are_empty() -> None:
    none = np.zeros((0, 4))

    assert ltwh_to_xyxy(none).shape == (0, 4)
    assert iou_matrix(none, np.zeros((3, 4))).shape == (0, 3)
    assert iou_matrix(np.zeros((3, 4)), none).shape == (3, 0)


def test_conversion_adds_the_size_to_the_corner() -> None:
    assert ltwh_to_xyxy([[10.0, 20.0, 30.0, 40.0]]).tolist() == [[10, 20, 40, 60]]


def test_iou_matrix_worked_by_hand() -> None:
    # Two 10 x 10 boxes that share 5 x 10: 50 / (100 + 100 - 50).
    matrix = iou_matrix([(0, 0, 10, 10)], [(5, 0, 15, 10), (0, 0, 10, 10), (20, 20, 30, 30)])

    assert matrix.tolist() == [[50 / 150, 1.0, 0.0]]


def test_iou_of_boxes_without_area_is_zero_not_nan() -> None:
    assert iou_matrix([(5, 5, 5, 5)], [(5, 5, 5, 5)]).tolist() == [[0.0]]


@given(boxes_of_any_kind, boxes_of_any_kind)
def test_iou_of_two_boxes_is_that_of_the_matrix_to_the_last_bit(
    some: list[tuple[float, float, float, float]], others: list[tuple[float, float, float, float]]
) -> None:
    one = np.reshape(np.array(some, np.float64), (-1, 4))
    other = np.reshape(np.array(others, np.float64), (-1, 4))

    with np.errstate(over="ignore", invalid="ignore"):
        matrix = iou_matrix(ltwh_to_xyxy(one), ltwh_to_xyxy(other))

    pairs = [[iou(a, b) for b in others] for a in some]
    np.testing.assert_array_equal(np.reshape(pairs, matrix.shape), matrix)
