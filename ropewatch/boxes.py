"""Box arithmetic in muxer-output pixels, and the one crop geometry that everybody shares.

The expand probe, calibration and the export tests all call `crop_boxes`, so what the classifier
was tuned on is what it sees on a box.
"""

import functools
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ropewatch.observations import BoxLtwh

Boxes = npt.NDArray[np.float32]
Boxes64 = npt.NDArray[np.float64]

SMALLEST_SIDE_PX = 16
LARGEST_SCALE = 16
"""The Jetson's VIC scales by at most this, up or down; beyond it nvinfer stops the graph."""

_FAR_PX = 1e9
_LEAST_LTWH_PX = np.array([-_FAR_PX, -_FAR_PX, 0, 0])


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
    frame, smallest, largest = _side_limits(frame_wh_px, network_wh_px, limit_scale=limit_scale)
    before, whole = _growth(expansion.x_each_side, expansion.y_top, expansion.y_bottom)
    boxes = _between(_checked(boxes_ltwh_px, "boxes_ltwh_px"), _LEAST_LTWH_PX, _FAR_PX)
    boxes[np.isnan(boxes)] = 0
    size = boxes[:, 2:]
    grown = boxes[:, :2] - before * size
    near = np.ceil(_between(grown, 0, frame) / 2) * 2
    far = np.floor(_between(grown + whole * size, 0, frame) / 2) * 2
    side = _between(far - near, smallest, largest)
    # For a side that was legal already, this is `near` itself.
    start = np.floor((near + far - side) / 4) * 2
    start = _between(start, 0, frame - side)
    return np.concatenate([start, side], axis=1, dtype=np.float32)


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
    length_px = min(max(length_px, 0.0), _FAR_PX)
    near = min(max(start_px, -_FAR_PX), _FAR_PX) - before * length_px
    far = near + (1 + before + after) * length_px
    return min(max(far, 0.0), frame_px) - min(max(near, 0.0), frame_px)


def _between(array: Boxes64, low: npt.ArrayLike, high: npt.ArrayLike) -> Boxes64:
    """np.clip, which takes three times as long for the few boxes of a frame; NaN stays."""
    bounded: Boxes64 = np.minimum(np.maximum(array, low), high)
    return bounded


@functools.lru_cache
def _growth(x_each_side: float, y_top: float, y_bottom: float) -> tuple[Boxes64, Boxes64]:
    """How far left and top move, and the size, each (2,), in shares of width and height."""
    for name, share in (("x_each_side", x_each_side), ("y_top", y_top), ("y_bottom", y_bottom)):
        if not share >= 0:
            raise ValueError(f"{name}: {share}, want 0 or more")
    before = np.array([x_each_side, y_top])
    whole = np.array([1 + 2 * x_each_side, 1 + y_top + y_bottom])
    before.flags.writeable = whole.flags.writeable = False
    return before, whole


@functools.lru_cache
def _side_limits(
    frame_wh_px: tuple[int, int], network_wh_px: tuple[int, int], *, limit_scale: bool
) -> tuple[Boxes64, Boxes64, Boxes64]:
    """The frame, the smallest and the largest even side, each (2,) for width and height."""
    frame = np.asarray(frame_wh_px, dtype=np.float64) // 2 * 2
    network = np.asarray(network_wh_px, dtype=np.float64)
    if (network < 1).any():
        raise ValueError(f"network_wh_px: {network_wh_px}, want 1 or more")
    smallest = np.full(2, float(SMALLEST_SIDE_PX))
    largest = frame
    if limit_scale:
        smallest = np.maximum(smallest, np.ceil(network / LARGEST_SCALE / 2) * 2)
        largest = np.minimum(frame, network * LARGEST_SCALE)
    if (smallest > frame).any():
        raise ValueError(
            f"frame_wh_px: {frame_wh_px}, want at least {tuple(smallest.astype(int).tolist())} "
            f"for a network of {network_wh_px}: no crop of this frame can be scaled to it; "
            f"use a larger muxer frame or scaling-compute-hw=1"
        )
    for limits in (frame, smallest, largest):
        limits.flags.writeable = False
    return frame, smallest, largest


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
    a_left, a_top, b_left, b_top = *a_ltwh_px[:2], *b_ltwh_px[:2]
    a_right, a_bottom = a_left + a_ltwh_px[2], a_top + a_ltwh_px[3]
    b_right, b_bottom = b_left + b_ltwh_px[2], b_top + b_ltwh_px[3]
    width = max(0.0, min(a_right, b_right) - max(a_left, b_left))
    inter = width * max(0.0, min(a_bottom, b_bottom) - max(a_top, b_top))
    area_a = (a_right - a_left) * (a_bottom - a_top)
    area_b = (b_right - b_left) * (b_bottom - b_top)
    return inter / max(area_a + area_b - inter, 1e-9)
