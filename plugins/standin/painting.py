"""Shapes of NvOSD on an RGBA picture, (H, W, 4) uint8, painted in place with OpenCV."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin.osd_params import (
    NvOSD_Arrow_Head_Direction,
    NvOSD_ArrowParams,
    NvOSD_CircleParams,
    NvOSD_ColorParams,
    NvOSD_LineParams,
    NvOSD_MaskParams,
    NvOSD_RectParams,
    NvOSD_TextParams,
)

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# A Hershey letter is 21 px high at scale 1; a point is 4/3 px, of which a capital takes 0.7.
_SCALE_PER_POINT = 4 / 3 * 0.7 / 21
_TEXT_MARGIN_PX = 2
_CIRCLE_PX = 2
_MASK_ALPHA = 127 / 255
_BLUR_SIDE, _BLUR_KERNEL, _SMALLEST_BLUR_PX = 32, 7, 3
# Beyond this no picture reaches, and OpenCV's own coordinates overflow.
_FAR_PX = 1 << 15


def paint_rect(picture: Picture, rect: NvOSD_RectParams) -> None:
    """Paint a box: its background if it has one, its border if that has a width."""
    ends = (
        (_px(rect.left), _px(rect.top)),
        (
            _px(rect.left + rect.width),
            _px(rect.top + rect.height),
        ),
    )
    if rect.has_bg_color:
        _blend(picture, rect.bg_color, ends, lambda c: cv2.rectangle(picture, *ends, c, -1))
    if rect.border_width:
        width = int(rect.border_width)
        _blend(
            picture,
            rect.border_color,
            ends,
            lambda c: cv2.rectangle(picture, *ends, c, width),
            margin_px=width,
        )


def paint_text(picture: Picture, text: NvOSD_TextParams) -> None:
    """Paint a text with its top left corner at the offsets, on its background if it has one."""
    words = text.stand_in_text()
    if not words:
        return
    scale = max(text.font_params.font_size, 1) * _SCALE_PER_POINT
    width = max(1, round(scale * 1.5))
    (across, down), baseline = cv2.getTextSize(words, _FONT, scale, width)
    left, top = _px(text.x_offset), _px(text.y_offset)
    foot = (left + _TEXT_MARGIN_PX, top + down + _TEXT_MARGIN_PX)
    ends = (left, top), (left + across + 2 * _TEXT_MARGIN_PX, foot[1] + baseline + _TEXT_MARGIN_PX)
    if text.set_bg_clr:
        _blend(picture, text.text_bg_clr, ends, lambda c: cv2.rectangle(picture, *ends, c, -1))
    _blend(
        picture,
        text.font_params.font_color,
        ends,
        lambda c: cv2.putText(picture, words, foot, _FONT, scale, c, width, cv2.LINE_AA),
    )


def paint_line(picture: Picture, line: NvOSD_LineParams) -> None:
    """Paint a line."""
    ends = (_px(line.x1), _px(line.y1)), (_px(line.x2), _px(line.y2))
    width = max(1, int(line.line_width))
    _blend(
        picture,
        line.line_color,
        ends,
        lambda c: cv2.line(picture, *ends, c, width, cv2.LINE_AA),
        margin_px=width,
    )


def paint_arrow(picture: Picture, arrow: NvOSD_ArrowParams) -> None:
    """Paint an arrow with a head at its start, its end or both."""
    ends = (_px(arrow.x1), _px(arrow.y1)), (_px(arrow.x2), _px(arrow.y2))
    width = max(1, int(arrow.arrow_width))
    at_start = arrow.arrow_head != NvOSD_Arrow_Head_Direction.END_HEAD
    at_end = arrow.arrow_head != NvOSD_Arrow_Head_Direction.START_HEAD

    def paint(colour: Colour) -> None:
        if at_end:
            cv2.arrowedLine(picture, *ends, colour, width, cv2.LINE_AA)
        if at_start:
            cv2.arrowedLine(picture, *ends[::-1], colour, width, cv2.LINE_AA)

    # The heads are a tenth of the length, which may stand out at the side.
    length = abs(ends[0][0] - ends[1][0]) + abs(ends[0][1] - ends[1][1])
    _blend(picture, arrow.arrow_color, ends, paint, margin_px=width + length // 10)


def paint_circle(picture: Picture, circle: NvOSD_CircleParams) -> None:
    """Paint a circle: its disc if it has a background, then its line."""
    (x, y), radius = (_px(circle.xc), _px(circle.yc)), _px(circle.radius)
    ends = (x - radius, y - radius), (x + radius, y + radius)
    if circle.has_bg_color:
        _blend(
            picture, circle.bg_color, ends, lambda c: cv2.circle(picture, (x, y), radius, c, -1)
        )
    _blend(
        picture,
        circle.circle_color,
        ends,
        lambda c: cv2.circle(picture, (x, y), radius, c, _CIRCLE_PX, cv2.LINE_AA),
        margin_px=_CIRCLE_PX,
    )


def paint_mask(
    picture: Picture, rect: NvOSD_RectParams, mask: NvOSD_MaskParams, *, smooth: bool
) -> None:
    """Tint what an instance mask covers of its box, half opaque, with the border's colour.

    `smooth` is process-mode 1: the mask's edge is interpolated and the border's alpha ignored.
    Mode 0 interpolates the values and has a hard edge.
    """
    left, top, width, height = box_ltwh_px(rect)
    values = mask.stand_in_values()
    if values is None or width < 1 or height < 1:
        return
    colour, size = rect.border_color, (width, height)
    if smooth:
        inside = (values > mask.threshold).astype(np.float32)
        cover = cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR) * _MASK_ALPHA
        # In this mode the device begins one pixel further in.
        left, top, cover = left + 1, top + 1, cover[:-1, :-1]
    else:
        values = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        cover = (values > mask.threshold) * np.float32(_MASK_ALPHA * colour.alpha)
    rows, columns = (
        _within(top, cover.shape[0], picture.shape[0]),
        _within(left, cover.shape[1], picture.shape[1]),
    )
    part = picture[top + rows[0] : top + rows[1], left + columns[0] : left + columns[1], :3]
    share = cover[rows[0] : rows[1], columns[0] : columns[1], None]
    paint = np.array([colour.red, colour.green, colour.blue], np.float32) * 255
    part[:] = np.rint(part + (paint - part) * share)


def blur_box(
    picture: Picture, rect: NvOSD_RectParams, mask: NvOSD_MaskParams | None = None
) -> None:
    """Make what is in a box unrecognisable, or what is not 0 in its mask, as process-mode 1 does.

    The box is sampled at 32 x 32 places, each becomes the mean of 7 x 7 of them, and each pixel
    gets its place's: a share of the box, so that a large face is blurred as much as a small one.
    """
    left, top, width, height = box_ltwh_px(rect)
    if width < _SMALLEST_BLUR_PX or height < _SMALLEST_BLUR_PX:
        return
    (rows_px, rows), (columns_px, columns) = (
        _samples(start, length, limit)
        for start, length, limit in (
            (top, height, picture.shape[0]),
            (left, width, picture.shape[1]),
        )
    )
    (first_row, last_row), (first_column, last_column) = (
        _within(top, height, picture.shape[0]),
        _within(left, width, picture.shape[1]),
    )
    rows, columns = rows[first_row:last_row], columns[first_column:last_column]
    part = picture[top + first_row : top + last_row, left + first_column : left + last_column, :3]
    small = picture[rows_px[:, None], columns_px, :3].astype(np.float32)
    size = (_BLUR_KERNEL, _BLUR_KERNEL)
    sums, counts = (
        cv2.boxFilter(values, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        for values in (small, np.ones_like(small))
    )
    blurred = (sums // counts).astype(np.uint8)[rows[:, None], columns]
    values = mask.stand_in_values() if mask is not None else None
    if values is None:
        part[:] = blurred
        return
    high, wide = values.shape
    inside = values[(rows * high // _BLUR_SIDE)[:, None], columns * wide // _BLUR_SIDE] != 0
    part[inside] = blurred[inside]


def box_ltwh_px(rect: NvOSD_RectParams) -> tuple[int, int, int, int]:
    """Return a box in whole pixels, as C's conversion to int cuts it."""
    left, top = _px(rect.left), _px(rect.top)
    return left, top, _px(left + rect.width) - left, _px(top + rect.height) - top


