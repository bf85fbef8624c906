"""What stands still behind the people: sky, city, ground and the raw building."""

import cv2
import numpy as np

from demo.render.layout import FRAME_WH_PX, Layout
from demo.render.paint import (
    Colour,
    Image,
    block,
    polyline,
    shade,
    soft_noise,
    vertical_gradient,
    weather,
)

SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((222, 176, 118), (240, 226, 205)),
    ((205, 190, 170), (226, 222, 214)),
    ((196, 150, 104), (214, 214, 226)),
    ((178, 172, 166), (212, 210, 206)),
    ((150, 118, 92), (170, 190, 232)),
)
CONCRETES: tuple[Colour, ...] = (
    (172, 176, 178),
    (150, 156, 160),
    (160, 170, 182),
    (178, 178, 172),
    (136, 142, 150),
)
SOILS: tuple[Colour, ...] = (
    (98, 128, 158),
    (110, 124, 138),
    (88, 108, 128),
    (120, 130, 136),
    (104, 120, 120),
)


def paint_backdrop(rng: np.random.Generator, layout: Layout) -> Image:
    """The empty site as (720, 1280, 3) BGR."""
    image = _sky(rng)
    _skyline(rng, image, layout)
    _crane(rng, image, layout)
    _ground(rng, image, layout)
    _building(rng, image, layout)
    return image


