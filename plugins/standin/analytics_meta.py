"""What elements without a stand-in attach: nvdsanalytics, optical flow, 360 degrees.

Nothing here fills them; an application may, and reads them back as it would on the device.
"""

from enum import IntEnum
from typing import Any

from plugins.standin.structs import Converted, Field, Float32, Int, Struct, uint, uint64

__all__ = [
    "ROI_STATUS_360D",
    "NvDsAnalyticsFrameMeta",
    "NvDsAnalyticsObjInfo",
    "NvDsOpticalFlowMeta",
    "NvOFFlowVector",
    "RectDim",
]


class NvDsAnalyticsObjInfo(Struct):
    """What nvdsanalytics says of an object: labels of regions, lines, a direction."""

    __slots__ = ()
    roiStatus: Converted[list[str]] = Converted(list)  # noqa: N815  NVIDIA's name
    ocStatus: Converted[list[str]] = Converted(list)  # noqa: N815  NVIDIA's name
    lcStatus: Converted[list[str]] = Converted(list)  # noqa: N815  NVIDIA's name
    dirStatus: Converted[str] = Converted(str)  # noqa: N815  NVIDIA's name
    objStatus: Converted[str] = Converted(str)  # noqa: N815  NVIDIA's name
    unique_id = uint()


class NvDsAnalyticsFrameMeta(Struct):
    """What nvdsanalytics counts in a frame, by label; objCnt by class."""

    __slots__ = ()
    ocStatus: Converted[dict[str, bool]] = Converted(dict)  # noqa: N815  NVIDIA's name
    objInROIcnt: Converted[dict[str, int]] = Converted(dict)  # noqa: N815  NVIDIA's name
    objLCCurrCnt: Converted[dict[str, int]] = Converted(dict)  # noqa: N815  NVIDIA's name
    objLCCumCnt: Converted[dict[str, int]] = Converted(dict)  # noqa: N815  NVIDIA's name
    objCnt: Converted[dict[int, int]] = Converted(dict)  # noqa: N815  NVIDIA's name
    unique_id = uint()


class NvOFFlowVector(Struct):
    """How far one block moved."""

    __slots__ = ()
    flowx = Int(bits=16)
    flowy = Int(bits=16)


class NvDsOpticalFlowMeta(Struct):
    """The flow of a frame: `data` is (rows, cols, 2) int16, what pyds shows as a pointer."""

    __slots__ = ()
    rows = uint()
    cols = uint()
    mv_size = uint()
    frame_num = uint64()
    data: Field[Any] = Field(None)
    priv: Field[Any] = Field(None)
    reserved: Field[Any] = Field(None)


class ROI_STATUS_360D(IntEnum):  # noqa: N801  NVIDIA's name
    """What a car did, in the parking garage of the 360-degree application."""

    ROI_ENTRY_360D = 1
    ROI_EXIT_360D = 2
    INSIDE_AISLE_360D = 4


class RectDim(Struct):
    """A box of the 360-degree application, pixels."""

    __slots__ = ()
    left = Float32()
    top = Float32()
    width = Float32()
    height = Float32()
    class_id = Int()
    tracking_id = Int()
    gie_unique_id = Int()
    roi_status = Int()
    text: Field[Any] = Field(None)