def _samples(start: int, length: int, limit: int) -> tuple[Any, Any]:
    """Return where a side is sampled, pixels, and for each of its pixels which sample it gets."""
    places = (np.arange(_BLUR_SIDE) / _BLUR_SIDE * length + 0.5 + start).astype(np.int64)
    return places.clip(0, limit - 1), np.arange(length) * _BLUR_SIDE // length


def _within(start: int, length: int, limit: int) -> tuple[int, int]:
    """Return the first of a span's pixels that is in the picture, and the one after the last."""
    return min(max(-start, 0), length), min(max(limit - start, 0), length)


def _px(value: float) -> int:
    return int(min(max(value, -_FAR_PX), _FAR_PX))


def _blend(
    picture: Picture,
    colour: NvOSD_ColorParams,
    ends: tuple[tuple[int, int], tuple[int, int]],
    paint: Callable[[Colour], Any],
    *,
    margin_px: int = 0,
) -> None:
    """Paint with a colour's opacity, within the ends and a margin; 0 paints nothing."""
    parts = [min(max(part, 0.0), 1.0) for part in (colour.red, colour.green, colour.blue)]
    alpha = min(max(colour.alpha, 0.0), 1.0)
    if alpha == 0:
        return
    margin = margin_px + 2
    left, right = sorted((ends[0][0], ends[1][0]))
    top, bottom = sorted((ends[0][1], ends[1][1]))
    part = picture[
        max(0, top - margin) : max(0, bottom + margin),
        max(0, left - margin) : max(0, right + margin),
    ]
    if not part.size:
        return
    before = part.copy() if alpha < 1 else None
    paint((round(parts[0] * 255), round(parts[1] * 255), round(parts[2] * 255), 255))
    if before is not None:
        part[:] = cv2.addWeighted(part, alpha, before, 1 - alpha, 0)
