"""Polygons as zones have them, pure geometry: which points they hold, where their edges meet."""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Edge: TypeAlias = tuple[Point, Point]


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Say whether a point lies in a polygon; where its edges cross, by the even-odd rule.

    Each edge holds its end of smaller y and not the other, so that polygons which share an edge
    share no point of it and leave none out.
    """
    x, y = point
    inside = False
    for edge in edges(polygon):
        # From the end of smaller y, whichever way it is walked: the rounding is the same then,
        # and two zones agree about their common edge.
        (x1, y1), (x2, y2) = edge if edge[0][1] < edge[1][1] else edge[::-1]
        if y1 <= y < y2 and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def edges(polygon: Sequence[Point]) -> list[Edge]:
    """Return the edges in order, the one that closes the polygon last."""
    return list(zip(polygon, (*polygon[1:], polygon[0]), strict=True))


def area(polygon: Sequence[Point]) -> float:
    """Return what a polygon whose edges do not meet encloses."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges(polygon))) / 2


def meeting(polygon: Sequence[Point]) -> tuple[Edge, Edge] | None:
    """Return two edges that meet without being neighbours; None where the polygon is simple.

    A corner that is written twice in a row is one: some programs close a polygon so.
    """
    real = [edge for edge in edges(polygon) if edge[0] != edge[1]]
    last = len(real) - 1
    for (m, first), (n, second) in combinations(enumerate(real), 2):
        neighbours = n == m + 1 or (m == 0 and n == last)
        if not neighbours and _meet(first, second):
            return first, second
    return None


def _meet(first: Edge, second: Edge) -> bool:
    """Say whether two edges have a point in common."""
    (a, b), (c, d) = first, second
    for axis in (0, 1):
        low, high = sorted((a[axis], b[axis]))
        if max(c[axis], d[axis]) < low or min(c[axis], d[axis]) > high:
            return False
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0


def _side(a: Point, b: Point, point: Point) -> int:
    """Return on which side of a line through two points another lies; 0: on it."""
    turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return (turn > 0) - (turn < 0)
