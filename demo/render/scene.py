"""A site with its people at a moment: pixels, and what is true in them."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from demo.render.backdrop import paint_backdrop
from demo.render.cast import Actor, feet_at, phase_at, random_cast
from demo.render.figure import pose
from demo.render.fittings import paint_behind, paint_in_front
from demo.render.layout import FRAME_WH_PX, Layout, make_layout
from demo.render.paint import Image, Points
from demo.render.tether import (
    Lifeline,
    draw_tether,
    paint_anchor,
    paint_lifeline,
    random_lifelines,
)
from demo.render.worker import Cutout, draw_worker
from demo.truth import PersonTruth

Cover = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """Shake and exposure, as slow waves."""

    shake_px: float
    shake_hz: tuple[float, float]
    light: float
    """Swing of the exposure, share."""
    light_hz: float
    tint: tuple[float, float, float]
    """Gain of blue, green and red."""

    def shift_px(self, t_s: float) -> tuple[float, float]:
        """How far the picture is moved at a moment."""
        x = np.sin(2 * np.pi * self.shake_hz[0] * t_s) + 0.5 * np.sin(7.3 * self.shake_hz[1] * t_s)
        y = np.sin(2 * np.pi * self.shake_hz[1] * t_s + 1) + 0.5 * np.sin(
            9.1 * self.shake_hz[0] * t_s
        )
        return float(x) * self.shake_px, float(y) * self.shake_px * 0.7

    def gain(self, t_s: float) -> float:
        """Exposure at a moment."""
        return 1.0 + self.light * float(np.sin(2 * np.pi * self.light_hz * t_s))


@dataclass(frozen=True)
class Stage:
    """The site without people."""

    layout: Layout
    lifelines: tuple[Lifeline, ...]
    behind: Image
    in_front: Image
    front_cover: npt.NDArray[np.bool_]
    """(720, 1280), where in_front hides the people."""
    camera: Camera


@dataclass(frozen=True)
class Frame:
    """One picture with its truth."""

    image: Image
    """(720, 1280, 3) BGR."""
    people: tuple[PersonTruth, ...]
    """Everyone of whom a part is inside the picture."""
    ropes_px: dict[str, Points]
    """For each roped person the rope's curve, (K, 2)."""


def make_stage(
    rng: np.random.Generator,
    layout: Layout,
    lifelines: tuple[Lifeline, ...],
    cast: tuple[Actor, ...],
) -> Stage:
    """Paint the site without people; anchors stand whether somebody hooks on or not."""
    behind = paint_backdrop(rng, layout)
    paint_behind(rng, behind, layout)
    for line in lifelines:
        paint_lifeline(behind, line, layout.levels[line.level])
    for actor in cast:
        paint_anchor(behind, actor.may_use, actor.height_px)
    in_front = behind.copy()
    paint_in_front(rng, in_front, layout)
    cover = np.any(cv2.absdiff(in_front, behind) > 12, axis=2)
    camera = Camera(
        shake_px=float(rng.uniform(0, 1.6)),
        shake_hz=(float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.2, 0.9))),
        light=float(rng.uniform(0.0, 0.14)),
        light_hz=float(rng.uniform(0.02, 0.12)),
        tint=(float(rng.uniform(0.9, 1.08)), 1.0, float(rng.uniform(0.9, 1.08))),
    )
    return Stage(layout, lifelines, behind, in_front, cover, camera)


