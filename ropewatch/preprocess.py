"""Where a picture lands in a network's input, by nvinfer's arithmetic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lands in the network's input; ratios are destination / source pixels."""

    width: int
    height: int
    offset_left: int
    offset_top: int
    ratio_x: float
    ratio_y: float


def place(
    picture_wh: tuple[int, int], network_wh: tuple[int, int], *, keep_aspect: bool, symmetric: bool
) -> Placement:
    """Compute where a picture lands; whole pixels are floored as nvinfer floors them.

    Args:
        picture_wh: what is taken, px, a frame or a crop; each side 1 or more.
        network_wh: the network's input, px.
        keep_aspect: maintain-aspect-ratio: what remains free is padding.
        symmetric: symmetric-padding: the picture in the middle, else at the top left.
    """
    source_w, source_h = picture_wh
    network_w, network_h = network_wh
    width, height = network_wh
    left = top = 0
    if keep_aspect:
        fitted_h = network_w * source_h / source_w
        if fitted_h <= network_h:
            height = int(fitted_h)
        else:
            width = int(network_h * source_w / source_h)
        if symmetric:
            left, top = (network_w - width) // 2, (network_h - height) // 2
    return Placement(width, height, left, top, width / source_w, height / source_h)
