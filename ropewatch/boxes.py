"""Box arithmetic in muxer-output pixels, and the one crop geometry that everybody shares.

The expand probe, calibration and the export tests all call `crop_boxes`, so what the classifier
was tuned on is what it sees on a box.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ropewatch.observations import BoxLtwh

Boxes = npt.NDArray[np.float32]
Boxes64 = npt.NDArray[np.float64]

SMALLEST_SIDE_PX = 16
LARGEST_SCALE = 16
"""The Jetson's VIC scales by at most this, up or down; beyond it nvinfer stops the graph."""

_FAR_PX = 1e9


class Expansion(Protocol):
    """How far a person box grows, in box widths and box heights."""

    @property
    def x_each_side(self) -> float:
        """Box widths added on each side."""

    @property
    def y_top(self) -> float:
        """Box heights added above."""

    @property
    def y_bottom(self) -> float:
        """Box heights added below."""


def _checked(boxes: npt.ArrayLike, name: str) -> Boxes64:
    array = np.asarray(boxes, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name}: shape {array.shape}, want (N, 4)")
    return array


def ltwh_to_xyxy(boxes_ltwh_px: npt.ArrayLike) -> Boxes64:
    """Left, top, width, height to left, top, right, bottom; (N, 4) float64, N may be 0."""
    boxes = _checked(boxes_ltwh_px, "boxes_ltwh_px")
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def crop_boxes(
    boxes_ltwh_px: npt.ArrayLike,
    *,
    expansion: Expansion,
    frame_wh_px: tuple[int, int],
    network_wh_px: tuple[int, int],
    limit_scale: bool = True,
) -> Boxes:
    """Say which part of the frame the classifier looks at for each person.

    Grow, clip to the frame, align to even pixels inward, then bring each side between the
    smallest and largest that may be scaled, about the centre, shifting inward at a border.
    nvinfer truncates, rounds left and top up and width and height down to even and never clips;
    a crop that leaves the frame stops the whole graph. For every result that rounding changes
    nothing, and the crop lies in the frame.

    A box wholly outside gets the nearest legal crop, a negative width or height counts as 0,
    and NaN (a broken engine) as 0: this runs in a probe, where a doubtful crop of one person
    is better than a graph that stops for all.

    Args:
        boxes_ltwh_px: (N, 4), columns left, top, width, height; any numbers. N may be 0.
        expansion: the three shares of `ExpansionSettings`.
        frame_wh_px: muxer output. An odd side counts as one pixel less.
        network_wh_px: the classifier's input.
        limit_scale: keep each side between max(16, network side / 16) and 16 x the network
            side. False (nvinfer with scaling-compute-hw=1, the GPU): only 16 px or more.

    Returns:
        (N, 4) float32, new, columns left, top, width, height, all even integers.

    Raises:
        ValueError: not (N, 4), a negative share, or a frame smaller than the smallest crop.
    """
    axes = _crop_axes(_shares(expansion), frame_wh_px, network_wh_px, limit_scale=limit_scale)
    crops = _crops(_checked(boxes_ltwh_px, "boxes_ltwh_px").tolist(), axes)
    return np.array(crops, np.float32).reshape(-1, 4)


def crop_list(
    boxes_ltwh_px: Iterable[Sequence[float]],
    *,
    expansion: Expansion,
    frame_wh_px: tuple[int, int],
    network_wh_px: tuple[int, int],
    limit_scale: bool = True,
) -> list[BoxLtwh]:
    """`crop_boxes` without arrays, which cost more than the arithmetic of a few boxes."""
    axes = _crop_axes(_shares(expansion), frame_wh_px, network_wh_px, limit_scale=limit_scale)
    return _crops(boxes_ltwh_px, axes)


def shorter_side_px(
    box_ltwh_px: BoxLtwh, *, expansion: Expansion, frame_wh_px: tuple[int, int]
) -> float:
    """Shorter side of a person's crop before it is fitted to what the scaler can do.

    `crop_boxes` never makes a crop smaller than the scaler's limit; what it adds to reach that
    shows nothing of the person. So this, not the crop, tells how much there is to see.

    Args:
        box_ltwh_px: finite numbers.
        expansion: the three shares of `ExpansionSettings`.
        frame_wh_px: muxer output.

    Returns:
        Pixels, 0 or more.
    """
    left, top, width, height = box_ltwh_px
    x, above, below = expansion.x_each_side, expansion.y_top, expansion.y_bottom
    return min(
        _seen_px(left, width, x, x, frame_wh_px[0]),
        _seen_px(top, height, above, below, frame_wh_px[1]),
    )


def _seen_px(
    start_px: float, length_px: float, before: float, after: float, frame_px: int
) -> float:
    """How much of a grown side lies in the frame."""
    length_px = _between(length_px, 0.0, _FAR_PX)
    near = _between(start_px, -_FAR_PX, _FAR_PX) - before * length_px
    far = near + (1 + before + after) * length_px
    return _between(far, 0.0, frame_px) - _between(near, 0.0, frame_px)


def _shares(expansion: Expansion) -> tuple[float, float, float]:
    return expansion.x_each_side, expansion.y_top, expansion.y_bottom


class _CropAxis(NamedTuple):
    """One direction of the crop geometry: shares of the box, and even pixels.

    Attributes:
        before: how far the start moves.
        whole: the grown length.
        frame: the frame's side.
        smallest: side that may be scaled.
        largest: the same.
    """

    before: float
    whole: float
    frame: int
    smallest: int
    largest: int


