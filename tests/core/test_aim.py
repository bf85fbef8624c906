"""Synthetic scenes: what is told of them rests on these; docs/blindness.md has real pictures."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewatch.aim import Aim, Luma, compare, edges, is_displaced, outline
from ropewatch.reference import HEIGHT_PX, WIDTH_PX
from tests.core.scenes import Scene, scene, shot

SHAPE = (HEIGHT_PX, WIDTH_PX)
SEEDS = st.integers(0, 99)
ANGLES = st.floats(0, 2 * math.pi)


def said(reference: Luma, now: Luma) -> Aim:
    return compare(outline(reference), outline(now))


def clipped(picture: npt.NDArray[np.floating]) -> Luma:
    luma: Luma = np.clip(picture, 0, 255).round().astype(np.uint8)
    return luma


@given(seed=SEEDS, sigma=st.floats(0, 6), gain=st.floats(0.5, 1.5), at=st.floats(-30, 30))
def test_light_and_noise_move_no_camera(seed: int, sigma: float, gain: float, at: float) -> None:
    seen = shot(scene(seed) * gain + at, sigma=sigma, seed=seed + 1)

    assert said(shot(scene(seed)), seen) is Aim.HOLDS


@given(seed=SEEDS, column=st.integers(0, WIDTH_PX), dark=st.floats(0.35, 1))
def test_the_shadow_of_a_building_moves_no_camera(seed: int, column: int, dark: float) -> None:
    seen = shot(scene(seed)).astype(np.float64)
    seen[:, :column] *= dark

    assert said(shot(scene(seed)), clipped(seen)) is Aim.HOLDS


@given(seed=SEEDS)
def test_a_picture_in_infrared_is_the_same_place(seed: int) -> None:
    """What was bright is dark; edges stay."""
    assert said(shot(scene(seed)), 255 - shot(scene(seed), seed=1)) is Aim.HOLDS


@given(seed=SEEDS, left=st.integers(0, WIDTH_PX // 2), other=SEEDS)
def test_what_stands_before_half_of_the_picture_moves_no_camera(
    seed: int, left: int, other: int
) -> None:
    seen = shot(scene(seed))
    seen[:, left : left + WIDTH_PX // 2] = shot(scene(other + 100))[:, : WIDTH_PX // 2]

    assert said(shot(scene(seed)), seen) is not Aim.MOVED


@given(seed=SEEDS, angle=ANGLES, by_px=st.floats(0, 4))
def test_a_camera_that_sways_with_its_mast_is_not_moved(
    seed: int, angle: float, by_px: float
) -> None:
    right_px, down_px = round(by_px * math.cos(angle)), round(by_px * math.sin(angle))

    assert said(shot(scene(seed)), shot(scene(seed), right_px, down_px, seed=1)) is Aim.HOLDS


@given(seed=SEEDS, angle=ANGLES, by_px=st.floats(16, 99))
def test_a_camera_that_was_turned_is_moved(seed: int, angle: float, by_px: float) -> None:
    right_px, down_px = round(by_px * math.cos(angle)), round(by_px * math.sin(angle))

    assert said(shot(scene(seed)), shot(scene(seed), right_px, down_px, seed=1)) is not Aim.HOLDS


def test_most_turns_are_told_and_next_to_no_sway() -> None:
    """Of 40 scenes each; a tile may fit elsewhere by chance, so single ones may be unclear."""
    turned = [said(shot(scene(each)), shot(scene(each), 20, 8, seed=1)) for each in range(40)]
    other = [said(shot(scene(each)), shot(scene(each + 500), seed=1)) for each in range(40)]

    assert turned.count(Aim.MOVED) >= 38
    assert other.count(Aim.MOVED) >= 38


@pytest.mark.parametrize("shade", [16, 128, 235])
def test_a_picture_without_edges_says_nothing_of_the_place(shade: int) -> None:
    flat = np.full(SHAPE, shade, np.float64)
    noise = np.random.default_rng(1).normal(0, 3, SHAPE)

    assert said(shot(scene(1)), clipped(flat + noise)) is Aim.UNCLEAR
    assert said(clipped(flat + noise), shot(scene(1))) is Aim.UNCLEAR
    assert said(clipped(flat), clipped(flat)) is Aim.UNCLEAR
    assert not is_displaced(outline(clipped(flat)), outline(shot(scene(1))))


def test_a_night_with_one_lit_corner_says_nothing_of_the_place() -> None:
    night = shot(scene(1) * 0.1 + 16)
    night[100:, 190:] = shot(scene(1))[100:, 190:]

    assert said(shot(scene(1)), night) is Aim.UNCLEAR


@given(seed=SEEDS, right_px=st.sampled_from([-20, -14, 14, 20]), down_px=st.integers(-10, 10))
def test_a_camera_that_sank_shows_the_same_scene_at_another_place(
    seed: int, right_px: int, down_px: int
) -> None:
    reference = outline(shot(scene(seed)))

    assert is_displaced(reference, outline(shot(scene(seed), right_px, down_px, seed=1)))
    assert not is_displaced(reference, outline(shot(scene(seed), seed=1)))


@given(seed=SEEDS, other=SEEDS)
def test_a_scene_that_was_built_over_lies_nowhere(seed: int, other: int) -> None:
    built: Scene = scene(other + 1000)

    assert not is_displaced(outline(shot(scene(seed))), outline(shot(built)))


def test_an_edge_has_the_same_direction_from_either_side() -> None:
    picture = np.zeros(SHAPE, np.uint8)
    picture[:, 100:] = 200

    np.testing.assert_allclose(edges(picture), edges(200 - picture), atol=1e-6)
    assert np.abs(edges(picture)).max() == 1
    assert np.abs(edges(picture)[:, :40]).max() == 0