@dataclass(frozen=True)
class Scene:
    """A stage with its cast; `render` may be called for any moment, in any order."""

    stage: Stage
    cast: tuple[Actor, ...]

    def render(self, t_s: float) -> Frame:
        """Picture and truth at a moment."""
        image = self.stage.behind.copy()
        shift = self.stage.camera.shift_px(t_s)
        drawn: list[tuple[Actor, Cutout, Points | None]] = []
        owner = np.full(image.shape[:2], -1, np.int8)
        for actor in sorted(self.cast, key=lambda one: one.depth):
            leg = actor.leg_at(t_s)
            if leg is None:
                continue
            feet = feet_at(leg, t_s)
            joints = pose(
                leg.gait, phase_at(actor, leg, t_s), facing=leg.facing, side_on=actor.side_on
            )
            tether = actor.tether_at(t_s)
            cutout = draw_worker(
                joints,
                actor.look,
                feet_px=feet,
                height_px=actor.height_px,
                roped=tether is not None,
            )
            _paste(image, owner, cutout, len(drawn))
            curve = None
            if tether is not None:
                curve = tether.curve(joints, feet, actor.height_px)
                draw_tether(image, tether, curve, actor.height_px)
            drawn.append((actor, cutout, curve))
        front = self.stage.front_cover
        image[front] = self.stage.in_front[front]
        owner[front] = -1
        people = _truth(drawn, owner, shift)
        names = {one.person for one in people}
        ropes = {
            actor.person: curve + np.array(shift)
            for actor, _, curve in drawn
            if curve is not None and actor.person in names
        }
        return Frame(_expose(image, self.stage.camera, t_s), people, ropes)


def make_scene(seed: int) -> Scene:
    """The random scene of a seed."""
    rng = np.random.default_rng(seed)
    layout = make_layout(rng)
    lifelines = random_lifelines(rng, layout)
    cast = random_cast(rng, layout, lifelines)
    return Scene(make_stage(rng, layout, lifelines, cast), cast)


def _paste(image: Image, owner: npt.NDArray[np.int8], cutout: Cutout, number: int) -> None:
    """Blend a figure over the picture and note whose pixels these are, in place."""
    height, width = image.shape[:2]
    high, wide = cutout.cover.shape
    left, top = max(0, cutout.left_px), max(0, cutout.top_px)
    right, bottom = min(width, cutout.left_px + wide), min(height, cutout.top_px + high)
    if right <= left or bottom <= top:
        return
    rows = slice(top - cutout.top_px, bottom - cutout.top_px)
    columns = slice(left - cutout.left_px, right - cutout.left_px)
    cover = cutout.cover[rows, columns][:, :, None]
    under = image[top:bottom, left:right].astype(np.float32)
    # The figure's colour is already weighted by its cover: outside it the canvas is black.
    image[top:bottom, left:right] = (under * (1 - cover) + cutout.colour[rows, columns]).clip(
        0, 255
    )
    owner[top:bottom, left:right][cover[:, :, 0] > 0.5] = number


def _truth(
    drawn: list[tuple[Actor, Cutout, Points | None]],
    owner: npt.NDArray[np.int8],
    shift: tuple[float, float],
) -> tuple[PersonTruth, ...]:
    """Boxes cut at the picture's edge; people wholly outside are left out."""
    people = []
    for number, (actor, cutout, curve) in enumerate(drawn):
        left, top, wide, high = cutout.box_ltwh_px
        left, top = left + shift[0], top + shift[1]
        right, bottom = min(left + wide, FRAME_WH_PX[0]), min(top + high, FRAME_WH_PX[1])
        left, top = max(left, 0.0), max(top, 0.0)
        if right - left < 2 or bottom - top < 2:
            continue
        whole = float((cutout.cover > 0.5).sum())
        people.append(
            PersonTruth(
                person=actor.person,
                box_ltwh_px=(left, top, right - left, bottom - top),
                roped=curve is not None,
                visible=round(float((owner == number).sum()) / max(whole, 1.0), 3),
            )
        )
    return tuple(people)


def _expose(image: Image, camera: Camera, t_s: float) -> Image:
    """Shake, light and tint."""
    x, y = camera.shift_px(t_s)
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    moved = cv2.warpAffine(
        image, matrix, FRAME_WH_PX, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    levels = (
        np.arange(256, dtype=np.float32)[:, None]
        * np.array(camera.tint, np.float32)
        * camera.gain(t_s)
    )
    table = levels.clip(0, 255).astype(np.uint8)[None]
    exposed: Image = cv2.LUT(moved, table)
    return exposed
