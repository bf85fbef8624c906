"""Pictures as frames of the muxer: in every column the same pixels, as a camera gives them."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from export.pictures import Picture, read_picture
from ropewatch.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture at the muxer's size.

    Attributes:
        name: of its file.
        planes: (H * 3 / 2, W) uint8, I420 of BT.601, limited range: half the colour resolution,
            as every camera's.
        rgb: (H, W, 3) uint8, what those planes show.
    """

    name: str
    planes: npt.NDArray[np.uint8]
    rgb: Picture


def read_frame(file: Path, *, frame_wh_px: tuple[int, int]) -> Frame:
    """A picture, stretched to the muxer's size, as nvstreammux does without enable-padding.

    Args:
        file: a picture of any size.
        frame_wh_px: of the muxer; even.

    Raises:
        ModelError: it cannot be read, or the frame's sides are odd.
    """
    if frame_wh_px[0] % 2 or frame_wh_px[1] % 2:
        raise ModelError(f"muxer: {frame_wh_px[0]}x{frame_wh_px[1]}, want even sides")
    picture = read_picture(file)
    if picture.shape[1::-1] != frame_wh_px:
        picture = cv2.resize(picture, frame_wh_px, interpolation=cv2.INTER_LINEAR)
    planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
    return Frame(file.name, planes, cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420))


def write_y4m(frame: Frame, path: Path) -> None:
    """Write a frame as a video of one picture, without loss."""
    height, width = frame.rgb.shape[:2]
    head = f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420mpeg2\nFRAME\n"
    path.write_bytes(head.encode() + frame.planes.tobytes())
