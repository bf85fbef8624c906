"""Pictures of a folder, and a picture as a network gets it: nvinfer's scaling and padding."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ropewatch.errors import ModelError
from ropewatch.golden import Floats, as_nvinfer
from ropewatch.manifest import Preprocessing
from ropewatch.preprocess import Placement, place

Picture = npt.NDArray[np.uint8]

SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png")
# nvinfer's scaling-filter: 0, 5 and 6 are nearest, the rest as the stand-in reads them.
_FILTERS: Final = {
    1: cv2.INTER_LINEAR,
    2: cv2.INTER_CUBIC,
    3: cv2.INTER_AREA,
    4: cv2.INTER_LANCZOS4,
}


def picture_files(folder: Path, *, option: str) -> list[Path]:
    """The pictures of a folder, by name.

    Args:
        folder: to look into, not below.
        option: of the command line that named it, for the message.

    Raises:
        ModelError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder, want one with pictures; fix {option}")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ModelError(f"{folder}: no picture in it, want {', '.join(SUFFIXES)}; fix {option}")
    return files


def read_picture(file: Path) -> Picture:
    """One picture, (H, W, 3) uint8 RGB.

    Raises:
        ModelError: it cannot be read.
    """
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ModelError(f"{file}: not a picture, want one that can be read; remove it")
    return np.ascontiguousarray(picture[..., ::-1])


def fit(
    picture: Picture, preprocessing: Preprocessing, *, size_wh: tuple[int, int], padding: int = 0
) -> tuple[Picture, Placement]:
    """Scale a picture to a network's input.

    Args:
        picture: (H, W, 3) uint8 RGB.
        preprocessing: aspect ratio, place, filter and the order of the channels.
        size_wh: of the input, px.
        padding: value of the pixels beside the picture; nvinfer has 0, ultralytics trains on 114.

    Returns:
        (3, H, W) uint8 in the network's order of channels, and where the picture landed.
    """
    placed = place(
        (picture.shape[1], picture.shape[0]),
        size_wh,
        keep_aspect=preprocessing.maintain_aspect_ratio,
        symmetric=preprocessing.symmetric_padding,
    )
    how = _FILTERS.get(preprocessing.scaling_filter, cv2.INTER_NEAREST_EXACT)
    fitted = np.full((size_wh[1], size_wh[0], 3), padding, np.uint8)
    rows = slice(placed.offset_top, placed.offset_top + placed.height)
    columns = slice(placed.offset_left, placed.offset_left + placed.width)
    fitted[rows, columns] = cv2.resize(picture, (placed.width, placed.height), interpolation=how)
    if preprocessing.model_color_format == "BGR":
        fitted = fitted[..., ::-1]
    return np.ascontiguousarray(fitted.transpose(2, 0, 1)), placed


def network_inputs(
    pictures: Sequence[Picture],
    preprocessing: Preprocessing,
    *,
    size_wh: tuple[int, int],
    padding: int = 0,
) -> tuple[Floats, list[Placement]]:
    """`fit` for several pictures, at least one, then nvinfer's scale and offsets: (B, 3, H, W)."""
    fitted = [fit(each, preprocessing, size_wh=size_wh, padding=padding) for each in pictures]
    pixels = np.stack([picture for picture, _ in fitted])
    return as_nvinfer(pixels, preprocessing), [placed for _, placed in fitted]
