"""From a rectangle of a frame to the network's input, with nvinfer's arithmetic.

Exact here: which pixels are taken, where they land, padding, normalisation. Approximate: the
sampling grid and the colour conversion, which NVIDIA does not document.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.surface import Surface
from ropewatch.errors import ModelError
from ropewatch.preprocess import Placement, place

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

RGB, BGR, GRAY = 0, 1, 2
_VIC_MAX_SCALE = 16

# 6 is the default and means nearest. Centre-aligned grids; 2 to 4 are what the GPU calls them.
_FILTERS = {
    0: cv2.INTER_NEAREST_EXACT,
    1: cv2.INTER_LINEAR,
    2: cv2.INTER_CUBIC,
    3: cv2.INTER_AREA,
    4: cv2.INTER_LANCZOS4,
    5: cv2.INTER_NEAREST_EXACT,
    6: cv2.INTER_NEAREST_EXACT,
}

# BT.601, limited range, as cv2's NV12 conversions and Surface.rgb(): rows of R, G, B over
# Y, U, V and 1.
_YUV_TO_RGB = np.array(
    [
        [1.164383, 0.0, 1.596027, -222.921],
        [1.164383, -0.391762, -0.812968, 135.576],
        [1.164383, 2.017232, 0.0, -276.836],
    ]
)


class ConversionError(Exception):
    """NvBufSurfTransform would fail on this crop, which stops a pipeline."""


@dataclass(frozen=True, slots=True)
class Crop:
    """What is taken of a frame, in whole even pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The network's input without the batch; `nhwc` tells the order of the memory."""

    name: str
    width: int
    height: int
    channels: int
    nhwc: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape in the network's own order."""
        if self.nhwc:
            return (self.height, self.width, self.channels)
        return (self.channels, self.height, self.width)


def even_crop(left: float, top: float, width: float, height: float) -> Crop:
    """Round a rectangle as nvinfer does: truncate, then left and top up, sides down to even.

    Raises:
        ConversionError: a coordinate is negative or no number, or a side rounds to nothing.
    """
    values = (left, top, width, height)
    if not all(0 <= value < 2**31 for value in values):
        # A negative float has no value as unsigned in C++: 0 on aarch64, huge on x86-64.
        raise ConversionError(f"the box {left:g},{top:g} {width:g}x{height:g} has a negative part")
    crop = Crop((int(left) + 1) & ~1, (int(top) + 1) & ~1, int(width) & ~1, int(height) & ~1)
    if not crop.width or not crop.height:
        raise ConversionError(f"the box {left:g},{top:g} {width:g}x{height:g} rounds to nothing")
    return crop


def check_crop(crop: Crop, placed: Placement, frame_wh: tuple[int, int], *, vic: bool) -> None:
    """Raise ConversionError where NvBufSurfTransform fails; nvinfer itself clips nothing."""
    box = f"the crop {crop.left},{crop.top} {crop.width}x{crop.height}"
    if crop.left + crop.width > frame_wh[0] or crop.top + crop.height > frame_wh[1]:
        raise ConversionError(
            f"{box} (rounded to even) leaves the {frame_wh[0]}x{frame_wh[1]} frame: "
            f"NvBufSurfTransform error -3, want boxes inside the frame with even left and top"
        )
    if not placed.width or not placed.height:
        raise ConversionError(f"{box} is too narrow to keep its aspect ratio in the network")
    ratios = (placed.ratio_x, placed.ratio_y)
    if vic and (max(ratios) > _VIC_MAX_SCALE or min(ratios) * _VIC_MAX_SCALE < 1):
        raise ConversionError(
            f"{box} becomes {placed.width}x{placed.height}, more than {_VIC_MAX_SCALE} times up "
            f"or down: NvBufSurfTransform error -2 on a Jetson's VIC, want a box and a network "
            f"nearer in size (input-object-min-width and -height help) or scaling-compute-hw=1"
        )


