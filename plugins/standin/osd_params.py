"""What nvdsosd draws: NvOSD_* as pyds shows them."""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.structs import (
    Copied,
    CString,
    Field,
    Float32,
    Float64,
    Int,
    Nested,
    Struct,
    uint,
)

__all__ = [
    "NvOSD_ArrowParams",
    "NvOSD_Arrow_Head_Direction",
    "NvOSD_CircleParams",
    "NvOSD_ColorParams",
    "NvOSD_Color_info",
    "NvOSD_FontParams",
    "NvOSD_FrameArrowParams",
    "NvOSD_FrameCircleParams",
    "NvOSD_FrameLineParams",
    "NvOSD_FrameRectParams",
    "NvOSD_FrameTextParams",
    "NvOSD_LineParams",
    "NvOSD_MaskParams",
    "NvOSD_Mode",
    "NvOSD_RectParams",
    "NvOSD_TextParams",
]


class NvOSD_ColorParams(Struct):  # noqa: N801  NVIDIA's name
    """A colour, each part from 0 to 1."""

    __slots__ = ()
    red = Float64()
    green = Float64()
    blue = Float64()
    alpha = Float64()

    def set(self, red: float, green: float, blue: float, alpha: float) -> None:
        """Set the four parts."""
        self.red, self.green, self.blue, self.alpha = red, green, blue, alpha


class NvOSD_Color_info(Struct):  # noqa: N801  NVIDIA's name
    """A colour with a number."""

    __slots__ = ()
    id = Int()
    color = Nested(NvOSD_ColorParams)


class NvOSD_FontParams(Struct):  # noqa: N801  NVIDIA's name
    """A font; font_size is in points."""

    __slots__ = ()
    font_name = CString()
    font_size = uint()
    font_color = Nested(NvOSD_ColorParams)


class NvOSD_RectParams(Struct):  # noqa: N801  NVIDIA's name
    """A box in pixels, and how it is drawn."""

    __slots__ = ()
    left = Float32()
    top = Float32()
    width = Float32()
    height = Float32()
    border_width = uint()
    border_color = Nested(NvOSD_ColorParams)
    has_bg_color = uint()
    reserved = uint()
    bg_color = Nested(NvOSD_ColorParams)
    has_color_info = Int()
    color_id = Int()


class NvOSD_TextParams(Struct):  # noqa: N801  NVIDIA's name
    """A text; the offsets are pixels from the frame's left and top."""

    __slots__ = ()
    display_text = CString()
    x_offset = uint()
    y_offset = uint()
    font_params = Nested(NvOSD_FontParams)
    set_bg_clr = Int()
    text_bg_clr = Nested(NvOSD_ColorParams)

    def stand_in_text(self) -> str | None:
        """Read the text itself, for the stand-in elements; pyds gives the address only."""
        return type(self).display_text.text(self)  # type: ignore[no-any-return]

    def stand_in_style(self, left: float, top: float, *, font_size: int, rise_px: int) -> None:
        """Look as nvinfer and nvtracker have it: white on black, above a box's left top corner."""
        self.x_offset = _unsigned(left)
        self.y_offset = _unsigned(top - rise_px)
        self.set_bg_clr = 1
        self.text_bg_clr.set(0.0, 0.0, 0.0, 1.0)
        self.font_params.font_name = "Serif"
        self.font_params.font_size = font_size
        self.font_params.font_color.set(1.0, 1.0, 1.0, 1.0)


def _unsigned(value: float) -> int:
    """Convert as aarch64 does, the Jetson: 0 below 0 and for no number (huge on x86-64)."""
    return int(min(value, 2**32 - 1)) if value > 0 else 0


class NvOSD_MaskParams(Struct):  # noqa: N801  NVIDIA's name
    """An instance mask of width x height float32 in `data`, row by row."""

    __slots__ = ()
    data: Copied[npt.NDArray[np.float32] | None] = Copied(None)
    size = uint()
    threshold = Float32()
    width = uint()
    height = uint()

    def get_mask_array(self) -> npt.NDArray[np.float32] | None:
        """Return the mask itself, (height * width) float32; None where there is none."""
        return self.data

    def alloc_mask_array(self) -> npt.NDArray[np.float32]:
        """Make room for width x height values and return it, (height * width) float32."""
        self.data = np.zeros(self.height * self.width, np.float32)
        self.size = self.data.nbytes
        return self.data

    def stand_in_values(self) -> npt.NDArray[np.float32] | None:
        """View the mask as (height, width) for the stand-in elements; None where there is none."""
        if self.data is None or not self.size:
            return None
        return self.data.reshape(self.height, self.width)


class NvOSD_LineParams(Struct):  # noqa: N801  NVIDIA's name
    """A line from 1 to 2, pixels."""

    __slots__ = ()
    x1 = uint()
    y1 = uint()
    x2 = uint()
    y2 = uint()
    line_width = uint()
    line_color = Nested(NvOSD_ColorParams)


class NvOSD_Arrow_Head_Direction(IntEnum):  # noqa: N801  NVIDIA's name
    """Which end of an arrow has the head."""

    START_HEAD = 0
    END_HEAD = 1
    BOTH_HEAD = 2


class NvOSD_ArrowParams(Struct):  # noqa: N801  NVIDIA's name
    """An arrow from 1 to 2, pixels."""

    __slots__ = ()
    x1 = uint()
    y1 = uint()
    x2 = uint()
    y2 = uint()
    arrow_width = uint()
    arrow_head = Int()
    arrow_color = Nested(NvOSD_ColorParams)
    reserved = uint()


class NvOSD_CircleParams(Struct):  # noqa: N801  NVIDIA's name
    """A circle about (xc, yc), pixels."""

    __slots__ = ()
    xc = uint()
    yc = uint()
    radius = uint()
    circle_color = Nested(NvOSD_ColorParams)
    has_bg_color = uint()
    bg_color = Nested(NvOSD_ColorParams)
    reserved = uint()


class NvOSD_Mode(IntEnum):  # noqa: N801  NVIDIA's name
    """nvdsosd's process-mode."""

    MODE_CPU = 0
    MODE_GPU = 1
    MODE_NONE = 2


class _Frame(Struct):
    """What NvOSD's own drawing functions, which pyds has none of, take for a whole frame."""

    __slots__ = ()
    buf_ptr: Field[Any] = Field(None)
    mode = Int()


class NvOSD_FrameTextParams(_Frame):  # noqa: N801  NVIDIA's name
    """The texts of a frame."""

    __slots__ = ()
    num_strings = Int()
    text_params_list: Field[NvOSD_TextParams | None] = Field(None)


class NvOSD_FrameRectParams(_Frame):  # noqa: N801  NVIDIA's name
    """The boxes of a frame."""

    __slots__ = ()
    num_rects = Int()
    rect_params_list: Field[NvOSD_RectParams | None] = Field(None)


class NvOSD_FrameLineParams(_Frame):  # noqa: N801  NVIDIA's name
    """The lines of a frame."""

    __slots__ = ()
    num_lines = Int()
    line_params_list: Field[NvOSD_LineParams | None] = Field(None)


class NvOSD_FrameArrowParams(_Frame):  # noqa: N801  NVIDIA's name
    """The arrows of a frame."""

    __slots__ = ()
    num_arrows = Int()
    arrow_params_list: Field[NvOSD_ArrowParams | None] = Field(None)


class NvOSD_FrameCircleParams(_Frame):  # noqa: N801  NVIDIA's name
    """The circles of a frame."""

    __slots__ = ()
    num_circles = Int()
    circle_params_list: Field[NvOSD_CircleParams | None] = Field(None)
