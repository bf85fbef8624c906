"""The renderer: the same seed gives the same pixels, and the truth fits them."""

import numpy as np
import pytest

from demo.render.cast import SCENE_S
from demo.render.figure import FOREARM, SHIN, THIGH, UPPER_ARM, Gait, pose, two_links
from demo.render.layout import FRAME_WH_PX
from demo.render.paint import hanging_curve
from demo.render.scene import make_scene

SEED = 7


def test_scene_of_the_same_seed_is_the_same_to_the_pixel() -> None:
    first, second = (make_scene(SEED).render(4.2) for _ in range(2))

    np.testing.assert_array_equal(first.image, second.image)
    assert first.people == second.people


def test_scene_renders_a_moment_alike_whatever_was_rendered_before() -> None:
    scene = make_scene(SEED)
    scene.render(11.0)

    again = scene.render(4.2)

    np.testing.assert_array_equal(again.image, make_scene(SEED).render(4.2).image)


def test_scenes_of_different_seeds_differ() -> None:
    assert np.any(make_scene(SEED).render(1.0).image != make_scene(SEED + 1).render(1.0).image)


@pytest.mark.parametrize("seed", range(3))
def test_scene_keeps_boxes_inside_the_frame_and_shares_between_0_and_1(seed: int) -> None:
    scene = make_scene(seed)

    for t_s in np.linspace(0, SCENE_S - 0.1, 4):
        for person in scene.render(float(t_s)).people:
            left, top, width, height = person.box_ltwh_px
            assert left >= 0
            assert top >= 0
            assert width >= 2
            assert height >= 2
            assert left + width <= FRAME_WH_PX[0] + 1e-6
            assert top + height <= FRAME_WH_PX[1] + 1e-6
            assert 0 <= person.visible <= 1


def test_scene_says_roped_exactly_for_those_whose_rope_it_draws() -> None:
    scene = make_scene(3)

    frame = scene.render(5.0)

    assert {one.person for one in frame.people if one.roped} == set(frame.ropes_px)


@pytest.mark.parametrize("gait", list(Gait))
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5, 4.0])
def test_pose_keeps_the_lengths_of_the_bones(gait: Gait, phase: float) -> None:
    joints = pose(gait, phase, facing=1.0, side_on=0.5)

    for side in (0, 1):
        bones = (
            (joints.hips, joints.knees, THIGH),
            (joints.knees, joints.ankles, SHIN),
            (joints.shoulders, joints.elbows, UPPER_ARM),
            (joints.elbows, joints.hands, FOREARM),
        )
        for start, end, length in bones:
            reach = float(np.hypot(*(end[side] - start[side])))
            # A joint that cannot reach its target stretches the second bone a little.
            assert reach == pytest.approx(length, abs=0.03)


def test_two_links_of_a_right_angle_meet_at_its_corner() -> None:
    # A 3-4-5 triangle: root (0, 0), tip (0, 5), first link 3.
    middle = two_links(np.array([0.0, 0.0]), np.array([0.0, 5.0]), 3.0, 4.0, bend=1.0)

    np.testing.assert_allclose(np.abs(middle), [2.4, 1.8], atol=1e-9)


def test_hanging_curve_is_lowest_in_the_middle_by_its_sag() -> None:
    curve = hanging_curve(np.array([0.0, 10.0]), np.array([8.0, 10.0]), sag_px=4.0, points=5)

    np.testing.assert_allclose(curve[:, 1], [10, 13, 14, 13, 10])
