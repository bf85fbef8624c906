"""Surfaces to buffers and back, in every format: OpenCV where it is fastest, else GStreamer's own.

OpenCV's NV12 <-> RGBA is BT.601, limited range, both ways, so a frame that goes through RGBA and
back keeps its NV12 values up to rounding.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin.gst import Gst, GstVideo, c_gst
from plugins.standin.surface import Surface

Bytes = npt.NDArray[np.uint8]

_c_video = ctypes.CDLL("libgstvideo-1.0.so.0")
_c_video.gst_video_converter_new.restype = ctypes.c_void_p
_c_video.gst_video_converter_new.argtypes = [ctypes.c_void_p] * 3
_c_video.gst_video_converter_frame.argtypes = [ctypes.c_void_p] * 3
_c_video.gst_video_converter_frame.restype = None
_c_video.gst_video_converter_free.argtypes = [ctypes.c_void_p]
_c_video.gst_video_converter_free.restype = None
_c_video.gst_video_frame_map.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int]
_c_video.gst_video_frame_unmap.argtypes = [ctypes.c_void_p]
_c_video.gst_video_frame_unmap.restype = None
c_gst.gst_buffer_fill.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
]
c_gst.gst_buffer_fill.restype = ctypes.c_size_t

# By interpolation-method, as near as GStreamer has what NVIDIA's graphics cards do: it has no
# super sampling, but its linear filter averages when it makes a frame smaller.
_RESAMPLERS = {
    0: GstVideo.VideoResamplerMethod.NEAREST,
    1: GstVideo.VideoResamplerMethod.LINEAR,
    2: GstVideo.VideoResamplerMethod.CUBIC,
    3: GstVideo.VideoResamplerMethod.LINEAR,
    4: GstVideo.VideoResamplerMethod.LANCZOS,
    5: GstVideo.VideoResamplerMethod.LANCZOS,
    6: GstVideo.VideoResamplerMethod.NEAREST,
}

# sizeof(GstVideoFrame) is 688 on 64-bit machines; the rest is room to spare.
_FRAME_BYTES = 2048
_MAP_READ, _MAP_WRITE = 1, 2


def video_info(caps: Gst.Caps) -> GstVideo.VideoInfo:
    """Read a frame's layout from caps of any memory."""
    plain = caps.copy()
    plain.set_features(0, Gst.CapsFeatures.from_string("memory:SystemMemory"))
    return GstVideo.VideoInfo.new_from_caps(plain)


def buffer_of(array: Bytes) -> Gst.Buffer:
    """Copy an array's bytes into a new buffer."""
    flat = np.ascontiguousarray(array)
    buffer = Gst.Buffer.new_allocate(None, flat.nbytes, None)
    c_gst.gst_buffer_fill(hash(buffer), 0, flat.ctypes.data, flat.nbytes)
    return buffer


def bare(buffer: Gst.Buffer) -> Gst.Buffer:
    """Share a frame's memory and layout in a new buffer, without its other metas and its times."""
    result = buffer.copy_region(Gst.BufferCopyFlags.MEMORY, 0, buffer.get_size())
    layout = GstVideo.buffer_get_video_meta(buffer)
    if layout is not None:
        GstVideo.buffer_add_video_meta_full(
            result,
            layout.flags,
            layout.format,
            layout.width,
            layout.height,
            layout.n_planes,
            layout.offset,
            layout.stride,
        )
    return result


def rgba_to_nv12(rgba: Bytes) -> Bytes:
    """Convert (H, W, 4) with even sides to the planes of NV12, (H * 3 / 2, W)."""
    height, width = rgba.shape[:2]
    i420 = cv2.cvtColor(rgba, cv2.COLOR_RGBA2YUV_I420)
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = i420[:height]
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    planes[height:] = np.moveaxis(chroma, 0, 2).reshape(height // 2, width)
    return planes


def system_buffer(surface: Surface, info: GstVideo.VideoInfo) -> Gst.Buffer:
    """Return a buffer with the surface's pixels in its own format and the default layout."""
    if surface.buffer is not None and not surface.is_rgba:
        return surface.buffer
    if surface.is_rgba:
        return buffer_of(surface.rgba())
    y, uv = surface.nv12()
    flat = np.zeros(info.size, np.uint8)
    for plane, image in enumerate((y, uv.reshape(uv.shape[0], -1))):
        start, stride = info.offset[plane], info.stride[plane]
        rows = flat[start : start + stride * image.shape[0]].reshape(image.shape[0], stride)
        rows[:, : image.shape[1]] = image
    return buffer_of(flat)


@dataclass(frozen=True)
class Crops:
    """Rectangles left, top, width, height in pixels; None is the whole frame."""

    source: tuple[int, int, int, int] | None = None
    target: tuple[int, int, int, int] | None = None

    def options(self) -> Gst.Structure:
        """Describe the crops to GstVideoConverter."""
        options = Gst.Structure.new_empty("options")
        for prefix, rectangle in (("src", self.source), ("dest", self.target)):
            if rectangle is not None:
                for name, value in zip(("x", "y", "width", "height"), rectangle, strict=True):
                    options.set_value(f"GstVideoConverter.{prefix}-{name}", value)
        return options


class Converter:
    """Converts between two layouts; keeps GStreamer's converter for the next frame."""

    def __init__(
        self,
        source: GstVideo.VideoInfo,
        target: GstVideo.VideoInfo,
        crops: Crops,
        *,
        interpolation: int,
    ) -> None:
        self.source = source
        self.target = target
        options = crops.options()
        options.set_value("GstVideoConverter.resampler-method", _RESAMPLERS[interpolation])
        # The converter takes the structure away; Python's copy stays Python's.
        self.converter = _c_video.gst_video_converter_new(
            hash(source), hash(target), _copy_structure(hash(options))
        )
        if not self.converter:
            raise ValueError(
                f"cannot convert {_describe(source)} to {_describe(target)}, "
                f"want formats that GStreamer's video converter knows"
            )

    def __del__(self) -> None:
        if getattr(self, "converter", None):
            _c_video.gst_video_converter_free(self.converter)

    def convert(self, buffer: Gst.Buffer) -> Gst.Buffer:
        """Return a new buffer with the converted frame."""
        result = Gst.Buffer.new_allocate(None, self.target.size, None)
        frames = [ctypes.create_string_buffer(_FRAME_BYTES) for _ in range(2)]
        mapped = []
        try:
            for frame, info, item, flags in (
                (frames[0], self.source, buffer, _MAP_READ),
                (frames[1], self.target, result, _MAP_WRITE),
            ):
                if not _c_video.gst_video_frame_map(frame, hash(info), hash(item), flags):
                    raise ValueError(f"a frame of {_describe(info)} cannot be mapped")
                mapped.append(frame)
            _c_video.gst_video_converter_frame(self.converter, *frames)
        finally:
            for frame in mapped:
                _c_video.gst_video_frame_unmap(frame)
        return result


_copy_structure: Any = c_gst.gst_structure_copy
_copy_structure.argtypes = [ctypes.c_void_p]
_copy_structure.restype = ctypes.c_void_p


def _describe(info: GstVideo.VideoInfo) -> str:
    return f"{info.finfo.name} {info.width}x{info.height}"
