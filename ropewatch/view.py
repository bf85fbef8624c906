"""What a camera's picture is worth, by its luma alone: frozen, dark, covered, moved; no clock.

Samples are small pictures, twice a second, with the seconds of a clock that never goes back.
Between two samples at most `MAX_STEP_S` count: nobody has looked in a longer gap.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from ropewatch.aim import Aim, Luma
from ropewatch.judging import ViewSettings
from ropewatch.observations import CLEAR, View
from ropewatch.reference import AimWatch, Reference

MAX_STEP_S: Final = 5.0
# A codec's skipped blocks are the same to the bit; this is for its last roundings.
SAME_LEVELS: Final = 2
SAME_SHARE: Final = 0.0003
# Of the picture, for lamps and reflections in a night without light.
LIT_SHARE: Final = 0.02
CELL_PX: Final = 4
EDGE_LEVELS: Final = 8


class ViewCondition(str, Enum):
    """Why nobody can be judged by a picture that comes, or not where they should be."""

    DARK = "dark"
    COVERED = "covered"
    FROZEN = "frozen"
    MOVED = "moved"


def has_changed(luma: Luma, before: Luma) -> bool:
    """Say whether two pictures differ by more than a codec's roundings.

    Args:
        luma: (H, W) uint8.
        before: the same shape.
    """
    apart = np.maximum(luma, before) - np.minimum(luma, before)
    return bool((apart > SAME_LEVELS).mean() > SAME_SHARE)


def lit(luma: Luma, level: float) -> float:
    """Return the share of (H, W) uint8 that is as bright as `level` or brighter."""
    return float((luma >= level).mean())


def structure(luma: Luma) -> float:
    """Return the share of the picture's cells that differ from a neighbour by an edge.

    A cell is the mean of `CELL_PX` squared pixels, so that a sensor's noise is no structure.

    Args:
        luma: (H, W) uint8, sides that `CELL_PX` divides.
    """
    height, width = luma.shape
    cells = luma.reshape(height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX).mean(axis=(1, 3))
    down = np.abs(np.diff(cells, axis=0))[:, :-1]
    across = np.abs(np.diff(cells, axis=1))[:-1, :]
    return float((np.maximum(down, across) > EDGE_LEVELS).mean())


@dataclass(slots=True)
class _Lasting:
    """Something that holds once it was seen for long, until it was not seen for some time."""

    holds: bool = False
    _against_s: float = 0.0

    def note(self, seen: bool, step_s: float, *, after_s: float, clear_after_s: float) -> None:
        self._against_s = 0.0 if seen == self.holds else self._against_s + step_s
        if seen != self.holds and self._against_s >= (clear_after_s if self.holds else after_s):
            self.holds, self._against_s = seen, 0.0


class ViewWatch:
    """Follows the picture of one camera.

    Attributes:
        condition: why the camera is blind by its picture; None while it is not.
        view: what the newest sample says.

    Args:
        settings: of the camera.
        reference: of its right view, from an earlier run; None: it is learnt.
    """

    def __init__(self, settings: ViewSettings, reference: Reference | None = None) -> None:
        self.condition: ViewCondition | None = None
        self.view = CLEAR
        self._aim = AimWatch(reference)
        self._settings = settings
        self._anchor: Luma | None = None
        self._looked_s: float | None = None
        self._lasting = {condition: _Lasting() for condition in ViewCondition}

    @property
    def reference(self) -> Reference | None:
        """What the camera's right view is; None until that is learnt."""
        return self._aim.reference

    def look(self, luma: Luma, now_s: float) -> None:
        """Take one sample.

        Args:
            luma: (HEIGHT_PX, WIDTH_PX) uint8, kept: nobody may write into it.
            now_s: when it was taken.
        """
        step_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, MAX_STEP_S)
        self._looked_s = now_s
        still_s = self.view.still_s + step_s
        if self._anchor is None or has_changed(luma, self._anchor):
            self._anchor, still_s = luma, 0.0
        settings = self._settings
        dark = lit(luma, settings.dark_below_luma) < LIT_SHARE
        covered = not dark and structure(luma) < settings.covered_below_structure
        self.view = View(still_s, hidden=dark or covered)
        self._note(ViewCondition.DARK, dark, step_s, settings.dark_after_s)
        self._note(ViewCondition.COVERED, covered, step_s, settings.covered_after_s)
        self._note_frozen(still_s, step_s)
        if not self.view.hidden:
            self._note_moved(luma, now_s, step_s)
        lasting = self._lasting.items()
        self.condition = next((each for each, one in lasting if one.holds), None)

    def _note(self, condition: ViewCondition, seen: bool, step_s: float, after_s: float) -> None:
        clear_after_s = self._settings.clear_after_s
        self._lasting[condition].note(seen, step_s, after_s=after_s, clear_after_s=clear_after_s)

    def _note_frozen(self, still_s: float, step_s: float) -> None:
        frozen, settings = self._lasting[ViewCondition.FROZEN], self._settings
        # The time without a change is counted already. Two live samples in a row may be the
        # same, so that does not yet keep a picture frozen.
        lasts = still_s > 0 and still_s >= settings.clear_after_s / 2
        seen = lasts if frozen.holds else still_s >= settings.frozen_after_s
        self._note(ViewCondition.FROZEN, seen, step_s, 0.0)

    def _note_moved(self, luma: Luma, now_s: float, step_s: float) -> None:
        self._aim.look(luma, now_s)
        if self._aim.aim is not Aim.UNCLEAR:
            moved = self._aim.aim is Aim.MOVED
            self._note(ViewCondition.MOVED, moved, step_s, self._settings.moved_after_s)
