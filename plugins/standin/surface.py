"""One frame of a batch: its pixels in system memory, mapped without a copy.

Arrays keep the mapping alive and the mapping keeps the buffer alive, so no array can dangle.
"""

import ctypes
import threading
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin.gst import Gst, GstVideo, c_gst

__all__ = ["Surface", "mapped"]

Bytes = npt.NDArray[np.uint8]

_RGBA_FORMATS = ("RGBA", "RGBx")


class _GstMapInfo(ctypes.Structure):
    _fields_ = (
        ("memory", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("maxsize", ctypes.c_size_t),
        ("user_data", ctypes.c_void_p * 4),
        ("reserved", ctypes.c_void_p * 4),
    )


c_gst.gst_buffer_map.argtypes = [ctypes.c_void_p, ctypes.POINTER(_GstMapInfo), ctypes.c_int]
c_gst.gst_buffer_unmap.argtypes = [ctypes.c_void_p, ctypes.POINTER(_GstMapInfo)]
c_gst.gst_buffer_unmap.restype = None
_MAP_READ = 1


class _Mapping:
    """A buffer mapped for reading, for as long as any array over it lives."""

    def __init__(self, buffer: Gst.Buffer) -> None:
        self.buffer = buffer
        self.info = _GstMapInfo()
        if not c_gst.gst_buffer_map(hash(buffer), ctypes.byref(self.info), _MAP_READ):
            # __del__ must not unmap what was never mapped.
            self.buffer = None
            raise ValueError("surface: the buffer cannot be mapped for reading")
        self.__array_interface__ = {
            "shape": (self.info.size,),
            "typestr": "|u1",
            "data": (self.info.data, True),
            "version": 3,
        }

    def __del__(self) -> None:
        if self.buffer is not None:
            c_gst.gst_buffer_unmap(hash(self.buffer), ctypes.byref(self.info))


def mapped(buffer: Gst.Buffer) -> Bytes:
    """View a buffer's bytes, read-only; the view keeps the buffer."""
    return np.asarray(_Mapping(buffer))


class Surface:
    """A frame of `width` x `height` pixels; `format` is GStreamer's name, NV12 or RGBA mostly.

    RGBA surfaces own one mutable array that everyone shares: what a probe paints, the on-screen
    display, the tiler and the encoder see. Pixels come in a buffer or in an array: (H, W, 4) of an
    RGBA surface, (H * 3 / 2, W) of an NV12 one with even sides, the planes one after the other.
    """

    __slots__ = (
        "_info",
        "_lock",
        "_mapping",
        "_planes",
        "_rgb",
        "_rgba",
        "format",
        "height",
        "width",
    )

    def __init__(
        self,
        width: int,
        height: int,
        format: str,  # noqa: A002  what caps call it
        *,
        buffer: Gst.Buffer | None = None,
        info: GstVideo.VideoInfo | None = None,
        array: Bytes | None = None,
    ) -> None:
        if (buffer is None) == (array is None):
            raise ValueError("surface: want either a buffer or an array")
        self.width = width
        self.height = height
        self.format = format
        self._info = info
        self._mapping = _Mapping(buffer) if buffer is not None else None
        self._rgba = array if self.is_rgba else None
        self._planes = array if not self.is_rgba else None
        self._rgb: Bytes | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_rgba(cls, rgba: Bytes) -> "Surface":
        """Make an RGBA surface around an (H, W, 4) uint8 array, which it then owns."""
        height, width = rgba.shape[:2]
        return cls(width, height, "RGBA", array=rgba)

    @classmethod
    def from_nv12(cls, planes: Bytes) -> "Surface":
        """Make an NV12 surface around an (H * 3 / 2, W) uint8 array; H and W are even."""
        rows, width = planes.shape
        return cls(width, rows * 2 // 3, "NV12", array=planes)

    @property
    def is_rgba(self) -> bool:
        """Whether rgba() is the surface itself rather than a conversion of it."""
        return self.format in _RGBA_FORMATS

    @property
    def buffer(self) -> Gst.Buffer | None:
        """The buffer that holds the pixels; None when an array does."""
        return self._mapping.buffer if self._mapping is not None else None

    def nv12(self) -> tuple[Bytes, Bytes]:
        """View the planes of an NV12 surface, read-only: y (H, W), uv (ceil(H/2), ceil(W/2), 2).

        Raises:
            ValueError: the surface is not NV12.
        """
        if self.format != "NV12":
            raise ValueError(f"surface: the format is {self.format}, want NV12")
        half_height, half_width = (self.height + 1) // 2, (self.width + 1) // 2
        if self._planes is not None:
            uv = self._planes[self.height :].reshape(half_height, half_width, 2)
            return self._planes[: self.height], uv
        y = self._plane(0, self.height, self.width)
        uv = self._plane(1, half_height, half_width * 2)
        return y, uv.reshape(half_height, half_width, 2)

    def rgb(self) -> Bytes:
        """Return the pixels as (H, W, 3) uint8; of an NV12 surface converted once and kept."""
        if self.is_rgba:
            # Not kept: the array may be painted on between two calls.
            return np.asarray(cv2.cvtColor(self.rgba(), cv2.COLOR_RGBA2RGB), np.uint8)
        with self._lock:
            if self._rgb is None:
                self._rgb = self._converted(cv2.COLOR_YUV2RGB_NV12)
                self._rgb.flags.writeable = False
            return self._rgb

    def rgba(self) -> Bytes:
        """Return (H, W, 4) uint8: the surface's own mutable array, or a new one of NV12."""
        if not self.is_rgba:
            return self._converted(cv2.COLOR_YUV2RGBA_NV12)
        with self._lock:
            if self._rgba is None:
                plane = self._plane(0, self.height, self.width * 4)
                self._rgba = plane.reshape(self.height, self.width, 4).copy()
            return self._rgba

    def _converted(self, code: int) -> Bytes:
        """Convert NV12; cv2 wants even sides, so an odd one is made even and cut again."""
        y, uv = self.nv12()
        if self.width % 2 or self.height % 2:
            pad = ((0, self.height % 2), (0, self.width % 2))
            y = np.pad(y, pad, mode="edge")
        image = cv2.cvtColorTwoPlane(y, np.ascontiguousarray(uv), code)
        return np.ascontiguousarray(image[: self.height, : self.width])

    def _plane(self, index: int, rows: int, row_bytes: int) -> Bytes:
        """View one plane; a GstVideoMeta on the buffer wins over the caps' default layout."""
        if self._mapping is None:
            raise ValueError(f"surface: the {self.format} surface has no planes, only an array")
        flat = np.asarray(self._mapping)
        offset, stride = self._layout(index)
        if offset + stride * (rows - 1) + row_bytes > flat.size:
            raise ValueError(
                f"surface: the buffer has {flat.size} bytes, want at least "
                f"{offset + stride * (rows - 1) + row_bytes} for {self.width}x{self.height} "
                f"{self.format}"
            )
        return np.lib.stride_tricks.as_strided(
            flat[offset:], (rows, row_bytes), (stride, 1), writeable=False
        )

    def _layout(self, index: int) -> tuple[int, int]:
        """Return the offset and the stride of a plane, bytes."""
        assert self._mapping is not None
        meta = GstVideo.buffer_get_video_meta(self._mapping.buffer)
        layout: Any = meta or self._info or _default_info(self.format, self.width, self.height)
        return layout.offset[index], layout.stride[index]


def _default_info(format_name: str, width: int, height: int) -> GstVideo.VideoInfo:
    info = GstVideo.VideoInfo()
    info.set_format(GstVideo.VideoFormat.from_string(format_name), width, height)
    return info
