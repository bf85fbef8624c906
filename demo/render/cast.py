"""Who is on the site: routes in time, and when a rope holds."""

from dataclasses import dataclass

import numpy as np

from demo.render.figure import Gait
from demo.render.layout import FRAME_WH_PX, Layout
from demo.render.tether import Lifeline, Tether, random_tether
from demo.render.worker import Look, random_look

SCENE_S = 24.0
"""Random routes cover this long."""


@dataclass(frozen=True)
class Leg:
    """A piece of a route: from one point to another in a straight line."""

    start_s: float
    end_s: float
    from_px: tuple[float, float]
    to_px: tuple[float, float]
    gait: Gait
    facing: float
    """-1 left, 1 right; a climber has his back to the camera."""


@dataclass(frozen=True)
class Span:
    """While this lasts the person is held by the rope; before and after, not."""

    start_s: float
    end_s: float
    tether: Tether


@dataclass(frozen=True)
class Actor:
    """One person for a whole scene."""

    person: str
    look: Look
    height_px: float
    side_on: float
    tempo: float
    """Radians a second of the working movement."""
    route: tuple[Leg, ...]
    may_use: Tether
    """The anchor near this person, used or not."""
    ropes: tuple[Span, ...]
    depth: int
    """Drawn in this order: larger is nearer."""

    def leg_at(self, t_s: float) -> Leg | None:
        """The piece of route at a moment; None before the first and after the last."""
        for leg in self.route:
            if leg.start_s <= t_s < leg.end_s:
                return leg
        return None

    def tether_at(self, t_s: float) -> Tether | None:
        """The rope that holds at a moment."""
        for span in self.ropes:
            if span.start_s <= t_s < span.end_s:
                return span.tether
        return None


def feet_at(leg: Leg, t_s: float) -> tuple[float, float]:
    """Point between the feet, frame pixels."""
    share = (t_s - leg.start_s) / (leg.end_s - leg.start_s)
    x = leg.from_px[0] + share * (leg.to_px[0] - leg.from_px[0])
    y = leg.from_px[1] + share * (leg.to_px[1] - leg.from_px[1])
    return x, y


def phase_at(actor: Actor, leg: Leg, t_s: float) -> float:
    """Phase of the gait: by distance for walking and climbing, by time otherwise."""
    x, y = feet_at(leg, t_s)
    if leg.gait is Gait.WALK:
        return (x * leg.facing) / (0.4 * actor.height_px) * np.pi
    if leg.gait is Gait.CLIMB:
        return y / (0.2 * actor.height_px) * np.pi
    return t_s * actor.tempo + actor.depth


def random_cast(
    rng: np.random.Generator, layout: Layout, lines: tuple[Lifeline, ...]
) -> tuple[Actor, ...]:
    """Up to six people at random places with random habits."""
    cast: list[Actor] = []
    taken: list[tuple[int, float]] = []
    for number in range(int(rng.integers(2, 7))):
        where = int(rng.integers(len(layout.levels)))
        x = float(rng.uniform(10, FRAME_WH_PX[0] - 10))
        room = layout.levels[where].person_px * 1.3
        # Most people keep their distance; a few work side by side and hide each other.
        if rng.random() < 0.85 and any(
            level == where and abs(other - x) < room for level, other in taken
        ):
            continue
        taken.append((where, x))
        cast.append(_random_actor(rng, layout, lines, number=number, where=where, x=x))
    return tuple(cast)


def _random_actor(
    rng: np.random.Generator,
    layout: Layout,
    lines: tuple[Lifeline, ...],
    *,
    number: int,
    where: int,
    x: float,
) -> Actor:
    level = layout.levels[where]
    line = next((line for line in lines if line.level == where), None)
    low, high = max(level.left_px, -20.0) + 30, min(level.right_px, FRAME_WH_PX[0] + 20.0) - 30
    x = float(np.clip(x, low, high))
    y = level.y_px + (float(rng.uniform(0, 34)) if where == 0 else 0.0)
    ladder = next((one for one in layout.ladders if abs(one.bottom_px - level.y_px) < 1), None)
    if ladder is not None and rng.random() < 0.3:
        x = ladder.x_px
        y = ladder.top_px + level.person_px * 0.5
        route = climbing_route(rng, x, ladder.bottom_px, y)
        line = None
    else:
        route = wandering_route(rng, x, y, (low, high), level.person_px)
    tether = random_tether(rng, level, line, x_px=x, y_px=y)
    ropes = _random_ropes(rng, tether)
    return Actor(
        person=f"p{number + 1}",
        look=random_look(rng, harnessed=bool(ropes) or bool(rng.random() < 0.6)),
        height_px=level.person_px * float(rng.uniform(0.92, 1.08)),
        side_on=float(rng.uniform(0.1, 1.0)),
        tempo=float(rng.uniform(1.2, 3.0)),
        route=route,
        may_use=tether,
        ropes=ropes,
        depth=number,
    )


def _random_ropes(rng: np.random.Generator, tether: Tether) -> tuple[Span, ...]:
    """Always, never, or for a part of the scene."""
    habit = rng.random()
    if habit < 0.42:
        return (Span(0.0, SCENE_S, tether),)
    if habit < 0.82:
        return ()
    change = float(rng.uniform(6, 18))
    return (Span(0.0, change, tether),) if habit < 0.91 else (Span(change, SCENE_S, tether),)


def wandering_route(
    rng: np.random.Generator, x: float, y: float, limits_px: tuple[float, float], person_px: float
) -> tuple[Leg, ...]:
    """Walk, stop, work, walk back, never far from x."""
    legs: list[Leg] = []
    now, here = 0.0, x
    while now < SCENE_S:
        if rng.random() < 0.5:
            there = float(np.clip(x + rng.uniform(-1.1, 1.1) * person_px, *limits_px))
            took = max(0.4, abs(there - here) / (person_px * float(rng.uniform(0.45, 0.8))))
            facing = 1.0 if there >= here else -1.0
            legs.append(Leg(now, now + took, (here, y), (there, y), Gait.WALK, facing))
            here = there
        else:
            took = float(rng.uniform(1.5, 5))
            gait = (Gait.STAND, Gait.WORK, Gait.KNEEL)[int(rng.integers(3))]
            facing = float(rng.choice([-1, 1]))
            legs.append(Leg(now, now + took, (here, y), (here, y), gait, facing))
        now += took
    return tuple(legs)


def climbing_route(
    rng: np.random.Generator, x: float, bottom: float, top: float
) -> tuple[Leg, ...]:
    """Up and down a ladder with pauses."""
    legs: list[Leg] = []
    now, here = 0.0, float(rng.uniform(top, bottom))
    while now < SCENE_S:
        there = float(rng.uniform(top, bottom))
        took = max(0.5, abs(there - here) / float(rng.uniform(35, 70)))
        legs.append(Leg(now, now + took, (x, here), (x, there), Gait.CLIMB, 0.0))
        now, here = now + took, there
    return tuple(legs)
