"""Ropes that hold people: where they are fixed, how they hang, how they are drawn."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from demo.render.figure import Joints
from demo.render.fittings import LANYARD_COLOURS
from demo.render.layout import Layout, Level
from demo.render.paint import (
    Colour,
    Image,
    Points,
    block,
    disc,
    hanging_curve,
    polyline,
    rope,
    shade,
)


class Ring(str, Enum):
    """Where on the harness the rope is hooked."""

    DORSAL = "dorsal"
    BELT = "belt"


@dataclass(frozen=True)
class Tether:
    """One rope with its anchor."""

    anchor_px: tuple[float, float]
    """Fixed point; on a lifeline only the row counts and the hook slides along."""
    slides: bool
    """True: hooked to a lifeline, so the anchor follows the person."""
    trail_px: float
    """On a lifeline: how far the hook is off the person, to the right."""
    ring: Ring
    colour: Colour
    width_share: float
    """Thickness as a share of the person's height."""
    slack: float
    """Sag as a share of the distance between ring and anchor."""
    post_px: tuple[float, float] | None
    """Foot of the post that carries the anchor; None where a slab or a lifeline does."""

    def curve(self, joints: Joints, feet_px: tuple[float, float], height_px: float) -> Points:
        """The rope in frame pixels, from the ring to the anchor, (24, 2)."""
        ring = joints.dorsal() if self.ring is Ring.DORSAL else joints.belt()
        start = np.array(feet_px) + ring * height_px
        anchor = np.array(self.anchor_px)
        if self.slides:
            anchor = np.array([feet_px[0] + self.trail_px, self.anchor_px[1]])
        reach = float(np.hypot(*(anchor - start)))
        return hanging_curve(start, anchor, sag_px=self.slack * reach)


def draw_tether(image: Image, tether: Tether, curve: Points, height_px: float) -> None:
    """The rope over the person, its hooks at both ends, and the anchor's plate."""
    width = max(3.2, tether.width_share * height_px)
    anchor, ring = curve[-1], curve[0]
    if tether.slides:
        disc(image, anchor, width * 1.3, (50, 50, 54))
    rope(image, curve, tether.colour, width)
    for end in (ring, anchor):
        disc(image, end, width * 0.95, (40, 40, 44))
        disc(image, end, width * 0.5, (214, 218, 222))


def paint_anchor(image: Image, tether: Tether, height_px: float) -> None:
    """The plate of a fixed anchor and the post that carries it, if any."""
    if tether.slides:
        return
    width = max(3.2, tether.width_share * height_px)
    x, y = tether.anchor_px
    if tether.post_px is not None:
        foot_x, foot_y = tether.post_px
        for tone, thick, move in ((0.6, 7.0, 0.0), (1.0, 4.0, -1.0)):
            arm = np.array([[foot_x + move, foot_y], [foot_x + move, y], [x, y]])
            polyline(image, arm, shade((70, 150, 205), tone), thick)
    block(image, x - width * 1.8, y - width * 1.2, x + width * 1.8, y + width * 1.2, (44, 48, 120))


@dataclass(frozen=True)
class Lifeline:
    """A rope along a level that lanyards can be hooked to; by itself it holds nobody."""

    level: int
    y_px: float
    colour: Colour
    overhead: bool


def random_lifelines(rng: np.random.Generator, layout: Layout) -> tuple[Lifeline, ...]:
    """One for most levels: overhead indoors, on posts at waist to shoulder height outdoors."""
    lines = []
    for number, level in enumerate(layout.levels):
        overhead = not level.outdoors or bool(rng.random() < 0.5)
        share = rng.uniform(1.08, 1.24) if overhead else rng.uniform(0.55, 0.85)
        if rng.random() < 0.75:
            tone: Colour = (70, 72, 76) if rng.random() < 0.6 else (60, 200, 240)
            lines.append(
                Lifeline(number, level.y_px - level.person_px * float(share), tone, overhead)
            )
    return tuple(lines)


def paint_lifeline(image: Image, line: Lifeline, level: Level) -> None:
    """Two posts and the line between them."""
    left, right = max(level.left_px, -20.0) + 12, min(level.right_px, 1300.0) - 12
    for x in (left, (left + right) / 2, right):
        post = np.array([[x, line.y_px - 4], [x, level.y_px]])
        polyline(image, post, shade((90, 110, 190), 0.7), 6)
        polyline(image, post - [1, 0], (90, 110, 190), 3)
    for start, end in ((left, (left + right) / 2), ((left + right) / 2, right)):
        curve = hanging_curve(np.array([start, line.y_px]), np.array([end, line.y_px]), sag_px=3)
        polyline(image, curve, line.colour, 2.4)


def random_tether(
    rng: np.random.Generator, level: Level, line: Lifeline | None, *, x_px: float, y_px: float
) -> Tether:
    """A rope for somebody who stays around x_px with the feet at y_px."""
    high = level.person_px
    ring = Ring.DORSAL if rng.random() < 0.7 else Ring.BELT
    colour = LANYARD_COLOURS[rng.integers(len(LANYARD_COLOURS))]
    width = float(rng.uniform(0.026, 0.036))
    if line is not None and rng.random() < 0.5:
        # Never straight at the ring: a rope that hides behind the body cannot be judged.
        trail = float(rng.choice([-1, 1]) * rng.uniform(0.24, 0.46)) * high
        slack = float(rng.uniform(0.02, 0.3))
        return Tether((0.0, line.y_px), True, trail, ring, colour, width, slack, None)
    side = float(rng.choice([-1, 1]))
    kind = rng.random()
    if kind < 0.5:
        anchor = (x_px + side * rng.uniform(0.1, 0.5) * high, y_px - rng.uniform(1.15, 1.5) * high)
        slack = float(rng.uniform(0.0, 0.1))
    elif kind < 0.8:
        anchor = (
            x_px + side * rng.uniform(0.45, 0.95) * high,
            y_px - rng.uniform(0.35, 1.0) * high,
        )
        slack = float(rng.uniform(0.04, 0.35))
    else:
        anchor = (
            x_px + side * rng.uniform(0.45, 0.9) * high,
            y_px - rng.uniform(0.0, 0.06) * high,
        )
        slack = float(rng.uniform(0.0, 0.15))
    # Indoors an overhead anchor may sit on the slab; elsewhere a post has to carry it.
    floats = level.outdoors or rng.random() < 0.4
    post = (anchor[0] + side * rng.uniform(4, 0.3 * high), level.y_px) if floats else None
    return Tether(
        (float(anchor[0]), float(anchor[1])), False, 0.0, ring, colour, width, slack, post
    )
