"""Where things stand on a site: levels to walk on, ladders, lifelines, anchors."""

from dataclasses import dataclass

import numpy as np

FRAME_WH_PX = (1280, 720)
"""All staging is in this frame; a clip of another size is scaled at the end."""


@dataclass(frozen=True)
class Level:
    """Something people walk on."""

    left_px: float
    right_px: float
    y_px: float
    """Row of the walking surface."""
    person_px: float
    """Height of an average person standing here."""
    outdoors: bool
    """Nothing overhead: the ground or a roof."""


@dataclass(frozen=True)
class Ladder:
    """An upright ladder."""

    x_px: float
    top_px: float
    bottom_px: float
    width_px: float


@dataclass(frozen=True)
class Layout:
    """A whole site, in pixels of the 1280x720 staging frame."""

    levels: tuple[Level, ...]
    """From the ground up; the last is the roof."""
    storey_px: float
    building_left_px: float
    building_right_px: float
    columns_px: tuple[float, ...]
    tubes_px: tuple[float, ...]
    """Scaffold uprights."""
    ladders: tuple[Ladder, ...]

    @property
    def ground_px(self) -> float:
        """Row where the building meets the ground."""
        return self.levels[0].y_px

    @property
    def roof_px(self) -> float:
        """Row of the top slab."""
        return self.levels[-1].y_px


def make_layout(rng: np.random.Generator) -> Layout:
    """Random site with one to three storeys; people are 120 to 230 px tall."""
    width, _ = FRAME_WH_PX
    storeys = int(rng.choice([1, 2, 2, 2, 3]))
    ground = float(rng.uniform(610, 668))
    storey = {1: rng.uniform(290, 350), 2: rng.uniform(198, 222), 3: rng.uniform(148, 160)}[
        storeys
    ]
    person = (
        float(storey * rng.uniform(0.7, 0.78)) if storeys > 1 else float(rng.uniform(185, 225))
    )
    left = float(rng.choice([-60.0, rng.uniform(40, 190)]))
    right = float(rng.choice([width + 60.0, rng.uniform(width - 190, width - 40)]))
    levels = [Level(-80.0, width + 80.0, ground, person * 1.04, outdoors=True)]
    levels.extend(
        Level(left, right, ground - number * storey, person, outdoors=number == storeys)
        for number in range(1, storeys + 1)
    )
    pitch = float(rng.uniform(190, 300))
    columns = tuple(np.arange(left + rng.uniform(10, 60), right, pitch).tolist())
    tube_pitch = float(rng.uniform(170, 270))
    tubes = tuple(np.arange(max(left, -20) + rng.uniform(0, 120), right, tube_pitch).tolist())
    ladders = tuple(
        Ladder(
            float(rng.uniform(max(left, 0) + 90, min(right, width) - 90)),
            low.y_px - storey - person * 0.25,
            low.y_px,
            person * 0.22,
        )
        for low in levels[:-1]
        if rng.random() < 0.85
    )
    return Layout(tuple(levels), float(storey), left, right, columns, tubes, ladders)
