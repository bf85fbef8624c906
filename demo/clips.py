"""The two demo clips: who does what, when, and with which rope."""

from dataclasses import dataclass

import numpy as np

from demo import seeds
from demo.render.cast import Actor
from demo.render.figure import Gait
from demo.render.fittings import LANYARD_COLOURS
from demo.render.layout import FRAME_WH_PX, Layout
from demo.render.play import Play, Step, actor, play_scene, route
from demo.render.scene import Scene
from demo.render.tether import Lifeline, Ring, Tether

LENGTH_S = 40.0
FPS = 10
WHOLE = ((0.0, LENGTH_S),)
NEVER: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Clip:
    """One camera of the demo."""

    camera: str
    seed: int
    frame_wh_px: tuple[int, int]
    play: Play

    @property
    def frame_count(self) -> int:
        """Frames in the clip."""
        return round(LENGTH_S * FPS)

    def scene(self) -> Scene:
        """The scene in the staging frame's 1280x720."""
        return play_scene(self.seed, self.play)


def _rope(
    anchor_px: tuple[float, float],
    foot_px: tuple[float, float] | None,
    colour: tuple[int, int, int],
    *,
    ring: Ring = Ring.DORSAL,
    slack: float = 0.08,
) -> Tether:
    """A rope to a fixed anchor, with a post where foot_px is given."""
    return Tether(anchor_px, False, 0.0, ring, colour, 0.031, slack, foot_px)


CLIPS_ON = (
    Step(Gait.STAND, lasts_s=4),
    Step(Gait.WALK, to_px=580),
    Step(Gait.WORK, lasts_s=5),
    Step(Gait.WALK, to_px=500),
    Step(Gait.STAND, lasts_s=7, facing=-1),
    Step(Gait.WORK, lasts_s=8, facing=-1),
    Step(Gait.STAND, lasts_s=20, facing=-1),
)
"""Roof of site-a: clips on at 16 s."""
ALWAYS_ROPED = (
    Step(Gait.WORK, lasts_s=7),
    Step(Gait.WALK, to_px=340),
    Step(Gait.KNEEL, lasts_s=8),
    Step(Gait.WALK, to_px=240),
    Step(Gait.STAND, lasts_s=6),
    Step(Gait.WORK, lasts_s=20),
)
"""Deck of site-a, left."""
NEVER_ROPED = (
    Step(Gait.STAND, lasts_s=5, facing=-1),
    Step(Gait.WALK, to_px=1085),
    Step(Gait.WORK, lasts_s=9),
    Step(Gait.WALK, to_px=980),
    Step(Gait.KNEEL, lasts_s=7, facing=-1),
    Step(Gait.WALK, to_px=1050),
    Step(Gait.STAND, lasts_s=20),
)
"""Deck of site-a, right."""
LEAVES = (
    Step(Gait.STAND, lasts_s=4),
    Step(Gait.WALK, to_px=640),
    Step(Gait.WORK, lasts_s=4, facing=-1),
    Step(Gait.WALK, to_px=-90),
)
"""Ground of site-a: walks out to the left."""
UNCLIPS = (
    Step(Gait.WORK, lasts_s=8),
    Step(Gait.STAND, lasts_s=7),
    Step(Gait.WALK, to_px=560),
    Step(Gait.WORK, lasts_s=9, facing=-1),
    Step(Gait.WALK, to_px=640),
    Step(Gait.STAND, lasts_s=20),
)
"""Roof of site-b: unclips at 14 s."""
CHANGES_OVER = (
    Step(Gait.KNEEL, lasts_s=6),
    Step(Gait.STAND, lasts_s=5),
    Step(Gait.WALK, to_px=960),
    Step(Gait.WORK, lasts_s=4, facing=-1),
    Step(Gait.WALK, to_px=1070),
    Step(Gait.STAND, lasts_s=4),
    Step(Gait.WORK, lasts_s=20),
)
"""Deck of site-b: unclips at 9 s, clips on again at 23 s."""
COMES_AND_GOES = (
    Step(Gait.WALK, to_px=820),
    Step(Gait.STAND, lasts_s=5, facing=-1),
    Step(Gait.WALK, to_px=FRAME_WH_PX[0] + 110.0),
)
"""Ground of site-b: in from the right, and out again."""


