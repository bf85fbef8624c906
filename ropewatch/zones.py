"""Where in the picture people are judged: include and exclude polygons, pure geometry.

A person is where the middle of the lower edge of their box is, which is where they stand; the
box of somebody high up on a mast may cover half the picture behind them. Corners are shares of
the frame, so zones outlive a change of resolution.
"""

from collections.abc import Iterable
from typing import Final

from ropewatch.judging import ZoneSettings
from ropewatch.observations import BoxLtwh
from ropewatch.polygon import Point, contains

# Somebody whose box is cut off by the frame stands on its very edge; zones that reach the
# frame's edge, include and exclude, are meant to cover them.
_EDGE: Final = 1e-9


def foot_point(box_ltwh_px: BoxLtwh, frame_wh_px: tuple[int, int]) -> Point:
    """Return the middle of a box's lower edge as shares of the frame, just inside of it."""
    left, top, width, height = box_ltwh_px
    x, y = (left + width / 2) / frame_wh_px[0], (top + height) / frame_wh_px[1]
    return min(max(x, _EDGE), 1 - _EDGE), min(max(y, _EDGE), 1 - _EDGE)


class Zones:
    """The zones of one camera."""

    def __init__(self, zones: Iterable[ZoneSettings]) -> None:
        zones = tuple(zones)
        self._include = tuple(zone.polygon for zone in zones if zone.kind == "include")
        self._exclude = tuple(zone.polygon for zone in zones if zone.kind == "exclude")

    def cover(self, box_ltwh_px: BoxLtwh, frame_wh_px: tuple[int, int]) -> bool:
        """Say whether a person there is judged: in some include zone, if any, and no exclude."""
        if not self._include and not self._exclude:
            return True
        point = foot_point(box_ltwh_px, frame_wh_px)
        if any(contains(polygon, point) for polygon in self._exclude):
            return False
        return not self._include or any(contains(polygon, point) for polygon in self._include)