def _sky(rng: np.random.Generator) -> Image:
    width, height = FRAME_WH_PX
    top, bottom = SKIES[rng.integers(len(SKIES))]
    sky = np.repeat(vertical_gradient(height, top, bottom), width, axis=1)
    # Clouds are wide and flat: noise of a squeezed picture, pulled apart sideways.
    small = (width // 3, height)
    flat = soft_noise(rng, small, cell_px=110, strength=1.0)
    flat += soft_noise(rng, small, cell_px=36, strength=0.5)
    flat += soft_noise(rng, small, cell_px=13, strength=0.2)
    clouds = cv2.resize(flat, FRAME_WH_PX, interpolation=cv2.INTER_CUBIC)
    cover = np.clip(clouds * rng.uniform(0.2, 0.5), 0, 0.8)[:, :, None]
    sky = sky * (1 - cover) + np.array((246, 244, 242), np.float32) * cover
    painted: Image = np.clip(sky, 0, 255).astype(np.uint8)
    return painted


def _skyline(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    haze: Colour = (200, 186, 172)
    x = -40.0
    while x < FRAME_WH_PX[0]:
        wide, tall = rng.uniform(40, 130), rng.uniform(30, 210)
        tone = shade(haze, float(rng.uniform(0.78, 0.98)))
        top = layout.ground_px - tall
        block(image, x, top, x + wide, layout.ground_px, tone)
        for row in np.arange(top + 8, layout.ground_px, 15):
            for column in np.arange(x + 6, x + wide - 8, 13):
                block(image, column, row, column + 6, row + 7, shade(tone, 0.9))
        x += wide + rng.uniform(-10, 60)


def _crane(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    if rng.random() < 0.45:
        return
    x, top = float(rng.uniform(80, 1200)), float(rng.uniform(20, 90))
    paint: Colour = (60, 170, 225) if rng.random() < 0.6 else (70, 80, 190)
    half = 9.0
    for side in (-half, half):
        polyline(image, np.array([[x + side, top], [x + side, layout.ground_px]]), paint, 3)
    for row in np.arange(top, layout.ground_px - 18, 18):
        polyline(image, np.array([[x - half, row], [x + half, row + 18]]), paint, 1)
    reach = float(rng.choice([-1, 1]) * rng.uniform(250, 520))
    for row in (top, top + 14):
        polyline(image, np.array([[x - reach * 0.3, row], [x + reach, row]]), paint, 2)
    for step in np.arange(0, 1, 0.05):
        polyline(
            image,
            np.array(
                [
                    [x + reach * step, top + 14],
                    [x + reach * (step + 0.025), top],
                    [x + reach * (step + 0.05), top + 14],
                ]
            ),
            paint,
            1,
        )
    hook = x + reach * float(rng.uniform(0.4, 0.9))
    polyline(
        image, np.array([[hook, top + 14], [hook, top + rng.uniform(50, 120)]]), (40, 40, 40), 1
    )


def _ground(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    width, height = FRAME_WH_PX
    soil = SOILS[rng.integers(len(SOILS))]
    top = round(layout.ground_px - 8)
    image[top:] = vertical_gradient(height - top, shade(soil, 0.92), shade(soil, 1.1)).astype(
        np.uint8
    )
    weather(rng, image, (0, top, width, height), strength=6, cell_px=9)
    for _ in range(int(rng.integers(20, 60))):
        x, y = rng.uniform(0, width), rng.uniform(top + 6, height)
        size = rng.uniform(2, 7)
        tone = shade(soil, float(rng.uniform(0.6, 1.2)))
        cv2.ellipse(
            image, (int(x), int(y)), (int(size * 1.6), int(size * 0.7)), 0, 0, 360, tone, -1
        )


def _building(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    concrete = CONCRETES[rng.integers(len(CONCRETES))]
    left, right = layout.building_left_px, layout.building_right_px
    slab = float(rng.uniform(14, 22))
    for low, high in zip(layout.levels[:-1], layout.levels[1:], strict=True):
        _recess(rng, image, (left, high.y_px, right, low.y_px), concrete)
    column = float(rng.uniform(18, 30))
    for x in layout.columns_px:
        for low, high in zip(layout.levels[:-1], layout.levels[1:], strict=True):
            block(image, x, high.y_px, x + column, low.y_px, shade(concrete, 0.86))
            block(image, x, high.y_px, x + column * 0.3, low.y_px, shade(concrete, 1.02))
            weather(rng, image, (x, high.y_px, x + column, low.y_px), strength=4)
    for level in layout.levels[1:]:
        block(image, left - 8, level.y_px, right + 8, level.y_px + slab, shade(concrete, 1.04))
        block(
            image,
            left - 8,
            level.y_px + slab - 4,
            right + 8,
            level.y_px + slab,
            shade(concrete, 0.7),
        )
        weather(rng, image, (left - 8, level.y_px, right + 8, level.y_px + slab), strength=5)
    _starter_bars(rng, image, layout)


def _recess(
    rng: np.random.Generator,
    image: Image,
    ltrb_px: tuple[float, float, float, float],
    concrete: Colour,
) -> None:
    """The inside of a storey: a back wall in shadow, some brick, some openings."""
    left, top, right, bottom = ltrb_px
    gain = float(rng.uniform(0.46, 0.86))
    block(image, left, top, right, bottom, shade(concrete, gain))
    x = left
    while x < right:
        wide = float(rng.uniform(120, 300))
        kind = rng.random()
        if kind < 0.28:
            _bricks(rng, image, (x, top, min(x + wide, right), bottom), gain)
        elif kind < 0.5:
            inset = wide * 0.2
            block(
                image,
                x + inset,
                top + (bottom - top) * 0.3,
                min(x + wide - inset, right),
                bottom - (bottom - top) * 0.25,
                shade((214, 200, 180), float(rng.uniform(0.7, 1))),
            )
        x += wide
    weather(rng, image, ltrb_px, strength=4, cell_px=22)


def _bricks(
    rng: np.random.Generator, image: Image, ltrb_px: tuple[float, float, float, float], gain: float
) -> None:
    left, top, right, bottom = ltrb_px
    base = shade((84, 104, 168), gain * float(rng.uniform(0.9, 1.25)))
    block(image, left, top, right, bottom, base)
    for row, y in enumerate(np.arange(top, bottom, 9)):
        polyline(image, np.array([[left, y], [right, y]]), shade(base, 1.25), 1)
        for x in np.arange(left + (row % 2) * 11, right, 22):
            polyline(image, np.array([[x, y], [x, min(y + 9, bottom)]]), shade(base, 1.22), 1)


def _starter_bars(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    """Reinforcement sticking out of the roof above each column."""
    rust: Colour = (52, 74, 116)
    for x in layout.columns_px:
        if rng.random() < 0.5:
            continue
        for step in range(4):
            tall = float(rng.uniform(14, 34))
            foot = x + 4 + step * 5
            polyline(
                image,
                np.array(
                    [[foot, layout.roof_px], [foot + rng.uniform(-2, 2), layout.roof_px - tall]]
                ),
                rust,
                2,
            )
