"""Brushes: limbs, textures, gradients, curves, all drawn with sub-pixel accuracy."""

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
"""Blue, green, red, 0 to 255: OpenCV's order."""

SHIFT = 4
"""Fractional bits of OpenCV's fixed-point drawing coordinates."""


def fixed(points: Points) -> npt.NDArray[np.int32]:
    """Pixel coordinates (N, 2) as OpenCV's fixed-point integers, shape (N, 1, 2)."""
    return np.round(np.asarray(points, float) * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def shade(colour: Colour, gain: float) -> Colour:
    """Colour times gain, cut at 0 and 255."""
    blue, green, red = (int(min(255, max(0, round(part * gain)))) for part in colour)
    return blue, green, red


def polyline(image: Image, points: Points, colour: Colour, width_px: float) -> None:
    """Smooth open line through points (N, 2)."""
    cv2.polylines(
        image, [fixed(points)], False, colour, max(1, round(width_px)), cv2.LINE_AA, SHIFT
    )


def polygon(image: Image, points: Points, colour: Colour) -> None:
    """Filled polygon with smooth edges."""
    cv2.fillPoly(image, [fixed(points)], colour, cv2.LINE_AA, SHIFT)


def disc(image: Image, centre: Points, radius_px: float, colour: Colour) -> None:
    """Filled circle."""
    x, y = (round(value * (1 << SHIFT)) for value in centre)
    cv2.circle(image, (x, y), round(radius_px * (1 << SHIFT)), colour, -1, cv2.LINE_AA, SHIFT)


def block(  # noqa: PLR0917 (four edges in their usual order)
    image: Image, left: float, top: float, right: float, bottom: float, colour: Colour
) -> None:
    """Filled upright rectangle, whole pixels."""
    cv2.rectangle(image, (round(left), round(top)), (round(right), round(bottom)), colour, -1)


def limb_outline(start: Points, end: Points, start_px: float, end_px: float) -> Points:
    """Quadrilateral between two circles: the sides of a tapered limb, (4, 2)."""
    along = end - start
    length = float(np.hypot(*along))
    normal = np.array([-along[1], along[0]]) / max(length, 1e-6)
    return np.array(
        [
            start + normal * start_px,
            end + normal * end_px,
            end - normal * end_px,
            start - normal * start_px,
        ]
    )


def limb(
    image: Image, start: Points, end: Points, *, start_px: float, end_px: float, colour: Colour
) -> None:
    """Tapered limb with round ends: darker below, lighter along the lit side.

    Args:
        image: drawn into.
        start: (2,) centre of the first circle, pixels.
        end: (2,) centre of the second.
        start_px: radius at the start.
        end_px: radius at the end.
        colour: of the lit cloth.
    """
    for gain, grow, offset in ((0.72, 1.0, 0.0), (1.0, 0.72, -0.2), (1.12, 0.3, -0.42)):
        move = np.array([offset, offset * 0.4])
        first, last = start + move * start_px, end + move * end_px
        tone = shade(colour, gain)
        polygon(image, limb_outline(first, last, start_px * grow, end_px * grow), tone)
        disc(image, first, start_px * grow, tone)
        disc(image, last, end_px * grow, tone)


def soft_noise(
    rng: np.random.Generator, wh_px: tuple[int, int], *, cell_px: int, strength: float
) -> npt.NDArray[np.float32]:
    """Smooth random field (H, W) around 0, a lump every cell_px pixels."""
    width, height = wh_px
    coarse = rng.normal(0, 1, (height // cell_px + 2, width // cell_px + 2)).astype(np.float32)
    smooth: npt.NDArray[np.float32] = cv2.resize(coarse, wh_px, interpolation=cv2.INTER_CUBIC)
    return smooth * strength


def weather(
    rng: np.random.Generator,
    image: Image,
    box_ltrb_px: tuple[float, float, float, float],
    *,
    strength: float = 5.0,
    cell_px: int = 14,
) -> None:
    """Stain a rectangle with soft noise, in place; nothing when it is outside the image."""
    height, width = image.shape[:2]
    left, top = max(0, round(box_ltrb_px[0])), max(0, round(box_ltrb_px[1]))
    right, bottom = min(width, round(box_ltrb_px[2])), min(height, round(box_ltrb_px[3]))
    if right - left < 2 or bottom - top < 2:
        return
    size = (right - left, bottom - top)
    noise = soft_noise(rng, size, cell_px=cell_px, strength=strength)
    noise += soft_noise(rng, size, cell_px=cell_px * 5, strength=strength)
    patch = image[top:bottom, left:right].astype(np.float32) + noise[:, :, None]
    image[top:bottom, left:right] = np.clip(patch, 0, 255).astype(np.uint8)


def vertical_gradient(height_px: int, top: Colour, bottom: Colour) -> npt.NDArray[np.float32]:
    """(H, 1, 3) float32 going from one colour to the other."""
    share = np.linspace(0, 1, height_px, dtype=np.float32)[:, None, None]
    first, last = np.array(top, np.float32), np.array(bottom, np.float32)
    blend: npt.NDArray[np.float32] = first * (1 - share) + last * share
    return blend


def hanging_curve(start: Points, end: Points, *, sag_px: float, points: int = 24) -> Points:
    """Rope between two points: a parabola that hangs sag_px below the chord, (points, 2)."""
    share = np.linspace(0, 1, points)[:, None]
    curve = start * (1 - share) + end * share
    curve[:, 1] += (4 * share * (1 - share) * sag_px)[:, 0]
    return curve


def rope(image: Image, curve: Points, colour: Colour, width_px: float) -> None:
    """Rope along a curve (N, 2): a dark rim, and bands of its strands, light and dark in turn."""
    polyline(image, curve, shade(colour, 0.32), width_px + 2.2)
    polyline(image, curve, shade(colour, 1.1), width_px)
    steps = np.hypot(*np.diff(curve, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    band = max(5.0, width_px * 1.5)
    count = int(along[-1] / band)
    if count < 2:
        return
    marks = np.arange(count + 1) * band
    points = np.stack([np.interp(marks, along, curve[:, axis]) for axis in (0, 1)], axis=1)
    for number in range(1, count, 2):
        polyline(image, points[number : number + 2], shade(colour, 0.55), width_px * 0.9)
