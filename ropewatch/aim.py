"""Where a camera looks, by the edges of its picture against those of a reference; no clock.

The picture is cut into tiles. A tile fits where no other shift of it lies better over the
reference's than about none. Light, shadows and noise change how strong edges are and hardly where
they are; people and lorries cover some tiles; a camera that was turned leaves next to none.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]
Edges = npt.NDArray[np.complex64]
_Tiles = npt.NDArray[np.complex64]
_Shifts = npt.NDArray[np.float32]

ROWS: Final = 3
COLUMNS: Final = 4
# In pixels of half the picture's width: 30 of 1280.
TOLERATED_PX: Final = 3
# Luma levels between neighbours two pixels apart: below the one is noise, above the other an edge.
FAINT_LEVELS: Final = 4.0
STRONG_LEVELS: Final = 20.0
# Mean strength of a tile's edges, of 0 to 1, that is enough to say where it lies.
LEAST_STRENGTH: Final = 0.02
LEAST_TILES: Final = 5
MOVED_SHARE: Final = 0.25
HOLDS_SHARE: Final = 0.4
TOGETHER_SHARE: Final = 0.5
TOGETHER_PX: Final = 2


class Aim(str, Enum):
    """What a picture says of where the camera looks."""

    HOLDS = "holds"
    MOVED = "moved"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Outline:
    """The edges of one picture, as they are compared.

    Attributes:
        spectra: (ROWS * COLUMNS, h, w) complex, of each tile.
        clear: (ROWS * COLUMNS,) bool, tiles with edges enough.
    """

    spectra: _Tiles
    clear: npt.NDArray[np.bool_]


def outline(luma: Luma) -> Outline:
    """Prepare a picture to be compared.

    Args:
        luma: (H, W) uint8; twice ROWS divides H, twice COLUMNS divides W.
    """
    found = edges(luma)
    height, width = found.shape
    apart = found.reshape(ROWS, height // ROWS, COLUMNS, width // COLUMNS)
    tiles = apart.swapaxes(1, 2).reshape(ROWS * COLUMNS, height // ROWS, width // COLUMNS)
    clear = np.abs(tiles).mean(axis=(1, 2)) >= LEAST_STRENGTH
    return Outline(np.fft.fft2(tiles).astype(np.complex64), clear)


def edges(luma: Luma) -> Edges:
    """Return direction and strength of the edges at half the size.

    The angle is twice the edge's, so that an edge from dark to light is the same as one from light
    to dark: infrared light and shadows turn some round. Strength is between 0 and 1.

    Args:
        luma: (H, W) uint8, even sides.
    """
    height, width = luma.shape
    halves = luma.reshape(height // 2, 2, width // 2, 2)
    picture = _soft(halves.mean(axis=(1, 3), dtype=np.float32))
    down, across = np.gradient(picture)
    gradient = across + 1j * down
    length = np.abs(gradient)
    strength = np.clip((2 * length - FAINT_LEVELS) / (STRONG_LEVELS - FAINT_LEVELS), 0, 1)
    unit = gradient / np.maximum(length, 1e-6)
    found: Edges = (unit * unit * strength).astype(np.complex64)
    return found


def compare(reference: Outline, now: Outline) -> Aim:
    """Say whether a picture shows what the reference shows."""
    fits = _fits(reference, now)
    if len(fits) < LEAST_TILES:
        return Aim.UNCLEAR
    share = fits.mean()
    if share <= MOVED_SHARE:
        return Aim.MOVED
    return Aim.HOLDS if share >= HOLDS_SHARE else Aim.UNCLEAR


def is_displaced(reference: Outline, now: Outline) -> bool:
    """Say whether most tiles lie better at one and the same other place.

    A scene that has changed beyond recognition does not: its tiles fit anywhere.
    """
    over = _overlaps(reference, now)
    if len(over) < LEAST_TILES:
        return False
    _, height, width = over.shape
    at_y, at_x = np.unravel_index(over.reshape(len(over), -1).argmax(axis=1), (height, width))
    all_y, all_x = divmod(int(over.sum(axis=0).argmax()), width)
    off_px = max(abs(all_y - height // 2), abs(all_x - width // 2))
    together = np.maximum(abs(at_y - all_y), abs(at_x - all_x)) <= TOGETHER_PX
    return off_px > TOLERATED_PX and bool(together.mean() >= TOGETHER_SHARE)


def _fits(reference: Outline, now: Outline) -> npt.NDArray[np.bool_]:
    """Return for each tile that can be compared whether it fits where it is; there may be none."""
    over = _overlaps(reference, now)
    _, height, width = over.shape
    near = np.zeros((height, width), np.bool_)
    middle_y, middle_x, px = height // 2, width // 2, TOLERATED_PX
    near[middle_y - px : middle_y + px + 1, middle_x - px : middle_x + px + 1] = True
    fits: npt.NDArray[np.bool_] = over[:, near].max(axis=1) >= over[:, ~near].max(axis=1)
    return fits


def _overlaps(reference: Outline, now: Outline) -> _Shifts:
    """Return how well each comparable tile lies over the reference's, for each shift of it.

    Shape is (N, h, w), N may be 0, no shift in the middle. Shifts wrap around.
    """
    both = reference.clear & now.clear
    product = np.conj(reference.spectra[both]) * now.spectra[both]
    over: _Shifts = np.fft.ifft2(product).real.astype(np.float32)
    _, height, width = over.shape
    return np.roll(over, (height // 2, width // 2), axis=(1, 2))


def _soft(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the picture with each pixel a 1-2-1 mean of its neighbours, both ways."""
    framed = np.pad(picture, 1, mode="edge")
    rows = framed[:-2] + 2 * framed[1:-1] + framed[2:]
    soft: npt.NDArray[np.float32] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return soft
