"""The pictures of golden outputs: the operator's own, or ones that are always at hand."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.parity import sample_images
from export.pictures import fit, picture_files, read_picture
from ropewatch.manifest import Preprocessing

Pixels = npt.NDArray[np.uint8]

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
    files = picture_files(folder, option="--images")
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
    return np.stack([fit(read_picture(file), preprocessing, size_wh=size_wh)[0] for file in files])
