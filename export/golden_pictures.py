"""The pictures of golden outputs: the operator's own, or ones that are always at hand."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.parity import sample_images
from ropewatch.errors import ModelError
from ropewatch.manifest import Preprocessing

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
# As many as show a decision and keep the file small; the first ones by name are taken.
DETECTOR_PICTURES, CROPS, FRAMES = 4, 8, 2


def golden_pictures(
    folder: Path | None, *, count: int, size_wh: tuple[int, int], preprocessing: Preprocessing
) -> Pixels:
    """At most `count` pictures of a folder as the network gets them, or drawn ones.

    The drawn ones are blobs and noise: they exercise every number, but hold nobody.

    Args:
        folder: with pictures of any size; None takes drawn ones.
        count: most pictures.
        size_wh: of the network's input, px.
        preprocessing: says whether a picture is padded or stretched, and the channels' order.

    Returns:
        (B, 3, H, W) uint8, B from 1 to count.

    Raises:
        ModelError: no such folder, no picture in it, or one that cannot be read.
    """
    if folder is None:
        return sample_images(count, size_wh=size_wh)
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder, want one with pictures; fix --golden-images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ModelError(
            f"{folder}: no picture in it, want {', '.join(SUFFIXES)}; fix --golden-images"
        )
    return _read(files[:count], size_wh=size_wh, preprocessing=preprocessing)


def with_people(*, size_wh: tuple[int, int], preprocessing: Preprocessing) -> Pixels:
    """The two street pictures that ultralytics installs, and drawn ones: at most 4.

    Raises:
        ModelError: the installed package has lost its pictures' content.
    """
    drawn = sample_images(DETECTOR_PICTURES, size_wh=size_wh)
    package = importlib.util.find_spec("ultralytics")
    if package is None or package.origin is None:
        return drawn
    files = sorted((Path(package.origin).parent / "assets").glob("*.jpg"))[:2]
    street = _read(files, size_wh=size_wh, preprocessing=preprocessing) if files else drawn[:0]
    return np.concatenate([street, drawn[len(street) :]])


def _read(
    files: Sequence[Path], *, size_wh: tuple[int, int], preprocessing: Preprocessing
) -> Pixels:
    import cv2  # noqa: PLC0415 (drawn pictures need none)

    pictures = []
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise ModelError(f"{file}: not a picture, want one that can be read; remove it")
        if preprocessing.model_color_format == "RGB":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        pictures.append(_fitted(cv2, picture, size_wh, preprocessing).transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(pictures), np.uint8)


def _fitted(
    cv2: Any, picture: Pixels, size_wh: tuple[int, int], preprocessing: Preprocessing
) -> Pixels:
    """(rows, columns, 3) scaled to the network's size, padded with zeros where ratio is kept."""
    width, height = size_wh
    if not preprocessing.maintain_aspect_ratio:
        stretched: Pixels = cv2.resize(picture, size_wh, interpolation=cv2.INTER_LINEAR)
        return stretched
    scale = min(width / picture.shape[1], height / picture.shape[0])
    columns, rows = (max(1, int(side * scale)) for side in (picture.shape[1], picture.shape[0]))
    left, top = (
        (free // 2 if preprocessing.symmetric_padding else 0)
        for free in (width - columns, height - rows)
    )
    padded = np.zeros((height, width, 3), np.uint8)
    inside = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_LINEAR)
    padded[top : top + rows, left : left + columns] = inside
    return padded
