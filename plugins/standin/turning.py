"""Frames turned and mirrored: nvvideoconvert's flip-method, plane by plane, without a loss."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plugins.standin.gst import Gst, GstVideo
from plugins.standin.pixels import buffer_of
from plugins.standin.surface import mapped

Rectangle = tuple[int, int, int, int]
Bytes = npt.NDArray[np.uint8]

# flip-method: 1 counter-clockwise, 2 half a turn, 3 clockwise, 4 left and right, 5 across the
# diagonal from the upper right, 6 up and down, 7 across the one from the upper left.
_TURNS: Final[dict[int, Callable[[Bytes], Bytes]]] = {
    1: np.rot90,
    2: lambda image: image[::-1, ::-1],
    3: lambda image: np.rot90(image, -1),
    4: lambda image: image[:, ::-1],
    5: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    6: lambda image: image[::-1],
    7: lambda image: image.swapaxes(0, 1),
}
_SWAPPING: Final = (1, 3, 5, 7)
# Two pixels share their colour within one plane there.
_PACKED_PAIRS: Final = ("YUY2", "UYVY")


def swaps_sides(flip: int) -> bool:
    """Tell whether width becomes height."""
    return flip in _SWAPPING


def turned_info(info: GstVideo.VideoInfo, flip: int) -> GstVideo.VideoInfo:
    """Describe a turned frame.

    Raises:
        ValueError: the format cannot be turned here.
    """
    if info.finfo.name in _PACKED_PAIRS:
        raise ValueError(
            f"flip-method: the frames are {info.finfo.name}, want planes, as NV12 has them; "
            f"put videoconvert before"
        )
    sides = (info.height, info.width) if swaps_sides(flip) else (info.width, info.height)
    result = GstVideo.VideoInfo()
    result.set_format(info.finfo.format, *sides)
    result.colorimetry = info.colorimetry
    # The converter wants the rates of both its sides equal.
    result.fps_n, result.fps_d = info.fps_n, info.fps_d
    return result


def turned_rectangle(rectangle: Rectangle, wh: tuple[int, int], flip: int) -> Rectangle:
    """Return where a rectangle of a frame of wh is in the turned frame."""
    left, top, width, height = rectangle
    right, bottom = wh[0] - left - width, wh[1] - top - height
    return {
        1: (top, right, height, width),
        2: (right, bottom, width, height),
        3: (bottom, left, height, width),
        4: (right, top, width, height),
        5: (bottom, right, height, width),
        6: (left, bottom, width, height),
        7: (top, left, height, width),
    }[flip]


def turned(buffer: Gst.Buffer, info: GstVideo.VideoInfo, flip: int) -> Gst.Buffer:
    """Return a new buffer with the turned frame, laid out as turned_info() says."""
    target = turned_info(info, flip)
    layout: Any = GstVideo.buffer_get_video_meta(buffer) or info
    source = mapped(buffer)
    result = np.zeros(target.size, np.uint8)
    for plane in range(info.finfo.n_planes):
        before = _plane(source, info, plane, layout.offset[plane], layout.stride[plane])
        after = _plane(result, target, plane, target.offset[plane], target.stride[plane])
        after[:] = _TURNS[flip](before)
    return buffer_of(result)


def _plane(flat: Bytes, info: GstVideo.VideoInfo, plane: int, offset: int, stride: int) -> Bytes:
    """View a plane as (rows, columns, bytes of a pixel)."""
    component = list(info.finfo.plane).index(plane)
    pixel = info.finfo.pixel_stride[component]
    columns = -(-info.width >> info.finfo.w_sub[component])
    rows = -(-info.height >> info.finfo.h_sub[component])
    wanted = offset + stride * (rows - 1) + columns * pixel
    if wanted > flat.size:
        raise ValueError(
            f"flip-method: the buffer has {flat.size} bytes, want at least {wanted} for "
            f"{info.width}x{info.height} {info.finfo.name}"
        )
    return np.lib.stride_tricks.as_strided(
        flat[offset:], (rows, columns, pixel), (stride, pixel, 1)
    )
