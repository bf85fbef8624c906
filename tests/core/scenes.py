"""Synthetic scenes that are larger than a picture, so that a camera can be turned in them."""

import numpy as np
import numpy.typing as npt

from ropewatch.aim import Luma
from ropewatch.reference import HEIGHT_PX, WIDTH_PX

Scene = npt.NDArray[np.float64]

# How far a picture can be shifted to each side.
ROOM_PX = 100


def scene(seed: int) -> Scene:
    """Walls, scaffolds and openings: rectangles of any shade over a gradient."""
    rng = np.random.default_rng(seed)
    height, width = HEIGHT_PX + 2 * ROOM_PX, WIDTH_PX + 2 * ROOM_PX
    made = np.linspace(170, 80, height)[:, None] + np.zeros((height, width))
    for _ in range(240):
        top, left = rng.integers(0, height), rng.integers(0, width)
        tall, wide = rng.integers(4, 60), rng.integers(2, 60)
        made[top : top + tall, left : left + wide] = rng.normal(110, 45)
    return made


def shot(
    of: Scene, right_px: int = 0, down_px: int = 0, *, sigma: float = 2.0, seed: int = 0
) -> Luma:
    """Return what a camera sees of it, with its noise, when turned by so many pixels."""
    top, left = ROOM_PX + down_px, ROOM_PX + right_px
    seen = of[top : top + HEIGHT_PX, left : left + WIDTH_PX]
    seen = seen + np.random.default_rng(seed).normal(0, sigma, seen.shape)
    luma: Luma = np.clip(seen, 0, 255).round().astype(np.uint8)
    return luma
