"""Where in the picture people are judged: include and exclude polygons, pure geometry.

A person is where the middle of the lower edge of their box is, which is where they stand; the
box of somebody high up on a mast may cover half the picture behind them. Corners are shares of
the frame, so zones outlive a change of resolution.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ropewatch.judging import ZoneSettings
from ropewatch.observations import BoxLtwh
from ropewatch.polygon import Point, contains

# A person's foot point is hardly ever in a part that this many points across a zone all miss.
_ACROSS: Final = 40
_FRAME: Final = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

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
        return self._hold(foot_point(box_ltwh_px, frame_wh_px))

    def leave_something(self) -> bool:
        """Say whether there is a place where people are judged, as far as a grid can tell."""
        if not self._exclude:
            return True
        grids = (_grid(polygon) for polygon in self._include or (_FRAME,))
        return any(self._hold(point) for grid in grids for point in grid)

    def _hold(self, point: Point) -> bool:
        if any(contains(polygon, point) for polygon in self._exclude):
            return False
        return not self._include or any(contains(polygon, point) for polygon in self._include)


def _grid(polygon: Sequence[Point]) -> Iterator[Point]:
    """Points over the polygon's bounding box, in the middle of equal parts of it."""
    left, right = min(x for x, _ in polygon), max(x for x, _ in polygon)
    top, bottom = min(y for _, y in polygon), max(y for _, y in polygon)
    shares = [(n + 0.5) / _ACROSS for n in range(_ACROSS)]
    for down in shares:
        for across in shares:
            yield left + across * (right - left), top + down * (bottom - top)
