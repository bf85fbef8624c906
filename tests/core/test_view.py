"""Synthetic pictures: what is told of them rests on these, and not on real cameras."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewatch.aim import Luma
from ropewatch.judging import ViewSettings
from ropewatch.reference import COMPARE_EVERY_S, HEIGHT_PX, WIDTH_PX, Reference
from ropewatch.view import ViewCondition, ViewWatch, has_changed, lit, structure

EVERY_S = 0.5
SHAPE = (HEIGHT_PX, WIDTH_PX)
SETTINGS = ViewSettings()


def yard(seed: int = 1, *, contrast: float = 1.0, at: float = 110.0) -> npt.NDArray[np.float64]:
    """Walls, scaffolds and sky: rectangles of any shade over a gradient."""
    rng = np.random.default_rng(seed)
    picture = np.linspace(60, -30, HEIGHT_PX)[:, None] + np.zeros(SHAPE)
    for _ in range(60):
        top, left = rng.integers(0, HEIGHT_PX - 20), rng.integers(0, WIDTH_PX - 20)
        height, width = rng.integers(4, 60), rng.integers(2, 60)
        picture[top : top + height, left : left + width] = rng.normal(0, 45)
    shown: npt.NDArray[np.float64] = picture * contrast + at
    return shown


def noisy(picture: npt.NDArray[np.float64], sigma: float, seed: int) -> Luma:
    noise = np.random.default_rng(seed).normal(0, sigma, SHAPE)
    shown: Luma = np.clip(picture + noise, 0, 255).round().astype(np.uint8)
    return shown


def camera(picture: npt.NDArray[np.float64], sigma: float = 2.0) -> Iterator[Luma]:
    seed = 0
    while True:
        seed += 1
        yield noisy(picture, sigma, seed)


def repeated(luma: Luma) -> Iterator[Luma]:
    while True:
        yield luma


def of_yard() -> Reference:
    luma = noisy(yard(), 0, seed=1)
    return Reference(luma, luma)


class Showing:
    """A watch that is shown one camera after another, at its pace; it knows the yard."""

    def __init__(self, settings: ViewSettings = SETTINGS) -> None:
        self.watch = ViewWatch(settings, of_yard())
        self.now_s = 1000.0

    def show(self, pictures: Iterator[Luma], for_s: float) -> list[ViewCondition | None]:
        """Return what was told with each sample."""
        told = []
        for _ in range(round(for_s / EVERY_S)):
            self.watch.look(next(pictures), self.now_s)
            self.now_s += EVERY_S
            told.append(self.watch.condition)
        return told


COVERS: dict[ViewCondition, Callable[[], Iterator[Luma]]] = {
    ViewCondition.DARK: lambda: camera(yard(contrast=0.05, at=18)),
    ViewCondition.COVERED: lambda: camera(yard(contrast=0.03, at=120)),
    ViewCondition.FROZEN: lambda: repeated(noisy(yard(), 2, seed=9)),
    ViewCondition.MOVED: lambda: camera(yard(7)),
}
# How far apart looks are by which it is told.
PACE_S = dict.fromkeys(ViewCondition, EVERY_S) | {ViewCondition.MOVED: COMPARE_EVERY_S}


def test_a_camera_that_shows_a_yard_is_watched_for_long() -> None:
    assert set(Showing().show(camera(yard()), for_s=120)) == {None}


@pytest.mark.parametrize("condition", list(ViewCondition))
def test_what_lasts_is_told_after_its_time_and_taken_back_when_it_is_over(
    condition: ViewCondition,
) -> None:
    after_s = float(getattr(SETTINGS, f"{condition.value}_after_s"))
    showing = Showing()
    showing.show(camera(yard()), for_s=5)

    told = showing.show(COVERS[condition](), for_s=after_s + 2)
    after = showing.show(camera(yard()), for_s=SETTINGS.clear_after_s + 1 + PACE_S[condition])

    # A freeze begins with its first picture; that of a cover is bad for the half second before.
    assert told.index(condition) * EVERY_S == pytest.approx(after_s, abs=PACE_S[condition])
    assert set(told) == {None, condition}
    assert after[0] is condition
    assert after[-1] is None


@pytest.mark.parametrize("condition", list(ViewCondition))
def test_what_does_not_last_is_not_told(condition: ViewCondition) -> None:
    after_s = float(getattr(SETTINGS, f"{condition.value}_after_s"))
    showing = Showing()

    told = [
        each
        for _ in range(4)
        for each in [
            *showing.show(COVERS[condition](), for_s=after_s - 2 * PACE_S[condition]),
            *showing.show(camera(yard()), for_s=1 + PACE_S[condition]),
        ]
    ]

    assert set(told) == {None}


def test_a_camera_that_flickers_is_told_once() -> None:
    showing = Showing()
    told = showing.show(COVERS[ViewCondition.DARK](), for_s=12)
    for _ in range(5):
        told += showing.show(camera(yard()), for_s=SETTINGS.clear_after_s - 1)
        told += showing.show(COVERS[ViewCondition.DARK](), for_s=3)

    first = told.index(ViewCondition.DARK)
    assert set(told[first:]) == {ViewCondition.DARK}


def test_a_picture_is_hidden_and_still_from_its_first_samples_on() -> None:
    showing = Showing()
    showing.show(camera(yard()), for_s=5)
    assert not showing.watch.view.hidden

    showing.show(COVERS[ViewCondition.COVERED](), for_s=EVERY_S)
    assert showing.watch.view.hidden

    showing.show(COVERS[ViewCondition.FROZEN](), for_s=2 * EVERY_S)
    assert showing.watch.view.still_s == EVERY_S
    assert not showing.watch.view.hidden


@given(sigma=st.floats(0.7, 6), contrast=st.floats(0.15, 1.2), seed=st.integers(0, 99))
def test_a_sensor_with_noise_is_never_still(sigma: float, contrast: float, seed: int) -> None:
    picture = yard(seed, contrast=contrast)

    assert has_changed(noisy(picture, sigma, seed), noisy(picture, sigma, seed + 100))


def test_somebody_small_who_moves_in_a_picture_without_noise_changes_it() -> None:
    # 40 x 16 pixels of a 1280 x 720 frame, before wall and sky.
    before = noisy(yard(), 0, seed=1)
    after = before.copy()
    before[60:68, 100:103] = 30
    after[60:68, 104:107] = 30

    assert has_changed(after, before)


def test_a_codec_s_last_roundings_are_no_change() -> None:
    before = noisy(yard(), 0, seed=1)
    after = before.copy()
    after[::2] += 2
    after[10, 10:20] += 20

    assert not has_changed(after, before)


@given(sigma=st.floats(0, 6), at=st.floats(60, 220), slope=st.floats(-40, 40))
def test_a_lens_behind_something_has_no_structure(sigma: float, at: float, slope: float) -> None:
    """Cloth, paint or fog: one shade, brighter to a side, with a sensor's noise."""
    shade = at + np.linspace(0, slope, WIDTH_PX)[None, :] + np.zeros(SHAPE)

    assert structure(noisy(shade, sigma, seed=3)) < SETTINGS.covered_below_structure