class Preprocessor:
    """Fills network inputs; one per element, any thread."""

    def __init__(self, config: InferConfig, network: NetworkInput) -> None:
        self.network = network
        self._config = config
        self._filter = _FILTERS[config.scaling_filter]
        scale = config.net_scale_factor
        # A factor of 0 or less makes nvinfer forget the offsets too, and not a mean file.
        self._scale = np.float32(scale if scale > 0 else 1.0)
        self._mean = _mean(config, network, offsets=config.offsets if scale > 0 else ())
        self._padding = self._scale * (np.float32(0) - self._mean)

    def placement(self, crop: Crop, frame_wh: tuple[int, int]) -> Placement:
        """Compute and check where a crop of a frame lands."""
        placed = place(
            (crop.width, crop.height),
            (self.network.width, self.network.height),
            keep_aspect=self._config.maintain_aspect_ratio,
            symmetric=self._config.symmetric_padding,
        )
        check_crop(crop, placed, frame_wh, vic=self._config.uses_vic)
        return placed

    def fill(self, out: Floats, surface: Surface, crop: Crop, placed: Placement) -> None:
        """Write one input.

        Args:
            out: one entry of a batch, float32 in the network's shape; every value is written.
            surface: the frame.
            crop: what to take of it, as checked by `placement`.
            placed: where it goes.
        """
        planes = out.transpose(2, 0, 1) if self.network.nhwc else out
        rows = slice(placed.offset_top, placed.offset_top + placed.height)
        columns = slice(placed.offset_left, placed.offset_left + placed.width)
        if (placed.width, placed.height) != (self.network.width, self.network.height):
            planes[...] = self._padding
        mean = np.broadcast_to(self._mean, planes.shape)[:, rows, columns]
        for target, source, offset in zip(
            planes[:, rows, columns], self._channels(surface, crop, placed), mean, strict=True
        ):
            np.subtract(source, offset, out=target)
            np.multiply(target, self._scale, out=target)

    def _channels(self, surface: Surface, crop: Crop, placed: Placement) -> tuple[Bytes, ...]:
        size = (placed.width, placed.height)
        if self._config.model_color_format == GRAY:
            return (_luma(surface, crop, size, self._filter),)
        planes = tuple(cv2.split(_rgb(surface, crop, size, self._filter)))
        return planes[::-1] if self._config.model_color_format == BGR else planes


def _rgb(surface: Surface, crop: Crop, size: tuple[int, int], how: int) -> Bytes:
    """Cut, scale and convert to (height, width, 3) uint8 RGB."""
    rows, columns = _slices(crop)
    if surface.is_rgba:
        scaled = cv2.resize(surface.rgba()[rows, columns], size, interpolation=how)
        return cv2.cvtColor(scaled, cv2.COLOR_RGBA2RGB)  # type: ignore[no-any-return]
    y, uv = surface.nv12()
    y = y[rows, columns]
    uv = uv[_half(rows), _half(columns)]
    if size[0] < crop.width and size[1] < crop.height:
        # Shrinking first leaves fewer pixels to convert; the order is NVIDIA's secret anyway.
        scaled = [cv2.resize(plane, size, interpolation=how) for plane in (y, uv)]
        return cv2.transform(cv2.merge(scaled), _YUV_TO_RGB)  # type: ignore[no-any-return]
    image = cv2.cvtColorTwoPlane(
        np.ascontiguousarray(y), np.ascontiguousarray(uv), cv2.COLOR_YUV2RGB_NV12
    )
    return cv2.resize(image, size, interpolation=how)  # type: ignore[no-any-return]


def _luma(surface: Surface, crop: Crop, size: tuple[int, int], how: int) -> Bytes:
    rows, columns = _slices(crop)
    if surface.is_rgba:
        grey = cv2.cvtColor(surface.rgba()[rows, columns], cv2.COLOR_RGBA2GRAY)
    else:
        grey = surface.nv12()[0][rows, columns]
    return cv2.resize(grey, size, interpolation=how)  # type: ignore[no-any-return]


def _slices(crop: Crop) -> tuple[slice, slice]:
    return (
        slice(crop.top, crop.top + crop.height),
        slice(crop.left, crop.left + crop.width),
    )


def _half(even: slice) -> slice:
    return slice(even.start // 2, even.stop // 2)


def _mean(config: InferConfig, network: NetworkInput, *, offsets: tuple[float, ...]) -> Floats:
    """Return what is subtracted: (C, 1, 1) from offsets or (C, H, W) from a mean file."""
    if offsets and len(offsets) != network.channels:
        raise ModelError(
            f"{config.path}: offsets: {len(offsets)} numbers, want {network.channels}, one "
            f"for each channel of the network; correct offsets"
        )
    if config.mean_file is not None:
        return _read_ppm(config.mean_file, network)
    if not offsets:
        return np.zeros((network.channels, 1, 1), np.float32)
    return np.array(offsets, np.float32).reshape(-1, 1, 1)


def _read_ppm(path: Path, network: NetworkInput) -> Floats:
    """Read a mean image as nvinfer does: bytes behind the header, as many as the network has."""
    wanted = f"want a binary PPM of {network.width}x{network.height} pixels; correct mean-file"
    if not path.is_file():
        raise ModelError(f"{path}: no such file, {wanted}")
    content = path.read_bytes()
    header = re.match(rb"\s*(\S+)\s+(\S+)\s+(\S+)\s+\S+\s", content)
    fields = header.groups() if header is not None else (content[:20],)
    size = (str(network.width).encode(), str(network.height).encode())
    if header is None or fields[0] not in (b"P3", b"P6") or fields[1:] != size:
        raise ModelError(f"{path}: {fields} is its beginning, {wanted}")
    count = network.width * network.height * network.channels
    pixels = np.frombuffer(content[header.end() : header.end() + count], np.uint8)
    if pixels.size != count:
        raise ModelError(f"{path}: {pixels.size} bytes of pixels, want {count}; correct mean-file")
    image = pixels.reshape(network.height, network.width, network.channels)
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
