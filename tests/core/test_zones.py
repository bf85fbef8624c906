"""Zones: geometry first, then what a monitor makes of them. Points are shares of the frame."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, Phase
from ropewatch.judging import ZoneSettings
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import BoxLtwh
from ropewatch.polygon import Point, contains, meeting
from ropewatch.settings import SiteSettings
from ropewatch.zones import Zones, foot_point
from tests.core.builders import FRAME_WH_PX, S, frame, new_ids, run, seen, site_data

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
INSIDE: BoxLtwh = (300.0, 200.0, 50.0, 120.0)
OUTSIDE: BoxLtwh = (900.0, 200.0, 50.0, 120.0)

shares = st.floats(0, 1).map(lambda x: round(x, 4))
points = st.tuples(shares, shares)
polygons = st.lists(points, min_size=3, max_size=8, unique=True)


def _zones(*zones: tuple[str, tuple[Point, ...]]) -> list[dict[str, Any]]:
    return [
        {"name": f"zone{n}", "kind": kind, "polygon": polygon}
        for n, (kind, polygon) in enumerate(zones)
    ]


def _made(*zones: tuple[str, tuple[Point, ...]]) -> Zones:
    return Zones([ZoneSettings.model_validate(zone) for zone in _zones(*zones)])


def _monitor(*zones: tuple[str, tuple[Point, ...]], **decision: Any) -> SourceMonitor:
    data = site_data(smoothing={"newest": 1, "window_s": 1e-9}, **decision)
    data["sources"][0]["zones"] = _zones(*zones)
    return SourceMonitor("cam1", SiteSettings.model_validate(data), new_ids())


@given(polygon=polygons, point=points, turn=st.integers(0, 7))
@example(polygon=[(0.0, 0.0), (1.0, 1.0), (0.0312, 0.0)], point=(0.0312, 0.0), turn=0)
def test_neither_the_first_corner_nor_the_direction_matters(
    polygon: list[Point], point: Point, turn: int
) -> None:
    turned = polygon[turn % len(polygon) :] + polygon[: turn % len(polygon)]

    assert contains(turned, point) == contains(polygon, point)
    assert contains(polygon[::-1], point) == contains(polygon, point)


@given(corners=st.tuples(shares, shares, shares, shares), point=points)
def test_rectangle_holds_what_lies_between_its_sides(
    corners: tuple[float, float, float, float], point: Point
) -> None:
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    rectangle = [(left, top), (right, top), (right, bottom), (left, bottom)]

    assert contains(rectangle, point) == (left <= point[0] < right and top <= point[1] < bottom)


@given(cut=st.tuples(shares, shares), point=points)
def test_two_zones_that_share_an_edge_share_no_point_and_leave_none_out(
    cut: tuple[float, float], point: Point
) -> None:
    """The frame, divided by a line from its upper to its lower side."""
    x_top, x_bottom = cut
    left = [(0.0, 0.0), (x_top, 0.0), (x_bottom, 1.0), (0.0, 1.0)]
    right = [(x_top, 0.0), (1.0, 0.0), (1.0, 1.0), (x_bottom, 1.0)]
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]

    assert contains(left, point) + contains(right, point) == contains(whole, point)


@given(
    box=st.tuples(
        st.floats(-500, 2000), st.floats(-500, 1500), st.floats(0, 800), st.floats(0, 800)
    )
)
def test_everybody_is_somewhere_in_the_frame_even_when_cut_off(box: BoxLtwh) -> None:
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]

    assert contains(whole, foot_point(box, FRAME_WH_PX))


@pytest.mark.parametrize(
    ("polygon", "is_simple"),
    [
        pytest.param(((0, 0), (1, 0), (1, 1), (0, 1)), True, id="square"),
        pytest.param(((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)), True, id="closed"),
        pytest.param(((0, 0), (1, 0), (1, 0), (1, 1)), True, id="corner-twice-in-a-row"),
        pytest.param(((0, 0), (1, 0), (1, 1), (0.5, 0.2), (0, 1)), True, id="dent"),
        pytest.param(((0, 0), (1, 0), (0.2, 1), (1, 1)), False, id="bow-tie"),
        pytest.param(
            ((0.5, 0), (0.8, 1), (0, 0.4), (1, 0.4), (0.2, 1)), False, id="five-pointed-star"
        ),
        pytest.param(2 * ((0, 0), (1, 0), (1, 1)), False, id="twice-round"),
        pytest.param(((0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)), False, id="corner-on-an-edge"),
        pytest.param(
            ((0, 0), (0.5, 0.5), (0, 1), (1, 1), (0.5, 0.5), (1, 0)),
            False,
            id="corner-on-a-corner",
        ),
    ],
)
def test_a_border_that_meets_itself_is_found_wherever_it_starts(
    polygon: tuple[Point, ...], is_simple: bool
) -> None:
    for start in range(len(polygon)):
        turned = polygon[start:] + polygon[:start]
        assert (meeting(turned) is None) == is_simple
        assert (meeting(turned[::-1]) is None) == is_simple


@given(
    turns=st.lists(st.floats(0, 0.99), min_size=3, max_size=12, unique=True),
    reaches=st.lists(st.floats(0.05, 0.5), min_size=12, max_size=12),
)
def test_corners_in_order_around_a_point_are_always_accepted(
    turns: list[float], reaches: list[float]
) -> None:
    rounded = sorted({round(turn, 2) for turn in turns} | {0.0, 0.33, 0.67})
    corners = tuple(
        (0.5 + reach * math.cos(math.tau * turn), 0.5 + reach * math.sin(math.tau * turn))
        for turn, reach in zip(rounded, reaches + reaches, strict=False)
    )

    assert meeting(corners) is None


def test_person_is_where_the_middle_of_the_lower_edge_is() -> None:
    assert foot_point((320, 180, 640, 180), FRAME_WH_PX) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("zones", "covered"),
    [
        pytest.param([], True, id="none"),
        pytest.param([("include", LEFT_HALF)], True, id="in-include"),
        pytest.param([("exclude", LEFT_HALF)], False, id="in-exclude"),
        pytest.param([("include", LEFT_HALF), ("exclude", LEFT_HALF)], False, id="exclude-wins"),
        pytest.param(
            [("include", ((0.5, 0), (1, 0), (1, 1), (0.5, 1)))], False, id="outside-include"
        ),
        pytest.param(
            [("include", ((0.5, 0), (1, 0), (1, 1), (0.5, 1))), ("include", LEFT_HALF)],
            True,
            id="in-one-of-two",
        ),
    ],
)
def test_zones_cover_whom_they_say(
    zones: list[tuple[str, tuple[Point, ...]]], covered: bool
) -> None:
    assert _made(*zones).cover(INSIDE, FRAME_WH_PX) is covered


WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
DOOR = ((0.51, 0.51), (0.52, 0.51), (0.52, 0.52), (0.51, 0.52))


@pytest.mark.parametrize(
    "zones",
    [
        pytest.param([("exclude", WHOLE)], id="all-of-the-picture"),
        pytest.param([("exclude", LEFT_HALF), ("exclude", RIGHT_HALF)], id="two-halves"),
        pytest.param([("include", LEFT_HALF), ("exclude", LEFT_HALF)], id="what-is-included"),
        pytest.param([("include", DOOR), ("exclude", RIGHT_HALF)], id="around-a-small-one"),
    ],
)
def test_zones_that_leave_nobody_to_judge_are_refused(
    zones: list[tuple[str, tuple[Point, ...]]],
) -> None:
    data = site_data()
    data["sources"][0]["zones"] = _zones(*zones)

    with pytest.raises(ValidationError, match="leave next to nothing of the picture to judge"):
        SiteSettings.model_validate(data)


def test_a_small_zone_beside_one_that_excludes_is_enough() -> None:
    data = site_data()
    data["sources"][0]["zones"] = _zones(("include", DOOR), ("exclude", LEFT_HALF))

    assert SiteSettings.model_validate(data).sources[0].zones[0].polygon == DOOR


def test_nobody_is_judged_outside_the_zones_and_it_is_said() -> None:
    monitor = _monitor(("include", LEFT_HALF), open_after_s=0)

    result = monitor.update(frame(0, [seen(0.9, 1, OUTSIDE), seen(0.9, 2, INSIDE)]))

    assert [(v.watched, v.state) for v in result.verdicts] == [
        (False, RopeState.UNKNOWN),
        (True, RopeState.UNSAFE),
    ]
    assert [(e.phase, e.person) for e in result.events] == [(Phase.START, 2)]


def test_entering_counts_at_once_and_leaving_after_gone_after() -> None:
    monitor = _monitor(("include", LEFT_HALF), open_after_s=0, gone_after_s=3)

    events = run(
        monitor,
        frame(0, [seen(0.9, 1, OUTSIDE)]),
        frame(0.5, [seen(0.9, 1, INSIDE)]),
        *(frame(0.5 + 0.5 * n, [seen(0.9, 1, OUTSIDE)]) for n in range(1, 10)),
    )

    assert [(e.phase, e.end_reason, e.pts_ns / S) for e in events] == [
        (Phase.START, None, 0.5),
        (Phase.END, EndReason.LEFT_ZONE, 3.5),
    ]


def test_somebody_on_the_border_stays_watched_under_one_incident() -> None:
    monitor = _monitor(("include", LEFT_HALF), open_after_s=0, gone_after_s=3)
    on_border = [(614.0, *INSIDE[1:]), (616.0, *INSIDE[1:])]

    frames = [frame(0.5 * n, [seen(0.9, 1, on_border[n % 5 != 0])]) for n in range(60)]

    assert [e.phase for e in run(monitor, *frames)] == [Phase.START]


def test_somebody_who_comes_back_into_the_zone_starts_afresh() -> None:
    monitor = _monitor(("include", LEFT_HALF), open_after_s=1, gone_after_s=0)
    run(monitor, frame(0, [seen(0.9, 1, INSIDE)]), frame(0.5, [seen(0.9, 1, OUTSIDE)]))

    events = run(monitor, *(frame(0.5 + 0.25 * n, [seen(0.9, 1, INSIDE)]) for n in range(1, 9)))

    assert [(e.phase, e.pts_ns / S) for e in events] == [(Phase.START, 1.75)]


def test_nobody_outside_the_zones_is_unknown_for_long() -> None:
    monitor = _monitor(("include", LEFT_HALF), unknown_after_s=1)

    results = [
        monitor.update(frame(0.5 * n, [seen(None, 1, OUTSIDE), seen(None, 2, INSIDE)]))
        for n in range(5)
    ]

    assert [result.unknown_lasting for result in results] == [0, 0, 0, 1, 1]
    assert [v.unknown_for_s for v in results[-1].verdicts] == [0, 2]
