"""A person in working clothes, drawn from joints."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from demo.render.figure import Joints
from demo.render.paint import Colour, Image, Points, disc, limb, polygon, polyline, shade

OVERSAMPLE = 2
"""The figure is drawn this much larger and then averaged down: smooth edges and an exact mask."""

HELMETS: tuple[Colour, ...] = (
    (245, 245, 245),
    (40, 205, 245),
    (30, 120, 245),
    (190, 110, 30),
    (50, 50, 210),
    (60, 170, 70),
)
SKINS: tuple[Colour, ...] = ((150, 180, 225), (110, 145, 200), (70, 100, 150), (50, 70, 105))
VESTS: tuple[Colour, ...] = ((40, 230, 215), (30, 125, 250), (60, 235, 150))
JACKETS: tuple[Colour, ...] = (
    (110, 80, 50),
    (70, 70, 74),
    (60, 90, 60),
    (50, 60, 150),
    (170, 150, 120),
    (40, 50, 60),
    (150, 110, 60),
)
TROUSERS: tuple[Colour, ...] = (
    (100, 70, 45),
    (56, 56, 60),
    (70, 100, 120),
    (90, 110, 100),
    (130, 120, 110),
    (50, 90, 190),
)
HARNESSES: tuple[Colour, ...] = ((30, 60, 225), (28, 28, 30), (20, 140, 250), (200, 120, 30))


WHITE: Colour = (255, 255, 255)
REFLECTIVE: Colour = (225, 228, 230)
BOOT: Colour = (40, 52, 66)
FAR_LIGHT = (0.78, 1.0)
"""Light on the far and on the near limbs."""


@dataclass(frozen=True)
class Look:
    """Clothes and build of one person; does not change in a scene."""

    helmet: Colour
    skin: Colour
    jacket: Colour
    vest: Colour | None
    trousers: Colour
    harness: Colour | None
    """None: no harness on."""
    parked_lanyard: bool
    """A short lanyard hooked back onto the belt: it holds nothing."""
    build: float
    """Thickness of limbs and trunk, about 1."""


@dataclass(frozen=True)
class Cutout:
    """A drawn figure before it is put on a frame."""

    colour: npt.NDArray[np.float32]
    """(h, w, 3) BGR, 0 to 255."""
    cover: npt.NDArray[np.float32]
    """(h, w), 0 outside the body, 1 inside."""
    left_px: int
    """Column of the frame where the cutout's first column goes; may be negative."""
    top_px: int
    box_ltwh_px: tuple[float, float, float, float]
    """Tight box of the whole body in frame pixels, hidden or outside parts included."""


def random_look(rng: np.random.Generator, *, harnessed: bool) -> Look:
    """Random clothes."""
    return Look(
        helmet=HELMETS[rng.integers(len(HELMETS))],
        skin=SKINS[rng.integers(len(SKINS))],
        jacket=shade(JACKETS[rng.integers(len(JACKETS))], float(rng.uniform(0.8, 1.3))),
        vest=VESTS[rng.integers(len(VESTS))] if rng.random() < 0.62 else None,
        trousers=shade(TROUSERS[rng.integers(len(TROUSERS))], float(rng.uniform(0.8, 1.2))),
        harness=HARNESSES[rng.integers(len(HARNESSES))] if harnessed else None,
        parked_lanyard=bool(harnessed and rng.random() < 0.5),
        build=float(rng.uniform(0.88, 1.18)),
    )


