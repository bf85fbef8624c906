"""The reference of a camera's right view: learnt, compared with, kept up to date; no clock.

It is the median of samples over minutes, in which those who pass do not show. It follows the
light, the season and the building by later medians, each of pictures that fit, and none that lies
together at another place than what was learnt: a camera that sinks slowly is not followed.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from ropewatch.aim import Aim, Luma, Outline, compare, is_displaced, outline

WIDTH_PX: Final = 256
HEIGHT_PX: Final = 144
COMPARE_EVERY_S: Final = 2.0
SAMPLES: Final = 15
LEARN_EVERY_S: Final = 10.0
# Four times an hour: dusk takes longer.
RENEW_EVERY_S: Final = 60.0
# Of the samples, that show one and the same: else the camera turned while it was learnt.
ALIKE_SHARE: Final = 0.8
_HEADER: Final = re.compile(rb"P5\n# ([0-9a-f]{64})\n(\d+) (\d+)\n255\n")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a camera shows while it looks where it should.

    Attributes:
        learnt: (HEIGHT_PX, WIDTH_PX) uint8, as it was learnt.
        lately: the same shape, as it was of late.
    """

    learnt: Luma
    lately: Luma


def to_pgm(reference: Reference, key: str) -> bytes:
    """Write a reference as a picture: what was learnt above what was seen lately.

    Args:
        reference: to be written.
        key: 64 hex digits, of what the camera was when it was learnt.
    """
    both = np.vstack([reference.learnt, reference.lately])
    return f"P5\n# {key}\n{WIDTH_PX} {2 * HEIGHT_PX}\n255\n".encode() + both.tobytes()


def from_pgm(content: bytes, key: str) -> Reference | None:
    """Read a reference again; None where it was learnt of something else.

    Raises:
        ValueError: not what `to_pgm` writes.
    """
    header = _HEADER.match(content)
    pixels = content[header.end() :] if header else b""
    if header is None or len(pixels) != 2 * HEIGHT_PX * WIDTH_PX:
        raise ValueError(f"{len(content)} bytes, want a {WIDTH_PX} x {2 * HEIGHT_PX} PGM of ours")
    if header[1] != key.encode():
        return None
    both = np.frombuffer(pixels, np.uint8).reshape(2, HEIGHT_PX, WIDTH_PX)
    return Reference(both[0], both[1])


class AimWatch:
    """Follows where one camera looks.

    Attributes:
        reference: of the right view; None until it is learnt.
        aim: what the newest comparison says; unclear while there is none.
    """

    def __init__(self, reference: Reference | None = None) -> None:
        self.reference: Reference | None = None
        self.aim = Aim.UNCLEAR
        self._learnt: Outline | None = None
        self._lately: Outline | None = None
        self._samples: list[Luma] = []
        self._sampled_s: float | None = None
        self._compared_s: float | None = None
        if reference is not None:
            self._adopt(reference)

    def look(self, luma: Luma, now_s: float) -> None:
        """Take one picture that shows something.

        Args:
            luma: (HEIGHT_PX, WIDTH_PX) uint8, kept: nobody may write into it.
            now_s: when it was taken.
        """
        if self._lately is None:
            self._sample(luma, now_s, LEARN_EVERY_S)
        elif self._compared_s is None or now_s - self._compared_s >= COMPARE_EVERY_S:
            self._compared_s = now_s
            self.aim = compare(self._lately, outline(luma))
            if self.aim is Aim.HOLDS:
                self._sample(luma, now_s, RENEW_EVERY_S)

    def _sample(self, luma: Luma, now_s: float, every_s: float) -> None:
        if self._sampled_s is not None and now_s - self._sampled_s < every_s:
            return
        self._sampled_s = now_s
        self._samples.append(luma)
        if len(self._samples) == SAMPLES:
            samples, self._samples = self._samples, []
            median = np.median(np.stack(samples), axis=0).astype(np.uint8)
            self._renew(median) if self.reference else self._learn(median, samples)

    def _learn(self, median: Luma, samples: list[Luma]) -> None:
        """Take a median for the right view if its samples show one and the same.

        Each is compared with the newest as well: the median of a tour is like all of its stops.
        """
        middle, newest = outline(median), outline(samples[-1])
        outlines = [outline(each) for each in samples]
        alike = [
            compare(middle, one) is Aim.HOLDS and compare(newest, one) is Aim.HOLDS
            for one in outlines
        ]
        if sum(alike) >= ALIKE_SHARE * len(samples):
            self._adopt(Reference(median, median))

    def _renew(self, median: Luma) -> None:
        assert self.reference is not None
        assert self._learnt is not None
        assert self._lately is not None
        now = outline(median)
        if compare(self._lately, now) is Aim.HOLDS and not is_displaced(self._learnt, now):
            self._adopt(Reference(self.reference.learnt, median))

    def _adopt(self, reference: Reference) -> None:
        self.reference = reference
        self._learnt, self._lately = outline(reference.learnt), outline(reference.lately)
