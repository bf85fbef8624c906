"""Scaffold, ladders and clutter: partly behind the people, partly in front of them."""

import numpy as np

from demo.render.layout import FRAME_WH_PX, Layout
from demo.render.paint import (
    Colour,
    Image,
    block,
    disc,
    hanging_curve,
    polygon,
    polyline,
    rope,
    shade,
    weather,
)

TUBE: Colour = (168, 172, 176)
PLANK: Colour = (112, 160, 196)
LANYARD_COLOURS: tuple[Colour, ...] = (
    (190, 40, 255),
    (235, 40, 235),
    (255, 70, 180),
    (150, 60, 255),
)
"""Safety ropes of the drawn sites are pink to violet, a hue that little else there has: a network
small enough to be trained in minutes needs so strong a sign."""
LOOSE_COLOURS: tuple[Colour, ...] = (
    (30, 120, 255),
    (40, 40, 225),
    (70, 210, 245),
    (235, 235, 235),
    (200, 90, 30),
    (60, 190, 90),
    (30, 220, 255),
    (60, 90, 130),
)


def paint_behind(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    """Scaffold tubes and planks, ladders, materials, and clutter that looks like rope."""
    for x in layout.tubes_px:
        _tube(image, (x, layout.roof_px - 20), (x, layout.ground_px + 4), 5)
    if rng.random() < 0.6:
        _braces(image, layout)
    for level in layout.levels[1:-1]:
        block(
            image,
            layout.building_left_px,
            level.y_px - 1,
            layout.building_right_px,
            level.y_px + 6,
            shade(PLANK, float(rng.uniform(0.75, 1.05))),
        )
    for ladder in layout.ladders:
        _ladder(image, ladder.x_px, ladder.top_px, ladder.bottom_px, ladder.width_px)
    _materials(rng, image, layout)
    _lookalikes(rng, image, layout)


def paint_in_front(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    """What may hide a part of a person: guard rails, tubes, toe boards, stacks."""
    for level in layout.levels[1:]:
        if rng.random() < 0.45:
            _guard_rail(rng, image, layout, level.y_px, level.person_px)
    for x in layout.tubes_px:
        if rng.random() < 0.5:
            _tube(image, (x + 26, layout.roof_px - 12), (x + 26, layout.ground_px + 12), 6)
    ground = layout.levels[0]
    for _ in range(int(rng.integers(0, 3))):
        x, wide = float(rng.uniform(0, FRAME_WH_PX[0])), float(rng.uniform(50, 120))
        tall = ground.person_px * float(rng.uniform(0.12, 0.36))
        foot = ground.y_px + float(rng.uniform(18, 44))
        _stack(rng, image, (x, foot - tall, x + wide, foot))
    if rng.random() < 0.4:
        _barrier_tape(rng, image, layout)


def _tube(
    image: Image, start: tuple[float, float], end: tuple[float, float], width: float
) -> None:
    line = np.array([start, end], float)
    polyline(image, line, shade(TUBE, 0.6), width)
    polyline(image, line - [1, 0.6], TUBE, width * 0.55)


def _braces(image: Image, layout: Layout) -> None:
    for number, (left, right) in enumerate(
        zip(layout.tubes_px[:-1], layout.tubes_px[1:], strict=True)
    ):
        for low, high in zip(layout.levels[:-1], layout.levels[1:], strict=True):
            ends = (low.y_px, high.y_px) if number % 2 else (high.y_px, low.y_px)
            if number % 3 != 2:
                _tube(image, (left, ends[0]), (right, ends[1]), 3)


def _ladder(image: Image, x: float, top: float, bottom: float, width: float) -> None:
    wood: Colour = (90, 190, 225)
    for side in (-0.5, 0.5):
        _rail = np.array([[x + side * width, top], [x + side * width, bottom]])
        polyline(image, _rail, shade(wood, 0.65), 6)
        polyline(image, _rail - [1, 0], wood, 3)
    for row in np.arange(top + 8, bottom - 4, max(11.0, width * 0.42)):
        polyline(
            image, np.array([[x - width / 2, row], [x + width / 2, row]]), shade(wood, 0.8), 3
        )


def _guard_rail(
    rng: np.random.Generator, image: Image, layout: Layout, y: float, person_px: float
) -> None:
    tone: Colour = TUBE if rng.random() < 0.6 else (40, 190, 235)
    left = float(rng.uniform(layout.building_left_px, 500))
    right = float(rng.uniform(700, layout.building_right_px))
    for share in (0.28, 0.5):
        line = np.array([[left, y - person_px * share], [right, y - person_px * share]])
        polyline(image, line, shade(tone, 0.65), 4)
        polyline(image, line - [0, 1], tone, 2)
    for x in np.arange(left, right + 1, float(rng.uniform(110, 170))):
        _tube(image, (x, y - person_px * 0.52), (x, y + 4), 4)
    block(image, left, y - person_px * 0.07, right, y, shade(PLANK, 0.8))


def _stack(
    rng: np.random.Generator, image: Image, ltrb_px: tuple[float, float, float, float]
) -> None:
    """Bricks, boards or a drum."""
    left, top, right, bottom = ltrb_px
    kind = rng.integers(3)
    if kind == 0:
        block(image, left, top, right, bottom, (70, 90, 158))
        for row in np.arange(top, bottom, 8):
            polyline(image, np.array([[left, row], [right, row]]), (96, 120, 176), 1)
    elif kind == 1:
        for row in np.arange(top, bottom, 7):
            tone = shade(PLANK, float(rng.uniform(0.65, 1.05)))
            block(image, left + rng.uniform(-6, 6), row, right + rng.uniform(-6, 6), row + 5, tone)
    else:
        tone = ((160, 90, 40), (50, 60, 170), (60, 120, 60))[int(rng.integers(3))]
        block(image, left, top, right, bottom, tone)
        block(image, left, top, left + (right - left) * 0.25, bottom, shade(tone, 1.25))
        for share in (0.0, 0.33, 0.66):
            row = top + (bottom - top) * share
            block(image, left - 2, row, right + 2, row + 3, shade(tone, 0.7))
    weather(rng, image, ltrb_px, strength=4)


def _materials(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    for level in layout.levels:
        for _ in range(int(rng.integers(0, 4))):
            x = float(rng.uniform(max(level.left_px, 0), min(level.right_px, 1280) - 60))
            wide, tall = (
                float(rng.uniform(30, 110)),
                level.person_px * float(rng.uniform(0.1, 0.42)),
            )
            _stack(rng, image, (x, level.y_px - tall, x + wide, level.y_px))
    for _ in range(int(rng.integers(0, 4))):
        x, foot = float(rng.uniform(0, 1280)), layout.ground_px + float(rng.uniform(4, 40))
        _cone(image, x, foot, 34)


def _cone(image: Image, x: float, foot: float, tall: float) -> None:
    orange: Colour = (30, 100, 240)
    polygon(
        image,
        np.array([[x - 2, foot - tall], [x + 2, foot - tall], [x + 11, foot], [x - 11, foot]]),
        orange,
    )
    for near, far in ((0.42, 0.6), (0.75, 0.88)):
        polygon(
            image,
            np.array(
                [
                    [x - 2 - 9 * near, foot - tall * (1 - near)],
                    [x + 2 + 9 * near, foot - tall * (1 - near)],
                    [x + 2 + 9 * far, foot - tall * (1 - far)],
                    [x - 2 - 9 * far, foot - tall * (1 - far)],
                ]
            ),
            (235, 238, 240),
        )
    block(image, x - 15, foot - 3, x + 15, foot, shade(orange, 0.8))


def _lookalikes(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    """Cables along walls, loose ropes hanging from slabs, hoses on the floor."""
    for low, high in zip(layout.levels[:-1], layout.levels[1:], strict=True):
        span = layout.building_right_px - layout.building_left_px
        if rng.random() < 0.5:
            x = layout.building_left_px + float(rng.uniform(0, 0.6)) * span
            ends = np.array([[x, high.y_px + 24], [x + rng.uniform(150, 400), high.y_px + 24]])
            tone: Colour = ((26, 26, 28), (30, 110, 230), (40, 160, 60))[int(rng.integers(3))]
            polyline(
                image, hanging_curve(ends[0], ends[1], sag_px=float(rng.uniform(6, 40))), tone, 2
            )
        for _ in range(int(rng.integers(0, 3))):
            x = layout.building_left_px + float(rng.uniform(0.05, 0.95)) * span
            drop = (low.y_px - high.y_px) * float(rng.uniform(0.25, 0.95))
            _loose_rope(rng, image, x, high.y_px + 16, drop)
        if rng.random() < 0.5:
            _hose(rng, image, low.y_px - 3, layout)


def _loose_rope(rng: np.random.Generator, image: Image, x: float, top: float, drop: float) -> None:
    rows = np.linspace(0, 1, 20)
    sway = float(rng.uniform(2, 9))
    curve = np.stack(
        [x + np.sin(rows * rng.uniform(2, 6)) * sway * rows, top + rows * drop], axis=1
    )
    # Now and then a safety rope that holds nobody, so that colour alone does not decide.
    palette = LANYARD_COLOURS if rng.random() < 0.12 else LOOSE_COLOURS
    colour = palette[rng.integers(len(palette))]
    rope(image, curve, colour, float(rng.uniform(2, 4)))
    if rng.random() < 0.5:
        disc(image, curve[-1], 4, shade(colour, 0.8))


def _hose(rng: np.random.Generator, image: Image, y: float, layout: Layout) -> None:
    x = float(rng.uniform(max(layout.building_left_px, 0), 900))
    along = np.linspace(0, 1, 40)
    curve = np.stack(
        [x + along * rng.uniform(120, 320), y - 4 - 4 * np.sin(along * rng.uniform(6, 18))], axis=1
    )
    colours: tuple[Colour, ...] = ((40, 150, 60), (190, 120, 30), (30, 30, 32), (30, 110, 235))
    rope(image, curve, colours[int(rng.integers(len(colours)))], 4)


def _barrier_tape(rng: np.random.Generator, image: Image, layout: Layout) -> None:
    """Red and white tape between two posts on the ground."""
    left, right = float(rng.uniform(0, 500)), float(rng.uniform(600, 1280))
    y = layout.ground_px + float(rng.uniform(2, 30)) - layout.levels[0].person_px * 0.34
    curve = hanging_curve(np.array([left, y]), np.array([right, y]), sag_px=14, points=60)
    for number in range(len(curve) - 1):
        tone: Colour = (40, 40, 215) if number % 2 else (236, 236, 240)
        polyline(image, curve[number : number + 2], tone, 5)
    for x in (left, right):
        _tube(image, (x, y - 6), (x, layout.ground_px + 34), 5)