@functools.lru_cache
def _crop_axes(
    shares: tuple[float, float, float],
    frame_wh_px: tuple[int, int],
    network_wh_px: tuple[int, int],
    *,
    limit_scale: bool,
) -> tuple[_CropAxis, _CropAxis]:
    """Across and down."""
    for name, share in zip(("x_each_side", "y_top", "y_bottom"), shares, strict=True):
        if not share >= 0:
            raise ValueError(f"{name}: {share}, want 0 or more")
    if min(network_wh_px) < 1:
        raise ValueError(f"network_wh_px: {network_wh_px}, want 1 or more")
    frame = tuple(side // 2 * 2 for side in frame_wh_px)
    smallest: tuple[int, ...] = (SMALLEST_SIDE_PX, SMALLEST_SIDE_PX)
    largest = frame
    if limit_scale:
        down = (math.ceil(side / LARGEST_SCALE / 2) * 2 for side in network_wh_px)
        smallest = tuple(max(SMALLEST_SIDE_PX, side) for side in down)
        up = (side * LARGEST_SCALE for side in network_wh_px)
        largest = tuple(map(min, frame, up))
    if smallest[0] > frame[0] or smallest[1] > frame[1]:
        raise ValueError(
            f"frame_wh_px: {frame_wh_px}, want at least {smallest} "
            f"for a network of {network_wh_px}: no crop of this frame can be scaled to it; "
            f"use a larger muxer frame or scaling-compute-hw=1"
        )
    x_each_side, y_top, y_bottom = shares
    return (
        _CropAxis(x_each_side, 1 + 2 * x_each_side, frame[0], smallest[0], largest[0]),
        _CropAxis(y_top, 1 + y_top + y_bottom, frame[1], smallest[1], largest[1]),
    )


def _crops(
    boxes_ltwh_px: Iterable[Sequence[float]], axes: tuple[_CropAxis, _CropAxis]
) -> list[BoxLtwh]:
    crops = []
    for left, top, width, height in boxes_ltwh_px:
        crop_left, crop_width = _crop_along(axes[0], left, width)
        crop_top, crop_height = _crop_along(axes[1], top, height)
        crops.append((crop_left, crop_top, crop_width, crop_height))
    return crops


def _crop_along(axis: _CropAxis, start_px: float, length_px: float) -> tuple[float, float]:
    """Start and length of a crop in one direction."""
    # NaN is not above 0 either.
    length_px = min(length_px, _FAR_PX) if length_px > 0 else 0.0
    start_px = 0.0 if math.isnan(start_px) else _between(start_px, -_FAR_PX, _FAR_PX)
    grown = start_px - axis.before * length_px
    near = math.ceil(_between(grown, 0, axis.frame) / 2) * 2
    far = math.floor(_between(grown + axis.whole * length_px, 0, axis.frame) / 2) * 2
    side = _between(far - near, axis.smallest, axis.largest)
    # For a side that was legal already, this is `near` itself.
    start = math.floor((near + far - side) / 4) * 2
    return float(_between(start, 0, axis.frame - side)), float(side)


def _between(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value  # noqa: FURB136 - faster


def iou_matrix(a_xyxy_px: npt.ArrayLike, b_xyxy_px: npt.ArrayLike) -> Boxes64:
    """Intersection over union of every box of a with every box of b.

    Args:
        a_xyxy_px: (N, 4), columns left, top, right, bottom. N may be 0.
        b_xyxy_px: (M, 4), the same. M may be 0.

    Returns:
        (N, M) float64: inter / max(area_a + area_b - inter, 1e-9). The order of these
        operations is part of the contract: the smoother is compared to the last bit.
    """
    a_left, a_top, a_right, a_bottom = _checked(a_xyxy_px, "a_xyxy_px").T[:, :, None]
    b_left, b_top, b_right, b_bottom = _checked(b_xyxy_px, "b_xyxy_px").T[:, None, :]
    # In place: hundreds of people make these arrays too large for the processor's caches.
    inter: Boxes64 = np.minimum(a_right, b_right)
    inter -= np.maximum(a_left, b_left)
    np.maximum(inter, 0, out=inter)
    height = np.minimum(a_bottom, b_bottom)
    height -= np.maximum(a_top, b_top)
    np.maximum(height, 0, out=height)
    inter *= height
    area_a = (a_right - a_left) * (a_bottom - a_top)
    area_b = (b_right - b_left) * (b_bottom - b_top)
    union = area_a + area_b
    union -= inter
    np.maximum(union, 1e-9, out=union)
    inter /= union
    return inter


def iou(a_ltwh_px: BoxLtwh, b_ltwh_px: BoxLtwh) -> float:
    """Intersection over union of two boxes: `iou_matrix` to the last bit, without arrays."""
    a_left, a_top, a_width, a_height = a_ltwh_px
    b_left, b_top, b_width, b_height = b_ltwh_px
    return iou_xyxy(
        (a_left, a_top, a_left + a_width, a_top + a_height),
        (b_left, b_top, b_left + b_width, b_top + b_height),
    )


def iou_xyxy(a_xyxy_px: Sequence[float], b_xyxy_px: Sequence[float]) -> float:
    """The same of left, top, right, bottom."""
    a_left, a_top, a_right, a_bottom = a_xyxy_px
    b_left, b_top, b_right, b_bottom = b_xyxy_px
    # Called for all pairs of people near each other, where min() and max() take twice as long.
    right = a_right if a_right < b_right else b_right  # noqa: FURB136 - faster
    bottom = a_bottom if a_bottom < b_bottom else b_bottom  # noqa: FURB136 - faster
    width = right - (a_left if a_left > b_left else b_left)  # noqa: FURB136 - faster
    height = bottom - (a_top if a_top > b_top else b_top)  # noqa: FURB136 - faster
    inter = width * height if width > 0 and height > 0 else 0.0
    area_a = (a_right - a_left) * (a_bottom - a_top)
    area_b = (b_right - b_left) * (b_bottom - b_top)
    return inter / max(area_a + area_b - inter, 1e-9)
