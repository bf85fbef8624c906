"""How a body is bent: joints of a walking, climbing, working, kneeling or standing person.

Lengths are shares of the person's height; the origin is between the feet, y points down, so a
head has a negative y. Functions of phase are periodic with 2 pi.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from demo.render.paint import Points

THIGH, SHIN, UPPER_ARM, FOREARM = 0.245, 0.235, 0.165, 0.155


class Gait(str, Enum):
    """What the body is doing."""

    WALK = "walk"
    STAND = "stand"
    WORK = "work"
    KNEEL = "kneel"
    CLIMB = "climb"


@dataclass(frozen=True)
class Joints:
    """Where the joints are; pairs are far side first, near side second."""

    hips: tuple[Points, Points]
    knees: tuple[Points, Points]
    ankles: tuple[Points, Points]
    shoulders: tuple[Points, Points]
    elbows: tuple[Points, Points]
    hands: tuple[Points, Points]
    neck: Points
    head: Points
    facing: float
    """-1 left, 1 right, 0 away from the camera."""

    def dorsal(self) -> Points:
        """The ring of the harness between the shoulder blades."""
        middle = (self.shoulders[0] + self.shoulders[1]) / 2
        down = (self.hips[0] + self.hips[1]) / 2 - middle
        ring: Points = middle + 0.16 * down - np.array([0.045 * self.facing, 0.0])
        return ring

    def belt(self) -> Points:
        """The ring on the belt."""
        middle = (self.hips[0] + self.hips[1]) / 2
        ring: Points = middle + np.array([0.05 * self.facing, -0.045])
        return ring


def pose(gait: Gait, phase: float, *, facing: float, side_on: float) -> Joints:
    """Joints of one moment.

    Args:
        gait: what the body does.
        phase: radians; for a walk one step is pi.
        facing: -1 left, 1 right.
        side_on: 0 seen from the front, 1 from the side; narrows the shoulders.
    """
    if gait is Gait.CLIMB:
        return _climb(phase)
    half = 0.112 - 0.05 * side_on
    lean, drop = _trunk(gait, phase)
    hip = np.array([0.0, -0.5 + drop])
    trunk = np.array([np.sin(lean) * facing, -np.cos(lean)])
    chest = hip + 0.31 * trunk
    hip_half = np.array([0.05 * (1 - side_on), 0])
    hips = (hip - hip_half, hip + hip_half)
    shoulder_half = np.array([half, 0])
    shoulders = (chest - shoulder_half, chest + shoulder_half)
    if facing < 0:
        hips, shoulders = hips[::-1], shoulders[::-1]
    legs = [_leg(gait, phase, hips[side], side, facing) for side in (0, 1)]
    arms = [_arm(gait, phase, shoulders[side], side, facing) for side in (0, 1)]
    neck = chest + 0.035 * trunk
    head = neck + 0.075 * trunk + np.array([0.012 * facing, 0.0])
    return Joints(
        hips,
        (legs[0][0], legs[1][0]),
        (legs[0][1], legs[1][1]),
        shoulders,
        (arms[0][0], arms[1][0]),
        (arms[0][1], arms[1][1]),
        neck,
        head,
        facing,
    )


def _trunk(gait: Gait, phase: float) -> tuple[float, float]:
    """Lean forward in radians, and how far the hip sinks."""
    if gait is Gait.WALK:
        return 0.07, 0.012 * float(np.cos(2 * phase))
    if gait is Gait.WORK:
        return 0.5 + 0.08 * float(np.sin(phase)), 0.035
    if gait is Gait.KNEEL:
        return 0.32 + 0.08 * float(np.sin(phase)), 0.215
    return 0.03 * float(np.sin(phase * 0.4)), 0.0


def _leg(gait: Gait, phase: float, hip: Points, side: int, facing: float) -> tuple[Points, Points]:
    """Knee and ankle of one leg."""
    if gait is Gait.KNEEL:
        foot = hip + np.array([(0.16 if side else -0.2) * facing, -hip[1] - 0.04])
        return two_links(hip, foot, THIGH, SHIN, bend=facing), foot
    swing, flex = 0.05 * (1 if side else -1), 0.04
    if gait is Gait.WALK:
        turn = phase + np.pi * side
        swing, flex = 0.46 * np.sin(turn), max(0.06, 0.75 * np.sin(turn + 1.9))
    elif gait is Gait.WORK:
        swing, flex = 0.2 * (1 if side else -1) + 0.12, 0.34
    knee = hip + THIGH * np.array([np.sin(swing) * facing, np.cos(swing)])
    below = swing - flex
    return knee, knee + SHIN * np.array([np.sin(below) * facing, np.cos(below)])


def _arm(
    gait: Gait, phase: float, shoulder: Points, side: int, facing: float
) -> tuple[Points, Points]:
    """Elbow and hand of one arm."""
    if gait in {Gait.WORK, Gait.KNEEL}:
        reach = np.array([(0.2 + 0.04 * np.sin(phase * 2 + side)) * facing, 0.16])
        hand = shoulder + reach + [0, 0.03 * np.sin(phase * 3 + 2 * side)]
        return two_links(shoulder, hand, UPPER_ARM, FOREARM, bend=-facing), hand
    swing, flex = 0.08 + 0.05 * np.sin(phase * 0.7 + side), 0.25
    if gait is Gait.WALK:
        swing, flex = -0.5 * np.sin(phase + np.pi * side), 0.42
    elbow = shoulder + UPPER_ARM * np.array([np.sin(swing) * facing, np.cos(swing)])
    ahead = swing + flex
    return elbow, elbow + FOREARM * np.array([np.sin(ahead) * facing, np.cos(ahead)])


def _climb(phase: float) -> Joints:
    """On a ladder, seen from behind: hands and feet go up in turn."""
    sway = 0.012 * float(np.sin(phase))
    hip, chest = np.array([sway, -0.47]), np.array([sway * 0.5, -0.77])
    hip_half, shoulder_half = np.array([0.055, 0]), np.array([0.11, 0])
    hips = (hip - hip_half, hip + hip_half)
    shoulders = (chest - shoulder_half, chest + shoulder_half)
    knees, ankles, elbows, hands = [], [], [], []
    for side, sign in enumerate((-1.0, 1.0)):
        lift = float(np.sin(phase + np.pi * side))
        ankle = np.array([0.065 * sign, -0.085 - 0.06 * lift])
        hand = np.array([0.1 * sign, -0.93 + 0.07 * lift])
        knees.append(two_links(hips[side], ankle, THIGH, SHIN, bend=sign))
        elbows.append(two_links(shoulders[side], hand, UPPER_ARM, FOREARM, bend=-sign))
        ankles.append(ankle)
        hands.append(hand)
    neck = chest + np.array([0, -0.035])
    return Joints(
        hips,
        (knees[0], knees[1]),
        (ankles[0], ankles[1]),
        shoulders,
        (elbows[0], elbows[1]),
        (hands[0], hands[1]),
        neck,
        neck + np.array([0, -0.07]),
        0.0,
    )


def two_links(root: Points, tip: Points, first: float, second: float, *, bend: float) -> Points:
    """Middle joint between root and tip; bend chooses the side, as seen going root to tip."""
    along = tip - root
    distance = float(np.clip(np.hypot(*along), 1e-6, first + second - 1e-6))
    unit = along / max(float(np.hypot(*along)), 1e-6)
    foot = (first**2 - second**2 + distance**2) / (2 * distance)
    height = float(np.sqrt(max(first**2 - foot**2, 0.0)))
    middle: Points = root + unit * foot + np.array([unit[1], -unit[0]]) * height * np.sign(bend)
    return middle