def _site_a(
    rng: np.random.Generator, layout: Layout, _lines: tuple[Lifeline, ...]
) -> tuple[Actor, ...]:
    """Roof: clips on at 16 s. Deck: one always roped, one never. Ground: one walks out."""
    ground, deck, roof = layout.levels
    high = deck.person_px
    go = 0.36 * high
    on_roof = _rope((430, roof.y_px - 1.24 * high), (380, roof.y_px), LANYARD_COLOURS[0])
    clips_on = actor(
        rng,
        1,
        route((500, roof.y_px), CLIPS_ON, speed_px_s=go),
        on_roof,
        ((16.0, LENGTH_S),),
        height_px=high,
    )
    on_deck = _rope((285, deck.y_px - 1.3 * high), None, LANYARD_COLOURS[1], ring=Ring.DORSAL)
    always = actor(
        rng,
        2,
        route((230, deck.y_px), ALWAYS_ROPED, speed_px_s=go),
        on_deck,
        WHOLE,
        height_px=high * 1.03,
    )
    spare = _rope((1120, deck.y_px - 1.28 * high), None, LANYARD_COLOURS[3])
    never = actor(
        rng,
        3,
        route((960, deck.y_px), NEVER_ROPED, speed_px_s=go),
        spare,
        NEVER,
        height_px=high * 0.97,
    )
    leaves = actor(
        rng,
        4,
        route((820, ground.y_px + 22), LEAVES, speed_px_s=go * 1.15),
        spare,
        NEVER,
        height_px=ground.person_px,
    )
    return clips_on, always, never, leaves


def _site_b(
    rng: np.random.Generator, layout: Layout, _lines: tuple[Lifeline, ...]
) -> tuple[Actor, ...]:
    """Roof: unclips at 14 s. Ladder: climbs on a rope. Deck: changes over. Ground: comes, goes."""
    ground, deck, roof = layout.levels
    high = deck.person_px
    go = 0.36 * high
    on_roof = _rope(
        (860, roof.y_px - 1.22 * high), (905, roof.y_px), LANYARD_COLOURS[2], slack=0.1
    )
    unclips = actor(
        rng,
        1,
        route((790, roof.y_px), UNCLIPS, speed_px_s=go),
        on_roof,
        ((0.0, 14.0),),
        height_px=high,
    )
    climbs = _climber(rng, layout)
    on_deck = _rope((1130, deck.y_px - 1.26 * high), None, LANYARD_COLOURS[0], slack=0.06)
    changes = actor(
        rng,
        3,
        route((1080, deck.y_px), CHANGES_OVER, speed_px_s=go),
        on_deck,
        ((0.0, 9.0), (23.0, LENGTH_S)),
        height_px=high * 1.02,
    )
    passes = actor(
        rng,
        4,
        route(
            (FRAME_WH_PX[0] + 90.0, ground.y_px + 24),
            COMES_AND_GOES,
            speed_px_s=go * 1.2,
            start_s=2.0,
        ),
        on_deck,
        NEVER,
        height_px=ground.person_px,
    )
    return unclips, climbs, changes, passes


def _climber(rng: np.random.Generator, layout: Layout) -> Actor:
    """Up and down the first ladder of site-b, roped to a post above it."""
    deck, ladder = layout.levels[1], layout.ladders[0]
    high = deck.person_px
    top = ladder.top_px + 0.55 * high
    overhead = _rope(
        (ladder.x_px + 0.2 * high, ladder.top_px - 0.62 * high),
        (ladder.x_px + 0.45 * high, deck.y_px),
        LANYARD_COLOURS[1],
        slack=0.03,
    )
    return actor(
        rng,
        2,
        route(
            (ladder.x_px, ladder.bottom_px),
            (
                Step(Gait.CLIMB, lasts_s=3),
                Step(Gait.CLIMB, to_px=top),
                Step(Gait.CLIMB, lasts_s=4),
                Step(Gait.CLIMB, to_px=ladder.bottom_px - 20),
                Step(Gait.CLIMB, to_px=top + 20),
                Step(Gait.CLIMB, lasts_s=20),
            ),
            speed_px_s=0.36 * high * 0.4,
        ),
        overhead,
        WHOLE,
        height_px=high,
    )


CLIPS = (
    Clip("site-a", seeds.CLIPS[39], (1280, 720), _site_a),
    Clip("site-b", seeds.CLIPS[56], (960, 540), _site_b),
)