def draw_worker(
    joints: Joints, look: Look, *, feet_px: tuple[float, float], height_px: float, roped: bool
) -> Cutout:
    """Draw one person on a canvas of his own.

    Args:
        joints: the pose.
        look: the clothes.
        feet_px: point between the feet, in frame pixels.
        height_px: standing height in frame pixels.
        roped: a parked lanyard is drawn only where this is false.
    """
    scale = height_px * OVERSAMPLE
    half, above, below = 0.62 * height_px, 1.2 * height_px, 0.12 * height_px
    left, top = int(np.floor(feet_px[0] - half)), int(np.floor(feet_px[1] - above))
    width, height = int(2 * half) + 2, int(above + below) + 2
    canvas = np.zeros((height * OVERSAMPLE, width * OVERSAMPLE, 3), np.uint8)
    mask = np.zeros(canvas.shape, np.uint8)
    origin = (np.array(feet_px) - [left, top]) * OVERSAMPLE
    for target, is_mask in ((canvas, False), (mask, True)):
        painter = _Painter(target, joints, look, origin, scale, is_mask)
        painter.body(parked=not roped)
    cover = cv2.resize(mask[:, :, 0], (width, height), interpolation=cv2.INTER_AREA) / np.float32(
        255
    )
    colour = cv2.resize(canvas.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(mask[:, :, 0] > 127)
    edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / OVERSAMPLE
    box = (
        float(left + edges[0]),
        float(top + edges[1]),
        float(edges[2] - edges[0]),
        float(edges[3] - edges[1]),
    )
    return Cutout(colour, cover, left, top, box)


@dataclass(frozen=True)
class _Painter:
    """One figure on one canvas; with `mask` everything is white and nothing is shaded."""

    image: Image
    joints: Joints
    look: Look
    origin: Points
    scale: float
    mask: bool

    @property
    def thick(self) -> float:
        return self.look.build * self.scale

    def at(self, point: Points) -> Points:
        """Canvas pixels of a point of the figure."""
        where: Points = self.origin + point * self.scale
        return where

    def tone(self, colour: Colour, gain: float = 1.0) -> Colour:
        return WHITE if self.mask else shade(colour, gain)

    def part(self, start: Points, end: Points, radii: tuple[float, float], colour: Colour) -> None:
        """A limb; radii are shares of the figure's thickness."""
        # On a mask the shaded rim has to be as white as the rest, hence the excess.
        limb(
            self.image,
            start,
            end,
            start_px=radii[0] * self.thick,
            end_px=radii[1] * self.thick,
            colour=(999, 999, 999) if self.mask else colour,
        )

    def body(self, *, parked: bool) -> None:
        """Limbs from far to near, the trunk in between."""
        self.leg(0)
        self.arm(0)
        self.trunk()
        if self.look.harness and not self.mask:
            self.harness(self.look.harness)
            if parked and self.look.parked_lanyard:
                self.parked_lanyard()
        self.leg(1)
        if self.joints.facing:
            self.arm(1)
        self.head()
        if not self.joints.facing:
            self.arm(1)

    def leg(self, side: int) -> None:
        dim = FAR_LIGHT[side]
        joints, cloth = self.joints, self.tone(self.look.trousers, dim)
        hip, knee, ankle = (
            self.at(pair[side]) for pair in (joints.hips, joints.knees, joints.ankles)
        )
        self.part(hip, knee, (0.062, 0.047), cloth)
        self.part(knee, ankle, (0.045, 0.036), cloth)
        toe = ankle + np.array([0.055 * joints.facing, 0.022]) * self.thick
        heel = ankle + np.array([0, 0.012 * self.thick])
        self.part(heel, toe, (0.036, 0.024), self.tone(BOOT, dim))

    def arm(self, side: int) -> None:
        dim = FAR_LIGHT[side]
        joints, cloth = self.joints, self.tone(self.look.jacket, dim)
        shoulder, elbow, hand = (
            self.at(pair[side]) for pair in (joints.shoulders, joints.elbows, joints.hands)
        )
        self.part(shoulder, elbow, (0.045, 0.036), cloth)
        self.part(elbow, hand, (0.034, 0.027), cloth)
        disc(self.image, hand, 0.028 * self.thick, self.tone(self.look.skin, dim))

    def trunk(self) -> None:
        look, (far, near) = self.look, self.shoulders()
        hips = [self.at(hip) for hip in self.joints.hips]
        middle, waist = (far + near) / 2, (hips[0] + hips[1]) / 2
        for hip in hips:
            self.part(middle, hip, (0.09, 0.07), look.jacket)
        for shoulder in (far, near):
            inner = shoulder * 0.75 + middle * 0.25
            side = waist + (shoulder - middle) * 0.5
            self.part(inner, side, (0.055, 0.072), look.vest or look.jacket)
        if look.vest and not self.mask:
            across = (near - far) * 0.5
            across = across + np.array([0.055 * self.thick * np.sign(across[0] or 1.0), 0])
            for share in (0.5, 0.8):
                centre = middle * (1 - share) + waist * share
                stripe = np.array([centre - across, centre + across])
                polyline(self.image, stripe, REFLECTIVE, 0.03 * self.thick)

    def shoulders(self) -> tuple[Points, Points]:
        return self.at(self.joints.shoulders[0]), self.at(self.joints.shoulders[1])

    def waist(self) -> Points:
        hips = self.at((self.joints.hips[0] + self.joints.hips[1]) / 2)
        waist: Points = hips - np.array([0, 0.03 * self.thick])
        return waist

    def harness(self, colour: Colour) -> None:
        """Crossed shoulder straps, belt, leg loops."""
        (far, near), waist = self.shoulders(), self.waist()
        middle, strap = (far + near) / 2, 0.026 * self.thick
        for shoulder, other in ((far, near), (near, far)):
            top = shoulder * 0.6 + middle * 0.4 - np.array([0, 0.04 * self.thick])
            low = waist + (other - middle) * 0.35
            polyline(self.image, np.array([top, (middle + waist) / 2, low]), colour, strap)
        belt = np.array([[-0.085 * self.thick, 0.0], [0.085 * self.thick, 0.0]])
        polyline(self.image, waist + belt, colour, strap * 1.3)
        for hip, knee in zip(self.joints.hips, self.joints.knees, strict=True):
            centre = self.at(hip) * 0.7 + self.at(knee) * 0.3
            polyline(self.image, centre + belt * 0.6, colour, strap)

    def parked_lanyard(self) -> None:
        """A loop from the belt down and back again."""
        turn = np.linspace(0, np.pi, 12)
        loop = np.stack([0.05 + np.cos(turn) * 0.03, 0.01 + np.sin(turn) * 0.12], axis=1)
        colour = shade((60, 190, 235), 0.9)
        polyline(self.image, self.waist() + loop * self.thick, colour, 0.0182 * self.thick)

    def head(self) -> None:
        look, image, scale = self.look, self.image, self.scale
        head, neck, facing = (
            self.at(self.joints.head),
            self.at(self.joints.neck),
            self.joints.facing,
        )
        build = 1 / look.build
        self.part(neck, head, (0.03 * build, 0.034 * build), look.skin)
        disc(image, head, 0.052 * scale, self.tone(look.skin))
        turn = np.linspace(np.pi, 2 * np.pi, 16)
        dome = np.stack([np.cos(turn) * 0.066, np.sin(turn) * 0.068 - 0.008], axis=1)
        polygon(image, head + dome * scale, self.tone(look.helmet))
        ahead = 0.04 * facing
        brim = np.array([[-0.07 + min(ahead, 0), -0.012], [0.07 + max(ahead, 0), -0.012]])
        polyline(image, head + brim * scale, self.tone(look.helmet, 0.78), 0.02 * scale)
        if not self.mask:
            shine = np.array([[-0.03, -0.052], [0.0, -0.066], [0.024, -0.06]])
            polyline(image, head + shine * scale, shade(look.helmet, 1.25), 0.012 * scale)
