"""Scripted scenes: the site comes from a seed, what people do is written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from demo.render.cast import Actor, Leg, Span
from demo.render.figure import Gait
from demo.render.layout import Layout, make_layout
from demo.render.scene import Scene, make_stage
from demo.render.tether import Lifeline, Tether, random_lifelines
from demo.render.worker import random_look

Play = Callable[[np.random.Generator, Layout, tuple[Lifeline, ...]], tuple[Actor, ...]]


@dataclass(frozen=True)
class Step:
    """One thing that somebody does: go somewhere, or stay for a while."""

    gait: Gait
    to_px: float | None = None
    """Column to walk to, or row to climb to; None stays in place."""
    lasts_s: float | None = None
    """For staying; going takes as long as the distance needs."""
    facing: float = 1.0


def route(
    start_px: tuple[float, float],
    steps: Sequence[Step],
    *,
    speed_px_s: float,
    start_s: float = 0.0,
) -> tuple[Leg, ...]:
    """Legs of a route from its steps."""
    legs: list[Leg] = []
    now, here = start_s, start_px
    for step in steps:
        there, facing = here, step.facing
        if step.to_px is not None and step.gait is Gait.CLIMB:
            there = (here[0], step.to_px)
        elif step.to_px is not None:
            there = (step.to_px, here[1])
            facing = 1.0 if there[0] >= here[0] else -1.0
        distance = abs(there[0] - here[0]) + abs(there[1] - here[1])
        took = step.lasts_s if step.lasts_s is not None else max(distance / speed_px_s, 0.1)
        if step.gait is Gait.CLIMB:
            facing = 0.0
        legs.append(Leg(now, now + took, here, there, step.gait, facing))
        now, here = now + took, there
    return tuple(legs)


def actor(
    rng: np.random.Generator,
    number: int,
    legs: tuple[Leg, ...],
    tether: Tether,
    roped_s: Sequence[tuple[float, float]],
    *,
    height_px: float,
) -> Actor:
    """One scripted person in random clothes with a harness."""
    return Actor(
        person=f"p{number}",
        look=random_look(rng, harnessed=True),
        height_px=height_px,
        side_on=float(rng.uniform(0.3, 0.9)),
        tempo=float(rng.uniform(1.2, 2.2)),
        route=legs,
        may_use=tether,
        ropes=tuple(Span(start, end, tether) for start, end in roped_s),
        depth=number,
    )


def play_scene(seed: int, play: Play) -> Scene:
    """The site of a seed with a written cast."""
    rng = np.random.default_rng(seed)
    layout = make_layout(rng)
    lifelines = random_lifelines(rng, layout)
    cast = play(rng, layout, lifelines)
    return Scene(make_stage(rng, layout, lifelines, cast), cast)