@given(contrast=st.floats(0.35, 1.2), sigma=st.floats(0, 6), seed=st.integers(0, 99))
def test_a_yard_in_haze_has_structure(contrast: float, sigma: float, seed: int) -> None:
    picture = noisy(yard(seed, contrast=contrast), sigma, seed)

    assert structure(picture) >= SETTINGS.covered_below_structure


def test_a_bright_wall_with_one_person_before_it_has_structure() -> None:
    wall = np.full(SHAPE, 225.0)
    # 80 x 40 pixels of a 1280 x 720 frame.
    wall[70:86, 120:128] = 90

    assert structure(noisy(wall, 1, seed=1)) >= SETTINGS.covered_below_structure


def test_a_lamp_in_the_night_lights_nobody_and_a_lit_yard_does() -> None:
    night = np.full(SHAPE, 17.0)
    night[10:20, 10:30] = 235
    yard_in_light = night.copy()
    yard_in_light[60:, 80:160] = 70

    told = Showing().show(camera(night), for_s=12)
    lit_told = Showing().show(camera(yard_in_light), for_s=12)

    assert told[-1] is ViewCondition.DARK
    assert set(lit_told) == {None}


def test_a_gap_between_samples_counts_as_little_as_nobody_has_looked() -> None:
    showing = Showing()
    frozen = COVERS[ViewCondition.FROZEN]()
    showing.show(frozen, for_s=1)
    showing.now_s += 3600

    assert showing.show(frozen, for_s=1)[-1] is None


@pytest.mark.parametrize("condition", [ViewCondition.DARK, ViewCondition.COVERED])
def test_what_hides_a_picture_is_told_before_moved_and_neither_begins_nor_ends_it(
    condition: ViewCondition,
) -> None:
    showing = Showing()
    showing.show(COVERS[ViewCondition.MOVED](), for_s=40)
    hidden = showing.show(COVERS[condition](), for_s=120)
    moved = showing.show(COVERS[ViewCondition.MOVED](), for_s=40)
    again = showing.show(COVERS[condition](), for_s=20)

    assert set(hidden) == {None, condition}
    assert moved[-1] is ViewCondition.MOVED
    assert again[-1] is condition
    assert showing.show(COVERS[ViewCondition.MOVED](), for_s=10)[-1] is ViewCondition.MOVED


def test_a_camera_that_looks_elsewhere_hides_nobody() -> None:
    """Who is in view is judged as ever, and may be gone from it."""
    showing = Showing()
    showing.show(COVERS[ViewCondition.MOVED](), for_s=SETTINGS.moved_after_s + 5)

    assert showing.watch.condition is ViewCondition.MOVED
    assert not showing.watch.view.hidden


def test_a_camera_whose_view_is_not_learnt_yet_is_not_moved() -> None:
    showing = Showing()
    showing.watch = ViewWatch(SETTINGS)

    told = [
        each
        for seed in (1, 7, 8, 9, 10)
        for each in showing.show(camera(yard(seed)), for_s=SETTINGS.moved_after_s)
    ]

    assert set(told) == {None}
    assert showing.watch.reference is None


def test_a_picture_that_froze_in_the_dark_is_dark() -> None:
    told = Showing().show(repeated(np.full(SHAPE, 16, np.uint8)), for_s=60)

    assert told[-1] is ViewCondition.DARK


def test_times_of_a_camera_are_its_own() -> None:
    settings = ViewSettings(frozen_after_s=5, dark_after_s=20)

    told = Showing(settings).show(COVERS[ViewCondition.FROZEN](), for_s=6)

    assert told[-1] is ViewCondition.FROZEN


@pytest.mark.parametrize(("level", "share"), [(0, 1.0), (100, 0.5), (101, 0.0)])
def test_lit_counts_what_is_as_bright_or_brighter(level: int, share: float) -> None:
    luma = np.zeros(SHAPE, np.uint8)
    luma[:, : WIDTH_PX // 2] = 100

    assert lit(luma, level) == share
