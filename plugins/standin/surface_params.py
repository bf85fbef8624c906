"""NvBufSurface as pyds shows it: numbers and structures; the calls need device memory.

The numbers of colour formats are DeepStream 9.1's; of them only LAST is another one in 7.1.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.structs import Bool, Field, Int, Nested, Struct, uint, uint64

__all__ = [
    "NvBufSurface",
    "NvBufSurfaceColorFormat",
    "NvBufSurfaceCreateParams",
    "NvBufSurfaceLayout",
    "NvBufSurfaceMappedAddr",
    "NvBufSurfaceMemMapFlags",
    "NvBufSurfaceMemType",
    "NvBufSurfaceParams",
    "NvBufSurfacePlaneParams",
]

_MAX_PLANES = 4


class NvBufSurfaceMemMapFlags(IntEnum):
    """How a surface is mapped."""

    NVBUF_MAP_READ = 0
    NVBUF_MAP_WRITE = 1
    NVBUF_MAP_READ_WRITE = 2


class NvBufSurfaceLayout(IntEnum):
    """How pixels lie."""

    NVBUF_LAYOUT_PITCH = 0
    NVBUF_LAYOUT_BLOCK_LINEAR = 1


class NvBufSurfaceMemType(IntEnum):
    """Where pixels lie; the values of the elements' nvbuf-memory-type."""

    NVBUF_MEM_DEFAULT = 0
    NVBUF_MEM_CUDA_PINNED = 1
    NVBUF_MEM_CUDA_DEVICE = 2
    NVBUF_MEM_CUDA_UNIFIED = 3
    NVBUF_MEM_SURFACE_ARRAY = 4
    NVBUF_MEM_HANDLE = 5
    NVBUF_MEM_SYSTEM = 6


class NvBufSurfaceColorFormat(IntEnum):
    """What pixels are; ER is the extended range, 709 and 2020 the standard."""

    NVBUF_COLOR_FORMAT_INVALID = 0
    NVBUF_COLOR_FORMAT_GRAY8 = 1
    NVBUF_COLOR_FORMAT_YUV420 = 2
    NVBUF_COLOR_FORMAT_YVU420 = 3
    NVBUF_COLOR_FORMAT_YUV420_ER = 4
    NVBUF_COLOR_FORMAT_YVU420_ER = 5
    NVBUF_COLOR_FORMAT_NV12 = 6
    NVBUF_COLOR_FORMAT_NV12_ER = 7
    NVBUF_COLOR_FORMAT_NV21 = 8
    NVBUF_COLOR_FORMAT_NV21_ER = 9
    NVBUF_COLOR_FORMAT_UYVY = 10
    NVBUF_COLOR_FORMAT_UYVY_ER = 11
    NVBUF_COLOR_FORMAT_VYUY = 12
    NVBUF_COLOR_FORMAT_VYUY_ER = 13
    NVBUF_COLOR_FORMAT_YUYV = 14
    NVBUF_COLOR_FORMAT_YUYV_ER = 15
    NVBUF_COLOR_FORMAT_YVYU = 16
    NVBUF_COLOR_FORMAT_YVYU_ER = 17
    NVBUF_COLOR_FORMAT_YUV444 = 18
    NVBUF_COLOR_FORMAT_RGBA = 19
    NVBUF_COLOR_FORMAT_BGRA = 20
    NVBUF_COLOR_FORMAT_ARGB = 21
    NVBUF_COLOR_FORMAT_ABGR = 22
    NVBUF_COLOR_FORMAT_RGBx = 23
    NVBUF_COLOR_FORMAT_BGRx = 24
    NVBUF_COLOR_FORMAT_xRGB = 25
    NVBUF_COLOR_FORMAT_xBGR = 26
    NVBUF_COLOR_FORMAT_RGB = 27
    NVBUF_COLOR_FORMAT_BGR = 28
    NVBUF_COLOR_FORMAT_NV12_10LE = 29
    NVBUF_COLOR_FORMAT_NV12_12LE = 30
    NVBUF_COLOR_FORMAT_YUV420_709 = 31
    NVBUF_COLOR_FORMAT_YUV420_709_ER = 32
    NVBUF_COLOR_FORMAT_NV12_709 = 33
    NVBUF_COLOR_FORMAT_NV12_709_ER = 34
    NVBUF_COLOR_FORMAT_YUV420_2020 = 35
    NVBUF_COLOR_FORMAT_NV12_2020 = 36
    NVBUF_COLOR_FORMAT_NV12_10LE_ER = 37
    NVBUF_COLOR_FORMAT_NV12_10LE_709 = 38
    NVBUF_COLOR_FORMAT_NV12_10LE_709_ER = 39
    NVBUF_COLOR_FORMAT_NV12_10LE_2020 = 40
    NVBUF_COLOR_FORMAT_SIGNED_R16G16 = 41
    NVBUF_COLOR_FORMAT_LAST = 113


def _planes(dtype: type[Any]) -> Nested[npt.NDArray[Any]]:
    """Describe an array with a value for each plane."""
    return Nested(lambda: np.zeros(_MAX_PLANES, dtype))


class NvBufSurfacePlaneParams(Struct):
    """The planes of a surface; sizes and offsets in bytes, sides in pixels."""

    __slots__ = ()
    num_planes = uint()
    width = _planes(np.int32)
    height = _planes(np.int32)
    pitch = _planes(np.int32)
    offset = _planes(np.int32)
    psize = _planes(np.int32)
    bytesPerPix = _planes(np.int32)  # noqa: N815  NVIDIA's name


class NvBufSurfaceMappedAddr(Struct):
    """Where the planes are mapped."""

    __slots__ = ()
    addr = _planes(np.uint64)
    eglImage: Field[Any] = Field(None)  # noqa: N815  NVIDIA's name


class NvBufSurfaceCreateParams(Struct):
    """What surfaces to make."""

    __slots__ = ()
    gpuId = uint()  # noqa: N815  NVIDIA's name
    width = uint()
    height = uint()
    size = uint()
    isContiguous = Bool()  # noqa: N815  NVIDIA's name
    colorFormat = Int()  # noqa: N815  NVIDIA's name
    layout = Int()
    memType = Int()  # noqa: N815  NVIDIA's name


class NvBufSurfaceParams(Struct):
    """One surface."""

    __slots__ = ()
    width = uint()
    height = uint()
    pitch = uint()
    colorFormat = Int()  # noqa: N815  NVIDIA's name
    layout = Int()
    bufferDesc = uint64()  # noqa: N815  NVIDIA's name
    dataSize = uint()  # noqa: N815  NVIDIA's name
    dataPtr: Field[Any] = Field(None)  # noqa: N815  NVIDIA's name
    planeParams = Nested(NvBufSurfacePlaneParams)  # noqa: N815  NVIDIA's name
    mappedAddr = Nested(NvBufSurfaceMappedAddr)  # noqa: N815  NVIDIA's name


class NvBufSurface(Struct):
    """A batch of surfaces."""

    __slots__ = ()
    gpuId = uint()  # noqa: N815  NVIDIA's name
    batchSize = uint()  # noqa: N815  NVIDIA's name
    numFilled = uint()  # noqa: N815  NVIDIA's name
    isContiguous = Bool()  # noqa: N815  NVIDIA's name
    memType = Int()  # noqa: N815  NVIDIA's name
    surfaceList: Field[NvBufSurfaceParams | None] = Field(None)  # noqa: N815  NVIDIA's name
